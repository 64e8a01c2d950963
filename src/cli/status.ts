// `status`: asks the root of a running tree and prints its units.
import Table from 'cli-table3';
import { Command } from 'commander';
import { askTree } from '../runtime/control-client.ts';
import { findTopology } from '../runtime/loader.ts';
import { workspaceFolder } from '../runtime/place.ts';
import { describeMs, type TreeStatus, type UnitStatus } from '../runtime/status.ts';
import { paint } from './color.ts';

export function statusCommand(): Command {
  return new Command('status')
    .alias('ps')
    .description('print the units of the running tree')
    .argument('[file]', 'topology file of the tree (default: topology.{ts,mts,js,mjs,yaml,json} here)')
    .option('-w, --workspace <folder>', 'the workspace of the tree, if it is not beside the file')
    .option('--json', 'print it as JSON')
    .action(
      async (
        named: string | undefined,
        { workspace, json = false }: { workspace?: string; json?: boolean },
      ) => {
        const folder = workspace ?? workspaceFolder(findTopology(named, process.cwd()), undefined);
        const status = (await askTree(folder, 'status')) as TreeStatus;
        process.stdout.write(json ? `${JSON.stringify(status, null, 2)}\n` : render(status));
      },
    );
}

function render({ name, pid, uptimeMs, units }: TreeStatus): string {
  const table = new Table({
    head: ['unit', 'state', 'pid', 'starts', 'last exit'],
    style: { head: [], border: [], compact: true },
    chars: plainBorders,
  });
  for (const unit of units) {
    table.push(rowOf(unit));
    const { shown = [], more = false } = unit.actors ?? {};
    for (const { name: actor, kind, phase, starts } of shown)
      table.push(rowOf({ ...unit, name: `${unit.name}/${actor}`, kind, phase, starts, ...noProcess }));
    if (more) table.push([`${unit.name}/...`, 'and more', '', '', '']);
  }
  return `${paint.bold(name)}  root ${pid}, up ${describeMs(uptimeMs)}\n${table.toString()}\n`;
}

const noProcess = { state: null, pid: null, lastExit: null, note: null } as const;

function rowOf({ name, kind, phase, state, pid, starts, lastExit, note }: UnitStatus): string[] {
  const indent = '  '.repeat(name.split('/').length - 1);
  const shown = state === null || phase !== 'up' ? phase : state;
  const color =
    phase === 'up' ? paint.green : phase === 'failed' || phase === 'skipped' ? paint.red : paint.yellow;
  const what = note === null ? color(shown) : `${color(shown)} (${note})`;
  return [
    `${indent}${name}${kind === 'supervisor' ? '/' : ''}`,
    what,
    pid === null ? '' : String(pid),
    String(starts),
    lastExit ?? '',
  ];
}

const plainBorders = Object.fromEntries(
  [
    'top',
    'top-mid',
    'top-left',
    'top-right',
    'bottom',
    'bottom-mid',
    'bottom-left',
    'bottom-right',
    'left',
    'left-mid',
    'mid',
    'mid-mid',
    'right',
    'right-mid',
    'middle',
  ].map((part) => [part, part === 'middle' ? '  ' : '']),
);
