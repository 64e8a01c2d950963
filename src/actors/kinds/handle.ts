// Handle: a running kind as others hold it. Messages go from here straight into its inbox, past XState.
import type { ActorRef, AnyActorLogic, AnyActorRef, EventObject } from 'xstate';
import { IpcError, messageOf } from '../../errors.ts';
import type { Clock } from '../../machines/clock.ts';
import type { Address } from '../../names.ts';
import type { WaitOptions } from '../../spec/waiting.ts';
import type { Hosted } from '../hosting.ts';
import type { Child } from './children.ts';
import type { EmissionOf, ItemOf, MessageOf, ReplyOf, RequestOf, ResultOf } from './kind-logic.ts';
import { KindRun } from './kind-run.ts';
import { Outcome, type Source } from './source.ts';
import { Stream, type StreamOptions } from './stream.ts';
import { Waits } from './waits.ts';

/** Whatever messages can be sent to: a handle, or a channel of a session. */
export interface Sender<in M> {
  /** Sends now or not at all. @returns false if there is no room; nothing is queued. */
  trySend(message: M): boolean;
  /** Sends as soon as there is room. */
  send(message: M, options?: WaitOptions): Promise<void>;
}

/** A running kind, or another actor, as the one holds it who has spawned it. Closing the last handle closes its input. */
export interface Handle<L extends AnyActorLogic = AnyActorLogic> extends Sender<MessageOf<L>> {
  readonly name: string;
  readonly address: Address;
  readonly ended: boolean;
  /** Its end, as something to wait for among others. */
  readonly joined: Source<ResultOf<L>>;
  /** @throws {IpcError} ERR_KIND_ENDED, and ERR_STOPPING once it is stopping. */
  trySend(message: MessageOf<L>): boolean;
  /** @throws {IpcError} those of trySend, ERR_TIMEOUT, ERR_KIND_BUSY when too many wait already. */
  send(message: MessageOf<L>, options?: WaitOptions): Promise<void>;
  /** Its result. @throws {IpcError} ERR_KIND_FAILED with its error as the cause, ERR_KIND_ENDED if it was stopped. */
  join(options?: WaitOptions): Promise<ResultOf<L>>;
  /** What it emits from now on; nothing is missed by who asks in the turn in which it was spawned. */
  stream(options?: StreamOptions): Stream<EmissionOf<L>>;
  /** Asks a service. @throws {IpcError} ERR_REQUEST_FAILED with what it threw, ERR_KIND_ENDED, ERR_STOPPING, ERR_TIMEOUT. */
  request(request: RequestOf<L>, options?: WaitOptions): Promise<ReplyOf<L>>;
  /** Asks a service that answers with a stream; closing the stream tells it. */
  subscribe(request: RequestOf<L>, options?: StreamOptions): Stream<ItemOf<L>>;
  /** One more handle, for somebody else; its waits belong to nobody. Within a kind rather use `io.share(handle)`. */
  share(): Handle<L>;
  /** Asks it to stop: a server or service finishes what is in flight first; a collector just ends. */
  stop(): void;
  /** Sends nothing more by this handle. */
  close(): void;
  /** As `close`. */
  [Symbol.dispose](): void;
}

/** What a service finds in its inbox. A machine sends `request` with `replyTo`, and gets `reply` or `reply.failed`. */
export type ServiceMessage<Q> =
  | {
      type: 'request';
      request: Q;
      /** Comes back with the reply. */
      id?: unknown;
      /** Who gets the reply. */
      replyTo?: {
        /** Called once. */
        send(event: ReplyEvent): void;
      };
    }
  | { type: 'subscribe'; request: Q };

/** What comes to a machine that has asked a service by an event. */
export type ReplyEvent<R = unknown> =
  | { type: 'reply'; id: unknown; reply: R }
  | { type: 'reply.failed'; id: unknown; error: IpcError };

/** A request of a handle: answered once. */
export interface PendingRequest {
  readonly type: 'request';
  readonly request: unknown;
  readonly answer: (value: unknown) => void;
  readonly refuse: (error: IpcError) => void;
  /** The one who asked waits no more. */
  cancelled: boolean;
}

export interface PendingSubscription {
  readonly type: 'subscribe';
  readonly request: unknown;
  readonly stream: Stream<unknown>;
  readonly refuse: (error: IpcError) => void;
}

/** Who is held: a kind, or what else a kind has spawned. */
interface Held {
  readonly name: string;
  readonly address: Address;
  readonly run: KindRun | undefined;
  readonly outcome: Outcome<unknown>;
  post(event: EventObject): void;
  halt(): void;
  /** Somebody wants to know how it ends. */
  claimed(): void;
}

export class RunHandle {
  readonly #held: Held;
  readonly #waits: Waits;
  /** Whether its input stays open for this handle. */
  readonly #counted: boolean;
  #closed = false;
  /** Called once, when it is closed. */
  onClosed: (() => void) | undefined;

  constructor(held: Held, waits: Waits, counted: boolean) {
    this.#held = held;
    this.#waits = waits;
    this.#counted = counted;
    if (counted) held.run?.retain();
  }

  get name(): string {
    return this.#held.name;
  }

  get address(): Address {
    return this.#held.address;
  }

  get ended(): boolean {
    return this.#held.outcome.settled;
  }

  get joined(): Source<unknown> {
    this.#held.claimed();
    return this.#held.outcome;
  }

