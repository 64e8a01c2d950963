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
  /** Set for a unit of another host: what follows from how its host is heard. */
  readonly elsewhere?: Elsewhere;
}

export interface Elsewhere {
  readonly host: string;
  /** `silent`: the rest of the view is what was last heard, and may not hold any more. */
  readonly heard: HeardOfHost;
  /** The root that told it: another one has started its units anew. */
  readonly root: string | null;
  /** That root is going down with all its units: nobody has asked for the end of one of them. */
  readonly ending?: boolean;
}

/** `never`: since this root began; `left`: its root has ended in order, and its units with it. */
export type HeardOfHost = 'never' | 'present' | 'silent' | 'left';

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
