// Incarnation: one run of what a unit manages, as the unit machine sees it: what it reports and what can be asked of it.
import type { RunEnd } from './exit.ts';

/** What the incarnation of an epoch reports. */
export type IncarnationEvent =
  | { type: 'incarnation.spawned'; epoch: number; pid: number | null; atMs: number }
  | { type: 'incarnation.ready'; epoch: number; atMs: number }
  | { type: 'incarnation.reported'; epoch: number; state: string }
  /** It could not be started, or says that it can't do its work; `permanent` if trying again is of no use. */
  | { type: 'incarnation.refused'; epoch: number; why: string; permanent: boolean }
  | ({ type: 'incarnation.exited'; epoch: number; atMs: number } & RunEnd)
  /** It runs, but its probe says that it does not live. */
  | { type: 'incarnation.unhealthy'; epoch: number; why: string }
  /** Another process, of the epoch `next`, does its work now; the former one is on its way out. */
  | { type: 'incarnation.replaced'; epoch: number; next: number; pid: number; atMs: number }
  /** The one that should have replaced it did not become ready. */
  | { type: 'incarnation.unreplaced'; epoch: number; why: string }
  /** Nothing that it started is left. */
  | { type: 'incarnation.emptied'; epoch: number; atMs: number };

/** What is asked of an incarnation. */
export type IncarnationOrder =
  | { type: 'ask' }
  | { type: 'terminate' }
  | { type: 'kill' }
  | { type: 'signal'; number: number }
  /** Start another process beside this one; once that is ready, this one ends. */
  | { type: 'replace' }
  /** End the one that is not ready in time. */
  | { type: 'unreplace' }
  | DependencyNews;

/** A unit that this one holds on to has left its state, or is back in it. */
export interface DependencyNews {
  readonly type: 'dependency.lost' | 'dependency.back';
  readonly dependency: string;
  readonly state: string;
}

/** A process that runs already, as what it can never be mistaken for another. */
export interface Identity {
  readonly pid: number;
  /** Clock ticks after boot. */
  readonly startTicks: number;
}

/** What an incarnation begins with. */
export interface IncarnationInput {
  readonly path: string;
  readonly epoch: number;
  /** The process to take over, instead of a new one. */
  readonly adopt: Identity | null;
}
