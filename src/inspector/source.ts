// Source: what a page can show: a tree that runs, or a recording of one.
import type { ActorPlace, Hello, ProcessId, ServerMessage, ViewRecord } from './protocol.ts';

/** Who looks on: a page, or a recording. */
export interface Audience {
  /** Something that replaces what was told of its type before, or adds to it. */
  tell(message: Exclude<ServerMessage, { type: 'records' | 'dropped' | 'hello' }>): void;
  record(process: ProcessId, record: ViewRecord): void;
}

/** One audience's hold on a source. */
export interface Showing {
  /** Everything that there is now. */
  dump(): Dump;
  /** What is known of one actor now. */
  actor(place: ActorPlace): ViewRecord | undefined;
  watch(place: ActorPlace | null): void;
  /** @returns why not; undefined if it is on its way. */
  send(place: ActorPlace, event: { readonly type: string }): string | undefined;
  seek(atMs: number): void;
  /** One record forth or back. */
  step(by: 1 | -1): void;
  play(speed: number): void;
  pause(): void;
  close(): void;
}

export interface Dump {
  readonly messages: readonly Exclude<ServerMessage, { type: 'records' | 'dropped' | 'hello' }>[];
  /** Charts and actors, then what has happened before. */
  readonly actors: Iterable<{ readonly process: ProcessId; readonly records: readonly ViewRecord[] }>;
  readonly past: Iterable<{ readonly process: ProcessId; readonly records: readonly ViewRecord[] }>;
}

export interface Source {
  hello(write: boolean): Hello;
  show(audience: Audience): Showing;
}
