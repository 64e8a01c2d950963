// The frames of a session's socket: what each side says while a session opens and ends. Parsing checks every field; a frame
// that makes no sense throws.
import { type ErrorData, IpcError } from '../errors.ts';
import type { Hello, VersionRange } from '../machines/login.ts';
import { type BroadcastOptions, broadcastOptionKeys } from '../spec/broadcast-spec.ts';
import { type ChannelOptions, channelOptionKeys } from '../spec/channel-spec.ts';
import { lanesMax } from '../spec/universe.ts';
import type { UniverseExtract } from '../spec/universe-extract.ts';
import type { Accepted as Admitted } from '../transport/broadcast-subscription.ts';
import { type Frame, mapOf, metadataOf, textOf, wholeOf } from '../transport/frame.ts';
import type { SegmentOffer } from '../transport/lent-memory.ts';
import { native } from '../transport/native.ts';

export function helloFrame(hello: Hello): Frame {
  return { t: 'hello', ...hello };
}

export function parseHello(frame: Frame): Hello {
  return {
    versions: rangeOf(frame),
    layoutHash: wholeOf(frame, 'layoutHash'),
    client: textOf(frame, 'client', 64),
    server: textOf(frame, 'server', 64),
    universe: extractIn(frame),
    pid: wholeOf(frame, 'pid'),
    startTicks: wholeOf(frame, 'startTicks'),
    segmentBytes: wholeOf(frame, 'segmentBytes'),
    metadata: metadataOf(frame, 'metadata'),
    ...hostIn(frame),
  };
}

/** The server's answer to a hello that passed. */
export interface Accepted {
  readonly version: number;
  readonly token: string;
  readonly pid: number;
  readonly startTicks: number;
  readonly segmentBytes: number;
  readonly metadata: unknown;
  /** The server is behind a gateway to that node of a relay. */
  readonly host?: string;
}

export function acceptedFrame(accepted: Accepted): Frame {
  return { t: 'accepted', ...accepted };
}

export function parseAccepted(frame: Frame): Accepted {
  return {
    version: wholeOf(frame, 'version'),
    token: textOf(frame, 'token', 64),
    pid: wholeOf(frame, 'pid'),
    startTicks: wholeOf(frame, 'startTicks'),
    segmentBytes: wholeOf(frame, 'segmentBytes'),
    metadata: metadataOf(frame, 'metadata'),
    ...hostIn(frame),
  };
}

function hostIn(frame: Frame): { host?: string } {
  return frame.host === undefined ? {} : { host: textOf(frame, 'host', 64) };
}

/** A gateway says why the session with another machine has ended. */
export function lostFrame(reason: LostReason, why: string): Frame {
  return { t: 'lost', reason, why: why.slice(0, 1000) };
}

/** What a gateway may tell of the program on the other machine. */
const lostReasons = [
  'peer.closed',
  'peer.reset',
  'peer.idle',
  'protocol.violated',
  'memory.violated',
] as const;
export type LostReason = (typeof lostReasons)[number];

export function parseLost(frame: Frame): { type: LostReason; why: string } {
  return { type: lostReasonOf(frame), why: textOf(frame, 'why', 1000) };
}

export function lostReasonOf(frame: Frame): LostReason {
  const reason = lostReasons.find((known) => known === frame.reason);
  if (!reason) throw new Error(`frame ${frame.t}: reason is none`);
  return reason;
}

/** A gateway's word on the event loop of the program on the other machine: for how long it has not turned, 0 if it does. */
export function stalledFrame(ms: number): Frame {
  return { t: 'stalled', ms };
}

export function parseStalled(frame: Frame): number {
  return wholeOf(frame, 'ms', wordMax);
}

export function rejectedFrame(error: ErrorData): Frame {
  return { t: 'rejected', code: error.code, message: error.message };
}

export function parseRejected(frame: Frame): IpcError {
  return IpcError.received({ code: textOf(frame, 'code', 64), message: textOf(frame, 'message', 16_384) });
}

export const readyFrame: Frame = { t: 'ready' };

export function goodbyeFrame(reason: string): Frame {
  return { t: 'goodbye', reason: reason.slice(0, 1000) };
}

export function parseGoodbye(frame: Frame): string {
  return textOf(frame, 'reason', 1000);
}

/**
 * Reserved: the sender goes on in another segment, whose descriptor and bell come with the frame. This release answers that it
 * stays with the one it has, and the session goes on with that.
 */
export function parseSegmentReplaced(frame: Frame): number {
  return wholeOf(frame, 'bytes');
}

export const segmentRefusedFrame: Frame = {
  t: 'segment.refused',
  why: 'this release takes no other segment within a session',
};

