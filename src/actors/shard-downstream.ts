// Shard downstream: what stands behind a session cache where an engine joins any number of relays. A question goes to the owner of its
// shard; while there is none, to whoever is there. A delete that could not be told is kept and told later.
import { setMaxListeners } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { IpcError } from '../errors.ts';
import type { CacheEntry, CacheNews, CacheTombstone, Downstream, Forgotten } from '../spec/downstream.ts';
import type { RelayHold } from '../spec/relay.ts';
import { nodeRefreshMs } from '../spec/relay-nats.ts';
import { shardOf, shardOwners } from '../spec/relay-shard.ts';
import { shardedDefaults } from '../spec/relay-sharded.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { parseFound, parseKeyedEntry, parseKeyedTombstone, sensible } from '../transport/entry-frame.ts';
import type { NatsMember } from '../transport/nats-member.ts';
import { type KeyHasher, keyHasher } from '../transport/placement-hash.ts';
import { KnownDeletes } from './known-deletes.ts';
import { RelayContact } from './relay-contact.ts';
import { syncTombstones } from './tombstone-sync.ts';

/** An answer that comes later than its asker waits is still news, for so long. */
const lateMs = 30_000;
/** One relay has so long, before the next one is asked. */
const attemptMs = 1_000;
/** Until all are asked once more. */
const againMs = 100;
const lookMs = 250;
/** A renewal of a row, and some. */
const freshMs = nodeRefreshMs + 500;
/** Two renewals, and some: later than a relay that is cut off refuses deletes. */
const cutOffMs = 2 * nodeRefreshMs + 500;
/** Options of a front end of a sharded tier, beside those of the engine. */
export interface ShardDownstreamOptions {
  /** As all nodes of the tier have it. Default 0. */
  readonly seed?: bigint | number;
  /** As all nodes of the tier have it. Default 64. */
  readonly shards?: number;
  /** Deletes that are remembered, to tell them to relays that have forgotten. */
  readonly tombstonesMax?: number;
}

/** What stands downstream of a session cache: a session tier over an engine. */
export class ShardDownstream implements Downstream, AsyncDisposable {
  readonly name: string;
  readonly #relay: NatsMember;
  readonly #shards: number;
  readonly #hasher: KeyHasher;
  readonly #deletes: KnownDeletes;
  readonly #contact = new RelayContact();
  readonly #onStatus = new Set<(status: Downstream['status']) => void>();
  readonly #holds: RelayHold[] = [];
  readonly #closing = new AbortController();
  #known = new Set<string>();
  #status: Downstream['status'] = 'lost';
  #syncing: Promise<void> | undefined;
  #look: NodeJS.Timeout | undefined;

