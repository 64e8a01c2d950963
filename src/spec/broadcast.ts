// Broadcast: both ends of a broadcast as those see them who use them.
import type { Published } from './broadcast-spec.ts';
import type { Side } from './peer.ts';
import type { AppSpec } from './universe.ts';
import type { WaitOptions } from './waiting.ts';

/** Counters of a broadcast at its writer. */
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

  /** Counters since the server began. */
  stats(): PublisherStats;
}

/** A message of a broadcast. */
export interface BroadcastMessage<M = unknown> {
  readonly message: M;
  /** How many messages this reader has missed just before this one. */
  readonly gap: number;
}

/** Counters of a broadcast at one reader. */
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

  /** Counters since the session began. */
  stats(): SubscriptionStats;
}

/** The broadcast that a spec describes, as one side sees it. */
export type BroadcastFor<B, S extends Side> = S extends 'client'
  ? Broadcast<Published<B>>
  : Publisher<Published<B>>;

/** The publishers of all broadcasts of an app. */
export type Publishers<A extends AppSpec> = {
  readonly [K in keyof A['broadcasts']]: Publisher<Published<A['broadcasts'][K]>>;
};
