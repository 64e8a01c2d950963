// Log reader: the logs of all units of a workspace as one, by time. Works with and without a running tree.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { OutputStream } from '../actors/output.ts';
import { IpcError } from '../errors.ts';
import { nearest } from '../names.ts';
import { type LogPosition, positionOf, readLog } from '../workspace/unit-log.ts';
import type { UnitLine } from './unit-line.ts';

const streams = ['out', 'err'] as const;

/** Names of the units that have written anything: their paths below the root. */
export function loggedUnits(workspace: string): string[] {
  return [...new Set(filesOf(workspace).map(({ unit }) => unit))].sort();
}

/** How far each log goes, by the name of its file below the workspace. */
export type LogPositions = Readonly<Record<string, LogPosition>>;

/** The end of each log now. */
export function logPositions(workspace: string): LogPositions {
  return Object.fromEntries(
    filesOf(workspace).flatMap(({ file, name }) => {
      const position = positionOf(file);
      return position ? [[name, position]] : [];
    }),
  );
}

/** @param until where to end; a log that is not in it began later. Default: all that there is. */
export async function* mergeLogs(
  workspace: string,
  wanted: (unit: string) => boolean,
  until?: LogPositions,
): AsyncGenerator<UnitLine> {
  const sources: { lines: AsyncGenerator<UnitLine>; next: UnitLine }[] = [];
  for (const file of filesOf(workspace)) {
    if (!wanted(file.unit) || (until && !until[file.name])) continue;
    const lines = linesOf(file, until?.[file.name]);
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

/** What fits into a message to another host, with room to spare. */
const writtenBytesMax = 512 * 1024;

/**
 * The last lines of a unit and of those below it, as many as fit into one message.
 * @throws {IpcError} ERR_UNIT_UNKNOWN if it has written nothing.
 */
export async function writtenBy(
  workspace: string,
  unit: string,
  { sinceMs, lines }: { sinceMs: number; lines: number },
): Promise<{ lines: UnitLine[]; more: boolean }> {
  const isBelow = (name: string) => name === unit || name.startsWith(`${unit}/`);
  const known = loggedUnits(workspace);
  if (!known.some(isBelow))
    throw IpcError.of('ERR_UNIT_UNKNOWN', unit, nearest(unit, known), known.join(', '));
  const found: UnitLine[] = [];
  let bytes = 0;
  let more = false;
  for await (const line of mergeLogs(workspace, isBelow)) {
    if (line.atMs !== null && line.atMs < sinceMs) continue;
    found.push(line);
    bytes += sizeOf(line);
    while (found.length > lines || bytes > writtenBytesMax) {
      more ||= found.length <= lines;
      bytes -= sizeOf(found.shift()!);
    }
  }
  return { lines: found, more };
}

function sizeOf({ line, unit }: UnitLine): number {
  return 3 * line.length + unit.length + 64;
}

interface LogFile {
  readonly file: string;
  /** The file below the workspace. */
  readonly name: string;
  readonly stream: OutputStream;
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
        return {
          file: join(folder, name),
          name: `${stream}/${name}`,
          stream,
          unit: path.slice(path.indexOf('/') + 1),
        };
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
  end: LogPosition | undefined,
): AsyncGenerator<UnitLine> {
  for await (const { atMs, text } of readLog(file, end)) yield { atMs, unit, stream, line: text };
}
