// NATS probe: looks at an engine as a node of some role would find it, and changes nothing there but the mark of a deleted row.
import { randomUUID } from 'node:crypto';
import { messageOf } from '../errors.ts';
import { natsRolePermissions } from '../spec/nats-grants.ts';
import { type NatsOptions, natsDefaults } from '../spec/relay-nats.ts';
import { NatsConnection } from './nats-connection.ts';
import { dialNats, jetStreamOff, tooOld } from './nats-dial.ts';
import { skewOf } from './nats-registry.ts';
import { NatsTable } from './nats-table.ts';
import { differencesOf, tableConfig, tableStream, tableWants } from './nats-table-config.ts';

export interface ServerFacts {
  readonly url: string;
  /** As the other servers know it; undefined: it let nobody in. */
  readonly name?: string;
  readonly version?: string;
  readonly cluster?: string;
  readonly answerMs?: number;
  /** Places of the servers of its cluster, as it knows them. */
  readonly others: readonly string[];
  /** What is wrong with it. */
  readonly why?: string;
}

/** Each by a connection of its own. */
export function probeServers(options: NatsOptions): Promise<ServerFacts[]> {
  return Promise.all(options.servers.map((url) => probeServer({ ...options, servers: [url] }, url)));
}

async function probeServer(options: NatsOptions, url: string): Promise<ServerFacts> {
  try {
    const client = await dialNats(options, { alone: true });
    try {
      const {
        version = '0',
        server_name: name = '',
        cluster,
        jetstream,
        connect_urls: others,
      } = client.info!;
      const answerMs = await client.rtt();
      const why = tooOld(version) ?? (jetstream === true ? undefined : jetStreamOff);
      return {
        url,
        name,
        version,
        ...(cluster !== undefined && { cluster }),
        answerMs,
        others: others ?? [],
        ...(why !== undefined && { why }),
      };
    } finally {
      await client.close();
    }
  } catch (error) {
    return { url, others: [], why: messageOf(error) };
  }
}

export interface TableFacts {
  readonly stream: string;
  readonly isThere: boolean;
  readonly differences: readonly string[];
  /** Servers that ought to have it, and don't have all of it now. */
  readonly behind: readonly string[];
}

/** One connection to the engine, as a node has it. */
export class NatsProbe implements AsyncDisposable {
  readonly #link: NatsConnection;
  readonly #cluster: string;
  readonly #replicas: number;

  /** @throws {IpcError} ERR_RELAY_UNAVAILABLE, ERR_RELAY_REFUSED, ERR_RELAY_CONFIG. */
  static async open(options: NatsOptions): Promise<NatsProbe> {
    const { cluster = natsDefaults.cluster, replicas = natsDefaults.replicas } = options;
    return new NatsProbe(await NatsConnection.open(options), cluster, replicas);
  }

  private constructor(link: NatsConnection, cluster: string, replicas: number) {
    this.#link = link;
    this.#cluster = cluster;
    this.#replicas = replicas;
  }

  /** Subjects of the role that the engine refuses, as they stand among its permissions. */
  async missingPermissions(): Promise<string[]> {
    const { publish, subscribe } = natsRolePermissions(this.#cluster, this.#link.role);
    const { client } = this.#link;
    const before = this.#link.violations.length;
    const asked = new Map<string, string>();
    for (const pattern of publish) {
      // With the right to do so an empty order would be carried out.
      if (/PURGE|DELETE/.test(pattern)) continue;
      const subject = pattern.replaceAll('*', 'probe').replace('>', 'probe.probe');
      asked.set(subject, `publish ${pattern}`);
      // What a table would take is refused for its revision.
      const headers = this.#link.headers();
      headers.set('Nats-Expected-Last-Subject-Sequence', String(Number.MAX_SAFE_INTEGER));
      client.publish(subject, new Uint8Array(), { headers });
    }
    const held = subscribe.map((pattern) => {
      asked.set(pattern, `subscribe ${pattern}`);
      return client.subscribe(pattern, {
        callback: (error) => {
          if (error) this.#link.violations.push(messageOf(error));
        },
      });
    });
    await this.#link.flush();
    await new Promise((resolve) => setImmediate(resolve));
    for (const each of held) each.unsubscribe();
    const refused = this.#link.violations.slice(before).map((text) => /"([^"]+)"/.exec(text)?.[1] ?? '');
    return [...new Set(refused)].flatMap((subject) => asked.get(subject) ?? []);
  }

  async tables(): Promise<TableFacts[]> {
    const facts: TableFacts[] = [];
    for (const want of tableWants(this.#cluster, this.#replicas)) {
      const stream = tableStream(want);
      try {
        const { config, cluster } = await this.#link.ask(`a look at ${stream}`, () =>
          this.#link.streams.info(stream),
        );
        const behind = (cluster?.replicas ?? [])
          .filter(({ current, offline }) => !current || offline === true)
          .map(({ name }) => name);
        const differences = differencesOf(config as unknown as Record<string, unknown>, tableConfig(want));
        facts.push({ stream, isThere: true, differences, behind });
      } catch (error) {
        if (!/stream not found/i.test(messageOf(error))) throw error;
        facts.push({ stream, isThere: false, differences: [], behind: [] });
      }
    }
    return facts;
  }

  /** How far the clock of this machine is ahead of the engine's, in ms. The table of nodes must be there. */
  async clockSkewMs(wallMs: () => number): Promise<number> {
    const [nodes] = tableWants(this.#cluster, this.#replicas);
    const table = await NatsTable.open(this.#link, nodes!, {});
    const key = `${this.#link.role}.${randomUUID().replaceAll('-', '')}`;
    const askedMs = wallMs();
    await table.write(key, {}, { deleted: true });
    const answeredMs = wallMs();
    return skewOf(askedMs, await table.writtenAtMs(key), answeredMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#link.close();
  }
}
