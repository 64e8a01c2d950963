// Incoming session: the log-in machine with a real connection, shared memory and the kernel's word on who connected.
import { type ErrorData, IpcError, messageOf } from '../errors.ts';
import { type IncomingSessionOutput, incomingSessionMachine } from '../machines/incoming-session.ts';
import {
  checkLogin,
  commonVersion,
  type Hello,
  type LoginPolicy,
  protocolVersions,
} from '../machines/login.ts';
import type { Address } from '../names.ts';
import type { Peer } from '../spec/peer.ts';
import type { Frame } from '../transport/frame.ts';
import { Link } from '../transport/link.ts';
import { native, nativeCode } from '../transport/native.ts';
import { closeAll, PacketSocket } from '../transport/packet-socket.ts';
import { Handles, type Host, type Hosted } from './hosting.ts';
import { lifeLimits, type SessionLimits } from './live-session.ts';
import { newToken } from './session.ts';
import { descriptorsFor, takeClientOffer } from './session-bell.ts';
import { acceptedFrame, parseHello, readyFrame, rejectedFrame } from './session-frame.ts';
import { initChannels, laneCapacities } from './session-lanes.ts';

/** What a server has ready for each log-in. */
export interface LoginSettings {
  readonly policy: LoginPolicy;
  readonly limits: SessionLimits;
  /** What the server says about itself. */
  readonly metadata: unknown;
  /** Under a supervisor: whether that process of its tree runs that app; undefined if it does not know. */
  readonly runs: (app: string, pid: number, startTicks: number) => Promise<boolean | undefined>;
}

/** What a log-in has prepared for its session. */
export interface AcceptedLogin {
  readonly socket: PacketSocket;
  readonly link: Link;
  readonly peer: Peer;
  readonly startTicks: number;
  readonly token: string;
}

interface Live {
  readonly socket: PacketSocket;
  readonly settings: LoginSettings;
  readonly token: string;
  hosted: Hosted<typeof incomingSessionMachine> | undefined;
  hello: Hello | undefined;
  /** The client's segment and, if it hands one over, its bell; between hello and mapping. */
  fds: number[];
  link: Link | undefined;
}
const lives = new Handles<Live>('log-in');

const incomingSessionLogic = incomingSessionMachine.provide({
  actions: {
    identify: ({ self }) => identify(lives.of(self)),
    validate: ({ self, context }) => void validate(lives.of(self), context.hello!, context.peer!),
    mapMemory: ({ self, context }) => mapMemory(lives.of(self), context.hello!),
    sendAccepted: ({ self, context }) => sendAccepted(lives.of(self), context.hello!),
    sendRejected: ({ self }, error) => lives.of(self).socket.send(rejectedFrame(error)),
    discard: ({ self }) => discard(lives.of(self)),
  },
});

/** Begins the log-in of an accepted connection, whose descriptor is taken over. */
export function startLogin(
  host: Host,
  settings: LoginSettings,
  options: {
    readonly address: Address;
    readonly number: number;
    readonly connection: number;
    readonly onEnd: (end: IncomingSessionOutput, accepted: AcceptedLogin | undefined) => void;
  },
): Hosted<typeof incomingSessionMachine> {
  const live: Live = {
    socket: PacketSocket.adopt(options.connection),
    settings,
    token: newToken(),
    hosted: undefined,
    hello: undefined,
    fds: [],
    link: undefined,
  };
  const hosted = host.start(incomingSessionLogic, {
    address: options.address,
    input: {
      number: options.number,
      app: settings.policy.app.name,
      loginTimeoutMs: settings.limits.loginTimeoutMs,
    },
    bind(actor, self) {
      live.hosted = self;
      lives.bind(actor, live);
    },
    onEnd(end) {
      if (end.how === 'done') options.onEnd(end.output, acceptedBy(live, end.output));
      else {
        discard(live);
        options.onEnd(
          { how: 'aborted', error: IpcError.of('ERR_STOPPING', 'the server').toJSON() },
          undefined,
        );
      }
    },
  });
  live.socket.listen({
    frame: (frame, fds) => onFrame(live, frame, fds),
    ended: (_, why) => hosted.post({ type: 'socket.ended', error: protocolError(why) }),
  });
  return hosted;
}

