// Placement hash: XXH64 of a key, with the seed that all nodes of a relay share. It travels between machines, whose tables have
// hashes of their own.
import xxhash from 'xxhash-wasm';

export type KeyHasher = (key: string) => string;

/** @param seed a whole number below 2^64. */
export async function keyHasher(seed: bigint): Promise<KeyHasher> {
  const { h64ToString } = await xxhash();
  return (key) => h64ToString(key, seed);
}
