// SessionCacheManager: sessions by key, in the cache of this machine and in what stands downstream of it. A read is answered by
// the machine's own memory, else by one bounded question downstream, else by nothing; it never hangs.
//
// Order: every write and every delete carries a stamp (see src/spec/downstream.ts), and the cache itself refuses what is older
// than what it knows. So neither a late answer nor a copy from elsewhere brings back what was deleted.
import { createHash, timingSafeEqual } from 'node:crypto';
import { IpcError } from '../errors.ts';
import type { CacheEntry, CacheNews, CacheTombstone, Downstream, Forgotten } from '../spec/downstream.ts';
import { type Cache, monotonicMs } from '../transport/cache.ts';
import { formValue, readValue } from '../transport/cache-value.ts';

/** Options of a session cache, beside those of the cache that it is over. Times are in milliseconds. */
export interface ManagerOptions {
  /** How long a question downstream, or the news of a delete, may take; default 1000. */
  askTimeoutMs?: number;
  /** How long after its question an answer is still wanted; default 2 hours. */
  wantedMs?: number;
  /** No session lives longer, and one that is set without `ttlMs` lives that long. Tombstones live longer; default 24 hours. */
  sessionMaxMs?: number;
  /** After so long without contact downstream no session is known any more, since any could be deleted; default: never. */
  maxStaleMs?: number;
}

export const managerDefaults = {
  askTimeoutMs: 1_000,
  wantedMs: 7_200_000,
  sessionMaxMs: 86_400_000,
  maxStaleMs: Number.POSITIVE_INFINITY,
} as const satisfies Required<ManagerOptions>;

/** How much longer than a session its tombstone lives: a copy may be that long on its way, or come from a slower clock. */
const tombstoneMarginMs = 60_000;
/** Questions, and writes on their way downstream; further ones are not asked, or dropped, and counted. */
const inFlightMax = 1024;
/** Keys that are wanted; the oldest are forgotten. */
const wantsMax = 20_000;
/** Deletes that could not be carried out yet. With more, no session is known until they are. */
const revokingMax = 65_536;
/** Until a stamp is greater than what is there. */
const stampTriesMax = 16;
/** Stamps in a millisecond. */
const stampsPerMs = 1024;

export interface ManagerStats {
  /** Questions asked downstream, and what became of them; `joined` shared the question of another call. */
  readonly asked: number;
  readonly joined: number;
  readonly answered: number;
  readonly unanswered: number;
  /** Not asked, since too many were under way. */
  readonly refused: number;
  /** Answers that came after their question's limit. */
  readonly late: number;
  readonly putsDropped: number;
  readonly wanted: number;
  readonly status: Downstream['status'] | 'none';
}

/** Who knows of a delete, and whether the key was here. */
export interface Deleted extends Forgotten {
  readonly existed: boolean;
}

/** The names and answers of the manager that this one takes the place of. */
export interface SeedSurface {
  set(key: string, value: unknown): Promise<boolean>;
  /** A text, since `set` makes JSON of all else; false if it is not known. */
  get(key: string): Promise<string | false>;
  delete(key: string): Promise<void>;
  hash_set(key: string, value: unknown): Promise<string>;
  check_hash(hash: string, value: unknown): boolean;
  application_set_key_notify(key: string, handler: (key: string, value: unknown) => void): void;
}

/** Sessions by key: first from the cache of this machine, then from what stands downstream; a delete is told to all. */
export class SessionCacheManager implements AsyncDisposable {
  readonly #cache: Cache<unknown>;
  readonly #downstream: Downstream | undefined;
  readonly #options: Required<ManagerOptions>;
  readonly #nowMs: () => number;
  readonly #wallMs: () => number;
  readonly #asking = new Map<string, Promise<unknown>>();
  /** Since when each is wanted. */
  readonly #wants = new Map<string, number>();
  readonly #handlers = new Map<string, (key: string, value: unknown) => void>();
  /** Deletes that the lock of the cache keeps us from: these keys are as good as gone. */
  readonly #revoking = new Map<string, CacheTombstone>();
  readonly #unsubscribe: () => void;
  #closed = false;
  readonly #counts = { asked: 0, joined: 0, answered: 0, unanswered: 0, refused: 0, late: 0, putsDropped: 0 };
  #putting = 0;
  #lastStamp = 0;

