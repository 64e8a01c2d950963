// Report: what people read of a recording.
import pc from 'picocolors';
import { type Group, peers, type Row, subject } from './groups.ts';
import type { Figures, Metric } from './job.ts';
import type { Machine } from './machine.ts';
import { otherWorkNotable } from './other-work.ts';
import { type Mode, mediansOf, modes, type RecordedRow, type Recording } from './record.ts';
import { count, figure, type Line, ratio, tableOf } from './table.ts';

/** Figures that make sense as ratios: one maximum is an accident, and megabytes go with messages. */
const compared: readonly Metric[] = ['p50', 'p99', 'p99.9', 'messages'];

export function machineLines({ packageVersion, date, cpu, cpus, kernel, node, v8 }: Machine): string {
  return [
    `actor-ipc ${packageVersion}, ${date.slice(0, 16).replace('T', ' ')} UTC`,
    `${cpu}, ${cpus} CPUs, ${kernel}, Node ${node}, V8 ${v8}`,
  ].join('\n');
}

/** What the names in the tables mean. */
export const legend = [
  'limit: memcpy    one C++ process copies what a round trip copies: in and out, twice',
  'limit: C++       two C++ processes on the same lanes, spinning or asleep; messages',
  '                 are copied in and out; one way, small ones go in batches',
  'limit: Atomics   two processes spin on shared memory and do nothing else',
  'limit: eventfd   two event loops wake each other, the message in shared memory',
  'limit: encoder   one process encodes the same objects for nobody',
  'limit: XState    one process sends the same events to the same machine',
  'actor-ipc        a channel of a session with trySend and onBatch',
  'actor-ipc, await the same with send and for await',
  'actor-ipc, borrow the same with borrowed messages',
  'actor-ipc, event each message is an event of a machine',
  'actor-ipc, into  copied into memory of the reader, by receiveInto',
  'actor-ipc, loan  written into a loan, read as a borrow; otherwise as actor-ipc',
  'loan             the same, but only the two ends of each message are touched',
  'value lent       a value built once: lend, borrow and read, there and back',
  'lru-cache        the same with that package, which hands out the value itself; in one',
  '                 process alone; a cache copies, and the message is a call',
  'n readers        a broadcast that so many sessions read; messages are counted once',
  'fork json        child_process.fork and process.send, bytes as base64',
  'fork advanced    the same with serialization: advanced',
  `other work       share of all CPUs that went to something else; told from ${otherWorkNotable * 100} % on`,
  'Each message is written anew and checked where it arrives. A percentile that the',
  'number of round trips cannot tell is left out.',
].join('\n');

/** The medians of a group in one mode, and how many times faster than each peer the subject is. */
export function groupTable(
  rows: readonly RecordedRow[],
  group: Group,
  mode: Mode,
  where: string,
  otherWork: number,
): string {
  const figuresOf = (name: string) => mediansOf(rows, group.name, mode, name);
  const subjectFigures = figuresOf(subject);
  const lines = group.rows.map(({ name }) => figuresLine(name, figuresOf(name)));
  const present = peers.filter((peer) => group.rows.some(({ name }) => name === peer));
  const ratios = present.map((peer) => ({
    name: `faster than ${peer.replace('fork ', '')}`,
    cells: cellsOf(speedups(subjectFigures, figuresOf(peer)), (value) => `${ratio(value)}x`),
    style: pc.cyan,
  }));
  const disturbed = otherWork < otherWorkNotable ? '' : ` (other work ${Math.round(otherWork * 100)} %)`;
  return tableOf(`${group.title}, ${where}${disturbed}`, [...lines, ...ratios]);
}

function figuresLine(name: string, figures: Figures): Line {
  const cells = cellsOf(figures, (value, metric) => (metric === 'messages' ? count(value) : figure(value)));
  if (name === subject) return { name, cells, style: pc.bold };
  return name.startsWith('limit') ? { name, cells, style: pc.dim } : { name, cells };
}

/** Each figure that both have, as how many times better `one` is than `other`. */
function speedups(one: Figures, other: Figures): Figures {
  const figures: Figures = {};
  for (const metric of compared) {
    const [mine, theirs] = [one[metric], other[metric]];
    if (mine === undefined || theirs === undefined) continue;
    figures[metric] = metric === 'messages' ? mine / theirs : theirs / mine;
  }
  return figures;
}

/** The ratios that matter most, in one line; undefined if they were not measured. */
export function headline(rows: readonly RecordedRow[], mode: Mode): string | undefined {
  const parts = [
    headlinePart(rows, mode, '16B', '16 B'),
    headlinePart(rows, mode, '1MiB', '1 MiB'),
    headlinePart(rows, mode, 'object', 'object'),
  ].filter((part) => part !== undefined);
  if (parts.length === 0) return undefined;
  return `${mode}, faster than fork json/advanced: ${parts.join('; ')}`;
}

function headlinePart(
  rows: readonly RecordedRow[],
  mode: Mode,
  group: string,
  title: string,
): string | undefined {
  const mine = mediansOf(rows, group, mode, subject);
  const others = peers.map((peer) => speedups(mine, mediansOf(rows, group, mode, peer)));
  const both = (metric: Metric) => {
    const values = others.map((other) => other[metric]).filter((value) => value !== undefined);
    return values.length === others.length ? `${values.map(ratio).join('/')}x` : undefined;
  };
  const [roundTrip, oneWay] = [both('p50'), both('messages')];
  if (roundTrip === undefined || oneWay === undefined) return undefined;
  return `${title} ${roundTrip}, one way ${oneWay}`;
}

/** Each figure as a ratio now / then to the last recording. */
export function comparison(now: readonly RecordedRow[], last: Recording, groups: readonly Group[]): string {
  const lines = groups.flatMap((group) =>
    modes.flatMap((mode) => group.rows.flatMap((row) => comparisonLine(now, last.rows, group, mode, row))),
  );
  const head = `${pc.bold('Compared with the last recording:')} ${machineLines(last.machine)}`;
  if (lines.length === 0) return `${head}\nIt has no row of this run.`;
  return `${head}\n\n${tableOf('now / then', lines, comparisonNameWidth)}`;
}

/** `sporadic unpinned fork advanced` fits. */
const comparisonNameWidth = 31;

function comparisonLine(
  now: readonly RecordedRow[],
  then: readonly RecordedRow[],
  group: Group,
  mode: Mode,
  { name }: Row,
): Line[] {
  const before = mediansOf(then, group.name, mode, name);
  const after = mediansOf(now, group.name, mode, name);
  const ratios: Figures = {};
  for (const metric of [...compared, 'max'] as const)
    if (before[metric] !== undefined && after[metric] !== undefined)
      ratios[metric] = after[metric] / before[metric];
  if (Object.keys(ratios).length === 0) return [];
  return [{ name: `${group.name} ${mode} ${name}`, cells: cellsOf(ratios, (value) => value.toFixed(2)) }];
}

function cellsOf(figures: Figures, format: (value: number, metric: Metric) => string): Line['cells'] {
  const entries = Object.entries(figures) as [Metric, number][];
  return Object.fromEntries(entries.map(([metric, value]) => [metric, format(value, metric)]));
}
