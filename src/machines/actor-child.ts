// Actor child: one child of a supervisor of actors, for as long as that knows it. Kept small: there can be a hundred thousand
// of them under one supervisor, each beside an actor of a few kilobytes.
import type { ActorPolicy } from '../spec/child.ts';
import type { SupervisorOutput } from './exit.ts';

/** `down`: known, and nothing of it runs. In OTP's words: `starting`, `up` and `stopping` have a pid. */
export type ActorPhase = 'down' | 'starting' | 'up' | 'restarting' | 'stopping' | 'removed';

/** What one start made. */
export interface Run {
  /** Requests its end. @returns false if it takes no requests: then it may be killed at once and has ended as asked. */
  ask(): boolean;
  /** Ends it, without a word to it; a supervisor: kills what is below it. */
  kill(): void;
  send(event: { type: string }): void;
  snapshot(): unknown;
}

/** How a start went. `starting`: what becomes of it is told later. */
export type Start =
  | { readonly how: 'up' | 'starting'; readonly run: Run; readonly info?: unknown }
  | { readonly how: 'ignored' }
  | { readonly how: 'failed'; readonly why: string };

/** How a run ended. */
export type End =
  | { readonly how: 'done'; readonly output: unknown }
  | { readonly how: 'crashed'; readonly why: string }
  | { readonly how: 'stopped' }
  | { readonly how: 'gave-up'; readonly output: SupervisorOutput };

export class ActorChild<S extends ActorPolicy = ActorPolicy> {
  /** Its name, or its number under a dynamic supervisor. */
  readonly key: string | number;
  readonly spec: S;
  /** What it is started with in place of the input of its spec; a temporary child is started once and keeps none. */
  input: unknown;
  phase: ActorPhase = 'down';
  /** Raised at each start. */
  epoch = 0;
  run: Run | null = null;
  sinceMs = 0;
  /** Restarts in a row without a stable time between them. */
  attempt = 0;
  killed: 'asked' | 'late' | null = null;
  timer: unknown = undefined;
  /** Who asked for its start and has no answer yet. */
  starter: ((start: Start) => void) | null = null;
  /** Who waits for it to be down. */
  waiters: (() => void)[] | null = null;
  /** What its owner gives to others. */
  ref: unknown = null;

  constructor(key: string | number, spec: S, input: unknown) {
    this.key = key;
    this.spec = spec;
    this.input = input;
  }

  /** Its name; null under a dynamic supervisor. */
  get id(): string | null {
    return typeof this.key === 'string' ? this.key : null;
  }

  /** Whether anything of it runs. */
  get lives(): boolean {
    return this.run !== null;
  }
}
