// LinkPeer: the link-peer machine with a real socket and a real line. To whoever uses the link it is a port: messages in, and
// messages out, whatever happens to the sockets below.
import { randomBytes } from 'node:crypto';
import { IpcError, messageOf } from '../errors.ts';
import { linkPeerMachine } from '../machines/link-peer.ts';
import type { Address } from '../names.ts';
import type { RelayRole } from '../spec/relay.ts';
import { type LinkTimes, nameOfEndpoint, type RelayEndpoint } from '../spec/relay-link.ts';
import { decodeFrame, encodeFrame, type Frame, textOf, wholeOf } from '../transport/frame.ts';
import {
  helloFrame,
  parseWelcome,
  type RelayHello,
  relayVersions,
  welcomeFrame,
} from '../transport/relay-hello.ts';
import { type LineStats, type LineWindow, lineWindow, RelayLine } from '../transport/relay-line.ts';
import type { PortObserver, RelayPort } from '../transport/relay-port.ts';
import { dialRelay, type LinkKeys, type RelaySocket } from '../transport/relay-socket.ts';
import { relayFrameBytesMax } from '../transport/relay-stream.ts';
import { Handles, type Host, type Hosted } from './hosting.ts';

/** Who we are to all our peers. */
export interface SelfNode {
  readonly node: string;
  readonly role: RelayRole;
  readonly cluster: string;
  /** Of this run of the node. */
  readonly incarnation: string;
}

export function newIncarnation(): string {
  return randomBytes(12).toString('hex');
}

/** Why a node is not who it says it is. */
export function misnamed(node: string, names: readonly string[] | undefined): string {
  return `it calls itself ${node}, and its certificate is made out to ${names?.join(', ') || 'nobody'}`;
}

interface Settings {
  readonly address: Address;
  readonly self: SelfNode;
  readonly times: LinkTimes;
  /** Whom we dial; without it, the peer comes by `arrive`. */
  readonly endpoint?: RelayEndpoint | undefined;
  readonly keys?: LinkKeys | undefined;
  /** Names of which the peer's certificate must bear one. */
  readonly peerNames?: readonly string[] | undefined;
  /** With keys: the peer may have another name than its certificate. */
  readonly anyName?: boolean;
  /** Of a peer that comes to us. */
  readonly hello?: RelayHello | undefined;
  readonly onClosed?: ((why: string) => void) | undefined;
}

/** Counters of one link, beside those of its line. */
export interface LinkStats extends LineStats {
  readonly bytesIn: number;
  readonly bytesOut: number;
}

export class LinkPeer implements RelayPort {
  readonly #host: Host;
  readonly settings: Settings;
  readonly line = new RelayLine();
  hosted!: Hosted<typeof linkPeerMachine>;
  observer: PortObserver | undefined;
  node: string;
  role: RelayRole;
  /** The peer's run that the line belongs to; '' before there was one. */
  incarnation = '';
  /** Messages may be sent: `open`, and the present socket has told who it is. */
  flowing = false;
  draining = false;
  /** Why it could not be opened; each reason is told once. */
  failedWhy = '';
  over = false;
  socket: RelaySocket | undefined;
  giveUpDial: (() => void) | undefined;
  #heardAtMs: number | undefined;
  #early: Frame[] = [];
  #openedEarly: { fresh: boolean; lost: number; waiting: number } | undefined;
  #bytes = { in: 0, out: 0 };
  readonly closed: Promise<void>;
  #resolveClosed!: () => void;

  constructor(host: Host, settings: Settings) {
    this.#host = host;
    this.settings = settings;
    this.node = settings.hello?.node ?? '';
    this.role = settings.hello?.role ?? 'relay';
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
  }

  /** The peer as people know it. */
  get name(): string {
    const { endpoint } = this.settings;
    return this.node !== '' ? this.node : endpoint ? nameOfEndpoint(endpoint) : 'a node';
  }

  get silenceMs(): number {
    if (this.socket?.heard && this.flowing) this.#noteHeard();
    return this.#heardAtMs === undefined
      ? Number.POSITIVE_INFINITY
      : this.#host.clock.now() - this.#heardAtMs;
  }

