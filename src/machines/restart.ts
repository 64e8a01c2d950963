// Restart limits and delays: pure functions of timestamps and numbers.

/** At most `restarts` within `periodMs`. */
export interface Intensity {
  readonly restarts: number;
  readonly periodMs: number;
}

/**
 * Adds a restart at `nowMs` to those before. The window is inclusive: a restart exactly `periodMs` ago still counts.
 * @returns the restarts within the window, and whether there are too many.
 */
export function recordRestart(
  before: readonly number[],
  nowMs: number,
  limit: Intensity,
): { restarts: number[]; exceeded: boolean } {
  const restarts = [...before.filter((at) => nowMs - at <= limit.periodMs), nowMs];
  return { restarts, exceeded: restarts.length > limit.restarts };
}

/** The delay before the nth restart in a row: `minMs`, then `factor` times as long each time, up to `maxMs`. */
export interface Backoff {
  readonly minMs: number;
  readonly maxMs: number;
  readonly factor: number;
  /** Up to this share is added by chance, so that units which fail together don't come back together. */
  readonly jitter: number;
}

/** @param chance from 0 to 1. */
export function backoffMs(backoff: Backoff, attempt: number, chance: number): number {
  if (backoff.minMs === 0) return 0;
  const delay = Math.min(backoff.maxMs, backoff.minMs * backoff.factor ** Math.max(0, attempt - 1));
  return Math.round(delay * (1 + chance * backoff.jitter));
}

/** The next of a row of numbers from 0 to 1 that a seed determines (mulberry32), and the seed of those after it. */
export function nextChance(seed: number): { chance: number; seed: number } {
  const next = (seed + 0x6d2b79f5) | 0;
  let mixed = Math.imul(next ^ (next >>> 15), next | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return { chance: ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32, seed: next };
}
