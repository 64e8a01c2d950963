// Conversations: what requests, their replies and dialogs look like to those who use them, and what came and was not used.
import type { IpcError } from '../errors.ts';
import type { Descriptor, SendOptions } from './native-handle.ts';
import type { Peer } from './peer.ts';
import type { WaitOptions } from './waiting.ts';

/** Options of a request: how long to wait, and a handle that travels with it. */
export interface RequestOptions extends WaitOptions, SendOptions {}

/** Options of requests with many replies, and of dialogs. */
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
