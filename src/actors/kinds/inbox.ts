// Inbox: the messages of a kind that it has not taken yet, as the kind sees them. Each type has a queue of its own, so that a
// stage can take what it wants and leave what belongs to a later one; between types the order of arrival is kept.
import type { EventObject } from 'xstate';
import type { WaitOptions } from '../../spec/waiting.ts';
import type { Source } from './source.ts';

/** What happens to a message that finds no room and whose sender does not wait. */
export type InboxOverflow = 'fail' | 'drop-newest' | 'drop-oldest';

/** How much an inbox holds, and what becomes of more. */
export interface InboxOptions {
  /** Messages of each type that may lie there; default 1024. */
  max?: number;
  /**
   * For messages from those who can't wait for room, as machines can't: `fail` (default) ends the kind with ERR_INBOX_FULL,
   * the others drop and count. A sender that waits (`handle.send`) is never dropped.
   */
  overflow?: InboxOverflow;
}

export const inboxDefaults = { max: 1_024, overflow: 'fail' } as const satisfies Required<InboxOptions>;

/** Counts of messages: those that lie there now, and all so far. */
export interface InboxStats {
  readonly queued: number;
  readonly received: number;
  readonly dropped: number;
}

type TypeOf<M extends EventObject> = M['type'];

/** The messages sent to a kind. A source: all types together, or some of them by `of`. */
export interface Inbox<M extends EventObject = EventObject> extends Source<M>, AsyncIterable<M> {
  /** Whether nothing more will come. */
  readonly closed: boolean;
  /** The next message if there is one. @throws {IpcError} ERR_INBOX_CLOSED once closed and empty. */
  tryReceive(): M | undefined;
  /** The next message. @throws {IpcError} ERR_INBOX_CLOSED, ERR_TIMEOUT, ERR_STOPPING. */
  receive(options?: WaitOptions): Promise<M>;
  /** The next message, or undefined once closed and empty. */
  next(options?: WaitOptions): Promise<M | undefined>;
  /** Only the messages of these types; the others stay, in their order. */
  of<K extends TypeOf<M>>(...types: [K, ...K[]]): InboxView<Extract<M, { type: K }>>;
  /** As a source that answers undefined at its end, for `select`. */
  readonly orEnd: Source<M | undefined>;
  /** Counts of its messages. */
  stats(): InboxStats;
}
/** Some types of an inbox. */
export type InboxView<M extends EventObject> = Omit<Inbox<M>, 'of' | 'stats'> & Source<M>;
