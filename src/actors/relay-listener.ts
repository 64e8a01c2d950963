// Relay listener: takes the sockets of those who come, hears their hello, and hands them on. Whoever has not said who it is may
// say little, not for long, and not with many others at once. Each reason to refuse is counted, and told once per host.
import { IpcError, messageOf } from '../errors.ts';
import { type Address, addressOf } from '../names.ts';
import type { RelayRole } from '../spec/relay.ts';
import { type LinkTimes, nameOfEndpoint, type RelayEndpoint } from '../spec/relay-link.ts';
import { parseHello, type RelayHello, relayVersions } from '../transport/relay-hello.ts';
import { type LinkKeys, listenRelay, type RelayServer, type RelaySocket } from '../transport/relay-socket.ts';
import type { Host } from './hosting.ts';
import { type LinkPeer, misnamed, type SelfNode, startLinkPeer } from './link-peer.ts';

/** Why somebody was not let in. */
export type RefusedWhy =
  | 'tls'
  | 'busy'
  | 'late'
  | 'nonsense'
  | 'version'
  | 'cluster'
  | 'role'
  | 'identity'
  | 'taken'
  | 'left';

/** Whether a node may come in, or why not. @param names in its certificate; undefined without TLS. */
export type Admit = (node: string, role: RelayRole, names?: readonly string[]) => boolean | string;

export interface ListenerSettings {
  readonly address: Address;
  readonly self: SelfNode;
  readonly times: LinkTimes;
  readonly endpoint: RelayEndpoint;
  readonly keys?: LinkKeys | undefined;
  readonly peerNames?: readonly string[] | undefined;
  /** With keys: a node may have another name than its certificate. */
  readonly anyName: boolean;
  /** Who may come. */
  readonly roles: readonly RelayRole[];
  readonly admit?: Admit | undefined;
  /** Gets each new peer, before its first message. */
  readonly onPeer: (peer: LinkPeer) => void;
}

/** Those who have not said hello yet. */
const strangersMax = 64;
const peersMax = 1_024;
/** Hosts and reasons that have been told. */
const toldMax = 1_000;

export class RelayListener {
  readonly #host: Host;
  readonly #settings: ListenerSettings;
  readonly #peers = new Map<string, LinkPeer>();
  readonly #strangers = new Set<RelaySocket>();
  readonly #told = new Set<string>();
  readonly refused: Record<RefusedWhy, number> = {
    tls: 0,
    busy: 0,
    late: 0,
    nonsense: 0,
    version: 0,
    cluster: 0,
    role: 0,
    identity: 0,
    taken: 0,
    left: 0,
  };
  #server: RelayServer | undefined;
  #number = 0;

  private constructor(host: Host, settings: ListenerSettings) {
    this.#host = host;
    this.#settings = settings;
  }

