// Group: which units go down together when one must restart, and in which order units may go down.
import { orders, type Strategy } from '../spec/child.ts';
import type { UnitPhase } from './unit.ts';
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

/** Of those that are to leave and still stand: the ones that no other standing one of them depends on. */
export function readyToStop(units: Units, leaving: readonly string[]): string[] {
  const standing = leaving.filter((id) => !isDown(units[id]));
  return standing.filter(
    (id) =>
      !standing.some((other) => {
        const { dependsOn } = units[other]!.policy;
        return Object.hasOwn(dependsOn, id) && orders(dependsOn[id]);
      }),
  );
}
