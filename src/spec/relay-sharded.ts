// Relay sharded: what the nodes of a session tier over an engine are told: any number of relays that share the keys, and relief nodes.
import type { NatsOptions } from './relay-nats.ts';
import type { TableSpec } from './relay-node.ts';
import { shardsDefault } from './relay-shard.ts';

interface ShardedSpec extends Omit<NatsOptions, 'role'> {
  /** Of the hash of keys: the same at all nodes of the tier. Default 0. */
  readonly seed?: bigint | number;
  /** Into how many parts the keys are cut, each with one owner: the same at all nodes. Default 64. */
  readonly shards?: number;
  readonly table?: Partial<TableSpec>;
}

/** Keeps sessions, and answers front ends for its part of the keys. */
export interface ShardRelaySpec extends ShardedSpec {
  readonly role: 'relay';
  /** From this share of the table on, new entries go to the expansion nodes, too. Default 0. */
  readonly highWater?: number;
  /** How long the nodes behind have for an answer. Default 1000. */
  readonly fetchTimeoutMs?: number;
  /** How many relief nodes of a kind get each record. Default 1. */
  readonly copies?: number;
  /** How long a shard is without an owner when its relay dies, from 1 to 15 s. Default 15000. */
  readonly leaseTtlMs?: number;
  /** Keeps sessions in the engine as well, so that they outlive all nodes. */
  readonly durable?: { readonly maxAgeMs: number; readonly maxBytes: number };
}

/** Pressure relief: `expansion` takes new entries, `aging` those that had to go. */
export interface ShardReliefSpec extends ShardedSpec {
  readonly role: 'expansion' | 'aging';
}

/** A node of a session tier over an engine. */
export type ShardedNodeSpec = ShardRelaySpec | ShardReliefSpec;

export const shardedDefaults = { shards: shardsDefault, copies: 1, beatMs: 500 } as const;
