// Lookout: looks at what processes have open, again and again, for all who want to know. Everybody who is due about the same
// time is served by one look at the machine, so that a second follower of a process costs nothing, and another process only
// itself. Nobody looks while nobody follows.
import { IpcError } from '../errors.ts';
import type { Clock } from '../machines/clock.ts';
import { emptyFingerprint, type Fingerprint, type FingerprintKey } from '../spec/fingerprint.ts';
import { FingerprintLook, type ProcessPlace } from '../workspace/fingerprint.ts';
import { ProcessTable } from '../workspace/process-table.ts';

/** One look at the machine, and at any of its programs. */
export interface MachineLook {
  /** @throws {IpcError} if the process can't be looked at. */
  at(place: ProcessPlace, keys: ReadonlySet<FingerprintKey>): Fingerprint;
}

export interface Eyes {
  /** Begins a look. */
  open(): MachineLook;
  /** Nobody looks for a while: what was remembered of the last look may come to be wrong. */
  rest(): void;
}

export interface Follower {
  readonly place: ProcessPlace;
  readonly keys: ReadonlySet<FingerprintKey>;
  /** From one look to the next, about. */
  readonly periodMs: number;
  /** What there is now; an error says why it can't be seen. */
  onLook(seen: Fingerprint | IpcError): void;
}

export interface LookoutOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly eyes?: Eyes;
  /** Runs the rest of a round after what else this process has to do. */
  readonly yield?: (task: () => void) => void;
}

/** Looks are this far apart at least, however many followers come. */
const roundGapMs = 100;
/** Rounds of all roots of a machine should not fall together. */
const jitter = 0.1;
/** So long a round holds up whatever else this process does. */
const sliceMs = 4;

interface Following {
  readonly follower: Follower;
  dueMs: number;
  over: boolean;
}

export class Lookout {
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #eyes: Eyes;
  readonly #yield: (task: () => void) => void;
  readonly #followings = new Set<Following>();
  #timer: { handle: unknown; atMs: number } | undefined;
  #lastMs = Number.NEGATIVE_INFINITY;
  #inRound = false;

  constructor({ clock, random, eyes = machineEyes(), yield: give = setImmediate }: LookoutOptions) {
    this.#clock = clock;
    this.#random = random;
    this.#eyes = eyes;
    this.#yield = give;
  }

  /** Looks soon, and then about once in each period. @returns how to stop. */
  follow(follower: Follower): () => void {
    const following = { follower, dueMs: this.#clock.now(), over: false };
    this.#followings.add(following);
    this.#schedule();
    return () => {
      following.over = true;
      this.#followings.delete(following);
      if (this.#followings.size > 0) return;
      this.#clock.clearTimeout(this.#timer?.handle);
      this.#timer = undefined;
      this.#eyes.rest();
    };
  }

  /** How many follow. */
  get followers(): number {
    return this.#followings.size;
  }

  #schedule(): void {
    if (this.#inRound || this.#followings.size === 0) return;
    const nowMs = this.#clock.now();
    let dueMs = Number.POSITIVE_INFINITY;
    for (const following of this.#followings) dueMs = Math.min(dueMs, following.dueMs);
    const atMs = Math.max(dueMs, this.#lastMs + roundGapMs, nowMs);
    if (this.#timer && this.#timer.atMs <= atMs) return;
    this.#clock.clearTimeout(this.#timer?.handle);
    this.#timer = { atMs, handle: this.#clock.setTimeout(() => this.#round(), atMs - nowMs) };
  }

  #round(): void {
    this.#timer = undefined;
    this.#inRound = true;
    this.#lastMs = this.#clock.now();
    const due = [...this.#followings].filter(
      // Who is due soon comes along, and stays with the others from then on.
      ({ dueMs, follower }) => dueMs <= this.#lastMs + follower.periodMs / 2,
    );
    const drift = 1 + jitter * (2 * this.#random() - 1);
    for (const following of due) following.dueMs = this.#lastMs + following.follower.periodMs * drift;
    const groups = new Map<ProcessPlace, Following[]>();
    for (const following of due) {
      const { place } = following.follower;
      const group = groups.get(place);
      if (group) group.push(following);
      else groups.set(place, [following]);
    }
    this.#look(this.#eyes.open(), groups.entries());
  }

  #look(machine: MachineLook, places: Iterator<[ProcessPlace, Following[]]>): void {
    const untilMs = this.#clock.now() + sliceMs;
    for (let next = places.next(); !next.done; next = places.next()) {
      const [place, followings] = next.value;
      const seen = look(machine, place, followings);
      for (const { over, follower } of followings) if (!over) follower.onLook(seen);
      if (this.#clock.now() >= untilMs) return this.#yield(() => this.#look(machine, places));
    }
    this.#inRound = false;
    this.#schedule();
  }
}

/** All that somebody wants of it, at once. */
function look(
  machine: MachineLook,
  place: ProcessPlace,
  followings: readonly Following[],
): Fingerprint | IpcError {
  const keys = new Set<FingerprintKey>();
  for (const { over, follower } of followings) if (!over) for (const key of follower.keys) keys.add(key);
  if (keys.size === 0) return emptyFingerprint;
  try {
    return machine.at(place, keys);
  } catch (error) {
    return IpcError.from(error, 'ERR_SYSTEM', `looking at process ${place.pid}`, 'it failed');
  }
}

function machineEyes(): Eyes {
  const processes = new ProcessTable();
  return {
    open: () => new FingerprintLook(processes),
    rest: () => processes.forget(),
  };
}
