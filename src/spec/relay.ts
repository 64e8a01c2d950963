// Relay: what nodes on one machine or on several can do together, whatever carries it. `local` keeps it all in one process;
// `link` carries it over sockets to the one hub that the configuration names; `nats` leaves it to an engine that replicates. One
// suite holds for all three (test/conformance/relay.ts).
import type { WaitOptions } from './waiting.ts';

export type RelayMode = 'local' | 'link' | 'nats';

/** What a node is for. `gateway` is anybody else who speaks the protocol. */
export const relayRoles = ['relay', 'front', 'sibling', 'expansion', 'aging', 'gateway'] as const;
/** What a node is for; see `relayRoles`. */
export type RelayRole = (typeof relayRoles)[number];

/** `lost`: there is no link now; it is being opened again. */
export type RelayStatus = 'connected' | 'lost' | 'closed';

/** Anything that msgpack expresses. */
export type RelayValue = unknown;

/** Options of a request. */
export interface RelayRequestOptions extends WaitOptions {
  /** Asks that node, and no other that serves the same. */
  to?: string;
}

/** How long a request may take by default. A node that asks on behalf of a person can't wait longer. */
export const requestTimeoutMs = 2_000;

export interface ServeOptions {
  /** Each request goes to one member of the group, in turn. Without one, a later server of the same name is refused. */
  group?: string;
}

/** Who asks, and for how long. */
export interface RelayRequest {
  readonly from: string;
  readonly role: RelayRole;
  /** Aborted when the asker gives up. */
  readonly signal: AbortSignal;
}

/** Answers a request; what it throws reaches who has asked as ERR_REQUEST_FAILED. */
export type RelayHandler = (body: RelayValue, request: RelayRequest) => RelayValue | Promise<RelayValue>;
/** Hears what was published, and by which node. */
export type RelayListener = (message: RelayValue, from: string) => void;

/** One node, as the registry knows it. */
export interface RelayNode {
  readonly node: string;
  readonly role: RelayRole;
  /** Configured nodes that are not there are listed, too. */
  readonly connected: boolean;
}

/** The right to do something alone. */
export interface Lease extends AsyncDisposable {
  readonly name: string;
  /** Goes up with each holder. What is protected must refuse a token below one that it has seen. */
  readonly token: number;
  /** Aborted, with ERR_LEASE_LOST, when this holder must stop: before anybody else can get the lease. */
  readonly signal: AbortSignal;
  /** Gives it back, so that the next one who waits gets it. */
  release(): Promise<void>;
}

/** Options of `lease`. */
export interface LeaseOptions extends WaitOptions {
  /** Renewed three times in this time; a holder that is silent for so long has lost it. Default 15000. */
  ttlMs?: number;
}

/** A value of a bucket, and when it was written. */
export interface KeyValueEntry {
  readonly value: RelayValue;
  /** Of the whole bucket: goes up with each write. */
  readonly revision: number;
}

export interface WriteOptions extends WaitOptions {
  /** Refused with ERR_LEASE_LOST if a later holder of that lease is known. */
  lease?: Pick<Lease, 'name' | 'token'>;
}

/** A small table that all nodes see alike, for settings and maps; sessions belong into the cache. */
export interface KeyValue {
  /** The value and its revision, or undefined if the key is not there. */
  get(key: string, options?: WaitOptions): Promise<KeyValueEntry | undefined>;
  /** @returns the revision. */
  put(key: string, value: RelayValue, options?: WriteOptions): Promise<number>;
  /** @throws {IpcError} ERR_KV_CONFLICT if the key exists. */
  create(key: string, value: RelayValue, options?: WriteOptions): Promise<number>;
  /** @throws {IpcError} ERR_KV_CONFLICT if its revision is another one by now. */
  update(key: string, value: RelayValue, revision: number, options?: WriteOptions): Promise<number>;
  /** @throws {IpcError} ERR_KV_CONFLICT if a revision is given and it is another one by now. */
  delete(key: string, options?: WriteOptions & { revision?: number }): Promise<void>;
  /** All keys of the bucket. */
  keys(options?: WaitOptions): Promise<string[]>;
  /** Hears of changes from now on; `undefined`: the key was deleted. */
  watch(
    listener: (key: string, entry: KeyValueEntry | undefined) => void,
    options?: WaitOptions,
  ): Promise<RelayHold>;
}

/** Bytes that are too many for one message. */
export interface Blobs {
  /** Stores them under that name, in place of what was there. */
  put(name: string, bytes: Uint8Array, options?: WaitOptions): Promise<void>;
  /** All of them, or undefined if there is nothing of that name. */
  get(name: string, options?: WaitOptions): Promise<Uint8Array | undefined>;
  /** Nothing happens if there is nothing of that name. */
  delete(name: string, options?: WaitOptions): Promise<void>;
}

/** A subscription, a service, a watch: what lasts until it is let go. */
export interface RelayHold extends Disposable {
  /** Lets it go. */
  release(): void;
}

export interface SubscribeOptions extends WaitOptions {
  /** Called with the number of messages, of all topics, that were dropped because this node took them too slowly. */
  onGap?: (messages: number) => void;
}

export interface RelayEvents {
  /** `lost`: messages sent before that perhaps nobody has got. */
  status(status: RelayStatus, lost: number): void;
}

/** One node's use of the relay. */
export interface Relay extends AsyncDisposable {
  readonly mode: RelayMode;
  readonly node: string;
  readonly role: RelayRole;
  readonly status: RelayStatus;
  /** How long ago anything was heard from the hub, in ms. */
  readonly silenceMs: number;
  /**
   * Sends to all that have subscribed, but not to this node. At most once; who takes too slowly loses messages and is told.
   * @throws {IpcError} ERR_RELAY_FULL, ERR_RELAY_CLOSED, ERR_MESSAGE_TOO_LARGE.
   */
  publish(topic: string, message: RelayValue): void;
  /** @returns once messages published from now on will come. */
  subscribe(topic: string, listener: RelayListener, options?: SubscribeOptions): Promise<RelayHold>;
  /**
   * @throws {IpcError} ERR_RELAY_UNAVAILABLE, ERR_TIMEOUT, ERR_REQUEST_FAILED with what the handler threw, ERR_RELAY_FULL,
   *   ERR_RELAY_CLOSED.
   */
  request(service: string, body?: RelayValue, options?: RelayRequestOptions): Promise<RelayValue>;
  /** Answers requests for that service, until the hold is released. */
  serve(service: string, handler: RelayHandler, options?: ServeOptions & WaitOptions): Promise<RelayHold>;
  /** @throws {IpcError} ERR_LEASE_HELD. */
  lease(name: string, options?: LeaseOptions): Promise<Lease>;
  /** All nodes that the registry knows. */
  nodes(options?: WaitOptions): Promise<RelayNode[]>;
  /** The bucket of that name. */
  kv(bucket: string): KeyValue;
  readonly blobs: Blobs;
  /** Waits until there is a link; at once if there is one. @throws {IpcError} ERR_TIMEOUT, ERR_RELAY_CLOSED. */
  connected(options?: WaitOptions): Promise<void>;
  /** @returns how to stop listening. */
  onStatus(listener: RelayEvents['status']): () => void;
  /** Ends the link and all that waits for it with ERR_RELAY_CLOSED. Twice is fine. */
  close(): Promise<void>;
}
