// Relay: ways to open one. A hub in this process, with links to it for those on other machines, or a link to a hub elsewhere.
import { readFileSync } from 'node:fs';
import { IpcError, messageOf } from '../errors.ts';
import { type Address, addressOf } from '../names.ts';
import type { RelayRole } from '../spec/relay.ts';
import { type LinkTimes, type LinkTls, linkTimes, type RelayEndpoint } from '../spec/relay-link.ts';
import { type HubOptions, RelayHub } from '../transport/relay-hub.ts';
import { RelayMember } from '../transport/relay-member.ts';
import { localPorts } from '../transport/relay-port.ts';
import { checkKeys, type LinkKeys } from '../transport/relay-socket.ts';
import type { Host } from './hosting.ts';
import { type LinkPeer, type LinkStats, newIncarnation, startLinkPeer } from './link-peer.ts';
import { type Admit, type RefusedWhy, RelayListener } from './relay-listener.ts';

/** One place at which a relay listens. */
export type RelayListen = RelayEndpoint & {
  readonly tls?: LinkTls | undefined;
  /** Who may come there; default: everybody. */
  readonly roles?: readonly RelayRole[];
};

/** Options of `serveRelay`: who this node is, and where it listens. */
export interface ServeRelayOptions extends HubOptions {
  readonly node: string;
  readonly role?: RelayRole;
  /** Nodes of another cluster are refused. Default: ''. */
  readonly cluster?: string | undefined;
  /** Nowhere: a relay of this process alone. */
  readonly listen?: readonly RelayListen[];
  /** Asked for each node that comes. */
  readonly admit?: Admit | undefined;
  readonly times?: Partial<LinkTimes> | undefined;
}

/** Options of `connectRelay`: who this node is, and where its relay listens. */
export interface ConnectRelayOptions {
  readonly node: string;
  readonly role?: RelayRole;
  readonly cluster?: string | undefined;
  readonly endpoint: RelayEndpoint;
  readonly tls?: LinkTls | undefined;
  readonly times?: Partial<LinkTimes> | undefined;
}

/** A relay that runs in this process. */
export interface RelayServing extends AsyncDisposable {
  readonly hub: RelayHub;
  /** The use of the hub by this process itself. */
  readonly own: RelayMember;
  /** Where it listens: ports that were chosen by the system are known here. */
  readonly ports: readonly (number | undefined)[];
  /** How many were refused, by reason. */
  readonly refused: Readonly<Record<RefusedWhy, number>>;
  readonly links: readonly ({ node: string; role: RelayRole } & LinkStats)[];
  /** Another node of this process. */
  member(node: string, role: RelayRole): RelayMember;
  /** Closes all links and listens no more. Twice is fine. */
  close(): Promise<void>;
}

const everybody: readonly RelayRole[] = ['relay', 'front', 'sibling', 'expansion', 'aging', 'gateway'];

/**
 * Opens a hub, and listens for nodes of other processes and machines.
 * @throws {IpcError} ERR_SYSTEM if it can't listen there, ERR_RELAY_CONFIG for certificates that are none.
 */
export async function serveRelay(
  host: Host,
  address: Address,
  options: ServeRelayOptions,
): Promise<RelayServing> {
  const { node, role = 'relay', cluster = '', listen = [], times, admit, ...hubOptions } = options;
  const hub = new RelayHub(hubOptions);
  const self = { node, role, cluster, incarnation: newIncarnation() };
  const members: RelayMember[] = [];
  const listeners: RelayListener[] = [];
  const member = (name: string, memberRole: RelayRole) => {
    const [near, far] = localPorts({ node: name, role: memberRole }, { node, role });
    hub.join(far);
    const made = new RelayMember(near, {
      mode: listen.length > 0 ? 'link' : 'local',
      node: name,
      role: memberRole,
    });
    members.push(made);
    return made;
  };
  const close = async () => {
    await Promise.all(members.map((each) => each.close()));
    await Promise.all(listeners.map((each) => each.close()));
  };
  const own = member(node, role);
  try {
    for (const [index, { tls, roles = everybody, ...endpoint }] of listen.entries())
      listeners.push(
        await RelayListener.open(host, {
          address: addressOf(address, `link-${index + 1}`),
          self,
          times: { ...linkTimes, ...times },
          endpoint,
          keys: tls && readKeys(tls),
          peerNames: tls?.peerNames,
          anyName: tls?.anyName ?? false,
          roles,
          admit,
          onPeer: (peer) => hub.join(peer),
        }),
      );
  } catch (error) {
    await close();
    throw error;
  }
  return {
    hub,
    own,
    member,
    close,
    [Symbol.asyncDispose]: close,
    ports: listeners.map(({ port }) => port),
    get refused() {
      const total = { ...listeners[0]?.refused } as Record<RefusedWhy, number>;
      for (const { refused } of listeners.slice(1))
        for (const [why, count] of Object.entries(refused)) total[why as RefusedWhy] += count;
      return total;
    },
    get links() {
      return listeners.flatMap(({ peers }) =>
        peers.map((peer) => ({ node: peer.node, role: peer.role, ...peer.stats })),
      );
    },
  };
}

/**
 * Joins a hub on this machine or on another one. The link is opened in the background, and again whenever it is lost.
 * @throws {IpcError} ERR_RELAY_CONFIG for certificates that are none.
 */
export function connectRelay(host: Host, address: Address, options: ConnectRelayOptions): RelayMember {
  return new RelayMember(linkTo(host, address, options), {
    mode: 'link',
    node: options.node,
    role: options.role ?? 'front',
  });
}

/** A link to a hub, as a port. @throws {IpcError} ERR_RELAY_CONFIG. */
export function linkTo(host: Host, address: Address, options: ConnectRelayOptions): LinkPeer {
  const { node, role = 'front', cluster = '', endpoint, tls, times } = options;
  return startLinkPeer(host, {
    address,
    self: { node, role, cluster, incarnation: newIncarnation() },
    times: { ...linkTimes, ...times },
    endpoint,
    keys: tls && readKeys(tls),
    peerNames: tls?.peerNames,
    anyName: tls?.anyName ?? false,
  });
}

/** @throws {IpcError} ERR_RELAY_CONFIG. */
export function readKeys({ ca, cert, key, serverName }: LinkTls): LinkKeys {
  const read = (what: string, file: string) => {
    try {
      return readFileSync(file);
    } catch (error) {
      throw IpcError.from(error, 'ERR_RELAY_CONFIG', `tls.${what}`, messageOf(error));
    }
  };
  const keys = {
    ca: [ca].flat().map((file) => read('ca', file)),
    cert: read('cert', cert),
    key: read('key', key),
    serverName,
  };
  try {
    checkKeys(keys);
  } catch (error) {
    throw IpcError.from(error, 'ERR_RELAY_CONFIG', `tls with ${cert} and ${key}`, messageOf(error));
  }
  return keys;
}
