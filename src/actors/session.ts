// Session: the session machine with a real socket, shared memory and channels.
import { randomBytes } from 'node:crypto';
import { IpcError } from '../errors.ts';
import { sessionMachine } from '../machines/session.ts';
import type { Side } from '../spec/peer.ts';
import type { HoseReason } from '../spec/session.ts';
import type { TakenBack } from '../transport/lent-memory.ts';
import { Handles, type Host } from './hosting.ts';
import {
  type AcceptedOptions,
  type DialOptions,
  type Live,
  LiveSession,
  newLive,
  type RunningSession,
} from './live-session.ts';
import { leaveBroadcasts } from './session-broadcasts.ts';
import { makeChannels, openChannels } from './session-channels.ts';
import { countSession, forgetSession } from './session-figures.ts';
import { goodbyeFrame, readyFrame } from './session-frame.ts';
import { initChannels } from './session-lanes.ts';
import { watchPeer } from './session-life.ts';
import { dial, logIn } from './session-login.ts';
import { listenOpen } from './session-socket.ts';

const lives = new Handles<Live>('session');

const sessionLogic = sessionMachine.provide({
  actions: {
    report: ({ self }, report) => {
      const { host, options } = lives.of(self);
      host.later(() => options.onReport(report));
    },
    dial: ({ self }) => dial(lives.of(self)),
    logIn: ({ self }) => logIn(lives.of(self)),
    sendReady: ({ self }) => lives.of(self).socket!.send(readyFrame),
    openChannels: ({ self }) => openChannels(lives.of(self)),
    watchPeer: ({ self }) => watchPeer(lives.of(self)),
    closeChannels: ({ self }) => {
      const { channels, offers, peer, readings } = lives.of(self);
      offers?.end(IpcError.of('ERR_SESSION_CLOSED', peer!.app), { type: 'close' });
      for (const { hosted } of channels) hosted.post({ type: 'close' });
      // Nobody here reads any more, and what was accepted on the channels may take its time.
      for (const { hosted } of readings) hosted.post({ type: 'close' });
    },
    sendGoodbye: ({ self }, { reason }) => lives.of(self).socket?.send(goodbyeFrame(reason)),
    hoseChannels: ({ self, context }, cause) => hose(lives.of(self), context.peerApp, cause),
    tearDown: ({ self }) => tearDown(lives.of(self)),
  },
});

/** Starts the session of a client; it reports `session.opened` or `session.failed`. */
export function dialSession(host: Host, options: DialOptions): RunningSession {
  const live = newLive(host, options);
  return start(live, 'client', options.server.name);
}

/** Goes on with what a log-in has prepared; reports `session.opened` at once. */
export function acceptSession(host: Host, options: AcceptedOptions): RunningSession {
  const live = {
    ...newLive(host, options),
    publishers: options.publishers,
    socket: options.socket,
    link: options.link,
    peer: options.peer,
    startTicks: options.startTicks,
    token: options.token,
  };
  makeChannels(live, 'server');
  const running = start(live, 'server', options.peer.app);
  listenOpen(live);
  return running;
}

/** A token that nobody guesses: 16 random bytes in hex. */
export function newToken(): string {
  return randomBytes(16).toString('hex');
}

function start(live: Live, side: Side, peerApp: string): RunningSession {
  const { address, server, limits } = live.options;
  const { loginTimeoutMs, closeTimeoutMs, stall } = limits;
  countSession(live.host, live);
  const hosted = live.host.start(sessionLogic, {
    address,
    input: {
      side,
      peerApp,
      loginTimeoutMs,
      closeTimeoutMs,
      stallHoseMs: stall.hoseMs,
      channels: initChannels(server).map(([name]) => name),
    },
    bind(actor, self) {
      live.hosted = self;
      lives.bind(actor, live);
    },
    // A crash of the machine itself is a mistake of ours; what it holds must not stay.
    onEnd: () => tearDown(live),
  });
  return { hosted, session: new LiveSession(live, side) };
}

/** The one cause of everything that fails from now on. */
function hose(live: Live, peerApp: string, { reason, why }: { reason: HoseReason; why: string }): void {
  const cause = IpcError.of('ERR_PEER_LOST', peerApp, reason, why);
  live.error = IpcError.from(cause, 'ERR_SESSION_HOSED', peerApp, `${reason}: ${why}`);
  leaveBroadcasts(live);
  for (const { hosted } of live.readings) hosted.post({ type: 'hose', reason, why });
  live.offers?.end(live.error, { type: 'hose', reason, why });
  for (const { end, hosted } of live.channels) {
    // Several of one name count together.
    live.unread[end.name] = (live.unread[end.name] ?? 0) + end.unread();
    const lengths = end.unreadLengths(underwayShown);
    if (lengths.length > 0) live.underway.push(`${end.name}: ${lengths.join(', ')} bytes`);
    hosted.post({ type: 'hose', reason, why });
  }
}

function tearDown(live: Live): void {
  forgetSession(live.host, live);
  leaveBroadcasts(live);
  const ended = live.error ?? IpcError.of('ERR_SESSION_CLOSED', live.options.server.name);
  for (const { hosted, end } of live.readings) {
    end.finish(live.error ?? IpcError.of('ERR_CHANNEL_CLOSED', end.name));
    hosted.stop();
  }
  live.readings.length = 0;
  for (const { hosted, end } of live.channels) {
    end.finish(live.error ?? IpcError.of('ERR_CHANNEL_CLOSED', end.name));
    hosted.stop();
  }
  live.offers?.tearDown(ended);
  live.channels.length = 0;
  live.memory?.finish(ended);
  const taken = live.memory?.close(live.peer && { pid: live.peer.pid, startTicks: live.startTicks });
  if (live.error) noteTakenBack(live, taken);
  live.link?.close();
  live.socket?.close();
  live.link = undefined;
}

/** Messages of each channel whose size is told of a death. */
const underwayShown = 8;

function inBrackets(words: readonly string[]): string {
  return words.length === 0 ? '' : ` (${words.join('; ')})`;
}

/** What a hosed session takes back of what the peer had. */
function noteTakenBack({ host, peer, unread, underway }: Live, taken: TakenBack | undefined): void {
  const messages = Object.values(unread).reduce((sum, count) => sum + count, 0);
  const { dropped, awaited } = taken ?? { dropped: 0, awaited: 0 };
  const parts = [
    messages > 0 ? `${messages} messages that it never took${inBrackets(underway)}` : '',
    dropped > 0 ? `${dropped} blocks of the session's arena` : '',
    awaited > 0 ? `${awaited} blocks of other arenas once process ${peer?.pid} is proven dead` : '',
  ].filter(Boolean);
  if (parts.length === 0) return;
  const facts = { peer: peer?.app, pid: peer?.pid, unread, dropped, awaited };
  host.log.info(facts, `taken back from ${peer?.app}: ${parts.join(', ')}`);
}
