// Unit log: what a unit wrote, line by line with its time, in files that are moved aside when they are large.
import {
  appendFileSync,
  type BigIntStats,
  closeSync,
  createReadStream,
  fstatSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { createInterface } from 'node:readline';

export interface LogFileRules {
  readonly maxBytes: number;
  readonly files: number;
}

/** A line as it stands in a file. Output that no supervisor has read has no times. */
export interface LogLine {
  readonly atMs: number | null;
  readonly text: string;
}

export class UnitLog {
  readonly #path: string;
  #bytes: number | undefined;

  /** @param path of the file that is written; those moved aside have `.1` (the last one), `.2` ... behind it. */
  constructor(path: string) {
    this.#path = path;
  }

  /** Appends lines. A full disk costs the lines, never the run. */
  append(lines: readonly string[], atMs: number, { maxBytes, files }: LogFileRules): void {
    const time = new Date(atMs).toISOString();
    let text = '';
    for (const line of lines) text += `${time} ${line}\n`;
    const bytes = Buffer.byteLength(text);
    try {
      this.#bytes ??= bytesOf(this.#path);
      if (this.#bytes > 0 && this.#bytes + bytes > maxBytes) {
        moveAside(this.#path, files);
        this.#bytes = 0;
      }
      appendFileSync(this.#path, text, { mode: 0o600 });
      this.#bytes += bytes;
    } catch {
      this.#bytes = undefined;
    }
  }
}

/** A place in a log that stays the same when its file is moved aside. */
export interface LogPosition {
  /** Number and birth of the file: the number alone is given anew. */
  readonly file: string;
  readonly bytes: number;
}

/** The end of what a log has now; null if it has nothing. */
export function positionOf(path: string): LogPosition | null {
  const stat = statSync(path, { throwIfNoEntry: false, bigint: true });
  return stat ? { file: identityOf(stat), bytes: Number(stat.size) } : null;
}

function identityOf({ ino, birthtimeNs }: BigIntStats): string {
  return `${ino} ${birthtimeNs}`;
}

/** The lines of a log, the oldest first. @param end where to end; what is behind it was written later. */
export async function* readLog(path: string, end?: LogPosition): AsyncGenerator<LogLine> {
  const files = openAll(path);
  try {
    // All that is left of the log may be newer than that.
    if (end && !files.some(({ file }) => file === end.file)) return;
    for (const { fd, file } of files) {
      const bytes = end?.file === file ? end.bytes : undefined;
      if (bytes !== 0) {
        const range = bytes === undefined ? {} : { end: bytes - 1 };
        const input = createReadStream(path, { fd, autoClose: false, start: 0, encoding: 'utf8', ...range });
        for await (const line of createInterface({ input })) yield parse(line);
      }
      if (bytes !== undefined) return;
    }
  } finally {
    for (const { fd } of files) closeSync(fd);
  }
}

/**
 * The files of a log, the oldest first. Opened from the newest on: one that is moved aside meanwhile is met twice then, never
 * missed.
 */
function openAll(path: string): { fd: number; file: string }[] {
  const found = new Map<string, number>();
  for (let number = 0; ; number++) {
    let fd: number;
    try {
      fd = openSync(number === 0 ? path : `${path}.${number}`, 'r');
    } catch {
      // For a moment there is no newest one.
      if (number === 0) continue;
      break;
    }
    const file = identityOf(fstatSync(fd, { bigint: true }));
    if (found.has(file)) closeSync(fd);
    else found.set(file, fd);
  }
  return [...found].map(([file, fd]) => ({ file, fd })).reverse();
}

const timeLength = '2026-01-01T00:00:00.000Z'.length;

function parse(line: string): LogLine {
  const atMs = line[timeLength] === ' ' ? Date.parse(line.slice(0, timeLength)) : Number.NaN;
  return Number.isNaN(atMs) ? { atMs: null, text: line } : { atMs, text: line.slice(timeLength + 1) };
}

function moveAside(path: string, files: number): void {
  rmSync(`${path}.${files}`, { force: true });
  for (let number = files - 1; number >= 1; number--)
    if (bytesOf(`${path}.${number}`) > 0) renameSync(`${path}.${number}`, `${path}.${number + 1}`);
  renameSync(path, `${path}.1`);
}

/** How much is in a file; 0 if it is not there. */
export function bytesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
