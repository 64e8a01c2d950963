// The universe: which apps there are, who may talk to whom, and over which channels. Both sides of a session load the
// same description; the types of everything that is sent flow from it.
import { IpcError } from '../errors.ts';
import { isName, nameRule, nearest } from '../names.ts';
import type { CarriedBy, ChannelSchema, SchemaFor } from './schema.ts';

/** What a channel carries: `up` from client to server, `down` from server to client, `requests` either way. */
export interface ChannelTypes {
  up?: unknown;
  down?: unknown;
  requests?: Record<string, readonly [request: unknown, reply: unknown]>;
}

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
/** Offsets in a segment have 32 bits; a little less, for what stands in front of the rings. */
const ringsBytesMax = 2 ** 32 - 2 ** 20;
/** What one side may have lent in one session at once: the releases of all of them must fit their ring. */
const slotsMax = 2 ** 20;
/** Lanes of one session: kLanesMax of cpp/shm/layout.h. Each channel and each broadcast has one, and lent memory has one. */
export const lanesMax = 256;
/** An arena's own needs: headers, and rounding up to pages of any machine. */
const arenaOverheadBytes = 131_072;
/** A message is one stretch of memory, and so is the largest segment of an arena. */
const messageBytesMax = 2 ** 31;
const memoryBytesMax = 2 ** 40;

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

function isWhole(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= max;
}

export interface BroadcastOptions {
  /** How messages become bytes: `msgpack` takes any data, `bytes` a Uint8Array as it is. */
  readonly codec: 'msgpack' | 'bytes';
  /** Size of the one ring that all readers share: a power of two from 1 KiB to 1 GiB. A message fits half of it. */
  readonly capacityBytes: number;
  /** Latest messages with which a new reader begins, as far as the ring still has them. */
  readonly history: number;
  /** What a slow reader does: `drop-oldest` misses messages and is told how many, `block` holds up the writer. */
  readonly reader: 'drop-oldest' | 'block';
  /** A reader that holds up the writer is dropped if it takes longer than this for what stands in the ring. */
  readonly slowAfterMs: number | 'never';
}

export const broadcastOptionKeys = ['codec', 'capacityBytes', 'history', 'reader', 'slowAfterMs'] as const;

export const broadcastDefaults: BroadcastOptions = {
  codec: 'msgpack',
  capacityBytes: channelDefaults.capacityBytes,
  history: 0,
  reader: 'drop-oldest',
  slowAfterMs: 'never',
};

/** The writer remembers four bytes for each message of the history. */
const historyMax = 65_536;
/** The longest time that a timer of Node can wait for. */
const timerMaxMs = 2 ** 31 - 1;

declare const published: unique symbol;

/** A broadcast of an app, with the type of its messages. */
export interface BroadcastSpec<M = unknown> extends BroadcastOptions {
  readonly [published]?: M;
}

/**
 * Describes a broadcast: the process that serves the app publishes, every session of it may read.
 * @throws {IpcError} `ERR_UNIVERSE_INVALID` for options that make no sense.
 */
export function broadcast<M>(options: Partial<BroadcastOptions> = {}): BroadcastSpec<M> {
  const fail = (why: string) => invalid('broadcast()', why);
  const known: readonly string[] = broadcastOptionKeys;
  for (const key of Object.keys(options)) if (!known.includes(key)) throw fail(unknownKey(key, known));
  const { codec, capacityBytes, history, reader, slowAfterMs } = { ...broadcastDefaults, ...options };
  if (!isRingSize(capacityBytes))
    throw fail(`capacityBytes is ${capacityBytes}; it must be a power of two from 1024 to 2^30`);
  if (codec !== 'msgpack' && codec !== 'bytes')
    throw fail(`codec is ${codec}; it must be "msgpack" or "bytes"`);
  if (reader !== 'drop-oldest' && reader !== 'block')
    throw fail(`reader is ${reader}; it must be "drop-oldest" or "block"`);
  if (!Number.isInteger(history) || history < 0 || history > historyMax)
    throw fail(`history is ${history}; it must be a whole number from 0 to ${historyMax}`);
  if (slowAfterMs !== 'never' && !(slowAfterMs >= 1 && slowAfterMs <= timerMaxMs))
    throw fail(`slowAfterMs is ${slowAfterMs}; it must be "never" or a number of milliseconds from 1 on`);
  if (slowAfterMs !== 'never' && reader !== 'block')
    throw fail('slowAfterMs is for readers that block; a reader that drops the oldest holds up nobody');
  return { codec, capacityBytes, history, reader, slowAfterMs };
}