  constructor(
    cache: Cache<unknown>,
    downstream?: Downstream,
    options: ManagerOptions = {},
    clocks: { nowMs: () => number; wallMs: () => number } = { nowMs: monotonicMs(), wallMs: Date.now },
  ) {
    this.#cache = cache;
    this.#downstream = downstream;
    this.#options = { ...managerDefaults, ...options };
    this.#nowMs = clocks.nowMs;
    this.#wallMs = clocks.wallMs;
    if (cache.shape.tombstones === 0)
      throw IpcError.of('ERR_OPTIONS_INVALID', `cache ${cache.name}`, 'a session cache needs tombstones');
    this.#unsubscribe = downstream?.onNews((news) => this.#hear(news)) ?? (() => {});
    // Others may not have heard of them: who deleted them here may have died before it could tell.
    downstream?.remember?.(this.#buried());
  }

  /**
   * Stores a session here and sends it downstream. With `confirmed` it waits, at most `askTimeoutMs`, until the next node has it:
   * then it is known at the other front ends, and is not lost with this process.
   * @returns false if somebody else sets and deletes it faster than we can.
   * @throws {IpcError} ERR_CACHE_ENTRY, ERR_OPTIONS_INVALID for a life above `sessionMaxMs`, ERR_LOCK_TIMEOUT, ERR_CACHE_CLOSED.
   */
  async set(
    key: string,
    value: unknown,
    { ttlMs = this.#options.sessionMaxMs, confirmed = false } = {},
  ): Promise<boolean> {
    if (!(ttlMs > 0 && ttlMs <= this.#options.sessionMaxMs))
      throw IpcError.of(
        'ERR_OPTIONS_INVALID',
        `session ${key}`,
        `ttlMs is above 0 and at most sessionMaxMs, ${this.#options.sessionMaxMs}`,
      );
    const formed = formValue(this.#cache.name, value);
    const bytes = Uint8Array.from(
      typeof formed.value === 'string' ? Buffer.from(formed.value) : formed.value,
    );
    const kept = { form: formed.form, value: typeof formed.value === 'string' ? formed.value : bytes };
    for (let i = 0; i < stampTriesMax; i++) {
      const stamp = this.#nextStamp(this.#cache.look(key)?.stamp);
      if (await this.#cache.setFormed(key, kept, { ttlMs, stamp })) {
        this.#wants.delete(key);
        const put = this.#put(key, { value: bytes, form: formed.form, stamp, ttlMs });
        if (confirmed) await put;
        return true;
      }
      this.#lastStamp = Math.max(this.#lastStamp, (await this.#cache.stats()).floor);
    }
    return false;
  }

  /** The session, from here or from downstream; undefined if nobody tells it within `askTimeoutMs`. */
  async get(key: string): Promise<unknown> {
    if (this.#stale() || this.#revoking.has(key)) return undefined;
    const here = this.#cache.get(key);
    if (here !== undefined) return here;
    if (!this.#downstream || this.#cache.look(key)?.form === 'forgotten') return undefined;
    const asked = this.#asking.get(key);
    if (asked) {
      this.#counts.joined++;
      return asked;
    }
    if (this.#downstream.status === 'lost' || this.#asking.size >= inFlightMax) {
      this.#counts.refused++;
      this.#want(key);
      return undefined;
    }
    const answer = this.#ask(key, this.#downstream).finally(() => this.#asking.delete(key));
    this.#asking.set(key, answer);
    return answer;
  }

  /**
   * Deletes the session here at once, and everywhere downstream. Where it could not be told in time, it is told later.
   * @throws {IpcError} ERR_CACHE_ENTRY, ERR_LOCK_TIMEOUT (it is gone from here all the same), ERR_CACHE_CLOSED.
   */
  async delete(key: string): Promise<Deleted> {
    const existed = this.#cache.has(key);
    const tombstone = await this.#bury(key, {
      deleted: true,
      stamp: this.#nextStamp(this.#cache.look(key)?.stamp),
      ttlMs: this.#options.sessionMaxMs + tombstoneMarginMs,
    });
    this.#wants.delete(key);
    if (!this.#downstream) return { existed, acknowledged: 0, missing: [] };
    try {
      return { existed, ...(await this.#downstream.forget(key, tombstone, this.#limit())) };
    } catch {
      return { existed, acknowledged: 0, missing: [this.#downstream.name ?? 'downstream'] };
    }
  }

  /** Stores the SHA-256 of a value under the key, and answers it, 64 hex digits. */
  async hashSet(key: string, value: unknown): Promise<string> {
    const hash = hashOf(value);
    await this.set(key, hash);
    return hash;
  }

  /** Whether that is the hash of the value. */
  checkHash(hash: string, value: unknown): boolean {
    const own = Buffer.from(hashOf(value));
    const other = Buffer.from(hash);
    return own.length === other.length && timingSafeEqual(own, other);
  }

  /** Calls back when a session that `get` did not find becomes known after all, once each time. @returns how to end it. */
  notifyKey(key: string, handler: (key: string, value: unknown) => void): () => void {
    this.#handlers.set(key, handler);
    return () => {
      if (this.#handlers.get(key) === handler) this.#handlers.delete(key);
    };
  }

  /** As `hashSet`. */
  hash_set(key: string, value: unknown): Promise<string> {
    return this.hashSet(key, value);
  }

  /** As `checkHash`. */
  check_hash(hash: string, value: unknown): boolean {
    return this.checkHash(hash, value);
  }

  /** As `notifyKey`. */
  application_set_key_notify(key: string, handler: (key: string, value: unknown) => void): void {
    this.notifyKey(key, handler);
  }

  /** For programs of the manager that this one takes the place of. */
  seedSurface(): SeedSurface {
    return {
      set: (key, value) => this.set(key, textOf(value)),
      get: async (key) => {
        const value = await this.get(key);
        return value === undefined ? false : textOf(value);
      },
      delete: async (key) => {
        await this.delete(key);
      },
      hash_set: (key, value) => this.hashSet(key, value),
      check_hash: (hash, value) => this.checkHash(hash, value),
      application_set_key_notify: (key, handler) => {
        this.notifyKey(key, handler);
      },
    };
  }

  /** Counts of what was asked and found, and how the link downstream is. */
  stats(): ManagerStats {
    return { ...this.#counts, wanted: this.#wants.size, status: this.#downstream?.status ?? 'none' };
  }

  /** Asks and hears nothing any more; the cache is closed here too. Closing twice is fine. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#unsubscribe();
    await this.#cache.close();
  }

  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #buried(): [string, CacheTombstone][] {
    return [...this.#cache.forgotten()].flatMap((key): [string, CacheTombstone][] => {
      const { form, stamp, ttlMs } = this.#cache.look(key) ?? {};
      if (form !== 'forgotten' || !stamp || !ttlMs) return [];
      return [[key, { deleted: true, stamp, ttlMs: Math.ceil(ttlMs) }]];
    });
  }

  /** Any session could have been deleted without our hearing of it. */
  #stale(): boolean {
    if (this.#revoking.size > revokingMax) return true;
    return this.#downstream !== undefined && this.#downstream.silentMs > this.#options.maxStaleMs;
  }

  async #ask(key: string, downstream: Downstream): Promise<unknown> {
    this.#counts.asked++;
    const limit = this.#limit();
    let answer: CacheEntry | CacheTombstone | undefined;
    try {
      answer = await within(downstream.ask(key, limit), limit);
    } catch {
      // Late, or the link is lost: the answer may still come as news.
    }
    if (answer === undefined) {
      this.#counts.unanswered++;
      this.#want(key);
      return undefined;
    }
    this.#counts.answered++;
    if ('deleted' in answer) {
      await this.#bury(key, answer);
      return undefined;
    }
    await this.#keep(key, answer);
    // What is here now, which may be newer than the answer, or a delete that came in between.
    return this.#revoking.has(key) ? undefined : this.#cache.get(key);
  }

  /** Stores what came from elsewhere, unless something newer is known. */
  async #keep(key: string, { value, form, stamp, ttlMs }: CacheEntry): Promise<boolean> {
    this.#lastStamp = Math.max(this.#lastStamp, stamp);
    const formed = { form, value: form === 'text' ? Buffer.from(value).toString() : value };
    const lifeMs = Math.min(ttlMs ?? Number.POSITIVE_INFINITY, this.#options.sessionMaxMs);
    return lifeMs > 0 && (await this.#cache.setFormed(key, formed, { ttlMs: lifeMs, stamp }));
  }

  /** Deletes the key here, with a tombstone that is newer than what is here. @returns that tombstone. */
  async #bury(key: string, { stamp, ttlMs }: CacheTombstone): Promise<CacheTombstone> {
    this.#lastStamp = Math.max(this.#lastStamp, stamp);
    const tombstone: CacheTombstone = { deleted: true, stamp, ttlMs };
    this.#revoking.set(key, tombstone);
    await this.#cache.delete(key, { stamp, ttlMs });
    if (this.#revoking.get(key) === tombstone) this.#revoking.delete(key);
    return tombstone;
  }

  #hear(news: CacheNews): void {
    if (this.#closed) return;
    if (news.type === 'entry.deleted') return void this.#revoke(news.key, news.tombstone);
    const wanted = this.#isWanted(news.key);
    if (news.type === 'entry.found' && !wanted) return;
    if (this.#putting >= inFlightMax) {
      this.#counts.putsDropped++;
      return;
    }
    this.#putting++;
    this.#keep(news.key, news.entry)
      .then((kept) => {
        if (!wanted || !kept) return;
        if (news.type === 'entry.found') this.#counts.late++;
        this.#wants.delete(news.key);
        this.#handlers.get(news.key)?.(news.key, readValue(this.#cache.name, formedOf(news.entry)));
      })
      .catch(() => {
        // Too large for this cache, or the lock could not be had: it can be asked for again.
        this.#counts.putsDropped++;
      })
      .finally(() => {
        this.#putting--;
      });
  }

  /** A delete from elsewhere: until it is carried out, the key is not known here. */
  async #revoke(key: string, tombstone: CacheTombstone): Promise<void> {
    while (!this.#cache.ended && !this.#closed) {
      try {
        await this.#bury(key, tombstone);
        return;
      } catch (error) {
        if (!(error instanceof IpcError && error.code === 'ERR_LOCK_TIMEOUT')) return;
      }
    }
  }

  /** Never fails: what could not be told is counted. */
  async #put(key: string, entry: CacheEntry): Promise<void> {
    if (!this.#downstream) return;
    if (this.#downstream.status === 'lost' || this.#putting >= inFlightMax) {
      this.#counts.putsDropped++;
      return;
    }
    this.#putting++;
    const limit = this.#limit();
    try {
      await within(this.#downstream.put(key, entry, limit), limit);
    } catch {
      this.#counts.putsDropped++;
    } finally {
      this.#putting--;
    }
  }

  #want(key: string): void {
    this.#wants.delete(key);
    this.#wants.set(key, this.#nowMs());
    if (this.#wants.size > wantsMax) this.#wants.delete(this.#wants.keys().next().value!);
  }

  #isWanted(key: string): boolean {
    const since = this.#wants.get(key);
    if (since === undefined) return false;
    if (this.#nowMs() - since < this.#options.wantedMs) return true;
    this.#wants.delete(key);
    return false;
  }

  /** Greater than all that we have seen, and than what is there; as near to the time of day as that allows. */
  #nextStamp(there = 0): number {
    this.#lastStamp = Math.max(this.#wallMs() * stampsPerMs, this.#lastStamp + 1, there + 1);
    return this.#lastStamp;
  }

  #limit(): AbortSignal {
    return AbortSignal.timeout(this.#options.askTimeoutMs);
  }
}

/** The promise, or the reason of the signal if that is first: nobody downstream can make us wait longer. */
function within<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

function formedOf({ form, value }: CacheEntry) {
  return { form, value: form === 'text' ? Buffer.from(value).toString() : value };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function hashOf(value: unknown): string {
  return createHash('sha256')
    .update(value instanceof Uint8Array ? value : textOf(value))
    .digest('hex');
}
