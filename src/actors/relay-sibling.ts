// Relay sibling: the node that relief nodes come to. It gives each record to exactly one of a kind, by rendezvous hashing over
// those that are there, and finds it again. It keeps nothing but the deletes, so it can die and come back.
import { IpcError } from '../errors.ts';
import { type Address, addressOf } from '../names.ts';
import type { CacheEntry, CacheTombstone } from '../spec/downstream.ts';
import type { RelayRole } from '../spec/relay.ts';
import type { RelayHooks, SiblingSpec } from '../spec/relay-node.ts';
import { ownersOf } from '../spec/rendezvous.ts';
import {
  isTombstone,
  type KeyedEntry,
  type KeyedTombstone,
  parseFound,
  parseKey,
  parseKeyedEntry,
  parseKeyedTombstone,
  sensible,
} from '../transport/entry-frame.ts';
import type { KeyHasher } from '../transport/placement-hash.ts';
import type { RelayMember } from '../transport/relay-member.ts';
import { Tombstones } from '../transport/tombstones.ts';
import type { Host } from './hosting.ts';
import type { NeighbourListener, NodeSetting, NodeStats, OpenNode } from './midway-relay.ts';
import { connectRelay, type RelayServing, serveRelay } from './relay.ts';
import { serveTombstones, syncTombstones } from './tombstone-sync.ts';

type ReliefRole = 'expansion' | 'aging';
type Found = CacheEntry | CacheTombstone | undefined;

const dropTimeoutMs = 1_500;
/** New entries that may be on their way to expansion nodes; what comes on top is in the relay's table all the same. */
const passingMax = 512;

export async function openRelaySibling(
  { host, address, hooks, hasher, onNeighbour }: NodeSetting,
  spec: SiblingSpec,
): Promise<OpenNode> {
  const sibling = new RelaySibling(host, spec, hooks, hasher);
  await sibling.open(address, onNeighbour);
  return sibling;
}

class RelaySibling implements OpenNode {
  readonly #host: Host;
  readonly #spec: SiblingSpec;
  readonly #hooks: RelayHooks;
  readonly #hasher: KeyHasher;
  readonly #stones: Tombstones;
  readonly #closing = new AbortController();
  #serving!: RelayServing;
  #up!: RelayMember;
  #passing = 0;
  #overflowKept = 0;
  #overflowLost = 0;
  #fetches = 0;
  #fetched = 0;

  constructor(host: Host, spec: SiblingSpec, hooks: RelayHooks, hasher: KeyHasher) {
    this.#host = host;
    this.#spec = spec;
    this.#hooks = hooks;
    this.#hasher = hasher;
    this.#stones = new Tombstones(() => host.clock.now(), spec.tombstonesMax);
  }

  get ports(): readonly (number | undefined)[] {
    return this.#serving.ports;
  }

  get stats(): NodeStats {
    return {
      overflowLost: this.#overflowLost,
      overflowKept: this.#overflowKept,
      fetches: this.#fetches,
      fetched: this.#fetched,
    };
  }

