// Pressure relief: a node that keeps what the relay has no room for. `expansion` gets new entries while they are new, `aging` those
// that had to go. A client of the sibling, no server; when the sibling dies it keeps what it has and comes back.
import { IpcError } from '../errors.ts';
import { type Address, addressOf } from '../names.ts';
import type { ReliefSpec } from '../spec/relay-node.ts';
import { parseKey, parseKeyedEntry, parseKeyedTombstone } from '../transport/entry-frame.ts';
import type { KeyHasher } from '../transport/placement-hash.ts';
import type { RelayMember } from '../transport/relay-member.ts';
import { SessionTable } from '../transport/session-table.ts';
import type { Host } from './hosting.ts';
import {
  type NeighbourListener,
  type NodeSetting,
  type NodeStats,
  type OpenNode,
  tellMadeAnew,
} from './midway-relay.ts';
import { connectRelay } from './relay.ts';
import { syncTombstones } from './tombstone-sync.ts';

export async function openPressureRelief(
  { host, address, runDirectory, hasher, onNeighbour, onTableEnded }: NodeSetting,
  spec: ReliefSpec,
): Promise<OpenNode> {
  const relief = new PressureRelief(host, spec, hasher);
  try {
    await relief.open(address, runDirectory, onNeighbour, onTableEnded);
  } catch (error) {
    await relief.close();
    throw error;
  }
  return relief;
}

class PressureRelief implements OpenNode {
  readonly ports = [];
  readonly #host: Host;
  readonly #spec: ReliefSpec;
  readonly #hasher: KeyHasher;
  #table!: SessionTable;
  readonly #closing = new AbortController();
  #up: RelayMember | undefined;
  #sweep: unknown;
  #closed = false;

  constructor(host: Host, spec: ReliefSpec, hasher: KeyHasher) {
    this.#host = host;
    this.#spec = spec;
    this.#hasher = hasher;
  }

  get stats(): NodeStats {
    return { table: this.#table.stats, overflowLost: 0, overflowKept: 0, fetches: 0, fetched: 0 };
  }

  async open(
    address: Address,
    runDirectory: string,
    onNeighbour: NeighbourListener,
    onTableEnded: NodeSetting['onTableEnded'],
  ): Promise<void> {
    const { node, role, cluster, times, sibling, table } = this.#spec;
    // What has to go here is kept nowhere else: it is counted.
    this.#table = await SessionTable.open({
      ...{ runDirectory, node, table },
      onMadeAnew: (why) => tellMadeAnew(this.#host, node, why),
      onEnded: onTableEnded,
    });
    const up = connectRelay(this.#host, addressOf(address, 'sibling'), {
      node,
      role,
      cluster,
      times,
      ...sibling,
    });
    this.#up = up;
    up.onStatus((status) => {
      onNeighbour({ node: 'sibling', role: 'sibling' }, status === 'connected');
      if (status === 'connected') this.#sync(up);
    });
    const forever = { timeoutMs: Number.POSITIVE_INFINITY };
    const begun = [
      up.serve('relief.get', (body) => this.#table.find(parseKey(body).key) ?? null, forever),
      up.serve('relief.put', (body) => this.#put(body), forever),
      up.serve(
        'relief.drop',
        async (body) => {
          const { key, tombstone } = parseKeyedTombstone(body);
          await this.#table.forget(key, tombstone);
        },
        forever,
      ),
      up.serve('relief.stats', () => this.stats, forever),
    ];
    // A sibling that is not there yet is waited for in the background.
    for (const each of begun) each.catch(() => undefined);
    this.#sweepLater();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#host.clock.clearTimeout(this.#sweep);
    this.#closing.abort(IpcError.of('ERR_RELAY_CLOSED', this.#spec.node));
    await this.#up?.close();
    await this.#table?.close();
  }

  async #put(body: unknown): Promise<object> {
    const { key, entry } = parseKeyedEntry(body);
    const { how } = await this.#table.put(key, entry);
    if (how === 'large')
      throw new Error(
        `a value of ${entry.value.length} bytes, where records have ${this.#spec.table.recordBytes}`,
      );
    return { how };
  }

  #sync(up: RelayMember): void {
    const { signal } = this.#closing;
    const learned = ({ key, tombstone }: { key: string; tombstone: Parameters<SessionTable['forget']>[1] }) =>
      void this.#table.forget(key, tombstone);
    syncTombstones(up, this.#table.tombstones, this.#hasher, learned, signal).catch(() => undefined);
  }

  #sweepLater(): void {
    if (this.#closed) return;
    const sweep = () => void this.#table.sweep().then(again, again);
    const again = () => this.#sweepLater();
    this.#sweep = this.#host.clock.setTimeout(sweep, this.#spec.table.sweepMs);
  }
}
