// Actor clock: the clock of an actor that no host runs.
import type { AnyActorRef } from 'xstate';
import { type Clock, systemClock } from '../../machines/clock.ts';

/** The clock of an actor that XState runs alone, which knows no time of day. */
export function clockOf(actor: AnyActorRef): Clock {
  const { clock } = actor as unknown as {
    clock: Pick<Clock, 'setTimeout' | 'clearTimeout'> & Partial<Clock>;
  };
  return {
    now: () => clock.now?.() ?? systemClock.now(),
    setTimeout: (callback, delayMs) => clock.setTimeout(callback, delayMs),
    clearTimeout: (timer) => clock.clearTimeout(timer),
  };
}
