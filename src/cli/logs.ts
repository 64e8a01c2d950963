// `logs`: what the units of a tree have written, from their files, and with --follow what they write.
import { Command, InvalidArgumentError } from 'commander';
import { IpcError } from '../errors.ts';
import { nearest } from '../names.ts';
import { askTree } from '../runtime/control-client.ts';
import { loggedUnits, mergeLogs } from '../runtime/log-reader.ts';
import type { UnitLine } from '../runtime/unit-logs.ts';
import { isColored } from './color.ts';
import { durationMs, type TreeOptions, withTree, workspaceOf } from './tree-options.ts';
import { unitPrinter } from './unit-printer.ts';

interface LogsOptions extends TreeOptions {
  readonly follow?: boolean;
  readonly since?: number;
  readonly lines?: number;
}

export function logsCommand(): Command {
  return withTree(new Command('logs'))
    .description('print what the units have written, by time')
    .argument('[unit...]', 'names of units (default: all)')
    .option('-F, --follow', 'go on with what they write')
    .option('-S, --since <when>', 'a duration before now, or a time', sinceMs)
    .option('-n, --lines <count>', 'only the last ones', Number)
    .action(logs);
}

async function logs(units: string[], options: LogsOptions): Promise<void> {
  const workspace = workspaceOf(options);
  const known = loggedUnits(workspace);
  if (!options.follow)
    for (const unit of units)
      if (!known.some((name) => isBelow(name, unit)))
        throw IpcError.of('ERR_UNIT_UNKNOWN', unit, nearest(unit, known), known.join(', '));
  const wanted = (name: string) => units.length === 0 || units.some((unit) => isBelow(name, unit));
  const write = (text: string) => void process.stdout.write(text);
  const printer = unitPrinter({
    units: known.length > 0 ? known : [''],
    json: false,
    color: isColored,
    write,
  });
  const print = ({ atMs, unit, stream, line }: UnitLine) => {
    const time = atMs === null ? null : new Date(atMs).toISOString();
    if (options.json) write(`${JSON.stringify({ time, unit, stream, line })}\n`);
    else printer(unit, stream, line);
  };
  const printFiles = async (sizes?: Record<string, { out: number; err: number }>) => {
    for await (const line of lastOf(mergeLogs(workspace, wanted, sizes), options.lines))
      if (line.atMs === null || line.atMs >= (options.since ?? 0)) print(line);
  };
  // Who reads our output has gone, as in "logs | head".
  process.stdout.on('error', () => process.exit());
  if (!options.follow) return printFiles();

  // What comes while the files are read waits for its turn.
  const waiting: UnitLine[] = [];
  let reading = true;
  await askTree(workspace, 'logs', {
    timeoutMs: 'infinity',
    onItem(item) {
      const { sizes, line, missed } = item as {
        sizes?: Record<string, { out: number; err: number }>;
        line?: UnitLine;
        missed?: number;
      };
      if (sizes)
        void printFiles(sizes).then(() => {
          reading = false;
          for (const each of waiting.splice(0)) print(each);
        });
      if (missed) process.stderr.write(`(${missed} lines came too fast to be shown)\n`);
      if (line && wanted(line.unit)) {
        if (reading) waiting.push(line);
        else print(line);
      }
    },
  }).catch((error: unknown) => {
    // The end of the tree is the end of what there is to follow.
    if (!(error instanceof IpcError && error.code === 'ERR_NO_TREE' && !reading)) throw error;
  });
}

/** The unit itself, or one below it. */
function isBelow(name: string, unit: string): boolean {
  return name === unit || name.startsWith(`${unit}/`);
}

async function* lastOf(lines: AsyncIterable<UnitLine>, count: number | undefined): AsyncIterable<UnitLine> {
  if (count === undefined) {
    yield* lines;
    return;
  }
  const last: UnitLine[] = [];
  for await (const line of lines) {
    last.push(line);
    if (last.length > count) last.shift();
  }
  yield* last;
}

function sinceMs(text: string): number {
  const atMs = /^\d+(\.\d+)?(ms|s|m|h|d)?$/.test(text) ? Date.now() - durationMs(text) : Date.parse(text);
  if (Number.isNaN(atMs))
    throw new InvalidArgumentError('it must be a duration as 10m, or a time as 2026-01-31T08:00');
  return atMs;
}
