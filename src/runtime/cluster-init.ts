// Cluster init: writes what the servers of an engine and the nodes that use them need: an authority with a certificate for each server, by
// openssl, which is what people renew them with, and a key for each role, which may do what its role needs and no more.
import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { IpcError, messageOf } from '../errors.ts';
import {
  alternativeNames,
  type ClusterNode,
  type ClusterUser,
  clientUrls,
  serverConfig,
} from '../spec/nats-cluster.ts';
import {
  type NatsGrant,
  type NatsUserRole,
  natsRolePermissions,
  natsUserRoles,
} from '../spec/nats-grants.ts';
import { newNatsUserKey } from '../transport/nats-user.ts';

export interface ClusterInit {
  /** Where all of it is written; empty, or not there yet. */
  readonly folder: string;
  readonly cluster: string;
  readonly nodes: readonly ClusterNode[];
  /** What roles get beside their own. */
  readonly grants?: Partial<Record<NatsUserRole, NatsGrant>>;
  /** Where the folder of a server will stand on its machine; default: where it is written. */
  readonly home?: string | undefined;
  readonly monitorPort?: number | undefined;
  /** How long the certificates last. */
  readonly days?: number;
}

export interface ClusterFiles {
  /** One folder for each server, with its `nats.conf`. */
  readonly servers: Readonly<Record<string, string>>;
  /** One file of options for each role, and for `operator`, who may do everything. */
  readonly roles: Readonly<Record<NatsUserRole | 'operator', string>>;
}

const daysDefault = 825;
const secret = { mode: 0o600 } as const;

/** @throws {IpcError} ERR_SYSTEM if the folder is not empty or can't be written, ERR_PROGRAM_MISSING without openssl. */
export async function initCluster({
  folder: named,
  cluster,
  nodes,
  grants = {},
  home,
  monitorPort,
  days = daysDefault,
}: ClusterInit): Promise<ClusterFiles> {
  const folder = resolve(named);
  const isNew = !existsSync(folder);
  const what = `writing a cluster to ${folder}`;
  if (!isNew && readdirSync(folder).length > 0) throw IpcError.of('ERR_SYSTEM', what, 'it is not empty');
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const authority = new CertificateAuthority(join(folder, 'authority'), cluster, days);
    await authority.create();
    const users: ClusterUser[] = [];
    const roles: Record<string, string> = {};
    for (const role of [...natsUserRoles, 'operator'] as const) {
      const { nkey, seed } = await newNatsUserKey();
      const permissions = role === 'operator' ? undefined : natsRolePermissions(cluster, role, grants[role]);
      users.push({ role, nkey, ...(permissions && { permissions }) });
      const place = join(folder, 'roles', role);
      mkdirSync(place, { recursive: true, mode: 0o700 });
      writeFileSync(join(place, 'user.nk'), `${seed}\n`, secret);
      copyFileSync(authority.certificate, join(place, 'ca.pem'));
      roles[role] = join(place, 'relay.json');
      writeFileSync(
        roles[role],
        `${JSON.stringify(
          {
            cluster,
            role: role === 'operator' ? 'relay' : role,
            servers: clientUrls(nodes),
            replicas: Math.min(3, nodes.length),
            auth: { nkeySeedFile: 'user.nk' },
            tls: { ca: 'ca.pem', serverName: cluster },
          },
          null,
          2,
        )}\n`,
      );
    }
    const servers: Record<string, string> = {};
    for (const node of nodes) {
      const place = join(folder, 'servers', node.name);
      mkdirSync(place, { recursive: true, mode: 0o700 });
      await authority.issue(node, place);
      const config = { cluster, node, nodes, users, home: home ?? place, monitorPort };
      writeFileSync(join(place, 'nats.conf'), serverConfig(config), secret);
      servers[node.name] = place;
    }
    return { servers, roles: roles as ClusterFiles['roles'] };
  } catch (error) {
    // What is half written is of no use, and in the way of the next try.
    for (const part of ['authority', 'roles', 'servers'])
      rmSync(join(folder, part), { recursive: true, force: true });
    if (isNew) rmSync(folder, { recursive: true, force: true });
    if (error instanceof IpcError) throw error;
    throw IpcError.from(error, 'ERR_SYSTEM', what, messageOf(error));
  }
}

const run = promisify(execFile);

class CertificateAuthority {
  readonly certificate: string;
  readonly #folder: string;
  readonly #key: string;
  readonly #cluster: string;
  readonly #days: string;

  constructor(folder: string, cluster: string, days: number) {
    this.#folder = folder;
    this.certificate = join(folder, 'ca.pem');
    this.#key = join(folder, 'ca.key');
    this.#cluster = cluster;
    this.#days = String(days);
  }

  async create(): Promise<void> {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    writeFileSync(this.#key, '', secret);
    await openssl(
      'req',
      '-x509',
      ...newKey(this.#key),
      '-days',
      this.#days,
      '-subj',
      `/CN=${this.#cluster} authority`,
      '-out',
      this.certificate,
    );
  }

  async issue(node: ClusterNode, place: string): Promise<void> {
    const file = (name: string) => join(place, name);
    copyFileSync(this.certificate, file('ca.pem'));
    writeFileSync(file('server.key'), '', secret);
    writeFileSync(
      file('server.ext'),
      `subjectAltName=${alternativeNames(this.#cluster, node)}\nextendedKeyUsage=serverAuth,clientAuth\n`,
    );
    const subject = ['-subj', `/CN=${node.name}`];
    await openssl('req', ...newKey(file('server.key')), ...subject, '-out', file('server.csr'));
    await openssl(
      'x509',
      '-req',
      '-in',
      file('server.csr'),
      '-CA',
      this.certificate,
      '-CAkey',
      this.#key,
      '-CAcreateserial',
      '-days',
      this.#days,
      '-extfile',
      file('server.ext'),
      '-out',
      file('server.pem'),
    );
    for (const name of ['server.csr', 'server.ext']) rmSync(file(name));
  }
}

function newKey(file: string): string[] {
  return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', file];
}

async function openssl(...args: string[]): Promise<void> {
  try {
    await run('openssl', args);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw IpcError.from(
        error,
        'ERR_PROGRAM_MISSING',
        'openssl',
        'it is not on PATH (apt-get install -y openssl)',
      );
    throw error;
  }
}
