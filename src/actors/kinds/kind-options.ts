// Kind options: what all kinds can be given besides their function.
import type { InboxOptions } from './inbox.ts';

/** Options of every kind. */
export interface KindOptions {
  /** What it is called in addresses, logs and errors; default: the name of its function, else of its kind. */
  name?: string;
  inbox?: InboxOptions;
  /** Children that may run at once; default 1024. */
  childrenMax?: number;
  /** How long it may take to end once it is told to stop, in-flight work and children among it; default 2000. */
  drainTimeoutMs?: number;
  /** In a session: which of its events (`message.<channel>`, ...) go to the inbox. The others are left to its channels. */
  events?: readonly string[];
}

/** Draining takes less than the half of `shutdown` that a supervisor gives a program for ending by itself. */
export const kindDefaults = { childrenMax: 1_024, drainTimeoutMs: 2_000 };