function isRingSize(bytes: number): boolean {
  return Number.isInteger(Math.log2(bytes)) && bytes >= 1024 && bytes <= 2 ** 30;
}

/** What is written about one app in `defineUniverse`. */
export interface AppInput<Names extends string = string> {
  /** The apps that may open a session with this one. None: this app serves nobody. */
  readonly allow?: readonly Names[];
  /** The channels of each session that this app serves. */
  readonly channels?: Record<string, ChannelSpec>;
  /** What this app publishes to the sessions that it serves. */
  readonly broadcasts?: Record<string, BroadcastSpec>;
  /** The user that this app runs as; default: the user of the process that checks. */
  readonly uid?: number;
  readonly gid?: number;
  /**
   * Who may connect to this app at all, before any check: processes of its `user` (default), or of its `group`: its socket
   * then has mode 0660 and the run directory 0750. Clients of another user need a `uid` of their own here.
   */
  readonly permissions?: Permissions;
  /**
   * The memory that each side of a session with this app may fill with loans, large messages and values: 256 KiB and more.
   * It is taken as it is needed. Default 0: there is none.
   */
  readonly arenaBytes?: number;
  /** The memory of shared arenas that each side of such a session may show the other. Default 0. */
  readonly sharedBytes?: number;
  /** The arena that the server has for all sessions of each client app. Default 0: there is none. */
  readonly appBytes?: number;
}

export type Permissions = 'user' | 'group';

/** The user and group that an app runs as, where they are not those of its peer. */
export interface Identity {
  readonly uid: number | undefined;
  readonly gid: number | undefined;
}

/** One app of a universe. */
export interface AppSpec<
  Channels extends Record<string, ChannelSpec> = Record<string, ChannelSpec>,
  Broadcasts extends Record<string, BroadcastSpec> = Record<string, BroadcastSpec>,
  Name extends string = string,
  Allowed extends string = string,
> {
  readonly name: Name;
  readonly universe: string;
  readonly allow: readonly Allowed[];
  readonly channels: Channels;
  readonly broadcasts: Broadcasts;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  readonly permissions: Permissions;
  readonly arenaBytes: number;
  readonly sharedBytes: number;
  readonly appBytes: number;
  /** All apps of the universe, and who they run as. */
  readonly apps: Readonly<Record<string, Identity>>;
}

type ChannelsOf<I> = I extends { channels: infer C extends Record<string, ChannelSpec> }
  ? C
  : Record<never, never>;

type AllowedBy<I> = I extends { allow: readonly (infer Name extends string)[] } ? Name : never;

/** The app as the client of that server, if the server allows it. */
export type AllowedClient<
  Client extends AppSpec,
  Server extends AppSpec,
> = Client['name'] extends Server['allow'][number] ? Client : never;

type BroadcastsOf<I> = I extends { broadcasts: infer B extends Record<string, BroadcastSpec> }
  ? B
  : Record<never, never>;

/** The apps that `defineUniverse` makes of that description. */
type Universe<A> = {
  readonly [K in keyof A]: AppSpec<ChannelsOf<A[K]>, BroadcastsOf<A[K]>, K & string, AllowedBy<A[K]>>;
};

/**
 * Describes all apps of a universe. Import the result on both sides.
 * @throws {IpcError} `ERR_UNIVERSE_INVALID` naming the app and what is wrong with it.
 */
export function defineUniverse<const A extends { [K in keyof A]: AppInput<keyof A & string> }>(
  universe: string,
  apps: A,
): Universe<A> {
  if (!isName(universe)) throw invalid(universe, nameRule);
  const names = Object.keys(apps);
  const specs: Record<string, AppSpec> = {};
  const identities: Record<string, Identity> = {};
  for (const [name, input] of Object.entries<AppInput>(apps)) {
    checkApp(universe, name, input, names);
    const identity = { uid: input.uid, gid: input.gid };
    identities[name] = identity;
    specs[name] = Object.freeze({
      name,
      universe,
      allow: input.allow ?? [],
      channels: input.channels ?? {},
      broadcasts: input.broadcasts ?? {},
      ...identity,
      permissions: input.permissions ?? 'user',
      arenaBytes: input.arenaBytes ?? 0,
      sharedBytes: input.sharedBytes ?? 0,
      appBytes: input.appBytes ?? 0,
      apps: identities,
    });
  }
  return Object.freeze(specs) as Universe<A>;
}

