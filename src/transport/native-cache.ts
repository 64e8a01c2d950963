// What the addon's object for a cache offers (cpp/addon/cache_object.h). Reads are not among it: they need no call.

/** 0: done. 1: there is no such key. 2: the lock is held by somebody else. 3: another revision is there. 4: a greater stamp is. */
export const cacheAnswers = { done: 0, missing: 1, locked: 2, refused: 3, stale: 4 } as const;
/** Added to it: somebody is to be told of this, call takeRings(). */
export const cacheRingsDue = 8;

/** Where to find what in `memory`, all in bytes; checked against what the header says when the cache was mapped. */
export interface NativeCacheShape {
  readonly capacity: number;
  readonly recordBytes: number;
  readonly shards: number;
  readonly tombstones: number;
  readonly seed: number;
  readonly agedOutMs: number;
  /** Of each shard. */
  readonly records: number;
  readonly buckets: number;
  readonly recordStride: number;
  readonly shardsOffset: number;
  readonly shardBytes: number;
  /** Within a shard. */
  readonly changesOffset: number;
  readonly changeTableOffset: number;
  readonly changeBytes: number;
  readonly changeCount: number;
  readonly bucketsOffset: number;
  readonly recordsOffset: number;
  readonly usersOffset: number;
  readonly userBytes: number;
  readonly userHitsOffset: number;
  /** Words of a shard: records and tombstones that are there; and two words, the greatest stamp of a tombstone that had to go. */
  readonly liveOffset: number;
  readonly deadOffset: number;
  readonly floorOffset: number;
  /** In the exchange. */
  readonly evictedOffset: number;
  readonly bytes: number;
}

/** As in cpp/shm/region_layout.h. */
export const cacheUsersMax = 64;

/** The processes in its user slots; one that was killed stands there until its slot is needed or counted. */
export function pidsOf({ memory, shape }: NativeCache): number[] {
  const words = new Int32Array(memory, shape.usersOffset, (cacheUsersMax * shape.userBytes) / 4);
  const pids = Array.from({ length: cacheUsersMax }, (_, slot) => words[(slot * shape.userBytes) / 4]!);
  return [...new Set(pids.filter((pid) => pid > 0))];
}

/** Where in `exchange` stands what a call is about, in bytes. Doubles, then words, then the key and the value. */
export const exchangePlaces = {
  nowMs: 0,
  ttlMs: 8,
  stamp: 16,
  revision: 24,
  keyBytes: 32,
  form: 36,
  valueBytes: 40,
  key: 48,
  value: 304,
} as const;

/** Where in the exchange, from `evictedOffset` on, stands what a call has evicted. Doubles, then words. */
export const evictedPlaces = {
  ttlMs: 0,
  stamp: 8,
  keyBytes: 16,
  form: 20,
  valueBytes: 24,
  aged: 28,
  key: 32,
  value: 288,
} as const;

/** Calls answer one of `cacheAnswers`, plus `cacheRingsDue`. `code` of what is thrown: TOO_LARGE, BAD_LAYOUT, CLOSED, FULL, LOCKED. */
export interface NativeCache {
  readonly fd: number;
  readonly generation: string;
  /** -1 before join(). */
  readonly slot: number;
  readonly shape: NativeCacheShape;
  /** All of it, read and written by all its users. */
  readonly memory: ArrayBuffer;
  /** Private memory: what the next call is about. */
  readonly exchange: ArrayBuffer;
  /** Throws FULL, LOCKED. */
  join(): void;
  /** Throws LOCKED. */
  leave(): void;
  set(): number;
  delete(): number;
  touch(): number;
  /** Deletes up to `max` records of each shard. @returns how many are left. Throws LOCKED. */
  clear(max: number): number;
  /** Looks at `max` records of each shard. @returns how many were removed. Throws LOCKED. */
  sweep(max: number): number;
  /** Rings us once at the next change of a key that begins with the key in the exchange. */
  arm(): number;
  disarm(): number;
  /** Whether a set or a sweep that evicts a record puts it into the exchange; then each evicts at most one. */
  catchEvicted(on: boolean): void;
  /** User slots to ring, each once. */
  takeRings(): number[];
  /** Throws LOCKED. */
  stats(): {
    records: number;
    tombstones: number;
    users: number;
    repairs: number;
    floor: number;
    hits: number;
    misses: number;
    sets: number;
    deletes: number;
    evicted: number;
    expired: number;
    aged: number;
    tombstonesEvicted: number;
  };
  /** Leaves, detaches both buffers and unmaps; closing twice is fine. */
  close(): void;
}

export interface NativeCacheClass {
  /** Creates. Throws TOO_LARGE, SYSTEM. */
  new (
    capacity: number,
    recordBytes: number,
    shards: number,
    tombstones: number,
    seed: number,
    agedOutMs: number,
  ): NativeCache;
  /** Attaches and takes fd. Throws BAD_SEGMENT, BAD_LAYOUT, TOO_LARGE, SYSTEM. */
  new (fd: number): NativeCache;
}
