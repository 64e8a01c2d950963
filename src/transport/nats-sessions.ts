// NATS sessions: the sessions of a cluster that outlive all its nodes, in a table of the engine. A row bears the token of the lease that
// it was written under; a holder whose time is over finds a greater one, or loses the race for the revision.
import { IpcError } from '../errors.ts';
import type { CacheEntry, CacheTombstone } from '../spec/downstream.ts';
import type { Lease } from '../spec/relay.ts';
import { natsKey } from '../spec/relay-nats.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { isTombstone, parseFound } from './entry-frame.ts';
import { mapOf, textOf, wholeOf } from './frame.ts';
import type { NatsConnection } from './nats-connection.ts';
import type { NatsRow } from './nats-feed.ts';
import { NatsTable, WrongRevision } from './nats-table.ts';

const triesMax = 8;

export interface SessionsWant {
  readonly cluster: string;
  readonly replicas: number;
  /** No session and no delete is kept for longer. */
  readonly maxAgeMs: number;
  /** Of the engine's disk; when it is full, what was written first goes. */
  readonly maxBytes: number;
}

export class NatsSessions {
  readonly #table: NatsTable;
  readonly #wallMs: () => number;

  /** @throws {IpcError} ERR_RELAY_CONFIG, ERR_RELAY_REFUSED, ERR_RELAY_UNAVAILABLE. */
  static async open(
    link: NatsConnection,
    want: SessionsWant,
    wallMs: () => number,
    options: WaitOptions,
  ): Promise<NatsSessions> {
    return new NatsSessions(
      await NatsTable.open(link, { ...want, table: 'sessions', discard: 'old' }, options),
      wallMs,
    );
  }

  private constructor(table: NatsTable, wallMs: () => number) {
    this.#table = table;
    this.#wallMs = wallMs;
  }

  async read(
    shard: number,
    key: string,
    options?: WaitOptions,
  ): Promise<CacheEntry | CacheTombstone | undefined> {
    const row = await this.#table.read(rowKey(shard, key), options);
    return row && this.#foundIn(row, key);
  }

  /**
   * Writes what wins over what is there, by its stamp. An entry needs the lease of its shard; a delete, nobody's.
   * @returns whether it has won.
   * @throws {IpcError} ERR_LEASE_LOST if a later holder has written; ERR_RELAY_UNAVAILABLE, ERR_RELAY_FULL.
   */
  async write(
    shard: number,
    key: string,
    found: CacheEntry | CacheTombstone,
    lease: Pick<Lease, 'name' | 'token'> | undefined,
    options: WaitOptions = {},
  ): Promise<boolean> {
    for (let tries = 1; ; tries++) {
      const row = await this.#table.read(rowKey(shard, key), options);
      const last = row ? tokenOf(row) : 0;
      if (lease && lease.token < last)
        throw IpcError.of('ERR_LEASE_LOST', lease.name, `token ${lease.token} is older than ${last}`);
      const there = row && this.#foundIn(row, key);
      if (there && there.stamp >= found.stamp) return there.stamp === found.stamp;
      const untilMs = found.ttlMs === undefined ? 0 : Math.ceil(this.#wallMs() + found.ttlMs);
      const body = { k: key, u: untilMs, l: Math.max(last, lease?.token ?? 0), v: found };
      try {
        await this.#table.write(rowKey(shard, key), body, { ...options, expect: row?.revision ?? 0 });
        return true;
      } catch (error) {
        if (!(error instanceof WrongRevision) || tries >= triesMax) throw error;
      }
    }
  }

  /** What is left of its life, by the clocks of writer and reader, which may be some seconds apart. */
  #foundIn(row: NatsRow, key: string): CacheEntry | CacheTombstone | undefined {
    if (row.deleted) return undefined;
    const frame = { t: 'session', ...row.body };
    // Two keys of one hash: who came last has the row.
    if (textOf(frame, 'k', 255) !== key) return undefined;
    const untilMs = wholeOf(frame, 'u');
    const found = parseFound(mapOf(frame, 'v'));
    if (!found || untilMs === 0) return found;
    const ttlMs = untilMs - this.#wallMs();
    if (ttlMs <= 0) return undefined;
    return isTombstone(found) ? { ...found, ttlMs } : { ...found, ttlMs };
  }
}

function rowKey(shard: number, key: string): string {
  return `${shard}.${natsKey(key)}`;
}

function tokenOf({ body }: NatsRow): number {
  return wholeOf({ t: 'session', ...body }, 'l');
}
