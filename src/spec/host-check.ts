// Host check: places, edges between hosts, and the relay between the roots. What can't be kept when hosts lose sight of each other is
// refused, with the reason.
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { nearest } from '../names.ts';
import { type ChildSpec, edgeOf, isOfActors, type SupervisorSpec, type Topology } from './child.ts';
import { type HostSpec, type HostsRelay, hostsDefaults, silentAfterMinMs } from './host.ts';
import type { LinkTls } from './relay-link.ts';
import type { hostSchema, hostsRelaySchema } from './topology-schema.ts';

type ParsedHosts = Readonly<Record<string, z.output<typeof hostSchema>>>;
type ParsedRelay = z.output<typeof hostsRelaySchema>;
type Placed = Pick<Topology, 'children' | 'strategy' | 'autoShutdown'>;

/** The root of a host tells the others of each of its units in one record. */
const unitsMax = 64;

/** Hosts and relay with all defaults. */
export function checkHosts(
  hosts: ParsedHosts | undefined,
  relay: ParsedRelay | undefined,
  topology: Placed,
  file: string,
  mistakes: string[],
): Pick<Topology, 'hosts' | 'relay'> {
  if (!hosts) {
    if (relay) mistakes.push('relay: only the roots of several hosts need one; name them in "hosts"');
    for (const [id, { host }] of Object.entries(topology.children))
      if (host !== undefined)
        mistakes.push(`children.${id}.host: the topology names no hosts; list them in "hosts"`);
    checkNested(topology.children, 'children', mistakes);
    return {};
  }
  const names = Object.keys(hosts);
  if (names.length === 0) mistakes.push('hosts: at least one host is needed');
  checkPlaces(topology, names, mistakes);
  checkNested(topology.children, 'children', mistakes);
  checkEdges(topology.children, mistakes);
  const folder = dirname(file);
  const completed = Object.fromEntries(
    Object.entries(hosts).map(([name, { hostname = name, tls }]): [string, HostSpec] => [
      name,
      { hostname, ...(tls && { tls: tlsOf(tls, folder) }) },
    ]),
  );
  const hostnames = Object.values(completed).map(({ hostname }) => hostname);
  for (const [index, name] of hostnames.entries())
    if (hostnames.indexOf(name) < index)
      mistakes.push(`hosts.${names[index]}.hostname: ${name} is that of another host, too`);
  if (!relay) {
    mistakes.push(
      'relay: is missing; say how the roots of the hosts reach each other: { mode: "link", hub, address, port } or { mode: "nats", servers }',
    );
    return { hosts: completed };
  }
  return { hosts: completed, relay: relayOf(relay, completed, folder, mistakes) };
}

function checkPlaces(
  { children, strategy, autoShutdown }: Placed,
  names: string[],
  mistakes: string[],
): void {
  const counts = new Map<string, number>();
  for (const [id, { host }] of Object.entries(children)) {
    const at = `children.${id}.host`;
    if (host === undefined)
      mistakes.push(`${at}: is missing; where hosts are named, each unit says its own: ${names.join(', ')}`);
    else if (!names.includes(host))
      mistakes.push(`${at}: there is no host ${host}${hint(host, names)}; there are ${names.join(', ')}`);
    else counts.set(host, (counts.get(host) ?? 0) + 1);
  }
  for (const [host, count] of counts)
    if (count > unitsMax)
      mistakes.push(
        `hosts.${host}: it has ${count} units beside each other, and roots tell each other of ${unitsMax} at most; put some below a supervisor()`,
      );
  if (strategy !== 'one-for-one')
    mistakes.push(
      `strategy: ${strategy} restarts units together, which can't be kept between hosts; put those of one host below a supervisor()`,
    );
  if (autoShutdown !== 'never')
    mistakes.push(
      `autoShutdown: ${autoShutdown} would end the root of one host alone; put the units of one host below a supervisor()`,
    );
}

/** What stands below a supervisor runs where that does. */
function checkNested(
  children: SupervisorSpec['children'],
  path: string,
  mistakes: string[],
  top = true,
): void {
  for (const [id, child] of Object.entries(children)) {
    const at = `${path}.${id}`;
    if (!top && child.host !== undefined)
      mistakes.push(`${at}.host: it runs on the host of its supervisor; only units of the root have a host`);
    if (child.kind === 'supervisor')
      checkNested(child.children as SupervisorSpec['children'], `${at}.children`, mistakes, false);
    for (const pooled of pooledIn(child))
      if (pooled.host !== undefined) mistakes.push(`${at}.child.host: it runs on the host of its supervisor`);
  }
}

