// Channel spec: what a universe says about one channel. Both sides have the same; its types are those of its ends.
import { invalid, isRingSize, isWhole, timerMaxMs, unknownKey } from './description.ts';
import type { CarriedBy, ChannelSchema, SchemaFor } from './schema.ts';

/** What a channel carries: `up` from client to server, `down` from server to client, `requests` either way. */
export interface ChannelTypes {
  up?: unknown;
  down?: unknown;
  requests?: Record<string, readonly [request: unknown, reply: unknown]>;
}

/** Options of `channel()`. */
export interface ChannelOptions {
  /** How messages become bytes: `msgpack` takes any data, `bytes` a Uint8Array as it is. */
  readonly codec: 'msgpack' | 'bytes';
  /** Size of the ring of each direction: a power of two from 1 KiB to 1 GiB. */
  readonly capacityBytes: number;
  /**
   * The largest encoded message. Default: half of the ring less 8. More than that needs an app with `arenaBytes`: messages
   * above a quarter of the ring then stand in the session's arena.
   */
  readonly maxMessageBytes: number;
  /** When a ring is full: `block` lets `send` wait, `drop-newest` drops and counts the message. */
  readonly overflow: 'block' | 'drop-newest';
  /** What each side may have lent on this channel at once, with messages in the arena: 1 to 65,536. */
  readonly maxLoans: number;
  /** What each side may have borrowed from this channel at once: 1 to 65,536. */
  readonly maxBorrows: number;
  /** `init`: open as long as its session is. `on-demand`: either side opens it by `session.openChannel`, any number of times. */
  readonly open: 'init' | 'on-demand';
  /** How many of an on-demand channel may be open at once: 1 to 64. Each has rings of its own in both directions. */
  readonly maxOpen: number;
  /**
   * When messages that nobody takes stand before requests and replies, and `unexpectedMax` of them were set aside: `block`
   * reads no further until somebody takes some, `drop-newest` drops and counts the next ones.
   */
  readonly unexpected: 'block' | 'drop-newest';
  /** Messages without a taker, and requests of each name without a handler, that are set aside: 1 to 1,024. */
  readonly unexpectedMax: number;
  /** A request that waits longer for a handler is answered with a failure: 0 to 2^31-1. */
  readonly unexpectedTimeoutMs: number;
}

export const channelOptionKeys = [
  'codec',
  'capacityBytes',
  'maxMessageBytes',
  'overflow',
  'maxLoans',
  'maxBorrows',
  'open',
  'maxOpen',
  'unexpected',
  'unexpectedMax',
  'unexpectedTimeoutMs',
] as const;

/** 256 KiB hold some two thousand messages of a hundred bytes: enough for a reader that is late by a few milliseconds. */
export const channelDefaults = {
  codec: 'msgpack',
  capacityBytes: 256 * 1024,
  overflow: 'block',
  maxLoans: 256,
  maxBorrows: 256,
  open: 'init',
  maxOpen: 1,
  unexpected: 'block',
  unexpectedMax: 256,
  /** Long enough for a machine that was just started, far below the limit of a request. */
  unexpectedTimeoutMs: 1000,
} as const;

const holdsMax = 65_536;
const openMax = 64;
/** A message is one stretch of memory, and so is the largest segment of an arena. */
const messageBytesMax = 2 ** 31;

const recordHeaderBytes = 8;

declare const carried: unique symbol;

/** A channel of an app, with its types. */
export interface ChannelSpec<T extends ChannelTypes = ChannelTypes> extends ChannelOptions {
  readonly [carried]?: T;
  /** Checks what is sent and what arrives. Each side has its own; it does not travel. */
  readonly schema?: ChannelSchema;
}

/** A channel that is open as long as its session is. */
export interface InitChannelSpec<T extends ChannelTypes = ChannelTypes> extends ChannelSpec<T> {
  readonly open: 'init';
}

/** A channel that either side opens when it wants one. */
export interface OnDemandSpec<T extends ChannelTypes = ChannelTypes> extends ChannelSpec<T> {
  readonly open: 'on-demand';
}

export type Carried<C> = C extends ChannelSpec<infer T extends ChannelTypes> ? T : never;
export type Up<T> = T extends { up: infer M } ? M : never;
export type Down<T> = T extends { down: infer M } ? M : never;
export type RequestsOf<T> = T extends {
  requests: infer R extends Record<string, readonly [unknown, unknown]>;
}
  ? R
  : Record<never, never>;

/**
 * Describes a channel. What it carries is said by its schemas, or by the type parameter.
 * @throws {IpcError} `ERR_UNIVERSE_INVALID` for sizes that make no ring.
 */
