// Exit: how one run of a unit ended, which class that is, and what the restart types make of it. Rules as rows, from OTP's
// supervisor manual and, for processes, from what their managers call a clean exit.

/** Why a run ended, as far as restarting is concerned. */
export type ExitClass =
  /** By itself and well: code 0, or a machine in its final state. */
  | 'normal'
  /** After our request, within its deadline. */
  | 'shutdown'
  /** By itself and badly, or stopped by us because it misbehaved. */
  | 'abnormal'
  /** By our SIGKILL after the deadline. */
  | 'killed'
  /** Trying again can't help: the program is missing, may not be run, or its first start was refused. */
  | 'permanent-failure';

export interface Exit {
  readonly class: ExitClass;
  /** For people: what happened. */
  readonly reason: string;
  readonly code: number | null;
  readonly signal: string | null;
  /** What had been asked for when it ended. */
  readonly requested: 'none' | 'stop' | 'restart';
  readonly uptimeMs: number;
  readonly atMs: number;
  /** What even SIGKILL could not end, by its path below the unit; left out if there is none. */
  readonly unkillable?: readonly string[];
}

/** How a supervisor ended. */
export interface SupervisorOutput {
  readonly why: 'planned' | 'idle' | 'intensity' | 'boot' | 'significant';
  readonly reason: string;
  /** The exit that ended it, if one did. */
  readonly exit: Exit | null;
  readonly failed: readonly string[];
  readonly unkillable: readonly string[];
}

/** What is known of a run once nothing of it is left. */
export interface RunFacts {
  readonly spawnedAtMs: number | null;
  readonly requested: Exit['requested'];
  /** How its program ended; null if that left no word. */
  readonly end: RunEnd | null;
  readonly refusal: { readonly why: string; readonly permanent: boolean } | null;
  /** Whether this unit was ever ready, in this run or an earlier one. */
  readonly everReady: boolean;
  /** The deadline that it missed, so that we stopped it. */
  readonly missed: string | null;
  /** Whether its program was killed by us: because somebody asked for it, or because it was too late. */
  readonly killed: 'asked' | 'late' | null;
}

export interface RunEnd {
  readonly code: number | null;
  readonly signal: string | null;
  /** Of a supervisor: its own account. */
  readonly supervisor?: SupervisorOutput;
  /** Of an actor: what its end was, in place of codes and signals. */
  readonly account?: { readonly class: ExitClass; readonly reason: string };
}

export type RestartType = 'permanent' | 'transient' | 'temporary';

/** What the supervisor makes of an exit. */
export type Verdict = 'restart' | 'restart-uncounted' | 'down' | 'done' | 'fail' | 'remove';

const verdicts: Record<ExitClass, Record<RestartType, Verdict>> = {
  normal: { permanent: 'restart', transient: 'done', temporary: 'remove' },
  shutdown: { permanent: 'restart', transient: 'done', temporary: 'remove' },
  abnormal: { permanent: 'restart', transient: 'restart', temporary: 'remove' },
  killed: { permanent: 'restart', transient: 'restart', temporary: 'remove' },
  'permanent-failure': { permanent: 'fail', transient: 'fail', temporary: 'remove' },
};

export function verdictOf(restart: RestartType, exit: Pick<Exit, 'class' | 'requested'>): Verdict {
  if (exit.requested === 'stop') return restart === 'temporary' ? 'remove' : 'down';
  if (exit.requested === 'restart') return 'restart-uncounted';
  return verdicts[exit.class][restart];
}

/** @param atMs when nothing was left of it. */
export function exitOf(run: RunFacts, atMs: number): Exit {
  const { code = null, signal = null, supervisor } = run.end ?? {};
  return {
    class: classOf(run),
    reason: reasonOf(run),
    code,
    signal,
    requested: run.requested,
    uptimeMs: run.spawnedAtMs === null ? 0 : atMs - run.spawnedAtMs,
    atMs,
    ...(supervisor?.unkillable.length && { unkillable: supervisor.unkillable }),
  };
}

function classOf({ refusal, everReady, missed, killed, requested, end }: RunFacts): ExitClass {
  if (refusal?.permanent && !everReady) return 'permanent-failure';
  if (refusal || missed !== null) return 'abnormal';
  if (killed) return 'killed';
  if (end?.account?.class === 'abnormal') return 'abnormal';
  if (requested !== 'none') return 'shutdown';
  if (end?.account) return end.account.class;
  // As in OTP: a supervisor that gives up ends as `shutdown`, whatever made it give up.
  if (end?.supervisor?.why === 'intensity' || end?.supervisor?.why === 'significant') return 'shutdown';
  return end?.code === 0 ? 'normal' : 'abnormal';
}

function reasonOf({ refusal, missed, killed, requested, end }: RunFacts): string {
  if (refusal) return refusal.why;
  const how = wordsFor(end);
  if (missed !== null) return `${missed}, so it was stopped: ${how}`;
  if (killed) return killed === 'late' ? 'did not stop in time, so it was killed' : 'was killed, as asked';
  return requested === 'none' ? how : `${how}, as asked`;
}

function wordsFor(end: RunEnd | null): string {
  if (end?.account) return end.account.reason;
  if (end?.supervisor) return end.supervisor.reason;
  if (end?.signal) return `ended by ${end.signal}`;
  return end && end.code !== null ? `ended with code ${end.code}` : 'ended';
}
