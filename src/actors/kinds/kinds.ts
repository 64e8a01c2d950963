// Session kinds: actor logic that runs sequential code. The public API of the entry `actor-ipc/kinds`.
import type { EventObject } from 'xstate';
import { IpcError } from '../../errors.ts';
import type { Side } from '../../spec/peer.ts';
import type { Session } from '../../spec/session.ts';
import type { SessionEvent, SessionInput } from '../../spec/session-event.ts';
import type { AppSpec } from '../../spec/universe.ts';
import type { WithSession } from '../session-setup.ts';
import {
  type PendingRequest,
  type PendingSubscription,
  requestFailed,
  type ServiceMessage,
} from './handle.ts';
import { type Io, KindIo } from './io.ts';
import {
  type EmittedOf,
  type InputOf,
  type KindLogic,
  type KindTypes,
  kindLogic,
  type MessagesOf,
  type Served,
} from './kind-logic.ts';
import type { KindOptions } from './kind-options.ts';
import type { KindRun } from './kind-run.ts';
import type { KindName } from './kind-snapshot.ts';
import { Outcome, outcomeOf } from './source.ts';

export { type Group, heldBackMs, type Spawner, type SpawnOptions } from './group.ts';
export { type Handle, handleOf, type ReplyEvent, type Sender, type ServiceMessage } from './handle.ts';
export type { Inbox, InboxOptions, InboxOverflow, InboxStats, InboxView } from './inbox.ts';
export type { Io, Selectable, Selected } from './io.ts';
export type { KindEvent, KindLogic, KindTypes } from './kind-logic.ts';
export type { KindOptions } from './kind-options.ts';
export type { KindSnapshot, KindView } from './kind-snapshot.ts';
export type { Promised, Resolver } from './promised.ts';
export { type Receiver, Source } from './source.ts';
export type { Stream, StreamOptions } from './stream.ts';
export type { Timer, Timers } from './timer.ts';

/** The types of an app session: `collector(async (io: Io<InSession<typeof market.gateway, 'server'>>) => ...)`. */
export interface InSession<A extends AppSpec, S extends Side> {
  messages: SessionEvent<A, S>;
  input: SessionInput;
  session: Session<A, S>;
}

/** The types of a kind that the machine of a session invokes: the session comes in its input. */
export interface InvokedInSession<A extends AppSpec, S extends Side> {
  input: WithSession<A, S>;
  session: Session<A, S>;
}

/** Takes many messages and makes one result of them; ends by itself. */
export function collector<T extends KindTypes, Result>(
  run: (io: Io<T>) => Promise<Result>,
  options: KindOptions = {},
): KindLogic<MessagesOf<T>, InputOf<T>, Result, EmittedOf<T>> {
  return sequential('collector', run as never, options) as never;
}

/** Takes one input and emits many things; ends when it is stopped, or when nobody reads it any more. */
export function listener<T extends KindTypes>(
  run: (io: Io<T>) => Promise<void>,
  options: KindOptions = {},
): KindLogic<MessagesOf<T>, InputOf<T>, void, EmittedOf<T>> {
  return sequential('listener', run as never, options) as never;
}

/**
 * Takes messages until it is stopped or its input is closed. It then takes no new ones, finishes what is in flight, its
 * children among it, and ends with what its function returns: metrics, for example. Undefined if it lets the end of its
 * inbox pass.
 */
export function server<T extends KindTypes, Metrics = void>(
  run: (io: Io<T>) => Promise<Metrics>,
  options: KindOptions = {},
): KindLogic<MessagesOf<T>, InputOf<T>, Metrics | undefined, EmittedOf<T>> {
  return sequential('server', run as never, options) as never;
}

/** What a service gets besides the request. */
export type ServiceIo<T extends KindTypes & { state?: unknown } = KindTypes> = Omit<Io<T>, 'inbox'> & {
  /** What `options.state` has made when the service began. */
  readonly state: T extends { state: infer S } ? S : undefined;
};

/** Options of `service`, beside those of every kind. */
export interface ServiceOptions<Request, Item, Input, State> extends KindOptions {
  /** Requests that are answered at once; default 1: in sequence, so that nothing comes between two lines. */
  concurrency?: number;
  /** What the service keeps for as long as it runs. */
  state?: (input: Input) => State;
  /** Answers `subscribe` with all that it yields. It is returned when the subscriber closes its stream. */
  stream?: (request: Request, io: ServiceIo<{ state: State; input: Input }>) => AsyncIterable<Item>;
}

/** The result of a service. */
export interface ServiceMetrics {
  readonly answered: number;
  /** Requests whose handler threw; the one who asked was told. */
  readonly failed: number;
  /** Requests whose asker had given up before their turn. */
  readonly cancelled: number;
  readonly subscriptions: number;
  /** What was no request. */
  readonly ignored: number;
}

type StateOf<T> = T extends { state: infer S } ? S : undefined;

/** Gives one reply for each request; ends when its input is closed and all are answered. */
export function service<Request, Reply, T extends KindTypes & { state?: unknown }, Item = never>(
  answer: (request: Request, io: ServiceIo<T>) => Reply | Promise<Reply>,
  options: ServiceOptions<Request, Item, InputOf<T>, StateOf<T>> = {},
): KindLogic<
  ServiceMessage<Request>,
  InputOf<T>,
  ServiceMetrics,
  EmittedOf<T>,
  Served<Request, Awaited<Reply>, Item>
