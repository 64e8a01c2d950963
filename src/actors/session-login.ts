// Session log-in: a client's way to a server, from the socket to both segments.
import { IpcError, messageOf } from '../errors.ts';
import { protocolVersions } from '../machines/login.ts';
import type { AppSpec } from '../spec/universe.ts';
import { extractOf } from '../spec/universe-extract.ts';
import type { Frame } from '../transport/frame.ts';
import { Link } from '../transport/link.ts';
import { type Credentials, native, nativeCode } from '../transport/native.ts';
import { closeAll, PacketSocket } from '../transport/packet-socket.ts';
import { type Live, lifeLimits } from './live-session.ts';
import { descriptorsFor, takeOffer } from './session-bell.ts';
import { makeSubscriptions } from './session-broadcasts.ts';
import { makeChannels } from './session-channels.ts';
import { type Accepted, helloFrame, parseAccepted, parseRejected } from './session-frame.ts';
import { initChannels, laneCapacities } from './session-lanes.ts';
import { goodbye, listenOpen, onSocketEnd } from './session-socket.ts';

export function dial(live: Live): void {
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

export function logIn(live: Live): void {
  const { server, client, metadata, limits } = live.options;
  try {
    live.link = new Link(laneCapacities(server), limits.spinUs);
    const { offer } = live.link;
    live.socket!.send(
      helloFrame({
        versions: protocolVersions,
        layoutHash: native().layout.hash,
        client: client!.name,
        server: server.name,
        universe: extractOf(server),
        pid: process.pid,
        startTicks: native().startTicks(process.pid),
        segmentBytes: offer.bytes,
        metadata,
      }),
      descriptorsFor(server.uid ?? process.getuid!(), offer.fds),
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
    onAccepted(live, accepted, takeOffer(fds, 'accepted', sender.uid), sender);
    live.hosted!.post({ type: 'login.accepted' });
  } catch (error) {
    // Those that nobody has taken yet.
    closeAll(fds);
    live.hosted!.post({ type: 'login.rejected', error: asIpcError(error).toJSON() });
  }
}

/** The server has let us in; it proves by the credentials of this very packet which process it is. */
function onAccepted(live: Live, accepted: Accepted, offered: number[], sender: Credentials): void {
  const { server } = live.options;
  try {
    checkServer(server, accepted, sender);
  } catch (error) {
    closeAll(offered);
    throw error;
  }
  const { socket } = live;
  const [segmentFd, bellFd] = offered as [number, number?];
  live.link!.attach(accepted.segmentBytes, segmentFd, bellFd ?? (() => socket!.ring()), {
    app: server.name,
    channels: initChannels(server).map(([name]) => name),
  });
  live.link!.beat(lifeLimits(live.options.limits));
  live.token = accepted.token;
  live.startTicks = accepted.startTicks;
  live.peer = {
    app: server.name,
    pid: sender.pid,
    uid: sender.uid,
    gid: sender.gid,
    metadata: accepted.metadata,
    ...(accepted.host !== undefined && { host: accepted.host }),
  };
  makeChannels(live, 'client');
  makeSubscriptions(live);
  listenOpen(live);
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

function asIpcError(error: unknown): IpcError {
  return error instanceof IpcError
    ? error
    : IpcError.from(error, 'ERR_PROTOCOL', 'the server', messageOf(error));
}
