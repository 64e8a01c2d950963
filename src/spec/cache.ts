// What a cache looks like to those who use it.
import type { WaitOptions } from './waiting.ts';

/** What a cache is made of; what is left out has the value of `cacheDefaults`. */
export interface CacheShape {
  /** Records that have room, exactly. */
  readonly capacity: number;
  /** Bytes of the largest value, 1 to 1 MiB. */
  readonly recordBytes: number;
  /** Parts with a lock and an order of their own that share the capacity: more than one, and eviction is the oldest of one part. */
  readonly shards: number;
  /** Deleted keys that are remembered, so that an older copy does not come back; 0: none. */
  readonly tombstones: number;
  /** How long after its last use a record is as good as gone; 0: it does not age. */
  readonly agedOutMs: number;
}

/** What a cache has whose creator says nothing else. */
export const cacheDefaults: CacheShape = {
  capacity: 20_000,
  recordBytes: 384,
  shards: 1,
  tombstones: 0,
  agedOutMs: 0,
};

/** A cache that a topology declares. */
export interface CacheSpec extends CacheShape {
  readonly seed?: number | undefined;
}

/** Options of `cache()`. */
export interface CacheOptions extends Partial<CacheShape>, WaitOptions {
  /** Of the hash. Random by default, so that nobody chooses keys that all fall into one place. */
  seed?: number;
  /** Creates the cache anew even if it is there. Whoever uses the old one gets ERR_CACHE_REPLACED. Needs `capacity`. */
  takeOver?: boolean;
  /** Attaches to exactly this creation of the cache, else ERR_CACHE_REPLACED. */
  generation?: string;
  /** How long another process may hold the lock before calls fail with ERR_LOCK_TIMEOUT; default 5000. */
  lockTimeoutMs?: number;
  /** Removes records whose time is over every so many milliseconds; without it they go when room is needed. */
  sweepMs?: number;
}

/** Options of `set` and `trySet`. */
export interface SetOptions {
  /** How long it lives from now on; without it, as long as there is room. */
  ttlMs?: number;
  /** Only if this revision is there; 0: only if the key is not there. */
  revision?: number;
  /** Orders the writes of several machines: only if no greater one is there. */
  stamp?: number;
}

/** Options of `delete`. */
export interface DeleteOptions {
  /** Only if this revision is there. */
  revision?: number;
  /** Leaves a tombstone: sets with this stamp or an older one are refused for `ttlMs`. Needs a cache with `tombstones`. */
  stamp?: number;
  ttlMs?: number;
}

/** A value with what the cache knows of it. */
export interface CacheRecord<V = unknown> {
  readonly value: V;
  /** New with each set of any key; what `revision` of set and delete compares. */
  readonly revision: number;
  readonly stamp: number;
  /** What is left of its life; undefined: no end. */
  readonly ttlMs: number | undefined;
}

/** What has happened to a key. `lost`: so much has happened that `count` changes are missing here. */
export type CacheEvent =
  | { readonly type: 'set' | 'deleted' | 'evicted' | 'expired'; readonly key: string }
  | { readonly type: 'lost'; readonly count: number };

/** A record that had to go though its life was not over. */
export interface EvictedRecord<V = unknown> {
  readonly key: string;
  readonly value: V;
  readonly stamp: number;
  /** What was left of its life; undefined: no end. */
  readonly ttlMs: number | undefined;
  /** There was no room for it, or nobody had used it for `agedOutMs`. */
  readonly cause: 'room' | 'age';
}

export interface CacheStats extends CacheShape {
  readonly generation: string;
  /** Of the mapping. */
  readonly bytes: number;
  readonly records: number;
  /** Deleted keys that are remembered now. */
  readonly tombstonesKept: number;
  readonly users: number;
  readonly hits: number;
  readonly misses: number;
  readonly sets: number;
  readonly deletes: number;
  /** Records that had to go to make room, those whose life was over, and those that nobody used for `agedOutMs`. */
  readonly evicted: number;
  readonly expired: number;
  readonly aged: number;
  /** Tombstones that had to go before their time, and the greatest stamp among them: older ones are refused for all keys. */
  readonly tombstonesEvicted: number;
  readonly floor: number;
  /** How often a user died within a change that the next one had to complete or undo. */
  readonly repairs: number;
}

/**
 * A table in shared memory. Keys are texts of 1 to 255 bytes in UTF-8; values are texts, bytes (a Uint8Array), or anything else
 * that msgpack can carry but undefined. get, has and entry take no lock and wait for nobody.
 */
export interface Cache<V = unknown> extends AsyncDisposable {
  readonly name: string;
  /** 32 hex digits, others for each creation. */
  readonly generation: string;
  readonly shape: CacheShape;
  /** The value, which now counts as used; undefined if it is not there. @throws {IpcError} ERR_CACHE_ENTRY, ERR_CACHE_CLOSED. */
  get(key: string): V | undefined;
  /** Whether it is there. Does not count as use. */
  has(key: string): boolean;
  /** The value with its revision. Does not count as use. */
  entry(key: string): CacheRecord<V> | undefined;
  /**
   * Sets now or not at all.
   * @returns false if `revision` or `stamp` forbid it; undefined while another process has the lock.
   * @throws {IpcError} ERR_CACHE_ENTRY, ERR_CACHE_CLOSED, ERR_CACHE_REPLACED, ERR_CACHE_BROKEN.
   */
  trySet(key: string, value: V, options?: SetOptions): boolean | undefined;
  /** The same, waiting for the lock. @throws {IpcError} also ERR_LOCK_TIMEOUT. */
  set(key: string, value: V, options?: SetOptions): Promise<boolean>;
  /** @returns whether it was there, and with the wanted revision. */
  delete(key: string, options?: DeleteOptions): Promise<boolean>;
  /** Counts as use, and begins its life anew if `ttlMs` is given (0: no end). @returns whether it was there. */
  touch(key: string, options?: { ttlMs?: number }): Promise<boolean>;
  /** Deletes everything that is there, some records at a time. Tombstones stay. */
  clear(): Promise<void>;
  /** Removes all records whose time is over. @returns how many. */
  sweep(): Promise<number>;
  /** Each key that is there throughout comes exactly once, however much is written meanwhile. */
  keys(prefix?: string): IterableIterator<string>;
  /** As `keys`, with the values. */
  entries(prefix?: string): IterableIterator<[string, V]>;
  /** Tells of changes by anybody, ourselves included, to keys that begin with `prefix`. @returns a function that ends it. */
  watch(prefix: string, listener: (event: CacheEvent) => void): () => void;
  /**
   * Hands over each record that a `set`, a `trySet` or a `sweep` of this user evicts, before that call answers: what another user
   * evicts, he alone is told. A record is told once; killed before its listener has done its work, the record is gone.
   * @returns a function that ends it.
   */
  onEvicted(listener: (record: EvictedRecord<V>) => void): () => void;
  /** How full it is, and counts since it was created. */
  stats(): Promise<CacheStats>;
  /** With the last user the cache is gone, unless the root of the tree holds it. Closing twice is fine. */
  close(): Promise<void>;
}
