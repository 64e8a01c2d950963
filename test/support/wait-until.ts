// Waiting for a condition that only another process or the kernel brings about, under a watchdog.
import { setTimeout as pause } from 'node:timers/promises';

/** How often the condition is looked at. Not a time that anything is expected to take. */
const lookMs = 5;

/**
 * Waits until `condition` answers anything but undefined or false, and answers that.
 * @throws an Error that names `what` if it never does.
 */
export async function waitUntil<T>(
  what: string,
  condition: () => T | undefined | false,
  watchdogMs = 40_000,
): Promise<T> {
  const givenUpAt = performance.now() + watchdogMs;
  for (;;) {
    const answer = condition();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > givenUpAt) throw new Error(`waited in vain: ${what}`);
    await pause(lookMs);
  }
}
