// Shared tombstones: the deletes that a node remembers, in a cache of their own. So whoever runs the node next remembers them, too,
// and a delete that has been acknowledged is not forgotten by a crash. As with tombstones of one process, one that has to go before
// its time raises the floor; this floor stays as long as the cache does.
import type { CacheTombstone } from '../spec/downstream.ts';
import type { Cache } from './cache.ts';
import type { RememberedDeletes } from './tombstones.ts';

/** How long others are to keep our floor in mind: as long as a session of a session cache lives at most, unless told otherwise. */
const floorTtlMs = 86_400_000;
/** A memory that is full is searched for what is over at most so often: that looks at all of it. */
const sweepPauseMs = 1_000;

export class SharedTombstones implements RememberedDeletes {
  readonly #cache: Cache<unknown>;
  readonly #max: number;
  readonly #now: () => number;
  /** Heard from other nodes, which tell it again when we meet. */
  #heardFloor = 0;
  #heardUntilMs = 0;
  #sweptMs = Number.NEGATIVE_INFINITY;

  /** @param cache one with `max` tombstones, written by this node alone. */
  constructor(cache: Cache<unknown>, max: number, now: () => number) {
    this.#cache = cache;
    this.#max = max;
    this.#now = now;
  }

  /** Those whose time is over count until they are swept. */
  get size(): number {
    return this.#cache.figures.dead;
  }

  get floor(): number {
    return Math.max(this.#cache.figures.floor, this.#now() < this.#heardUntilMs ? this.#heardFloor : 0);
  }

  get floorStone(): CacheTombstone {
    return { deleted: true, stamp: this.floor, ttlMs: floorTtlMs };
  }

  find(key: string): CacheTombstone | undefined {
    const found = this.#cache.look(key);
    return found && { deleted: true, stamp: found.stamp, ttlMs: Math.max(1, Math.ceil(found.ttlMs)) };
  }

  covers(key: string, stamp: number): boolean {
    const { floor } = this;
    return stamp <= Math.max(this.find(key)?.stamp ?? -1, floor === 0 ? -1 : floor);
  }

  /** @returns whether it is news. @throws {IpcError} those of `set`. */
  async put(key: string, { stamp, ttlMs }: CacheTombstone): Promise<boolean> {
    const known = this.find(key);
    if (known && known.stamp >= stamp) return false;
    if (!known && this.size >= this.#max && this.#now() - this.#sweptMs >= sweepPauseMs) await this.sweep();
    // Of the same key, the greater stamp covers what the smaller one did; it must last as long.
    await this.#cache.delete(key, { stamp, ttlMs: Math.max(1, ttlMs, known?.ttlMs ?? 0) });
    return true;
  }

  async sweep(): Promise<void> {
    this.#sweptMs = this.#now();
    await this.#cache.sweep();
  }

  *entries(): IterableIterator<[string, CacheTombstone]> {
    for (const key of this.#cache.forgotten()) {
      const stone = this.find(key);
      if (stone) yield [key, stone];
    }
  }

  raiseFloor(stamp: number, ttlMs: number): void {
    this.#heardFloor = Math.max(this.#now() < this.#heardUntilMs ? this.#heardFloor : 0, stamp);
    this.#heardUntilMs = Math.max(this.#heardUntilMs, this.#now() + ttlMs);
  }
}
