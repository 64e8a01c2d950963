// Limits of calls: never early, and late by no more than what is promised.
import { assert } from 'chai';

/** How late a call may end after its limit. */
const lateMs = 50;
/** On a machine that does other things too, one try may get no time; what is wrong is late every time. */
const triesMax = 5;

/** Makes a call that is to end at its limit. @returns what it answered. */
export async function endsAtLimit<T>(limitMs: number, call: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    const since = performance.now();
    const answer = await call();
    const tookMs = performance.now() - since;
    // A timer of Node may fire some fraction of a millisecond early.
    assert.isAtLeast(tookMs, limitMs - 1);
    if (tookMs < limitMs + lateMs) return answer;
    assert.isBelow(tries, triesMax, `it took ${tookMs} ms`);
  }
}
