// Io: all that a kind's function has to do with the world. Whatever it waits for here is given up when the kind is stopped.
import type { AnyActorLogic, EventObject, InputFrom } from 'xstate';
import type { Address } from '../../names.ts';
import type { Session } from '../../spec/session.ts';
import type { WaitOptions } from '../../spec/waiting.ts';
import { Group, type SpawnOptions } from './group.ts';
import { type Handle, handleOfChild, type RunHandle } from './handle.ts';
import type { Inbox } from './inbox.ts';
import type { EmittedOf, InputOf, KindTypes, MessagesOf } from './kind-logic.ts';
import type { KindRun } from './kind-run.ts';
import { Promised } from './promised.ts';
import { outcomeOf, Pulled, type Receiver, type Source } from './source.ts';
import { Timer, type Timers } from './timer.ts';

/** What `select` can wait for. What is false or undefined is left out, so that a source can be switched off. */
export type Selectable = Source<unknown> | PromiseLike<unknown> | Receiver<unknown> | false | undefined;

type Yield<S> =
  S extends Source<infer T>
    ? T
    : S extends PromiseLike<infer T>
      ? T
      : S extends { receive(): Promise<infer T> }
        ? T
        : never;

/** Which source it was, and what came from it. */
export type Selected<S extends Record<string, Selectable>> = {
  [K in keyof S & string]: [Yield<S[K]>] extends [never]
    ? never
    : { readonly from: K; readonly value: Yield<S[K]> };
}[keyof S & string];

type SessionOf<T extends KindTypes> = T extends { session: infer S } ? S : Session;

/** Given to a kind's function. */
export interface Io<T extends KindTypes = KindTypes> {
  readonly name: string;
  readonly address: Address;
  readonly input: InputOf<T>;
  readonly inbox: Inbox<MessagesOf<T>>;
  /** The session that it serves, or that of the machine or kind which has started it. @throws {IpcError} ERR_SESSION_CLOSED. */
  readonly session: SessionOf<T>;
  /** Ready once it was told to stop. */
  readonly stopping: Source<void>;
  /** Aborted when it is to give up: for calls that are not of this `io`. */
  readonly signal: AbortSignal;
  /** Timers by name, as one source of the names that fire. */
  readonly timers: Timers;

  /** Puts a message into its own inbox, from a callback that can't wait: `inbox.overflow` decides when it is full. */
  deliver(message: MessagesOf<T>): void;
  /** Milliseconds on a scale that never jumps. */
  now(): number;
  /** From 0 to 1. */
  random(): number;
  /** Says which stage begins; a snapshot tells it. */
  stage(name: string): void;
  /** Waits for so many milliseconds. @throws {IpcError} ERR_STOPPING. */
  sleep(ms: number, options?: WaitOptions): Promise<void>;
  /** Fires once, unless it is cancelled before somebody has taken its tick. */
  timer(ms: number): Timer;
  /** Fires again and again; ticks that nobody takes become one. */
  every(ms: number): Timer;
  /**
   * Waits for the first of several. What did not win loses nothing and stays; of those that are ready, the one that has
   * been passed over longest wins.
   * @throws what ended a source; {IpcError} ERR_TIMEOUT, ERR_STOPPING.
   */
  select<S extends Record<string, Selectable>>(sources: S, options?: WaitOptions): Promise<Selected<S>>;
  /** Waits for one source. */
  next<R>(source: Source<R>, options?: WaitOptions): Promise<R>;
  /** Starts a child: a kind or any other logic. It ends with this kind at the latest. @throws {IpcError} ERR_KIND_BUSY, ERR_KIND_UNHOSTED. */
  spawn<L extends AnyActorLogic>(logic: L, input?: InputFrom<L>, options?: SpawnOptions): Handle<L>;
  /** Children that are waited for together. */
  group(name?: string): Group;
  /** One more handle of a kind that somebody else has spawned; closed at the end of this kind. */
  share<L extends AnyActorLogic>(handle: Handle<L>): Handle<L>;
  /**
   * Gives something out: to all streams of this kind, to the machine that has invoked it, to XState's `on`. Waits for room.
   * @throws {IpcError} ERR_CONSUMER_GONE when all streams are closed, ERR_STOPPING.
   */
  emit(item: EmittedOf<T>): Promise<void>;
  /**
   * An answer that somebody gives once. `by`: who is to give it; if that one ends, the promise is closed.
   * @throws {IpcError} ERR_KIND_BUSY when too many were never answered.
   */
  promise<R>(options?: { by?: { readonly name: string; readonly joined: Source<unknown> } }): Promised<R>;
}

