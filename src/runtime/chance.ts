// Chance: numbers that a seed determines, so that what happened once happens again.
import { nextChance } from '../machines/restart.ts';

export class Chance {
  #seed: number;

  constructor(seed: number) {
    this.#seed = seed | 0;
  }

  /** From 0 to 1. */
  readonly next = (): number => {
    const { chance, seed } = nextChance(this.#seed);
    this.#seed = seed;
    return chance;
  };

  /** A whole number from `least` to `most`, small ones more often: each tenfold range is as likely as the next. */
  delay(least: number, most: number): number {
    return Math.round(least * (most / least) ** this.next());
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  /** REQUIRES: it is not empty. */
  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }
}