function pooledIn(child: ChildSpec): ChildSpec[] {
  if (isOfActors(child)) return child.template ? [child.template] : [];
  return child.kind === 'supervisor' && child.pool ? [child.pool] : [];
}

function checkEdges(children: Placed['children'], mistakes: string[]): void {
  for (const [id, child] of Object.entries(children)) {
    const far = Object.entries(child.dependsOn).filter(
      ([parent]) => Object.hasOwn(children, parent) && children[parent]!.host !== child.host,
    );
    for (const [parent, edge] of far)
      if (edgeOf(edge).mode === 'conflicts')
        mistakes.push(
          `children.${id}.dependsOn.${parent}: conflicts can't be kept between hosts: while they don't hear each other, both could be up; put both on one host, or use a lease of the relay`,
        );
    if (child.onPartition !== undefined && far.length === 0)
      mistakes.push(
        `children.${id}.onPartition: it depends on no unit of another host, so it has no meaning here`,
      );
  }
}

function relayOf(
  relay: ParsedRelay,
  hosts: Record<string, HostSpec>,
  folder: string,
  mistakes: string[],
): HostsRelay {
  const { mode, silentAfterMs = hostsDefaults.silentAfterMs } = relay;
  if (silentAfterMs < silentAfterMinMs)
    mistakes.push(`relay.silentAfterMs: it must be ${silentAfterMinMs} or more, not ${silentAfterMs}`);
  const foreign = mode === 'link' ? natsKeys : linkKeys;
  for (const key of foreign)
    if (relay[key] !== undefined) mistakes.push(`relay.${key}: has no meaning with mode "${mode}"`);
  if (mode === 'nats') {
    const { servers = [], auth, tls, replicas = 1 } = relay;
    if (servers.length === 0)
      mistakes.push('relay.servers: is missing; name those of NATS, as nats://host:4222');
    for (const [name, host] of Object.entries(hosts))
      if (host.tls) mistakes.push(`hosts.${name}.tls: is for links; with NATS it stands in "relay"`);
    return {
      mode,
      servers,
      ...(auth && { auth: inFolder(auth, folder) as never }),
      ...(tls && { tls: inFolder(tls, folder) as never }),
      replicas,
      silentAfterMs,
    };
  }
  return linkOf(relay, hosts, silentAfterMs, mistakes);
}

function linkOf(
  relay: ParsedRelay,
  hosts: Record<string, HostSpec>,
  silentAfterMs: number,
  mistakes: string[],
): HostsRelay {
  const names = Object.keys(hosts);
  const { hub = names[0] ?? '', address, port = hostsDefaults.port, path, bind, insecure } = relay;
  if (!names.includes(hub))
    mistakes.push(`relay.hub: there is no host ${hub}${hint(hub, names)}; there are ${names.join(', ')}`);
  if ((address === undefined) === (path === undefined))
    mistakes.push('relay: it needs either an address at which the hub is reached, or a path on one machine');
  const bare = names.filter((name) => !hosts[name]!.tls);
  // Who comes in there may stop units and read what they do.
  if (address !== undefined && bare.length > 0 && insecure !== true)
    mistakes.push(
      `relay: a link over the network needs "tls" in hosts.${bare.join(', hosts.')}; "insecure": true goes without, for a network to which nobody else has access`,
    );
  if (insecure === true && bare.length === 0)
    mistakes.push('relay.insecure: all hosts have "tls", so it has no meaning here');
  return {
    mode: 'link',
    hub,
    ...(path === undefined ? { address: address ?? '', port } : { path }),
    ...(insecure === true && { insecure }),
    ...(bind !== undefined && { bind }),
    silentAfterMs,
  };
}

const linkKeys = ['hub', 'address', 'port', 'path', 'bind', 'insecure'] as const;
const natsKeys = ['servers', 'auth', 'tls', 'replicas'] as const;

function tlsOf({ ca, cert, key, ...rest }: z.output<typeof hostSchema>['tls'] & {}, folder: string): LinkTls {
  const at = (file: string) => resolve(folder, file);
  return {
    ca: typeof ca === 'string' ? at(ca) : ca.map(at),
    cert: at(cert),
    key: at(key),
    ...(JSON.parse(JSON.stringify(rest)) as object),
  };
}

/** Files are relative to the topology, a user's name is none. */
function inFolder(
  files: Readonly<Record<string, string | undefined>>,
  folder: string,
): Record<string, string> {
  return Object.fromEntries(
    Object.entries(files).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, key === 'user' ? value : resolve(folder, value)]],
    ),
  );
}

function hint(word: string, known: readonly string[]): string {
  const near = nearest(word, known);
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}
