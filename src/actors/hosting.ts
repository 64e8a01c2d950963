// Hosting: what the actors need from whoever runs them. src/runtime/host.ts is the one that does; nothing here creates an
// actor.
import type { AnyActorLogic, EventFromLogic, InputFrom, OutputFrom } from 'xstate';
import type { Clock } from '../machines/clock.ts';
import { type Address, addressOf } from '../names.ts';

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
  bind?(actor: object, hosted: Hosted<L>): void;
  onEnd?(end: ActorEnd<OutputFrom<L>>): void;
}

export interface Host {
  readonly clock: Clock;
  readonly log: Log;
  /** A number from 0 to 1, for jitter and the like. */
  readonly random: () => number;
  start<L extends AnyActorLogic>(logic: L, options: HostOptions<L>): Hosted<L>;
  /** Runs `task` after the events that are on their way. */
  later(task: () => void): void;
  /** Lets those who look on see a session. @returns how to end that. */
  showSession(session: OpenSession): () => void;
  /** Lets those who look on see what this process uses. @returns how to end that. */
  showResources(gauge: Gauge): () => void;
}

/** A session as those see it who look on. */
export interface OpenSession {
  /** The user's machine. */
  readonly machine: Address;
  /** The same at both ends, and of no other session; tells nothing about its token. */
  readonly link: string;
  readonly peer: { readonly app: string; readonly pid: number };
  channels(): Iterable<ShownChannel>;
}

export interface ShownChannel {
  readonly name: string;
  stats(): { readonly sent: number; readonly received: number; readonly dropped: number };
  /** Messages of ours that the peer has not taken. */
  unread(): number;
  /** Bytes of the peer that we have taken, as a word that wraps, and those that we have not; null: it has ended. */
  progress(): { readonly taken: number; readonly unreadBytes: number } | null;
}

/** Figures of what this process shares with others. */
export interface ResourceFigures {
  readonly kind: 'pipe' | 'cache' | 'arena' | 'region';
  readonly name: string;
  /** The region in which it stands. */
  readonly region: string | null;
  /** Processes that use it. */
  readonly pids: readonly number[];
  readonly counts: 'packets' | 'entries' | 'bytes';
  /** How much of `counts` is in it, of how much there can be; null: not known here. */
  readonly depth: number | null;
  readonly capacity: number | null;
  /** What found no room or was evicted; null: not counted. */
  readonly drops: number | null;
  readonly facts: Readonly<Record<string, number | string>>;
}

/** Asked once a second while somebody watches; one that fails is left out. */
export type Gauge = () => readonly ResourceFigures[] | Promise<readonly ResourceFigures[]>;

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

/**
 * Handles that all copies of this package in a process share: the one that runs an actor need not be the one that the
 * program's files import, as when the command is installed globally.
 */
export function sharedHandles<T>(what: string): Handles<T> {
  const key = Symbol.for(`actor-ipc.handles.${what}`);
  const shared = globalThis as { [key]?: Handles<T> };
  shared[key] ??= new Handles(what);
  return shared[key];
}

/** Who runs an actor, and as what. */
export interface Residence {
  readonly host: Host;
  readonly address: Address;
}

/**
 * On the actor itself, under a key that all copies of this package share: a weak map of a hundred thousand actors costs the
 * garbage collector more than it takes to create them.
 */
const residenceKey = Symbol.for('actor-ipc.host');

/** Told by the host of each actor that it runs. */
export function settleActor(actor: object, residence: Residence): void {
  (actor as ActorInSystem)[residenceKey] = residence;
}

/** Who runs that actor, or the machine that has invoked it; undefined for what XState runs alone. */
export function residenceOf(actor: object): Residence | undefined {
  let path = '';
  for (let at: ActorInSystem | undefined = actor; at; at = at._parent) {
    const found: Residence | undefined = at[residenceKey];
    if (found) return { host: found.host, address: addressOf(found.address + path) };
    path = `/${at.id ?? '?'}${path}`;
  }
  return undefined;
}

interface ActorInSystem {
  readonly id?: string;
  readonly _parent?: ActorInSystem;
  [residenceKey]?: Residence;
}