> {
  const begin = (run: KindRun) => new ServiceRun(run, answer as never, options as never).serve();
  return kindLogic({
    kind: 'service',
    name: nameOf(options, answer, 'service'),
    options,
    begin,
  }) as never;
}

function sequential(kind: KindName, run: (io: KindIo) => Promise<unknown>, options: KindOptions) {
  const begin = (of: KindRun) => run(new KindIo(of));
  return kindLogic({ kind, name: nameOf(options, run, kind), options, begin });
}

function nameOf({ name }: KindOptions, run: { readonly name: string }, kind: KindName): string {
  return name ?? (run.name || kind);
}

type AnyServiceOptions = ServiceOptions<unknown, unknown, unknown, unknown>;
type Answer = (request: unknown, io: KindIo & { state: unknown }) => unknown;
type FromMachine = Extract<ServiceMessage<unknown>, { type: 'request' }>;

/** The loop of a service: takes requests in order, so many at once as it may. */
class ServiceRun {
  readonly #run: KindRun;
  readonly #answer: Answer;
  readonly #options: AnyServiceOptions;
  readonly #io: KindIo & { state: unknown };
  readonly #active = new Set<Promise<void>>();
  readonly #streams = new Set<Promise<void>>();
  readonly #metrics = { answered: 0, failed: 0, cancelled: 0, subscriptions: 0, ignored: 0 };

  constructor(run: KindRun, answer: Answer, options: AnyServiceOptions) {
    this.#run = run;
    this.#answer = answer;
    this.#options = options;
    this.#io = Object.assign(new KindIo(run), { state: options.state?.(run.input) });
  }

  async serve(): Promise<ServiceMetrics> {
    const { concurrency = 1 } = this.#options;
    for await (const message of this.#run.inbox.view()) {
      this.#take(message);
      if (this.#active.size >= concurrency) await Promise.race(this.#active);
    }
    await Promise.all(this.#active);
    await Promise.all(this.#streams);
    return { ...this.#metrics };
  }

  #take(message: EventObject): void {
    if (message.type === 'request') track(this.#active, this.#reply(message as PendingRequest | FromMachine));
    else if (message.type === 'subscribe' && 'stream' in message && this.#options.stream)
      track(this.#streams, this.#feed(message as PendingSubscription));
    else {
      this.#metrics.ignored++;
      const { refuse } = message as Partial<PendingSubscription>;
      refuse?.(requestFailed(this.#run.address, 'it answers with no stream'));
    }
  }

  async #reply(message: PendingRequest | FromMachine): Promise<void> {
    if ('cancelled' in message && message.cancelled) {
      this.#metrics.cancelled++;
      return;
    }
    const refuse = (error: IpcError) => {
      if ('refuse' in message) message.refuse(error);
      else message.replyTo?.send({ type: 'reply.failed', id: message.id, error });
    };
    const forget = this.#run.belongings.closeAtEnd((why) =>
      refuse(IpcError.of('ERR_KIND_ENDED', this.#run.address, why)),
    );
    try {
      const reply = await this.#answer(message.request, this.#io);
      this.#metrics.answered++;
      if (this.#run.ended) return;
      if ('answer' in message) message.answer(reply);
      else message.replyTo?.send({ type: 'reply', id: message.id, reply });
    } catch (thrown) {
      this.#metrics.failed++;
      if (!this.#run.ended) refuse(requestFailed(this.#run.address, thrown));
    } finally {
      forget();
    }
  }

  /** Gives what the generator yields until it ends, the subscriber has gone, or the service is stopped. */
  async #feed({ stream, request }: PendingSubscription): Promise<void> {
    this.#metrics.subscriptions++;
    const { waits, stopping, address } = this.#run;
    const over = new Outcome<undefined>('end of a subscription');
    const disarm = stopping.arm(() => over.resolve(undefined));
    stream.onClosed = () => over.resolve(undefined);
    if (stopping.settled || stream.closed) over.resolve(undefined);
    const items = this.#options.stream!(request, this.#io as never)[Symbol.asyncIterator]();
    try {
      while (!over.settled) {
        const item = outcomeOf('item', items.next());
        const { value: next } = await waits.any<IteratorResult<unknown> | undefined>(
          'item',
          [over, item],
          ['over', 'item'],
        );
        if (!next || next.done) break;
        const room = stream.put(next.value, waits);
        if (room) await waits.any<void>(stream.name, [over, outcomeOf('room', room)], ['over', 'room']);
      }
      stream.finish(IpcError.of('ERR_KIND_ENDED', address, 'the answer is complete'), true);
    } catch (error) {
      this.#metrics.failed++;
      stream.finish(requestFailed(address, error), false);
    } finally {
      disarm();
      // A generator that waits for something of its own hears of it when that has come; nobody waits for it.
      Promise.resolve(items.return?.()).catch(() => {});
    }
  }
}

function track(set: Set<Promise<void>>, task: Promise<void>): void {
  const tracked = task.finally(() => set.delete(tracked));
  set.add(tracked);
}
