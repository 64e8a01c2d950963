// Relay shard: a part of all keys, which one relay answers for at a time, where an engine joins any number of relays. Who that is to be
// follows from who is there; who it is, from a lease.
import { ownersOf } from './rendezvous.ts';

/** All nodes of a cluster have the same number. */
export const shardsDefault = 64;

export function shardOf(hash: string, shards: number): number {
  return Number.parseInt(hash.slice(0, 8), 16) % shards;
}

/** The relays in the order in which they are to answer for a shard. */
export function shardOwners(shard: number, relays: readonly string[]): string[] {
  return ownersOf(shard.toString(16).padStart(16, '0'), relays);
}

export function shardLease(shard: number): string {
  return `shard.${shard}`;
}
