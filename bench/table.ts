// Table: figures in columns that stay in place from table to table, narrow enough for 80 characters.
import pc from 'picocolors';
import { type Metric, metricNames } from './job.ts';

export interface Line {
  readonly name: string;
  readonly cells: Partial<Record<Metric, string>>;
  /** How a terminal shows it. */
  readonly style?: (text: string) => string;
}

interface Column {
  readonly head: string;
  readonly over: string;
  readonly width: number;
}

const roundTrip = 'round trip, us';
const oneWay = 'one way';
const session = 'each session';
const ending = 'end of all';
const nameWidthDefault = 20;
const columns: Record<Metric, Column> = {
  p50: { head: 'p50', over: roundTrip, width: 9 },
  p99: { head: 'p99', over: roundTrip, width: 9 },
  'p99.9': { head: 'p99.9', over: roundTrip, width: 9 },
  max: { head: 'max', over: roundTrip, width: 9 },
  messages: { head: 'messages/s', over: oneWay, width: 13 },
  megabytes: { head: 'MB/s', over: oneWay, width: 9 },
  open: { head: 'open, ms', over: session, width: 11 },
  memory: { head: 'KB', over: session, width: 9 },
  wakes: { head: 'wakes/s', over: session, width: 9 },
  stop: { head: 'asked, ms', over: ending, width: 11 },
  gone: { head: 'killed, ms', over: ending, width: 12 },
};

export function tableOf(title: string, lines: readonly Line[], nameWidth = nameWidthDefault): string {
  const shown = metricNames.filter((metric) => lines.some(({ cells }) => cells[metric] !== undefined));
  const lineOf = (name: string, cells: Line['cells']) =>
    name.padEnd(nameWidth) +
    shown.map((metric) => (cells[metric] ?? '').padStart(columns[metric].width)).join('');
  const heads = Object.fromEntries(shown.map((metric) => [metric, columns[metric].head]));
  return [
    pc.bold(title),
    pc.dim(
      ' '.repeat(nameWidth) +
        [roundTrip, oneWay, session, ending].map((over) => overLine(over, shown)).join(''),
    ),
    pc.dim(lineOf('', heads)),
    ...lines.map(({ name, cells, style = plain }) => style(lineOf(name, cells).trimEnd())),
  ].join('\n');
}

/** A bracket over the columns that belong together. */
function overLine(over: string, shown: readonly Metric[]): string {
  const width = shown.reduce(
    (sum, metric) => (columns[metric].over === over ? sum + columns[metric].width : sum),
    0,
  );
  if (width === 0) return '';
  const label = ` ${over} `;
  const left = Math.floor((width - 2 - label.length) / 2);
  return `  ${'─'.repeat(left)}${label}${'─'.repeat(width - 2 - label.length - left)}`;
}

const plain = (text: string) => text;

/** Three digits, or all before the point. */
export function figure(value: number): string {
  if (value >= 99.95) return Math.round(value).toLocaleString('en-US');
  return value.toFixed(value >= 9.995 ? 1 : 2);
}

/** As `figure`, with thousands and millions by their letters. */
export function count(value: number): string {
  if (value >= 1e6) return `${figure(value / 1e6)} M`;
  return value >= 1e4 ? `${figure(value / 1e3)} k` : figure(value);
}

/** Two digits: more would be noise. */
export function ratio(value: number): string {
  return value >= 9.95 ? Math.round(value).toLocaleString('en-US') : value.toFixed(1);
}
