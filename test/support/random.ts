// Random: xorshift32, so that a failure comes back with its seed. cpp/test/random.h gives the same numbers.

export class Random {
  #state: number;

  /** REQUIRES: seed > 0. */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  next(): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state >>> 0;
    return this.#state;
  }

  below(limit: number): number {
    return this.next() % limit;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.next() & 0xff);
  }
}
