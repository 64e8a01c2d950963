// Unit report: what a unit tells its supervisor.
import type { Exit } from './exit.ts';

/** Where a unit is, in one word. */
export type UnitPhase =
  | 'idle'
  | 'blocked'
  | 'spawning'
  | 'starting'
  | 'up'
  | 'stopping'
  | 'draining'
  | 'unkillable'
  | 'exited'
  | 'backoff'
  | 'completed'
  | 'failed'
  | 'skipped'
  | 'removed';

/** What a unit tells its supervisor. */
export type UnitReport =
  | {
      type: 'unit.changed';
      id: string;
      phase: UnitPhase;
      epoch: number;
      pid: number | null;
      state: string | null;
      note: string | null;
    }
  | { type: 'unit.stable'; id: string; epoch: number }
  /** Its phase is `exited` now, until the supervisor has decided. */
  | { type: 'unit.exited'; id: string; epoch: number; exit: Exit };
