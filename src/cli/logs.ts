// `logs`: what the units of a tree have written, from their files, and with --follow what they write.
import { Command, InvalidArgumentError } from 'commander';
import { IpcError } from '../errors.ts';
import { nearest } from '../names.ts';
import { askTree } from '../runtime/control-client.ts';
import { type LogPositions, loggedUnits, mergeLogs } from '../runtime/log-reader.ts';
import type { TreeStatus } from '../runtime/status.ts';
import type { UnitLine } from '../runtime/unit-line.ts';
import { isColored, isTerminal } from './color.ts';
import { durationMs, type TreeOptions, workspaceOf } from './tree-options.ts';
import { unitPrinter } from './unit-printer.ts';

interface LogsOptions extends TreeOptions {
  readonly follow?: boolean;
  readonly since?: number;
  readonly lines?: number;
}

/** Lines that come while the files are still read; who is so far behind misses some, as everywhere. */
const waitingMax = 50_000;

export function logsCommand(): Command {
  return new Command('logs')
    .description('print what the units have written, by time')
    .argument('[unit...]', 'names of units (default: all)')
    .option('-f, --follow', 'go on with what they write, units that come later among them')
    .option('-S, --since <when>', 'a duration before now, or a time', sinceMs)
    .option('-n, --lines <count>', 'only the last ones', count)
    .option('--file <file>', 'topology file of the tree (default: topology.{ts,mts,js,mjs,yaml,json} here)')
    .option('-w, --workspace <folder>', 'the workspace of the tree, if it is not beside the file')
    .option('--json', 'print one JSON object per line')
    .action(logs);
}

async function logs(units: string[], options: LogsOptions): Promise<void> {
  const workspace = workspaceOf(options);
  const known = loggedUnits(workspace);
  const wanted = (name: string) => units.length === 0 || units.some((unit) => isBelow(name, unit));
  const print = printerOf(known.filter(wanted), options);
  const printFiles = async (until?: LogPositions) => {
    const { since = 0, lines } = options;
    for await (const line of lastOf(mergeLogs(workspace, wanted, until), since, lines)) print(line);
  };
  // Who reads our output has gone, as in "logs | head".
  process.stdout.on('error', () => process.exit());
  const unknown = units.filter((unit) => !known.some((name) => isBelow(name, unit)));
  const far = unknown.length > 0 ? await hostsOf(workspace, unknown) : [];
  if (far.length > 0) return logsElsewhere(workspace, units, far, options);
  if (!options.follow) {
    for (const unit of unknown)
      throw IpcError.of('ERR_UNIT_UNKNOWN', unit, nearest(unit, known), known.join(', '));
    return printFiles();
  }
  await tellUnknown(workspace, unknown);
  await follow(workspace, wanted, print, printFiles);
}

/** Those of the units that run on other hosts, as the running tree knows them. */
async function hostsOf(
  workspace: string,
  units: readonly string[],
): Promise<{ unit: string; host: string }[]> {
  const status = (await askTree(workspace, 'status').catch(() => undefined)) as TreeStatus | undefined;
  const here = status?.hosts?.find(({ heard }) => heard === 'here')?.name;
  return units.flatMap((unit) => {
    const host = status?.units.find(({ name }) => name === unit.split('/')[0])?.host;
    return host === undefined || host === here ? [] : [{ unit, host }];
  });
}

/** What a unit of another host has written, through its root. */
async function logsElsewhere(
  workspace: string,
  units: readonly string[],
  far: readonly { unit: string; host: string }[],
  options: LogsOptions,
): Promise<void> {
  const { unit, host } = far[0]!;
  const refused = (why: string) => IpcError.of('ERR_REFUSED', `logs ${unit}`, why);
  if (options.follow) throw refused(`it runs on host ${host}; follow it there: actor-ipc logs -f ${unit}`);
  if (units.length > 1) throw refused(`it runs on host ${host}; ask for the units of other hosts one by one`);
  const { since = 0, lines = 1_000_000 } = options;
  const facts = { unit, sinceMs: Math.max(0, Math.floor(since)), lines };
  const found = (await askTree(workspace, 'written', { facts })) as { lines: UnitLine[]; more: boolean };
  if (found.more)
    process.stderr.write(`(only the end: host ${host} has more, see "actor-ipc logs ${unit}" there)
`);
  const print = printerOf([...new Set(found.lines.map((line) => line.unit))], options);
  for (const line of found.lines) print(line);
}

