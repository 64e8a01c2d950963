// Session table: what one node of the relay keeps, in two caches of shared memory: its records, and its deletes. The node alone writes
// them. Whoever else holds them, such as the root of its tree, has the next run of the node find what this one has kept.
//
// What had to go is handed on, since another node may have room for it: what there was no room for, and what nobody has used for
// too long. That is looked for by sweeps; until then it is found, and young again once it is.
import { join } from 'node:path';
import { IpcError } from '../errors.ts';
import type { CacheShape } from '../spec/cache.ts';
import type { CacheEntry, CacheTombstone } from '../spec/downstream.ts';
import { type TableSpec, tableCaches, tableNodeLengthMax } from '../spec/relay-node.ts';
import { type Cache, monotonicMs } from './cache.ts';
import type { EvictedBytes } from './cache-memory.ts';
import { openCache } from './cache-opening.ts';
import { cacheDirectory, ensureRunDirectory, FileLock } from './run-directory.ts';
import { SharedTombstones } from './shared-tombstones.ts';

/** A cache that is there is handed out at once, unless all who have it are stopped. */
const openTimeoutMs = 10_000;
/** A life that is over; 0 is one without an end. */
const noLifeMs = 0.001;

export interface SessionTableOptions {
  readonly runDirectory: string;
  /** Whose table it is: one node of that name at a time has it. */
  readonly node: string;
  readonly table: TableSpec;
  /** What had to go. A sweep waits for what this returns. */
  readonly onPushedOut?: (key: string, entry: CacheEntry, cause: 'room' | 'age') => Promise<void> | undefined;
  /** The table that was there could not be taken over: it is made anew, and empty. */
  readonly onMadeAnew?: (why: IpcError) => void;
  /** It can be used no more. */
  readonly onEnded?: (why: IpcError) => void;
  /** Milliseconds of CLOCK_MONOTONIC. */
  readonly now?: () => number;
}

/** How a put went. `deleted`: a later delete is known. `older`: a later write is, or this one. */
export type Kept =
  | { readonly how: 'kept' }
  | { readonly how: 'older' }
  | { readonly how: 'deleted'; readonly tombstone: CacheTombstone }
  | { readonly how: 'large' };

/** Counts since the table was made, which may be longer than the node runs. */
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

export class SessionTable {
  readonly capacity: number;
  readonly tombstones: SharedTombstones;
  readonly #recordBytes: number;
  readonly #records: Cache<unknown>;
  readonly #deletes: Cache<unknown>;
  readonly #lock: FileLock;
  #stats: SessionTableStats;

