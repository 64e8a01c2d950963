// Workspace: the folder that keeps what outlives a run: logs of the units, and the records by which a later run finds what
// an earlier one may have left.
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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
  /** It was meant to outlive its supervisor, and the next one takes it over. */
  readonly survive: boolean;
}

export class Workspace {
  readonly folder: string;

  /** Opens the folder, made if need be. @throws {IpcError} ERR_SYSTEM. */
  constructor(folder: string) {
    this.folder = folder;
    try {
      for (const part of ['out', 'err', 'pid']) makeFolder(join(folder, part));
      const ignored = join(folder, '.gitignore');
      if (!existsSync(ignored)) writeFileSync(ignored, '*\n');
    } catch (error) {
      throw IpcError.from(error, 'ERR_SYSTEM', `preparing the workspace ${folder}`, messageOf(error));
    }
  }

  /** Writes down where the tree has its sockets. Without it, only who has the same run directory finds them. */
  writeRun(directory: string): void {
    try {
      writeFileSync(runPathIn(this.folder), directory, { mode: 0o600 });
    } catch {
      // A full disk costs the hint, never the run.
    }
  }

  removeRun(): void {
    rmSync(runPathIn(this.folder), { force: true });
  }

  get lockPath(): string {
    return join(this.folder, 'lock');
  }

  /** The supervisor's own log. */
  get logPath(): string {
    return join(this.folder, 'out', 'actor-ipc.log');
  }

  /** What the supervisor's own process writes where nobody sees it. */
  get rootOutputPath(): string {
    return join(this.folder, 'err', 'actor-ipc.log');
  }

  /** Where what a unit writes is kept. */
  unitLogPath(unit: string, stream: 'out' | 'err'): string {
    return join(this.folder, stream, `${this.fileOf(unit)}.${stream}`);
  }

  /** Keeps the last words of a process that ended badly, whatever is written after them. */
  writeCrash(unit: string, text: string): void {
    try {
      writeFileSync(join(this.folder, 'err', `${this.fileOf(unit)}.crash`), text, { mode: 0o600 });
    } catch {
      // A full disk costs the words, never the run.
    }
  }

  writeRecord(record: ProcessRecord): void {
    const path = this.recordPath(record.unit);
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  /** @param pid only the record of that process; its successor may have written its own. */
  removeRecord(unit: string, pid?: number): void {
    const path = this.recordPath(unit);
    if (pid === undefined || recordIn(path)?.pid === pid) rmSync(path, { force: true });
  }

  /** What an earlier run has not removed; a record that can't be read is removed, since it says nothing. */
  leftRecords(): ProcessRecord[] {
    const records: ProcessRecord[] = [];
    for (const name of readdirSync(join(this.folder, 'pid'))) {
      if (!this.isRecord(name)) continue;
      const path = join(this.folder, 'pid', name);
      const record = recordIn(path);
      if (record) records.push(record);
      else rmSync(path, { force: true, recursive: true });
    }
    return records;
  }

  /** A unit's path without what a file name can't hold. */
  protected fileOf(unit: string): string {
    return unit.replaceAll('/', '.');
  }

  protected recordPath(unit: string): string {
    return join(this.folder, 'pid', `${this.fileOf(unit)}.pid`);
  }

  /** Whether a file among the records is one, or something else that has its place there. */
  protected isRecord(_file: string): boolean {
    return true;
  }
}

export function runPathIn(workspace: string): string {
  return join(workspace, 'run');
}

export function recordIn(path: string): ProcessRecord | undefined {
  try {
    const record = JSON.parse(readFileSync(path, 'utf8')) as ProcessRecord;
    return Number.isInteger(record.pid) && Number.isInteger(record.startTicks) ? record : undefined;
  } catch {
    return undefined;
  }
}
