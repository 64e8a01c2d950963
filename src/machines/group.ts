// Group: which units go down together when one must restart, and in which order units may go down.
import { orders, type Strategy } from '../spec/child.ts';
import type { UnitPhase } from './unit-report.ts';
import type { UnitView } from './unit-view.ts';

const down: ReadonlySet<UnitPhase> = new Set<UnitPhase>([
  'idle',
  'exited',
  'completed',
  'failed',
  'skipped',
  'unkillable',
  'removed',
]);

export function isDown(view: UnitView | undefined): boolean {
  return view === undefined || down.has(view.phase);
}

type Units = Readonly<Record<string, UnitView>>;

/** The unit itself and, by strategy, its siblings: all of them, or those declared after it. */
export function affectedBy({ strategy, units }: { strategy: Strategy; units: Units }, id: string): string[] {
  if (strategy === 'one-for-one') return [id];
  const all = Object.keys(units);
  const from = strategy === 'one-for-all' ? 0 : all.indexOf(id);
  // Those that were given up or have done their work stay as they are.
  return all.slice(from).filter((other) => other === id || !settled.has(units[other]!.phase));
}

const settled: ReadonlySet<UnitPhase> = new Set<UnitPhase>(['completed', 'failed', 'removed', 'unkillable']);

/** Units, and those whose edges name one. */
interface Related {
  readonly units: Units;
  dependents(id: string): readonly string[];
}

/** Of the candidates that still stand: the ones that no other standing one of those that leave depends on. */
export function readyToStop(
  { units, dependents }: Related,
  leaves: (id: string) => boolean,
  candidates: readonly string[],
): string[] {
  const stands = (id: string) => leaves(id) && !isDown(units[id]);
  const needs = (other: string, id: string) => orders(units[other]?.policy.dependsOn[id]);
  return candidates.filter(
    (id) => stands(id) && !dependents(id).some((other) => stands(other) && needs(other, id)),
  );
}
