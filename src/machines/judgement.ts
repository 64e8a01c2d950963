// Judgement: what a supervisor does about the exit of a unit. Pure functions, so that each rule is a row of a test.
import type { AutoShutdown, Strategy } from '../spec/child.ts';
import { type Exit, type SupervisorOutput, verdictOf } from './exit.ts';
import { affectedBy, isDown } from './group.ts';
import { backoffMs, nextChance, recordRestart } from './restart.ts';
import type { UnitEvent } from './unit-event.ts';
import type { UnitView } from './unit-view.ts';

/** What is to be done, made once and then carried out by the chart. */
export type Decision = {
  readonly id: string;
  readonly exit: Exit;
  readonly verdict: string;
  readonly delayMs: number;
} & (
  | { readonly do: 'settle'; readonly event: UnitEvent }
  | { readonly do: 'regroup'; readonly ids: readonly string[] }
  | { readonly do: 'end'; readonly output: SupervisorOutput }
);

/** What a judgement looks at. */
export interface Judged {
  readonly strategy: Strategy;
  readonly intensity: number | 'infinity';
  readonly periodMs: number;
  readonly autoShutdown?: AutoShutdown;
  readonly units: Readonly<Record<string, UnitView>>;
  /** When the last restarts were. */
  readonly restarts: readonly number[];
  /** Whether all children have been ready at the same time. */
  readonly booted: boolean;
  readonly seed: number;
}

/** The decision, and what it changes of what was looked at. */
export type Judgement = Partial<Judged> & { readonly decision: Decision | null };

export function judge(before: Judged, id: string, exit: Exit): Judgement {
  const view = before.units[id];
  if (!view) return { decision: null };
  const settle = (event: UnitEvent, verdict: string): Judgement => ({
    decision: { do: 'settle', id, exit, verdict, delayMs: 0, event },
  });
  // Until all have been ready once, what can't be mended by trying again ends the boot.
  if (exit.class === 'permanent-failure' && !before.booted)
    return endBy(before, id, exit, 'boot', `${id}: ${exit.reason}`);
  switch (verdictOf(view.policy.restart, exit)) {
    case 'down':
      return settle({ type: 'verdict.down' }, 'stay down, as asked');
    case 'done':
      return endOfSignificant(before, view, exit) ?? settle({ type: 'verdict.done' }, 'completed');
    case 'remove':
      // Somebody asked for it: that ends nobody else.
      return (
        (exit.requested === 'none' && endOfSignificant(before, view, exit)) ||
        settle({ type: 'verdict.remove' }, 'not restarted')
      );
    case 'fail':
      return settle({ type: 'verdict.fail', why: exit.reason }, 'given up');
    case 'restart-uncounted':
      return settle({ type: 'verdict.restart', delayMs: 0 }, 'restart, as asked');
    case 'restart':
      return judgeRestart(before, view, exit);
  }
}

/** A significant child has ended for good: as its supervisor's `autoShutdown` says, so does that. */
function endOfSignificant(before: Judged, { id, policy }: UnitView, exit: Exit): Judgement | undefined {
  const { autoShutdown = 'never', units } = before;
  if (!policy.significant || autoShutdown === 'never') return undefined;
  const others = Object.values(units).filter((each) => each.id !== id && each.policy.significant);
  if (autoShutdown === 'all-significant' && others.some((each) => !isDown(each))) return undefined;
  return endBy(before, id, exit, 'significant', `${id}, which is significant: ${exit.reason}`);
}

function judgeRestart(before: Judged, view: UnitView, exit: Exit): Judgement {
  const { id, policy } = view;
  const { intensity: limit, periodMs } = before;
  // What is not limited is not counted: there can be very many within the period.
  const all =
    limit === 'infinity'
      ? { restarts: [], exceeded: false }
      : recordRestart(before.restarts, exit.atMs, { restarts: limit, periodMs });
  if (all.exceeded) {
    const reason = `more than ${limit} restarts within ${periodMs} ms, the last of ${id}`;
    return { restarts: all.restarts, ...endBy(before, id, exit, 'intensity', reason) };
  }
  const own = recordRestart(view.restarts, exit.atMs, policy.giveUp);
  if (own.exceeded) {
    const why = `more than ${policy.giveUp.restarts} restarts within ${policy.giveUp.periodMs} ms; the last: ${exit.reason}`;
    return {
      decision: {
        do: 'settle',
        id,
        exit,
        verdict: 'given up',
        delayMs: 0,
        event: { type: 'verdict.fail', why },
      },
    };
  }
  const attempt = view.attempt + 1;
  const { chance, seed } = nextChance(before.seed);
  const delayMs = backoffMs(policy.backoff, attempt, chance);
  const ids = affectedBy(before, id);
  const facts = { id, exit, delayMs };
  return {
    units: { ...before.units, [id]: { ...view, attempt, restarts: own.restarts } },
    restarts: all.restarts,
    seed,
    decision:
      ids.length === 1
        ? { do: 'settle', verdict: 'restart', event: { type: 'verdict.restart', delayMs }, ...facts }
        : { do: 'regroup', verdict: 'restart with its group', ids, ...facts },
  };
}

function endBy(
  before: Judged,
  id: string,
  exit: Exit,
  why: SupervisorOutput['why'],
  reason: string,
): Judgement {
  const output = outputOf(before.units, why, reason, exit);
  return { decision: { do: 'end', id, exit, verdict: 'end the supervisor', delayMs: 0, output } };
}

export function outputOf(
  units: Readonly<Record<string, UnitView>>,
  why: SupervisorOutput['why'],
  reason: string,
  exit: Exit | null = null,
): SupervisorOutput {
  const all = Object.values(units);
  const failed = all.filter(({ phase }) => phase === 'failed' || phase === 'skipped').map(({ id }) => id);
  const unkillable = all.flatMap(({ id, phase, exit: last }) =>
    phase === 'unkillable' ? [id] : (last?.unkillable ?? []).map((below) => `${id}/${below}`),
  );
  return { why, reason, exit, failed, unkillable };
}
