// Session gateway: lets programs of this machine have sessions with apps of other machines, and those of others with apps here.
// It takes the place of an app that is away, and of a client that is; each gateway vouches for the programs of its own machine.
import { randomBytes } from 'node:crypto';
import { type ErrorData, IpcError, messageOf } from '../errors.ts';
import { commonVersion, type Hello, protocolVersions } from '../machines/login.ts';
import type { Relay, RelayHold } from '../spec/relay.ts';
import { type Frame, mapOf, textOf, wholeOf } from '../transport/frame.ts';
import { type NativeListener, native } from '../transport/native.ts';
import { closeAll, PacketSocket } from '../transport/packet-socket.ts';
import type { Claim } from '../transport/run-directory.ts';
import { CarriedSession, type Opened } from './carried-session.ts';
import { carryService } from './carried-stream.ts';
import type { Host } from './hosting.ts';
import { refuseConnection } from './incoming-session.ts';
import { descriptorsFor, takeClientOffer, takeOffer } from './session-bell.ts';
import {
  acceptedFrame,
  helloFrame,
  parseAccepted,
  parseHello,
  parseRejected,
  rejectedFrame,
} from './session-frame.ts';
import { initChannels } from './session-lanes.ts';

/** The service by which a gateway asks another one for a session. */
export const openService = 'session.open';
/** Of the time that a log-in has, what the other node has: a client whose own time is the same is still told the reason. */
const answerShare = 0.8;
/** With them all, what is under way has room in one link. */
const sessionsMax = 64;
/** How long the other gateways may take to hear that this one is stopped. */
const closeTimeoutMs = 1_000;

/** Options of `carrySessions`. */
export interface GatewayOptions {
  /** The use of a relay by this node. */
  readonly relay: Relay;
  readonly universe: string;
  /** Apps that are served elsewhere, and behind which node: programs here connect to them as to any other. */
  readonly away?: Readonly<Record<string, string>>;
  /** Apps that are served here, and the nodes whose programs may connect to them. */
  readonly here?: Readonly<Record<string, readonly string[]>>;
  /** How long the other node may be silent before sessions with it are lost; default 10000. */
  readonly outageMs?: number;
  /** How long a log-in may take on each side; default 5000. */
  readonly loginTimeoutMs?: number;
}

interface Settings extends GatewayOptions {
  readonly claim: (app: string) => Promise<Claim>;
  readonly socketOf: (app: string) => string;
}

/** What stands in for programs of other machines. */
export class SessionGateway implements AsyncDisposable {
  readonly #host: Host;
  readonly #settings: Settings & { outageMs: number; loginTimeoutMs: number };
  readonly #sessions = new Map<string, CarriedSession>();
  readonly #claims: Claim[] = [];
  readonly #holds: RelayHold[] = [];
  /** Connections whose log-in is under way. */
  readonly #pending = new Set<PacketSocket>();
  /** Why the last client of each app was refused: the same again is no news. */
  readonly #refused = new Map<string, string>();
  #onEmpty: (() => void) | undefined;
  #closed = false;

