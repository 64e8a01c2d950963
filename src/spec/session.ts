// What a session and its channels look like to those who use them, with the types that flow from a universe.
import type { IpcError } from '../errors.ts';
import type { Arena, Borrowed, Handle, InPlaceCodec, Loan, SharedValue } from './memory.ts';
import type { Descriptor, HandleOptions, NativeHandle, Received } from './native-handle.ts';
import type { AppSpec, BroadcastSpec, ChannelSpec, ChannelTypes, OnDemandSpec } from './universe.ts';
import type { WaitOptions } from './waiting.ts';

export type { WaitOptions } from './waiting.ts';

/** Which side of a session a program is on. Once the session is open, both can do the same. */
export type Side = 'server' | 'client';

type Carried<C> = C extends ChannelSpec<infer T extends ChannelTypes> ? T : never;
type Up<T> = T extends { up: infer M } ? M : never;
type Down<T> = T extends { down: infer M } ? M : never;
type RequestsOf<T> = T extends { requests: infer R extends Record<string, readonly [unknown, unknown]> }
  ? R
  : Record<never, never>;

export interface BorrowOptions {
  /** Lends the message's memory instead of copying it; for channels whose codec is `bytes`. */
  borrow: true;
}

/** Counters of one end of a channel. All count messages, requests and replies alike. */
export interface ChannelStats {
  readonly sent: number;
  readonly received: number;
  /** Messages dropped by the overflow policy. */
  readonly dropped: number;
  /** How often the ring had no room. */
  readonly full: number;
  /** Bytes in our ring that the peer has not taken. */
  readonly unreadBytes: number;
  /** Loans in hand or with the peer, messages in the arena that it has not given back among them. */
  readonly loans: number;
  /** Borrows in hand. */
  readonly borrows: number;
  /** Requests of ours without an answer; requests of the peer that we owe one. */
  readonly asked: number;
  readonly owed: number;
  /** Messages, requests and replies that failed their schema here. */
  readonly rejected: number;
  /** Messages that nobody took and that were dropped by the policy `unexpected`. */
  readonly unexpected: number;
  /** Requests of the peer that nobody here answered within `unexpectedTimeoutMs`, or that were one too many. */
  readonly unhandled: number;
  /** Requests of the peer whose deadline had passed before anybody here saw them. */
  readonly expired: number;
  /** Replies that came after their request was given up, and replies to what was never asked; both were dropped. */
  readonly lateReplies: number;
  readonly unknownReplies: number;
  /** Replies of ours that the peer dropped for either reason. */
  readonly refusedReplies: number;
}

/** Something that came and was not used. Nothing is lost but itself. */
export type Stray =
  /** A reply after its request was given up, or to a request that there never was. */
  | { readonly type: 'reply.late' | 'reply.unknown'; readonly requestId: number }
  /** The peer had no use for a reply of ours. */
  | { readonly type: 'reply.refused'; readonly requestId: number; readonly reason: 'late' | 'unknown' }
  /** A message that failed its schema; with the name of its request, if it belongs to one. */
  | { readonly type: 'message.rejected'; readonly request: string | undefined; readonly error: IpcError }
  /** A message that nobody took in time, by the policy `unexpected: 'drop-newest'`. */
  | { readonly type: 'message.unexpected' }
  /** A request that nobody here answered. */
  | { readonly type: 'request.unhandled'; readonly request: string };

export interface SendOptions {
  /** Travels with the message; ours stays open and is ours to close. */
  handle?: NativeHandle;
}

export interface RequestOptions extends WaitOptions, SendOptions {}

export interface ConversationOptions extends RequestOptions {
  /** How long to wait for each value of the peer. Default: 30,000. */
  timeoutMs?: number;
  /** The whole may take so long; the peer knows it. Default: no limit. */
  deadlineMs?: number;
  /** Values of the peer that may wait here unread, 1 to 1,024; it stops there. Default: 16. */
  ahead?: number;
}

/** What a handler knows of the request that it answers. */
export interface RequestContext {
  readonly name: string;
  /** The same that the event of a machine has. */
  readonly requestId: number;
  /** Aborts when the asker gives up, when its deadline passes, and when the session ends. */
  readonly signal: AbortSignal;
  /** Until the asker gives up; Infinity if it never does. */
  readonly remainingMs: number;
  /** What came with the request. Closed when the request is over, unless it was taken. */
  readonly handle: Descriptor | undefined;
  readonly peer: Peer;
}

