// Shard relief: a node that keeps what the relays of a sharded tier have no room for. A record comes with its shard and the token of the
// owner's lease: who was owner before is refused, however late its word comes.
import { IpcError, messageOf } from '../errors.ts';
import { tableDefaults } from '../spec/relay-node.ts';
import { shardLease } from '../spec/relay-shard.ts';
import type { ShardReliefSpec } from '../spec/relay-sharded.ts';
import { parseKey, parseKeyedEntry, parseKeyedTombstone } from '../transport/entry-frame.ts';
import { type Frame, mapOf, wholeOf } from '../transport/frame.ts';
import type { NatsMember } from '../transport/nats-member.ts';
import { type KeyHasher, keyHasher } from '../transport/placement-hash.ts';
import { SessionTable } from '../transport/session-table.ts';
import type { Host } from './hosting.ts';
import { type NodeStats, tellMadeAnew } from './midway-relay.ts';
import { RelayMeetings } from './relay-meetings.ts';
import type { ClusterNode } from './shard-relay.ts';

const shardsMax = 65_536;
const lookMs = 500;

export class ShardRelief implements ClusterNode {
  readonly #host: Host;
  readonly #relay: NatsMember;
  readonly #spec: ShardReliefSpec;
  readonly #table: SessionTable;
  readonly #closing = new AbortController();
  /** The greatest token of each shard that was seen. */
  readonly #tokens = new Map<number, number>();
  readonly #meetings: RelayMeetings;
  #look: unknown;
  #sweep: unknown;

  /**
   * @param relay a member of the role, which is closed with this.
   * @param runDirectory where the caches of its table stand.
   */
  static async open(
    host: Host,
    relay: NatsMember,
    spec: ShardReliefSpec,
    runDirectory: string,
  ): Promise<ShardRelief> {
    const hasher = await keyHasher(BigInt(spec.seed ?? 0));
    let opened: ShardRelief | undefined;
    // What has to go here is kept nowhere else: it is counted.
    const table = await SessionTable.open({
      ...{ runDirectory, node: relay.node, table: { ...tableDefaults, ...spec.table } },
      onMadeAnew: (why) => tellMadeAnew(host, relay.node, why),
      onEnded: () => void opened?.close(),
    }).catch(async (error: unknown) => {
      await relay.close();
      throw error;
    });
    opened = new ShardRelief(host, relay, spec, hasher, table);
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
    spec: ShardReliefSpec,
    hasher: KeyHasher,
    table: SessionTable,
  ) {
    this.#host = host;
    this.#relay = relay;
    this.#spec = spec;
    this.#table = table;
    this.#meetings = new RelayMeetings({
      ...{ relay, table, hasher, signal: this.#closing.signal },
      onFailed: (node, error) =>
        host.log.debug({ node: relay.node }, `${node} has told no deletes: ${messageOf(error)}`),
    });
    relay.onStatus((status) => {
      if (status === 'closed' && !this.#closing.signal.aborted) void this.close();
    });
  }

  get stats(): NodeStats {
    return { table: this.#table.stats, overflowLost: 0, overflowKept: 0, fetches: 0, fetched: 0 };
  }

  async close(): Promise<void> {
    this.#closing.abort(IpcError.of('ERR_RELAY_CLOSED', this.#relay.node));
    this.#host.clock.clearTimeout(this.#look);
    this.#host.clock.clearTimeout(this.#sweep);
    await this.#relay.close();
    await this.#table.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #open(): Promise<void> {
    const services = {
      'relief.put': (body: unknown) => this.#put(body),
      'relief.drop': async (body: unknown) => {
        const { key, tombstone } = parseKeyedTombstone(body);
        await this.#table.forget(key, tombstone);
        return null;
      },
      'relief.stats': () => this.stats,
      // Last, since whoever is asked must know what was deleted.
      'relief.get': (body: unknown) => this.#table.find(parseKey(body).key) ?? null,
    };
    await this.#meetings.meet();
    for (const [service, handler] of Object.entries(services))
      await this.#relay.serve(service, handler, { group: 'relief' });
    this.#lookLater();
    this.#sweepLater();
  }

  async #put(body: unknown): Promise<object> {
    const { key, entry } = parseKeyedEntry(body);
    const frame = mapOf({ t: 'relief', body }, 'body') as Frame;
    const shard = wholeOf(frame, 'shard', shardsMax - 1);
    const token = wholeOf(frame, 'token');
    const last = this.#tokens.get(shard) ?? 0;
    if (token < last)
      throw IpcError.of('ERR_LEASE_LOST', shardLease(shard), `token ${token} is older than ${last}`);
    this.#tokens.set(shard, token);
    const { how } = await this.#table.put(key, entry);
    if (how === 'large') throw new Error(`a value of ${entry.value.length} bytes is larger than a record`);
    return { how };
  }

  #lookLater(): void {
    this.#look = this.#host.clock.setTimeout(async () => {
      await this.#meetings.meet();
      if (!this.#closing.signal.aborted) this.#lookLater();
    }, lookMs);
  }

  #sweepLater(): void {
    const { sweepMs = tableDefaults.sweepMs } = this.#spec.table ?? {};
    if (this.#closing.signal.aborted) return;
    const sweep = () => void this.#table.sweep().then(again, again);
    const again = () => this.#sweepLater();
    this.#sweep = this.#host.clock.setTimeout(sweep, sweepMs);
  }
}
