// Relay node: what each node of the relay tier is told about itself, as plain data with every default filled in. What people
// write, a configuration file or `relay({...})` in a topology, becomes one of these.

import type { CacheShape } from './cache.ts';
import type { RelayRole } from './relay.ts';
import type { LinkTimes, LinkTls, RelayEndpoint } from './relay-link.ts';

/** The table of records that a node keeps. */
export interface TableSpec {
  readonly capacity: number;
  readonly recordBytes: number;
  /** Not used for so long, a record goes. */
  readonly agedOutMs?: number | undefined;
  /** How often what is over is removed. */
  readonly sweepMs: number;
  readonly tombstonesMax: number;
}

export const tableDefaults: TableSpec = {
  capacity: 20_000,
  recordBytes: 384,
  sweepMs: 60_000,
  tombstonesMax: 100_000,
};

/** Of a name of a node that keeps a table: those of its caches are longer. */
export const tableNodeLengthMax = 56;

/** The two caches of a node: its records, and its deletes, which have no value. */
export function tableCaches(
  node: string,
  { capacity, recordBytes, agedOutMs = 0, tombstonesMax }: TableSpec,
): Record<'records' | 'deletes', { readonly name: string; readonly shape: CacheShape }> {
  return {
    records: {
      name: `table-${node}`,
      shape: { capacity, recordBytes, shards: 1, tombstones: 0, agedOutMs },
    },
    deletes: {
      name: `deletes-${node}`,
      shape: { capacity: 1, recordBytes: 1, shards: 1, tombstones: tombstonesMax, agedOutMs: 0 },
    },
  };
}

export type ListenSpec = RelayEndpoint & { readonly tls?: LinkTls | undefined };

/** Where the next node is. */
export interface LinkSpec {
  readonly endpoint: RelayEndpoint;
  readonly tls?: LinkTls | undefined;
}

interface NodeSpec {
  readonly node: string;
  readonly cluster: string;
  /** Of the hash of keys, a whole number: the same at all nodes. A text, since it can be larger than JSON's numbers. */
  readonly seed: string;
  readonly times?: Partial<LinkTimes> | undefined;
  /** A file whose exports are `RelayHooks`; absolute. */
  readonly hooks?: string | undefined;
}

/** The node in the middle: front ends come to it, the sibling stands behind it. */
export interface MidwaySpec extends NodeSpec {
  readonly role: 'relay';
  /** For front ends and gateways. */
  readonly listen: readonly ListenSpec[];
  /** For the sibling. */
  readonly siblingListen?: ListenSpec | undefined;
  readonly table: TableSpec;
  /** From this share of the table on, new entries go to the expansion nodes, too. */
  readonly highWater: number;
  /** How long the nodes behind have for an answer. */
  readonly fetchTimeoutMs: number;
}

/** The node that relief nodes come to; it keeps nothing but the deletes. */
export interface SiblingSpec extends NodeSpec {
  readonly role: 'sibling';
  readonly listen: readonly ListenSpec[];
  readonly relay: LinkSpec;
  /** How many nodes of a kind get each record. */
  readonly replicas: number;
  readonly fetchTimeoutMs: number;
  /** Without a word from the relay for so long, it answers nobody. */
  readonly maxStaleMs: number;
  readonly tombstonesMax: number;
}

/** Pressure relief: `expansion` takes new entries, `aging` those that had to go. */
export interface ReliefSpec extends NodeSpec {
  readonly role: 'expansion' | 'aging';
  readonly sibling: LinkSpec;
  readonly table: TableSpec;
}

/** A gateway: sessions between programs of this machine and apps of others. No node of the tier, but described like one. */
export interface GatewaySpec extends Omit<NodeSpec, 'seed' | 'hooks'> {
  readonly role: 'gateway';
  readonly universe: string;
  /** Where its relay is; without it, it is the relay itself, and listens. */
  readonly relay?: LinkSpec | undefined;
  readonly listen: readonly ListenSpec[];
  readonly away: Readonly<Record<string, string>>;
  readonly here: Readonly<Record<string, readonly string[]>>;
  readonly outageMs?: number | undefined;
}

/** A node of the relay tier, as its configuration says. */
export type RelayNodeSpec = MidwaySpec | SiblingSpec | ReliefSpec;

export const nodeDefaults = {
  highWater: 0,
  fetchTimeoutMs: 1_000,
  replicas: 1,
  maxStaleMs: 5_000,
} as const;

/** What a program may add to a node: see docs/relay.md. None may wait. */
export interface RelayHooks {
  /** Sees what is published before anybody else. Answers what is handed on; undefined keeps it back. */
  beforeFanOut?(topic: string, body: unknown, from: string): unknown;
  /** Sees it afterwards, with the number of nodes that it was handed to. */
  afterFanOut?(topic: string, body: unknown, from: string, nodes: number): void;
  /** Of a sibling: which nodes get a record, the first choice first. Default: rendezvous hashing. */
  place?(hash: string, nodes: readonly string[], role: 'expansion' | 'aging'): readonly string[];
  /** Whether a node may come in at all. */
  admit?(node: string, role: RelayRole): boolean;
}
