// NATS leases: rows of a table, written by comparing revisions, so there is never a second holder of one token. The token is the
// revision of the first write of a holder, which only goes up. A row ends by itself after the longest time of a lease; one of a
// shorter time may be taken over by whoever has seen it unchanged for so long on its own clock.
import { IpcError } from '../errors.ts';
import type { Lease, LeaseOptions } from '../spec/relay.ts';
import { natsKey, natsLeaseTtlMs } from '../spec/relay-nats.ts';
import { textOf, wholeOf } from './frame.ts';
import type { NatsRow } from './nats-feed.ts';
import { type NatsTable, WrongRevision } from './nats-table.ts';
import { RelayLease } from './relay-lease.ts';

const seenMax = 10_000;

export class NatsLeases {
  readonly #table: NatsTable;
  readonly #self: { readonly node: string; readonly id: string };
  readonly #held = new Set<RelayLease>();
  /** When each row was seen here first, by its key. */
  readonly #seen = new Map<string, { revision: number; atMs: number }>();
  #stop: () => void = () => {};

  constructor(table: NatsTable, self: { node: string; id: string }) {
    this.#table = table;
    this.#self = self;
  }

  async start(): Promise<void> {
    const feed = await this.#table.follow((row) => this.#note(row));
    this.#stop = () => feed.stop();
  }

  async take(name: string, { ttlMs: wanted = natsLeaseTtlMs.max, ...options }: LeaseOptions): Promise<Lease> {
    const ttlMs = Math.min(natsLeaseTtlMs.max, Math.max(natsLeaseTtlMs.min, wanted));
    const key = natsKey(name);
    const found = await this.#table.read(key, options);
    if (found) this.#note(found);
    if (found && !found.deleted && !this.#isOver(found))
      throw IpcError.of('ERR_LEASE_HELD', name, `${String(found.body.node)} holds it`);
    const askedAtMs = performance.now();
    const body = { ...this.#self, name, ttlMs };
    let token: number;
    try {
      token = await this.#table.write(
        key,
        { ...body, token: 0 },
        { ...options, expect: found?.revision ?? 0 },
      );
    } catch (error) {
      if (error instanceof WrongRevision)
        throw IpcError.from(error, 'ERR_LEASE_HELD', name, 'somebody else was a moment earlier');
      throw error;
    }
    let revision = token;
    const lease: RelayLease = new RelayLease(name, token, ttlMs, askedAtMs, {
      renew: async () => {
        try {
          const wait = { expect: revision, timeoutMs: ttlMs / 5 };
          revision = await this.#table.write(key, { ...body, token }, wait);
        } catch (error) {
          if (error instanceof WrongRevision)
            throw IpcError.from(error, 'ERR_LEASE_LOST', name, 'somebody else has had it since');
          throw error;
        }
      },
      release: async () => {
        this.#held.delete(lease);
        try {
          await this.#table.write(key, { ...body, token }, { expect: revision, deleted: true });
        } catch (error) {
          // A renewal was on its way, or its time is over: then it ends by itself.
          if (!(error instanceof WrongRevision)) throw error;
        }
      },
      ended: () => this.#held.delete(lease),
    });
    this.#held.add(lease);
    return lease;
  }

  /** @throws {IpcError} ERR_LEASE_LOST if a later holder is known. */
  async check({ name, token }: Pick<Lease, 'name' | 'token'>): Promise<void> {
    const found = await this.#table.read(natsKey(name));
    const last = found ? tokenOf(found) : 0;
    if (token < last) throw IpcError.of('ERR_LEASE_LOST', name, `token ${token} is older than ${last}`);
  }

  async close(why: string): Promise<void> {
    await Promise.all([...this.#held].map((lease) => lease.release().catch(() => undefined)));
    this.lose(why);
    this.#stop();
  }

  lose(why: string): void {
    for (const lease of this.#held) lease.lose(why);
  }

  #note({ key, revision, deleted }: NatsRow): void {
    const known = this.#seen.get(key);
    if (known && known.revision >= revision) return;
    this.#seen.delete(key);
    if (deleted) return;
    if (this.#seen.size >= seenMax) this.#seen.delete(this.#seen.keys().next().value!);
    this.#seen.set(key, { revision, atMs: performance.now() });
  }

  /** Nobody has renewed it for its whole time, by our own clock. */
  #isOver({ key, revision, body }: NatsRow): boolean {
    const seen = this.#seen.get(key);
    const ttlMs = wholeOf({ t: 'lease', ...body }, 'ttlMs', natsLeaseTtlMs.max);
    return seen?.revision === revision && performance.now() - seen.atMs > ttlMs;
  }
}

function tokenOf({ revision, body }: NatsRow): number {
  const frame = { t: 'lease', ...body };
  textOf(frame, 'name', 255);
  return wholeOf(frame, 'token') || revision;
}
