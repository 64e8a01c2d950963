// UnitView: what a supervisor knows of one of its units, from its reports.
import type { ChildPolicy } from '../spec/child.ts';
import type { Exit } from './exit.ts';
import type { UnitPhase } from './unit-report.ts';

/** What a unit was last told about its gate. */
export type Gate =
  | { readonly type: 'gate.opened' }
  | { readonly type: 'gate.closed'; readonly missing: string[] }
  | { readonly type: 'gate.barred'; readonly why: string };

export interface UnitView {
  readonly id: string;
  readonly policy: ChildPolicy;
  readonly phase: UnitPhase;
  readonly epoch: number;
  readonly pid: number | null;
  readonly state: string | null;
  readonly note: string | null;
  /** Restarts in a row since it was last stable. */
  readonly attempt: number;
  readonly restarts: readonly number[];
  readonly gate: Gate | null;
  readonly exit: Exit | null;
}

export function newView(id: string, policy: ChildPolicy): UnitView {
  return {
    id,
    policy,
    phase: 'idle',
    epoch: 0,
    pid: null,
    state: null,
    note: null,
    attempt: 0,
    restarts: [],
    gate: null,
    exit: null,
  };
}
