// Cache changes: what has happened to keys lately, read from the table that writers keep while somebody watches. Whoever is
// more than that table behind misses changes, and is told how many.
import type { CacheEvent } from '../spec/cache.ts';
import { type CacheMemory, fence } from './cache-memory.ts';

const kinds: readonly (Exclude<CacheEvent['type'], 'lost'> | undefined)[] = [
  undefined,
  'set',
  'deleted',
  'evicted',
  'expired',
];

export class CacheChanges {
  readonly #memory: CacheMemory;
  /** For each shard, how many changes we have seen, as 32 bits that wrap. */
  readonly #seen: number[] = [];

  constructor(memory: CacheMemory) {
    this.#memory = memory;
    for (let shard = 0; shard < memory.shape.shards; shard++) this.#seen.push(this.#count(shard));
  }

  /** Hands over what has happened since the last call. */
  read(listener: (event: CacheEvent) => void): void {
    for (let shard = 0; shard < this.#seen.length; shard++) this.#readShard(shard, listener);
  }

  #readShard(shard: number, listener: (event: CacheEvent) => void): void {
    const { changeCount } = this.#memory.shape;
    const count = this.#count(shard);
    let behind = (count - this.#seen[shard]!) >>> 0;
    let lost = 0;
    const events: CacheEvent[] = [];
    if (behind > changeCount) {
      lost = behind - changeCount;
      behind = changeCount;
    }
    for (let number = (count - behind) >>> 0; behind > 0; behind--, number = (number + 1) >>> 0) {
      const event = this.#event(shard, number);
      if (event) events.push(event);
      else lost++;
    }
    this.#seen[shard] = count;
    if (lost > 0) listener({ type: 'lost', count: lost });
    for (const event of events) listener(event);
  }

  /** Undefined if it has been written over. */
  #event(shard: number, number: number): CacheEvent | undefined {
    const { words, bytes, shape } = this.#memory;
    const start =
      this.#start(shard) + shape.changeTableOffset + (number % shape.changeCount) * shape.changeBytes;
    const wanted = number === 0xffffffff ? 1 : number + 1;
    if (Atomics.load(words, start >>> 2) !== (wanted | 0)) return undefined;
    const what = words[(start >>> 2) + 1]!;
    const key = bytes.toString('utf8', start + 8, start + 8 + ((what >>> 8) & 0xff));
    fence();
    const type = kinds[what & 0xff];
    if (Atomics.load(words, start >>> 2) !== (wanted | 0) || !type) return undefined;
    return { type, key };
  }

  #count(shard: number): number {
    const { words, shape } = this.#memory;
    return Atomics.load(words, (this.#start(shard) + shape.changesOffset) / 4) >>> 0;
  }

  #start(shard: number): number {
    return this.#memory.shape.shardsOffset + shard * this.#memory.shape.shardBytes;
  }
}
