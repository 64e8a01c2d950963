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
import type { NeighbourListener, NodeStats, OpenNode } from './midway-relay.ts';
import { connectRelay } from './relay.ts';
import { syncTombstones } from './tombstone-sync.ts';

export async function openPressureRelief(
  host: Host,
  address: Address,
  spec: ReliefSpec,
  hasher: KeyHasher,
  onNeighbour: NeighbourListener,
): Promise<OpenNode> {
  const relief = new PressureRelief(host, spec, hasher);
  relief.open(address, onNeighbour);
  return relief;
}

class PressureRelief implements OpenNode {
  readonly ports = [];
  readonly #host: Host;
  readonly #spec: ReliefSpec;
  readonly #hasher: KeyHasher;
  readonly #table: SessionTable;
  readonly #closing = new AbortController();
  #up!: RelayMember;
  #sweep: unknown;

  constructor(host: Host, spec: ReliefSpec, hasher: KeyHasher) {
    this.#host = host;
    this.#spec = spec;
    this.#hasher = hasher;
    this.#table = new SessionTable({ ...spec.table, now: () => host.clock.now() });
  }

  get stats(): NodeStats {
    return { table: this.#table.stats, overflowLost: 0, overflowKept: 0, fetches: 0, fetched: 0 };
  }

  open(address: Address, onNeighbour: NeighbourListener): void {
    const { node, role, cluster, times, sibling } = this.#spec;
    this.#up = connectRelay(this.#host, addressOf(address, 'sibling'), {
      node,
      role,
      cluster,
      times,
      ...sibling,
    });
    this.#up.onStatus((status) => {
      onNeighbour({ node: 'sibling', role: 'sibling' }, status === 'connected');
      if (status === 'connected') this.#sync();
    });
    const forever = { timeoutMs: Number.POSITIVE_INFINITY };
    const begun = [
      this.#up.serve('relief.get', (body) => this.#table.find(parseKey(body).key) ?? null, forever),
      this.#up.serve('relief.put', (body) => this.#put(body), forever),
      this.#up.serve(
        'relief.drop',
        (body) => {
          const { key, tombstone } = parseKeyedTombstone(body);
          this.#table.forget(key, tombstone);
        },
        forever,
      ),
      this.#up.serve('relief.stats', () => this.stats, forever),
    ];
    // A sibling that is not there yet is waited for in the background.
    for (const each of begun) each.catch(() => undefined);
    this.#sweepLater();
  }

  async close(): Promise<void> {
    this.#host.clock.clearTimeout(this.#sweep);
    this.#closing.abort(IpcError.of('ERR_RELAY_CLOSED', this.#spec.node));
    await this.#up.close();
  }

  #put(body: unknown): object {
    const { key, entry } = parseKeyedEntry(body);
    const { how } = this.#table.put(key, entry);
    if (how === 'large')
      throw new Error(
        `a value of ${entry.value.length} bytes, where records have ${this.#spec.table.recordBytes}`,
      );
    return { how };
  }

  #sync(): void {
    const { signal } = this.#closing;
    const learned = ({ key, tombstone }: { key: string; tombstone: Parameters<SessionTable['forget']>[1] }) =>
      void this.#table.forget(key, tombstone);
    syncTombstones(this.#up, this.#table.tombstones, this.#hasher, learned, signal).catch(() => undefined);
  }

  #sweepLater(): void {
    this.#sweep = this.#host.clock.setTimeout(() => {
      this.#table.sweep();
      this.#sweepLater();
    }, this.#spec.table.sweepMs);
  }
}
