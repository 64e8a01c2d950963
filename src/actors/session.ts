// Session: the session machine with a real socket, shared memory and channels, and the object through which a program uses
// the session.
import { createHash, randomBytes } from 'node:crypto';
import { IpcError, messageOf } from '../errors.ts';
import { protocolVersions } from '../machines/login.ts';
import { type SessionReport, sessionMachine } from '../machines/session.ts';
import { type Address, addressOf } from '../names.ts';
import type { Arena } from '../spec/memory.ts';
import type { HoseReason, Peer, Side } from '../spec/session.ts';
import { type AppSpec, extractOf } from '../spec/universe.ts';
import type { BroadcastPublisher } from '../transport/broadcast-publisher.ts';
import { BroadcastSubscription } from '../transport/broadcast-subscription.ts';
import type { ChannelEnd } from '../transport/channel-end.ts';
import type { Frame } from '../transport/frame.ts';
import { Link } from '../transport/link.ts';
import { type Credentials, native, nativeCode, type SocketEnd } from '../transport/native.ts';
import { closeAll, PacketSocket, takeFds } from '../transport/packet-socket.ts';
import {
  type MemoryLimits,
  releaseRingBytes,
  type SegmentOffer,
  SessionMemory,
} from '../transport/session-memory.ts';
import { ValueArena } from '../transport/value-arena.ts';
import { type RunningChannel, startChannel } from './channel.ts';
import { Handles, type Host, type Hosted } from './hosting.ts';
import {
  type Accepted,
  goodbyeFrame,
  helloFrame,
  memoryFrame,
  parseAccepted,
  parseGoodbye,
  parseMemory,
  parseRejected,
  parseSubscribe,
  parseSubscribed,
  parseUnsubscribe,
  readyFrame,
  subscribedFrame,
  subscribeFrame,
  unsubscribeFrame,
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
  /** When the peer's process started. */
  readonly startTicks: number;
  readonly token: string;
  /** The writing ends of the app's broadcasts, which all its sessions share. */
  readonly publishers: Readonly<Record<string, BroadcastPublisher>>;
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
  readonly broadcasts: Readonly<Record<string, BroadcastSubscription | BroadcastPublisher>>;
  readonly #live: Live;

  constructor(live: Live, side: Side) {
    this.#live = live;
    this.side = side;
    this.channels = live.ends;
    this.broadcasts = side === 'server' ? live.publishers : live.subscriptions;
  }

  /** The reading ends of the broadcasts, at a client. */
  get subscriptions(): Readonly<Record<string, BroadcastSubscription>> {
    return this.#live.subscriptions;
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

  /** Our arena of this session. @throws {IpcError} ERR_NO_ARENA. */
  get arena(): Arena {
    const { arena, options } = this.#live;
    if (!arena || options.server.arenaBytes === 0)
      throw IpcError.of('ERR_NO_ARENA', `the session with ${this.peer.app}`, 'arenaBytes');
    return arena;
  }

  /** Lets messages come: whoever takes them is there now. */
  listen(): void {
    const { link, memory, channels } = this.#live;
    const ends = channels.map(({ end }) => end);
    // Memory first: those who wait for some find what has come back.
    link?.start(memory ? [memory, ...ends] : ends);
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
  startTicks: number;
  memory: SessionMemory | undefined;
  arena: Arena | undefined;
  token: string;
  readonly ends: Record<string, ChannelEnd>;
  readonly channels: RunningChannel[];
  readonly publishers: Readonly<Record<string, BroadcastPublisher>>;
  readonly subscriptions: Record<string, BroadcastSubscription>;
  unread: Record<string, number>;
  error: IpcError | undefined;
  /** It reads no broadcast any more. */
  over: boolean;
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
      const { channels, subscriptions } = lives.of(self);
      for (const { hosted } of channels) hosted.post({ type: 'close' });
      // Nobody here reads any more, and what was accepted on the channels may take its time.
      for (const subscription of Object.values(subscriptions)) closeSubscription(subscription);
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
function broadcastLane(server: AppSpec, name: string): number {
  return Object.keys(server.channels).length + Object.keys(server.broadcasts).indexOf(name);
}

/** The lane of the releases, behind all others. */
function releaseLane(server: AppSpec): number {
  return Object.keys(server.channels).length + Object.keys(server.broadcasts).length;
}

/** What the sides of a session with this app may lend each other; undefined if nothing. */
function memoryLimits({ arenaBytes, sharedBytes, channels }: AppSpec): MemoryLimits | undefined {
  if (arenaBytes + sharedBytes === 0) return undefined;
  const specs = Object.values(channels);
  return {
    arenaBytes,
    sharedBytes,
    slots: specs.reduce((slots, { maxLoans }) => slots + maxLoans, 0),
    messageBytesMax: Math.max(0, ...specs.map(({ maxMessageBytes }) => maxMessageBytes)),
  };
}

function newLive(host: Host, options: SessionOptions): Live {
  return {
    host,
    options,
    hosted: undefined,
    socket: undefined,
    link: undefined,
    peer: undefined,
    startTicks: 0,
    memory: undefined,
    arena: undefined,
    token: '',
    ends: {},
    channels: [],
    publishers: {},
    subscriptions: {},
    unread: {},
    error: undefined,
    over: false,
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
  live.startTicks = accepted.startTicks;
  live.peer = {
    app: server.name,
    pid: sender.pid,
    uid: sender.uid,
    gid: sender.gid,
    metadata: accepted.metadata,
  };
  makeChannels(live, 'client');
  makeSubscriptions(live);
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

function makeChannels(live: Live, side: Side): void {
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

function makeSubscriptions(live: Live): void {
  const { server } = live.options;
  for (const [name, spec] of Object.entries(server.broadcasts))
    live.subscriptions[name] = new BroadcastSubscription(
      name,
      spec,
      live.link!,
      broadcastLane(server, name),
      {
        ask: (number) => live.socket!.send(subscribeFrame(name, number)),
        leave: () => live.socket!.send(unsubscribeFrame(name)),
        broken: (why) => live.hosted!.post({ type: 'protocol.violated', why }),
      },
    );
}

function openChannels(live: Live): void {
  for (const { hosted } of live.channels) hosted.post({ type: 'open' });
}

// ---- open

function onOpenFrame(live: Live, frame: Frame, fds: number[]): void {
  if (frame.t === 'memory' && live.memory) {
    const [fd] = takeFds(fds, 1, 'memory') as [number];
    return receiveMemory(live.memory, frame, fd);
  }
  if (frame.t === 'subscribed') return onSubscribed(live, frame, takeFds(fds, 1, frame.t)[0]!);
  closeAll(fds);
  if (frame.t === 'subscribe') return onSubscribe(live, frame);
  if (frame.t === 'unsubscribe') return leaveBroadcast(live, parseUnsubscribe(frame));
  if (frame.t !== 'goodbye') throw new Error(`a frame of unknown type ${frame.t}`);
  goodbye(live, frame);
}

function receiveMemory(memory: SessionMemory, frame: Frame, fd: number): void {
  let offer: SegmentOffer;
  try {
    offer = parseMemory(frame);
  } catch (error) {
    closeAll([fd]);
    throw error;
  }
  memory.receive(offer, fd);
}

/** At the server: lets the client read. */
function onSubscribe(live: Live, frame: Frame): void {
  const { broadcast, number } = parseSubscribe(frame);
  const publisher = publisherOf(live, broadcast);
  // A session that has ended reads nothing; its memory may be gone.
  if (live.over) return;
  const lane = broadcastLane(live.options.server, broadcast);
  const { bytes, fd, place } = publisher.admit(live.link!, lane, number);
  live.socket!.send(subscribedFrame(broadcast, { number, bytes, place }), [fd]);
}

function leaveBroadcast(live: Live, name: string): void {
  const publisher = publisherOf(live, name);
  if (!live.over) publisher.leave(live.link!);
}

function publisherOf({ publishers }: Live, name: string): BroadcastPublisher {
  if (!Object.hasOwn(publishers, name)) throw new Error(`there is no broadcast ${name} to read`);
  return publishers[name]!;
}

/** At the client: the server's answer. */
function onSubscribed(live: Live, frame: Frame, fd: number): void {
  let taken = false;
  try {
    const { broadcast, ...accepted } = parseSubscribed(frame);
    if (!Object.hasOwn(live.subscriptions, broadcast)) throw new Error(`nobody reads broadcast ${broadcast}`);
    taken = true;
    live.subscriptions[broadcast]!.accept(accepted, fd);
  } finally {
    if (!taken) native().closeFd(fd);
  }
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
  leaveBroadcasts(live);
  for (const subscription of Object.values(live.subscriptions))
    subscription.finish(hosedError(live.error, subscription.name));
  for (const { end, hosted } of live.channels) {
    live.unread[end.name] = end.unread();
    hosted.post({ type: 'hose', reason, why });
  }
}

/** What fails on one channel or broadcast because the session is hosed. */
function hosedError({ cause, message }: IpcError, name: string): IpcError {
  return IpcError.from(cause, 'ERR_CHANNEL_HOSED', name, message);
}

function closeSubscription(subscription: BroadcastSubscription): void {
  subscription.unsubscribe();
  subscription.finish(IpcError.of('ERR_CHANNEL_CLOSED', subscription.name));
}

/** At the server: this session holds up no broadcast from now on. */
function leaveBroadcasts(live: Live): void {
  if (live.over || !live.link) return;
  live.over = true;
  for (const publisher of Object.values(live.publishers)) publisher.leave(live.link);
}

function tearDown(live: Live): void {
  leaveBroadcasts(live);
  for (const subscription of Object.values(live.subscriptions))
    subscription.finish(live.error ?? IpcError.of('ERR_CHANNEL_CLOSED', subscription.name));
  for (const { hosted, end } of live.channels) {
    end.finish(live.error ?? IpcError.of('ERR_CHANNEL_CLOSED', end.name));
    hosted.stop();
  }
  live.channels.length = 0;
  live.memory?.finish(live.error ?? IpcError.of('ERR_SESSION_CLOSED', live.options.server.name));
  live.memory?.close(live.peer && { pid: live.peer.pid, startTicks: live.startTicks });
  live.link?.close();
  live.socket?.close();
  live.link = undefined;
}

function asIpcError(error: unknown): IpcError {
  return error instanceof IpcError
    ? error
    : IpcError.from(error, 'ERR_PROTOCOL', 'the server', messageOf(error));
}
