// Hosting: what the actors need from whoever runs them. src/runtime/host.ts is the one that does; nothing here creates an
// actor.
import type { AnyActorLogic, EventFromLogic, InputFrom, OutputFrom } from 'xstate';
import type { Clock } from '../machines/clock.ts';
import type { Address } from '../names.ts';

/** A running actor, as its owner holds it. */
export interface Hosted<L extends AnyActorLogic = AnyActorLogic> {
  readonly address: Address;
  /** Sends an event, after those that are on their way already. Never runs the receiver inside the caller's turn. */
  post(event: EventFromLogic<L>): void;
  /** Ends it now, without a word; for what has nothing left to do. */
  stop(): void;
}

/** How an actor ended. */
export type ActorEnd<TOutput> =
  | { readonly how: 'done'; readonly output: TOutput }
  | { readonly how: 'crashed'; readonly error: unknown }
  | { readonly how: 'stopped' };

export interface HostOptions<L extends AnyActorLogic> {
  readonly address: Address;
  readonly input?: InputFrom<L>;
  /** Called with the actor before it starts, so that its effects find their handles from the first step on. */
  readonly bind?: (actor: object, hosted: Hosted<L>) => void;
  readonly onEnd?: (end: ActorEnd<OutputFrom<L>>) => void;
}

export interface Host {
  readonly clock: Clock;
  readonly log: Log;
  start<L extends AnyActorLogic>(logic: L, options: HostOptions<L>): Hosted<L>;
  /** Runs `task` after the events that are on their way. */
  later(task: () => void): void;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Structured log records; pino's loggers are such. */
export type Log = Record<LogLevel, (facts: object, message: string) => void>;

/**
 * The live handles of actors: sockets, links, users' machines. They never stand in a machine's context, which is plain
 * data; an effect finds them by the actor it runs in.
 */
export class Handles<T> {
  readonly #handles = new WeakMap<object, T>();
  readonly #what: string;

  constructor(what: string) {
    this.#what = what;
  }

  bind(actor: object, handle: T): void {
    this.#handles.set(actor, handle);
  }

  find(actor: object): T | undefined {
    return this.#handles.get(actor);
  }

  of(actor: object): T {
    const handle = this.find(actor);
    if (handle === undefined) throw new Error(`this actor has no ${this.#what}`);
    return handle;
  }
}
