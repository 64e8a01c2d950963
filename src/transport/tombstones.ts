// Tombstones: deletes that a node must remember, so that an older copy elsewhere does not come back. Bounded: one that has to go
// before its time raises the floor, below which every entry of any key counts as deleted. So memory that is short makes a node
// forget sessions, and never lets a deleted one live.
import type { CacheTombstone } from '../spec/downstream.ts';

const tombstonesMaxDefault = 100_000;

/** What two nodes that meet tell each other. */
export interface RememberedDeletes {
  readonly floorStone: CacheTombstone;
  entries(): Iterable<[string, CacheTombstone]>;
  /** Another node's floor counts here, too. */
  raiseFloor(stamp: number, ttlMs: number): void;
}

interface Stone {
  readonly stamp: number;
  readonly untilMs: number;
}

export class Tombstones implements RememberedDeletes {
  readonly #now: () => number;
  readonly #max: number;
  readonly #stones = new Map<string, Stone>();
  #floor = 0;
  #floorUntilMs = 0;

  constructor(now: () => number, max = tombstonesMaxDefault) {
    this.#now = now;
    this.#max = max;
  }

  get size(): number {
    return this.#stones.size;
  }

  /** Entries with this stamp or an older one count as deleted, whatever their key. */
  get floor(): number {
    return this.#now() < this.#floorUntilMs ? this.#floor : 0;
  }

  get floorStone(): CacheTombstone {
    return {
      deleted: true,
      stamp: this.floor,
      ttlMs: Math.max(1, Math.ceil(this.#floorUntilMs - this.#now())),
    };
  }

  find(key: string): CacheTombstone | undefined {
    const stone = this.#stones.get(key);
    if (!stone) return undefined;
    const leftMs = stone.untilMs - this.#now();
    if (leftMs > 0) return { deleted: true, stamp: stone.stamp, ttlMs: Math.ceil(leftMs) };
    this.#stones.delete(key);
    return undefined;
  }

  /** Whether an entry of that key with that stamp is deleted. */
  covers(key: string, stamp: number): boolean {
    return stamp <= Math.max(this.find(key)?.stamp ?? -1, this.floor === 0 ? -1 : this.floor);
  }

  /** @returns whether it is news. */
  put(key: string, { stamp, ttlMs }: CacheTombstone): boolean {
    const known = this.find(key);
    const untilMs = this.#now() + ttlMs;
    if (known && known.stamp >= stamp) return false;
    // Of the same key, the greater stamp covers what the smaller one did; it must last as long.
    const lastsMs = Math.max(untilMs, this.#stones.get(key)?.untilMs ?? 0);
    this.#stones.delete(key);
    this.#stones.set(key, { stamp, untilMs: lastsMs });
    if (this.#stones.size > this.#max) this.sweep();
    while (this.#stones.size > this.#max) this.#dropOldest();
    return true;
  }

  sweep(): void {
    const nowMs = this.#now();
    for (const [key, { untilMs }] of this.#stones) if (untilMs <= nowMs) this.#stones.delete(key);
  }

  *entries(): IterableIterator<[string, CacheTombstone]> {
    for (const key of [...this.#stones.keys()]) {
      const stone = this.find(key);
      if (stone) yield [key, stone];
    }
  }

  #dropOldest(): void {
    const [key, stone] = this.#stones.entries().next().value as [string, Stone];
    this.#stones.delete(key);
    this.raiseFloor(stone.stamp, stone.untilMs - this.#now());
  }

  raiseFloor(stamp: number, ttlMs: number): void {
    this.#floor = Math.max(this.floor, stamp);
    this.#floorUntilMs = Math.max(this.#floorUntilMs, this.#now() + ttlMs);
  }
}