/** The replies to one request. Leaving the loop tells the peer to stop. */
export interface Replies<M> extends AsyncIterableIterator<M, undefined>, AsyncDisposable {
  /** Ends it early. */
  cancel(): void;
}

/**
 * A conversation that began with a request: each side sends when it likes, in order; who is slow to receive slows the other
 * side down.
 */
export interface Dialog<Out = unknown, In = unknown> extends Disposable {
  readonly name: string;
  /** Whether we may send. */
  readonly open: boolean;
  /**
   * Sends as soon as the peer has room for it.
   * @throws {IpcError} ERR_DIALOG_CLOSED, ERR_TIMEOUT, ERR_CHANNEL_BUSY, those of a channel's send.
   */
  send(value: Out, options?: WaitOptions): Promise<void>;
  /** The peer's next value; 30 s unless `timeoutMs` says otherwise. @throws {IpcError} ERR_DIALOG_CLOSED, ERR_REQUEST_FAILED. */
  receive(options?: WaitOptions): Promise<In>;
  /** Sends, then receives. */
  ask(value: Out, options?: WaitOptions): Promise<In>;
  /** Nothing more comes from us. At the side that was asked it ends the dialog. What was sent still arrives. */
  close(): void;
  /** Ends it at once on both sides; values on their way are dropped. Leaving a block with `using` does that. */
  cancel(): void;
  /** Ends when the peer has closed, throws what it failed with. */
  [Symbol.asyncIterator](): AsyncIterator<In, undefined>;
}

type Requests = Record<string, readonly [unknown, unknown]>;

/**
 * One end of a channel: ordered in each direction, delivered at most once.
 * After the end of its session every call fails with ERR_CHANNEL_CLOSED or ERR_CHANNEL_HOSED and the one cause.
 */
export interface Channel<Out = unknown, In = unknown, R extends Requests = Requests> {
  readonly name: string;
  /** Whether messages may be sent now. */
  readonly open: boolean;

  /**
   * Sends now or not at all.
   * @returns false if the ring has no room; nothing is queued.
   * @throws {IpcError} ERR_CHANNEL_CLOSED, ERR_CHANNEL_HOSED, ERR_MESSAGE_TOO_LARGE, ERR_MESSAGE_INVALID.
   */
  trySend(message: Out, options?: SendOptions): boolean;

  /**
   * Sends as soon as there is room. Resolved means: in shared memory, delivered unless the reader dies.
   * @throws {IpcError} those of trySend, ERR_TIMEOUT, ERR_CHANNEL_BUSY when too many calls wait already.
   */
  send(message: Out, options?: WaitOptions & SendOptions): Promise<void>;

  /** As below, with the handle that came with the message. */
  tryReceive(options: HandleOptions): Received<In> | undefined;
  /**
   * As below, without a copy where the message stands in the peer's arena.
   * @throws {IpcError} ERR_BORROW_LIMIT, ERR_CHANNEL_CODEC.
   */
  tryReceive(options: BorrowOptions): Borrowed<In> | undefined;
  /** The next message, or undefined if none is there. Throws once the channel is closed or hosed and empty. */
  tryReceive(): In | undefined;

  /** As below, with the handle that came with the message. */
  receive(options: WaitOptions & HandleOptions): Promise<Received<In>>;
  /** As below, as a borrow. @throws {IpcError} those of both. */
  receive(options: WaitOptions & BorrowOptions): Promise<Borrowed<In>>;
  /** The next message. @throws {IpcError} ERR_CHANNEL_CLOSED, ERR_CHANNEL_HOSED, ERR_TIMEOUT, ERR_CHANNEL_BUSY. */
  receive(options?: WaitOptions): Promise<In>;

  /**
   * The next message, copied into memory of the caller.
   * @returns its length in bytes.
   * @throws {IpcError} those of receive, ERR_MESSAGE_TOO_LARGE (the message stays the next one), ERR_CHANNEL_CODEC.
   */
  receiveInto(memory: Uint8Array, options?: WaitOptions): Promise<number>;

