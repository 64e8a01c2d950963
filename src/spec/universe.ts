// The universe: which apps there are, who may talk to whom, and over which channels. Both sides of a session load the
// same description; the types of everything that is sent flow from it.
import type { IpcError } from '../errors.ts';
import { isName, nameRule } from '../names.ts';
import type { BroadcastSpec } from './broadcast-spec.ts';
import { type ChannelSpec, inRingBytesMax } from './channel-spec.ts';
import { invalid, isWhole, meant, unknownKey } from './description.ts';

/** Offsets in a segment have 32 bits; a little less, for what stands in front of the rings. */
const ringsBytesMax = 2 ** 32 - 2 ** 20;
/** What one side may have lent in one session at once: the releases of all of them must fit their ring. */
const slotsMax = 2 ** 20;
/** Lanes of one session: kLanesMax of cpp/shm/layout.h. Each channel and each broadcast has one, and lent memory has one. */
export const lanesMax = 256;
/** An arena's own needs: headers, and rounding up to pages of any machine. */
const arenaOverheadBytes = 131_072;
const memoryBytesMax = 2 ** 40;

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

/** Who may connect to an app: its own user, or its group too. */
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