  trySend(message: EventObject): boolean {
    this.#refuseIfClosed();
    const { run } = this.#held;
    if (run) return run.inbox.tryPut(message);
    if (this.ended) throw IpcError.of('ERR_KIND_ENDED', this.address, 'it takes nothing more');
    this.#held.post(message);
    return true;
  }

  async send(message: EventObject, options?: WaitOptions): Promise<void> {
    this.#refuseIfClosed();
    const { run } = this.#held;
    if (run) return run.inbox.put(message, this.#waits, options);
    this.trySend(message);
  }

  join(options?: WaitOptions): Promise<unknown> {
    return this.#waits.one(`join ${this.name}`, this.joined, options);
  }

  stream(options?: StreamOptions): Stream<unknown> {
    const stream = new Stream<unknown>(`stream of ${this.name}`, this.#waits, options);
    this.#kind('emits').output.add(stream);
    return stream;
  }

  async request(request: unknown, options: WaitOptions = {}): Promise<unknown> {
    this.#refuseIfClosed();
    const reply = new Outcome<unknown>(`reply of ${this.name}`);
    const message: PendingRequest = {
      type: 'request',
      request,
      answer: (value) => reply.resolve(value),
      refuse: (error) => reply.reject(error),
      cancelled: false,
    };
    const { inbox } = this.#service();
    const { clock } = this.#waits;
    const untilMs = options.timeoutMs === undefined ? undefined : clock.now() + options.timeoutMs;
    try {
      if (!inbox.tryPut(message)) await inbox.put(message, this.#waits, options);
      const left =
        untilMs === undefined ? options : { ...options, timeoutMs: Math.max(0, untilMs - clock.now()) };
      return await this.#waits.one(reply.name, reply, left);
    } catch (error) {
      message.cancelled = true;
      throw error;
    }
  }

  subscribe(request: unknown, options?: StreamOptions): Stream<unknown> {
    this.#refuseIfClosed();
    const stream = new Stream<unknown>(`answers of ${this.name}`, this.#waits, options);
    const refuse = (error: unknown) => stream.finish(error, false);
    const message: PendingSubscription = { type: 'subscribe', request, stream, refuse };
    this.#service().inbox.put(message, this.#waits).catch(refuse);
    return stream;
  }

  share(): RunHandle {
    return this.shareFor(new Waits(this.name, this.#waits.clock));
  }

  /** One more handle, whose waits end with those given. */
  shareFor(waits: Waits): RunHandle {
    this.#refuseIfClosed();
    return new RunHandle(this.#held, waits, true);
  }

  stop(): void {
    const { run } = this.#held;
    if (run && run.spec.kind !== 'collector') this.#held.post({ type: 'stop' });
    else this.#held.halt();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#counted) this.#held.run?.release();
    this.onClosed?.();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #refuseIfClosed(): void {
    if (this.#closed) throw IpcError.of('ERR_KIND_ENDED', this.address, 'this handle was closed');
  }

  #kind(does: string): KindRun {
    const { run } = this.#held;
    if (!run) throw new TypeError(`${this.name} is no session kind, so nobody knows what it ${does}`);
    return run;
  }

  #service(): KindRun {
    const run = this.#kind('answers');
    if (run.spec.kind !== 'service')
      throw new TypeError(`${this.name} is no service, but a ${run.spec.kind}`);
    return run;
  }
}

/** The first handle of a child. */
export function handleOfChild(parent: KindRun, child: Child<KindRun>, waits: Waits): RunHandle {
  const held: Held = {
    name: child.name,
    address: child.address,
    run: child.run,
    outcome: child.outcome,
    post: (event) => child.hosted.post(event as never),
    halt: () => child.hosted.stop(),
    claimed: () => parent.join(child),
  };
  return new RunHandle(held, waits, true);
}

/** The first handle of an actor that a runtime has started. `outcome` is its end, if it is no kind. */
export function handleOfRoot<L extends AnyActorLogic>(
  actor: object,
  hosted: Hosted<L>,
  clock: Clock,
  outcome: Outcome<unknown>,
): Handle<L> {
  const run = KindRun.find(actor);
  const name = run?.name ?? hosted.address;
  const held: Held = {
    name,
    address: hosted.address,
    run,
    outcome: run?.outcome ?? outcome,
    post: (event) => hosted.post(event as never),
    halt: () => hosted.stop(),
    claimed: () => {},
  };
  return new RunHandle(held, new Waits(name, clock), true) as unknown as Handle<L>;
}

/**
 * A handle of a kind that a machine has invoked or spawned. It keeps nobody's input open: the machine says when it is over.
 * @throws {IpcError} ERR_KIND_UNHOSTED if the actor runs no session kind.
 */
export function handleOf<L extends AnyActorLogic = AnyActorLogic>(
  actor: AnyActorRef | ActorRef<never, never>,
): Handle<L> {
  const run = KindRun.find(actor);
  if (!run) throw IpcError.of('ERR_KIND_UNHOSTED', 'handleOf() of what is no session kind');
  const ref = actor as AnyActorRef;
  const held: Held = {
    name: run.name,
    address: run.address,
    run,
    outcome: run.outcome,
    post: (event) => ref.send(event),
    halt: () => run.stop(),
    claimed: () => {},
  };
  return new RunHandle(held, new Waits(run.name, run.clock), false) as unknown as Handle<L>;
}

/** What an asker is told of a service's own failure. */
export function requestFailed(service: string, error: unknown): IpcError {
  return IpcError.from(error, 'ERR_REQUEST_FAILED', service, messageOf(error));
}
