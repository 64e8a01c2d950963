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
