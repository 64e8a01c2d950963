// Shared memory as those see it who write messages in place, read them in place, or pass large values by reference.
import type { WaitOptions } from './waiting.ts';

/** Writable memory of a session's arena, lent for one message of a channel. Zeroes or what an earlier message left. */
export interface Loan {
  /**
   * The memory, to be written until it is sent. Its `buffer` is a whole segment of the arena, not this loan alone.
   * @throws {IpcError} ERR_MEMORY_RETURNED after it was sent or given back.
   */
  readonly bytes: Uint8Array;
  /**
   * Sends the first `length` bytes (all, by default) as soon as there is room, without a copy. The memory is the reader's
   * from then on. After a failure the loan is still yours.
   * @throws {IpcError} those of `Channel.send`, ERR_MEMORY_RETURNED.
   */
  send(length?: number, options?: WaitOptions): Promise<void>;
  /** The same, now or not at all. @returns false if the ring has no room; the loan is still yours then. */
  trySend(length?: number): boolean;
  /** Gives it back unsent. @throws {IpcError} ERR_MEMORY_RETURNED if it was sent or given back already. */
  release(): void;
  /** Gives it back, unless it was sent or given back already. */
  [Symbol.dispose](): void;
}

/** Memory of the peer, to be read in place until it is released. Writing into it ends the process. */
export interface Borrowed<T = Uint8Array> {
  /**
   * Read-only bytes. For a message in the arena, its `buffer` is a whole mapped segment: postMessage or structuredClone of
   * it would copy all of that. Small messages stood in the ring and are a private copy.
   * @throws {IpcError} ERR_MEMORY_RETURNED after release.
   */
  readonly bytes: Uint8Array;
  /** What the codec reads from the bytes; the bytes themselves for a message of a `bytes` channel. */
  readonly value: T;
  /** Gives it back: its memory may change at once. @throws {IpcError} ERR_MEMORY_RETURNED if it was released already. */
  release(): void;
  /** Gives it back, unless it was released already. */
  [Symbol.dispose](): void;
}

/** How a value stands in memory so that its reader need not decode it. */
export interface InPlaceCodec<T, Input> {
  readonly name: string;
  /**
   * Writes into `memory` and answers the part of it that holds the value. A codec that runs out of room answers bytes of
   * its own; they are copied then.
   */
  write(memory: Uint8Array, value: Input): Uint8Array;
  /** A first guess of the memory that the value needs; the default is 1 MiB. */
  bytesFor?(value: Input): number;
  /** Reads in place; what `bytes` hold was written by another process and may make no sense. */
  read(bytes: Uint8Array): T;
}

/** A value in an arena, built once and lent any number of times. */
export interface SharedValue<T = unknown> {
  /** Its size. */
  readonly bytes: number;
  /** Read in place. @throws {IpcError} ERR_MEMORY_RETURNED after release. */
  readonly value: T;
  /** Lets go of it: its memory is used again when the last peer has given it back. Throws if it was released already. */
  release(): void;
  /** Lets go of it, unless that was done already. */
  [Symbol.dispose](): void;
}

declare const lent: unique symbol;

/**
 * What a peer needs to borrow a value, 40 bytes: for one borrower of one session, once or until it has released it. Send it
 * in any message of the session.
 */
export type Handle<T = unknown> = Uint8Array & { readonly [lent]?: T };

/** All in bytes but `segments`. */
export interface ArenaStats {
  /** In blocks that are in use, with their headers. */
  readonly used: number;
  /** What is left up to the limit. */
  readonly free: number;
  /** The largest block to be had now. */
  readonly largest: number;
  readonly segments: number;
}

/** Memory that this process writes and lends to its peers: each can read all of an arena's segment that it was lent. */
export interface Arena {
  /**
   * Builds a value in place. `bytes` is the room to build it in: a value that outgrows it is built elsewhere and copied.
   * @throws {IpcError} ERR_ARENA_FULL; what the codec throws.
   */
  construct<T, Input>(
    codec: InPlaceCodec<T, Input>,
    value: NoInfer<Input>,
    options?: { bytes?: number },
  ): SharedValue<T>;
  /** How much of it is used and free, in bytes. */
  stats(): ArenaStats;
}
