// Channel: one end of a channel as those see it who use it.
import type { Carried, Down, RequestsOf, Up } from './channel-spec.ts';
import type {
  ConversationOptions,
  Dialog,
  Replies,
  RequestContext,
  RequestOptions,
  Stray,
} from './conversation.ts';
import type { Borrowed, Handle, InPlaceCodec, Loan, SharedValue } from './memory.ts';
import type { HandleOptions, Received, SendOptions } from './native-handle.ts';
import type { Side } from './peer.ts';
import type { WaitOptions } from './waiting.ts';

/** Receives a borrow instead of a copy. */
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

  /** Counters since the channel was opened. */
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