/** A segment that the sender may lend from; its descriptor comes with the frame. */
export function memoryFrame(offer: SegmentOffer): Frame {
  return { t: 'memory', ...offer };
}

export function parseMemory(frame: Frame): SegmentOffer {
  const scope = textOf(frame, 'scope', 16);
  if (scope !== 'session' && scope !== 'shared') throw new Error(`frame memory: scope is ${scope}`);
  return { number: wholeOf(frame, 'number'), scope, bytes: wholeOf(frame, 'bytes') };
}

/** A descriptor that belongs to the message of that channel with the same number; it comes with the frame. */
export function handleFrame(lane: number, number: number): Frame {
  return { t: 'handle', lane, number };
}

export function parseHandle(frame: Frame): { lane: number; number: number } {
  return { lane: wholeOf(frame, 'lane', lanesMax), number: wholeOf(frame, 'number', 0x7fffffff) };
}

/** The client wants to read that broadcast. `number` tells its subscriptions apart. */
export function subscribeFrame(broadcast: string, number: number): Frame {
  return { t: 'subscribe', broadcast, number };
}

export function parseSubscribe(frame: Frame): { broadcast: string; number: number } {
  return { broadcast: textOf(frame, 'broadcast', 64), number: wholeOf(frame, 'number', wordMax) };
}

export function unsubscribeFrame(broadcast: string): Frame {
  return { t: 'unsubscribe', broadcast };
}

export function parseUnsubscribe(frame: Frame): string {
  return textOf(frame, 'broadcast', 64);
}

/** The server's answer to `subscribe`; the descriptor of the broadcast's memory travels with it. */
export function subscribedFrame(broadcast: string, { number, bytes, place }: Admitted): Frame {
  const { position, turn, sequence } = place;
  return {
    t: 'subscribed',
    broadcast,
    number,
    bytes,
    position: position >>> 0,
    turn: turn >>> 0,
    sequence,
  };
}

export function parseSubscribed(frame: Frame): Admitted & { broadcast: string } {
  const position = wholeOf(frame, 'position', wordMax);
  if (position % native().layout.broadcastAlign !== 0)
    throw new Error(`frame ${frame.t}: position is none of a record`);
  return {
    broadcast: textOf(frame, 'broadcast', 64),
    number: wholeOf(frame, 'number', wordMax),
    bytes: wholeOf(frame, 'bytes'),
    place: { position, turn: wholeOf(frame, 'turn', wordMax), sequence: wholeOf(frame, 'sequence') },
  };
}

/** What stands in shared memory as a word of 32 bits. */
const wordMax = 2 ** 32 - 1;

function rangeOf(frame: Frame): VersionRange {
  const range = frame.versions;
  const valid =
    Array.isArray(range) && range.length === 2 && range.every((version) => Number.isSafeInteger(version));
  if (!valid) throw new Error(`frame ${frame.t}: versions is no range`);
  return range as unknown as VersionRange;
}

/** The limits of the session's memory, where the universe has some. */
function memoryIn({ t }: Frame, universe: Record<string, unknown>): Partial<UniverseExtract> {
  const { arenaBytes, sharedBytes, appBytes } = universe;
  return {
    ...(arenaBytes !== undefined && { arenaBytes: wholeOf({ t, arenaBytes }, 'arenaBytes') }),
    ...(sharedBytes !== undefined && { sharedBytes: wholeOf({ t, sharedBytes }, 'sharedBytes') }),
    ...(appBytes !== undefined && { appBytes: wholeOf({ t, appBytes }, 'appBytes') }),
  };
}

function extractIn(frame: Frame): UniverseExtract {
  const universe = mapOf(frame, 'universe');
  const channels = describedIn(frame, universe, 'channels', channelOptionKeys);
  const broadcasts = describedIn(frame, universe, 'broadcasts', broadcastOptionKeys);
  return {
    universe: textOf({ t: frame.t, universe: universe.universe }, 'universe', 64),
    channels: channels as Record<string, ChannelOptions & Record<string, unknown>>,
    ...memoryIn(frame, universe),
    broadcasts: broadcasts as Record<string, BroadcastOptions & Record<string, unknown>>,
  };
}

function describedIn(
  { t }: Frame,
  universe: Record<string, unknown>,
  kind: 'channels' | 'broadcasts',
  keys: readonly string[],
): Record<string, unknown> {
  const described = mapOf({ t, [kind]: universe[kind] }, kind);
  for (const [name, options] of Object.entries(described)) {
    const map = mapOf({ t, [name]: options }, name);
    for (const key of keys)
      if (typeof map[key] !== 'string' && typeof map[key] !== 'number')
        throw new Error(`frame ${t}: ${kind} ${name} has no ${key}`);
  }
  return described;
}
