// Session table: what one node of the relay keeps. A record that was used since the oldest ones were looked at is passed over
// once; the others go first. What had to go for want of room is answered, since another node may have room for it.
import type { CacheEntry, CacheTombstone } from '../spec/downstream.ts';
import { Tombstones } from './tombstones.ts';

export interface SessionTableOptions {
  readonly capacity: number;
  /** Bytes of the largest value. */
  readonly recordBytes: number;
  /** Not used for so long, a record goes; undefined: it does not age. */
  readonly agedOutMs?: number | undefined;
  readonly tombstonesMax?: number | undefined;
  /** Milliseconds that never jump. */
  readonly now: () => number;
}

/** How a put went. `deleted`: a later delete is known. `older`: a later write is. */
export type Kept =
  | { readonly how: 'kept'; readonly pushedOut: readonly [string, CacheEntry] | undefined }
  | { readonly how: 'older' }
  | { readonly how: 'deleted'; readonly tombstone: CacheTombstone }
  | { readonly how: 'large' };

export interface SessionTableStats {
  readonly records: number;
  readonly capacity: number;
  readonly hits: number;
  readonly misses: number;
  readonly evicted: number;
  readonly expired: number;
  readonly aged: number;
  readonly deleted: number;
  readonly tombstones: number;
}

interface Record {
  readonly entry: CacheEntry;
  /** Infinity: no end. */
  readonly untilMs: number;
  usedMs: number;
  marked: boolean;
}

export class SessionTable {
  readonly capacity: number;
  readonly tombstones: Tombstones;
  readonly #options: SessionTableOptions;
  /** In the order of their last look: the first one goes first, unless it is marked. */
  readonly #records = new Map<string, Record>();
  #hits = 0;
  #misses = 0;
  #evicted = 0;
  #expired = 0;
  #aged = 0;
  #deleted = 0;

  constructor(options: SessionTableOptions) {
    this.#options = options;
    this.capacity = options.capacity;
    this.tombstones = new Tombstones(options.now, options.tombstonesMax);
  }

  get size(): number {
    return this.#records.size;
  }

  get stats(): SessionTableStats {
    return {
      records: this.#records.size,
      capacity: this.capacity,
      hits: this.#hits,
      misses: this.#misses,
      evicted: this.#evicted,
      expired: this.#expired,
      aged: this.#aged,
      deleted: this.#deleted,
      tombstones: this.tombstones.size,
    };
  }

  /** What is there, with what is left of its life; a delete that is remembered, too. Counts as use. */
  find(key: string): CacheEntry | CacheTombstone | undefined {
    const tombstone = this.tombstones.find(key);
    const record = this.#living(key);
    if (record && !this.tombstones.covers(key, record.entry.stamp)) {
      this.#hits++;
      record.marked = true;
      record.usedMs = this.#options.now();
      return this.#asEntry(record);
    }
    this.#misses++;
    return tombstone;
  }

  put(key: string, entry: CacheEntry): Kept {
    const { recordBytes, now } = this.#options;
    if (entry.value.length > recordBytes) return { how: 'large' };
    if (this.tombstones.covers(key, entry.stamp))
      return { how: 'deleted', tombstone: this.tombstones.find(key) ?? this.tombstones.floorStone };
    const there = this.#living(key);
    if (there && there.entry.stamp > entry.stamp) return { how: 'older' };
    const nowMs = now();
    const untilMs = entry.ttlMs === undefined ? Number.POSITIVE_INFINITY : nowMs + entry.ttlMs;
    let pushedOut: readonly [string, CacheEntry] | undefined;
    if (there) this.#records.delete(key);
    else if (this.#records.size >= this.capacity) pushedOut = this.#makeRoom();
    this.#records.set(key, { entry, untilMs, usedMs: nowMs, marked: false });
    return { how: 'kept', pushedOut };
  }

  /** Remembers a delete. @returns whether it is news. */
  forget(key: string, tombstone: CacheTombstone): boolean {
    const news = this.tombstones.put(key, tombstone);
    const there = this.#records.get(key);
    if (there && there.entry.stamp <= tombstone.stamp) {
      this.#records.delete(key);
      this.#deleted++;
    }
    return news;
  }

  /** Removes what is over. @returns how many. */
  sweep(): number {
    const before = this.#records.size;
    for (const key of [...this.#records.keys()]) this.#living(key);
    this.tombstones.sweep();
    return before - this.#records.size;
  }

  *keys(): IterableIterator<string> {
    yield* this.#records.keys();
  }

  #living(key: string): Record | undefined {
    const record = this.#records.get(key);
    if (!record) return undefined;
    const nowMs = this.#options.now();
    const { agedOutMs } = this.#options;
    const isAged = agedOutMs !== undefined && nowMs - record.usedMs >= agedOutMs;
    if (nowMs < record.untilMs && !isAged) return record;
    this.#records.delete(key);
    if (isAged) this.#aged++;
    else this.#expired++;
    return undefined;
  }

  /** The oldest one that was not used since it was looked at; the used ones get another round. */
  #makeRoom(): readonly [string, CacheEntry] | undefined {
    for (;;) {
      const [key, record] = this.#records.entries().next().value as [string, Record];
      this.#records.delete(key);
      if (record.marked) {
        record.marked = false;
        this.#records.set(key, record);
        continue;
      }
      if (this.#options.now() >= record.untilMs) {
        this.#expired++;
        return undefined;
      }
      this.#evicted++;
      return [key, this.#asEntry(record)];
    }
  }

  #asEntry({ entry, untilMs }: Record): CacheEntry {
    const { ttlMs: _, ...rest } = entry;
    if (untilMs === Number.POSITIVE_INFINITY) return rest;
    return { ...rest, ttlMs: Math.max(1, Math.ceil(untilMs - this.#options.now())) };
  }
}
