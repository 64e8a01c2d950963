// Tier: a relay, its sibling, relief nodes and front ends in one process, joined by real links.
import { RelayDownstream } from '../../../src/actors/relay-downstream.ts';
import { type RunningNode, startRelayNode } from '../../../src/actors/relay-node.ts';
import type { ErrorData } from '../../../src/errors.ts';
import { addressOf } from '../../../src/names.ts';
import type { CacheEntry, CacheNews, CacheTombstone } from '../../../src/spec/downstream.ts';
import {
  type MidwaySpec,
  nodeDefaults,
  type RelayHooks,
  type RelayNodeSpec,
  type TableSpec,
  tableDefaults,
} from '../../../src/spec/relay-node.ts';
import type { RelayMember } from '../../../src/transport/relay-member.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { waitUntil } from '../wait-until.ts';
import { Nodes, times } from './nodes.ts';

const seed = '9849381';

export interface Front {
  readonly member: RelayMember;
  readonly downstream: RelayDownstream;
  readonly news: CacheNews[];
}

export interface TierNode extends RunningNode {
  readonly states: string[];
  /** Undefined while it runs. */
  readonly end: { error: ErrorData | null } | undefined;
  stop(): Promise<void>;
}

export class Tier {
  readonly nodes = new Nodes();
  readonly #folder = temporaryFolder();
  #number = 0;
  readonly #running: TierNode[] = [];

  /** Where the tables of the nodes are. */
  get runDirectory(): string {
    return this.#folder.path;
  }

  start(spec: RelayNodeSpec, hooks: RelayHooks = {}): TierNode {
    const states: string[] = [];
    let end: TierNode['end'];
    const running = startRelayNode(this.nodes.host, {
      address: addressOf(`${spec.node}-${++this.#number}`),
      runDirectory: this.runDirectory,
      spec,
      hooks,
      onState: (state) => states.push(state.slice('operative.'.length)),
      onEnd: (error) => {
        end = { error };
      },
    });
    const node: TierNode = {
      states,
      hosted: running.hosted,
      get open() {
        return running.open;
      },
      get stats() {
        return running.stats;
      },
      get end() {
        return end;
      },
      stop: async () => {
        if (!end) running.hosted.post({ type: 'stop' });
        await waitUntil(`the end of ${spec.node}`, () => end);
      },
    };
    this.#running.push(node);
    return node;
  }

  async relay(
    change: Partial<Omit<MidwaySpec, 'table'>> & { table?: Partial<TableSpec> } = {},
    hooks?: RelayHooks,
  ) {
    const node = this.start(
      {
        role: 'relay',
        node: 'relay',
        cluster: '',
        seed,
        times,
        listen: [{ host: '127.0.0.1', port: 0 }],
        siblingListen: { host: '127.0.0.1', port: 0 },
        highWater: nodeDefaults.highWater,
        fetchTimeoutMs: 1_000,
        ...change,
        table: { ...tableDefaults, ...change.table },
      },
      hooks,
    );
    await waitUntil('the relay', () => node.open);
    return node;
  }

  async sibling(
    relay: TierNode,
    change: Partial<Extract<RelayNodeSpec, { role: 'sibling' }>> = {},
    hooks?: RelayHooks,
  ) {
    const node = this.start(
      {
        role: 'sibling',
        node: 'sibling',
        cluster: '',
        seed,
        times,
        listen: [{ host: '127.0.0.1', port: 0 }],
        relay: { endpoint: { host: '127.0.0.1', port: relay.open!.ports[1]! } },
        ...nodeDefaults,
        tombstonesMax: 1_000,
        ...change,
      },
      hooks,
    );
    await waitUntil('the sibling', () => node.states.at(-1) === 'whole' && relay.states.at(-1) === 'whole');
    return node;
  }

  async relief(role: 'expansion' | 'aging', name: string, sibling: TierNode, table: Partial<TableSpec> = {}) {
    const node = this.start({
      role,
      node: name,
      cluster: '',
      seed,
      times,
      sibling: { endpoint: { host: '127.0.0.1', port: sibling.open!.ports[0]! } },
      table: { ...tableDefaults, ...table },
    });
    await waitUntil(name, () => node.states.at(-1) === 'whole');
    return node;
  }

  async front(name: string, relay: TierNode): Promise<Front> {
    const endpoint = { host: '127.0.0.1', port: relay.open!.ports[0]! };
    const member = await this.nodes.connected({ node: name, role: 'front', endpoint });
    const downstream = await RelayDownstream.open(member, { seed: BigInt(seed) });
    const news: CacheNews[] = [];
    downstream.onNews((each) => news.push(each));
    // What it has asked for before is answered before this.
    await member.nodes();
    return { member, downstream, news };
  }

  async close(): Promise<void> {
    await this.nodes.close();
    for (const node of this.#running.splice(0).reverse()) await node.stop();
    this.#folder[Symbol.dispose]();
  }
}

let stamps = 0;
export const signal = (ms = 25_000) => AbortSignal.timeout(ms);
export function entry(text: string, change: Partial<CacheEntry> = {}): CacheEntry {
  return { value: new TextEncoder().encode(text), form: 'text', stamp: ++stamps, ...change };
}
export function stone(ttlMs = 60_000): CacheTombstone {
  return { deleted: true, stamp: ++stamps, ttlMs };
}
/** What an answer says, in words. */
export function said(found: CacheEntry | CacheTombstone | undefined): string {
  if (!found) return 'nothing';
  return 'deleted' in found ? 'deleted' : new TextDecoder().decode(found.value);
}
