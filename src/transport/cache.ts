// Cache: a table in shared memory, seen from one of its users. Waiting for the lock and watching; reads are in cache-memory.ts,
// changes are the addon's business (cpp/shm/cache.h), and cache-opening.ts finds or makes it.
//
// Watching: who changes a key that somebody watches rings his bell by one byte, once until he has armed himself again. One that
// is killed or stopped between its change and its ring is made up for by a look every 250 ms, while anybody watches here.
import { performance } from 'node:perf_hooks';
import { IpcError, messageOf } from '../errors.ts';
import type {
  CacheEvent,
  CacheRecord,
  CacheShape,
  CacheStats,
  DeleteOptions,
  EvictedRecord,
  SetOptions,
  Cache as SomeCache,
} from '../spec/cache.ts';
import type { CacheForm } from '../spec/downstream.ts';
import { CacheChanges } from './cache-changes.ts';
import { CacheMemory, cacheForms, type EvictedBytes, keyBytesMax } from './cache-memory.ts';
import { type FormedValue, formValue, readValue } from './cache-value.ts';
import { type NativeBell, native, nativeCode } from './native.ts';
import {
  cacheAnswers,
  cacheRingsDue,
  cacheUsersMax,
  exchangePlaces,
  type NativeCache,
  pidsOf,
} from './native-cache.ts';
import type { RegionPlace } from './region-place.ts';

const { done, locked } = cacheAnswers;
/** Where the lock is held, it is tried again on the next turn at first, then after up to this. */
const lockPauseMaxMs = 8;
const lookAgainMs = 250;
/** Records that clear() or sweep() deals with while it has the lock. */
const sliceRecords = 256;
/** Any byte will do: who is rung looks at everything. */
const whyRung = 1;

/** Milliseconds of CLOCK_MONOTONIC, the same in all processes and threads of a machine; a step of the time of day moves nothing. */
export function monotonicMs(): () => number {
  const [seconds, nanoseconds] = process.hrtime();
  const offsetMs = seconds * 1000 + nanoseconds / 1e6 - performance.now();
  return () => performance.now() + offsetMs;
}

/** Told of what we evict; a sweep waits for what it returns. */
type Catcher = (record: EvictedBytes) => Promise<void> | undefined;

interface Watch {
  readonly prefix: string;
  readonly listener: (event: CacheEvent) => void;
}

export class Cache<V> implements SomeCache<V> {
  readonly name: string;
  readonly generation: string;
  readonly shape: CacheShape;
  readonly native: NativeCache;
  /** For whoever keeps a list of open caches. */
  onClosed: (() => void) | undefined;

  readonly #place: RegionPlace<NativeCache>;
  readonly #lockTimeoutMs: number;
  readonly #now: () => number;
  readonly #watches = new Set<Watch>();
  readonly #catchers = new Set<Catcher>();
  #memory!: CacheMemory;
  #bell: NativeBell | undefined;
  #changes: CacheChanges | undefined;
  #lookTimer: NodeJS.Timeout | undefined;
  #sweepTimer: NodeJS.Timeout | undefined;
  #lockHeldSince: number | undefined;
  #ended: IpcError | undefined;
  #closing: Promise<void> | undefined;

  constructor(place: RegionPlace<NativeCache>, cache: NativeCache, lockTimeoutMs: number, now: () => number) {
    this.name = place.name;
    this.generation = cache.generation;
    const { capacity, recordBytes, shards, tombstones, agedOutMs } = cache.shape;
    this.shape = { capacity, recordBytes, shards, tombstones, agedOutMs };
    this.native = cache;
    this.#place = place;
    this.#lockTimeoutMs = lockTimeoutMs;
    this.#now = now;
  }

  /** Becomes a user. @throws {IpcError} ERR_CACHE_FULL, ERR_LOCK_TIMEOUT, ERR_CACHE_REPLACED, ERR_SYSTEM. */
  async join(): Promise<void> {
    await this.#whenUnlocked(() => this.native.join());
    this.#memory = new CacheMemory(this.native);
    try {
      this.#bell = new (native().Bell)(this.#bellPath(this.native.slot));
      this.#bell.listen(() => this.#look());
      this.#bell.hold(false);
    } catch (error) {
      throw IpcError.from(error, 'ERR_SYSTEM', `the bell of cache ${this.name}`, messageOf(error));
    }
    this.#place.stopHandingOut();
    this.#place.handOut({ fd: this.native.fd, generation: this.generation, bytes: 0 });
    this.#place.onChange(() => this.#checkGeneration());
    this.#place.hold(false);
    this.#checkGeneration();
    this.#check();
  }

