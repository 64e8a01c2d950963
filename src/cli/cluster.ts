// `cluster init`: writes the servers of an engine, and what the nodes of each role need to use them.
import { relative } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { initCluster } from '../runtime/cluster-init.ts';
import { parseClusterNodes } from '../spec/nats-cluster.ts';
import { type NatsGrant, type NatsUserRole, natsGrants, parseGrant } from '../spec/nats-grants.ts';
import { natsDefaults } from '../spec/relay-nats.ts';
import { wholeNumber } from './tree-options.ts';

interface Options {
  readonly nodes: string;
  readonly cluster: string;
  readonly out: string;
  readonly home?: string;
  readonly monitor?: number;
  readonly days: number;
  readonly grant: readonly string[];
  readonly json?: boolean;
}

export function clusterCommand(): Command {
  return new Command('cluster')
    .description('prepare the engine of a relay in the mode nats')
    .addCommand(clusterInitCommand());
}

function clusterInitCommand(): Command {
  return new Command('init')
    .exitOverride()
    .showHelpAfterError('(see "actor-ipc cluster init --help")')
    .description('write the configuration, certificates and users of one, three or five nats-servers')
    .requiredOption(
      '-n, --nodes <list>',
      'NAME=HOST:PORT:ROUTEPORT,... (ports: 4222 and 6222; without a host the name is one)',
    )
    .option(
      '-c, --cluster <name>',
      'its name, and that of its subjects and buckets',
      clusterName,
      natsDefaults.cluster,
    )
    .option('-o, --out <folder>', 'where to write; empty, or not there', 'cluster')
    .option(
      '--home <folder>',
      "where a server's folder will stand on its machine (default: where it is written)",
    )
    .option('--monitor <port>', 'of the HTTP monitoring at 127.0.0.1 (default: none)', wholeNumber)
    .option('--days <days>', 'how long the certificates last', wholeNumber, 825)
    .option(
      '-g, --grant <role=what>',
      'what a role may do beside its own: leases, kv, blobs, topic:NAME, with commas between',
      (text: string, all: readonly string[]) => [...all, text],
      [],
    )
    .option('--json', 'print what was written as JSON')
    .action(async ({ nodes, cluster, out, home, monitor, days, grant, json }: Options) => {
      const files = await initCluster({
        folder: out,
        cluster,
        nodes: parseClusterNodes(nodes),
        grants: grantsOf(grant),
        home,
        monitorPort: monitor,
        days,
      });
      const here = (path: string) => relative(process.cwd(), path) || '.';
      const lines = [
        ...Object.entries(files.servers).map(
          ([name, folder]) =>
            `server ${name.padEnd(12)} ${here(folder)}: nats-server -c ${home ?? here(folder)}/nats.conf`,
        ),
        ...Object.entries(files.roles).map(([role, file]) => `role   ${role.padEnd(12)} ${here(file)}`),
        `Look at it with: actor-ipc doctor --nats ${here(files.roles.relay)}`,
        `Keep ${here(out)}/authority away from all of them: whoever has it can make servers.`,
      ];
      process.stdout.write(json ? `${JSON.stringify(files, null, 2)}\n` : `${lines.join('\n')}\n`);
    });
}

function clusterName(text: string): string {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(text))
    throw new InvalidArgumentError('it has letters, digits, "_" and "-".');
  return text;
}

/** Several for one role add up. @throws {IpcError} ERR_OPTIONS_INVALID. */
function grantsOf(texts: readonly string[]): Partial<Record<NatsUserRole, NatsGrant>> {
  const all: Partial<Record<NatsUserRole, NatsGrant>> = {};
  for (const text of texts) {
    const { role, grant } = parseGrant(text);
    const known = all[role] ?? natsGrants[role];
    all[role] = {
      ...grant,
      leases: known.leases || grant.leases,
      kv: known.kv || grant.kv,
      blobs: known.blobs || grant.blobs,
      topics: known.topics === 'all' || grant.topics === 'all' ? 'all' : [...known.topics, ...grant.topics],
    };
  }
  return all;
}
