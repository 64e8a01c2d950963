// Session lanes: which lane of a session's segments carries what.
import type { AppSpec } from '../spec/universe.ts';
import { native } from '../transport/native.ts';
import { type MemoryLimits, releaseRingBytes } from '../transport/session-memory.ts';

/**
 * One lane per channel, in the order of the description; then one without records for the words of each broadcast; then one
 * for releases, where memory is lent.
 */
export function laneCapacities(server: AppSpec): number[] {
  const rings = Object.values(server.channels).map(({ capacityBytes }) => capacityBytes);
  const words = Object.keys(server.broadcasts).map(() => native().layout.ringBytesMin);
  const limits = memoryLimits(server);
  return [...rings, ...words, ...(limits ? [releaseRingBytes(limits.slots)] : [])];
}

/** The lane with the words of that broadcast. */
export function broadcastLane(server: AppSpec, name: string): number {
  return Object.keys(server.channels).length + Object.keys(server.broadcasts).indexOf(name);
}

/** The lane of the releases, behind all others. */
export function releaseLane(server: AppSpec): number {
  return Object.keys(server.channels).length + Object.keys(server.broadcasts).length;
}

/** What the sides of a session with this app may lend each other; undefined if nothing. */
export function memoryLimits({ arenaBytes, sharedBytes, channels }: AppSpec): MemoryLimits | undefined {
  if (arenaBytes + sharedBytes === 0) return undefined;
  const specs = Object.values(channels);
  return {
    arenaBytes,
    sharedBytes,
    slots: specs.reduce((slots, { maxLoans }) => slots + maxLoans, 0),
    messageBytesMax: Math.max(0, ...specs.map(({ maxMessageBytes }) => maxMessageBytes)),
  };
}
