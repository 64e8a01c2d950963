// `status` and `top`: what the root of a running tree says of its units, once or again and again.
import { setTimeout as pause } from 'node:timers/promises';
import { Command, InvalidArgumentError, Option } from 'commander';
import { askTree } from '../runtime/control-client.ts';
import { findTopology } from '../runtime/loader.ts';
import { workspaceFolder } from '../runtime/place.ts';
import type { TreeStatus } from '../runtime/status.ts';
import { isTerminal } from './color.ts';
import { FullScreen, type Key } from './full-screen.ts';
import { type Column, gridLines } from './grid.ts';
import { type Sorting, sortings, sortKeys, topLines } from './top-page.ts';
import { durationMs } from './tree-options.ts';
import { silentHosts, treeHead, unitLines } from './unit-rows.ts';

interface StatusOptions {
  readonly workspace?: string;
  readonly json?: boolean;
  readonly watch?: boolean;
}

interface TopOptions extends StatusOptions {
  readonly interval: number;
  readonly sort: Sorting;
}

const intervalDefaultMs = 1_000;
/** A listing costs a look at every process. */
const intervalMinMs = 100;

export function statusCommand(): Command {
  return treeCommand('status')
    .alias('ps')
    .description('print the units of the running tree')
    .option('--watch', 'go on: a page in a terminal (q leaves it), elsewhere one listing a second')
    .action((named: string | undefined, options: StatusOptions) => status(named, options));
}

export function topCommand(): Command {
  return treeCommand('top')
    .description('show what the units of the running tree use, and what goes through their channels')
    .option('-i, --interval <duration>', 'time from one listing to the next', intervalMs, intervalDefaultMs)
    .addOption(new Option('-s, --sort <column>', 'order of the units').choices(sortings).default('tree'))
    .action((named: string | undefined, options: TopOptions) => top(named, options));
}

function treeCommand(name: string): Command {
  return new Command(name)
    .argument('[file]', 'topology file of the tree (default: topology.{ts,mts,js,mjs,yaml,json} here)')
    .option('-w, --workspace <folder>', 'the workspace of the tree, if it is not beside the file')
    .option('--json', 'print it as JSON; with more than one listing, one object per line');
}

async function status(named: string | undefined, options: StatusOptions): Promise<void> {
  const look = lookAt(named, options);
  if (options.watch) return watch(look, options.json === true, intervalDefaultMs, statusLines, () => {});
  const found = await look();
  process.stdout.write(
    options.json
      ? `${JSON.stringify(found, null, 2)}\n`
      : `${statusLines(found, isTerminal ? process.stdout.columns : undefined).join('\n')}\n`,
  );
}

const cacheColumns = [
  { head: 'name' },
  ...(['users', 'entries', 'capacity', 'hits', 'misses', 'evictions'] as const).map((head) => ({
    ...{ head, align: 'right' as const },
  })),
] as const;
const heads: Column[] = cacheColumns.map((column) =>
  column.head === 'name' ? { head: 'cache', cut: true } : column,
);

function statusLines(found: TreeStatus, width?: number): string[] {
  const units = unitLines(found, found.units, width);
  const caches = found.caches.map((cache) => cacheColumns.map(({ head }) => String(cache[head])));
  return [
    treeHead(found),
    ...silentHosts(found),
    ...units,
    ...(caches.length > 0 ? ['', ...gridLines(heads, caches, width)] : []),
  ];
}

async function top(named: string | undefined, { interval, json, ...options }: TopOptions): Promise<void> {
  let sorting = options.sort;
  await watch(
    lookAt(named, options),
    json === true,
    interval,
    (found, width) => topLines(found, sorting, width),
    ({ name = '' }) => {
      sorting = sortKeys.get(name) ?? sorting;
    },
  );
}

function lookAt(named: string | undefined, { workspace }: StatusOptions): () => Promise<TreeStatus> {
  const folder = workspace ?? workspaceFolder(findTopology(named, process.cwd()), undefined);
  return async () => (await askTree(folder, 'status', { facts: { usage: true } })) as TreeStatus;
}

/** Shows again and again what is there: on a page of its own in a terminal, elsewhere one listing after the other. */
async function watch(
  look: () => Promise<TreeStatus>,
  json: boolean,
  intervalMs: number,
  lines: (found: TreeStatus, width?: number) => readonly string[],
  onKey: (key: Key) => void,
): Promise<void> {
  let found = await look();
  const over = new AbortController();
  // Who reads our output has gone.
  process.stdout.on('error', () => over.abort());
  const screen =
    isTerminal && !json
      ? new FullScreen(
          (width) => lines(found, width),
          (key) => {
            if (key.name === 'q' || (key.ctrl && key.name === 'c')) return over.abort();
            onKey(key);
            screen?.refresh();
          },
        )
      : undefined;
  const leave = () => over.abort();
  process.on('SIGINT', leave).on('SIGTERM', leave);
  try {
    while (!over.signal.aborted) {
      if (screen) screen.refresh();
      else process.stdout.write(json ? `${JSON.stringify(found)}\n` : `${lines(found).join('\n')}\n\n`);
      await pause(intervalMs, undefined, { signal: over.signal }).catch(() => {});
      if (!over.signal.aborted) found = await look();
    }
  } catch (error) {
    if (!over.signal.aborted) throw error;
  } finally {
    screen?.close();
    process.off('SIGINT', leave).off('SIGTERM', leave);
  }
}

function intervalMs(text: string): number {
  const ms = durationMs(text);
  if (ms < intervalMinMs) throw new InvalidArgumentError(`it must be ${intervalMinMs}ms or more`);
  return ms;
}
