// Supervisor report: what a supervisor of units tells those outside: people, machines, the one above.
import type { Exit } from './exit.ts';

export type SupervisorReport =
  | {
      readonly type: 'child.exited';
      readonly id: string;
      readonly epoch: number;
      readonly exit: Exit;
      readonly verdict: string;
      readonly delayMs: number;
      /** How many restarts the supervisor's intensity still allows; null: no limit. */
      readonly restartsLeft: number | null;
    }
  /** Gates that have opened, closed, or can't open any more. */
  | { readonly type: 'gates.changed'; readonly gates: readonly GateReport[] }
  | { readonly type: 'supervisor.changed'; readonly state: SupervisorState };

export interface GateReport {
  readonly id: string;
  readonly gate: 'opened' | 'closed' | 'barred';
  /** What it waits for, or why it is barred. */
  readonly why: string | null;
}

export type SupervisorState = 'booting' | 'operative' | 'degraded' | 'restarting' | 'stopping';