export function channel<const S extends ChannelSchema>(
  options: Partial<ChannelOptions> & { readonly open: 'on-demand'; readonly schema: S },
): OnDemandSpec<CarriedBy<S>>;
export function channel<const S extends ChannelSchema>(
  options: Partial<ChannelOptions> & { readonly open?: 'init'; readonly schema: S },
): InitChannelSpec<CarriedBy<S>>;
export function channel<T extends ChannelTypes>(
  options: Partial<ChannelOptions> & { readonly open: 'on-demand'; readonly schema?: SchemaFor<T> },
): OnDemandSpec<T>;
export function channel<T extends ChannelTypes>(
  options?: Partial<ChannelOptions> & { readonly open?: 'init'; readonly schema?: SchemaFor<T> },
): InitChannelSpec<T>;
export function channel<T extends ChannelTypes>(options: Partial<ChannelOptions>): ChannelSpec<T>;
export function channel(
  options: Partial<ChannelOptions> & { readonly schema?: ChannelSchema } = {},
): ChannelSpec {
  const { schema, ...rest } = options;
  const known: readonly string[] = channelOptionKeys;
  for (const key of Object.keys(rest))
    if (!known.includes(key)) throw invalid('channel()', unknownKey(key, [...known, 'schema']));
  const { codec, capacityBytes, overflow, maxLoans, maxBorrows, ...waiting } = {
    ...channelDefaults,
    ...rest,
  };
  if (!isRingSize(capacityBytes))
    throw invalid(
      'channel()',
      `capacityBytes is ${capacityBytes}; it must be a power of two from 1024 to 2^30`,
    );
  const maxMessageBytes = options.maxMessageBytes ?? inRingBytesMax(capacityBytes);
  if (!isWhole(maxMessageBytes, messageBytesMax))
    throw invalid('channel()', `maxMessageBytes is ${maxMessageBytes}; it must be 1 to ${messageBytesMax}`);
  if (codec !== 'msgpack' && codec !== 'bytes')
    throw invalid('channel()', `codec is ${codec}; it must be "msgpack" or "bytes"`);
  if (overflow !== 'block' && overflow !== 'drop-newest')
    throw invalid('channel()', `overflow is ${overflow}; it must be "block" or "drop-newest"`);
  for (const [key, value] of Object.entries({ maxLoans, maxBorrows }))
    if (!isWhole(value, holdsMax))
      throw invalid('channel()', `${key} is ${value}; it must be 1 to ${holdsMax}`);
  const { unexpected, unexpectedMax, unexpectedTimeoutMs } = waiting;
  checkUnexpected(waiting);
  checkSchema(schema);
  return {
    codec,
    capacityBytes,
    maxMessageBytes,
    overflow,
    maxLoans,
    maxBorrows,
    ...openingOf(rest),
    unexpected,
    unexpectedMax,
    unexpectedTimeoutMs,
    ...(schema && { schema }),
  };
}

function openingOf({
  open = channelDefaults.open,
  maxOpen = channelDefaults.maxOpen,
}: Partial<ChannelOptions>): Pick<ChannelOptions, 'open' | 'maxOpen'> {
  if (open !== 'init' && open !== 'on-demand')
    throw invalid('channel()', `open is ${open}; it must be "init" or "on-demand"`);
  if (!isWhole(maxOpen, openMax))
    throw invalid('channel()', `maxOpen is ${maxOpen}; it must be 1 to ${openMax}`);
  if (open === 'init' && maxOpen !== 1)
    throw invalid(
      'channel()',
      `maxOpen is ${maxOpen}; only a channel with open: 'on-demand' is open more than once`,
    );
  return { open, maxOpen };
}

const unexpectedCountMax = 1024;

function checkUnexpected(
  options: Pick<ChannelOptions, 'unexpected' | 'unexpectedMax' | 'unexpectedTimeoutMs'>,
): void {
  const { unexpected, unexpectedMax, unexpectedTimeoutMs } = options;
  if (unexpected !== 'block' && unexpected !== 'drop-newest')
    throw invalid('channel()', `unexpected is ${unexpected}; it must be "block" or "drop-newest"`);
  if (!isWhole(unexpectedMax, unexpectedCountMax))
    throw invalid('channel()', `unexpectedMax is ${unexpectedMax}; it must be 1 to ${unexpectedCountMax}`);
  if (!(unexpectedTimeoutMs === 0 || isWhole(unexpectedTimeoutMs, timerMaxMs)))
    throw invalid(
      'channel()',
      `unexpectedTimeoutMs is ${unexpectedTimeoutMs}; it must be 0 to ${timerMaxMs}`,
    );
}

function checkSchema(schema: ChannelSchema | undefined): void {
  if (schema === undefined) return;
  const keys = ['up', 'down', 'requests'];
  for (const key of Object.keys(schema))
    if (!keys.includes(key)) throw invalid('channel()', `schema: ${unknownKey(key, keys)}`);
  const all: [where: string, schema: unknown][] = [
    ['up', schema.up],
    ['down', schema.down],
    ...Object.entries(schema.requests ?? {}).flatMap(([name, pair]) => [
      [`request ${name}`, pair[0]] as [string, unknown],
      [`reply of ${name}`, pair[1]] as [string, unknown],
    ]),
  ];
  for (const [where, one] of all) {
    if (one === undefined) continue;
    const standard = (one as Partial<Record<'~standard', { version?: unknown; validate?: unknown }>>)[
      '~standard'
    ];
    if (standard?.version !== 1 || typeof standard.validate !== 'function')
      throw invalid('channel()', `schema: ${where} is no Standard Schema of version 1`);
  }
}

/** A ring's largest record is half of it, so that it fits an empty ring wherever the positions stand. */
export function inRingBytesMax(capacityBytes: number): number {
  return capacityBytes / 2 - recordHeaderBytes;
}
