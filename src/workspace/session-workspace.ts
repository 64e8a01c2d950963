// Session workspace: a folder whose `etc` says what is to run. A workspace as every tree has one, whose files are named by the
// processes alone, and with what the session knows of them.
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { IpcError, messageOf } from '../errors.ts';
import { makeFolder } from './folder.ts';
import { ProcessFiles } from './process-file.ts';
import { SessionDatabase } from './session-database.ts';
import { readSessionFile, type SessionFile, sessionFileText } from './session-file.ts';
import { StateFingerprints } from './state-fingerprints.ts';
import { type ProcessRecord, recordIn, Workspace } from './workspace.ts';

/** The tree of every session has this name; its units stand below. */
export const sessionName = 'session';

const folders = ['bin', 'db', 'etc', 'fp'] as const;

export class SessionWorkspace extends Workspace {
  readonly files: ProcessFiles;
  readonly fingerprints: StateFingerprints;

  /** @throws {IpcError} ERR_NO_SESSION if the folder is none, ERR_SYSTEM. */
  constructor(folder: string) {
    if (!isSessionWorkspace(folder)) throw IpcError.of('ERR_NO_SESSION', folder);
    super(folder);
    makeFolders(folder);
    this.files = new ProcessFiles(join(folder, 'etc'));
    this.fingerprints = new StateFingerprints(join(folder, 'fp'));
  }

  get sessionPath(): string {
    return sessionPathIn(this.folder);
  }

  get sessionDatabasePath(): string {
    return join(this.folder, 'db', 'session.db');
  }

  /** Held by whoever edits `etc`. */
  get editLockPath(): string {
    return join(this.folder, 'etc', '.lock');
  }

  /** A database of its own, which each process is offered. */
  databasePath(name: string): string {
    return join(this.folder, 'db', `${name}.db`);
  }

  /** @throws {IpcError} ERR_WORKSPACE_FILE. */
  session(): SessionFile {
    return readSessionFile(this.sessionPath);
  }

  /** REQUIRES: the workspace is locked by this process. @throws {IpcError} ERR_WORKSPACE_FILE. */
  openDatabase(): SessionDatabase {
    return new SessionDatabase(this.sessionDatabasePath);
  }

  /** The record of the process that runs, or ran last, as that one. */
  recordOf(name: string): ProcessRecord | undefined {
    return recordIn(this.recordPath(name));
  }

  override writeRecord(record: ProcessRecord): void {
    super.writeRecord(record);
    // For people and scripts: the number and nothing else.
    writeFileSync(this.#pidPath(record.unit), `${record.pid}\n`, { mode: 0o600 });
  }

  override removeRecord(unit: string, pid?: number): void {
    super.removeRecord(unit, pid);
    if (!existsSync(this.recordPath(unit))) rmSync(this.#pidPath(unit), { force: true });
  }

  /** Removes what belongs to no process that is known: numbers without a process, fingerprints without a file. */
  clean(): string[] {
    const known = new Set(this.files.names());
    const stale = (folder: string, isStale: (name: string) => boolean) =>
      readdirSync(join(this.folder, folder))
        .filter(isStale)
        .map((name) => join(folder, name));
    const left = [
      ...stale(
        'pid',
        (file) => file.endsWith('.pid') && !existsSync(this.recordPath(basename(file, '.pid'))),
      ),
      ...stale('fp', (file) => file.endsWith('.fp') && !known.has(file.slice(0, file.indexOf('.')))),
    ];
    for (const path of left) rmSync(join(this.folder, path), { force: true, recursive: true });
    return left;
  }

  /** Without the name of the tree, which is the same for all. */
  protected override fileOf(unit: string): string {
    return super.fileOf(unit.startsWith(`${sessionName}/`) ? unit.slice(sessionName.length + 1) : unit);
  }

  protected override recordPath(unit: string): string {
    return join(this.folder, 'pid', `.${this.fileOf(unit)}.json`);
  }

  protected override isRecord(file: string): boolean {
    return file.startsWith('.') && file.endsWith('.json');
  }

  #pidPath(unit: string): string {
    return join(this.folder, 'pid', `${this.fileOf(unit)}.pid`);
  }
}

export function isSessionWorkspace(folder: string): boolean {
  return existsSync(sessionPathIn(folder));
}

/**
 * Makes a folder a workspace; what is there already stays as it is.
 * @param scripts texts of `bin`, by file name.
 * @returns whether it was none before. @throws {IpcError} ERR_SYSTEM.
 */
export function makeSessionWorkspace(folder: string, scripts: Readonly<Record<string, string>>): boolean {
  const isNew = !isSessionWorkspace(folder);
  try {
    makeFolder(folder);
    makeFolders(folder);
    for (const [name, text] of Object.entries(scripts)) writeOnce(join(folder, 'bin', name), text, 0o755);
    writeOnce(sessionPathIn(folder), sessionFileText, 0o600);
  } catch (error) {
    throw IpcError.from(error, 'ERR_SYSTEM', `preparing the workspace ${folder}`, messageOf(error));
  }
  return isNew;
}

function makeFolders(folder: string): void {
  for (const name of folders) makeFolder(join(folder, name));
}

function writeOnce(path: string, text: string, mode: number): void {
  if (!existsSync(path)) writeFileSync(path, text, { mode });
}

function sessionPathIn(folder: string): string {
  return join(folder, 'etc', 'session.yaml');
}
