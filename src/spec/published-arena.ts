// Published arenas: memory that a topology declares, as its one writer and its readers see it. Values stand in it by name
// and outlive the process that has written them.
import type { Arena, Borrowed, InPlaceCodec, SharedValue } from './memory.ts';
import type { WaitOptions } from './waiting.ts';

/** A name that was published, also in the place of an earlier value, or unpublished. */
export interface ArenaChange {
  readonly name: string;
  readonly published: boolean;
}

/** An arena of the topology, for those who read it. */
export interface ArenaReader {
  readonly name: string;
  /** What is published, as far as this process has heard: the root tells it a moment after each change. */
  names(): string[];
  /**
   * Borrows what is published under that name, and waits for it if nothing is. It stays as it is until it is released, even if
   * the name is published anew, or its writer dies.
   * @throws {IpcError} ERR_TIMEOUT, ERR_CHANNEL_BUSY, ERR_ARENA_LIMIT, ERR_ARENA_REFUSED, ERR_ARENA_CLOSED.
   */
  borrow<T>(name: string, codec: InPlaceCodec<T, never>, options?: WaitOptions): Promise<Borrowed<T>>;
  /** Calls back after each change that this process hears of. @returns how to stop. */
  onChange(listener: (change: ArenaChange) => void): () => void;
  /** Ends the waits. What is borrowed stays until it is released. */
  close(): void;
  /** As `close`. */
  [Symbol.dispose](): void;
}

/** An arena of the topology, for the one process that writes it. */
export interface ArenaWriter extends Arena, ArenaReader {
  /**
   * Publishes a value of this arena, also in the place of an earlier one. It may be released then: its memory is used again
   * once it is unpublished and nobody borrows it any more. A call that is given up may have published it.
   * @throws {IpcError} ERR_ARENA_FULL if the segment is beyond the arena's limit, ERR_ARENA_LIMIT, ERR_LOAN_FOREIGN,
   * ERR_MEMORY_RETURNED, ERR_ARENA_CLOSED.
   */
  publish(name: string, value: SharedValue, options?: WaitOptions): Promise<void>;
  /**
   * Takes a name back, whoever has published it.
   * @returns whether there was one.
   * @throws {IpcError} ERR_ARENA_CLOSED.
   */
  unpublish(name: string, options?: WaitOptions): Promise<boolean>;
  /** Lets another process write. What is published stays. */
  close(): void;
}
