// Cache memory: the table of a cache as JavaScript reads it, without a lock and without a call. What keeps it right is said in
// cpp/shm/cache_shard.h: a record is only written while it stands in no chain, and its version tells who stood on it meanwhile.
// Every number here was written by some process: it is read once, checked, and then used.
import type { CacheForm } from '../spec/downstream.ts';
import { keyHash } from './key-hash.ts';
import { evictedPlaces, exchangePlaces, type NativeCache, type NativeCacheShape } from './native-cache.ts';

/** In words of a record: see CacheRecord. */
const recordWords = { hash: 1, next: 2, shape: 3, mark: 4 } as const;
/** In doubles of a record. */
const recordDoubles = { expiresMs: 4, usedMs: 5, revision: 6, stamp: 7 } as const;
const recordHeaderBytes = 64;
export const cacheForms: readonly CacheForm[] = ['bytes', 'text', 'msgpack'];
const forgottenForm = 3;
export const keyBytesMax = 255;
/** Steps beyond the number of records after which a chain makes no sense; each new walk is the progress of a writer. */
const stepsMore = 100_000;
/** A last use is noted again once it is this part of `agedOutMs` old, so that readers seldom write. */
const useParts = 64;

/** One small value that is kept keeps this much. */
const poolBytes = 16 * 1024;

const fenceWord = new Int32Array(new SharedArrayBuffer(4));
/** What was read before it is not read after it: a full barrier, as nothing else in the language is one. */
export function fence(): void {
  Atomics.add(fenceWord, 0, 0);
}

/** What `read` has found. */
export interface FoundRecord {
  /** `forgotten`: a tombstone. */
  form: CacheForm | 'forgotten';
  /** A text, or bytes of our own. */
  value: string | Uint8Array;
  expiresMs: number;
  revision: number;
  stamp: number;
}

/** A record that had to go, as it was. */
export interface EvictedBytes {
  readonly key: string;
  readonly form: CacheForm;
  readonly value: Uint8Array;
  readonly stamp: number;
  /** What is left of its life; 0: no end. */
  readonly ttlMs: number;
  readonly cause: 'room' | 'age';
}

export class CacheMemory {
  readonly shape: NativeCacheShape;
  /** A record that nobody has used for too long is found until it is removed; using it makes it young again. */
  findsAged = false;
  /** The bytes of the value that the next call sets. */
  readonly value: Uint8Array;
  readonly exchangeDoubles: Float64Array;
  readonly exchangeWords: Int32Array;
  readonly found: FoundRecord = { form: 'bytes', value: '', expiresMs: 0, revision: 0, stamp: 0 };
  readonly words: Int32Array;
  readonly bytes: Buffer;

  readonly #plain: Uint8Array;
  readonly #doubles: Float64Array;
  readonly #exchange: Buffer;
  readonly #shards: number;
  readonly #records: number;
  readonly #bucketMask: number;
  readonly #useAgainMs: number;
  readonly #hitsAt: number;
  #pool = new Uint8Array(poolBytes);
  #poolUsed = 0;
  #keyBytes = 0;
  #hash = 0;
  #hits = 0;
  #misses = 0;
  /** Word of the record that `#locate` has found, and the version that it had. */
  #version = 0;

  /** REQUIRES: we have joined. */
  constructor(native: NativeCache) {
    const { memory, exchange, shape } = native;
    this.shape = shape;
    this.words = new Int32Array(memory, 0, memory.byteLength >>> 2);
    this.bytes = Buffer.from(memory);
    this.#plain = new Uint8Array(memory);
    this.#doubles = new Float64Array(memory, 0, memory.byteLength >>> 3);
    this.exchangeDoubles = new Float64Array(exchange, 0, exchange.byteLength >>> 3);
    this.exchangeWords = new Int32Array(exchange, 0, exchange.byteLength >>> 2);
    this.#exchange = Buffer.from(exchange);
    this.value = this.#exchange.subarray(exchangePlaces.value, exchangePlaces.value + shape.recordBytes);
    this.#shards = shape.shards;
    this.#records = shape.records;
    this.#bucketMask = shape.buckets - 1;
    this.#useAgainMs = shape.agedOutMs / useParts;
    this.#hitsAt = (shape.usersOffset + native.slot * shape.userBytes + shape.userHitsOffset) >>> 3;
  }

  /** Writes a key into the exchange, for the call or the look that follows. @returns its bytes; 0 for one that can't be. */
  setKey(key: string): number {
    const exchange = this.#exchange;
    const { length } = key;
    let count = 0;
    if (length <= keyBytesMax) {
      // A text of ASCII is copied here faster than any encoder is called.
      for (; count < length; count++) {
        const code = key.charCodeAt(count);
        if (code > 127) break;
        exchange[exchangePlaces.key + count] = code;
      }
      if (count < length) count = this.#encode(key);
    }
    this.exchangeWords[exchangePlaces.keyBytes >>> 2] = count;
    if (count === 0) return 0;
    for (let at = count; (at & 3) !== 0; at++) exchange[exchangePlaces.key + at] = 0;
    this.#keyBytes = count;
    this.#hash = keyHash(this.exchangeWords, exchange, exchangePlaces.key >>> 2, count, this.shape.seed);
    return count;
  }

