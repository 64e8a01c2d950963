// `check`: loads and validates a topology and prints its tree; nothing is started.
import { Command } from 'commander';
import { loadEnvFile } from '../runtime/env-file.ts';
import { findTopology, loadTopology } from '../runtime/loader.ts';
import { describeMs } from '../runtime/status.ts';
import { type ActorsSpec, describeEdge, type SupervisorSpec, type Topology } from '../spec/child.ts';
import { endpointOf } from '../spec/host.ts';
import { nameOfEndpoint } from '../spec/relay-link.ts';
import { startOrder } from '../spec/start-order.ts';
import { lintTopology, type Warning } from '../spec/topology-lint.ts';
import { paint } from './color.ts';
import { exitCode } from './exit-code.ts';

export function checkCommand(): Command {
  return new Command('check')
    .description('check a topology and print its tree and start order; nothing runs')
    .argument('[file]', 'topology file (default: topology.{ts,mts,js,mjs,yaml,json} here)')
    .option('--env-file <file>', 'variables for the topology (default: .env beside it)')
    .option('--strict', 'fail with code 2 if there is a warning')
    .option('--json', 'print the topology with all defaults filled in, and the warnings')
    .action(check);
}

interface CheckOptions {
  readonly envFile?: string;
  readonly strict?: boolean;
  readonly json?: boolean;
}

async function check(named: string | undefined, { json = false, strict = false, envFile }: CheckOptions) {
  const file = findTopology(named, process.cwd());
  loadEnvFile(file, envFile);
  const topology = await loadTopology(file);
  // Parser and bundler take their time to load, and no other command needs them.
  const { lintPrograms } = await import('../runtime/program-lint.ts');
  const warnings = [...lintTopology(topology), ...(await lintPrograms(topology))];
  process.stdout.write(
    json
      ? `${JSON.stringify({ ...topology, warnings }, null, 2)}\n`
      : `${warnings.map(lineOf).join('')}${describe(topology)}`,
  );
  if (strict && warnings.length > 0) process.exitCode = exitCode.usage;
}

function lineOf({ file, path, text }: Warning): string {
  return `${paint.yellow('warning')} ${file}${path === '' ? '' : `: ${path}`}: ${text}\n`;
}

function describe(topology: Topology): string {
  const arenas = Object.entries(topology.arenas ?? {}).map(
    ([name, { bytes }]) => `arena ${name}, ${bytes} bytes at most`,
  );
  const caches = Object.entries(topology.caches ?? {}).map(
    ([name, { capacity, recordBytes }]) =>
      `cache ${name}, ${capacity} records of ${recordBytes} bytes at most`,
  );
  const lines = [
    `${topology.name} (${topology.strategy})`,
    ...branches(topology, ''),
    ...arenas,
    ...caches,
    ...hosts(topology),
  ];
  return `${lines.join('\n')}\n\nstarts in this order: ${startOrder(topology).join(', ')}\n${topology.file} is valid\n`;
}

function hosts({ hosts: named = {}, relay }: Topology): string[] {
  if (!relay) return [];
  const how =
    relay.mode === 'nats'
      ? `NATS at ${relay.servers.join(', ')}`
      : `links to ${relay.hub} at ${nameOfEndpoint(endpointOf(relay))}`;
  return [
    ...Object.entries(named).map(([name, { hostname }]) =>
      name === hostname ? `host ${name}` : `host ${name}, hostname ${hostname}`,
    ),
    `roots reach each other by ${how}; silent after ${describeMs(relay.silentAfterMs)}`,
  ];
}

function branches(spec: SupervisorSpec | ActorsSpec, indent: string): string[] {
  const children = Object.entries(spec.children);
  return children.flatMap(([id, child], index) => {
    const last = index === children.length - 1;
    const gates = Object.entries(child.dependsOn).map(([parent, edge]) => `${parent}:${describeEdge(edge)}`);
    const what =
      child.kind === 'supervisor'
        ? `supervisor, ${'pool' in child ? 'dynamic' : child.strategy}`
        : 'file' in child
          ? `${child.kind} ${child.file}`
          : child.kind;
    const after = gates.length === 0 ? '' : `, after ${gates.join(' and ')}`;
    const on = child.host === undefined ? '' : `, on ${child.host}`;
    const line = `${indent}${last ? '└─' : '├─'} ${id} (${what}, ${child.restart}${after}${on})`;
    return child.kind === 'supervisor'
      ? [line, ...branches(child, `${indent}${last ? '   ' : '│  '}`)]
      : [line];
  });
}