  private constructor(host: Host, settings: Settings) {
    this.#host = host;
    this.#settings = {
      ...settings,
      outageMs: settings.outageMs ?? 10_000,
      loginTimeoutMs: settings.loginTimeoutMs ?? 5_000,
    };
  }

  /**
   * @returns once programs here can connect, and those of other nodes, if there is a link.
   * @throws {IpcError} ERR_APP_ALREADY_SERVED, ERR_RUN_DIRECTORY, ERR_RELAY_CLOSED, ERR_REFUSED.
   */
  static async open(host: Host, settings: Settings): Promise<SessionGateway> {
    const gateway = new SessionGateway(host, settings);
    try {
      const forEver = { timeoutMs: Number.POSITIVE_INFINITY };
      const { relay, here = {}, away = {} } = gateway.#settings;
      gateway.#holds.push(
        await relay.serve(carryService, (body, { from }) => gateway.#onBatch(body, from), forEver),
        await relay.serve(openService, (body, { from }) => gateway.#onOpen(body, from), forEver),
      );
      for (const app of Object.keys(away)) {
        if (Object.hasOwn(here, app))
          throw IpcError.of('ERR_OPTIONS_INVALID', `app ${app}`, 'it is both here and away');
        const claim = await settings.claim(app);
        gateway.#claims.push(claim);
        gateway.#listen(claim.listener, app);
      }
    } catch (error) {
      await gateway.close();
      throw error;
    }
    return gateway;
  }

  /** How many sessions it carries. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** Ends all its sessions, and stands in for nobody any more. Twice is fine. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const claim of this.#claims.splice(0)) claim.release();
    for (const socket of this.#pending) socket.close();
    for (const session of [...this.#sessions.values()])
      session.close('the gateway of its machine was stopped');
    if (this.#sessions.size > 0)
      await new Promise<void>((resolve) => {
        const timer = this.#host.clock.setTimeout(resolve, closeTimeoutMs);
        this.#onEmpty = () => {
          this.#host.clock.clearTimeout(timer);
          resolve();
        };
      });
    for (const session of this.#sessions.values()) session.discard();
    this.#sessions.clear();
    for (const hold of this.#holds.splice(0)) hold.release();
  }

  /** As `close`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ---- programs here that connect to an app elsewhere

  #listen(listener: NativeListener, app: string): void {
    listener.listen((connection) => {
      if (connection < 0) return;
      if (this.#sessions.size + this.#pending.size >= sessionsMax)
        return refuseConnection(connection, IpcError.of('ERR_SERVER_BUSY', app, sessionsMax));
      this.#admit(PacketSocket.adopt(connection), app);
    });
  }

  /** The log-in of a program here: who it is, then what the server elsewhere says to it. */
  #admit(socket: PacketSocket, app: string): void {
    this.#pending.add(socket);
    const { clock, log } = this.#host;
    const id = randomBytes(16).toString('hex');
    let told = false;
    let session: CarriedSession | undefined;
    const over = () => {
      clock.clearTimeout(deadline);
      this.#pending.delete(socket);
    };
    const refuse = (error: ErrorData) => {
      if (!this.#pending.has(socket)) return;
      over();
      const level = this.#refused.get(app) === error.message ? 'debug' : 'warn';
      this.#refused.set(app, error.message);
      log[level]({ app, ...error }, `no session with ${app} for a program here: ${error.message}`);
      socket.send(rejectedFrame(error));
      socket.close();
      if (session) this.#forget(id, session);
    };
    const deadline = clock.setTimeout(
      () =>
        refuse(
          IpcError.of('ERR_TIMEOUT', `the log-in at app ${app}`, this.#settings.loginTimeoutMs).toJSON(),
        ),
      this.#settings.loginTimeoutMs,
    );
    socket.listen({
      frame: (frame, fds) => {
        if (frame.t !== 'hello' || told) throw new Error(`a frame ${frame.t} at the wrong time`);
        told = true;
        const offered = takeClientOffer(fds, 'hello');
        const [segment, bell] = offered as [number, number?];
        try {
          const hello = parseHello(frame);
          this.#identify(socket, hello, app);
          session = this.#carry(id, this.#settings.away![app]!, socket, hello);
          offered.length = 0;
          const owner = { app: hello.client, channels: initChannels(hello.universe).map(([name]) => name) };
          session.link.attach(hello.segmentBytes, segment, bell ?? (() => socket.ring()), owner);
          void this.#ask(id, session, hello, app, refuse, over, socket);
        } catch (error) {
          closeAll(offered);
          refuse(asError(error));
        }
      },
      ended: (_, why) => refuse(IpcError.of('ERR_PROTOCOL', 'the client', why).toJSON()),
    });
  }

  /** The kernel's word on who connects; the server's own checks follow on its machine. @throws {IpcError}. */
  #identify(socket: PacketSocket, hello: Hello, app: string): void {
    const { pid, uid, gid } = socket.peer;
    if (pid !== hello.pid)
      throw IpcError.of(
        'ERR_PEER_UNIDENTIFIED',
        `it says that it is process ${hello.pid}, the kernel says ${pid}`,
      );
    new (native().Process)(pid, hello.startTicks).close();
    if (!commonVersion(protocolVersions, hello.versions))
      throw IpcError.of('ERR_PROTOCOL_VERSION', protocolVersions.join(' to '), hello.versions.join(' to '));
    const { universe } = this.#settings;
    if (hello.universe.universe !== universe || hello.server !== app)
      throw IpcError.of(
        'ERR_UNIVERSE_MISMATCH',
        `the client asks for ${hello.universe.universe}/${hello.server}, this is ${universe}/${app}`,
      );
    if (uid !== process.getuid!() || gid !== process.getgid!())
      throw IpcError.of(
        'ERR_CREDENTIALS',
        hello.client,
        `it runs as ${uid}:${gid}; the gateway here vouches for its own user and group, ${process.getuid!()}:${process.getgid!()}`,
      );
    if (hello.layoutHash !== native().layout.hash)
      throw IpcError.of(
        'ERR_CONFIGURATION',
        'the shared memory has another layout; use the same release on both sides',
      );
  }

  async #ask(
    id: string,
    session: CarriedSession,
    hello: Hello,
    app: string,
    refuse: (error: ErrorData) => void,
    over: () => void,
    socket: PacketSocket,
  ): Promise<void> {
    const { relay, away, loginTimeoutMs } = this.#settings;
    const node = away![app]!;
    try {
      // The client asks again by itself; so it knows at once what it waits for.
      if (relay.status !== 'connected')
        throw IpcError.of('ERR_RELAY_UNAVAILABLE', `app ${app}`, 'there is no link');
      const answer = (await relay.request(
        openService,
        { session: id, hello: helloFrame(hello) },
        { to: node, timeoutMs: loginTimeoutMs * answerShare },
      )) as Opened;
      const opened = mapOf({ t: openService, answer }, 'answer') as Opened;
      if (opened.rejected) {
        refuse(
          parseRejected({ ...mapOf({ t: openService, ...opened }, 'rejected'), t: 'rejected' }).toJSON(),
        );
        return;
      }
      const accepted = parseAccepted({ ...mapOf({ t: openService, ...opened }, 'accepted'), t: 'accepted' });
      if (!this.#pending.has(socket)) return;
      over();
      const { bytes, fds } = session.link.offer;
      const frame = acceptedFrame({
        ...accepted,
        host: node,
        pid: process.pid,
        startTicks: native().startTicks(process.pid),
        segmentBytes: bytes,
      });
      socket.send(frame, descriptorsFor(socket.peer.uid, fds));
      session.start();
      this.#host.log.info({ app, node }, `carrying a session of ${hello.client} with ${app} at ${node}`);
    } catch (error) {
      const data = asError(error);
      refuse(
        data.code.startsWith('ERR_RELAY') || data.code === 'ERR_TIMEOUT'
          ? IpcError.of('ERR_NO_SERVER', app, `the node ${node} gives no answer: ${data.message}`).toJSON()
          : data,
      );
      this.#forget(id, session);
    }
  }

  // ---- programs elsewhere that connect to an app here

  async #onOpen(body: unknown, from: string): Promise<Opened> {
    try {
      const frame = mapOf({ t: openService, body }, 'body') as Frame;
      const id = textOf({ ...frame, t: openService }, 'session', 64);
      const hello = parseHello({ ...mapOf(frame, 'hello'), t: 'hello' });
      const { here = {}, universe } = this.#settings;
      if (hello.universe.universe !== universe || !Object.hasOwn(here, hello.server))
        throw IpcError.of('ERR_NO_SERVER', hello.server, 'the gateway there knows no such app');
      if (!here[hello.server]!.includes(from))
        throw IpcError.of('ERR_APP_NOT_ALLOWED', `${hello.client} of node ${from}`, hello.server);
      if (this.#sessions.has(id) || this.#sessions.size + this.#pending.size >= sessionsMax)
        throw IpcError.of('ERR_SERVER_BUSY', hello.server, sessionsMax);
      return { accepted: await this.#dial(id, from, hello) };
    } catch (error) {
      return { rejected: asError(error) };
    }
  }

  /** Logs in for a client elsewhere, as the process that we are. @returns what the server says. @throws {IpcError}. */
  async #dial(id: string, from: string, hello: Hello): Promise<Frame> {
    const { clock, log } = this.#host;
    const app = hello.server;
    let socket: PacketSocket;
    try {
      socket = PacketSocket.connect(this.#settings.socketOf(app));
    } catch (error) {
      throw IpcError.from(
        error,
        'ERR_NO_SERVER',
        app,
        `none is running behind the other node (${messageOf(error)})`,
      );
    }
    this.#pending.add(socket);
    const session = this.#carry(id, from, socket, hello);
    let deadline: unknown;
    try {
      return await new Promise<Frame>((resolve, reject) => {
        deadline = clock.setTimeout(
          () => reject(IpcError.of('ERR_TIMEOUT', `the log-in at app ${app}`, this.#settings.loginTimeoutMs)),
          this.#settings.loginTimeoutMs,
        );
        socket.listen({
          frame: (frame, fds, sender) => {
            if (frame.t === 'rejected') return reject(parseRejected(frame));
            if (frame.t !== 'accepted') throw new Error(`a frame ${frame.t} during the log-in`);
            const accepted = parseAccepted(frame);
            const [segment, bell] = takeOffer(fds, 'accepted', sender.uid) as [number, number?];
            const owner = { app, channels: initChannels(hello.universe).map(([name]) => name) };
            session.link.attach(accepted.segmentBytes, segment, bell ?? (() => socket.ring()), owner);
            session.start();
            resolve(acceptedFrame(accepted));
          },
          ended: (_, why) => reject(IpcError.of('ERR_NO_SERVER', app, why)),
        });
        const { bytes, fds } = session.link.offer;
        const own = {
          ...hello,
          host: from,
          pid: process.pid,
          startTicks: native().startTicks(process.pid),
          segmentBytes: bytes,
        };
        socket.send(helloFrame(own), descriptorsFor(process.getuid!(), fds));
      });
    } catch (error) {
      this.#forget(id, session);
      socket.close();
      throw error;
    } finally {
      clock.clearTimeout(deadline);
      this.#pending.delete(socket);
      if (this.#sessions.has(id))
        log.info({ app, node: from }, `carrying a session of ${hello.client} at ${from} with ${app}`);
    }
  }

  // ---- both

  #carry(
    id: string,
    node: string,
    socket: PacketSocket,
    { universe, client, server }: Hello,
  ): CarriedSession {
    const { relay, outageMs } = this.#settings;
    const session: CarriedSession = new CarriedSession({
      relay,
      clock: this.#host.clock,
      node,
      session: id,
      outageMs,
      socket,
      universe,
      onEnd: ({ reason, why }) => {
        this.#sessions.delete(id);
        if (this.#sessions.size === 0) this.#onEmpty?.();
        const facts = { client, server, node, reason };
        this.#host.log.info(
          facts,
          `the session of ${client} with ${server} by node ${node} has ended: ${why}`,
        );
      },
    });
    this.#sessions.set(id, session);
    this.#nodes.set(session, node);
    return session;
  }

  readonly #nodes = new WeakMap<CarriedSession, string>();

  #forget(id: string, session: CarriedSession): void {
    this.#sessions.delete(id);
    session.discard();
  }

  #onBatch(body: unknown, from: string): unknown {
    const frame = mapOf({ t: carryService, body }, 'body') as Frame;
    const named = { ...frame, t: carryService };
    const session = this.#sessions.get(textOf(named, 'session', 64));
    if (!session || this.#nodes.get(session) !== from)
      return { gone: 'the other gateway knows nothing of the session: it was started anew, or has ended it' };
    if (!Array.isArray(frame.items)) throw new Error('a batch without its items');
    return session.accept(wholeOf(named, 'number'), frame.items);
  }
}

function asError(error: unknown): ErrorData {
  return (
    error instanceof IpcError ? error : IpcError.from(error, 'ERR_PROTOCOL', 'a gateway', messageOf(error))
  ).toJSON();
}
