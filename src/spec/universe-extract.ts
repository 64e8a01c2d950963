// Universe extract: what both sides of a session must agree on, and the first thing in which two descriptions differ.

import { type BroadcastOptions, broadcastOptionKeys } from './broadcast-spec.ts';
import { type ChannelOptions, channelOptionKeys } from './channel-spec.ts';
import { type AppSpec, memoryKeys } from './universe.ts';

/** What both sides of a session must agree on, as it travels in the log-in. */
export interface UniverseExtract {
  readonly universe: string;
  readonly channels: Readonly<Record<string, ChannelOptions>>;
  readonly broadcasts: Readonly<Record<string, BroadcastOptions>>;
  /** What each side may lend; left out where it is 0. */
  readonly arenaBytes?: number;
  readonly sharedBytes?: number;
  readonly appBytes?: number;
}

export function extractOf(server: AppSpec): UniverseExtract {
  const channels: Record<string, ChannelOptions> = {};
  for (const [name, spec] of Object.entries(server.channels))
    channels[name] = Object.fromEntries(
      channelOptionKeys.map((key) => [key, spec[key]]),
    ) as unknown as ChannelOptions;
  const broadcasts: Record<string, BroadcastOptions> = {};
  for (const [name, { codec, capacityBytes, history, reader, slowAfterMs }] of Object.entries(
    server.broadcasts,
  ))
    broadcasts[name] = { codec, capacityBytes, history, reader, slowAfterMs };
  const { universe, arenaBytes, sharedBytes, appBytes } = server;
  return {
    universe,
    channels,
    broadcasts,
    ...(arenaBytes > 0 && { arenaBytes }),
    ...(sharedBytes > 0 && { sharedBytes }),
    ...(appBytes > 0 && { appBytes }),
  };
}

/** The first thing in which two extracts differ, in words; undefined if both sides agree. */
export function differenceOf(server: UniverseExtract, client: UniverseExtract): string | undefined {
  if (server.universe !== client.universe)
    return `the server is in universe ${server.universe}, the client in ${client.universe}`;
  for (const key of memoryKeys)
    if ((server[key] ?? 0) !== (client[key] ?? 0))
      return `${key} is ${server[key] ?? 0} at the server and ${client[key] ?? 0} at the client`;
  return (
    differenceAmong('channel', channelOptionKeys, server.channels, client.channels) ??
    differenceAmong('broadcast', broadcastOptionKeys, server.broadcasts, client.broadcasts)
  );
}

type Described<K extends string> = Readonly<Record<string, Readonly<Record<K, unknown>>>>;

function differenceAmong<K extends string>(
  kind: string,
  keys: readonly K[],
  server: Described<K>,
  client: Described<K>,
): string | undefined {
  for (const name of Object.keys(server))
    if (!Object.hasOwn(client, name)) return `the client does not know ${kind} ${name}`;
  for (const [name, theirs] of Object.entries(client)) {
    if (!Object.hasOwn(server, name)) return `the server does not know ${kind} ${name}`;
    const mine = server[name]!;
    for (const key of keys)
      if (mine[key] !== theirs[key])
        return `${kind} ${name} has ${key} ${mine[key]} at the server and ${theirs[key]} at the client`;
  }
  return undefined;
}