  private constructor(
    options: SessionTableOptions,
    records: Cache<unknown>,
    deletes: Cache<unknown>,
    lock: FileLock,
    now: () => number,
  ) {
    const { table, onPushedOut, onEnded } = options;
    this.capacity = table.capacity;
    this.tombstones = new SharedTombstones(deletes, table.tombstonesMax, now);
    this.#recordBytes = table.recordBytes;
    this.#records = records;
    this.#deletes = deletes;
    this.#lock = lock;
    this.#stats = {
      ...{ records: 0, capacity: table.capacity, hits: 0, misses: 0, evicted: 0, expired: 0, aged: 0 },
      ...{ deleted: 0, tombstones: 0 },
    };
    records.findAged();
    records.catchEvicted((evicted) => {
      if (this.tombstones.covers(evicted.key, evicted.stamp)) return undefined;
      return onPushedOut?.(evicted.key, entryOf(evicted), evicted.cause);
    });
    for (const cache of [records, deletes])
      cache.onClosed = () => {
        const { ended } = cache;
        if (ended && ended.code !== 'ERR_CACHE_CLOSED') onEnded?.(ended);
      };
  }

  /** @throws {IpcError} ERR_RELAY_CONFIG if a node of that name has it; those of `cache`. */
  static async open(options: SessionTableOptions): Promise<SessionTable> {
    const { runDirectory, node, table, onMadeAnew, now = monotonicMs() } = options;
    if (node.length > tableNodeLengthMax)
      throw IpcError.of(
        'ERR_RELAY_CONFIG',
        `relay node ${node}`,
        `its name is too long: at most ${tableNodeLengthMax} characters`,
      );
    const { records, deletes } = tableCaches(node, table);
    const lock = lockOf(runDirectory, node, records.name);
    const opened: Cache<unknown>[] = [];
    try {
      for (const { name, shape } of [records, deletes])
        opened.push(await openKept(runDirectory, name, shape, now, onMadeAnew));
      return new SessionTable(options, opened[0]!, opened[1]!, lock, now);
    } catch (error) {
      for (const cache of opened) await cache.close();
      lock.release();
      throw error;
    }
  }

  /** Without those whose time is over only once they are swept. */
  get size(): number {
    return this.#records.figures.live;
  }

  /** As they are now; as they were last while the lock is held, or once it is closed. */
  get stats(): SessionTableStats {
    const figures = this.#records.statsNow();
    const deletes = this.#deletes.ended ? undefined : this.#deletes.figures;
    if (figures && deletes) {
      const { records, hits, misses, evicted, expired, aged } = figures;
      const { deletes: deleted } = figures;
      const { capacity } = this;
      this.#stats = {
        records,
        capacity,
        hits,
        misses,
        evicted,
        expired,
        aged,
        deleted,
        tombstones: deletes.dead,
      };
    }
    return this.#stats;
  }

  /** What is there, with what is left of its life; a delete that is remembered, too. Counts as use. */
  find(key: string): CacheEntry | CacheTombstone | undefined {
    const record = this.#records.recall(key);
    if (record && !this.tombstones.covers(key, record.stamp)) return entryOf(record);
    return this.tombstones.find(key);
  }

  /** @throws {IpcError} those of `set`. */
  async put(key: string, { value, form, stamp, ttlMs }: CacheEntry): Promise<Kept> {
    if (value.length > this.#recordBytes) return { how: 'large' };
    if (this.tombstones.covers(key, stamp)) return this.#deleted(key);
    const lifeMs = ttlMs === undefined ? 0 : Math.max(noLifeMs, ttlMs);
    const kept = await this.#records.setFormed(key, { form, value }, { ttlMs: lifeMs, stamp });
    // Where the lock was held, a delete may have come meanwhile.
    if (kept && this.tombstones.covers(key, stamp)) {
      await this.#drop(key);
      return this.#deleted(key);
    }
    return { how: kept ? 'kept' : 'older' };
  }

  /** Remembers a delete. @returns whether it is news. @throws {IpcError} those of `set`. */
  async forget(key: string, tombstone: CacheTombstone): Promise<boolean> {
    const news = await this.tombstones.put(key, tombstone);
    await this.#drop(key);
    return news;
  }

  /** Removes what is over, and hands on what has aged. @returns how many. */
  async sweep(): Promise<number> {
    await this.tombstones.sweep();
    return this.#records.sweep();
  }

  *keys(): IterableIterator<string> {
    yield* this.#records.keys();
  }

  /** Closing twice is fine. */
  async close(): Promise<void> {
    await this.#records.close();
    await this.#deletes.close();
    this.#lock.release();
  }

  #deleted(key: string): Kept {
    return { how: 'deleted', tombstone: this.tombstones.find(key) ?? this.tombstones.floorStone };
  }

  /** Removes the record, unless it is newer than the delete. */
  async #drop(key: string): Promise<void> {
    const there = this.#records.entryNow(key);
    if (there && this.tombstones.covers(key, there.stamp))
      await this.#records.delete(key, { revision: there.revision });
  }
}

function lockOf(runDirectory: string, node: string, cache: string): FileLock {
  const folder = ensureRunDirectory(cacheDirectory(ensureRunDirectory(runDirectory), cache));
  const lock = FileLock.take(join(folder, 'node.lock'));
  if (lock instanceof FileLock) return lock;
  throw IpcError.of(
    'ERR_RELAY_CONFIG',
    `relay node ${node}`,
    `process ${lock.holder} is a node of that name, with the same run directory; give one of them another name`,
  );
}

/** The cache that is there, or a new one in place of one that does not fit: the configuration has changed. */
async function openKept(
  runDirectory: string,
  name: string,
  shape: CacheShape,
  now: () => number,
  onMadeAnew: SessionTableOptions['onMadeAnew'],
): Promise<Cache<unknown>> {
  const options = { ...shape, timeoutMs: openTimeoutMs };
  try {
    return await openCache(runDirectory, name, options, now);
  } catch (error) {
    const other =
      error instanceof IpcError &&
      (error.code === 'ERR_CACHE_MISMATCH' || error.code === 'ERR_CACHE_REFUSED');
    if (!other) throw error;
    onMadeAnew?.(error);
    return openCache(runDirectory, name, { ...options, takeOver: true }, now);
  }
}

function entryOf({ value, form, stamp, ttlMs }: Omit<EvictedBytes, 'key' | 'cause'>): CacheEntry {
  return { value, form, stamp, ...(ttlMs !== 0 && { ttlMs: Math.max(1, Math.ceil(ttlMs)) }) };
}
