// NATS table config: what a bucket of the engine is told, and how one that is there differs. Servers leave out silently what they don't know,
// so what they answer is compared field by field.
import { type NatsTableName, natsBucket, natsLeaseTtlMs, natsRoot, nodeTtlMs } from '../spec/relay-nats.ts';

const nano = 1_000_000;
const MiB = 2 ** 20;

export interface TableWant {
  readonly cluster: string;
  readonly table: NatsTableName;
  readonly replicas: number;
  /** 0: for ever. */
  readonly maxAgeMs: number;
  /** What it may take of the engine's disk. */
  readonly maxBytes: number;
  /** `old`: a full table lets go of what was written first; `new`: it refuses what comes. Default `new`. */
  readonly discard?: 'old' | 'new';
}

export const otherBucket = 'give all nodes the same "replicas", or remove the bucket so that it is made anew';

/** The tables that every cluster has. */
export function tableWants(cluster: string, replicas: number): TableWant[] {
  const want = (table: NatsTableName, maxAgeMs: number, maxBytes: number) => ({
    cluster,
    table,
    replicas,
    maxAgeMs,
    maxBytes,
  });
  return [
    want('nodes', nodeTtlMs, 16 * MiB),
    want('leases', natsLeaseTtlMs.max, 16 * MiB),
    want('kv', 0, 64 * MiB),
  ];
}

export function tableStream({ cluster, table }: Pick<TableWant, 'cluster' | 'table'>): string {
  return `KV_${natsBucket(cluster, table)}`;
}

/** As a stream of the engine. */
export function tableConfig(want: TableWant) {
  const { cluster, table, replicas, maxAgeMs, maxBytes, discard = 'new' } = want;
  const prefix = `$KV.${natsBucket(cluster, table)}.`;
  return {
    name: tableStream(want),
    subjects: [`${prefix}>`],
    retention: 'limits',
    storage: 'file',
    num_replicas: replicas,
    max_age: maxAgeMs * nano,
    max_bytes: maxBytes,
    max_msgs_per_subject: 1,
    discard,
    deny_delete: true,
    allow_rollup_hdrs: true,
    republish: { src: `${prefix}>`, dest: `${natsRoot(cluster)}.table.${table}.>` },
  } as const;
}

/** One line for each field that is not as it must be. */
export function differencesOf(
  found: Readonly<Record<string, unknown>>,
  wanted: Readonly<Record<string, unknown>>,
): string[] {
  return Object.entries(wanted)
    .filter(([field, value]) => !equal(found[field], value))
    .map(
      ([field, value]) =>
        `${field} is ${JSON.stringify(found[field])}, and ${JSON.stringify(value)} is needed`,
    );
}

function equal(found: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return found === wanted;
  if (typeof found !== 'object' || found === null) return false;
  return Object.entries(wanted).every(([field, value]) =>
    equal((found as Record<string, unknown>)[field], value),
  );
}
