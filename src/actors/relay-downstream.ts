// Relay downstream: what stands behind a session cache, reached by a relay. A delete that could not be told is kept and told when
// there is a link again; what others have deleted meanwhile is heard first.
import { setMaxListeners } from 'node:events';
import { IpcError } from '../errors.ts';
import type { CacheEntry, CacheNews, CacheTombstone, Downstream, Forgotten } from '../spec/downstream.ts';
import type { RelayHold } from '../spec/relay.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { parseFound, parseKeyedEntry, parseKeyedTombstone, sensible } from '../transport/entry-frame.ts';
import { type KeyHasher, keyHasher } from '../transport/placement-hash.ts';
import type { RelayMember } from '../transport/relay-member.ts';
import { type Call, waiting } from '../transport/waiting.ts';
import { KnownDeletes } from './known-deletes.ts';
import { syncTombstones } from './tombstone-sync.ts';

/** An answer that comes later than its asker waits is still news, for so long. */
const lateMs = 30_000;
/** A call without an end of its own. */
const longMs = 60_000;
/** Until two nodes try again to tell each other their deletes. */
const syncAgainMs = 1_000;
/** Options of `connectDownstream`, beside those of its link. */
export interface RelayDownstreamOptions {
  /** As all nodes of the relay have it. Default 0. */
  readonly seed?: bigint | number;
  /** Deletes that are remembered, to tell them to a relay that has forgotten. */
  readonly tombstonesMax?: number;
  /** What stands among those that are missing while there is no link. Default: where the relay is. */
  readonly name?: string;
}

/** What stands downstream of a session cache: a relay, which is asked for what is not here and told of what is deleted. */
export class RelayDownstream implements Downstream, AsyncDisposable {
  readonly name: string;
  readonly #relay: RelayMember;
  readonly #hasher: KeyHasher;
  readonly #deletes: KnownDeletes;
  readonly #holds: RelayHold[] = [];
  readonly #closing = new AbortController();
  #syncing: AbortController | undefined;
  /** Whether all deletes are known that the relay remembers. */
  #synced = false;
  readonly #forSync = new Set<Call<void>>();
  /** When that was so last; undefined: never. */
  #syncedAtMs: number | undefined;

