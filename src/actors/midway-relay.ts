// Midway relay: the node in the middle. It keeps what front ends write, hands it to the others, answers their questions, and
// passes on what it has no room for to the nodes behind it. Without them it serves from its own table.
import { messageOf } from '../errors.ts';
import { type Address, addressOf } from '../names.ts';
import type { CacheEntry, CacheTombstone } from '../spec/downstream.ts';
import type { RelayRole } from '../spec/relay.ts';
import type { MidwaySpec, RelayHooks } from '../spec/relay-node.ts';
import {
  isTombstone,
  parseFound,
  parseKey,
  parseKeyedEntry,
  parseKeyedTombstone,
} from '../transport/entry-frame.ts';
import { type Frame, mapOf, wholeOf } from '../transport/frame.ts';
import type { KeyHasher } from '../transport/placement-hash.ts';
import { SessionTable, type SessionTableStats } from '../transport/session-table.ts';
import type { Host } from './hosting.ts';
import { type RelayListen, type RelayServing, serveRelay } from './relay.ts';
import { serveTombstones } from './tombstone-sync.ts';

/** How long all nodes together have to acknowledge a delete. */
const dropTimeoutMs = 2_000;
/** Overflow that may be under way; what comes on top of it is lost, and counted. */
const overflowMax = 512;

export type NeighbourListener = (neighbour: { node: string; role: RelayRole }, there: boolean) => void;

/** A node that runs. */
export interface OpenNode {
  readonly ports: readonly (number | undefined)[];
  readonly stats: NodeStats;
  close(): Promise<void>;
}

/** Counters of a node of the relay tier. */
export interface NodeStats {
  readonly table?: SessionTableStats;
  /** Records that had to go and that nobody behind has taken. */
  readonly overflowLost: number;
  readonly overflowKept: number;
  /** Questions passed on, and those of them that were answered. */
  readonly fetches: number;
  readonly fetched: number;
}

export async function openMidwayRelay(
  host: Host,
  address: Address,
  spec: MidwaySpec,
  hooks: RelayHooks,
  hasher: KeyHasher,
  onNeighbour: NeighbourListener,
): Promise<OpenNode> {
  const relay = new MidwayRelay(host, spec, hooks, hasher);
  await relay.open(address, onNeighbour);
  return relay;
}

class MidwayRelay implements OpenNode {
  readonly #host: Host;
  readonly #spec: MidwaySpec;
  readonly #hooks: RelayHooks;
  readonly #hasher: KeyHasher;
  readonly #table: SessionTable;
  /** Questions that are being asked behind, by key: those who want the same wait for one answer. */
  readonly #fetching = new Map<string, Promise<CacheEntry | CacheTombstone | undefined>>();
  #serving!: RelayServing;
  #sweep: unknown;
  #overflowing = 0;
  #overflowLost = 0;
  #overflowKept = 0;
  #fetches = 0;
  #fetched = 0;
  #siblings = 0;
  #told = false;

  constructor(host: Host, spec: MidwaySpec, hooks: RelayHooks, hasher: KeyHasher) {
    this.#host = host;
    this.#spec = spec;
    this.#hooks = hooks;
    this.#hasher = hasher;
    this.#table = new SessionTable({ ...spec.table, now: () => host.clock.now() });
  }

  get ports(): readonly (number | undefined)[] {
    return this.#serving.ports;
  }

  get stats(): NodeStats {
    return {
      table: this.#table.stats,
      overflowLost: this.#overflowLost,
      overflowKept: this.#overflowKept,
      fetches: this.#fetches,
      fetched: this.#fetched,
    };
  }