  /** Receives all messages of a turn at once; the fastest way. @returns a function that ends it. */
  onBatch(handler: (messages: In[]) => void): () => void;
  /** The same with the handles that came with them, each the handler's to close. */
  onBatch(handler: (messages: Received<In>[]) => void, options: HandleOptions): () => void;
  /** The same with borrows, at most `maxBorrows` at once: what is not released is waited for. */
  onBatch(handler: (messages: Borrowed<In>[]) => void, options: BorrowOptions): () => void;

  /**
   * Memory for one message of `bytes` bytes, to be written in place and sent without a copy.
   * @throws {IpcError} ERR_ARENA_FULL, ERR_LOAN_LIMIT, ERR_NO_ARENA, ERR_CHANNEL_CODEC, ERR_MESSAGE_TOO_LARGE.
   */
  loan(bytes: number): Loan;

  /**
   * Lends a value of the session's arena or of a shared one to the peer: the handle goes into any message of this session.
   * Counts as a loan of this channel until the peer has borrowed and released it.
   * @throws {IpcError} ERR_LOAN_FOREIGN, ERR_LOAN_LIMIT, ERR_NO_ARENA, ERR_ARENA_FULL (sharedBytes), ERR_MEMORY_RETURNED.
   */
  lend<T>(value: SharedValue<T>): Handle<T>;

  /**
   * Borrows what the peer has lent, to be read in place. A second time while the first is held is fine; after the last
   * release the handle is used up.
   * @throws {IpcError} ERR_HANDLE_INVALID, ERR_BORROW_LIMIT, ERR_NO_ARENA, ERR_TIMEOUT.
   */
  borrow<T>(handle: Handle<T>, codec: InPlaceCodec<T, never>, options?: WaitOptions): Promise<Borrowed<T>>;

  /** Ends when the channel is closed, throws when it is hosed. */
  [Symbol.asyncIterator](): AsyncIterator<In, void>;

  /**
   * Asks the peer and waits for its one reply; 30 s unless `timeoutMs` says otherwise. Giving up tells the peer.
   * @throws {IpcError} those of send, ERR_REQUEST_FAILED with what the peer answered, ERR_REQUEST_UNHANDLED if nobody there
   * answers that name, ERR_MESSAGE_REJECTED if request or reply fails its schema here.
   */
  request<N extends keyof R & string>(name: N, value: R[N][0], options?: RequestOptions): Promise<R[N][1]>;

  /** Asks for any number of replies. @throws {IpcError} as request, from the loop; what came before an error is given first. */
  requestMany<N extends keyof R & string>(
    name: N,
    value: R[N][0],
    options?: ConversationOptions,
  ): Replies<R[N][1]>;

  /** Begins a dialog with a handler of `onDialog`; `value` is the first thing it hears. */
  dialog<N extends keyof R & string>(
    name: N,
    value: R[N][0],
    options?: ConversationOptions,
  ): Dialog<R[N][0], R[N][1]>;

  /**
   * Answers requests of that name with what the handler returns: a reply, or an iterable of replies for `requestMany`. One
   * handler for a name; a second takes its place. @returns a function that ends it.
   */
  onRequest<N extends keyof R & string>(
    name: N,
    handler: (value: R[N][0], context: RequestContext) => R[N][1] | Promise<R[N][1]> | AsyncIterable<R[N][1]>,
  ): () => void;

  /** Takes part in the dialogs of that name, each from the call of the handler to the end of its promise. */
  onDialog<N extends keyof R & string>(
    name: N,
    handler: (
      value: R[N][0],
      dialog: Dialog<R[N][1], R[N][0]>,
      context: RequestContext,
    ) => void | Promise<void>,
  ): () => void;

  /** Tells of what came and was not used. @returns a function that ends it. */
  onStray(handler: (stray: Stray) => void): () => void;

  /**
   * Answers the request that came as `event`.
   * @throws {IpcError} ERR_REQUEST_UNKNOWN if it was no request, or is answered already; those of trySend.
   */
  reply(event: { readonly requestId?: number | undefined }, value: R[keyof R][1]): void;

  /** Resolves when the peer has taken everything sent so far. @throws {IpcError} as send. */
  flush(options?: WaitOptions): Promise<void>;

  stats(): ChannelStats;

  /**
   * Ends this channel alone, in both directions, while its session goes on: refuses new messages, sends what was accepted
   * (at most `closeTimeoutMs`), then tells the peer, whose machine gets `channel.closed`. Resolves when it has ended here.
   */
  close(): Promise<void>;
}

