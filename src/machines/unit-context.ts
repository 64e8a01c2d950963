// Unit context: what a unit keeps of itself and of its present run, and what it tells of that.
import type { ChildPolicy } from '../spec/child.ts';
import { exitOf, type RunFacts } from './exit.ts';
import type { Identity } from './incarnation.ts';
import type { UnitPhase, UnitReport } from './unit-report.ts';

export interface UnitInput {
  readonly id: string;
  /** Where it stands in the tree, as the address of its actor. */
  readonly path: string;
  readonly policy: ChildPolicy;
  /** Whether a polite request can be made before SIGTERM. */
  readonly canAsk: boolean;
  /** The process that its first incarnation takes over, if there is one. */
  readonly adopt: Identity | null;
}

export interface UnitContext extends UnitInput, RunFacts {
  /** Raised at each start; what an earlier incarnation still reports is dropped by it. */
  readonly epoch: number;
  readonly pid: number | null;
  /** The named application state, as reported in this epoch. */
  readonly state: string | null;
  readonly delayMs: number;
  readonly warm: number;
  /** What its gate waits for, or why it is barred. */
  readonly gateNote: string | null;
  /** Why it was given up. */
  readonly failure: string | null;
}

/** What a run begins with. */
export const unbegun = {
  pid: null,
  spawnedAtMs: null,
  state: null,
  requested: 'none',
  missed: null,
  killed: null,
  refusal: null,
  end: null,
} as const;

type Facts = { context: UnitContext; event: { type: string; atMs?: number } };

/** Tells the supervisor where the unit is now. */
export const changed = (phase: Exclude<UnitPhase, 'exited'>) => ({
  type: 'report' as const,
  params: ({ context }: Facts): UnitReport => {
    const { id, epoch, pid, state } = context;
    return { type: 'unit.changed', id, phase, epoch, pid, state, note: noteOf(phase, context) };
  },
});

export const stable = {
  type: 'report' as const,
  params: ({ context: { id, epoch } }: Facts): UnitReport => ({ type: 'unit.stable', id, epoch }),
};

export const exited = {
  type: 'report' as const,
  params: ({ context, event }: Facts): UnitReport => ({
    type: 'unit.exited',
    id: context.id,
    epoch: context.epoch,
    exit: exitOf(context, event.atMs ?? context.spawnedAtMs ?? 0),
  }),
};

/** How long it may take to stop. */
export function shutdownMs({ policy }: UnitContext): number {
  if (policy.shutdown === 'kill') return 0;
  // setTimeout takes at most 2^31 - 1; 24 days.
  if (policy.shutdown === 'infinity') return 2 ** 31 - 1;
  return policy.shutdown;
}

/** Why it is not running, where it has no say in that. */
function noteOf(phase: UnitPhase, { gateNote, failure }: UnitContext): string | null {
  if (phase === 'blocked' || phase === 'skipped') return gateNote;
  return phase === 'failed' ? failure : null;
}
