// Laps: the times of round trips. They are kept as plain numbers while the clock runs, since a histogram's own call would
// cost as much as a round trip.
import type { Durations } from './job.ts';

/** More round trips than this tell no more about their percentiles. */
const lapsMax = 2 ** 21;
/** So many there are however slow they are: fewer have no middle. */
const lapsMin = 9;

export class Laps {
  // Filled, so that no page of it is touched for the first time while the clock runs.
  readonly #samplesNs = new Uint32Array(lapsMax).fill(1);
  readonly #fromMs: number;
  readonly #untilMs: number;
  #count = 0;
  #begunMs: number;

  /** The warm-up begins now. */
  constructor({ warmUpMs, measureMs }: Durations) {
    this.#begunMs = performance.now();
    this.#fromMs = this.#begunMs + warmUpMs;
    this.#untilMs = this.#fromMs + measureMs;
  }

  begin(): void {
    this.#begunMs = performance.now();
  }

  /** Ends a round trip and begins the next. @returns whether there shall be a next. */
  end(): boolean {
    const nowMs = performance.now();
    if (this.#begunMs >= this.#fromMs) this.#samplesNs[this.#count++] = (nowMs - this.#begunMs) * 1e6;
    this.#begunMs = nowMs;
    return this.#count < (nowMs < this.#untilMs ? lapsMax : lapsMin);
  }

  /** What was measured after the warm-up. */
  get samplesNs(): Uint32Array {
    return this.#samplesNs.subarray(0, this.#count);
  }
}
