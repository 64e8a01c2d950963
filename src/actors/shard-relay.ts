// Shard relay: a relay of the session tier over an engine. Any number of them share the keys: each answers for the shards whose leases it
// has, and remembers all deletes. What has no room goes to relief nodes, by rendezvous hashing over those that are there.
import { IpcError, messageOf } from '../errors.ts';
import type { CacheEntry, CacheTombstone } from '../spec/downstream.ts';
import type { Lease } from '../spec/relay.ts';
import { nodeDefaults, tableDefaults } from '../spec/relay-node.ts';
import { shardOf } from '../spec/relay-shard.ts';
import { type ShardRelaySpec, shardedDefaults } from '../spec/relay-sharded.ts';
import { ownersOf } from '../spec/rendezvous.ts';
import {
  isTombstone,
  type KeyedTombstone,
  parseFound,
  parseKey,
  parseKeyedEntry,
  parseKeyedTombstone,
} from '../transport/entry-frame.ts';
import type { NatsMember } from '../transport/nats-member.ts';
import type { NatsSessions } from '../transport/nats-sessions.ts';
import { type KeyHasher, keyHasher } from '../transport/placement-hash.ts';
import { SessionTable } from '../transport/session-table.ts';
import type { Host } from './hosting.ts';
import { type NodeStats, tellMadeAnew } from './midway-relay.ts';
import { RelayMeetings } from './relay-meetings.ts';
import { ShardKeeper } from './shard-keeper.ts';
import { serveTombstones } from './tombstone-sync.ts';

/** How long each node has to acknowledge a delete: less than a session cache waits for the answer of all. */
const dropTimeoutMs = 600;
/** Records on their way to relief nodes; what comes on top is lost, and counted. */
const passingMax = 512;
/** Of what has aged, so many at once: writers need the rest. */
const sweptAtOnceMax = 64;

type Found = CacheEntry | CacheTombstone | undefined;

/** A node of a session tier over an engine. */
export interface ClusterNode extends AsyncDisposable {
  /** `shards`: those that it answers for. */
  readonly stats: NodeStats & { readonly shards?: number };
  /** Gives back what it answers for, and leaves. Twice is fine. */
  close(): Promise<void>;
}

export class ShardRelay implements ClusterNode {
  readonly #host: Host;
  readonly #relay: NatsMember;
  readonly #spec: ShardRelaySpec;
  readonly #shards: number;
  readonly #fetchTimeoutMs: number;
  readonly #hasher: KeyHasher;
  readonly #table: SessionTable;
  readonly #keeper: ShardKeeper;
  readonly #fetching = new Map<string, Promise<Found>>();
  readonly #closing = new AbortController();
  readonly #meetings: RelayMeetings;
  #sessions: NatsSessions | undefined;
  #beat: unknown;
  #sweep: unknown;
  #passing = 0;
  #overflowLost = 0;
  #overflowKept = 0;
  #fetches = 0;
  #fetched = 0;

