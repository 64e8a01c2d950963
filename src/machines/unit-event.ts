// Unit event: all that a unit hears: what its supervisor decides, what people ask, what its incarnation tells.
import type { ChildPolicy } from '../spec/child.ts';
import type { DependencyNews, Identity, IncarnationEvent } from './incarnation.ts';

export type UnitEvent =
  | { type: 'start' }
  | { type: 'stop' }
  | { type: 'restart'; reason: string }
  | { type: 'kill' }
  | { type: 'reset' }
  | { type: 'remove' }
  /** A new process becomes ready first, then the present one ends. */
  | { type: 'reload' }
  | { type: 'signal'; number: number }
  /** Takes over a process that runs already. */
  | ({ type: 'adopt' } & Identity)
  /** Other rules, from now on; what runs goes on. */
  | { type: 'policy.changed'; policy: ChildPolicy }
  /** How many incarnations stand by, ready to take over. */
  | { type: 'standby.changed'; warm: number }
  | { type: 'gate.opened' }
  | { type: 'gate.closed'; missing: string[] }
  | { type: 'gate.barred'; why: string }
  | { type: 'verdict.restart'; delayMs: number }
  | { type: 'verdict.down' }
  | { type: 'verdict.done' }
  | { type: 'verdict.fail'; why: string }
  | { type: 'verdict.remove' }
  | DependencyNews
  | IncarnationEvent;