export const memoryKeys = ['arenaBytes', 'sharedBytes', 'appBytes'] as const;

function checkApp(universe: string, name: string, input: AppInput, names: string[]): void {
  const fail = (why: string) => invalid(universe, `app ${name}: ${why}`);
  if (!isName(name)) throw fail(nameRule);
  const known = ['allow', 'channels', 'broadcasts', 'uid', 'gid', 'permissions', ...memoryKeys];
  for (const key of Object.keys(input)) if (!known.includes(key)) throw fail(unknownKey(key, known));
  const { permissions = 'user' } = input;
  if (permissions !== 'user' && permissions !== 'group')
    throw fail(`permissions is ${permissions}; it must be "user" or "group"`);
  for (const allowed of input.allow ?? [])
    if (!names.includes(allowed))
      throw fail(`allow names ${allowed}, which is no app of this universe${meant(allowed, names)}`);
  for (const [channelName, spec] of Object.entries(input.channels ?? {})) {
    if (!isName(channelName)) throw fail(`channel ${channelName}: ${nameRule}`);
    if (typeof spec?.capacityBytes !== 'number')
      throw fail(`channel ${channelName} must be made by channel()`);
  }
  for (const [broadcastName, spec] of Object.entries(input.broadcasts ?? {})) {
    if (!isName(broadcastName)) throw fail(`broadcast ${broadcastName}: ${nameRule}`);
    if (typeof spec?.history !== 'number')
      throw fail(`broadcast ${broadcastName} must be made by broadcast()`);
  }
  checkLanes(input, fail);
  checkMemory(input, fail);
}

/** All rings of a side stand in one segment; lent memory has a lane for its releases. */
function checkLanes(
  { channels = {}, broadcasts = {}, arenaBytes = 0, sharedBytes = 0, appBytes = 0 }: AppInput,
  fail: (why: string) => IpcError,
): void {
  const [rings, cursors] = [Object.values(channels), Object.keys(broadcasts).length];
  const lanes = rings.reduce((sum, { maxOpen }) => sum + maxOpen, 0);
  const possible = arenaBytes + sharedBytes + appBytes > 0 ? lanesMax - 1 : lanesMax;
  if (lanes + cursors > possible)
    throw fail(
      `its channels may be open ${lanes} times and it has ${cursors} broadcasts; ${possible} are possible in all, with what it lends`,
    );
  const bytes = rings.reduce((sum, { capacityBytes, maxOpen }) => sum + capacityBytes * maxOpen, 0);
  if (bytes > ringsBytesMax)
    throw fail(`the rings of its channels have ${bytes} bytes in all; ${ringsBytesMax} are possible`);
}

function checkMemory(
  { arenaBytes = 0, sharedBytes = 0, appBytes = 0, channels = {} }: AppInput,
  fail: (why: string) => IpcError,
): void {
  for (const [key, value] of Object.entries({ arenaBytes, sharedBytes, appBytes }))
    if (value !== 0 && !(isWhole(value, memoryBytesMax) && value >= 2 * arenaOverheadBytes))
      throw fail(`${key} is ${value}; it must be 0, or ${2 * arenaOverheadBytes} to ${memoryBytesMax}`);
  let slots = 0;
  for (const [name, { capacityBytes, maxMessageBytes, maxLoans, maxOpen }] of Object.entries(channels)) {
    slots += maxLoans * maxOpen;
    const inRing = inRingBytesMax(capacityBytes);
    const largest = Math.max(inRing, arenaBytes - arenaOverheadBytes);
    if (maxMessageBytes > largest)
      throw fail(
        `channel ${name}: maxMessageBytes is ${maxMessageBytes}; a ring of ${capacityBytes} bytes and arenaBytes ${arenaBytes} allow 1 to ${largest}`,
      );
  }
  if (slots > slotsMax) throw fail(`its channels have ${slots} maxLoans in all; ${slotsMax} are possible`);
}

function invalid(where: string, why: string): IpcError {
  return IpcError.of('ERR_UNIVERSE_INVALID', where, why);
}

function unknownKey(key: string, known: readonly string[]): string {
  return `unknown key ${key}${meant(key, known)}; allowed: ${known.join(', ')}`;
}

function meant(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}
