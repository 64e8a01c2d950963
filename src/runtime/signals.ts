// Signals: the first request to stop is orderly, the second is obeyed at once.
import { constants } from 'node:os';

/** A terminal and the program in front of ours may both pass on one Ctrl-C; within this time it is one request. */
const sameRequestMs = 200;

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Calls `first` with the number of the first signal that asks this process to stop, and `second` with a later one.
 * @returns how to stop listening.
 */
export function onStopSignals(
  first: (signal: number) => void,
  second: (signal: number) => void = exitAtOnce,
): () => void {
  let firstAtMs: number | undefined;
  const onSignal = (name: NodeJS.Signals) => {
    const nowMs = performance.now();
    const signal = constants.signals[name];
    if (firstAtMs === undefined) {
      firstAtMs = nowMs;
      first(signal);
    } else if (nowMs - firstAtMs > sameRequestMs) second(signal);
  };
  for (const name of stopSignals) process.on(name, onSignal);
  return () => {
    for (const name of stopSignals) process.off(name, onSignal);
  };
}

function exitAtOnce(signal: number): void {
  process.exit(128 + signal);
}
