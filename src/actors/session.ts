// Session: the session machine with a real socket, shared memory and channels, and the object through which a program uses
// the session.
import { randomBytes } from 'node:crypto';
import { IpcError, messageOf } from '../errors.ts';
import { protocolVersions } from '../machines/login.ts';
import { type SessionReport, sessionMachine } from '../machines/session.ts';
import { type Address, addressOf } from '../names.ts';
import type { HoseReason, Peer, Side } from '../spec/session.ts';
import { type AppSpec, extractOf } from '../spec/universe.ts';
import type { ChannelEnd } from '../transport/channel-end.ts';
import type { Frame } from '../transport/frame.ts';
import { Link } from '../transport/link.ts';
import { type Credentials, native, nativeCode, type SocketEnd } from '../transport/native.ts';
import { closeAll, PacketSocket, takeFds } from '../transport/packet-socket.ts';
import { type RunningChannel, startChannel } from './channel.ts';
import { Handles, type Host, type Hosted } from './hosting.ts';
import {
  type Accepted,
  goodbyeFrame,
  helloFrame,
  parseAccepted,
  parseGoodbye,
  parseRejected,
  readyFrame,
} from './session-frame.ts';

/** Limits of a session; each side has its own. */
export interface SessionLimits {
  readonly loginTimeoutMs: number;
  /** How long `close` may take to send what was accepted. */
  readonly closeTimeoutMs: number;
  /** How long a busy session stays awake for the next message; 0 never spins. */
  readonly spinUs: number;
}

export const sessionDefaults: SessionLimits = { loginTimeoutMs: 5_000, closeTimeoutMs: 1_000, spinUs: 20 };

interface SessionOptions {
  readonly address: Address;
  /** The app that is served, whichever side we are on. */
  readonly server: AppSpec;
  readonly limits: SessionLimits;
  readonly onReport: (report: SessionReport) => void;
}

/** A session that a client opens. */
export interface DialOptions extends SessionOptions {
  readonly client: AppSpec;
  readonly socketPath: string;
  readonly metadata: unknown;
}

/** A session whose log-in the server has done. */
export interface AcceptedOptions extends SessionOptions {
  readonly socket: PacketSocket;
  readonly link: Link;
  readonly peer: Peer;
  readonly token: string;
}

/** What runs of a session: its actor, and the object for those who use it. */
export interface RunningSession {
  readonly hosted: Hosted<typeof sessionMachine>;
  readonly session: LiveSession;
}

/** What users know as their Session, typed by the universe: the same object. */
export class LiveSession {
  readonly side: Side;
  readonly channels: Readonly<Record<string, ChannelEnd>>;
  readonly #live: Live;

  constructor(live: Live, side: Side) {
    this.#live = live;
    this.side = side;
    this.channels = live.ends;
  }

  get peer(): Peer {
    return this.#live.peer!;
  }

  get token(): string {
    return this.#live.token;
  }

  close(reason = 'closed by its program'): void {
    this.#live.hosted!.post({ type: 'close', reason });
  }

  /** Lets messages come: whoever takes them is there now. */
  listen(): void {
    this.#live.link?.start(this.#live.channels.map(({ end }) => end));
  }

  /** Messages per channel that the peer never took. */
  unread(): Record<string, number> {
    return this.#live.unread;
  }

  /** Why the session is hosed, once it is. */
  get error(): IpcError | undefined {
    return this.#live.error;
  }
}

/** The handles of one session. */
interface Live {
  readonly host: Host;
  readonly options: SessionOptions & Partial<DialOptions>;
  hosted: Hosted<typeof sessionMachine> | undefined;
  socket: PacketSocket | undefined;
  link: Link | undefined;
  peer: Peer | undefined;
  token: string;
  readonly ends: Record<string, ChannelEnd>;
  readonly channels: RunningChannel[];
  unread: Record<string, number>;
  error: IpcError | undefined;
}

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
    closeChannels: ({ self }) => {
      for (const { hosted } of lives.of(self).channels) hosted.post({ type: 'close' });
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
    socket: options.socket,
    link: options.link,
    peer: options.peer,
    token: options.token,
  };
  makeChannels(live);
  const running = start(live, 'server', options.peer.app);
  options.socket.listen({
    frame: (frame, fds) => onOpenFrame(live, frame, fds),
    ended: (end, why) => onSocketEnd(live, end, why),
  });
  return running;
}