  /**
   * @param relay a member of role relay, which is closed with this.
   * @param runDirectory where the caches of its table stand.
   */
  static async open(
    host: Host,
    relay: NatsMember,
    spec: ShardRelaySpec,
    runDirectory: string,
  ): Promise<ShardRelay> {
    const hasher = await keyHasher(BigInt(spec.seed ?? 0));
    let opened: ShardRelay | undefined;
    const table = await SessionTable.open({
      ...{ runDirectory, node: relay.node, table: { ...tableDefaults, ...spec.table } },
      onPushedOut: (key, entry) => (opened ? opened.#pass('aging', key, hasher(key), entry) : undefined),
      onMadeAnew: (why) => tellMadeAnew(host, relay.node, why),
      onEnded: () => void opened?.close(),
    }).catch(async (error: unknown) => {
      await relay.close();
      throw error;
    });
    opened = new ShardRelay(host, relay, spec, hasher, table);
    try {
      await opened.#open();
      return opened;
    } catch (error) {
      await opened.close();
      throw error;
    }
  }

  private constructor(
    host: Host,
    relay: NatsMember,
    spec: ShardRelaySpec,
    hasher: KeyHasher,
    table: SessionTable,
  ) {
    this.#host = host;
    this.#relay = relay;
    this.#spec = spec;
    this.#hasher = hasher;
    this.#shards = spec.shards ?? shardedDefaults.shards;
    this.#fetchTimeoutMs = spec.fetchTimeoutMs ?? nodeDefaults.fetchTimeoutMs;
    this.#table = table;
    this.#meetings = new RelayMeetings({
      ...{ relay, table, hasher, signal: this.#closing.signal },
      onFailed: (node, error) => this.#debug(`${node} has told no deletes`, error),
    });
    this.#keeper = new ShardKeeper(host, { relay, shards: this.#shards, leaseTtlMs: spec.leaseTtlMs });
    relay.onStatus((status) => {
      if (status === 'closed' && !this.#closing.signal.aborted) void this.close();
    });
  }

  get stats(): NodeStats & { readonly shards: number } {
    return {
      table: this.#table.stats,
      overflowLost: this.#overflowLost,
      overflowKept: this.#overflowKept,
      fetches: this.#fetches,
      fetched: this.#fetched,
      shards: this.#keeper.held,
    };
  }

  async close(): Promise<void> {
    this.#closing.abort(IpcError.of('ERR_RELAY_CLOSED', this.#relay.node));
    this.#host.clock.clearTimeout(this.#beat);
    this.#host.clock.clearTimeout(this.#sweep);
    await this.#keeper.close();
    await this.#relay.close();
    await this.#table.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #open(): Promise<void> {
    const { durable } = this.#spec;
    if (durable) this.#sessions = await this.#relay.sessions(durable);
    const group = { group: 'relay' };
    await serveTombstones(
      { serve: (service, handler) => this.#relay.serve(service, handler, group) },
      this.#table.tombstones,
      this.#hasher,
      async (stone, from) => {
        if (await this.#table.forget(stone.key, stone.tombstone)) void this.#drop(stone, from);
      },
    );
    const services = {
      'session.put': (body: unknown, from: string) => this.#put(body, from),
      'session.forget': async (body: unknown, from: string) => {
        const stone = parseKeyedTombstone(body);
        this.#refuseIfCutOff(`delete of ${stone.key}`);
        await this.#table.forget(stone.key, stone.tombstone);
        return this.#drop(stone, from);
      },
      // What other relays ask of the table alone.
      'session.had': (body: unknown) => this.#table.find(parseKey(body).key) ?? null,
      'session.drop': async (body: unknown) => {
        const { key, tombstone } = parseKeyedTombstone(body);
        await this.#table.forget(key, tombstone);
        return null;
      },
      'session.stats': () => this.stats,
    };
    for (const [service, handler] of Object.entries(services))
      await this.#relay.serve(service, (body, { from }) => handler(body, from), group);
    // They tell each other their deletes before anybody asks for a session.
    await this.#meetings.meet();
    // By this one it counts as a relay of the tier.
    await this.#relay.serve('session.get', (body) => this.#get(body), group);
    await this.#keeper.start();
    this.#beatLater();
    this.#sweepLater();
  }

  // ---- questions

  async #get(body: unknown): Promise<CacheEntry | CacheTombstone | null> {
    const { key, hash } = parseKey(body);
    const shard = shardOf(hash, this.#shards);
    const lease = this.#keeper.leaseOf(shard);
    // While a shard has no owner, anybody says what he can find.
    if (!lease && (body as { anybody?: unknown }).anybody !== true) throw this.#notOurs(shard);
    const found = this.#table.find(key);
    if (found) return found;
    const asked = this.#fetching.get(key) ?? this.#fetch(key, hash, shard, lease);
    return (await asked) ?? null;
  }

  #fetch(key: string, hash: string, shard: number, lease: Lease | undefined): Promise<Found> {
    this.#fetches++;
    const asked = this.#search(key, hash, shard)
      .then((found) => {
        if (found) this.#fetched++;
        return lease && found ? this.#keepFound(key, found) : found;
      })
      .finally(() => this.#fetching.delete(key));
    this.#fetching.set(key, asked);
    return asked;
  }

  /** Relief nodes that own it now and other relays; those that owned it before; the engine. */
  async #search(key: string, hash: string, shard: number): Promise<Found> {
    const copies = this.#spec.copies ?? shardedDefaults.copies;
    const orders = (['expansion', 'aging'] as const).map((role) => ownersOf(hash, this.#nodesOf(role)));
    const relays = this.#nodesOf('relay').map((node) => [node, 'session.had'] as const);
    const relief = (from: number, to?: number) =>
      orders.flatMap((order) => order.slice(from, to)).map((node) => [node, 'relief.get'] as const);
    const body = { key, hash };
    const found =
      (await this.#askAll(body, [...relief(0, copies), ...relays])) ??
      (await this.#askAll(body, relief(copies)));
    if (found || !this.#sessions) return found ?? this.#table.tombstones.find(key);
    try {
      return this.#checked(key, await this.#sessions.read(shard, key, { timeoutMs: this.#fetchTimeoutMs }));
    } catch (error) {
      this.#debug('the engine was asked in vain', error);
      return undefined;
    }
  }

  async #askAll(
    body: { key: string; hash: string },
    nodes: readonly (readonly [node: string, service: string])[],
  ): Promise<Found> {
    const timeoutMs = this.#fetchTimeoutMs / 2;
    const answers = await Promise.all(
      nodes.map(([to, service]) =>
        this.#relay.request(service, body, { to, timeoutMs }).then(parseFound, () => undefined),
      ),
    );
    let best: Found;
    for (const each of answers) {
      const found = this.#checked(body.key, each);
      if (found && (!best || found.stamp > best.stamp)) best = found;
    }
    return best;
  }

  /** What was deleted counts as that, whoever still has it. */
  #checked(key: string, found: Found): Found {
    if (!found || isTombstone(found) || !this.#table.tombstones.covers(key, found.stamp)) return found;
    return this.#table.tombstones.find(key) ?? this.#table.tombstones.floorStone;
  }

  /** It is used again, so it has its place here again. */
  async #keepFound(key: string, found: CacheEntry | CacheTombstone): Promise<Found> {
    if (isTombstone(found)) {
      await this.#table.forget(key, found);
      return found;
    }
    const kept = await this.#table.put(key, found);
    if (kept.how === 'deleted') return kept.tombstone;
    return kept.how === 'older' ? this.#table.find(key) : found;
  }

  // ---- writes

  async #put(body: unknown, from: string): Promise<object> {
    const { key, hash, entry } = parseKeyedEntry(body);
    this.#refuseIfCutOff(`put of ${key}`);
    const shard = shardOf(hash, this.#shards);
    const lease = this.#keeper.leaseOf(shard);
    if (!lease) throw this.#notOurs(shard);
    // Counted now: others may be put before we go on.
    const records = this.#table.size + 1;
    const kept = await this.#table.put(key, entry);
    if (kept.how === 'large')
      throw new Error(
        `a value of ${entry.value.length} bytes, where records have ${this.#spec.table?.recordBytes ?? tableDefaults.recordBytes}`,
      );
    if (kept.how !== 'kept') return kept;
    // What is acknowledged is durable, if anything is.
    if (this.#sessions) await this.#write(shard, key, entry, lease);
    if (lease.signal.aborted) throw this.#notOurs(shard);
    this.#relay.publish('session', { key, hash, entry, by: from });
    const { highWater = nodeDefaults.highWater } = this.#spec;
    if (records >= highWater * this.#table.capacity) void this.#pass('expansion', key, hash, entry);
    return { how: 'kept' };
  }

  async #write(shard: number, key: string, entry: CacheEntry, lease: Lease): Promise<void> {
    try {
      await this.#sessions!.write(shard, key, entry, lease);
    } catch (error) {
      if (error instanceof IpcError && error.code === 'ERR_LEASE_LOST') this.#keeper.lost(shard);
      throw error;
    }
  }

  /**
   * Whoever wrote it never waits for it.
   * @returns what a sweep waits for, which may find many that have aged.
   */
  #pass(
    role: 'expansion' | 'aging',
    key: string,
    hash: string,
    entry: CacheEntry,
  ): Promise<void> | undefined {
    const lose = () => {
      if (role === 'aging') this.#overflowLost++;
    };
    if (this.#passing >= passingMax || this.#closing.signal.aborted) {
      lose();
      return undefined;
    }
    this.#passing++;
    const passed = this.#store(role, key, hash, entry)
      .then((stored) => {
        if (stored === 0) lose();
        else if (role === 'aging') this.#overflowKept++;
      })
      .finally(() => {
        this.#passing--;
      });
    return this.#passing > sweptAtOnceMax ? passed : undefined;
  }

  async #store(role: 'expansion' | 'aging', key: string, hash: string, entry: CacheEntry): Promise<number> {
    const shard = shardOf(hash, this.#shards);
    const token = this.#keeper.leaseOf(shard)?.token ?? 0;
    let stored = 0;
    for (const to of ownersOf(hash, this.#nodesOf(role))) {
      if (stored >= (this.#spec.copies ?? shardedDefaults.copies)) break;
      try {
        const body = { key, hash, entry, shard, token };
        await this.#relay.request('relief.put', body, { to, timeoutMs: this.#fetchTimeoutMs });
        stored++;
      } catch (error) {
        // It has seen a later owner of the shard.
        if (error instanceof IpcError && error.code === 'ERR_LEASE_LOST') this.#keeper.lost(shard);
        // The next one in the order owns it while this one is not there.
      }
    }
    return stored;
  }

  // ---- deletes

  /** Told to all who are there; whoever is away is named, and asks when he comes back. */
  async #drop(stone: KeyedTombstone, from: string): Promise<{ acknowledged: number; missing: string[] }> {
    this.#relay.publish('session.deleted', stone);
    let acknowledged = 1;
    const missing: string[] = [];
    const tell = async (node: string, service: string) => {
      try {
        await this.#relay.request(service, stone, { to: node, timeoutMs: dropTimeoutMs });
        acknowledged++;
      } catch {
        missing.push(node);
      }
    };
    const writing = this.#sessions?.write(
      shardOf(stone.hash, this.#shards),
      stone.key,
      stone.tombstone,
      undefined,
    );
    const { node: self } = this.#relay;
    const there = (['relay', 'front'] as const).flatMap((role) => this.#relay.serving('session.drop', role));
    const behind = (['expansion', 'aging'] as const).flatMap((role) =>
      this.#relay.serving('relief.drop', role),
    );
    const told = [...there, ...behind].filter(({ node }) => node !== from && node !== self);
    await Promise.all([
      ...told.map(({ node, role }) =>
        tell(node, role === 'relay' || role === 'front' ? 'session.drop' : 'relief.drop'),
      ),
      // Those who ought to be there.
      this.#relay
        .nodes()
        .then((nodes) => missing.push(...nodes.flatMap(({ node, connected }) => (connected ? [] : [node])))),
    ]);
    await writing?.catch((error: unknown) => {
      this.#debug('the engine does not know of a delete', error);
      missing.push('engine');
    });
    return { acknowledged, missing };
  }

  // ---- company

  #nodesOf(role: 'relay' | 'expansion' | 'aging'): string[] {
    return this.#relay
      .serving(role === 'relay' ? 'session.had' : 'relief.get', role)
      .flatMap(({ node }) => (node === this.#relay.node ? [] : [node]));
  }

  /** In the same line as the deletes: who hears it has heard all deletes before it. */
  #beatLater(): void {
    this.#beat = this.#host.clock.setTimeout(async () => {
      if (!this.#isCutOff())
        try {
          this.#relay.publish('session.deleted', { beat: this.#relay.id, sentMs: this.#host.clock.now() });
        } catch {
          // There is no room: those who wait for it are behind in any case.
        }
      await this.#meetings.meet();
      if (!this.#closing.signal.aborted) this.#beatLater();
    }, shardedDefaults.beatMs);
  }

  #sweepLater(): void {
    const { sweepMs = tableDefaults.sweepMs } = this.#spec.table ?? {};
    if (this.#closing.signal.aborted) return;
    const sweep = () => void this.#table.sweep().then(again, again);
    const again = () => this.#sweepLater();
    this.#sweep = this.#host.clock.setTimeout(sweep, sweepMs);
  }

  /** One that is takes no deletes, so those who want to know of all need not wait for it. */
  #isCutOff(): boolean {
    return this.#relay.quorumSilenceMs > nodeDefaults.maxStaleMs;
  }

  #refuseIfCutOff(what: string): void {
    if (this.#isCutOff())
      throw IpcError.of(
        'ERR_RELAY_UNAVAILABLE',
        what,
        'this relay is cut off from the majority of the engine',
      );
  }

  #notOurs(shard: number): IpcError {
    return IpcError.of('ERR_REFUSED', `shard ${shard}`, `${this.#relay.node} does not have it now`);
  }

  #debug(what: string, error: unknown): void {
    this.#host.log.debug({ node: this.#relay.node }, `${what}: ${messageOf(error)}`);
  }
}