  async open(address: Address, onNeighbour: NeighbourListener): Promise<void> {
    const { node, cluster, times, listen, siblingListen } = this.#spec;
    const outside: RelayListen[] = listen.map((place) => ({ ...place, roles: ['front', 'gateway'] }));
    const inside: RelayListen[] = siblingListen ? [{ ...siblingListen, roles: ['sibling'] }] : [];
    this.#serving = await serveRelay(this.#host, addressOf(address, 'hub'), {
      node,
      cluster,
      times,
      listen: [...outside, ...inside],
      admit: this.#hooks.admit,
      onMember: (member, there) => {
        if (member.node === node) return;
        if (member.role === 'sibling') this.#siblings += there ? 1 : -1;
        if (there) this.#told = false;
        onNeighbour(member, there);
      },
    });
    const { hub, own } = this.#serving;
    if (this.#hooks.beforeFanOut) hub.beforeFanOut(this.#hooks.beforeFanOut);
    if (this.#hooks.afterFanOut) hub.afterFanOut(this.#hooks.afterFanOut);
    await serveTombstones(own, this.#table.tombstones, this.#hasher, ({ key, hash, tombstone }, from) => {
      if (this.#table.forget(key, tombstone)) void this.#drop(key, hash, tombstone, from);
    });
    await own.serve('session.get', (body) => {
      const { key, hash } = parseKey(body);
      return this.#get(key, hash);
    });
    await own.serve('session.put', (body, { from }) => this.#put(body, from));
    await own.serve('session.forget', (body, { from }) => {
      const { key, hash, tombstone } = parseKeyedTombstone(body);
      this.#table.forget(key, tombstone);
      return this.#drop(key, hash, tombstone, from);
    });
    await own.serve('session.stats', () => this.stats);
    this.#sweepLater();
  }

  async close(): Promise<void> {
    this.#host.clock.clearTimeout(this.#sweep);
    await this.#serving.close();
  }

  // ---- questions

  async #get(key: string, hash: string): Promise<CacheEntry | CacheTombstone | null> {
    const found = this.#table.find(key);
    if (found) return found;
    const asked = this.#fetching.get(key) ?? this.#fetch(key, hash);
    return (await asked) ?? null;
  }

  #fetch(key: string, hash: string): Promise<CacheEntry | CacheTombstone | undefined> {
    if (this.#siblings <= 0) return Promise.resolve(undefined);
    this.#fetches++;
    const asked = this.#serving.own
      .request('session.fetch', { key, hash }, { timeoutMs: this.#spec.fetchTimeoutMs })
      .then((body) => this.#keepFound(key, parseFound(body)))
      .catch((error: unknown) => {
        this.#host.log.debug(
          { node: this.#spec.node },
          `the nodes behind were asked in vain: ${messageOf(error)}`,
        );
        return undefined;
      })
      .finally(() => this.#fetching.delete(key));
    this.#fetching.set(key, asked);
    return asked;
  }

  /** It is used again, so it has its place here again. */
  #keepFound(
    key: string,
    found: CacheEntry | CacheTombstone | undefined,
  ): CacheEntry | CacheTombstone | undefined {
    if (!found) return undefined;
    this.#fetched++;
    if (isTombstone(found)) {
      this.#table.forget(key, found);
      return found;
    }
    const kept = this.#table.put(key, found);
    if (kept.how === 'deleted') return kept.tombstone;
    if (kept.how === 'kept') this.#overflow(kept.pushedOut);
    // Written anew while we asked.
    if (kept.how === 'older') return this.#table.find(key);
    return found;
  }

  // ---- writes

  #put(body: unknown, from: string): object {
    const { key, hash, entry } = parseKeyedEntry(body);
    const kept = this.#table.put(key, entry);
    if (kept.how === 'large')
      throw new Error(
        `a value of ${entry.value.length} bytes, where records have ${this.#spec.table.recordBytes}`,
      );
    if (kept.how !== 'kept') return kept;
    const { hub, own } = this.#serving;
    hub.publish('session', { key, hash, entry }, from);
    if (this.#siblings > 0 && this.#table.size >= this.#spec.highWater * this.#table.capacity)
      own.publish('session.new', { key, hash, entry });
    this.#overflow(kept.pushedOut);
    return { how: 'kept' };
  }

  /** What had to go finds a place behind, or is lost and counted: whoever wrote it never waits. */
  #overflow(pushedOut: readonly [string, CacheEntry] | undefined): void {
    if (!pushedOut) return;
    const [key, entry] = pushedOut;
    const lose = (why: string) => {
      this.#overflowLost++;
      if (this.#told) return;
      this.#told = true;
      this.#host.log.warn(
        { node: this.#spec.node },
        `what has no room is lost: ${why} (told once until a node joins)`,
      );
    };
    if (this.#siblings <= 0) return lose('no sibling is connected');
    if (this.#overflowing >= overflowMax) return lose(`${overflowMax} records are on their way already`);
    this.#overflowing++;
    this.#serving.own
      .request('session.age', { key, hash: this.#hasher(key), entry }, { timeoutMs: dropTimeoutMs })
      .then(() => this.#overflowKept++)
      .catch((error: unknown) => lose(messageOf(error)))
      .finally(() => this.#overflowing--);
  }

  /** Told to all who are there; whoever is away hears of it when he comes back. */
  async #drop(
    key: string,
    hash: string,
    tombstone: CacheTombstone,
    from: string,
  ): Promise<{ acknowledged: number; missing: string[] }> {
    const { hub, own } = this.#serving;
    const { node: self } = this.#spec;
    const body = { key, hash, tombstone };
    hub.publish('session.deleted', body, from);
    let acknowledged = 1;
    const missing = hub
      .away()
      .filter(({ role }) => role === 'front' || role === 'sibling')
      .map(({ node }) => node);
    await Promise.all(
      hub
        .nodes()
        .filter(
          ({ node, role, connected }) =>
            connected && node !== from && node !== self && (role === 'front' || role === 'sibling'),
        )
        .map(async ({ node }) => {
          try {
            const answer = await own.request('session.drop', body, { to: node, timeoutMs: dropTimeoutMs });
            acknowledged++;
            // A sibling answers for those behind it.
            if (answer === null) return;
            const behind = mapOf({ t: 'dropped', answer }, 'answer') as Frame;
            acknowledged += wholeOf(behind, 'acknowledged', 10_000);
            if (Array.isArray(behind.missing)) missing.push(...behind.missing.map(String));
          } catch {
            missing.push(node);
          }
        }),
    );
    return { acknowledged, missing };
  }

  #sweepLater(): void {
    this.#sweep = this.#host.clock.setTimeout(() => {
      this.#table.sweep();
      this.#sweepLater();
    }, this.#spec.table.sweepMs);
  }
}