/** A client beyond what a server takes at once: told so and let go. */
export function refuseConnection(connection: number, error: IpcError): void {
  const socket = PacketSocket.adopt(connection);
  socket.send(rejectedFrame(error.toJSON()));
  socket.close();
}

function onFrame(live: Live, frame: Frame, fds: number[]): void {
  if (frame.t === 'hello' && !live.hello) {
    live.fds = takeClientOffer(fds, 'hello');
    live.hello = parseHello(frame);
    live.hosted!.post({ type: 'hello.received', hello: live.hello });
  } else if (frame.t === readyFrame.t && live.link && fds.length === 0)
    live.hosted!.post({ type: 'ready.received' });
  else {
    closeAll(fds);
    throw new Error(`a frame ${frame.t} at the wrong time`);
  }
}

function identify(live: Live): void {
  try {
    const { pid, uid, gid } = live.socket.peer;
    live.hosted!.post({ type: 'peer.identified', peer: { pid, uid, gid } });
  } catch (error) {
    fail(live, IpcError.from(error, 'ERR_PEER_UNIDENTIFIED', messageOf(error)));
  }
}

async function validate(
  { settings, hosted }: Live,
  hello: Hello,
  peer: { pid: number; uid: number; gid: number },
): Promise<void> {
  const error =
    checkLogin(settings.policy, hello, peer) ?? checkIdentity(hello) ?? (await checkApp(settings, hello));
  hosted!.post(error ? { type: 'login.failed', error: error.toJSON() } : { type: 'login.passed' });
}

/** The number alone could be another process's by now; number and start ticks are one process's for ever. */
function checkIdentity({ pid, startTicks }: Hello): IpcError | undefined {
  try {
    new (native().Process)(pid, startTicks).close();
    return undefined;
  } catch (error) {
    const why =
      nativeCode(error) === 'GONE' ? `process ${pid} has ended or is another one now` : messageOf(error);
    return IpcError.from(error, 'ERR_PEER_UNIDENTIFIED', why);
  }
}

async function checkApp(
  { runs }: LoginSettings,
  { client, pid, startTicks }: Hello,
): Promise<IpcError | undefined> {
  if ((await runs(client, pid, startTicks)) !== false) return undefined;
  return IpcError.of(
    'ERR_CREDENTIALS',
    client,
    `process ${pid} is not the one that the supervisor runs as it`,
  );
}

function mapMemory(live: Live, hello: Hello): void {
  const { policy, limits } = live.settings;
  const { socket } = live;
  const [segmentFd, bellFd] = live.fds.splice(0) as [number, number?];
  try {
    live.link = new Link(laneCapacities(policy.app), limits.spinUs);
    const channels = initChannels(policy.app).map(([name]) => name);
    live.link.attach(hello.segmentBytes, segmentFd, bellFd ?? (() => socket.ring()), {
      app: hello.client,
      channels,
    });
    // Before the client can look for it.
    live.link.beat(lifeLimits(limits));
    live.hosted!.post({ type: 'memory.mapped' });
  } catch (error) {
    fail(live, error instanceof IpcError ? error : IpcError.from(error, 'ERR_MEMORY', messageOf(error)));
  }
}

function sendAccepted(live: Live, hello: Hello): void {
  const { bytes, fds } = live.link!.offer;
  const accepted = {
    version: commonVersion(protocolVersions, hello.versions)!,
    token: live.token,
    pid: process.pid,
    startTicks: native().startTicks(process.pid),
    segmentBytes: bytes,
    metadata: live.settings.metadata,
  };
  live.socket.send(acceptedFrame(accepted), descriptorsFor(live.socket.peer.uid, fds));
}

function acceptedBy(live: Live, end: IncomingSessionOutput): AcceptedLogin | undefined {
  if (end.how !== 'accepted') return undefined;
  const { client, metadata, startTicks, host } = end.hello;
  return {
    socket: live.socket,
    link: live.link!,
    token: live.token,
    startTicks,
    peer: { app: client, ...end.peer, metadata, ...(host !== undefined && { host }) },
  };
}

function fail(live: Live, error: IpcError): void {
  live.hosted!.post({ type: 'login.failed', error: error.toJSON() });
}

function discard(live: Live): void {
  closeAll(live.fds);
  live.link?.close();
  live.socket.close();
}

function protocolError(why: string): ErrorData {
  return IpcError.of('ERR_PROTOCOL', 'the client', why).toJSON();
}