  private constructor(relay: RelayMember, hasher: KeyHasher, name: string, tombstonesMax?: number) {
    this.name = name;
    this.#relay = relay;
    this.#hasher = hasher;
    this.#deletes = new KnownDeletes(tombstonesMax);
    // Each question that is under way listens to it.
    setMaxListeners(0, this.#closing.signal);
  }

  /** @param relay a member of the relay, which is closed with this. */
  static async open(
    relay: RelayMember,
    { seed = 0, tombstonesMax, name = 'relay' }: RelayDownstreamOptions = {},
  ): Promise<RelayDownstream> {
    const downstream = new RelayDownstream(relay, await keyHasher(BigInt(seed)), name, tombstonesMax);
    downstream.#begin();
    return downstream;
  }

  get status(): 'connected' | 'lost' {
    return this.#relay.status === 'connected' ? 'connected' : 'lost';
  }

  get silentMs(): number {
    if (this.#synced) return this.#relay.silenceMs;
    return this.#syncedAtMs === undefined ? Number.POSITIVE_INFINITY : performance.now() - this.#syncedAtMs;
  }

  /**
   * Waits until there is a link, and it is known what was deleted elsewhere; at once if that is so.
   * @throws {IpcError} ERR_TIMEOUT, ERR_RELAY_CLOSED.
   */
  async connected(options: WaitOptions = {}): Promise<void> {
    const sinceMs = performance.now();
    await this.#relay.connected(options);
    if (this.#synced) return;
    const { timeoutMs = Number.POSITIVE_INFINITY } = options;
    const leftMs = Math.max(1, timeoutMs - (performance.now() - sinceMs));
    await waiting<void>(`what was deleted at ${this.name}`, { ...options, timeoutMs: leftMs }, (call) => {
      this.#forSync.add(call);
      return () => this.#forSync.delete(call);
    });
  }

  async ask(key: string, signal: AbortSignal): Promise<CacheEntry | CacheTombstone | undefined> {
    signal.throwIfAborted();
    const hash = this.#hasher(key);
    const answer = this.#relay
      .request('session.get', { key, hash }, { timeoutMs: lateMs, signal: this.#closing.signal })
      .then((body) => this.#deletes.checked(key, parseFound(body)));
    return this.#deletes.awaited(key, answer, signal);
  }

  async put(key: string, entry: CacheEntry, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.#refuseIfLost(`put of ${key}`);
    const body = { key, hash: this.#hasher(key), entry };
    const answer = await this.#relay.request('session.put', body, { timeoutMs: longMs, signal });
    this.#deletes.putAnswered(key, answer);
  }

  async forget(key: string, tombstone: CacheTombstone, signal: AbortSignal): Promise<Forgotten> {
    this.#deletes.begin(key, tombstone);
    signal.throwIfAborted();
    this.#refuseIfLost(`delete of ${key}`);
    const body = { key, hash: this.#hasher(key), tombstone };
    const answer = await this.#relay.request('session.forget', body, { timeoutMs: longMs, signal });
    return this.#deletes.told(key, tombstone, answer);
  }

  remember(stones: readonly (readonly [string, CacheTombstone])[]): void {
    if (this.#deletes.remember(stones) && this.#relay.status === 'connected') this.#sync();
  }

  onNews(listener: (news: CacheNews) => void): () => void {
    return this.#deletes.onNews(listener);
  }

  onStatus(listener: (status: Downstream['status']) => void): () => void {
    let last = this.status;
    return this.#relay.onStatus(() => {
      if (this.status === last) return;
      last = this.status;
      listener(last);
    });
  }

  /** Ends what waits with ERR_RELAY_CLOSED, and the link. */
  async close(): Promise<void> {
    this.#closing.abort(IpcError.of('ERR_RELAY_CLOSED', `downstream of ${this.#relay.node}`));
    for (const hold of this.#holds.splice(0)) hold.release();
    for (const { reject } of this.#forSync) reject(this.#closing.signal.reason);
    this.#forSync.clear();
    await this.#relay.close();
  }

  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #begin(): void {
    const keep = (hold: Promise<RelayHold>) =>
      void hold.then((held) => void this.#holds.push(held)).catch(() => undefined);
    const forever = { timeoutMs: Number.POSITIVE_INFINITY };
    keep(
      this.#relay.subscribe(
        'session',
        (message) => {
          const put = sensible(() => parseKeyedEntry(message));
          if (put && !this.#deletes.stones.covers(put.key, put.entry.stamp))
            this.#deletes.tell({ type: 'entry.put', key: put.key, entry: put.entry });
        },
        forever,
      ),
    );
    keep(
      this.#relay.serve(
        'session.drop',
        (body) => {
          const { key, tombstone } = parseKeyedTombstone(body);
          this.#deletes.learn(key, tombstone);
          return null;
        },
        forever,
      ),
    );
    this.#relay.onStatus((status) => {
      this.#noteSilence();
      if (status === 'connected') this.#sync();
    });
    if (this.#relay.status === 'connected') this.#sync();
  }

  /** A link that is lost, or a new one: what was deleted meanwhile is not known yet. */
  #noteSilence(): void {
    if (this.#synced) this.#syncedAtMs = performance.now() - this.#relay.silenceMs;
    this.#synced = false;
  }

  /** One at a time: what was begun on a former link has lost its answers. */
  #sync(): void {
    this.#syncing?.abort(new Error('the link is a new one'));
    const syncing = new AbortController();
    this.#syncing = syncing;
    const signal = AbortSignal.any([this.#closing.signal, syncing.signal]);
    this.#talk(signal).catch(() => {
      // A link that is lost meanwhile begins the next one; here it was only too slow, or refused for want of room.
      const again = () => {
        if (!signal.aborted && this.#relay.status === 'connected') this.#sync();
      };
      setTimeout(again, syncAgainMs).unref();
    });
  }

  async #talk(signal: AbortSignal): Promise<void> {
    const learn = ({ key, tombstone }: { key: string; tombstone: CacheTombstone }) =>
      this.#deletes.learn(key, tombstone);
    await syncTombstones(this.#relay, this.#deletes.stones, this.#hasher, learn, signal);
    this.#synced = true;
    for (const { resolve } of this.#forSync) resolve();
    this.#forSync.clear();
    for (const [key, tombstone] of this.#deletes.untold)
      await this.forget(key, tombstone, AbortSignal.any([signal, AbortSignal.timeout(longMs)]));
  }

  #refuseIfLost(what: string): void {
    if (this.status === 'lost') throw IpcError.of('ERR_RELAY_UNAVAILABLE', what, 'there is no link');
  }
}
