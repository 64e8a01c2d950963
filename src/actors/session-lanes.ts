// Session lanes: which lane of a session's segments carries what.

import type { ChannelOptions } from '../spec/channel-spec.ts';
import type { AppSpec } from '../spec/universe.ts';
import type { UniverseExtract } from '../spec/universe-extract.ts';
import type { MemoryLimits } from '../transport/lent-memory.ts';
import { native } from '../transport/native.ts';
import { releaseRingBytes } from '../transport/session-memory.ts';

/** What decides the lanes of a session: the app that is served, or what a hello tells of it. */
type Described = AppSpec | UniverseExtract;

/** The channels that are open as long as the session is, in the order of the description. */
export function initChannels({ channels }: Described): [name: string, options: ChannelOptions][] {
  return Object.entries(channels).filter(([, { open }]) => open === 'init');
}

function onDemandChannels({ channels }: Described): [name: string, options: ChannelOptions][] {
  return Object.entries(channels).filter(([, { open }]) => open === 'on-demand');
}

/**
 * One lane per init-channel, in the order of the description; then one without records for the words of each broadcast; then
 * one for releases, where memory is lent; then `maxOpen` for each on-demand channel.
 */
export function laneCapacities(server: Described): number[] {
  const rings = initChannels(server).map(([, { capacityBytes }]) => capacityBytes);
  const words = Object.keys(server.broadcasts).map(() => native().layout.ringBytesMin);
  const limits = memoryLimits(server);
  const releases = limits ? [releaseRingBytes(limits.slots)] : [];
  const reserved = onDemandChannels(server).flatMap(([, { capacityBytes, maxOpen }]) =>
    new Array<number>(maxOpen).fill(capacityBytes),
  );
  return [...rings, ...words, ...releases, ...reserved];
}

/** The lane with the words of that broadcast. */
export function broadcastLane(server: AppSpec, name: string): number {
  return initChannels(server).length + Object.keys(server.broadcasts).indexOf(name);
}

/** The lane of the releases. */
export function releaseLane(server: Described): number {
  return initChannels(server).length + Object.keys(server.broadcasts).length;
}

/** The first of the lanes that are reserved for an on-demand channel; `maxOpen` of them follow each other. */
export function firstLaneOf(server: AppSpec, channel: string): number {
  let lane = releaseLane(server) + (memoryLimits(server) ? 1 : 0);
  for (const [name, { maxOpen }] of onDemandChannels(server)) {
    if (name === channel) return lane;
    lane += maxOpen;
  }
  throw new Error(`app ${server.name} has no on-demand channel ${channel}`);
}

/** What the sides of a session with this app may lend each other; undefined if nothing. */
export function memoryLimits({
  arenaBytes = 0,
  sharedBytes = 0,
  appBytes = 0,
  channels,
}: Described): MemoryLimits | undefined {
  if (arenaBytes + sharedBytes + appBytes === 0) return undefined;
  const specs = Object.values(channels);
  return {
    arenaBytes,
    // Arenas of an app are shown to several sessions, as those of the whole process are.
    sharedBytes: sharedBytes + appBytes,
    slots: specs.reduce((slots, { maxLoans, maxOpen }) => slots + maxLoans * maxOpen, 0),
    messageBytesMax: Math.max(0, ...specs.map(({ maxMessageBytes }) => maxMessageBytes)),
  };
}
