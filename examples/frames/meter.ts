// Meter: says once a second how many frames went through here, and for how long their process had to wait for others.
import { performance } from 'node:perf_hooks';

const periodMs = 1_000;

export class Meter {
  readonly #verb: string;
  /** Since the first frame. */
  #sinceMs: number | undefined;
  #frames = 0;
  #bytes = 0;
  #busyMs = 0;

  constructor(verb: string) {
    this.#verb = verb;
  }

  /** Does the work on one frame, of so many bytes. */
  work(bytes: number, job: () => void): void {
    const startMs = performance.now();
    this.#sinceMs ??= startMs;
    job();
    const nowMs = performance.now();
    this.#busyMs += nowMs - startMs;
    this.#frames++;
    this.#bytes += bytes;
    const pastMs = nowMs - this.#sinceMs;
    if (pastMs < periodMs) return;
    const perSecond = (count: number) => Math.round((count * 1000) / pastMs);
    const waiting = Math.round(100 * (1 - this.#busyMs / pastMs));
    console.log(
      `${this.#verb} ${perSecond(this.#frames)} frames/s, ${perSecond(this.#bytes / 1e6)} MB/s, ${waiting} % of the time waiting`,
    );
    this.#sinceMs = nowMs;
    this.#frames = this.#bytes = this.#busyMs = 0;
  }
}