/** The real one. Its functions are its own, so that they can be taken out of it: `async ({ inbox, select }) => ...`. */
export class KindIo {
  readonly #run: KindRun;
  readonly #sources = new WeakMap<object, Source<unknown>>();

  constructor(run: KindRun) {
    this.#run = run;
  }

  get name(): string {
    return this.#run.name;
  }

  get address(): Address {
    return this.#run.address;
  }

  get input(): unknown {
    return this.#run.input;
  }

  get inbox(): Inbox {
    return this.#run.inbox.view() as unknown as Inbox;
  }

  get session(): Session {
    return this.#run.session;
  }

  get stopping(): Source<void> {
    return this.#run.stopping;
  }

  get signal(): AbortSignal {
    return this.#run.signal;
  }

  get timers(): Timers {
    return this.#run.belongings.timers;
  }

  readonly deliver = (message: EventObject): void => {
    this.#run.deliver(message);
  };

  readonly now = (): number => {
    return this.#run.clock.now();
  };

  readonly random = (): number => {
    return this.#run.random();
  };

  readonly stage = (name: string): void => {
    this.#run.stage(name);
  };

  readonly sleep = (ms: number, options?: WaitOptions): Promise<void> => {
    const timer = new Timer(this.#run.clock, `sleep ${ms} ms`, ms);
    const slept = this.#run.waits.one(timer.name, timer, options);
    const cancel = () => void timer.cancel();
    slept.then(cancel, cancel);
    return slept;
  };

  readonly timer = (ms: number): Timer => {
    return this.#run.belongings.keep(new Timer(this.#run.clock, `timer ${ms} ms`, ms));
  };

  readonly every = (ms: number): Timer => {
    return this.#run.belongings.keep(new Timer(this.#run.clock, `every ${ms} ms`, ms, true));
  };

  readonly select = (sources: Record<string, Selectable>, options?: WaitOptions): Promise<unknown> => {
    const names = Object.keys(sources).filter((name) => sources[name]);
    if (names.length === 0) return Promise.reject(new TypeError('select: there is nothing to wait for'));
    const list = names.map((name) =>
      this.#sourceOf(name, sources[name] as Exclude<Selectable, false | undefined>),
    );
    const select = () => this.#run.waits.any(`select ${names.join('|')}`, list, names, options);
    // A turn of the event loop now and then: two kinds that always have something for each other would stop all timers.
    const turn = this.#run.inbox.breath();
    return turn ? turn.then(select) : select();
  };

  readonly next = <T>(source: Source<T>, options?: WaitOptions): Promise<T> => {
    return this.#run.waits.one(source.name, source, options);
  };

  readonly spawn = (logic: AnyActorLogic, input?: unknown, options: SpawnOptions = {}): RunHandle => {
    const child = this.#run.spawn(logic, input, options.name);
    return handleOfChild(this.#run, child, this.#run.waits);
  };

  readonly group = (name = 'group'): Group => {
    return new Group(this.#run, name);
  };

  readonly share = (handle: Handle): RunHandle => {
    const shared = (handle as unknown as RunHandle).shareFor(this.#run.waits);
    shared.onClosed = this.#run.belongings.closeAtEnd(() => shared.close());
    return shared;
  };

  readonly emit = (item: { type: string }): Promise<void> => {
    return this.#run.emit(item);
  };

  readonly promise = <T>({
    by,
  }: {
    by?: { readonly name: string; readonly joined: Source<unknown> };
  } = {}): Promised<T> => {
    const promised = new Promised<T>(this.#run.waits);
    const forget = this.#run.belongings.closeAtEnd((why) => promised.close(why));
    promised.arm(forget);
    if (by) {
      const ended = () => promised.close(`${by.name} has ended without an answer`);
      const { joined } = by;
      if (joined.ready()) ended();
      else promised.arm(joined.arm(ended));
    }
    return promised;
  };

  #sourceOf(
    name: string,
    given: Source<unknown> | PromiseLike<unknown> | Receiver<unknown>,
  ): Source<unknown> {
    // By its shape: a handle may come from another copy of this package, as when the command is installed globally.
    if ('arm' in given && 'take' in given) return given;
    let source = this.#sources.get(given);
    if (!source) {
      source = sourceOf(name, given);
      this.#sources.set(given, source);
    }
    return source;
  }
}

function sourceOf(name: string, given: PromiseLike<unknown> | Receiver<unknown>): Source<unknown> {
  if ('then' in given) return outcomeOf(name, given);
  if (typeof given.receive === 'function') return new Pulled(name, () => given.receive());
  throw new TypeError(`select: ${name} is nothing that can be waited for`);
}
