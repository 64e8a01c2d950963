// Workspace: the folder that keeps what outlives a run: logs of the units, and the records by which a later run finds what
// an earlier one may have left.
import {
  appendFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { IpcError, messageOf } from '../errors.ts';
import { makeFolder } from './folder.ts';

/** What is known of the process of a unit, enough never to mistake another one for it. */
export interface ProcessRecord {
  readonly unit: string;
  readonly pid: number;
  /** Clock ticks after boot. */
  readonly startTicks: number;
  readonly bootId: string;
  readonly epoch: number;
}

/** A log larger than this is moved aside, once: the log of a crash is never overwritten by the first lines after it. */
const logBytesMax = 10 * 1024 * 1024;

export class Workspace {
  readonly folder: string;
  readonly #logBytes = new Map<string, number>();

  /** Opens the folder, made if need be. @throws {IpcError} ERR_SYSTEM. */
  constructor(folder: string) {
    this.folder = folder;
    try {
      for (const part of ['out', 'err', 'pid']) makeFolder(join(folder, part));
      writeFileSync(join(folder, '.gitignore'), '*\n');
    } catch (error) {
      throw IpcError.from(error, 'ERR_SYSTEM', `preparing the workspace ${folder}`, messageOf(error));
    }
  }

  get lockPath(): string {
    return join(this.folder, 'lock');
  }

  /** The supervisor's own log. */
  get logPath(): string {
    return join(this.folder, 'out', 'actor-ipc.log');
  }

  /** Appends a line that a unit has written. A full disk costs the line, never the run. */
  appendLine(unit: string, stream: 'out' | 'err', line: string): void {
    const path = join(this.folder, stream, `${fileName(unit)}.${stream}`);
    const text = `${line}\n`;
    try {
      const bytes = (this.#logBytes.get(path) ?? bytesOf(path)) + Buffer.byteLength(text);
      if (bytes > logBytesMax) {
        renameSync(path, `${path}.1`);
        this.#logBytes.set(path, Buffer.byteLength(text));
      } else this.#logBytes.set(path, bytes);
      appendFileSync(path, text, { mode: 0o600 });
    } catch {
      this.#logBytes.delete(path);
    }
  }

  writeRecord(record: ProcessRecord): void {
    const path = this.#recordPath(record.unit);
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  removeRecord(unit: string): void {
    rmSync(this.#recordPath(unit), { force: true });
  }

  /** What an earlier run has not removed; a record that can't be read is removed, since it says nothing. */
  leftRecords(): ProcessRecord[] {
    const records: ProcessRecord[] = [];
    for (const name of readdirSync(join(this.folder, 'pid'))) {
      const path = join(this.folder, 'pid', name);
      try {
        const record = JSON.parse(readFileSync(path, 'utf8')) as ProcessRecord;
        if (Number.isInteger(record.pid) && Number.isInteger(record.startTicks)) records.push(record);
        else rmSync(path, { force: true });
      } catch {
        rmSync(path, { force: true, recursive: true });
      }
    }
    return records;
  }

  #recordPath(unit: string): string {
    return join(this.folder, 'pid', `${fileName(unit)}.pid`);
  }
}

/** A unit's path without what a file name can't hold. */
function fileName(unit: string): string {
  return unit.replaceAll('/', '.');
}

function bytesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
