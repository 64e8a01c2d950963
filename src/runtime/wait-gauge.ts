// Wait gauge: how long messages wait in channels until they are taken, without a word about any of them. What waits is looked at
// many times a second; by Little's law, its mean divided by what is taken in that time is the mean wait. The hot path has no part in it.
// Who receives looks: who sends by a timer would look just after it has sent, again and again.
import type { OpenSession, ShownChannel } from '../actors/hosting.ts';

/** Each look is one load per channel. */
export const lookMs = 20;
/** Of what was seen before, this much counts at each reading: a channel of a message now and then is seen waiting only rarely. */
const kept = 0.9;

interface Seen {
  readonly taken: number;
  /** Bytes that waited, times the milliseconds that they did. */
  byteMs: number;
  /** Bytes that were taken. */
  bytes: number;
}

export class WaitGauge {
  readonly #sessions: Iterable<OpenSession>;
  readonly #channelsMax: number;
  readonly #now: () => number;
  #seen = new Map<string, Seen>();
  #atMs: number;

  constructor(
    sessions: Iterable<OpenSession>,
    channelsMax: number,
    now: () => number = () => performance.now(),
  ) {
    this.#sessions = sessions;
    this.#channelsMax = channelsMax;
    this.#now = now;
    this.#atMs = now();
  }

  look(): void {
    const nowMs = this.#now();
    // A loop that was late has not looked for that long: what waits now stands for all of it.
    const tookMs = nowMs - this.#atMs;
    this.#atMs = nowMs;
    const present = new Map<string, Seen>();
    for (const session of this.#sessions)
      for (const channel of session.channels()) {
        if (present.size === this.#channelsMax) break;
        const progress = channel.progress();
        if (!progress) continue;
        const key = keyOf(session.machine, channel);
        present.set(key, seenNow(this.#seen.get(key), progress, tookMs));
      }
    this.#seen = present;
  }

  /** Once a second, for each channel. */
  read(machine: string, channel: ShownChannel): number | null {
    const seen = this.#seen.get(keyOf(machine, channel));
    if (!seen || seen.bytes < 1) return null;
    const waitMs = seen.byteMs / seen.bytes;
    seen.byteMs *= kept;
    seen.bytes *= kept;
    return Math.round(waitMs * 1_000) / 1_000;
  }
}

function seenNow(
  before: Seen | undefined,
  { taken, unreadBytes }: NonNullable<ReturnType<ShownChannel['progress']>>,
  tookMs: number,
): Seen {
  if (!before) return { taken, byteMs: 0, bytes: 0 };
  return {
    taken,
    byteMs: before.byteMs + unreadBytes * tookMs,
    bytes: before.bytes + Math.max(0, (taken - before.taken) | 0),
  };
}

function keyOf(machine: string, { name }: Pick<ShownChannel, 'name'>): string {
  return `${machine} ${name}`;
}
