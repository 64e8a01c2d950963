// Unit log: what a unit wrote, line by line with its time, in files that are moved aside when they are large.
import { appendFileSync, createReadStream, renameSync, rmSync, statSync } from 'node:fs';
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

/** All files of a log that are there, the oldest first. */
export function logFiles(path: string): string[] {
  const moved: string[] = [];
  for (let number = 1; bytesOf(`${path}.${number}`) > 0; number++) moved.unshift(`${path}.${number}`);
  return bytesOf(path) > 0 ? [...moved, path] : moved;
}

/** The lines of a log, the oldest first; of its last file only the first `bytes`. */
export async function* readLog(path: string, bytes = Number.POSITIVE_INFINITY): AsyncGenerator<LogLine> {
  for (const file of logFiles(path)) {
    const isLast = file === path;
    if (isLast && bytes === 0) return;
    const end = isLast && Number.isFinite(bytes) ? { end: bytes - 1 } : {};
    const lines = createInterface({ input: createReadStream(file, { encoding: 'utf8', ...end }) });
    for await (const line of lines) yield parse(line);
  }
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
