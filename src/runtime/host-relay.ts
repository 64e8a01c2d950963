// Host relay: how the root of a host joins the others, as its topology says.
import type { Host } from '../actors/hosting.ts';
import { connectRelay, readKeys, serveRelay } from '../actors/relay.ts';
import { addressOf } from '../names.ts';
import type { Topology } from '../spec/child.ts';
import { endpointOf, type HostsRelay } from '../spec/host.ts';
import type { Relay } from '../spec/relay.ts';
import { NatsMember } from '../transport/nats-member.ts';
import { placedEndpoint } from './relay-place.ts';

/** The part of a topology that one host runs. */
export type HostsTopology = Topology & {
  readonly host: string;
  readonly hosts: NonNullable<Topology['hosts']>;
  readonly relay: HostsRelay;
  readonly elsewhere: NonNullable<Topology['elsewhere']>;
};

/** The roots of one topology see no others. */
const role = 'gateway';

/** Whether that is the part of a topology which one host runs. */
export function isPlaced(topology: Topology): topology is HostsTopology {
  return topology.host !== undefined && topology.relay !== undefined;
}

/** Looks at what needs no other root, so that a mistake is told before anything runs. @throws {IpcError} ERR_RELAY_CONFIG. */
export function checkHostFiles({ hosts, host }: HostsTopology): void {
  const { tls } = hosts[host]!;
  if (tls) readKeys(tls);
}

/** @throws {IpcError} what the relay says; it can be tried again. @returns the relay, and how to end it. */
export async function openHostRelay(
  host: Host,
  topology: HostsTopology,
  runDirectory: string,
): Promise<{ relay: Relay; close(): Promise<void> }> {
  const { name: cluster, hosts, host: node, relay } = topology;
  if (relay.mode === 'nats') {
    const { servers, auth, tls, replicas } = relay;
    const member = await NatsMember.open({ node, role, cluster, servers, auth, tls, replicas });
    return { relay: member, close: () => member.close() };
  }
  const { hub, bind } = relay;
  const { tls } = hosts[node]!;
  const endpoint = placedEndpoint(endpointOf(relay), runDirectory);
  const address = addressOf('hosts', 'relay');
  if (hub !== node) {
    const member = connectRelay(host, address, { node, role, cluster, endpoint, tls });
    return { relay: member, close: () => member.close() };
  }
  const listen = 'path' in endpoint || bind === undefined ? endpoint : { ...endpoint, host: bind };
  const serving = await serveRelay(host, address, {
    ...{ node, role, cluster },
    listen: [{ ...listen, ...(tls && { tls }) }],
    admit: (other, _, names) => whyNot(other, names, topology) ?? true,
  });
  return { relay: serving.own, close: () => serving.close() };
}

/** A hub of this topology alone; and no host passes for another one by its certificate. */
function whyNot(
  other: string,
  names: readonly string[] | undefined,
  { hosts, host, name }: HostsTopology,
): string | undefined {
  if (other === host || !Object.hasOwn(hosts, other)) return `${other} is no other host of ${name}`;
  const own = [other, hosts[other]!.hostname];
  if (!hosts[host]!.tls || own.some((each) => names?.includes(each))) return undefined;
  return `its certificate is made out to ${names?.join(', ') || 'nobody'}, not to host ${own.join(' or ')}`;
}
