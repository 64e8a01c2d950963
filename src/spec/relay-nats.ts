// Relay by NATS: how a node reaches the engine, as a configuration says it, and how subjects and buckets are called there. Secrets
// stand in files, never in a configuration.
import { createHash } from 'node:crypto';
import type { RelayRole } from './relay.ts';

/** Files whose content, without the white space at its end, is the secret. */
export type NatsAuth =
  | { readonly user: string; readonly passwordFile: string }
  | { readonly tokenFile: string }
  | { readonly nkeySeedFile: string };

/** Files of PEM. With `cert` and `key` the server can check who we are. */
export interface NatsTls {
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
  /**
   * What the servers' certificates must be made out to. Default: the host in `servers`, which is no help for an address, or for a server
   * that another one has told of.
   */
  readonly serverName?: string;
}

/** Options of a relay over NATS. */
export interface NatsOptions {
  readonly node: string;
  readonly role?: RelayRole | undefined;
  /** Nodes of another cluster are not seen; several can share an engine. Default: 'main'. */
  readonly cluster?: string | undefined;
  /** `nats://host:port` or `tls://host:port`, any number of one engine's servers. */
  readonly servers: readonly string[];
  readonly auth?: NatsAuth | undefined;
  readonly tls?: NatsTls | undefined;
  /** On how many servers the engine keeps each of its tables: 1, or 3 in a cluster. Default 1. */
  readonly replicas?: number | undefined;
  /** Nodes that ought to be there. */
  readonly expected?: readonly { readonly node: string; readonly role: RelayRole }[];
  /** How long opening may take, elections included. Default 15000. */
  readonly timeoutMs?: number | undefined;
}

export const natsDefaults = { cluster: 'main', replicas: 1, openTimeoutMs: 15_000 } as const;

/** The oldest release of the server that all of this is tested with. */
export const natsVersionMin = '2.9.10';

/**
 * How far the clock of a node may be from the engine's, in ms. Rows end by the clocks of the servers, and the later of two writes of a
 * session is told by those of the nodes.
 */
export const natsClockSkewMaxMs = 5_000;

/**
 * A lease must outlive an election of the engine, which takes up to 8 s. Its holder renews it each fifth of the time, and stops
 * after two thirds.
 */
export const natsLeaseTtlMs = { min: 1_000, max: 15_000 } as const;
export const nodeTtlMs = 15_000;
export const nodeRefreshMs = 3_000;

/** @param skewMs how far the own clock is ahead. */
export function clockAdvice(skewMs: number): string {
  return `it is ${(Math.abs(skewMs) / 1000).toFixed(1)} s ${skewMs > 0 ? 'ahead of' : 'behind'} the engine's; let all machines follow one time (chrony, systemd-timesyncd)`;
}

/** What the nodes of a cluster publish and hear. */
export function natsRoot(cluster: string): string {
  return `aipc.${cluster}`;
}

export type NatsTableName = 'nodes' | 'leases' | 'kv' | 'sessions';

/** Of a name that may be a secret, or have characters that a subject can't: 128 bits of its hash, in hex. */
export function natsKey(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 32);
}

export function natsBucket(cluster: string, table: NatsTableName | 'blob'): string {
  return `AIPC_${cluster}_${table}`;
}

/** The subjects that a node of any role needs, for an engine with one user. See nats-grants.ts for one user of each role. */
export function natsPermissions(cluster: string): { publish: string[]; subscribe: string[] } {
  const root = natsRoot(cluster);
  const tables = (['nodes', 'leases', 'kv', 'sessions'] as const).map(
    (table) => `$KV.${natsBucket(cluster, table)}.>`,
  );
  const blobs = `$O.${natsBucket(cluster, 'blob')}.>`;
  return {
    publish: [`${root}.>`, '$JS.API.>', '$JS.ACK.>', '$JS.FC.>', '_INBOX.>', ...tables, blobs],
    subscribe: [`${root}.>`, '_INBOX.>'],
  };
}
