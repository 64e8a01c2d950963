// Log reader: the logs of all units of a workspace as one, by time. Works with and without a running tree.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { OutputStream } from '../actors/output.ts';
import { readLog } from '../workspace/unit-log.ts';
import type { UnitLine } from './unit-logs.ts';

const streams = ['out', 'err'] as const;

/** Names of the units that have written anything: their paths below the root. */
export function loggedUnits(workspace: string): string[] {
  return [...new Set(filesOf(workspace).map(({ unit }) => unit))].sort();
}

type Sizes = Readonly<Record<string, { readonly out: number; readonly err: number }>>;

/** @param sizes how much of each unit's log there is, by its path; default: all. */
export async function* mergeLogs(
  workspace: string,
  wanted: (unit: string) => boolean,
  sizes?: Sizes,
): AsyncGenerator<UnitLine> {
  const sources: { lines: AsyncGenerator<UnitLine>; next: UnitLine }[] = [];
  for (const file of filesOf(workspace)) {
    if (!wanted(file.unit)) continue;
    const lines = linesOf(file, sizes?.[file.path]?.[file.stream]);
    const first = await lines.next();
    if (!first.done) sources.push({ lines, next: first.value });
  }
  while (sources.length > 0) {
    // Lines without a time stand where they are in their file.
    let at = 0;
    for (const [index, { next }] of sources.entries())
      if ((next.atMs ?? 0) < (sources[at]!.next.atMs ?? 0)) at = index;
    const source = sources[at]!;
    yield source.next;
    const following = await source.lines.next();
    if (following.done) sources.splice(at, 1);
    else source.next = following.value;
  }
}

interface LogFile {
  readonly file: string;
  readonly stream: OutputStream;
  /** Of the unit, with the root. */
  readonly path: string;
  readonly unit: string;
}

function filesOf(workspace: string): LogFile[] {
  return streams.flatMap((stream) => {
    const folder = join(workspace, stream);
    return namesIn(folder)
      .filter((name) => name.endsWith(`.${stream}`))
      .map((name) => {
        // No part of a unit's path has a dot.
        const path = name.slice(0, -stream.length - 1).replaceAll('.', '/');
        return { file: join(folder, name), stream, path, unit: path.slice(path.indexOf('/') + 1) };
      });
  });
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

async function* linesOf(
  { file, stream, unit }: LogFile,
  bytes: number | undefined,
): AsyncGenerator<UnitLine> {
  for await (const { atMs, text } of readLog(file, bytes)) yield { atMs, unit, stream, line: text };
}
