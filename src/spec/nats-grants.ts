// NATS grants: what each role of a cluster may say and hear at the engine, and no more. A node's role stands in the subjects that it
// publishes on, and in those that it hears; so the role of a sender is what the engine has let it be, not what it says.
import { IpcError } from '../errors.ts';
import { nearest } from '../names.ts';
import type { RelayRole } from './relay.ts';
import { type NatsTableName, natsBucket, natsKey, natsRoot } from './relay-nats.ts';

/** Roles that the engine has users for. Siblings are not needed there: relief nodes hear of overflow themselves. */
export const natsUserRoles = ['relay', 'front', 'expansion', 'aging', 'gateway'] as const;
export type NatsUserRole = (typeof natsUserRoles)[number];

/** What a role may do beside being there, asking, answering and reading. */
export interface NatsGrant {
  /** Topics that it may publish on. */
  readonly topics: 'all' | readonly string[];
  /** Holds leases. */
  readonly leases: boolean;
  /** Writes keys. */
  readonly kv: boolean;
  /** Reads and writes blobs. */
  readonly blobs: boolean;
  /** Makes the buckets if they are not there, and writes the sessions that outlive all nodes. */
  readonly buckets: boolean;
}

const little: NatsGrant = { topics: [], leases: false, kv: false, blobs: false, buckets: false };

/** The relay keeps what the others rely on. */
export const natsGrants: Readonly<Record<NatsUserRole, NatsGrant>> = {
  relay: { topics: 'all', leases: true, kv: true, blobs: true, buckets: true },
  front: little,
  expansion: little,
  aging: little,
  gateway: little,
};

export interface NatsPermissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

const tables: readonly NatsTableName[] = ['nodes', 'leases', 'kv'];

/** The subjects that a user of that role needs. */
export function natsRolePermissions(
  cluster: string,
  role: RelayRole,
  grant: NatsGrant = natsGrants[role as NatsUserRole] ?? little,
): NatsPermissions {
  const root = natsRoot(cluster);
  const bucket = (table: NatsTableName | 'blob') => natsBucket(cluster, table);
  const read = grant.buckets ? [...tables, 'sessions' as const] : tables;
  const streams = read.map((table) => `KV_${bucket(table)}`);
  const blobs = `OBJ_${bucket('blob')}`;
  const topics =
    grant.topics === 'all'
      ? [`${root}.evt.>`]
      : grant.topics.flatMap((topic) => [`${root}.evt.${natsKey(topic)}`, `${root}.evt.${natsKey(topic)}.>`]);
  return {
    publish: [
      `${root}.probe.${role}`,
      `${root}.n.*.*.${role}`,
      `${root}.a.*.*.*.${role}`,
      `${root}.all.${role}`,
      ...topics,
      '$JS.API.INFO',
      ...streams.flatMap((stream) => [`$JS.API.STREAM.INFO.${stream}`, `$JS.API.STREAM.MSG.GET.${stream}`]),
      `$KV.${bucket('nodes')}.${role}.*`,
      ...(grant.leases ? [`$KV.${bucket('leases')}.>`] : []),
      ...(grant.kv ? [`$KV.${bucket('kv')}.>`] : []),
      ...(grant.buckets
        ? [`$KV.${bucket('sessions')}.>`, ...streams.map((stream) => `$JS.API.STREAM.CREATE.${stream}`)]
        : []),
      ...(grant.blobs
        ? [
            `$O.${bucket('blob')}.>`,
            ...['STREAM.CREATE', 'STREAM.INFO', 'STREAM.MSG.GET', 'STREAM.PURGE'].map(
              (call) => `$JS.API.${call}.${blobs}`,
            ),
            `$JS.API.CONSUMER.*.${blobs}`,
            `$JS.API.CONSUMER.*.${blobs}.>`,
            `$JS.FC.${blobs}.>`,
          ]
        : []),
    ],
    subscribe: [
      `${natsInbox(role)}.>`,
      `${root}.n.${role}.*.*`,
      `${root}.a.${role}.*.>`,
      `${root}.all.*`,
      `${root}.evt.*`,
      `${root}.evt.*.${role}.*`,
      `${root}.table.>`,
    ],
  };
}

/** Where the engine's own answers come in: nobody of another role hears them. */
export function natsInbox(role: RelayRole): string {
  return `_INBOX.${role}`;
}

/**
 * Reads `role=what,what`: what a role gets beside its own, `leases`, `kv`, `blobs` or `topic:NAME`.
 * @throws {IpcError} ERR_OPTIONS_INVALID.
 */
export function parseGrant(text: string): { readonly role: NatsUserRole; readonly grant: NatsGrant } {
  const [name = '', list = ''] = text.split('=', 2);
  const wrong = (why: string) => IpcError.of('ERR_OPTIONS_INVALID', `--grant ${text}`, why);
  const role = natsUserRoles.find((each) => each === name);
  if (!role) {
    const near = nearest(name, natsUserRoles);
    throw wrong(
      `${name === '' ? 'it names no role' : `there is no role ${name}`}${near === undefined ? '' : ` (did you mean ${near}?)`}; there are ${natsUserRoles.join(', ')}`,
    );
  }
  const grant = { ...natsGrants[role], topics: natsGrants[role].topics };
  for (const what of list.split(',')) {
    if (what === 'leases' || what === 'kv' || what === 'blobs') grant[what] = true;
    else if (/^topic:./.test(what)) {
      if (grant.topics !== 'all') grant.topics = [...grant.topics, what.slice('topic:'.length)];
    } else throw wrong(`${JSON.stringify(what)} is none of leases, kv, blobs, topic:NAME`);
  }
  return { role, grant };
}
