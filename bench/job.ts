// Job: what one pair of processes does. Made by main, handed to both processes as JSON on their command line.

/** How the two processes of a pair reach each other. */
export type Transport =
  | 'session'
  | 'session-await'
  | 'session-borrow'
  | 'session-into'
  | 'session-events'
  | 'loan'
  | 'loan-view'
  | 'lent'
  | 'crowd'
  | 'broadcast'
  | 'fork-json'
  | 'fork-advanced'
  | 'atomics'
  | 'doorbell'
  | 'pipe'
  | 'encoder'
  | 'xstate'
  | 'turn'
  | 'turn-hosted'
  | 'turn-watched'
  | 'turn-recorded'
  | 'actors'
  | 'actors-alone'
  | 'units'
  | 'cache'
  | 'cache-both'
  | 'cache-lru'
  | 'cache-cpp'
  | 'process-standby'
  | 'process-cold'
  | 'session-standby'
  | 'session-cold'
  | 'cpp'
  | 'cpp-copy';

export type Measure = 'round-trip' | 'one-way';

/** How long a pair does its work before and while it is measured, per measure. */
export interface Durations {
  readonly warmUpMs: number;
  readonly measureMs: number;
}

export interface Job extends Durations {
  readonly transport: Transport;
  /** Bytes of a message; `object` is the quote of payload.ts. */
  readonly payload: number | 'object';
  /** Done one after the other by the same pair. */
  readonly measures: readonly Measure[];
  /** Silence between two round trips, in microseconds; 0: the next follows at once. */
  readonly pauseUs: number;
  /** The session's option; undefined: its default. */
  readonly spinUs: number | undefined;
  /** Sessions beside the one that is measured, all idle; or actors, or units. */
  readonly crowd: number;
  /** Of a broadcast: the sessions that read, all in the responder. Default 1. */
  readonly readers?: number;
  /** Of a cache: what is done with each key in its turn. */
  readonly operation?: 'get' | 'set' | 'delete' | 'mixed';
}

/** How many the cache has, and how many have room. */
export const cacheRecords = 20_000;

/** The driver asks, sends and measures; the responder answers and takes. */
export type Role = 'driver' | 'responder';

/** Where a process may run; undefined: anywhere. */
export interface Placement {
  readonly driverCpu: number | undefined;
  readonly responderCpu: number | undefined;
}

/** What the driver found out. A percentile that its number of round trips can't tell is left out. */
export type Figures = Partial<Record<Metric, number>>;

/** Every figure of the benchmark with its unit, in the order of the table's columns. */
export const metrics = {
  p50: 'us',
  p99: 'us',
  'p99.9': 'us',
  max: 'us',
  messages: 'messages/s',
  megabytes: 'MB/s',
  open: 'ms',
  memory: 'KB',
  wakes: '/s',
  stop: 'ms',
  gone: 'ms',
} as const;
export type Metric = keyof typeof metrics;
export const metricNames = Object.keys(metrics) as Metric[];