/** The channel that a spec describes, as one side sees it. */
export type ChannelFor<C, S extends Side> = S extends 'client'
  ? Channel<Up<Carried<C>>, Down<Carried<C>>, RequestsOf<Carried<C>>>
  : Channel<Down<Carried<C>>, Up<Carried<C>>, RequestsOf<Carried<C>>>;

export interface PublisherStats {
  readonly published: number;
  /** How often a reader that blocks left no room. */
  readonly full: number;
  /** Sessions that read now. */
  readonly readers: number;
  /** Readers dropped because they were slow. */
  readonly dropped: number;
}

/** The writing end of a broadcast, in the process that serves its app. One message reaches all who read. */
export interface Publisher<M = unknown> {
  readonly name: string;

  /**
   * Publishes now or not at all. Where readers drop the oldest, always now.
   * @returns false if a reader that blocks leaves no room; nothing is queued.
   * @throws {IpcError} ERR_CHANNEL_CLOSED, ERR_MESSAGE_TOO_LARGE, ERR_MESSAGE_INVALID.
   */
  tryPublish(message: M): boolean;

  /**
   * Publishes as soon as there is room. Resolved means: in shared memory, ordered after everything published before.
   * @throws {IpcError} those of tryPublish, ERR_TIMEOUT, ERR_CHANNEL_BUSY when too many calls wait already.
   */
  publish(message: M, options?: WaitOptions): Promise<void>;

  stats(): PublisherStats;
}

/** A message of a broadcast. */
export interface BroadcastMessage<M = unknown> {
  readonly message: M;
  /** How many messages this reader has missed just before this one. */
  readonly gap: number;
}

export interface SubscriptionStats {
  readonly received: number;
  /** The sum of all gaps. */
  readonly missed: number;
}

/**
 * The reading end of a broadcast, in a session's client. Whoever begins to receive subscribes; messages from before that
 * come only as far as the broadcast's history goes. After the end of its session every call fails with
 * ERR_CHANNEL_CLOSED or ERR_CHANNEL_HOSED and the one cause, once all that was published has been taken.
 */
export interface Broadcast<M = unknown> {
  readonly name: string;
  /** Whether the writer knows that we read: from now on nothing is missed without being counted. */
  readonly subscribed: boolean;

  /**
   * Begins to read, if nothing has done so yet; a reader that was dropped begins anew. Resolves when `subscribed`.
   * @throws {IpcError} ERR_CHANNEL_CLOSED, ERR_CHANNEL_HOSED, ERR_TIMEOUT.
   */
  subscribe(options?: WaitOptions): Promise<void>;

  /** Ends reading: a reader that blocks is in nobody's way any more. Calls that wait fail with ERR_CHANNEL_CLOSED. */
  unsubscribe(): void;

  /** The next message, or undefined if none is there. @throws {IpcError} those of receive. */
  tryReceive(): BroadcastMessage<M> | undefined;

  /**
   * The next message.
   * @throws {IpcError} ERR_CHANNEL_CLOSED, ERR_CHANNEL_HOSED, ERR_TIMEOUT, ERR_CHANNEL_BUSY, ERR_BROADCAST_DROPPED.
   */
  receive(options?: WaitOptions): Promise<BroadcastMessage<M>>;

  /**
   * Receives the messages of a turn at once; the fastest way. `gap` messages were missed before the first of them, none
   * within. @returns a function that ends it.
   */
  onBatch(handler: (messages: M[], gap: number) => void): () => void;

  /** Ends when the session is closed or `unsubscribe` is called; throws when it is hosed or the reader is dropped. */
  [Symbol.asyncIterator](): AsyncIterator<BroadcastMessage<M>, void>;

  stats(): SubscriptionStats;
}

type Published<B> = B extends BroadcastSpec<infer M> ? M : never;

/** The broadcast that a spec describes, as one side sees it. */
export type BroadcastFor<B, S extends Side> = S extends 'client'
  ? Broadcast<Published<B>>
  : Publisher<Published<B>>;

/** The publishers of all broadcasts of an app. */
export type Publishers<A extends AppSpec> = {
  readonly [K in keyof A['broadcasts']]: Publisher<Published<A['broadcasts'][K]>>;
};

