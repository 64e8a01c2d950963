// Feed: what happens in a process, as records for whoever watches. Nobody watches: nothing is made. A watcher that comes
// late first gets everything that there is (`dump`), then what happens.
import type { ResourceFigures } from '../actors/hosting.ts';
import type { Address } from '../names.ts';

export type { ResourceFigures } from '../actors/hosting.ts';

/** A state value as XState gives it: the name of a state, or of each region's. */
export type StateValue = string | { readonly [region: string]: StateValue | undefined };

/** The chart of a machine, told once under the hash of its text. */
export interface ChartRecord {
  readonly k: 'chart';
  readonly hash: string;
  /** The machine's configuration: states, transitions, descriptions; functions by their names. */
  readonly chart: unknown;
}

export type FeedRecord =
  | ChartRecord
  /** An actor exists. `chart` is null for logic that is no machine. */
  | {
      readonly k: 'actor';
      readonly at: number;
      readonly actor: Address;
      readonly chart: string | null;
      readonly value: StateValue | null;
      readonly status: string;
      /** What an actor that waits is waiting for, in words. */
      readonly waitsFor?: string;
    }
  | {
      readonly k: 'transition';
      readonly at: number;
      readonly actor: Address;
      readonly event: string;
      readonly value: StateValue | null;
      readonly status: string;
      readonly waitsFor?: string;
      /** The states that were left for others, and the actions that were carried out, in order. */
      readonly steps: readonly {
        readonly event: string;
        readonly from: string;
        readonly to: readonly string[];
      }[];
      readonly actions: readonly string[];
    }
  /** An event that no state here takes. */
  | { readonly k: 'ignored'; readonly at: number; readonly actor: Address; readonly event: string }
  | {
      readonly k: 'send';
      readonly at: number;
      readonly from: Address | null;
      readonly to: Address;
      readonly event: string;
    }
  | {
      readonly k: 'crash';
      readonly at: number;
      readonly actor: Address;
      readonly message: string;
      readonly stack: string | null;
    }
  | {
      readonly k: 'stop';
      readonly at: number;
      readonly actor: Address;
      readonly how: 'done' | 'crashed' | 'stopped';
    }
  /** A supervisor's report: exit, verdict, restart, give-up, state. */
  | { readonly k: 'report'; readonly at: number; readonly actor: Address; readonly report: object }
  | {
      readonly k: 'log';
      readonly at: number;
      readonly level: string;
      readonly message: string;
      readonly facts: object;
    }
  /** So many records were made while the watcher was slow and are not here. */
  | { readonly k: 'dropped'; readonly at: number; readonly count: number }
  /** What was told of this process holds no more; all that there is follows. */
  | { readonly k: 'reset'; readonly at: number }
  | SessionRecord
  | ContextRecord
  | MetricsRecord;

/** A session is open: what its user's machine gets as `message.*` comes from the machine at the other end of the same link. */
export interface SessionRecord {
  readonly k: 'session';
  readonly at: number;
  /** The user's machine. */
  readonly actor: Address;
  /** The same at both ends, and of no other session. */
  readonly link: string;
  readonly peer: { readonly app: string; readonly pid: number };
}

/** What one sees of an actor whom somebody looks at. */
export interface ContextRecord {
  readonly k: 'context';
  readonly at: number;
  readonly actor: Address;
  /** It is not there (any more). */
  readonly gone: boolean;
  readonly value: StateValue | null;
  readonly status: string;
  /** As value-encoder.ts writes it. */
  readonly context: Encoded;
  readonly next: readonly NextEvent[];
}

/** A value as JSON; src/inspector/protocol.ts says how. */
export type Encoded =
  | null
  | boolean
  | number
  | string
  | readonly Encoded[]
  | { readonly [key: string]: Encoded };

/** What can happen next. */
export interface NextEvent {
  readonly event: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly guard: string | null;
  readonly sendable: boolean;
}

/** Figures of one process, once a second while somebody watches. */
export interface MetricsRecord {
  readonly k: 'metrics';
  readonly at: number;
  readonly heapBytes: number;
  readonly actors: number;
  readonly transitionsPerS: number;
  readonly loopDelayMs: Spread;
  readonly handlingUs: Spread | null;
  readonly channels: readonly ChannelFigures[];
  readonly resources: readonly ResourceFigures[];
}

export interface Spread {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface ChannelFigures {
  readonly actor: Address;
  readonly link: string;
  readonly channel: string;
  readonly sentPerS: number;
  readonly receivedPerS: number;
  /** Of ours, what the peer has not taken yet. */
  readonly unread: number;
  /** How long those of the peer wait on average until we take them; null: we have taken none for some seconds. */
  readonly waitMs: number | null;
  readonly dropped: number;
}

/** Now in milliseconds since 1970, with fractions: the order of what happens in several processes shows in them. */
export function momentMs(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000) / 1000;
}

export type Watcher = (record: FeedRecord) => void;

export class Feed {
  readonly #watchers = new Set<Watcher>();
  readonly #dump: () => Iterable<FeedRecord>;
  readonly #onWatched: (watched: boolean) => void;

  /** @param dump all that there is now. @param onWatched called when the first watcher comes and the last one goes. */
  constructor(dump: () => Iterable<FeedRecord>, onWatched: (watched: boolean) => void) {
    this.#dump = dump;
    this.#onWatched = onWatched;
  }

  /** Whether making a record is worth while. */
  get watched(): boolean {
    return this.#watchers.size > 0;
  }

  /** Gives the watcher everything that there is, then everything that happens. @returns how to stop. */
  watch(watcher: Watcher): () => void {
    const guarded = guard(watcher);
    for (const record of this.#dump()) guarded(record);
    this.#watchers.add(guarded);
    if (this.#watchers.size === 1) this.#onWatched(true);
    return () => {
      if (this.#watchers.delete(guarded) && this.#watchers.size === 0) this.#onWatched(false);
    };
  }

  /** Where these actors are now; of those that are there. */
  *stateOf(actors: ReadonlySet<Address>): Iterable<FeedRecord> {
    for (const record of this.#dump()) if (record.k === 'actor' && actors.has(record.actor)) yield record;
  }

  tell(record: FeedRecord): void {
    for (const watcher of this.#watchers) watcher(record);
  }
}

/** A watcher that throws must never reach the actor that it watches: XState would wedge it. */
function guard(watcher: Watcher): Watcher {
  return (record) => {
    try {
      watcher(record);
    } catch {
      // It has only itself to blame; the next record is tried again.
    }
  };
}