  /** @param relay a member of role front, which is closed with this. */
  static async open(relay: NatsMember, options: ShardDownstreamOptions = {}): Promise<ShardDownstream> {
    const opened = new ShardDownstream(relay, await keyHasher(BigInt(options.seed ?? 0)), options);
    try {
      await opened.#begin();
      return opened;
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  private constructor(relay: NatsMember, hasher: KeyHasher, options: ShardDownstreamOptions) {
    this.name = `cluster of ${relay.node}`;
    this.#relay = relay;
    this.#hasher = hasher;
    this.#shards = options.shards ?? shardedDefaults.shards;
    this.#deletes = new KnownDeletes(options.tombstonesMax);
    // Each question that is under way listens to it.
    setMaxListeners(0, this.#closing.signal);
  }

  get status(): Downstream['status'] {
    return this.#relay.status === 'connected' && this.#present().length > 0 ? 'connected' : 'lost';
  }

  get silentMs(): number {
    const nowMs = performance.now();
    // A relay that has not renewed its row takes no deletes any more; that it has not, a majority says.
    const relays = this.#present().flatMap(({ id, atMs }) => (nowMs - atMs < cutOffMs ? [id] : []));
    return Math.max(this.#relay.quorumSilenceMs, this.#contact.silentMs(relays, nowMs));
  }

  /** Waits until a relay is there and it is known what was deleted elsewhere. @throws {IpcError} ERR_TIMEOUT, ERR_RELAY_CLOSED. */
  async connected({ timeoutMs = Number.POSITIVE_INFINITY, signal }: WaitOptions = {}): Promise<void> {
    const untilMs = performance.now() + timeoutMs;
    while (this.status === 'lost' || this.#contact.unsynced(this.#ids()).length > 0) {
      signal?.throwIfAborted();
      this.#closing.signal.throwIfAborted();
      if (performance.now() >= untilMs)
        throw IpcError.of('ERR_TIMEOUT', `the relays of ${this.name}`, timeoutMs);
      await pause(Math.max(1, Math.min(20, untilMs - performance.now())));
    }
  }

  async ask(key: string, signal: AbortSignal): Promise<CacheEntry | CacheTombstone | undefined> {
    signal.throwIfAborted();
    const hash = this.#hasher(key);
    const limit = AbortSignal.any([this.#closing.signal, AbortSignal.timeout(lateMs)]);
    const answer = this.#toOwner('session.get', { key, hash }, hash, limit, true).then((body) =>
      this.#deletes.checked(key, parseFound(body)),
    );
    return this.#deletes.awaited(key, answer, signal);
  }

  async put(key: string, entry: CacheEntry, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    const hash = this.#hasher(key);
    const answer = await this.#toOwner('session.put', { key, hash, entry }, hash, signal, false);
    this.#deletes.putAnswered(key, answer);
  }

  async forget(key: string, tombstone: CacheTombstone, signal: AbortSignal): Promise<Forgotten> {
    this.#deletes.begin(key, tombstone);
    signal.throwIfAborted();
    const hash = this.#hasher(key);
    // Any relay can do it: the greater stamp wins everywhere.
    const answer = await this.#toOwner('session.forget', { key, hash, tombstone }, hash, signal, false);
    return this.#deletes.told(key, tombstone, answer);
  }

  remember(stones: readonly (readonly [string, CacheTombstone])[]): void {
    if (this.#deletes.remember(stones)) this.#resync();
  }

  onNews(listener: (news: CacheNews) => void): () => void {
    return this.#deletes.onNews(listener);
  }

  onStatus(listener: (status: Downstream['status']) => void): () => void {
    this.#onStatus.add(listener);
    return () => void this.#onStatus.delete(listener);
  }

  /** Ends what waits with ERR_RELAY_CLOSED, and its membership. */
  async close(): Promise<void> {
    this.#closing.abort(IpcError.of('ERR_RELAY_CLOSED', `downstream of ${this.#relay.node}`));
    clearInterval(this.#look);
    for (const hold of this.#holds.splice(0)) hold.release();
    await this.#relay.close();
  }

  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #begin(): Promise<void> {
    const onGap = () => this.#resync();
    this.#holds.push(
      await this.#relay.subscribe('session.deleted', (message) => this.#onDeleted(message), { onGap }),
      await this.#relay.subscribe('session', (message) => {
        const put = sensible(() => parseKeyedEntry(message));
        if ((message as { by?: unknown }).by === this.#relay.node) return;
        if (put && !this.#deletes.stones.covers(put.key, put.entry.stamp))
          this.#deletes.tell({ type: 'entry.put', key: put.key, entry: put.entry });
      }),
      await this.#relay.serve(
        'session.drop',
        (body) => {
          const { key, tombstone } = parseKeyedTombstone(body);
          this.#deletes.learn(key, tombstone);
          return null;
        },
        { group: 'relay' },
      ),
    );
    this.#relay.onStatus((status) => {
      if (status === 'closed' && !this.#closing.signal.aborted) void this.close();
      // What was said while there was no socket comes again, or is told as a gap; a longer absence is neither.
      if (status === 'connected') this.#resync();
      this.#compareStatus();
    });
    this.#look = setInterval(() => this.#lookAtRelays(), lookMs);
    this.#look.unref();
    this.#lookAtRelays();
  }

  // ---- who is there

  #ids(): string[] {
    return this.#present().map(({ id }) => id);
  }

  #present() {
    return this.#relay.serving('session.get', 'relay');
  }

  #lookAtRelays(): void {
    const there = new Set(this.#ids());
    for (const relay of this.#known) if (!there.has(relay)) this.#contact.gone(relay);
    this.#known = there;
    this.#compareStatus();
    if (this.#contact.unsynced([...there]).length > 0 || this.#deletes.hasUntold) this.#sync();
  }

  #compareStatus(): void {
    const { status } = this;
    if (status === this.#status) return;
    this.#status = status;
    for (const listener of [...this.#onStatus]) listener(status);
  }

  #resync(): void {
    this.#contact.missed();
    this.#sync();
  }

  /** One at a time; the next look begins it again for those who have not answered. */
  #sync(): void {
    if (this.#closing.signal.aborted || this.#relay.status !== 'connected') return;
    this.#syncing ??= this.#meet()
      .catch(() => undefined)
      .finally(() => {
        this.#syncing = undefined;
      });
  }

  async #meet(): Promise<void> {
    const { signal } = this.#closing;
    const unsynced = this.#contact.unsynced(this.#ids());
    await Promise.all(
      this.#present().map(async ({ id, node: to }) => {
        if (!unsynced.includes(id)) return;
        const askedMs = performance.now();
        await syncTombstones(
          {
            request: (service, body, wait) =>
              this.#relay.request(service, body, { ...wait, to, timeoutMs: attemptMs }),
          },
          this.#deletes.stones,
          this.#hasher,
          ({ key, tombstone }) => this.#deletes.learn(key, tombstone),
          AbortSignal.any([signal, AbortSignal.timeout(lateMs)]),
        );
        this.#contact.synced(id, askedMs);
      }),
    );
    for (const [key, tombstone] of this.#deletes.untold)
      await this.forget(key, tombstone, AbortSignal.any([signal, AbortSignal.timeout(attemptMs * 3)]));
  }

  #onDeleted(message: unknown): void {
    const { beat, sentMs } = (message ?? {}) as { beat?: unknown; sentMs?: unknown };
    if (typeof beat === 'string' && typeof sentMs === 'number')
      return this.#contact.heard(beat, sentMs, performance.now());
    const stone = sensible(() => parseKeyedTombstone(message));
    if (stone) this.#deletes.learn(stone.key, stone.tombstone);
  }

  // ---- asking

  /** To the owner of the shard first, then to the next ones, then all over again. @throws what the last one answered. */
  async #toOwner(
    service: string,
    body: object,
    hash: string,
    signal: AbortSignal,
    anybody: boolean,
  ): Promise<unknown> {
    const what = `${service} of the relays`;
    let refusal: unknown = IpcError.of('ERR_RELAY_UNAVAILABLE', what, 'no relay is there');
    for (let round = 1; ; round++) {
      for (const to of this.#order(shardOf(hash, this.#shards))) {
        signal.throwIfAborted();
        try {
          const question = anybody && round > 1 ? { ...body, anybody: true } : body;
          return await this.#relay.request(service, question, { to, timeoutMs: attemptMs, signal });
        } catch (error) {
          if (!isElsewhere(error)) throw error;
          refusal = error;
        }
      }
      if (this.status === 'lost') throw refusal;
      try {
        await pause(againMs, undefined, { signal });
      } catch {
        throw signal.reason;
      }
    }
  }

  /** Those whose row was not renewed lately come last: they may be cut off. */
  #order(shard: number): string[] {
    const nowMs = performance.now();
    const isFresh = new Map(this.#present().map(({ node, atMs }) => [node, nowMs - atMs < freshMs]));
    const owners = shardOwners(shard, [...isFresh.keys()]);
    return [...owners.filter((node) => isFresh.get(node)), ...owners.filter((node) => !isFresh.get(node))];
  }
}

/** Another relay may answer. */
function isElsewhere(error: unknown): boolean {
  return (
    error instanceof IpcError &&
    ['ERR_REFUSED', 'ERR_RELAY_UNAVAILABLE', 'ERR_TIMEOUT', 'ERR_LEASE_LOST'].includes(error.code)
  );
}
