// `check`: loads and validates a topology and prints its tree; nothing is started.
import { Command } from 'commander';
import { loadEnvFile } from '../runtime/env-file.ts';
import { findTopology, loadTopology } from '../runtime/loader.ts';
import { type ActorsSpec, describeEdge, type SupervisorSpec, type Topology } from '../spec/child.ts';
import { startOrder } from '../spec/start-order.ts';

export function checkCommand(): Command {
  return new Command('check')
    .description('check a topology and print its tree and start order; nothing runs')
    .argument('[file]', 'topology file (default: topology.{ts,mts,js,mjs,yaml,json} here)')
    .option('--env-file <file>', 'variables for the topology (default: .env beside it)')
    .option('--json', 'print the topology with all defaults filled in')
    .action(
      async (named: string | undefined, { json = false, envFile }: { json?: boolean; envFile?: string }) => {
        const file = findTopology(named, process.cwd());
        loadEnvFile(file, envFile);
        const topology = await loadTopology(file);
        process.stdout.write(json ? `${JSON.stringify(topology, null, 2)}\n` : describe(topology));
      },
    );
}

function describe(topology: Topology): string {
  const arenas = Object.entries(topology.arenas ?? {}).map(
    ([name, { bytes }]) => `arena ${name}, ${bytes} bytes at most`,
  );
  const lines = [`${topology.name} (${topology.strategy})`, ...branches(topology, ''), ...arenas];
  return `${lines.join('\n')}\n\nstarts in this order: ${startOrder(topology).join(', ')}\n${topology.file} is valid\n`;
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
    const line = `${indent}${last ? '└─' : '├─'} ${id} (${what}, ${child.restart}${after})`;
    return child.kind === 'supervisor'
      ? [line, ...branches(child, `${indent}${last ? '   ' : '│  '}`)]
      : [line];
  });
}
