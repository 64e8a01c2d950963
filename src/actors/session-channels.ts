// Session channels: the channels of a session and the memory that its sides lend each other, made once both segments are there.
import { createHash } from 'node:crypto';
import { addressOf } from '../names.ts';
import type { Side } from '../spec/session.ts';
import { SessionMemory } from '../transport/session-memory.ts';
import { ValueArena } from '../transport/value-arena.ts';
import { startChannel } from './channel.ts';
import type { Live } from './live-session.ts';
import { handleFrame, memoryFrame } from './session-frame.ts';
import { memoryLimits, releaseLane } from './session-lanes.ts';

export function makeChannels(live: Live, side: Side): void {
  const { host, options } = live;
  makeMemory(live, side);
  Object.entries(options.server.channels).forEach(([name, spec], lane) => {
    const running = startChannel(host, {
      address: addressOf(options.address, name),
      name,
      options: spec,
      link: live.link!,
      lane,
      memory: live.memory,
      side,
      peerOf: () => live.peer!,
      sendHandle: (number, fd) => live.socket!.send(handleFrame(name, number), [fd]),
      drainTimeoutMs: options.limits.closeTimeoutMs,
      onReport: (report) => live.hosted!.post(report),
      onBroken: (why) => live.hosted!.post({ type: 'protocol.violated', why }),
      errorOf: () => live.error,
    });
    live.channels.push(running);
    live.ends[name] = running.end;
  });
}

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
    offer: (segment, fd) => live.socket!.send(memoryFrame(segment), [fd]),
    broken: (why) => live.hosted!.post({ type: 'protocol.violated', why }),
  });
  live.arena = new ValueArena(live.memory.arena);
}

/** A number that tells one direction of one session from all others, as far as accidents go. */
function scopeOf(token: string, side: Side): number {
  return createHash('sha1').update(`${token} ${side}`).digest().readUInt32LE();
}

export function openChannels(live: Live): void {
  for (const { hosted } of live.channels) hosted.post({ type: 'open' });
}
