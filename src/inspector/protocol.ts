// Protocol: what goes between the inspector's server and its page. One WebSocket at `/feed?token=...`, each message one JSON
// text. The page imports this file for its types; nothing here runs. Who gets a message of an unknown type leaves it out.
import type { Encoded, FeedRecord, NextEvent, StateValue } from '../runtime/feed.ts';

/** Raised when a page of an older one would misread a message; new fields and types alone don't raise it. */
export const protocolVersion = 1;

/**
 * One process in one of its lives: the path of its unit below the root, `#`, and its incarnation, as in `gateway#2` and
 * `backend/store#1`. The root's own is `#0`; a browser app that speaks the official protocol is `guest/<name>#<n>`.
 */
export type ProcessId = string;

/** An actor anywhere in the tree. Addresses are unique within a process. */
export interface ActorPlace {
  readonly process: ProcessId;
  /** As in `gateway/client/3/machine`. */
  readonly actor: string;
}

// ---- server to page

export type ServerMessage =
  | Hello
  | Processes
  | Resources
  | Dependences
  | Records
  | Metrics
  | ContextOf
  | LogLines
  | Dropped
  | Playing
  | Refused;

/** The first message. `processes`, `dependences`, `resources` and a full dump in `records` follow at once. */
export interface Hello {
  readonly type: 'hello';
  readonly protocol: typeof protocolVersion;
  readonly topology: {
    readonly name: string;
    readonly file: string;
    /** Of the root. */
    readonly pid: number;
    readonly startedAtMs: number;
  };
  readonly mode: 'live' | 'recording';
  /** Whether `send` is obeyed. */
  readonly write: boolean;
  /** Of a recording: its first and last moment, in milliseconds since 1970. */
  readonly span?: { readonly fromMs: number; readonly toMs: number };
  /** What is missing of a recording, and why, in words. */
  readonly problem?: string;
}

/** All units, each supervisor before those below it; sent anew, at most five times a second, when something changes. */
export interface Processes {
  readonly type: 'processes';
  readonly units: readonly UnitView[];
}

export interface UnitView {
  /** Below the root, as in `backend/store`; empty for the root itself. Its parent is the path without the last name. */
  readonly path: string;
  readonly kind: 'root' | 'node' | 'exec' | 'supervisor' | 'actor' | 'relay' | 'guest';
  /** Where its life is: idle, waiting, starting, up, stopping, backoff, completed, failed, skipped, removed, unkillable, ... */
  readonly phase: string;
  /** The named application state, while one is reported. */
  readonly state: string | null;
  readonly pid: number | null;
  /** The process whose actors are its own now; null for what is no process or has none. */
  readonly process: ProcessId | null;
  readonly incarnation: number;
  /** How often it has been started. */
  readonly starts: number;
  readonly app: string | null;
  /** In words, with how long it had run. */
  readonly lastExit: string | null;
  /** What it waits for, or why it was given up. */
  readonly waitsFor: string | null;
  /** Of a topology with several hosts: where it runs, if that is not the host of this inspector. Its `phase` may be `unknown`. */
  readonly host?: string;
  /** The last lives that have ended, the newest first; at most 5. */
  readonly dead: readonly DeadIncarnation[];
}

/** What is left of a life. Its last actors and their values were told in `records` before, if anybody watched. */
export interface DeadIncarnation {
  readonly process: ProcessId;
  readonly incarnation: number;
  readonly pid: number | null;
  readonly endedAtMs: number;
  readonly exit: {
    readonly class: 'normal' | 'shutdown' | 'abnormal' | 'killed' | 'permanent-failure';
    readonly reason: string;
    readonly code: number | null;
    readonly signal: string | null;
    readonly uptimeMs: number;
    /** What its supervisor made of it: restart, down, fail, ... */
    readonly verdict: string;
  };
  /** The last named state. */
  readonly state: string | null;
  /** The last transitions from its flight recorder, oldest first; there whether anybody watched or not. */
  readonly flight: readonly FlightLine[];
  /** The last lines that it wrote, oldest first. */
  readonly log: readonly LogLine[];
}

export interface FlightLine {
  readonly atMs: number;
  readonly actor: string;
  readonly event: string;
  /** Where it led: a state value as text, or `crashed`, `done`, `stopped`. */
  readonly state: string;
}