  get stats(): LinkStats {
    const { bytesIn = 0, bytesOut = 0 } = this.socket ?? {};
    return { ...this.line.stats, bytesIn: this.#bytes.in + bytesIn, bytesOut: this.#bytes.out + bytesOut };
  }

  // ---- as a port

  /** @throws {IpcError} ERR_MESSAGE_TOO_LARGE. */
  post(message: Frame): boolean {
    if (this.over || this.draining) return false;
    const body = encodeFrame(message);
    // With the head of a message and its length.
    if (body.length + 16 > relayFrameBytesMax)
      throw IpcError.of('ERR_MESSAGE_TOO_LARGE', `to ${this.name}`, body.length, relayFrameBytesMax - 16);
    if (!this.line.push(body)) return false;
    if (this.flowing) this.pump();
    return true;
  }

  listen(observer: PortObserver): void {
    this.observer = observer;
    const opened = this.#openedEarly;
    this.#openedEarly = undefined;
    if (opened) observer.opened(opened.fresh, opened.lost, opened.waiting);
    for (const message of this.#early.splice(0)) observer.message(message);
  }

  close(): Promise<void> {
    this.hosted.post({ type: 'close' });
    return this.closed;
  }

  // ---- the socket

  dial(): void {
    const { endpoint, keys, peerNames } = this.settings;
    this.giveUpDial = dialRelay(endpoint!, keys, (socket, why) => {
      this.giveUpDial = undefined;
      if (!socket) return this.hosted.post({ type: 'dial.failed', why });
      const names = socket.identities;
      if (peerNames && !names?.some((name) => peerNames.includes(name))) {
        socket.destroy();
        const found = names?.join(', ') || 'none';
        return this.hosted.post({
          type: 'dial.failed',
          why: `its certificate is made out to ${found}, not to ${peerNames.join(' or ')}`,
        });
      }
      this.socket = socket;
      this.#listen(socket, (frame) => this.#onWelcome(socket, frame));
      this.hosted.post({ type: 'dial.connected' });
    });
  }

  greet(): void {
    const { self } = this.settings;
    this.socket?.send(
      helloFrame({
        versions: relayVersions,
        node: self.node,
        role: self.role,
        cluster: self.cluster,
        me: self.incarnation,
        you: this.incarnation,
        got: this.line.received,
        window: lineWindow,
      }),
    );
  }

  /** It has come by a socket of its own, with a hello that was found to be good. */
  arrive(socket: RelaySocket, hello: RelayHello): void {
    const { self } = this.settings;
    const resumed = hello.me === this.incarnation && hello.you === self.incarnation;
    this.#leaveSocket();
    this.socket = socket;
    this.#listen(socket, (frame) => this.#onControl(frame));
    const { received } = this.line;
    socket.send(
      welcomeFrame({
        node: self.node,
        role: self.role,
        me: self.incarnation,
        resumed,
        got: resumed ? received : 0,
        window: lineWindow,
      }),
    );
    if (this.#agree(resumed, hello)) this.hosted.post({ type: 'peer.arrived' });
  }

  pump(): void {
    const { socket } = this;
    if (socket) this.line.pump((number, body) => socket.sendMessage(number, body));
  }

  beat(): void {
    const { socket } = this;
    if (!socket) return;
    this.hosted.post({ type: socket.heard ? 'beat.heard' : 'beat.missed' });
    if (socket.heard) this.#noteHeard();
    socket.heard = false;
    socket.send({ t: 'beat', got: this.line.received });
  }

  drain(): void {
    this.draining = true;
    this.#drained();
  }

  hangUp(last: boolean): void {
    this.giveUpDial?.();
    this.giveUpDial = undefined;
    const { socket } = this;
    if (last && socket && this.flowing) {
      this.socket = undefined;
      this.flowing = false;
      socket.finish({ t: 'bye', why: 'it was closed there' });
      return;
    }
    this.#leaveSocket();
  }

  tearDown(why: string): void {
    this.over = true;
    this.line.clear();
    this.settings.onClosed?.(why);
    this.observer?.closed(why);
    this.#resolveClosed();
  }

  #leaveSocket(): void {
    const { socket } = this;
    this.socket = undefined;
    this.flowing = false;
    if (!socket) return;
    this.#bytes.in += socket.bytesIn;
    this.#bytes.out += socket.bytesOut;
    socket.destroy();
  }

  #listen(socket: RelaySocket, first: (frame: Frame) => void): void {
    let control = first;
    socket.listen({
      control: (frame) => {
        const take = control;
        control = (later) => this.#onControl(later);
        take(frame);
      },
      message: (number, body) => this.#onMessage(number, body),
      settled: () => this.#confirm(),
      ended: (why, nonsense) => {
        if (this.socket !== socket) return;
        this.flowing = false;
        this.hosted.post({ type: 'link.lost', why: nonsense ? `it broke the protocol: ${why}` : why });
      },
    });
  }

  #onWelcome(socket: RelaySocket, frame: Frame): void {
    if (frame.t === 'refused') {
      const why = textOf(frame, 'why', 1024);
      return this.hosted.post({
        type: 'peer.refused',
        error: IpcError.of('ERR_RELAY_REFUSED', this.name, why).toJSON(),
      });
    }
    const welcome = parseWelcome(frame);
    const { keys, anyName } = this.settings;
    const names = socket.identities;
    if (keys && !anyName && !names?.includes(welcome.node)) {
      const why = misnamed(welcome.node, names);
      return this.hosted.post({
        type: 'peer.refused',
        error: IpcError.of('ERR_RELAY_REFUSED', this.name, `we will not have it: ${why}`).toJSON(),
      });
    }
    if (welcome.resumed && welcome.me !== this.incarnation)
      throw new Error('it goes on with what was never begun');
    this.node = welcome.node;
    this.role = welcome.role;
    socket.trust();
    if (this.#agree(welcome.resumed, welcome)) this.hosted.post({ type: 'peer.welcomed' });
  }

  /** Both know now where they are. */
  #agree(resumed: boolean, { me, got, window }: { me: string; got: number; window: LineWindow }): boolean {
    let lost = 0;
    if (resumed) {
      try {
        this.line.resume(got, window);
      } catch (error) {
        this.socket?.destroy();
        this.socket = undefined;
        this.hosted.post({ type: 'link.lost', why: `it broke the protocol: ${messageOf(error)}` });
        // Neither of us can go on from here: the next hello begins anew.
        this.incarnation = '';
        return false;
      }
    } else lost = this.line.restart(window);
    this.incarnation = me;
    this.flowing = true;
    this.#noteHeard();
    const { waiting } = this.line.stats;
    if (this.observer) this.observer.opened(!resumed, lost, waiting);
    else this.#openedEarly = { fresh: !resumed, lost, waiting };
    return true;
  }

