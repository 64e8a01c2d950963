// Session: what a session looks like to those who use it, with the types that flow from a universe.
import type { BroadcastFor } from './broadcast.ts';
import type { ChannelFor } from './channel.ts';
import type { OnDemandSpec } from './channel-spec.ts';
import type { Arena } from './memory.ts';
import type { Peer, Side } from './peer.ts';
import type { AppSpec } from './universe.ts';
import type { WaitOptions } from './waiting.ts';

/** The names of the channels that are open as long as a session with that app is. */
export type InitNames<A extends AppSpec> = {
  [K in keyof A['channels'] & string]: A['channels'][K] extends OnDemandSpec<infer _> ? never : K;
}[keyof A['channels'] & string];

/** The names of the channels that are opened on demand. */
export type OnDemandNames<A extends AppSpec> = {
  [K in keyof A['channels'] & string]: A['channels'][K] extends OnDemandSpec<infer _> ? K : never;
}[keyof A['channels'] & string];

/** Options of `openChannel`. */
export interface OpenChannelOptions extends WaitOptions {
  /** Any JSON value up to 64 KiB that the peer gets with the offer. */
  readonly metadata?: unknown;
}

/** An on-demand channel that the peer wants to open. The first answer counts; until then the peer waits. */
export interface Offer<C = unknown> {
  readonly channel: string;
  /** What the peer said about it. */
  readonly metadata: unknown;
  /**
   * Opens it.
   * @returns our end, which may be used at once.
   * @throws {IpcError} ERR_OFFER_WITHDRAWN if it was answered already, or the peer waits for it no longer.
   */
  accept(): C;
  /** Tells the peer why not; the session goes on. Without effect once it was answered or taken back. */
  reject(reason?: string): void;
}

/** The actor that a server runs for all sessions of one client app. */
export interface AppActor {
  /** Sends it an event, after those that are on their way. Nothing happens once it has ended. */
  send(event: { readonly type: string; readonly [fact: string]: unknown }): void;
  /** Its snapshot, as XState has it. */
  getSnapshot(): unknown;
}

/** The memory that a side writes and its peer reads. */
export interface ScopedMemory<S extends Side = Side> {
  /** Gone with the session. @throws {IpcError} ERR_NO_ARENA. */
  readonly session: Arena;
  /**
   * At a server: one for each client app, whose sessions all may read what is lent of it. Outlives the sessions, not the
   * server. A client writes none. @throws {IpcError} ERR_NO_ARENA.
   */
  readonly app: S extends 'server' ? Arena : undefined;
}

/** A conversation between two processes. */
export interface Session<A extends AppSpec = AppSpec, S extends Side = Side> {
  readonly side: S;
  readonly peer: Peer;
  /** The same at both ends, different for each session. */
  readonly token: string;
  /** Our arenas. */
  readonly memory: ScopedMemory<S>;
  /** The same as `memory.session`. @throws {IpcError} ERR_NO_ARENA. */
  readonly arena: Arena;
  /** At a server with `appScope`: the actor of all sessions with this client app, as long as it runs. */
  readonly app: S extends 'server' ? AppActor | undefined : undefined;
  /** The channels that are open as long as the session is. */
  readonly channels: { readonly [K in InitNames<A>]: ChannelFor<A['channels'][K], S> };
  /** The server publishes, to all its sessions at once; the client reads. */
  readonly broadcasts: { readonly [K in keyof A['broadcasts']]: BroadcastFor<A['broadcasts'][K], S> };
  /**
   * Offers the peer an on-demand channel and waits until it is accepted; 10 s unless `timeoutMs` says otherwise. Each call
   * opens another one, up to `maxOpen` of the channel. No failure harms the session.
   * @throws {IpcError} ERR_OFFER_REJECTED, ERR_OFFER_TIMEOUT, ERR_CHANNEL_LIMIT, ERR_CHANNEL_BUSY when too many offers wait
   *   already, ERR_CHANNEL_UNKNOWN, ERR_MESSAGE_INVALID for the metadata, ERR_SESSION_CLOSED, ERR_SESSION_HOSED.
   */
  openChannel<K extends OnDemandNames<A>>(
    name: K,
    options?: OpenChannelOptions,
  ): Promise<ChannelFor<A['channels'][K], S>>;
  /**
   * Answers the peer's offers of that channel. Offers that no handler takes go to the machine as `channel.offered`; where
   * that names no such event, they are rejected. @returns a function that ends it. @throws {IpcError} ERR_CHANNEL_UNKNOWN.
   */
  onOffer<K extends OnDemandNames<A>>(
    name: K,
    handler: (offer: Offer<ChannelFor<A['channels'][K], S>>) => void,
  ): () => void;
  /** Flushes what was accepted, says goodbye and ends. The user's machine gets `session.closed`. */
  close(reason?: string): void;
}

/** What began the end of a session that nobody here asked to end. */
export const hoseReasons = [
  'peer.goodbye',
  'peer.closed',
  'peer.reset',
  'peer.idle',
  'peer.stalled',
  'protocol',
  'memory',
] as const;
/** One of `hoseReasons`; docs/sessions.md says what each means. */
export type HoseReason = (typeof hoseReasons)[number];
/** What a peer can break: the rules of what it says, or the words of the memory that it shares. */
export type Breach = Extract<HoseReason, 'protocol' | 'memory'>;

/** Signs of life. */
export interface KeepAlive {
  /** How often this process gives one. */
  readonly beatMs: number;
  /** A peer that gives none for this long is lost; at least twice `beatMs`. */
  readonly idleMs: number | 'never';
}

/** What becomes of a peer whose process lives while its event loop does not turn. */
export interface Stall {
  /** After this long the session's machine gets `peer.stalled`. */
  readonly reportMs: number | 'never';
  /** After this long the session is hosed. */
  readonly hoseMs: number | 'never';
}
