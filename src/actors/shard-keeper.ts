// Shard keeper: which shards a relay answers for. Each is a lease, so nobody else has it at the same time as far as tokens are looked at.
// The relay asks for those that it is to have among the relays that are there, and gives back the others.
import type { Lease } from '../spec/relay.ts';
import { shardLease, shardOwners } from '../spec/relay-shard.ts';
import type { NatsMember } from '../transport/nats-member.ts';
import type { Host } from './hosting.ts';

/** How often those that are there are looked at. */
const lookMs = 500;
/** Leases that are asked for at once. */
const wide = 8;

export interface KeeperOptions {
  readonly relay: NatsMember;
  readonly shards: number;
  readonly leaseTtlMs?: number | undefined;
}

export class ShardKeeper {
  readonly #host: Host;
  readonly #options: KeeperOptions;
  readonly #held = new Map<number, Lease>();
  #timer: unknown;
  #looking: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(host: Host, options: KeeperOptions) {
    this.#host = host;
    this.#options = options;
  }

  /** Shards that are held now. */
  get held(): number {
    return this.#held.size;
  }

  /** The lease of a shard while it is ours. */
  leaseOf(shard: number): Lease | undefined {
    const lease = this.#held.get(shard);
    return lease?.signal.aborted ? undefined : lease;
  }

  /** Asks for what this relay is to have, and goes on with that. */
  async start(): Promise<void> {
    await this.#look();
    this.#lookLater();
  }

  /** Somebody else was seen with a later token. */
  lost(shard: number): void {
    void this.#held.get(shard)?.release();
    this.#held.delete(shard);
  }

  /** Gives all of them back. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#host.clock.clearTimeout(this.#timer);
    await this.#looking;
    await Promise.all([...this.#held.values()].map((lease) => lease.release().catch(() => undefined)));
    this.#held.clear();
  }

  #lookLater(): void {
    if (this.#closed) return;
    this.#timer = this.#host.clock.setTimeout(() => {
      this.#looking = this.#look().finally(() => this.#lookLater());
    }, lookMs);
  }

  async #look(): Promise<void> {
    const { relay, shards } = this.#options;
    const relays = await this.#relays();
    if (this.#closed) return;
    const wanted: number[] = [];
    for (let shard = 0; shard < shards; shard++) {
      const isOurs = shardOwners(shard, relays)[0] === relay.node;
      if (this.#held.get(shard)?.signal.aborted) this.#held.delete(shard);
      if (isOurs && !this.#held.has(shard)) wanted.push(shard);
      if (!isOurs && this.#held.has(shard)) {
        const lease = this.#held.get(shard)!;
        this.#held.delete(shard);
        // One that can't be given back now ends by itself.
        await lease.release().catch(() => undefined);
      }
    }
    for (let at = 0; at < wanted.length && !this.#closed; at += wide)
      await Promise.all(wanted.slice(at, at + wide).map((shard) => this.#take(shard)));
  }

  /** One whose socket has ended is not waited for: whoever else may still think it is there, its leases decide. */
  async #relays(): Promise<string[]> {
    const { relay } = this.#options;
    const present = relay.serving('session.get', 'relay');
    const there = await Promise.all(present.map(({ id }) => id === relay.id || relay.answers(id)));
    return present.flatMap(({ node }, i) => (there[i] ? [node] : []));
  }

  async #take(shard: number): Promise<void> {
    const { relay, leaseTtlMs } = this.#options;
    try {
      const lease = await relay.lease(
        shardLease(shard),
        leaseTtlMs === undefined ? {} : { ttlMs: leaseTtlMs },
      );
      if (this.#closed) return void (await lease.release());
      this.#held.set(shard, lease);
    } catch {
      // Its last holder still has it, or the engine has no leader now: the next look asks again.
    }
  }
}
