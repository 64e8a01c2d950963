// Downstream: what stands behind the cache of a machine, as its session cache sees it: a relay and all beyond it. The session
// cache asks it for what it does not have and tells it of what changes; a relay, a link or a test's double implements it.
//
// Order: each write and each delete of a key carries a stamp, and the greater stamp wins at every node. So frames may arrive
// late, twice or out of order, and a value that was deleted does not come back by an older copy.
// Time: nothing here is a time of day. What is left of a life travels as milliseconds, counted from the moment of sending.

/** How the bytes of a value are to be read. */
export type CacheForm = 'bytes' | 'text' | 'msgpack';

/** A value on its way between nodes. */
export interface CacheEntry {
  readonly value: Uint8Array;
  readonly form: CacheForm;
  /**
   * Greater for each write, up to 2^53: milliseconds times 1,024 and a count, never less than a stamp that its writer has
   * seen. A node only compares stamps.
   */
  readonly stamp: number;
  /** What is left of its life; none: as long as there is room. */
  readonly ttlMs?: number;
}

/** A key that was deleted: no entry of it with this stamp or an older one counts any more. */
export interface CacheTombstone {
  readonly deleted: true;
  readonly stamp: number;
  /** How long it must still be remembered: no session lives longer. */
  readonly ttlMs: number;
}

/** What others tell without being asked: what was written or deleted elsewhere, and answers that come after their question's limit. */
export type CacheNews =
  | { readonly type: 'entry.put'; readonly key: string; readonly entry: CacheEntry }
  | { readonly type: 'entry.found'; readonly key: string; readonly entry: CacheEntry }
  | { readonly type: 'entry.deleted'; readonly key: string; readonly tombstone: CacheTombstone };

/** Who knows of a delete. */
export interface Forgotten {
  /** Nodes that have acknowledged it: each keeps a tombstone. */
  readonly acknowledged: number;
  /** Names of nodes that should have and did not within the call's limit; they are told as soon as they are back. */
  readonly missing: readonly string[];
}

/**
 * Keys are texts of 1 to 255 bytes in UTF-8. Every call is bounded by the signal that it is given, rejects with its reason, and
 * keeps no reference to `value` after it has settled.
 */
export interface Downstream {
  /** As it stands among those that are missing. */
  readonly name?: string;
  /** `lost`: nothing can be asked or told now. Puts meanwhile are dropped, and deletes are kept for later. */
  readonly status: 'connected' | 'lost';
  /**
   * For how long this end may have missed a delete, in milliseconds of a clock that only goes forward; 0 while a frame has just
   * come, Infinity before the first contact. Heartbeats count, once it is known what was deleted before them.
   */
  readonly silentMs: number;
  /** One question. @returns undefined if nobody has it. An answer after the abort is told as `entry.found`. */
  ask(key: string, signal: AbortSignal): Promise<CacheEntry | CacheTombstone | undefined>;
  /** Stores it downstream and at the other front ends. Resolved: the next node has it. */
  put(key: string, entry: CacheEntry, signal: AbortSignal): Promise<void>;
  /** Deletes it everywhere. Resolved: what `Forgotten` says. A tombstone that could not be told is kept and told later. */
  forget(key: string, tombstone: CacheTombstone, signal: AbortSignal): Promise<Forgotten>;
  /** Deletes that this end remembers from before: told to the others when it meets them, or at once. */
  remember?(stones: readonly (readonly [key: string, tombstone: CacheTombstone])[]): void;
  /** What others tell; the first listener hears of earlier deletes, too. Never what this end has told itself meanwhile. @returns a function that ends it. */
  onNews(listener: (news: CacheNews) => void): () => void;
  /** Calls back at each change of `status`. @returns a function that ends it. */
  onStatus(listener: (status: Downstream['status']) => void): () => void;
}
