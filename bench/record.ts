// Record: the figures of one run of the benchmark, as they are kept in a file.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { median } from './histogram.ts';
import { type Figures, type Metric, metricNames, metrics } from './job.ts';
import type { Machine } from './machine.ts';

/** Where the two processes ran. */
export const modes = ['pinned', 'unpinned'] as const;
export type Mode = (typeof modes)[number];

/** One figure of one pair of processes. */
export interface RecordedRow {
  readonly group: string;
  readonly name: string;
  /** Of an object: the bytes of its JSON. */
  readonly sizeBytes: number;
  readonly mode: Mode;
  readonly metric: Metric;
  readonly value: number;
  readonly unit: string;
  /** From 1. */
  readonly run: number;
}

export interface Recording {
  readonly machine: Machine;
  readonly rows: readonly RecordedRow[];
}

export function rowsOf(at: Omit<RecordedRow, 'metric' | 'value' | 'unit'>, figures: Figures): RecordedRow[] {
  return metricNames.flatMap((metric) => {
    const value = figures[metric];
    return value === undefined ? [] : [{ ...at, metric, value, unit: metrics[metric] }];
  });
}

/** What the rows of one name in one group and mode say in the middle of all runs. */
export function mediansOf(rows: readonly RecordedRow[], group: string, mode: Mode, name: string): Figures {
  const figures: Figures = {};
  for (const metric of metricNames) {
    const values = rows
      .filter((row) => row.group === group && row.mode === mode && row.name === name && row.metric === metric)
      .map((row) => row.value);
    if (values.length > 0) figures[metric] = median(values);
  }
  return figures;
}

/** The last recording in that file, or undefined if there is none. Throws if it is something else. */
export function readRecording(file: string): Recording | undefined {
  if (!existsSync(file)) return undefined;
  const found = JSON.parse(readFileSync(file, 'utf8')) as Partial<Recording>;
  if (!Array.isArray(found.rows) || found.machine === undefined)
    throw new Error(`${file} is no recording of this benchmark; name another file`);
  return found as Recording;
}

/** One row on each line, so that two recordings can be compared line by line. */
export function writeRecording(file: string, { machine, rows }: Recording): void {
  const lines = rows.map((row) => JSON.stringify(row)).join(',\n');
  writeFileSync(file, `{"machine":${JSON.stringify(machine)},"rows":[\n${lines}\n]}\n`);
}
