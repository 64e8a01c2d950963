// Unit census: what a supervisor knows of all its units together: who depends on whom, and how many are where they should be. Kept
// up with each change of one of them, so that a report costs no more among three hundred units than among ten.
import { isDown } from './group.ts';
import type { UnitPhase } from './unit-report.ts';
import type { UnitView } from './unit-view.ts';

export type Units = Readonly<Record<string, UnitView>>;

export interface Census {
  /** In the order in which they are declared. */
  readonly units: Units;
  /** For each unit that an edge names: those whose edges do. */
  readonly dependents: Readonly<Record<string, readonly string[]>>;
  /** How many are not as they should be. */
  readonly unready: number;
  /** How many do something, or will by themselves. */
  readonly restless: number;
  /** Those that are to go down together, and which of them have been told. */
  readonly told: Readonly<Record<string, boolean>>;
  /** How many of these still stand. */
  readonly standing: number;
}

/** Phases in which a unit does nothing and nothing is planned for it. One that somebody has stopped may be started again. */
const resting: ReadonlySet<UnitPhase> = new Set<UnitPhase>([
  'completed',
  'failed',
  'skipped',
  'removed',
  'unkillable',
]);
/** As it should be; a temporary child that has ended belongs to its supervisor no more. */
const ready: ReadonlySet<UnitPhase> = new Set<UnitPhase>(['up', 'completed', 'removed']);

const isUnready = ({ phase }: UnitView) => Number(!ready.has(phase));
const isRestless = ({ phase }: UnitView) => Number(!resting.has(phase));
const stands = (view: UnitView | undefined) => Number(!isDown(view));

/** The units whose edges name that one. Not every name is one of ours: an object has others by birth. */
export function dependentsOf({ dependents }: Pick<Census, 'dependents'>, id: string): readonly string[] {
  return Object.hasOwn(dependents, id) ? dependents[id]! : [];
}

/** All of it anew; only for what concerns every unit. */
export function censusOf(units: Units, told: Census['told'] = {}): Census {
  const dependents = new Map<string, string[]>();
  let unready = 0;
  let restless = 0;
  for (const view of Object.values(units)) {
    unready += isUnready(view);
    restless += isRestless(view);
    for (const id of Object.keys(view.policy.dependsOn)) {
      const known = dependents.get(id);
      if (known) known.push(view.id);
      else dependents.set(id, [view.id]);
    }
  }
  const standing = Object.keys(told).reduce((sum, id) => sum + stands(units[id]), 0);
  return { units, dependents: Object.fromEntries(dependents), unready, restless, told, standing };
}

/** Some units are elsewhere now; their edges are the same. */
export function withViews(
  { units: before, told, ...counts }: Census,
  views: readonly UnitView[],
): Pick<Census, 'units' | 'unready' | 'restless' | 'standing'> {
  let { unready, restless, standing } = counts;
  const units = { ...before };
  for (const view of views) {
    const known = units[view.id]!;
    unready += isUnready(view) - isUnready(known);
    restless += isRestless(view) - isRestless(known);
    if (Object.hasOwn(told, view.id)) standing += stands(view) - stands(known);
    units[view.id] = view;
  }
  return { units, unready, restless, standing };
}

/** Those units go down from here on. */
export function leaving({ units }: Census, ids: readonly string[]): Pick<Census, 'told' | 'standing'> {
  const told = Object.fromEntries(ids.map((id) => [id, false]));
  return { told, standing: ids.reduce((sum, id) => sum + stands(units[id]), 0) };
}