/** The other end's process, as the kernel vouches for it. */
export interface Peer {
  readonly app: string;
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
  /** What the peer said about itself in the log-in; any JSON value. */
  readonly metadata: unknown;
}

/** The names of the channels that are open as long as a session with that app is. */
export type InitNames<A extends AppSpec> = {
  [K in keyof A['channels'] & string]: A['channels'][K] extends OnDemandSpec<infer _> ? never : K;
}[keyof A['channels'] & string];

/** The names of the channels that are opened on demand. */
export type OnDemandNames<A extends AppSpec> = {
  [K in keyof A['channels'] & string]: A['channels'][K] extends OnDemandSpec<infer _> ? K : never;
}[keyof A['channels'] & string];

export interface OpenChannelOptions extends WaitOptions {
  /** Any JSON value up to 64 KiB that the peer gets with the offer. */
  readonly metadata?: unknown;
}

/** An on-demand channel that the peer wants to open. The first answer counts; until then the peer waits. */
export interface Offer<C = unknown> {
  readonly channel: string;
  /** What the peer said about it. */
  readonly metadata: unknown;
  /**
   * Opens it.
   * @returns our end, which may be used at once.
   * @throws {IpcError} ERR_OFFER_WITHDRAWN if it was answered already, or the peer waits for it no longer.
   */
  accept(): C;
  /** Tells the peer why not; the session goes on. Without effect once it was answered or taken back. */
  reject(reason?: string): void;
}

/** The actor that a server runs for all sessions of one client app. */
export interface AppActor {
  /** Sends it an event, after those that are on their way. Nothing happens once it has ended. */
  send(event: { readonly type: string; readonly [fact: string]: unknown }): void;
  getSnapshot(): unknown;
}

/** The memory that a side writes and its peer reads. */
export interface ScopedMemory<S extends Side = Side> {
  /** Gone with the session. @throws {IpcError} ERR_NO_ARENA. */
  readonly session: Arena;
  /**
   * At a server: one for each client app, whose sessions all may read what is lent of it. Outlives the sessions, not the
   * server. A client writes none. @throws {IpcError} ERR_NO_ARENA.
   */
  readonly app: S extends 'server' ? Arena : undefined;
}

/** A conversation between two processes. */
export interface Session<A extends AppSpec = AppSpec, S extends Side = Side> {
  readonly side: S;
  readonly peer: Peer;
  /** The same at both ends, different for each session. */
  readonly token: string;
  /** Our arenas. */
  readonly memory: ScopedMemory<S>;
  /** The same as `memory.session`. @throws {IpcError} ERR_NO_ARENA. */
  readonly arena: Arena;
  /** At a server with `appScope`: the actor of all sessions with this client app, as long as it runs. */
  readonly app: S extends 'server' ? AppActor | undefined : undefined;
  /** The channels that are open as long as the session is. */
  readonly channels: { readonly [K in InitNames<A>]: ChannelFor<A['channels'][K], S> };
  /** The server publishes, to all its sessions at once; the client reads. */
  readonly broadcasts: { readonly [K in keyof A['broadcasts']]: BroadcastFor<A['broadcasts'][K], S> };
  /**
   * Offers the peer an on-demand channel and waits until it is accepted; 10 s unless `timeoutMs` says otherwise. Each call
   * opens another one, up to `maxOpen` of the channel. No failure harms the session.
   * @throws {IpcError} ERR_OFFER_REJECTED, ERR_OFFER_TIMEOUT, ERR_CHANNEL_LIMIT, ERR_CHANNEL_BUSY when too many offers wait
   *   already, ERR_CHANNEL_UNKNOWN, ERR_MESSAGE_INVALID for the metadata, ERR_SESSION_CLOSED, ERR_SESSION_HOSED.
   */
  openChannel<K extends OnDemandNames<A>>(
    name: K,
    options?: OpenChannelOptions,
  ): Promise<ChannelFor<A['channels'][K], S>>;
  /**
   * Answers the peer's offers of that channel. Offers that no handler takes go to the machine as `channel.offered`; where
   * that names no such event, they are rejected. @returns a function that ends it. @throws {IpcError} ERR_CHANNEL_UNKNOWN.
   */
  onOffer<K extends OnDemandNames<A>>(
    name: K,
    handler: (offer: Offer<ChannelFor<A['channels'][K], S>>) => void,
  ): () => void;
  /** Flushes what was accepted, says goodbye and ends. The user's machine gets `session.closed`. */
  close(reason?: string): void;
}