  get(key: string): V | undefined {
    return this.#read(key, true, true)
      ? (readValue(this.name, this.#memory.found as FormedValue) as V)
      : undefined;
  }

  has(key: string): boolean {
    return this.#read(key, false, false) && this.#memory.found.form !== 'forgotten';
  }

  entry(key: string): CacheRecord<V> | undefined {
    if (!this.#read(key, true, false) || this.#memory.found.form === 'forgotten') return undefined;
    const { revision, stamp, expiresMs, ...formed } = this.#memory.found;
    return {
      value: readValue(this.name, formed as FormedValue) as V,
      revision,
      stamp,
      ttlMs: expiresMs === 0 ? undefined : Math.max(0, expiresMs - this.#now()),
    };
  }

  trySet(key: string, value: V, options?: SetOptions): boolean | undefined {
    const answer = this.#setNow(key, formValue(this.name, value), options);
    return answer === locked ? undefined : answer === done;
  }

  async set(key: string, value: V, options?: SetOptions): Promise<boolean> {
    const formed = formValue(this.name, value);
    const answer = this.#setNow(key, formed, options);
    if (answer !== locked) return answer === done;
    const kept = keep(formed);
    return (await this.#untilUnlocked(() => this.#setNow(key, kept, options))) === done;
  }

  async delete(key: string, options: DeleteOptions = {}): Promise<boolean> {
    const { revision = -1, stamp = 0, ttlMs = 0 } = options;
    this.#checkLife(ttlMs);
    return (await this.#change(key, () => this.native.delete(), { revision, stamp, ttlMs })) === done;
  }

  async touch(key: string, { ttlMs = -1 }: { ttlMs?: number } = {}): Promise<boolean> {
    if (ttlMs !== -1) this.#checkLife(ttlMs);
    return (await this.#change(key, () => this.native.touch(), { revision: 0, stamp: 0, ttlMs })) === done;
  }

  async clear(): Promise<void> {
    while ((await this.#whenUnlocked(() => this.native.clear(sliceRecords))) > 0);
  }

  async sweep(): Promise<number> {
    let removed = 0;
    for (let looked = 0; looked < this.#memory.shape.records; ) {
      let caught: EvictedBytes | undefined;
      removed += await this.#whenUnlocked(() => {
        this.#memory.exchangeDoubles[exchangePlaces.nowMs >>> 3] = this.#now();
        const some = this.native.sweep(sliceRecords);
        if (this.#catchers.size > 0) caught = this.#memory.takeEvicted();
        return some;
      });
      // It ends before the next one that it would have to hand over.
      if (!caught) looked += sliceRecords;
      else for (const wait of this.#handOver(caught)) await wait;
    }
    return removed;
  }

  *keys(prefix = ''): IterableIterator<string> {
    for (const key of this.#allKeys(false)) if (key.startsWith(prefix) && this.has(key)) yield key;
  }

  *entries(prefix = ''): IterableIterator<[string, V]> {
    for (const key of this.keys(prefix)) {
      const record = this.entry(key);
      if (record) yield [key, record.value];
    }
  }

  watch(prefix: string, listener: (event: CacheEvent) => void): () => void {
    this.#check();
    const watch = { prefix, listener };
    this.#watches.add(watch);
    if (this.#watches.size === 1) {
      this.#changes = new CacheChanges(this.#memory);
      this.#bell?.hold(true);
      this.#lookTimer = setInterval(() => this.#look(), lookAgainMs).unref();
    }
    this.#look();
    return () => {
      if (!this.#watches.delete(watch) || this.#watches.size > 0) return;
      clearInterval(this.#lookTimer);
      this.#bell?.hold(false);
      this.#changes = undefined;
      // Held by somebody else, we are rung once more for nothing.
      if (!this.#ended) this.native.disarm();
    };
  }

  onEvicted(listener: (record: EvictedRecord<V>) => void): () => void {
    return this.catchEvicted(({ form, value, ttlMs, ...record }) => {
      const formed = { form, value: form === 'text' ? Buffer.from(value).toString() : value };
      listener({
        ...record,
        value: readValue(this.name, formed) as V,
        ttlMs: ttlMs === 0 ? undefined : ttlMs,
      });
      return undefined;
    });
  }

  async stats(): Promise<CacheStats> {
    const { tombstones, ...figures } = await this.#whenUnlocked(() => this.native.stats());
    const { generation, shape } = this;
    return { ...shape, ...figures, tombstonesKept: tombstones, generation, bytes: this.native.shape.bytes };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close(IpcError.of('ERR_CACHE_CLOSED', this.name));
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ---- for its attachment and the session cache

  /** Why nothing can be done with this cache any more. */
  get ended(): IpcError | undefined {
    return this.#ended;
  }

  /** Processes that use it, as far as they have said so. */
  get pids(): number[] {
    this.#check();
    return pidsOf(this.native);
  }

  /** What is there under a key, a tombstone too, with the bytes of its value. Does not count as use. */
  look(
    key: string,
  ): { form: CacheForm | 'forgotten'; value: Uint8Array; stamp: number; ttlMs: number } | undefined {
    if (!this.#read(key, true, false, true)) return undefined;
    const { form, value, stamp, expiresMs } = this.#memory.found;
    const ttlMs = expiresMs === 0 ? 0 : Math.max(1, expiresMs - this.#now());
    return { form, value: value as Uint8Array, stamp, ttlMs };
  }

  /** What is there under a key, with the bytes of its value, and counts it as used. */
  recall(key: string): { form: CacheForm; value: Uint8Array; stamp: number; ttlMs: number } | undefined {
    if (!this.#read(key, true, true, true)) return undefined;
    const { form, value, stamp, expiresMs } = this.#memory.found;
    const ttlMs = expiresMs === 0 ? 0 : Math.max(1, expiresMs - this.#now());
    return { form: form as CacheForm, value: value as Uint8Array, stamp, ttlMs };
  }

  /** As `onEvicted`, with the bytes of the value. A sweep waits for what the listener returns. */
  catchEvicted(listener: Catcher): () => void {
    this.#check();
    this.#catchers.add(listener);
    this.native.catchEvicted(true);
    return () => {
      if (this.#catchers.delete(listener) && this.#catchers.size === 0 && !this.#ended)
        this.native.catchEvicted(false);
    };
  }

  /** From now on a record that has aged is found here until it is removed, and is young again by that. */
  findAged(): void {
    this.#memory.findsAged = true;
  }

  /** As `entry`, without its value. */
  entryNow(key: string): { readonly revision: number; readonly stamp: number } | undefined {
    if (!this.#read(key, false, false) || this.#memory.found.form === 'forgotten') return undefined;
    const { revision, stamp } = this.#memory.found;
    return { revision, stamp };
  }

  /** As `stats`, at once; undefined while the lock is held, and once this is closed. */
  statsNow(): ReturnType<NativeCache['stats']> | undefined {
    if (this.#ended) return undefined;
    try {
      const figures = this.native.stats();
      this.#ringOthers();
      return figures;
    } catch (error) {
      if (nativeCode(error) === 'LOCKED') return undefined;
      throw this.#refusal(error);
    }
  }

  /** Without the lock: records, tombstones, and the greatest stamp of a tombstone that had to go before its time. */
  get figures(): { readonly live: number; readonly dead: number; readonly floor: number } {
    this.#check();
    const { live, dead, floor } = this.#memory;
    return { live, dead, floor };
  }

  /** Keys that are remembered as deleted. */
  *forgotten(): IterableIterator<string> {
    for (const key of this.#allKeys(true)) if (this.look(key)?.form === 'forgotten') yield key;
  }

  /** Sets a value whose bytes came from elsewhere. @returns false if `options` forbid it. */
  async setFormed(key: string, formed: FormedValue, options: SetOptions): Promise<boolean> {
    return (await this.#untilUnlocked(() => this.#setNow(key, formed, options))) === done;
  }

  /** Removes what is over by itself now and then. */
  sweepEvery(ms: number): void {
    const sweep = () => this.sweep().catch(() => {});
    this.#sweepTimer ??= setInterval(sweep, ms).unref();
  }

  // ----

  *#allKeys(forgotten: boolean): IterableIterator<string> {
    const { shards, buckets } = this.#memory.shape;
    for (let shard = 0; shard < shards; shard++)
      for (let bucket = 0; bucket < buckets; bucket++) {
        this.#check();
        yield* this.#memory.keysOf(shard, bucket, forgotten) ?? this.#broken();
      }
  }

  #read(key: string, copies: boolean, counts: boolean, asBytes = false): boolean {
    if (this.#ended) throw this.#ended;
    if (this.#memory.setKey(key) === 0) throw this.#keyError();
    return this.#memory.read(this.#now(), copies, counts, asBytes) ?? this.#broken();
  }

  #handOver(record: EvictedBytes): Promise<void>[] {
    return [...this.#catchers].flatMap((listener) => listener(record) ?? []);
  }

  #setNow(key: string, { form, value }: FormedValue, options: SetOptions | undefined): number {
    if (this.#ended) throw this.#ended;
    const { exchangeWords: words, exchangeDoubles: doubles, value: room } = this.#memory;
    if (this.#memory.setKey(key) === 0) throw this.#keyError();
    const bytes = typeof value === 'string' ? this.#putText(value) : value.length;
    if (bytes > this.shape.recordBytes) throw this.#tooLarge(bytes);
    if (typeof value !== 'string') room.set(value);
    words[exchangePlaces.form >>> 2] = cacheForms.indexOf(form);
    words[exchangePlaces.valueBytes >>> 2] = bytes;
    doubles[exchangePlaces.nowMs >>> 3] = this.#now();
    const { ttlMs = 0, stamp = 0, revision = -1 } = options ?? {};
    if (ttlMs !== 0) this.#checkLife(ttlMs);
    doubles[exchangePlaces.ttlMs >>> 3] = ttlMs;
    doubles[exchangePlaces.stamp >>> 3] = stamp;
    doubles[exchangePlaces.revision >>> 3] = revision;
    const answer = this.#attempt(() => this.native.set());
    if (this.#catchers.size > 0) {
      const evicted = this.#memory.takeEvicted();
      if (evicted) this.#handOver(evicted);
    }
    return answer;
  }

  /** @returns its bytes. */
  #putText(text: string): number {
    const { recordBytes } = this.shape;
    const written = (this.#memory.value as Buffer).write(text, 0, recordBytes, 'utf8');
    // It stops before a character that has no room.
    return written > recordBytes - 4 || text.length > recordBytes ? Buffer.byteLength(text) : written;
  }

  /** A call about a key, as soon as the lock is free. */
  #change(
    key: string,
    call: () => number,
    { revision, stamp, ttlMs }: Required<DeleteOptions>,
  ): Promise<number> {
    return this.#untilUnlocked(() => {
      this.#check();
      const { exchangeDoubles: doubles } = this.#memory;
      if (this.#memory.setKey(key) === 0) throw this.#keyError();
      doubles[exchangePlaces.nowMs >>> 3] = this.#now();
      doubles[exchangePlaces.ttlMs >>> 3] = ttlMs;
      doubles[exchangePlaces.stamp >>> 3] = stamp;
      doubles[exchangePlaces.revision >>> 3] = revision;
      return this.#attempt(call);
    });
  }

  /** @returns one of `cacheAnswers`; whoever is to be told of it has been. */
  #attempt(call: () => number): number {
    let answer: number;
    try {
      answer = call();
    } catch (error) {
      throw this.#refusal(error);
    }
    if (answer < cacheRingsDue) return answer;
    this.#ringOthers();
    return answer - cacheRingsDue;
  }

  /** Repeats a call while it answers `locked`. @throws {IpcError} ERR_LOCK_TIMEOUT. */
  async #untilUnlocked(call: () => number): Promise<number> {
    const since = performance.now();
    for (let pauseMs = 0; ; pauseMs = Math.min(lockPauseMaxMs, pauseMs * 2 || 1)) {
      this.#check();
      const answer = call();
      if (answer !== locked) return answer;
      if (performance.now() - since > this.#lockTimeoutMs)
        throw IpcError.of('ERR_LOCK_TIMEOUT', `cache ${this.name}`, this.#lockTimeoutMs);
      await pause(pauseMs);
    }
  }

  /** The same for a call that throws LOCKED. */
  async #whenUnlocked<T>(call: () => T): Promise<T> {
    let result: T;
    await this.#untilUnlocked(() => {
      try {
        result = call();
        this.#ringOthers();
        return done;
      } catch (error) {
        if (nativeCode(error) === 'LOCKED') return locked;
        throw this.#refusal(error);
      }
    });
    return result!;
  }

  #ringOthers(): void {
    for (const slot of this.native.takeRings())
      if (slot === this.native.slot) setImmediate(() => this.#look());
      else this.#bell?.ring(this.#bellPath(slot), whyRung);
  }

  /** Hands over what has happened, and has us rung for what comes. */
  #look(): void {
    if (this.#ended || !this.#changes) return;
    this.#memory.setPrefix(Buffer.from(commonPrefix([...this.#watches].map(({ prefix }) => prefix))));
    // First armed, then looked: what happens in between rings for nothing. While the lock is held, the timer looks again.
    if (this.#attempt(() => this.native.arm()) === locked) setImmediate(() => this.#lookIfHeld());
    else this.#lockHeldSince = undefined;
    this.#changes?.read((event) => {
      for (const { prefix, listener } of [...this.#watches])
        if (event.type === 'lost' || event.key.startsWith(prefix)) listener(event);
    });
  }

  /** The lock was held when we wanted to arm: once more on a later turn, then the timer does. */
  #lookIfHeld(): void {
    if (this.#lockHeldSince !== undefined) return;
    this.#lockHeldSince = performance.now();
    this.#look();
  }

  #checkGeneration(): void {
    const current = this.#place.currentGeneration();
    if (current === undefined || current === this.generation || this.#ended) return;
    this.#closing ??= this.#close(IpcError.of('ERR_CACHE_REPLACED', this.name, this.generation));
  }

  #check(): void {
    if (this.#ended) throw this.#ended;
  }

  #checkLife(ttlMs: number): void {
    if (!(ttlMs >= 0 && ttlMs < Number.POSITIVE_INFINITY))
      throw IpcError.of('ERR_OPTIONS_INVALID', `cache ${this.name}`, `ttlMs ${ttlMs} is no time`);
  }

  #keyError(): IpcError {
    return IpcError.of('ERR_CACHE_ENTRY', this.name, `its key needs 1 to ${keyBytesMax} bytes`);
  }

  #tooLarge(bytes: number): IpcError {
    const { recordBytes } = this.shape;
    return IpcError.of(
      'ERR_CACHE_ENTRY',
      this.name,
      `its value has ${bytes} bytes, ${recordBytes} have room`,
    );
  }

  /** What the addon threw, as an error of ours. */
  #refusal(error: unknown): unknown {
    const code = nativeCode(error);
    if (code === 'FULL') return IpcError.from(error, 'ERR_CACHE_FULL', this.name, cacheUsersMax);
    if (code === 'BAD_LAYOUT') return this.#end(error);
    return this.#ended ?? error;
  }

  #broken(): never {
    throw this.#end(new Error('its records make no sense'));
  }

  #end(error: unknown): IpcError {
    const why = IpcError.from(error, 'ERR_CACHE_BROKEN', this.name, messageOf(error));
    this.#closing ??= this.#close(why);
    return this.#ended ?? why;
  }

  async #close(why: IpcError): Promise<void> {
    this.#ended = why;
    clearInterval(this.#lookTimer);
    clearInterval(this.#sweepTimer);
    this.#watches.clear();
    this.#changes = undefined;
    this.#place.close();
    await this.#leave();
    this.#bell?.close();
    this.native.close();
    this.onClosed?.();
  }

  /** Gives our slot back. What the lock keeps us from, others do once this process has ended. */
  async #leave(): Promise<void> {
    const { slot } = this.native;
    if (slot < 0) return;
    const until = performance.now() + this.#lockTimeoutMs;
    for (let pauseMs = 1; performance.now() < until; pauseMs = Math.min(lockPauseMaxMs, pauseMs * 2)) {
      try {
        // Before the slot is given back: its next user has a bell of the same name.
        this.#place.removeBell(this.generation, slot);
        this.native.leave();
        return;
      } catch (error) {
        if (nativeCode(error) !== 'LOCKED') return;
      }
      await pause(pauseMs);
    }
  }

  #bellPath(slot: number): string {
    return this.#place.bellPath(this.generation, slot);
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    if (ms === 0) setImmediate(resolve);
    else setTimeout(resolve, ms);
  });
}

/** The encoder's memory is used again before the lock is free. */
function keep({ form, value }: FormedValue): FormedValue {
  return { form, value: typeof value === 'string' ? value : Uint8Array.from(value) };
}

function commonPrefix(texts: readonly string[]): string {
  let common = texts[0] ?? '';
  for (const text of texts) while (!text.startsWith(common)) common = common.slice(0, -1);
  // Half of a pair of surrogates is no character.
  return common.replace(/[\ud800-\udbff]$/, '');
}
