// Session channels: the channels of a session and the memory that its sides lend each other, made once both segments are there.
import { createHash } from 'node:crypto';
import { IpcError } from '../errors.ts';
import { addressOf } from '../names.ts';
import type { Side } from '../spec/peer.ts';
import type { Breach } from '../spec/session.ts';
import { ChannelEnd } from '../transport/channel-end.ts';
import { SessionMemory } from '../transport/session-memory.ts';
import { ValueArena } from '../transport/value-arena.ts';
import { logStrays, type RunningChannel, startChannel } from './channel.ts';
import type { Live } from './live-session.ts';
import { partedFrame } from './offer-frame.ts';
import { Offers } from './offers.ts';
import { handleFrame, memoryFrame } from './session-frame.ts';
import { initChannels, memoryLimits, releaseLane } from './session-lanes.ts';

export function makeChannels(live: Live, side: Side): void {
  const { options } = live;
  makeMemory(live, side);
  initChannels(options.server).forEach(([name], lane) => {
    const running = makeChannel(live, side, name, lane);
    live.channels.push(running);
    live.ends[name] = running.end;
  });
  live.offers = new Offers({
    host: live.host,
    address: options.address,
    side,
    server: options.server,
    link: live.link!,
    makeEnd: (name, lane, hosted) => makeEnd(live, side, name, lane, () => hosted),
    peer: live.peer!,
    drainTimeoutMs: options.limits.closeTimeoutMs,
    send: (frame) => live.socket!.send(frame),
    onReport: (report) => live.hosted!.post(report),
    onBroken: (why) => live.hosted!.post({ type: 'protocol.violated', why }),
    errorOf: () => live.error,
    channels: live.channels,
  });
}

function makeChannel(live: Live, side: Side, name: string, lane: number): RunningChannel {
  const { host, options } = live;
  const end = makeEnd(live, side, name, lane, () => hosted);
  const hosted = startChannel(host, {
    address: addressOf(options.address, name),
    name,
    opening: 'init',
    drainTimeoutMs: options.limits.closeTimeoutMs,
    endOf: () => end,
    wire: {
      ...neverOffered,
      part: () => live.socket!.send(partedFrame(lane, live.link!.finalTail(lane))),
    },
    onReport: (report) => {
      if (report.type !== 'channel.refused') live.hosted!.post(report);
    },
    errorOf: () => live.error,
  });
  return { hosted, end };
}

/** Our end of any channel. */
function makeEnd(
  live: Live,
  side: Side,
  name: string,
  lane: number,
  hostedOf: () => RunningChannel['hosted'],
): ChannelEnd {
  const peerOf = () => live.peer!;
  const observer = {
    peerEnded: () => hostedOf().post({ type: 'peer.ended' }),
    broken: (why: string, breach: Breach) => onBreach(live, why, breach),
    stray: logStrays(live.host, name, peerOf),
    sendHandle: (number: number, fd: number) => {
      refuseAcross(live, `a descriptor by channel ${name}`);
      live.socket!.send(handleFrame(lane, number), [fd]);
    },
  };
  const spec = live.options.server.channels[name]!;
  const end = new ChannelEnd(name, spec, live.link!, lane, observer, live.memory, { side, peerOf });
  live.byLane.set(lane, end);
  end.onClose = () => hostedOf().post({ type: 'close', alone: true });
  return end;
}

/** An init-channel is there from the beginning. */
const neverOffered = { offer: () => {}, withdraw: () => {}, reject: () => {} };

function makeMemory(live: Live, side: Side): void {
  const { server } = live.options;
  const limits = memoryLimits(server);
  if (!limits) return;
  const other: Side = side === 'server' ? 'client' : 'server';
  const scopes = {
    own: scopeOf(live.token, side),
    peer: scopeOf(live.token, other),
    peerApp: live.peer!.app,
  };
  live.memory = new SessionMemory(live.link!, releaseLane(server), limits, scopes, {
    offer: (segment, fd) => {
      if (segment.scope === 'shared') refuseAcross(live, 'a shared arena, or one of the app');
      live.socket!.send(memoryFrame(segment), [fd]);
    },
    lendsValue: () => refuseAcross(live, 'a value that is lent'),
    broken: (why, breach) => onBreach(live, why, breach),
  });
  live.arena = new ValueArena(live.memory.arena);
}

/** @throws {IpcError} ERR_NOT_ACROSS if the peer is on another machine. */
export function refuseAcross({ peer }: Live, what: string): void {
  if (peer?.host !== undefined) throw IpcError.of('ERR_NOT_ACROSS', what, peer.host);
}

/** The peer's memory, or what it sent by it, makes no sense. */
export function onBreach(live: Live, why: string, breach: Breach): void {
  live.hosted!.post({ type: `${breach}.violated`, why });
}

/** A number that tells one direction of one session from all others, as far as accidents go. */
function scopeOf(token: string, side: Side): number {
  return createHash('sha1').update(`${token} ${side}`).digest().readUInt32LE();
}

export function openChannels(live: Live): void {
  for (const { hosted } of live.channels) hosted.post({ type: 'open' });
}
