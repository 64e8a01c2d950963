// Supervisor context: what a supervisor of units keeps, and what follows from it for its units. Pure functions.
import { changedGates, type Orders } from './dependency.ts';
import { exitOf, type RunEnd, type SupervisorOutput } from './exit.ts';
import { gateOf } from './gate.ts';
import { readyToStop } from './group.ts';
import { type Decision, type Judged, judge, outputOf } from './judgement.ts';
import type { ChildRules } from './spec-change.ts';
import { type Census, dependentsOf, type Units, withViews } from './unit-census.ts';
import type { UnitEvent } from './unit-event.ts';
import type { UnitPhase, UnitReport } from './unit-report.ts';
import type { UnitView } from './unit-view.ts';

export interface SupervisorInput
  extends Pick<Judged, 'strategy' | 'intensity' | 'periodMs' | 'autoShutdown'> {
  readonly path: string;
  /** In the order in which they are declared. */
  readonly children: readonly ChildRules[];
  /** Ends by itself once no child is up or will come up again. */
  readonly endsWhenIdle: boolean;
  /** Determines the jitter of all delays. */
  readonly seed: number;
  /** Units of other hosts that edges of its children name. */
  readonly remotes?: Units;
}

export interface SupervisorContext extends Omit<SupervisorInput, 'children'>, Judged, Census {
  readonly units: Units;
  /** Its units as they were before the last report. */
  readonly before: Units | null;
  /** Units of other hosts, as they were last told; others decide over them. */
  readonly remotes: Units;
  readonly remotesBefore: Units;
  /** Who is to go down together. */
  readonly leaving: readonly string[];
  readonly decision: Decision | null;
  /** Whose crashes the group restarts for, and after which delay each. */
  readonly causes: Readonly<Record<string, number>>;
  readonly output: SupervisorOutput | null;
}

export type ExitReport = Extract<UnitReport, { type: 'unit.exited' }>;
export type ChangeReport = Extract<UnitReport, { type: 'unit.changed' }>;

/** What a report changes. */
export function learn(context: SupervisorContext, report: UnitReport): Partial<SupervisorContext> {
  const view = context.units[report.id]!;
  const set = (change: Partial<UnitView>) => withViews(context, [{ ...view, ...change }]);
  switch (report.type) {
    case 'unit.changed': {
      const { phase, epoch, pid, state, note } = report;
      // Who starts again what had been given up gives it its whole allowance again.
      const pardon = view.phase === 'failed' && phase !== 'failed' ? { attempt: 0, restarts: [] } : {};
      return set({ phase, epoch, pid, state, note, ...pardon });
    }
    case 'unit.stable':
      return report.epoch === view.epoch ? set({ attempt: 0 }) : {};
    case 'unit.exited': {
      const { epoch, exit } = report;
      return set({ phase: 'exited', epoch, pid: null, state: null, note: null, exit });
    }
  }
}

/** Where the units will be once they have heard these orders. */
export function planned(context: SupervisorContext, orders: Orders): Partial<SupervisorContext> {
  const views = orders.flatMap(({ unit, event }) => {
    const view = context.units[unit]!;
    const phase = phaseAfter(event, view.phase);
    return phase === view.phase ? [] : [{ ...view, phase }];
  });
  return views.length === 0 ? {} : withViews(context, views);
}

function phaseAfter(order: UnitEvent, phase: UnitPhase): UnitPhase {
  switch (order.type) {
    case 'start':
      return phase === 'idle' ? 'blocked' : phase;
    case 'verdict.restart':
      return order.delayMs > 0 ? 'backoff' : 'blocked';
    case 'verdict.down':
      return 'idle';
    case 'verdict.done':
      return 'completed';
    case 'verdict.fail':
      return 'failed';
    case 'verdict.remove':
      return 'removed';
    default:
      return phase;
  }
}

/** All that an edge can name. */
export function seen({ units, remotes }: Pick<SupervisorContext, 'units' | 'remotes'>): Units {
  for (const _ in remotes) return { ...remotes, ...units };
  return units;
}

/** Whose gates a change may open or close. Undefined: those of all. */
function gatesBy(context: SupervisorContext, ids?: readonly string[]): readonly string[] {
  if (!ids) return Object.keys(context.units);
  if (ids.length === 1) return dependentsOf(context, ids[0]!);
  return [...new Set(ids.flatMap((id) => dependentsOf(context, id)))];
}

/** What the units whose gates have changed are told. */
export function gateOrders(context: SupervisorContext, ids?: readonly string[]): Orders {
  return changedGates(seen(context), gatesBy(context, ids)).map(({ id, gate }) => ({
    unit: id,
    event: gate,
  }));
}

/** The gates as the units have been told. */
export function withGates(context: SupervisorContext, ids?: readonly string[]): Partial<SupervisorContext> {
  const changed = changedGates(seen(context), gatesBy(context, ids));
  if (changed.length === 0) return {};
  return withViews(
    context,
    changed.map(({ id, gate }) => ({ ...context.units[id]!, gate })),
  );
}

/**
 * Who of those that leave can be told to stop now: nobody that still stands depends on them.
 * @param id whose report may have changed that; undefined: look at all.
 */
export function nextToStop(context: SupervisorContext, id?: string): string[] {
  const { units, told } = context;
  const candidates =
    id === undefined ? Object.keys(told) : [id, ...Object.keys(units[id]?.policy.dependsOn ?? {})];
  return readyToStop(
    { units, dependents: (each) => dependentsOf(context, each) },
    (each) => Object.hasOwn(told, each),
    candidates.filter((each) => told[each] === false),
  );
}

/**
 * Whether such an end of a unit that is up, which nobody asked for, can lead to nothing but its start again, at once and alone.
 * What stands by may begin then before the end is reported.
 */
export function willRestart(context: SupervisorContext, id: string, end: RunEnd, atMs: number): boolean {
  const view = context.units[id];
  if (view?.phase !== 'up' || gateOf(view, context.units).type !== 'gate.opened') return false;
  const { decision } = judge(context, id, exitOf({ ...crash, end }, atMs));
  return decision?.do === 'settle' && decision.event.type === 'verdict.restart';
}

/** A run that was ready and ended by itself. */
const crash = {
  spawnedAtMs: null,
  requested: 'none',
  refusal: null,
  everReady: true,
  missed: null,
  killed: null,
} as const;

/** What a decision orders of the unit that ended. */
export function settlement({ decision }: SupervisorContext): Orders {
  return decision?.do === 'settle' ? [{ unit: decision.id, event: decision.event }] : [];
}

export function groupOf({ decision }: SupervisorContext): readonly string[] {
  return decision?.do === 'regroup' ? decision.ids : [];
}

/** How a group that is down starts again. */
export function groupStart({ units, leaving, causes }: SupervisorContext): Orders {
  return leaving.map((unit) => {
    const { phase, policy } = units[unit]!;
    if (phase !== 'exited') return { unit, event: { type: 'start' } };
    // As in OTP: nobody asked for its end, but a temporary child is never restarted.
    if (policy.restart === 'temporary') return { unit, event: { type: 'verdict.remove' } };
    return { unit, event: { type: 'verdict.restart', delayMs: causes[unit] ?? 0 } };
  });
}

export function endingOutput({ decision, units }: SupervisorContext): SupervisorOutput {
  return decision?.do === 'end' ? decision.output : outputOf(units, 'planned', 'asked to stop');
}

export function finalOutput({ output, units }: SupervisorContext): SupervisorOutput {
  const now = outputOf(units, 'planned', 'asked to stop');
  return { ...(output ?? now), unkillable: now.unkillable };
}
