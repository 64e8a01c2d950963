// NATS cluster: the servers of an engine, as `cluster init` is told of them, and the configuration of each. Users have keys (nkeys) and
// the permissions of their role; who may is written in one plain authorization block, since of accounts 2.9 has let in strangers.
import { isIP } from 'node:net';
import { IpcError } from '../errors.ts';
import { isName, nameRule } from '../names.ts';
import type { NatsPermissions } from './nats-grants.ts';

export interface ClusterNode {
  readonly name: string;
  /** Its address for clients and for the other servers, which it listens on. */
  readonly host: string;
  readonly port: number;
  readonly routePort: number;
}

/** One who may come in, by the public half of a key. Without permissions: everything. */
export interface ClusterUser {
  readonly role: string;
  readonly nkey: string;
  readonly permissions?: NatsPermissions;
}

export interface ServerPlan {
  readonly cluster: string;
  readonly node: ClusterNode;
  readonly nodes: readonly ClusterNode[];
  readonly users: readonly ClusterUser[];
  /** The folder of this file, on the machine of the server. */
  readonly home: string;
  /** At 127.0.0.1; undefined: no monitoring. */
  readonly monitorPort?: number | undefined;
}

export const clusterPorts = { client: 4222, route: 6222 } as const;

/**
 * Reads `NAME=HOST:PORT:ROUTEPORT,...`; without a host the name is one, and the ports have defaults.
 * @throws {IpcError} ERR_OPTIONS_INVALID.
 */
export function parseClusterNodes(text: string): ClusterNode[] {
  const wrong = (why: string) => IpcError.of('ERR_OPTIONS_INVALID', `--nodes ${text}`, why);
  const nodes = text.split(',').map((each): ClusterNode => {
    const [name = '', place = ''] = each.split('=', 2);
    const [host = '', port = clusterPorts.client, routePort = clusterPorts.route, ...rest] =
      place === '' ? [name] : place.split(':');
    if (!isName(name)) throw wrong(`${JSON.stringify(name)} is no name: ${nameRule}`);
    if (!/^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(host) || rest.length > 0)
      throw wrong(`${JSON.stringify(each)} is none of NAME, NAME=HOST, NAME=HOST:PORT:ROUTEPORT`);
    const [client, route] = [port, routePort].map(Number) as [number, number];
    for (const number of [client, route])
      if (!Number.isInteger(number) || number < 1 || number > 65_535)
        throw wrong(`the ports of ${name} are whole numbers from 1 to 65535`);
    return { name, host, port: client, routePort: route };
  });
  if (![1, 3, 5].includes(nodes.length))
    throw wrong(
      `${nodes.length} servers; it takes 3 to bear the death of one (5 for two, 1 for none): a majority decides`,
    );
  if (new Set(nodes.map(({ name }) => name)).size < nodes.length)
    throw wrong('each server has a name of its own');
  const places = nodes.flatMap(({ host, port, routePort }) => [`${host}:${port}`, `${host}:${routePort}`]);
  if (new Set(places).size < places.length)
    throw wrong('two listen at one place; give those of one host ports of their own');
  return nodes;
}

/**
 * What a server's certificate is made out to, in the words of openssl: the cluster, which is what nodes look at, since servers tell them
 * of each other; and its host, which is what the other servers look at.
 */
export function alternativeNames(cluster: string, { host }: ClusterNode): string {
  return `DNS:${cluster},${isIP(host) === 0 ? 'DNS' : 'IP'}:${host}`;
}

export function clientUrls(nodes: readonly ClusterNode[]): string[] {
  return nodes.map(({ host, port }) => `tls://${host}:${port}`);
}

/** The text of a nats-server's configuration. */
export function serverConfig({ cluster, node, nodes, users, home, monitorPort }: ServerPlan): string {
  const quoted = (text: string) => JSON.stringify(text);
  const files = (indent: string) =>
    [`cert_file: ${quoted(`${home}/server.pem`)}`, `key_file: ${quoted(`${home}/server.key`)}`]
      .concat(`ca_file: ${quoted(`${home}/ca.pem`)}`)
      .map((line) => `${indent}${line}\n`)
      .join('');
  const routes = nodes
    .filter(({ name }) => name !== node.name)
    .map(({ host, routePort }) => `    ${quoted(`nats-route://${host}:${routePort}`)}\n`);
  return `# ${node.name}, a server of the cluster ${cluster}. Start it with: nats-server -c ${home}/nats.conf
server_name: ${quoted(node.name)}
listen: ${quoted(`${node.host}:${node.port}`)}
${monitorPort === undefined ? '' : `http: ${quoted(`127.0.0.1:${monitorPort}`)}\n`}
# A server that is cut off from the others notices it within 3 s.
ping_interval: "1s"
ping_max: 2

jetstream {
  store_dir: ${quoted(`${home}/tables`)}
  max_memory_store: 64MB
  max_file_store: 2GB
}

tls {
${files('  ')}  timeout: 3
}
${
  nodes.length === 1
    ? ''
    : `
cluster {
  name: ${quoted(cluster)}
  listen: ${quoted(`${node.host}:${node.routePort}`)}
  routes: [
${routes.join('')}  ]
  # Only servers have certificates of this authority, so only they come in.
  tls {
${files('    ')}    verify: true
    timeout: 3
  }
}
`
}
authorization {
  timeout: 3
  users: [
${users.map(userText).join('')}  ]
}
`;
}

function userText({ role, nkey, permissions }: ClusterUser): string {
  const list = (subjects: readonly string[]) =>
    subjects.map((subject) => `          ${JSON.stringify(subject)}\n`).join('');
  if (!permissions) return `    # ${role}\n    { nkey: ${nkey} }\n`;
  return `    # ${role}
    {
      nkey: ${nkey}
      permissions: {
        publish: { allow: [
${list(permissions.publish)}        ] }
        subscribe: { allow: [
${list(permissions.subscribe)}        ] }
      }
    }
`;
}
