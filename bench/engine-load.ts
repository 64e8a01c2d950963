// Engine load: what a cluster of many hosts asks of its engine when nothing happens, from the times and subjects that nodes use.
// `npx tsx bench/engine-load.ts [HOSTS]` prints it; test/transport/nats-load.test.ts measures whether it is so.
import { pathToFileURL } from 'node:url';
import { nodeRefreshMs } from '../src/spec/relay-nats.ts';
import { shardedDefaults } from '../src/spec/relay-sharded.ts';

/** What each node has beside one for each topic that it hears: to itself, its answers, all, what it has missed, two tables, its inbox. */
export const subscriptionsOfNode = 7;
/** Each compares the ends of two tables so often. */
const compareMs = 5_000;
const feeds = 2;
/** Each asks the server for a sign of life so often, and says how far the topics are on which it has published lately. */
const beatMs = 1_000;
/** A row of a node or a lease with its headers, a beat, what the engine says of a table. */
const bytesOf = { row: 300, beat: 150, answer: 700 } as const;
const leaseRenewMs = 3_000;

export interface EngineShape {
  readonly nodes: number;
  /** Those of them that are relays of the session tier. */
  readonly relays: number;
  /** Nodes that have published lately. */
  readonly publishers: number;
  readonly shards: number;
  /** Topics that each node hears. */
  readonly topics: number;
}

export interface EngineLoad {
  readonly connections: number;
  readonly subscriptions: number;
  /** Rows a second that all servers write. */
  readonly writes: number;
  /** Messages a second that the servers hand out: rows of nodes and of leases, and beats. */
  readonly rows: number;
  readonly beats: number;
  /** Answers of the engine itself, a second. */
  readonly answers: number;
  /** Bytes a second that the servers hand out. */
  readonly bytes: number;
}

export function engineLoad({ nodes, relays, publishers, shards, topics }: EngineShape): EngineLoad {
  const nodeWrites = nodes / (nodeRefreshMs / 1000);
  const leaseWrites = relays > 0 ? shards / (leaseRenewMs / 1000) : 0;
  const writes = nodeWrites + leaseWrites;
  const rows = writes * nodes;
  const beats =
    (publishers / (beatMs / 1000)) * nodes + (relays / (shardedDefaults.beatMs / 1000)) * (nodes - relays);
  const answers = writes + (nodes * feeds) / (compareMs / 1000);
  return {
    connections: nodes,
    subscriptions: nodes * (subscriptionsOfNode + topics),
    writes: Math.round(writes),
    rows: Math.round(rows),
    beats: Math.round(beats),
    answers: Math.round(answers),
    bytes: Math.round(rows * bytesOf.row + beats * bytesOf.beat + answers * bytesOf.answer),
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const hosts = process.argv[2] ? [Number(process.argv[2])] : [10, 100, 300, 1_000];
  console.table(
    Object.fromEntries(
      hosts.map((nodes) => [
        nodes,
        engineLoad({ nodes, relays: 3, publishers: 3, shards: shardedDefaults.shards, topics: 2 }),
      ]),
    ),
  );
}