/** Pipes, caches, arenas and regions; sent anew, at most once a second, when something changes. */
export interface Resources {
  readonly type: 'resources';
  readonly resources: readonly ResourceView[];
}

export interface ResourceView {
  readonly kind: 'pipe' | 'cache' | 'arena' | 'region';
  readonly name: string;
  /** The region that a pipe or cache stands in. */
  readonly region: string | null;
  /** Who has it open. `unit` is null for a process that is not of this tree. */
  readonly users: readonly { readonly unit: string | null; readonly pid: number }[];
  /** What `depth` and `capacity` count. */
  readonly counts: 'packets' | 'entries' | 'bytes';
  /** How much is in it, of how much there can be; null: not known here. */
  readonly depth: number | null;
  readonly capacity: number | null;
  /** What found no room or was evicted, since it was made; null: not counted. */
  readonly drops: number | null;
  /** More that its kind counts, for a list of facts: hits, misses, borrows, ... */
  readonly facts: Readonly<Record<string, number | string>>;
}

/** The edges of the dependence graph; sent anew when the gate of one changes. */
export interface Dependences {
  readonly type: 'dependences';
  readonly edges: readonly DependenceView[];
}

export interface DependenceView {
  /** The unit that depends, and the one that it depends on: paths below the root. */
  readonly unit: string;
  readonly on: string;
  /** The state in which the other one must be; empty for modes without one. */
  readonly state: string;
  readonly mode: 'after' | 'wants' | 'requires' | 'bind' | 'hold' | 'partOf' | 'conflicts';
  /** Whether this edge lets its unit start now. `barred`: it never will by itself. */
  readonly gate: 'open' | 'closed' | 'barred';
}

/** Records of all processes, every 50 ms. */
export interface Records {
  readonly type: 'records';
  /** All that there is, not what has happened: forget actors and records, then take these. Only after `hello`, `resync`, `seek`, `step` back. */
  readonly dump?: true;
  /** Records of before the dump, for the event log and the sequence diagram. They change no actor: the dump has told those. */
  readonly past?: true;
  readonly batches: readonly RecordBatch[];
}

/** Records of one process in the order in which they happened. Between processes, sort by `at`. */
export interface RecordBatch {
  readonly process: ProcessId;
  readonly records: readonly ViewRecord[];
}

/**
 * `at` is in milliseconds since 1970, with fractions. Charts come before the first actor that has them and once for each hash.
 * Actors of a life that has ended get no `stop` of their own: `processes` tells of its end. `reset`: forget the actors of that
 * process, its dump follows.
 */
export type ViewRecord = Exclude<FeedRecord, { k: 'context' | 'metrics' | 'session' }> | MessageRecord;

/**
 * A message that has come from another actor of the tree, most often in another process, and is an event of the receiver
 * now: an arrow of the sequence diagram. Follows the `send` record of the same event, whose `from` is null.
 */
export interface MessageRecord {
  readonly k: 'message';
  readonly at: number;
  readonly from: ActorPlace;
  readonly to: string;
  readonly event: string;
}

/** Once a second. */
export interface Metrics {
  readonly type: 'metrics';
  readonly at: number;
  readonly processes: readonly ProcessMetrics[];
  /** What has gone through channels in the last second, also what is no event of any machine. */
  readonly flows: readonly Flow[];
}

export interface ProcessMetrics {
  readonly process: ProcessId;
  /** Of one core, 1 is all of it; null: not known yet. */
  readonly cpu: number | null;
  readonly memoryBytes: number | null;
  /** Restarts of its unit since the tree began. */
  readonly restarts: number;
  /** What only a process that takes part in the feed can tell; null for other programs. */
  readonly inner: {
    readonly heapBytes: number;
    readonly actors: number;
    readonly transitionsPerS: number;
    /** Messages through all channels, each way. */
    readonly sentPerS: number;
    readonly receivedPerS: number;
    /** Messages that have come and wait to be taken, and those that wait for room. */
    readonly depth: number;
    /** How late the event loop came to its timers within the last second. */
    readonly loopDelayMs: { readonly p50: number; readonly p99: number; readonly max: number };
    /** How long transitions took with all their actions; null if there were none. */
    readonly handlingUs: { readonly p50: number; readonly p99: number; readonly max: number } | null;
    /** From the making of these figures there to their arrival at the root. */
    readonly latencyMs: number;
  } | null;
}