  async open(address: Address, onNeighbour: NeighbourListener): Promise<void> {
    const { node, cluster, times, listen, relay } = this.#spec;
    this.#serving = await serveRelay(this.#host, addressOf(address, 'hub'), {
      node,
      role: 'sibling',
      cluster,
      times,
      listen: listen.map((place) => ({ ...place, roles: ['expansion', 'aging', 'gateway'] })),
      admit: this.#hooks.admit,
      onMember: (member, there) => {
        if (member.node !== node) onNeighbour(member, there);
      },
    });
    const { hub, own } = this.#serving;
    if (this.#hooks.beforeFanOut) hub.beforeFanOut(this.#hooks.beforeFanOut);
    if (this.#hooks.afterFanOut) hub.afterFanOut(this.#hooks.afterFanOut);
    await serveTombstones(own, this.#stones, this.#hasher, (stone, from) => void this.#learn(stone, from));
    // For gateways: what the relay may ask, they may, too.
    await own.serve('session.fetch', (body) => this.#fetch(body, true));
    await own.serve('session.stats', () => this.stats);
    this.#up = connectRelay(this.#host, addressOf(address, 'relay'), {
      node,
      role: 'sibling',
      cluster,
      times,
      ...relay,
    });
    this.#up.onStatus((status) => {
      onNeighbour({ node: 'relay', role: 'relay' }, status === 'connected');
      if (status === 'connected') this.#sync();
    });
    const forever = { timeoutMs: Number.POSITIVE_INFINITY };
    const begun = [
      this.#up.serve('session.fetch', (body) => this.#fetch(body, false), forever),
      this.#up.serve('session.age', (body) => this.#age(parseKeyedEntry(body)), forever),
      this.#up.serve('session.drop', (body) => this.#drop(parseKeyedTombstone(body)), forever),
      this.#up.subscribe(
        'session.new',
        (body) => {
          const put = sensible(() => parseKeyedEntry(body));
          if (put) this.#pass(put);
        },
        forever,
      ),
    ];
    // A relay that is not there yet is waited for in the background.
    for (const each of begun) each.catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#closing.abort(IpcError.of('ERR_RELAY_CLOSED', this.#spec.node));
    await this.#up.close();
    await this.#serving.close();
  }

  #sync(): void {
    const { signal } = this.#closing;
    syncTombstones(
      this.#up,
      this.#stones,
      this.#hasher,
      (stone) => void this.#learn(stone, 'relay'),
      signal,
    ).catch(() => undefined);
  }

  // ---- where things are

  #nodesOf(role: ReliefRole): string[] {
    return this.#serving.hub
      .nodes()
      .filter((node) => node.connected && node.role === role)
      .map(({ node }) => node);
  }

  /** All nodes of a kind, the owners first. */
  #placed(role: ReliefRole, hash: string): string[] {
    const nodes = this.#nodesOf(role);
    const placed = this.#hooks.place?.(hash, nodes, role);
    if (!placed) return ownersOf(hash, nodes);
    const known = placed.filter((node) => nodes.includes(node));
    return [...known, ...nodes.filter((node) => !known.includes(node))];
  }

  // ---- questions

  async #fetch(body: unknown, careful: boolean): Promise<CacheEntry | CacheTombstone | null> {
    const { key, hash } = parseKey(body);
    const { maxStaleMs, replicas } = this.#spec;
    if (careful && this.#up.silenceMs > maxStaleMs)
      throw IpcError.of(
        'ERR_RELAY_UNAVAILABLE',
        'session.fetch',
        `the relay has not been heard for ${maxStaleMs} ms`,
      );
    this.#fetches++;
    const orders = (['expansion', 'aging'] as const).map((role) => this.#placed(role, hash));
    const owners = orders.flatMap((order) => order.slice(0, replicas));
    const others = orders.flatMap((order) => order.slice(replicas));
    // Those that own it now, and only then those that owned it before a node came or went.
    const found = (await this.#askAll(key, hash, owners)) ?? (await this.#askAll(key, hash, others));
    if (!found) return this.#stones.find(key) ?? null;
    this.#fetched++;
    return found;
  }

  async #askAll(key: string, hash: string, nodes: readonly string[]): Promise<Found> {
    const timeoutMs = this.#spec.fetchTimeoutMs / 2;
    const answers = await Promise.all(
      nodes.map((to) =>
        this.#serving.own
          .request('relief.get', { key, hash }, { to, timeoutMs })
          .then(parseFound, () => undefined),
      ),
    );
    let best: Found;
    for (const found of answers) {
      if (!found) continue;
      if (!isTombstone(found) && this.#stones.covers(key, found.stamp)) continue;
      if (!best || found.stamp > best.stamp) best = found;
    }
    return best;
  }

  // ---- records

  async #age({ key, hash, entry }: KeyedEntry): Promise<{ nodes: string[] }> {
    if (this.#stones.covers(key, entry.stamp)) return { nodes: [] };
    const nodes = await this.#store('aging', key, hash, entry);
    if (nodes.length > 0) {
      this.#overflowKept++;
      return { nodes };
    }
    this.#overflowLost++;
    throw IpcError.of('ERR_RELAY_UNAVAILABLE', 'overflow', 'no aging node has taken it');
  }

  #pass({ key, hash, entry }: KeyedEntry): void {
    if (this.#passing >= passingMax || this.#stones.covers(key, entry.stamp)) return;
    this.#passing++;
    this.#store('expansion', key, hash, entry)
      .catch(() => undefined)
      .finally(() => this.#passing--);
  }

  /** To as many owners as there are to be; one that does not take it is passed over. */
  async #store(role: ReliefRole, key: string, hash: string, entry: CacheEntry): Promise<string[]> {
    const stored: string[] = [];
    for (const to of this.#placed(role, hash)) {
      if (stored.length >= this.#spec.replicas) break;
      try {
        await this.#serving.own.request(
          'relief.put',
          { key, hash, entry },
          { to, timeoutMs: this.#spec.fetchTimeoutMs },
        );
        stored.push(to);
      } catch {
        // The next one in the order owns it while this one is not there.
      }
    }
    return stored;
  }

  // ---- deletes

  async #learn({ key, hash, tombstone }: KeyedTombstone, from: string): Promise<void> {
    if (!this.#stones.put(key, tombstone)) return;
    await this.#dropBehind({ key, hash, tombstone }, from);
    // What a relief node remembers and the relay does not, the relay must know.
    if (from !== 'relay' && this.#up.status === 'connected')
      await this.#up.request('session.forget', { key, hash, tombstone }).catch(() => undefined);
  }

  #drop(stone: KeyedTombstone): Promise<{ acknowledged: number; missing: string[] }> {
    this.#stones.put(stone.key, stone.tombstone);
    return this.#dropBehind(stone, 'relay');
  }

  async #dropBehind(
    stone: KeyedTombstone,
    from: string,
  ): Promise<{ acknowledged: number; missing: string[] }> {
    const isRelief = ({ role }: { role: RelayRole }) => role === 'expansion' || role === 'aging';
    const { hub, own } = this.#serving;
    const missing = hub
      .away()
      .filter(isRelief)
      .map(({ node }) => node);
    let acknowledged = 0;
    await Promise.all(
      hub
        .nodes()
        .filter((node) => node.connected && isRelief(node) && node.node !== from)
        .map(({ node }) =>
          own.request('relief.drop', stone, { to: node, timeoutMs: dropTimeoutMs }).then(
            () => acknowledged++,
            () => missing.push(node),
          ),
        ),
    );
    return { acknowledged, missing };
  }
}
