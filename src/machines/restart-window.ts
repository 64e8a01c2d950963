// Restart window: the restarts that still count, oldest first, for supervisors that count many. `recordRestart` of restart.ts
// says the same for plain data; a test holds the two to each other.
import type { Intensity } from './restart.ts';

/** Forgotten entries at the front are given back once there are this many and they are the greater part. */
const compactAt = 64;

export class RestartWindow {
  readonly #limit: Intensity | null;
  #at: number[] = [];
  #first = 0;

  /** @param limit null: nothing is counted, and never too many. */
  constructor(limit: Intensity | null) {
    this.#limit = limit;
  }

  /** Adds a restart. The window is inclusive: one exactly `periodMs` ago still counts. @returns whether there are too many. */
  record(nowMs: number): boolean {
    if (!this.#limit) return false;
    this.#forget(nowMs);
    this.#at.push(nowMs);
    return this.#at.length - this.#first > this.#limit.restarts;
  }

  /** How many more it allows now; null: any number. */
  left(nowMs: number): number | null {
    if (!this.#limit) return null;
    this.#forget(nowMs);
    return Math.max(0, this.#limit.restarts - (this.#at.length - this.#first));
  }

  #forget(nowMs: number): void {
    const { periodMs } = this.#limit!;
    while (this.#first < this.#at.length && nowMs - this.#at[this.#first]! > periodMs) this.#first++;
    if (this.#first < compactAt || this.#first * 2 < this.#at.length) return;
    this.#at = this.#at.slice(this.#first);
    this.#first = 0;
  }
}