function printerOf(known: string[], { json }: LogsOptions): (line: UnitLine) => void {
  const write = (text: string) => void process.stdout.write(text);
  const printer = unitPrinter({ units: known, json: false, color: isColored, terminal: isTerminal, write });
  return ({ atMs, unit, stream, line }) => {
    const time = atMs === null ? null : new Date(atMs).toISOString();
    if (json) write(`${JSON.stringify({ time, unit, stream, line })}\n`);
    else printer(unit, stream, line);
  };
}

/** A unit that is not there may come, but whoever has mistyped its name should not wait for it. */
async function tellUnknown(workspace: string, units: readonly string[]): Promise<void> {
  if (units.length === 0) return;
  const { units: running } = (await askTree(workspace, 'status')) as TreeStatus;
  const names = running.map(({ name }) => name);
  for (const unit of units) {
    if (names.some((name) => isBelow(name, unit))) continue;
    const near = nearest(unit, names);
    process.stderr.write(
      `(there is no unit ${unit} yet${near === undefined ? '' : `; did you mean ${near}?`})\n`,
    );
  }
}

interface FollowedItem {
  /** First: how far the files go. */
  readonly positions?: LogPositions;
  readonly line?: UnitLine;
  readonly missed?: number;
}

/** First the files, then what is written. Ends with the tree. */
async function follow(
  workspace: string,
  wanted: (unit: string) => boolean,
  print: (line: UnitLine) => void,
  printFiles: (until?: LogPositions) => Promise<void>,
): Promise<void> {
  const waiting: UnitLine[] = [];
  let missed = 0;
  let files: Promise<void> | undefined;
  let reading = true;
  const tellMissed = (lines: number) => {
    if (lines > 0) process.stderr.write(`(${lines} lines came too fast to be shown)\n`);
  };
  try {
    await askTree(workspace, 'logs', {
      timeoutMs: 'infinity',
      onItem(item) {
        const { positions, line, missed: lost = 0 } = item as FollowedItem;
        if (positions)
          files = printFiles(positions).then(() => {
            reading = false;
            for (const each of waiting.splice(0)) print(each);
            tellMissed(missed);
          });
        if (reading) missed += lost;
        else tellMissed(lost);
        if (!line || !wanted(line.unit)) return;
        if (!reading) print(line);
        else if (waiting.length < waitingMax) waiting.push(line);
        else missed++;
      },
    });
  } catch (error) {
    // The end of the tree is the end of what there is to follow. Without one, there is what earlier ones have left.
    const isEnd = error instanceof IpcError && error.code === 'ERR_NO_TREE';
    if (isEnd && files) return files;
    if (isEnd) await printFiles();
    throw error;
  }
}

/** The unit itself, or one below it. */
function isBelow(name: string, unit: string): boolean {
  return name === unit || name.startsWith(`${unit}/`);
}

async function* lastOf(
  lines: AsyncIterable<UnitLine>,
  sinceMs: number,
  count: number | undefined,
): AsyncIterable<UnitLine> {
  let last: UnitLine[] = [];
  for await (const line of lines) {
    if (line.atMs !== null && line.atMs < sinceMs) continue;
    if (count === undefined) yield line;
    else last.push(line);
    // In large steps, since each moves all that stay.
    if (count !== undefined && last.length > 2 * count + 1_000) last = last.slice(-count);
  }
  if (count !== undefined && count > 0) yield* last.slice(-count);
}

function count(text: string): number {
  const lines = Number(text);
  if (!Number.isSafeInteger(lines) || lines < 0) throw new InvalidArgumentError('it must be a whole number');
  return lines;
}

function sinceMs(text: string): number {
  const atMs = /^\d+(\.\d+)?(ms|s|m|h|d)?$/.test(text) ? Date.now() - durationMs(text) : Date.parse(text);
  if (Number.isNaN(atMs))
    throw new InvalidArgumentError('it must be a duration as 10m, or a time as 2026-01-31T08:00');
  return atMs;
}