  #onMessage(number: number, body: Buffer): void {
    if (!this.flowing) throw new Error('a message before the welcome');
    if (!this.line.take(number)) return;
    const message = decodeFrame(body);
    if (this.observer) this.observer.message(message);
    else this.#early.push(message);
  }

  #onControl(frame: Frame): void {
    if (frame.t === 'got' || frame.t === 'beat') {
      this.line.confirm(wholeOf(frame, 'got'));
      if (this.flowing) this.pump();
      this.#drained();
    } else if (frame.t === 'bye') this.hosted.post({ type: 'peer.goodbye', why: textOf(frame, 'why', 1024) });
    else throw new Error(`a frame of unknown type ${frame.t}`);
  }

  #confirm(): void {
    const got = this.line.confirmation();
    if (got !== undefined) this.socket?.send({ t: 'got', got });
  }

  #drained(): void {
    if (this.draining && this.line.empty) this.hosted.post({ type: 'line.drained' });
  }

  #noteHeard(): void {
    this.#heardAtMs = this.#host.clock.now();
  }
}

const peers = new Handles<LinkPeer>('link');

const linkPeerLogic = linkPeerMachine.provide({
  actions: {
    dial: ({ self }) => peers.of(self).dial(),
    greet: ({ self }) => peers.of(self).greet(),
    resume: ({ self }) => peers.of(self).pump(),
    beat: ({ self }) => peers.of(self).beat(),
    drain: ({ self }) => peers.of(self).drain(),
    hangUp: ({ self }) => peers.of(self).hangUp(peers.of(self).draining),
    tearDown: ({ self, context }) => peers.of(self).tearDown(context.why ?? ''),
    report: ({ self }, report) => {
      const peer = peers.of(self);
      if (report.type === 'link.lost') peer.observer?.lost(report.why);
      logReport(peer, report);
    },
  },
});

function logReport(
  peer: LinkPeer,
  report: { type: string; why?: string; error?: { message: string } },
): void {
  const { log } = hostOf.get(peer)!;
  const facts = { peer: peer.name };
  if (report.type === 'link.failed') {
    if (peer.failedWhy !== report.why)
      log.warn(facts, `no link with ${peer.name}: ${report.why}; it is tried again and again`);
    peer.failedWhy = report.why ?? '';
    return;
  }
  peer.failedWhy = '';
  if (report.type === 'link.open') log.info(facts, `link with ${peer.name} is open`);
  else if (report.type === 'link.refused') log.error(facts, report.error!.message);
  else if (report.type === 'link.lost') log.warn(facts, `link with ${peer.name} is lost: ${report.why}`);
  else log.info(facts, `link with ${peer.name} is closed: ${report.why}`);
}
const hostOf = new WeakMap<LinkPeer, Host>();

/** A link that we open, or one that a peer has opened with its hello; then `arrive` follows. */
export function startLinkPeer(host: Host, settings: Settings): LinkPeer {
  const { address, endpoint, times, hello } = settings;
  const peer = new LinkPeer(host, settings);
  hostOf.set(peer, host);
  peer.hosted = host.start(linkPeerLogic, {
    address,
    input: {
      peer: endpoint ? nameOfEndpoint(endpoint) : (hello?.node ?? ''),
      side: endpoint ? 'dials' : 'accepts',
      ...times,
      seed: Math.floor(host.random() * 2 ** 31),
    },
    bind: (actor, hosted) => {
      peer.hosted = hosted;
      peers.bind(actor, peer);
    },
  });
  return peer;
}