  /** Writes the start of a prefix, which may be empty, as far as there is room. */
  setPrefix(prefix: Uint8Array): void {
    const count = Math.min(prefix.length, keyBytesMax);
    this.#exchange.set(prefix.subarray(0, count), exchangePlaces.key);
    this.exchangeWords[exchangePlaces.keyBytes >>> 2] = count;
  }

  /**
   * Looks for the key in the exchange; what is there stands in `found`, a value only if `copies`, a text as its bytes if
   * `asBytes`. With `counts` it is counted, and marked as used.
   * @returns false if it is not there, or its time is over; undefined if the memory makes no sense.
   */
  read(nowMs: number, copies: boolean, counts: boolean, asBytes = false): boolean | undefined {
    for (let left = this.#records + stepsMore; left > 0; ) {
      left = this.#locate(left);
      const at = this.#at;
      if (at < 0) break;
      if (at === 0) return this.#missed(counts);
      if (!this.#take(at, copies, asBytes)) {
        left--;
        continue;
      }
      const { found } = this;
      if (found.expiresMs !== 0 && found.expiresMs <= nowMs) return this.#missed(counts);
      if (found.form === 'forgotten') return counts ? this.#missed(true) : true;
      if (this.#useAgainMs !== 0 && this.#tooOld(at, nowMs, counts)) return this.#missed(counts);
      if (!counts) return true;
      // A hint of ours; should the record be another's by now, that one is marked.
      if (this.words[at + recordWords.mark] === 0) this.words[at + recordWords.mark] = 1;
      this.#hits++;
      this.#doubles[this.#hitsAt] = this.#hits;
      return true;
    }
    return undefined;
  }

  /** Records that are there, as far as anybody knows without the lock. */
  get live(): number {
    return this.#sumOf(this.shape.liveOffset);
  }

  /** Tombstones that are there. */
  get dead(): number {
    return this.#sumOf(this.shape.deadOffset);
  }

  /** The greatest stamp of a tombstone that had to go before its time; it only rises. */
  get floor(): number {
    let floor = 0;
    for (let shard = 0; shard < this.#shards; shard++) {
      const at = this.#shardWord(shard, this.shape.floorOffset);
      const high = Atomics.load(this.words, at + 1) >>> 0;
      const low = Atomics.load(this.words, at) >>> 0;
      floor = Math.max(floor, high * 2 ** 32 + low);
    }
    return floor;
  }

  /** What the last call has evicted; once. */
  takeEvicted(): EvictedBytes | undefined {
    const { evictedOffset } = this.shape;
    const word = evictedOffset >>> 2;
    const keyBytes = this.exchangeWords[word + (evictedPlaces.keyBytes >>> 2)]!;
    if (keyBytes === 0) return undefined;
    this.exchangeWords[word + (evictedPlaces.keyBytes >>> 2)] = 0;
    const doubles = evictedOffset >>> 3;
    const key = evictedOffset + evictedPlaces.key;
    const value = evictedOffset + evictedPlaces.value;
    const count = this.exchangeWords[word + (evictedPlaces.valueBytes >>> 2)]!;
    return {
      key: this.#exchange.toString('utf8', key, key + keyBytes),
      form: cacheForms[this.exchangeWords[word + (evictedPlaces.form >>> 2)]!] ?? 'bytes',
      value: Uint8Array.prototype.slice.call(this.#exchange, value, value + count),
      stamp: this.exchangeDoubles[doubles + (evictedPlaces.stamp >>> 3)]!,
      ttlMs: this.exchangeDoubles[doubles]!,
      cause: this.exchangeWords[word + (evictedPlaces.aged >>> 2)] === 1 ? 'age' : 'room',
    };
  }

  /** The keys of one bucket of one shard. @returns undefined if the memory makes no sense. */
  keysOf(shard: number, bucket: number, forgotten = false): string[] | undefined {
    for (let left = this.#records + stepsMore; left > 0; left--) {
      const keys: string[] = [];
      let number = Atomics.load(this.words, this.#bucketWord(shard, bucket));
      for (; number > 0 && number <= this.#records && left > 0; left--) {
        const at = this.#recordWord(shard, number);
        const version = Atomics.load(this.words, at);
        const hash = this.words[at + recordWords.hash]!;
        const next = this.words[at + recordWords.next]!;
        const shape = this.words[at + recordWords.shape]!;
        const start = (at << 2) + recordHeaderBytes;
        const key = this.bytes.toString('utf8', start, start + (shape & 0xff));
        fence();
        if (!this.#stands(at, version, hash, bucket)) break;
        if ((((shape >>> 8) & 3) === forgottenForm) === forgotten) keys.push(key);
        number = next;
      }
      if (number === 0) return keys;
    }
    return undefined;
  }

  #at = 0;

  /** Sets `#at` to the record of the key, 0 for none, below 0 for too many steps. @returns the steps that are left. */
  #locate(steps: number): number {
    const { words } = this;
    const hash = this.#hash | 0;
    const bucket = this.#hash & this.#bucketMask;
    const shard = this.#shards === 1 ? 0 : (Math.imul(this.#hash, 0x9e3779b1) >>> 16) % this.#shards;
    const bucketWord = this.#bucketWord(shard, bucket);
    let left = steps;
    for (; left > 0; left--) {
      let number = Atomics.load(words, bucketWord);
      for (; number > 0 && number <= this.#records && left > 0; left--) {
        const at = this.#recordWord(shard, number);
        const version = Atomics.load(words, at);
        const seen = words[at + recordWords.hash]!;
        if (
          seen === hash &&
          (words[at + recordWords.shape]! & 0xff) === this.#keyBytes &&
          this.#sameKey(at + (recordHeaderBytes >>> 2))
        ) {
          if ((version & 1) !== 0) break;
          this.#at = at;
          this.#version = version;
          return left;
        }
        const next = words[at + recordWords.next]!;
        fence();
        if (!this.#stands(at, version, seen, bucket)) break;
        number = next;
      }
      if (number === 0) {
        this.#at = 0;
        return left;
      }
    }
    this.#at = -1;
    return 0;
  }

  /** Whether what was just read of a record belongs together, and to this bucket. */
  #stands(at: number, version: number, hash: number, bucket: number): boolean {
    return (
      (version & 1) === 0 &&
      Atomics.load(this.words, at) === version &&
      ((hash ^ bucket) & this.#bucketMask) === 0
    );
  }

  /** Reads the record that was located. @returns false if it was written meanwhile. */
  #take(at: number, copies: boolean, asBytes: boolean): boolean {
    const { found, bytes } = this;
    const shape = this.words[at + recordWords.shape]!;
    const form = (shape >>> 8) & 3;
    const length = shape >>> 10;
    if (length > this.shape.recordBytes || (shape & 0xff) !== this.#keyBytes) return false;
    found.form = form === forgottenForm ? 'forgotten' : cacheForms[form]!;
    if (copies) {
      const start = (at << 2) + recordHeaderBytes + ((this.#keyBytes + 7) & ~7);
      found.value =
        form === 1 && !asBytes
          ? bytes.toString('utf8', start, start + length)
          : this.#copyOf(start, start + length);
    }
    const first = at >>> 1;
    found.expiresMs = this.#doubles[first + recordDoubles.expiresMs]!;
    found.revision = this.#doubles[first + recordDoubles.revision]!;
    found.stamp = this.#doubles[first + recordDoubles.stamp]!;
    fence();
    return Atomics.load(this.words, at) === this.#version;
  }

  #tooOld(at: number, nowMs: number, use: boolean): boolean {
    const used = (at >>> 1) + recordDoubles.usedMs;
    const idleMs = nowMs - this.#doubles[used]!;
    if (idleMs >= this.shape.agedOutMs && !this.findsAged) return true;
    if (use && idleMs > this.#useAgainMs) this.#doubles[used] = nowMs;
    return false;
  }

  #missed(counts: boolean): false {
    if (counts) this.#doubles[this.#hitsAt + 1] = ++this.#misses;
    return false;
  }

  #sameKey(word: number): boolean {
    const { words, exchangeWords } = this;
    for (let i = 0, end = (this.#keyBytes + 3) >>> 2; i < end; i++)
      if (words[word + i] !== exchangeWords[(exchangePlaces.key >>> 2) + i]) return false;
    return true;
  }

  #shardWord(shard: number, offset: number): number {
    return (this.shape.shardsOffset + shard * this.shape.shardBytes + offset) / 4;
  }

  #sumOf(offset: number): number {
    let sum = 0;
    for (let shard = 0; shard < this.#shards; shard++)
      sum += Atomics.load(this.words, this.#shardWord(shard, offset)) >>> 0;
    return sum;
  }

  #bucketWord(shard: number, bucket: number): number {
    const { shardsOffset, shardBytes, bucketsOffset } = this.shape;
    return (shardsOffset + shard * shardBytes + bucketsOffset) / 4 + bucket;
  }

  #recordWord(shard: number, number: number): number {
    const { shardsOffset, shardBytes, recordsOffset, recordStride } = this.shape;
    return (shardsOffset + shard * shardBytes + recordsOffset + (number - 1) * recordStride) / 4;
  }

  /** Bytes of our own. Small ones share a buffer, since one for each costs more than all the rest of a read. */
  #copyOf(start: number, end: number): Uint8Array {
    const length = end - start;
    if (length > poolBytes / 8) return this.#plain.slice(start, end);
    if (this.#poolUsed + length > poolBytes) {
      this.#pool = new Uint8Array(poolBytes);
      this.#poolUsed = 0;
    }
    const at = this.#poolUsed;
    this.#poolUsed += (length + 7) & ~7;
    this.#pool.set(this.#plain.subarray(start, end), at);
    return this.#pool.subarray(at, at + length);
  }

  #encode(key: string): number {
    const target = this.#exchange.subarray(exchangePlaces.key, exchangePlaces.key + keyBytesMax);
    const { read, written } = encoder.encodeInto(key, target);
    return read === key.length ? written : 0;
  }
}

const encoder = new TextEncoder();