export interface Flow {
  readonly from: ActorPlace;
  readonly to: ActorPlace;
  readonly channel: string;
  readonly messagesPerS: number;
  /** How many have come and are not taken. */
  readonly depth: number;
  /** How long a message waits on average until it is taken; null: none was taken for some seconds. */
  readonly waitMs: number | null;
}

/** The context of the watched actor, at most five times a second, and once when the actor is not there (any more). */
export interface ContextOf {
  readonly type: 'context';
  readonly place: ActorPlace;
  readonly at: number;
  readonly gone: boolean;
  readonly value: StateValue | null;
  readonly status: string;
  /** Encoded, see `Encoded`. */
  readonly context: Encoded;
  /** What can happen next, delays and eventless transitions among it. */
  readonly next: readonly NextEvent[];
}

/**
 * A value as JSON, bounded in depth, entries and bytes. What JSON has no word for is an object whose only own first key is `$`:
 * `{$:'Map', n, e: [[key, value]...]}`, `{$:'Set', n, e: [...]}`, `{$:'Date', v: ISO}`, `{$:'Error', name, message, stack?}`,
 * `{$:'BigInt', v: text}`, `{$:'Number', v: 'NaN'}`, `{$:'Bytes', of: 'Uint8Array', n, v: hex of the first}`,
 * `{$:'Function', v: name}`, `{$:'Symbol', v}`, `{$:'Undefined'}`, `{$:'Text', n, v: the beginning}` for what is too long,
 * `{$:'Array', n, e: [...]}` and `{$:'Object', of?, n, e: {...}}` for what has more entries than are shown or a class,
 * `{$:'Actor', id}`, `{$:'Cycle', v: path}`, `{$:'Deep', of}`, `{$:'Thrown', v: message}`, `{$:'Redacted'}`. An object of the program's own
 * with a key `$` comes as `{$:'Object', ...}`, so it can't be taken for one of these.
 */
/**
 * A transition that the watched actor could take: its event as `send` takes it (for a delay `xstate.after...`, empty for one
 * without an event), ids of state nodes as in charts, and whether a page may send it.
 */
export type { Encoded, NextEvent };

/** Lines that units wrote, and log records of the root and of programs. Each is also kept by the server for a late viewer. */
export interface LogLines {
  readonly type: 'log';
  readonly lines: readonly LogLine[];
}

export interface LogLine {
  readonly atMs: number;
  /** Path below the root; empty for the root itself. */
  readonly unit: string;
  /** What a unit wrote has no level. */
  readonly stream: 'out' | 'err' | 'log';
  readonly level: 'debug' | 'info' | 'warn' | 'error' | null;
  readonly text: string;
}

/** So many records were not sent because this page read too slowly. Actors, crashes and stops are never among them. */
export interface Dropped {
  readonly type: 'dropped';
  readonly at: number;
  readonly count: number;
}

/** Of a recording: where it stands. Sent after each `seek`, `step`, `play` and `pause`, and ten times a second while it plays. */
export interface Playing {
  readonly type: 'playing';
  readonly at: number;
  readonly playing: boolean;
  readonly speed: number;
}

/** What the page asked for was not done. */
export interface Refused {
  readonly type: 'refused';
  readonly what: PageMessage['type'] | 'message';
  readonly why: string;
}

// ---- page to server

export type PageMessage =
  /** Shows the context of one actor from now on, of no other; null: of none. */
  | { readonly type: 'watch'; readonly place: ActorPlace | null }
  /** Sends an event to an actor. Only with `write`. */
  | { readonly type: 'send'; readonly place: ActorPlace; readonly event: { readonly type: string } }
  /** All that there is once more. */
  | { readonly type: 'resync' }
  /** Of a recording: everything as it was at that moment (a dump follows); it stays paused or playing as it is. */
  | { readonly type: 'seek'; readonly at: number }
  /** Of a recording: one record or line forth, or one back (a dump follows); it is paused by that. */
  | { readonly type: 'step'; readonly by: 1 | -1 }
  /** Of a recording: goes on from where it stands; `speed` 1 (default) as fast as it happened, at most 100. */
  | { readonly type: 'play'; readonly speed?: number }
  | { readonly type: 'pause' };