/** What began the end of a session that nobody here asked to end. */
export const hoseReasons = [
  'peer.goodbye',
  'peer.closed',
  'peer.reset',
  'peer.idle',
  'peer.stalled',
  'protocol',
  'memory',
] as const;
export type HoseReason = (typeof hoseReasons)[number];
/** What a peer can break: the rules of what it says, or the words of the memory that it shares. */
export type Breach = Extract<HoseReason, 'protocol' | 'memory'>;

/** Signs of life. */
export interface KeepAlive {
  /** How often this process gives one. */
  readonly beatMs: number;
  /** A peer that gives none for this long is lost; at least twice `beatMs`. */
  readonly idleMs: number | 'never';
}

/** What becomes of a peer whose process lives while its event loop does not turn. */
export interface Stall {
  /** After this long the session's machine gets `peer.stalled`. */
  readonly reportMs: number | 'never';
  /** After this long the session is hosed. */
  readonly hoseMs: number | 'never';
}

type Arriving<T, S extends Side> = S extends 'client' ? Down<T> : Up<T>;

type MessageEvent<K extends string, T, S extends Side, Via> = Via & PlainMessageEvent<K, T, S>;

type PlainMessageEvent<K extends string, T, S extends Side> =
  | ([Arriving<T, S>] extends [never]
      ? never
      : {
          type: `message.${K}`;
          message: Arriving<T, S>;
          request?: undefined;
          requestId?: undefined;
          /** What came with it, the machine's to close. */
          handle?: Descriptor | undefined;
        })
  | {
      [N in keyof RequestsOf<T> & string]: {
        type: `message.${K}`;
        message: RequestsOf<T>[N] extends readonly [infer Q, unknown] ? Q : never;
        request: N;
        requestId: number;
        /** Closed when the request is over, unless it was taken. */
        handle?: Descriptor | undefined;
      };
    }[keyof RequestsOf<T> & string];

/** Which of the channels of that name it came by. */
interface Via<A extends AppSpec, K extends string & keyof A['channels'], S extends Side> {
  via: ChannelFor<A['channels'][K], S>;
}

type BroadcastEvent<A extends AppSpec, S extends Side> = S extends 'client'
  ?
      | {
          [K in keyof A['broadcasts'] & string]: {
            type: `broadcast.${K}`;
            message: Published<A['broadcasts'][K]>;
            /** How many messages were missed just before this one. */
            gap: number;
          };
        }[keyof A['broadcasts'] & string]
      | ([keyof A['broadcasts'] & string] extends [never]
          ? never
          : { type: 'subscription.dropped'; broadcast: keyof A['broadcasts'] & string; error: IpcError })
  : never;

/** The events that a session sends to the machine that runs it. */
export type SessionEvent<A extends AppSpec = AppSpec, S extends Side = Side> =
  | {
      [K in keyof A['channels'] & string]: A['channels'][K] extends OnDemandSpec<infer _>
        ? MessageEvent<K, Carried<A['channels'][K]>, S, Via<A, K, S>>
        : PlainMessageEvent<K, Carried<A['channels'][K]>, S>;
    }[keyof A['channels'] & string]
  | {
      [K in OnDemandNames<A>]: { type: 'channel.offered' } & Offer<ChannelFor<A['channels'][K], S>> & {
          channel: K;
        };
    }[OnDemandNames<A>]
  | BroadcastEvent<A, S>
  /** The peer will send nothing more on it. `via` is our end of it, if it was opened on demand. */
  | {
      type: 'channel.closed';
      channel: keyof A['channels'] & string;
      via?: ChannelFor<A['channels'][OnDemandNames<A>], S> | undefined;
    }
  /** The peer's event loop has not turned for that long; its process lives. */
  | { type: 'peer.stalled'; ms: number }
  /** It turns again. */
  | { type: 'peer.resumed' }
  | { type: 'session.closed'; side: S; reason: string }
  | {
      type: 'session.hosed';
      side: S;
      reason: HoseReason;
      error: IpcError;
      /** Per channel, the messages that the peer never took. */
      unread: Record<string, number>;
    };

/** What a session's machine gets as its input. */
export interface SessionInput {
  readonly peer: Peer;
}
