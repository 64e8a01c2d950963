// Midway relay: the node in the middle. It keeps what front ends write, hands it to the others, answers their questions, and
// passes on what it has no room for to the nodes behind it. Without them it serves from its own table.
import { type IpcError, messageOf } from '../errors.ts';
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
/** Of what has aged, so many at once: writers need the rest. */
const sweptAtOnceMax = 64;

/** What each node is given, beside its configuration. */
export interface NodeSetting {
  readonly host: Host;
  readonly address: Address;
  /** Where the caches of its table stand. */
  readonly runDirectory: string;
  readonly hooks: RelayHooks;
  readonly hasher: KeyHasher;
  readonly onNeighbour: NeighbourListener;
  /** Its table can be used no more. */
  readonly onTableEnded: (why: IpcError) => void;
}

export type NeighbourListener = (neighbour: { node: string; role: RelayRole }, there: boolean) => void;

/** A node that runs. */
export interface OpenNode {
  readonly ports: readonly (number | undefined)[];
  readonly stats: NodeStats;
  close(): Promise<void>;
}

/** The configuration says another size than the table has that was there. */
export function tellMadeAnew(host: Host, node: string, why: IpcError): void {
  host.log.warn({ node, error: why.toJSON() }, `the table is made anew, and empty: ${why.message}`);
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
  { host, address, runDirectory, hooks, hasher, onNeighbour, onTableEnded }: NodeSetting,
  spec: MidwaySpec,
): Promise<OpenNode> {
  const relay = new MidwayRelay(host, spec, hooks, hasher);
  try {
    await relay.open(address, runDirectory, onNeighbour, onTableEnded);
  } catch (error) {
    await relay.close();
    throw error;
  }
  return relay;
}

class MidwayRelay implements OpenNode {
  readonly #host: Host;
  readonly #spec: MidwaySpec;
  readonly #hooks: RelayHooks;
  readonly #hasher: KeyHasher;
  #table!: SessionTable;
  /** Questions that are being asked behind, by key: those who want the same wait for one answer. */
  readonly #fetching = new Map<string, Promise<CacheEntry | CacheTombstone | undefined>>();
  #serving: RelayServing | undefined;
  #sweep: unknown;
  #closed = false;
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
  }

  get ports(): readonly (number | undefined)[] {
    return this.#serving?.ports ?? [];
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

  async open(
    address: Address,
    runDirectory: string,
    onNeighbour: NeighbourListener,
    onTableEnded: NodeSetting['onTableEnded'],
  ): Promise<void> {
    const { node, cluster, times, listen, siblingListen, table } = this.#spec;
    this.#table = await SessionTable.open({
      ...{ runDirectory, node, table },
      onPushedOut: (key, entry, cause) => this.#overflow(key, entry, cause),
      onMadeAnew: (why) => tellMadeAnew(this.#host, node, why),
      onEnded: onTableEnded,
    });
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
    const { hub, own } = this.#links;
    if (this.#hooks.beforeFanOut) hub.beforeFanOut(this.#hooks.beforeFanOut);
    if (this.#hooks.afterFanOut) hub.afterFanOut(this.#hooks.afterFanOut);
    await serveTombstones(
      own,
      this.#table.tombstones,
      this.#hasher,
      async ({ key, hash, tombstone }, from) => {
        if (await this.#table.forget(key, tombstone)) void this.#drop(key, hash, tombstone, from);
      },
    );
    await own.serve('session.get', (body) => {
      const { key, hash } = parseKey(body);
      return this.#get(key, hash);
    });
    await own.serve('session.put', (body, { from }) => this.#put(body, from));
    await own.serve('session.forget', async (body, { from }) => {
      const { key, hash, tombstone } = parseKeyedTombstone(body);
      await this.#table.forget(key, tombstone);
      return this.#drop(key, hash, tombstone, from);
    });
    await own.serve('session.stats', () => this.stats);
    this.#sweepLater();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#host.clock.clearTimeout(this.#sweep);
    await this.#serving?.close();
    await this.#table?.close();
  }

  get #links(): RelayServing {
    return this.#serving as RelayServing;
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
    const asked = this.#links.own
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
  async #keepFound(
    key: string,
    found: CacheEntry | CacheTombstone | undefined,
  ): Promise<CacheEntry | CacheTombstone | undefined> {
    if (!found) return undefined;
    this.#fetched++;
    if (isTombstone(found)) {
      await this.#table.forget(key, found);
      return found;
    }
    const kept = await this.#table.put(key, found);
    if (kept.how === 'deleted') return kept.tombstone;
    // Written anew while we asked.
    if (kept.how === 'older') return this.#table.find(key);
    return found;
  }

  // ---- writes

  async #put(body: unknown, from: string): Promise<object> {
    const { key, hash, entry } = parseKeyedEntry(body);
    // Counted now: others may be put before we go on.
    const records = this.#table.size + 1;
    const kept = await this.#table.put(key, entry);
    if (kept.how === 'large')
      throw new Error(
        `a value of ${entry.value.length} bytes, where records have ${this.#spec.table.recordBytes}`,
      );
    if (kept.how !== 'kept') return kept;
    const { hub, own } = this.#links;
    hub.publish('session', { key, hash, entry }, from);
    if (this.#siblings > 0 && records >= this.#spec.highWater * this.#table.capacity)
      own.publish('session.new', { key, hash, entry });
    return { how: 'kept' };
  }

  /**
   * What had to go finds a place behind, or is lost and counted: whoever wrote it never waits.
   * @returns what a sweep waits for, which may find many.
   */
  #overflow(key: string, entry: CacheEntry, cause: 'room' | 'age'): Promise<void> | undefined {
    // Nobody promised that what has aged is kept anywhere else.
    if (cause === 'age' && !this.#spec.siblingListen) return undefined;
    const lose = (why: string) => {
      this.#overflowLost++;
      if (this.#told) return;
      this.#told = true;
      this.#host.log.warn(
        { node: this.#spec.node },
        `what has no room is lost: ${why} (told once until a node joins)`,
      );
    };
    if (this.#siblings <= 0 || this.#closed) {
      lose('no sibling is connected');
      return undefined;
    }
    if (this.#overflowing >= overflowMax) {
      lose(`${overflowMax} records are on their way already`);
      return undefined;
    }
    this.#overflowing++;
    const passed = this.#links.own
      .request('session.age', { key, hash: this.#hasher(key), entry }, { timeoutMs: dropTimeoutMs })
      .then(() => {
        this.#overflowKept++;
      })
      .catch((error: unknown) => lose(messageOf(error)))
      .finally(() => {
        this.#overflowing--;
      });
    return this.#overflowing > sweptAtOnceMax ? passed : undefined;
  }

  /** Told to all who are there; whoever is away hears of it when he comes back. */
  async #drop(
    key: string,
    hash: string,
    tombstone: CacheTombstone,
    from: string,
  ): Promise<{ acknowledged: number; missing: string[] }> {
    const { hub, own } = this.#links;
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
    if (this.#closed) return;
    // What is in its way, a lock that is held say, is so for the next one, too, or has ended the table.
    const sweep = () => void this.#table.sweep().then(again, again);
    const again = () => this.#sweepLater();
    this.#sweep = this.#host.clock.setTimeout(sweep, this.#spec.table.sweepMs);
  }
}
