// Supervision: what a program can ask of a supervisor at run time, with the answers of OTP's.
import type { ActorChildInput } from './actor-check.ts';
import type { ChildPolicy, Shutdown } from './child.ts';

/** A child as others hold it: valid over all its restarts, until it is removed. */
export interface ChildRef {
  /** Its name; null under a dynamic supervisor. */
  readonly id: string | null;
  readonly address: string;
  /** `up`, `down`, `starting`, `stopping`, `restarting`, `removed`. */
  readonly phase: string;
  /** How often it has been started. */
  readonly epoch: number;
  /** Hands an event to what runs now. @returns false if nothing runs; the event is lost then. */
  send(event: { type: string }): boolean;
  /** Of the actor that runs now; undefined if none does. */
  getSnapshot(): unknown;
  /** Of a child that is a supervisor of actors: itself, while it runs. */
  readonly supervisor: Supervision | null;
}

/** Why a call was not carried out, in OTP's words; `failed` has the error of the start. */
export type CallError =
  | 'already-started'
  | 'already-present'
  | 'running'
  | 'restarting'
  | 'not-found'
  | 'dynamic'
  | { readonly failed: string };

export type Refused = { readonly ok: false; readonly error: CallError };

/** `ref` is null if its start function said `ignore`; `info` is what that told besides. */
export type StartAnswer =
  | { readonly ok: true; readonly ref: ChildRef | null; readonly info?: unknown }
  | (Refused & { readonly ref?: ChildRef });
/** Whether a call was carried out, and why not. */
export type CallAnswer = { readonly ok: true } | Refused;

/** One child, as `whichChildren` tells it. */
export interface ChildEntry {
  readonly id: string | null;
  /** Null unless something of it runs. */
  readonly ref: ChildRef | null;
  readonly phase: string;
  readonly type: 'worker' | 'supervisor';
}

/** How many children a supervisor has. */
export interface ChildCounts {
  /** Children that are known; 1 for a dynamic supervisor: its template. */
  readonly specs: number;
  /** Those of which something runs. */
  readonly active: number;
  /** By type, whether they run or not. */
  readonly supervisors: number;
  readonly workers: number;
}

/** A child's spec with all defaults. */
export type ChildSpecView = Pick<ChildPolicy, 'restart' | 'significant'> & {
  readonly id: string | null;
  readonly kind: string;
  readonly type: 'worker' | 'supervisor';
  readonly shutdown: Shutdown;
};

/**
 * A supervisor at run time. Calls wait while a group of its children restarts, except the three that only look.
 * @throws {IpcError} ERR_STOPPING once it is ending.
 */
export interface Supervision<C = ActorChildInput> {
  readonly address: string;
  /** Adds a child and starts it; if the start fails, the child is forgotten again. */
  startChild(id: string, child: C): Promise<StartAnswer>;
  /**
   * Of a dynamic supervisor: one more child from its template, with this input if one is given. Of processes the input is
   * `{ args?, env? }`, which are added to those of the template.
   */
  startChild(input?: unknown): Promise<StartAnswer>;
  /** Stops a child, also one that is to be restarted; it stays known unless it is temporary. Dynamic: by its ref. */
  terminateChild(child: string | ChildRef): Promise<CallAnswer>;
  /** Starts a child again that is down. */
  restartChild(child: string | ChildRef): Promise<StartAnswer>;
  /** Forgets a child that is down. */
  deleteChild(child: string | ChildRef): Promise<CallAnswer>;
  /** All children, the newest first. */
  whichChildren(): Promise<ChildEntry[]>;
  /** The child of that name or ref. */
  whichChild(child: string | ChildRef): Promise<{ readonly ok: true; readonly child: ChildEntry } | Refused>;
  /** How many children there are, by kind and by whether they run. */
  countChildren(): Promise<ChildCounts>;
  /** The rules of that child. */
  getChildSpec(
    child: string | ChildRef,
  ): Promise<{ readonly ok: true; readonly spec: ChildSpecView } | Refused>;
}