  /** @throws {IpcError} ERR_SYSTEM if nothing can listen there. */
  static async open(host: Host, settings: ListenerSettings): Promise<RelayListener> {
    const listener = new RelayListener(host, settings);
    const { endpoint, keys } = settings;
    try {
      listener.#server = await listenRelay(
        endpoint,
        keys,
        (socket) => listener.#accept(socket),
        (why, from) => listener.#note('tls', from, why),
      );
    } catch (error) {
      throw IpcError.from(error, 'ERR_SYSTEM', `listening at ${nameOfEndpoint(endpoint)}`, messageOf(error));
    }
    return listener;
  }

  get port(): number | undefined {
    return this.#server?.port;
  }

  get peers(): readonly LinkPeer[] {
    return [...this.#peers.values()];
  }

  /** Takes nobody any more, and says goodbye to those who are there. */
  async close(): Promise<void> {
    this.#server?.close();
    for (const socket of this.#strangers) socket.destroy();
    this.#strangers.clear();
    await Promise.all(this.peers.map((peer) => peer.close()));
  }

  #accept(socket: RelaySocket): void {
    const { clock } = this.#host;
    if (this.#strangers.size >= strangersMax)
      return this.#refuse(socket, 'busy', 'too many others come at once');
    this.#strangers.add(socket);
    const { dialTimeoutMs } = this.#settings.times;
    const timer = clock.setTimeout(
      () => known() && this.#refuse(socket, 'late', `no hello within ${dialTimeoutMs} ms`),
      dialTimeoutMs,
    );
    const known = () => {
      clock.clearTimeout(timer);
      return this.#strangers.delete(socket);
    };
    socket.listen({
      control: (frame) => {
        let hello: RelayHello;
        try {
          hello = parseHello(frame);
        } catch (error) {
          known();
          return this.#refuse(socket, 'nonsense', messageOf(error));
        }
        known();
        this.#meet(socket, hello);
      },
      message: () => {
        throw new Error('a message before the hello');
      },
      settled() {},
      ended: (why, nonsense) => {
        if (known()) this.#note(nonsense ? 'nonsense' : 'left', socket.fromHost, why);
      },
    });
  }

  #meet(socket: RelaySocket, hello: RelayHello): void {
    const { self, roles, peerNames, anyName, keys, admit } = this.#settings;
    const { versions, cluster, role, node } = hello;
    if (versions.min > relayVersions.max || versions.max < relayVersions.min) {
      const ours = `${relayVersions.min} to ${relayVersions.max}`;
      return this.#refuse(
        socket,
        'version',
        `it speaks versions ${versions.min} to ${versions.max}, we ${ours}`,
      );
    }
    if (cluster !== self.cluster)
      return this.#refuse(
        socket,
        'cluster',
        `it belongs to cluster ${JSON.stringify(cluster)}, we to ${JSON.stringify(self.cluster)}`,
      );
    if (!roles.includes(role))
      return this.#refuse(
        socket,
        'role',
        `here is no place for a node of role ${role}; there is for ${roles.join(', ')}`,
      );
    const names = socket.identities;
    const verdict = admit?.(node, role, names) ?? true;
    if (typeof verdict === 'string') return this.#refuse(socket, 'identity', verdict);
    if (!verdict) return this.#refuse(socket, 'role', `node ${node} is not wanted here`);
    if (keys && peerNames && !names?.some((name) => peerNames.includes(name)))
      return this.#refuse(
        socket,
        'identity',
        `no certificate of ${names?.join(', ') || 'nobody'} is wanted here`,
      );
    if (keys && !anyName && !names?.includes(node))
      return this.#refuse(socket, 'identity', misnamed(node, names));
    const there = this.#peers.get(node);
    // One that is cut off or dead is not heard; its next run, or its next socket, takes the place.
    if (there?.flowing && there.incarnation !== hello.me && there.silenceMs < 2 * this.#settings.times.beatMs)
      return this.#refuse(socket, 'taken', `a node ${node} is connected already`);
    if (!there && this.#peers.size >= peersMax)
      return this.#refuse(socket, 'busy', `${peersMax} nodes are here`);
    socket.trust();
    const peer = there ?? this.#begin(hello);
    peer.role = role;
    peer.arrive(socket, hello);
  }

  #begin(hello: RelayHello): LinkPeer {
    const { address, self, times, onPeer } = this.#settings;
    const peer = startLinkPeer(this.#host, {
      address: addressOf(address, `${hello.node}#${++this.#number}`),
      self,
      times,
      hello,
      onClosed: () => {
        if (this.#peers.get(hello.node) === peer) this.#peers.delete(hello.node);
      },
    });
    this.#peers.set(hello.node, peer);
    onPeer(peer);
    return peer;
  }

  #refuse(socket: RelaySocket, reason: RefusedWhy, why: string): void {
    this.#note(reason, socket.fromHost, why);
    socket.finish({ t: 'refused', reason, why });
  }

  #note(reason: RefusedWhy, from: string, why: string): void {
    this.refused[reason]++;
    const about = `${reason} ${from}`;
    // Somebody who has only looked is no news.
    if (reason === 'left' || this.#told.has(about) || this.#told.size >= toldMax) return;
    this.#told.add(about);
    this.#host.log.warn(
      { actor: this.#settings.address, reason, from },
      `${from} was refused: ${why} (told once; further ones are counted)`,
    );
  }
}