/** A token that nobody guesses: 16 random bytes in hex. */
export function newToken(): string {
  return randomBytes(16).toString('hex');
}

/** One lane per channel, in the order of the description. */
export function laneCapacities(server: AppSpec): number[] {
  return Object.values(server.channels).map(({ capacityBytes }) => capacityBytes);
}

function newLive(host: Host, options: SessionOptions): Live {
  return {
    host,
    options,
    hosted: undefined,
    socket: undefined,
    link: undefined,
    peer: undefined,
    token: '',
    ends: {},
    channels: [],
    unread: {},
    error: undefined,
  };
}

function start(live: Live, side: Side, peerApp: string): RunningSession {
  const { address, server, limits } = live.options;
  const { loginTimeoutMs, closeTimeoutMs } = limits;
  const hosted = live.host.start(sessionLogic, {
    address,
    input: { side, peerApp, loginTimeoutMs, closeTimeoutMs, channels: Object.keys(server.channels) },
    bind(actor, self) {
      live.hosted = self;
      lives.bind(actor, live);
    },
    // A crash of the machine itself is a mistake of ours; what it holds must not stay.
    onEnd: () => tearDown(live),
  });
  return { hosted, session: new LiveSession(live, side) };
}

// ---- opening

function dial(live: Live): void {
  const { socketPath, server } = live.options;
  try {
    live.socket = PacketSocket.connect(socketPath!);
  } catch (error) {
    live.hosted!.post({ type: 'dial.failed', error: dialError(server.name, error).toJSON() });
    return;
  }
  live.socket.listen({
    frame: (frame, fds, sender) => onLoginFrame(live, frame, fds, sender),
    ended: (end, why) => onSocketEnd(live, end, why),
  });
  live.hosted!.post({ type: 'dial.connected' });
}

const dialReasons: Record<string, string> = {
  ENOENT: 'none has been started',
  ECONNREFUSED: 'none is running',
  EACCES: 'its socket belongs to another user',
};

function dialError(app: string, error: unknown): IpcError {
  if (nativeCode(error) === 'AGAIN')
    return IpcError.from(error, 'ERR_NO_SERVER', app, 'too many clients wait for it');
  const name = errnoName(error);
  return IpcError.from(error, 'ERR_NO_SERVER', app, dialReasons[name] ?? messageOf(error));
}

function errnoName(error: unknown): string {
  const { errno } = error as { errno?: number };
  return { 2: 'ENOENT', 111: 'ECONNREFUSED', 13: 'EACCES' }[errno ?? 0] ?? '';
}

function logIn(live: Live): void {
  const { server, client, metadata, limits } = live.options;
  try {
    live.link = new Link(laneCapacities(server), limits.spinUs);
    const { bytes, fds } = live.link.offer;
    live.socket!.send(
      helloFrame({
        versions: protocolVersions,
        layoutHash: native().layout.hash,
        client: client!.name,
        server: server.name,
        universe: extractOf(server),
        pid: process.pid,
        startTicks: native().startTicks(process.pid),
        segmentBytes: bytes,
        metadata,
      }),
      fds,
    );
  } catch (error) {
    live.hosted!.post({ type: 'login.rejected', error: asIpcError(error).toJSON() });
  }
}

function onLoginFrame(live: Live, frame: Frame, fds: number[], sender: Credentials): void {
  if (frame.t === 'rejected') {
    live.hosted!.post({ type: 'login.rejected', error: parseRejected(frame).toJSON() });
    return;
  }
  if (frame.t === 'goodbye') return goodbye(live, frame);
  if (frame.t !== 'accepted') throw new Error(`a frame ${frame.t} during the log-in`);
  try {
    const accepted = parseAccepted(frame);
    const [segmentFd, bellFd] = takeFds(fds, 2, 'accepted') as [number, number];
    onAccepted(live, accepted, segmentFd, bellFd, sender);
    live.hosted!.post({ type: 'login.accepted' });
  } catch (error) {
    // Those that nobody has taken yet.
    closeAll(fds);
    live.hosted!.post({ type: 'login.rejected', error: asIpcError(error).toJSON() });
  }
}

