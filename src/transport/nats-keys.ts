// NATS keys: the small tables of a relay, all in one bucket of the engine. A row's key is the hash of the table's name and that of the
// key, so that names may have any characters and don't show in subjects; the names stand in the row. A row remembers the token of
// the lease that it was written under.
import { IpcError } from '../errors.ts';
import type { KeyValue, Lease, RelayHold, WriteOptions } from '../spec/relay.ts';
import { natsKey } from '../spec/relay-nats.ts';
import { packPlain } from './codec.ts';
import type { NatsFeed, NatsRow } from './nats-feed.ts';
import type { NatsLeases } from './nats-leases.ts';
import { type NatsTable, WrongRevision } from './nats-table.ts';

const valueBytesMax = 64 * 1024;
/** How often a write under a lease begins again because others have written meanwhile. */
const triesMax = 8;

type Kind = 'put' | 'create' | 'update' | 'delete';
type Watcher = (row: NatsRow) => void;

export class NatsKeys {
  readonly #table: NatsTable;
  readonly #leases: NatsLeases;
  readonly #guarded: (call: () => void) => void;
  readonly #watchers = new Set<Watcher>();
  #feed: Promise<NatsFeed> | undefined;

  constructor(table: NatsTable, leases: NatsLeases, guarded: (call: () => void) => void) {
    this.#table = table;
    this.#leases = leases;
    this.#guarded = guarded;
  }

  bucket(bucket: string, refuseIfClosed: () => void): KeyValue {
    const prefix = natsKey(bucket);
    const keyOf = (key: string) => `${prefix}.${natsKey(key)}`;
    const write = async (
      kind: Kind,
      key: string,
      value: unknown,
      options: WriteOptions & { revision?: number } = {},
    ) => {
      refuseIfClosed();
      const bytes = kind === 'delete' ? 0 : packPlain(value).length + key.length;
      if (bytes > valueBytesMax)
        throw IpcError.of('ERR_MESSAGE_TOO_LARGE', `key ${key}`, bytes, valueBytesMax);
      return this.#write(kind, keyOf(key), { b: bucket, k: key, v: value ?? null }, options);
    };
    return {
      get: async (key, options) => {
        refuseIfClosed();
        const row = await this.#table.read(keyOf(key), options);
        return row && !row.deleted ? { value: row.body.v ?? null, revision: row.revision } : undefined;
      },
      put: (key, value, options) => write('put', key, value, options),
      create: (key, value, options) => write('create', key, value, options),
      update: (key, value, revision, options) => write('update', key, value, { ...options, revision }),
      delete: async (key, options) => void (await write('delete', key, null, options)),
      keys: async (options) => {
        refuseIfClosed();
        const rows = await this.#table.rows(prefix, options);
        return rows.filter(({ deleted }) => !deleted).map(({ body }) => String(body.k));
      },
      watch: async (listener, _options): Promise<RelayHold> => {
        refuseIfClosed();
        const watcher: Watcher = ({ key, body, deleted, revision }) => {
          if (!key.startsWith(`${prefix}.`)) return;
          const entry = deleted ? undefined : { value: body.v ?? null, revision };
          this.#guarded(() => listener(String(body.k), entry));
        };
        this.#feed ??= this.#table.follow((row) => {
          for (const each of [...this.#watchers]) each(row);
        }, 'now');
        try {
          await this.#feed;
        } catch (error) {
          this.#feed = undefined;
          throw error;
        }
        this.#watchers.add(watcher);
        const release = () => void this.#watchers.delete(watcher);
        return { release, [Symbol.dispose]: release };
      },
    };
  }

  async close(): Promise<void> {
    this.#watchers.clear();
    (await this.#feed?.catch(() => undefined))?.stop();
  }

  async #write(
    kind: Kind,
    key: string,
    body: Record<string, unknown>,
    { lease, revision, ...options }: WriteOptions & { revision?: number },
  ): Promise<number> {
    const name = String(body.k);
    if (lease) await this.#leases.check(lease);
    for (let tries = 1; ; tries++) {
      const looks = lease !== undefined || kind === 'create' || tries > 1;
      const found = looks ? await this.#table.read(key, options) : undefined;
      if (lease) fence(found, lease);
      const present = found && !found.deleted ? found.revision : undefined;
      if (kind === 'create' && present !== undefined)
        throw IpcError.of('ERR_KV_CONFLICT', name, `it exists, at revision ${present}`);
      if (revision !== undefined && looks && present !== revision) throw conflict(name, found, revision);
      const expect = revision ?? (kind === 'create' || lease ? (found?.revision ?? 0) : undefined);
      const row = lease ? { ...body, l: { [lease.name]: lease.token } } : body;
      try {
        return await this.#table.write(key, row, {
          ...options,
          deleted: kind === 'delete',
          ...(expect !== undefined && { expect }),
        });
      } catch (error) {
        if (!(error instanceof WrongRevision)) throw error;
        if (revision !== undefined || tries >= triesMax)
          throw conflict(name, await this.#table.read(key, options), revision, error);
      }
    }
  }
}

/** An earlier holder's write is refused by what a later one has written, even if the table of leases was asked too early. */
function fence(found: NatsRow | undefined, { name, token }: Pick<Lease, 'name' | 'token'>): void {
  const fences = found?.body.l as Record<string, unknown> | undefined;
  const last = fences && Object.hasOwn(fences, name) ? Number(fences[name]) : 0;
  if (token < last) throw IpcError.of('ERR_LEASE_LOST', name, `token ${token} is older than ${last}`);
}

function conflict(
  key: string,
  found: NatsRow | undefined,
  expected: number | undefined,
  cause?: unknown,
): IpcError {
  const why =
    !found || found.deleted
      ? 'it does not exist'
      : expected === undefined
        ? `others write it all the time; its revision is ${found.revision}`
        : `its revision is ${found.revision}, not ${expected}`;
  return cause === undefined
    ? IpcError.of('ERR_KV_CONFLICT', key, why)
    : IpcError.from(cause, 'ERR_KV_CONFLICT', key, why);
}