/** The server has let us in; it proves by the credentials of this very packet which process it is. */
function onAccepted(
  live: Live,
  accepted: Accepted,
  segmentFd: number,
  bellFd: number,
  sender: Credentials,
): void {
  const { server } = live.options;
  try {
    checkServer(server, accepted, sender);
  } catch (error) {
    closeAll([segmentFd, bellFd]);
    throw error;
  }
  live.link!.attach(accepted.segmentBytes, segmentFd, bellFd, {
    app: server.name,
    channels: Object.keys(server.channels),
  });
  live.token = accepted.token;
  live.peer = {
    app: server.name,
    pid: sender.pid,
    uid: sender.uid,
    gid: sender.gid,
    metadata: accepted.metadata,
  };
  makeChannels(live);
  live.socket!.listen({
    frame: (frame, fds) => onOpenFrame(live, frame, fds),
    ended: (end, why) => onSocketEnd(live, end, why),
  });
}

function checkServer(server: AppSpec, accepted: Accepted, sender: Credentials): void {
  const uid = server.uid ?? process.getuid!();
  const gid = server.gid ?? process.getgid!();
  if (accepted.version < protocolVersions[0] || accepted.version > protocolVersions[1])
    throw IpcError.of('ERR_PROTOCOL_VERSION', protocolVersions.join(' to '), String(accepted.version));
  if (sender.pid !== accepted.pid)
    throw IpcError.of(
      'ERR_PEER_UNIDENTIFIED',
      `it says that it is process ${accepted.pid}, the kernel says ${sender.pid}`,
    );
  if (sender.uid !== uid)
    throw IpcError.of('ERR_CREDENTIALS', server.name, `it runs as uid ${sender.uid}, but must be ${uid}`);
  if (sender.gid !== gid)
    throw IpcError.of('ERR_CREDENTIALS', server.name, `it runs as gid ${sender.gid}, but must be ${gid}`);
}

function makeChannels(live: Live): void {
  const { host, options } = live;
  Object.entries(options.server.channels).forEach(([name, spec], lane) => {
    const running = startChannel(host, {
      address: addressOf(options.address, name),
      name,
      options: spec,
      link: live.link!,
      lane,
      drainTimeoutMs: options.limits.closeTimeoutMs,
      onReport: (report) => live.hosted!.post(report),
      onBroken: (why) => live.hosted!.post({ type: 'protocol.violated', why }),
      errorOf: () => live.error,
    });
    live.channels.push(running);
    live.ends[name] = running.end;
  });
}

function openChannels(live: Live): void {
  for (const { hosted } of live.channels) hosted.post({ type: 'open' });
}

// ---- open

function onOpenFrame(live: Live, frame: Frame, fds: number[]): void {
  closeAll(fds);
  if (frame.t !== 'goodbye') throw new Error(`a frame of unknown type ${frame.t}`);
  goodbye(live, frame);
}

function goodbye(live: Live, frame: Frame): void {
  live.hosted!.post({ type: 'peer.goodbye', why: parseGoodbye(frame) });
}

function onSocketEnd(live: Live, end: SocketEnd, why: string): void {
  const type = end === 'CLOSED' ? 'peer.closed' : end === 'BAD_PACKET' ? 'protocol.violated' : 'peer.reset';
  live.hosted!.post({ type, why });
}

// ---- ending

/** The one cause of everything that fails from now on. */
function hose(live: Live, peerApp: string, { reason, why }: { reason: HoseReason; why: string }): void {
  const cause = IpcError.of('ERR_PEER_LOST', peerApp, reason, why);
  live.error = IpcError.from(cause, 'ERR_SESSION_HOSED', peerApp, `${reason}: ${why}`);
  for (const { end, hosted } of live.channels) {
    live.unread[end.name] = end.unread();
    hosted.post({ type: 'hose', reason, why });
  }
}

function tearDown(live: Live): void {
  for (const { hosted, end } of live.channels) {
    end.finish(live.error ?? IpcError.of('ERR_CHANNEL_CLOSED', end.name));
    hosted.stop();
  }
  live.channels.length = 0;
  live.link?.close();
  live.socket?.close();
  live.link = undefined;
}

function asIpcError(error: unknown): IpcError {
  return error instanceof IpcError
    ? error
    : IpcError.from(error, 'ERR_PROTOCOL', 'the server', messageOf(error));
}
