// Session database: `db/session.db`, the facts of a workspace that must be unique: which name has which alias and uri, the
// state and process of each, and what started and ended when. Only the workspace's supervisor opens it, under its lock.
import { rmSync } from 'node:fs';
import sqlite from 'node-sqlite3-wasm';
import { IpcError, messageOf } from '../errors.ts';

export interface ProcessRow {
  readonly name: string;
  readonly alias: string | null;
  /** Without its secrets. */
  readonly uri: string;
  readonly state: string | null;
  readonly pid: number | null;
  /** Clock ticks after boot; with the number of the process and of the boot they tell it from all others. */
  readonly startTicks: number | null;
  readonly bootId: string | null;
}

export interface HistoryRow {
  readonly name: string;
  readonly atMs: number;
  readonly what: 'started' | 'exited';
  readonly pid: number;
  readonly epoch: number;
  /** How it ended; null for a start. */
  readonly exit: string | null;
}

/** Of each process, the latest entries that are kept. */
const historyDefault = 1_000;
/** How many entries come before old ones are looked for. */
const trimEvery = 16;
const schemaVersion = 1;

const schema = `
CREATE TABLE IF NOT EXISTS process (
  name TEXT PRIMARY KEY,
  alias TEXT UNIQUE,
  uri TEXT NOT NULL,
  state TEXT,
  pid INTEGER,
  start_ticks INTEGER,
  boot_id TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS history (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  what TEXT NOT NULL,
  pid INTEGER NOT NULL,
  epoch INTEGER NOT NULL,
  exit TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS history_by_name ON history (name, id);
PRAGMA user_version = ${schemaVersion};
`;

const rowColumns = 'name, alias, uri, state, pid, start_ticks AS startTicks, boot_id AS bootId';

export class SessionDatabase {
  readonly #database: sqlite.Database;
  readonly #historyMax: number;

  /**
   * REQUIRES: the workspace is locked by this process; a lock on the file was left by one that has been killed.
   * @throws {IpcError} ERR_WORKSPACE_FILE.
   */
  constructor(path: string, historyMax = historyDefault) {
    this.#historyMax = historyMax;
    try {
      rmSync(`${path}.lock`, { recursive: true, force: true });
      this.#database = new sqlite.Database(path);
    } catch (error) {
      throw IpcError.from(error, 'ERR_WORKSPACE_FILE', path, messageOf(error));
    }
    try {
      const found = this.#database.get('PRAGMA user_version') as { user_version: number };
      if (found.user_version > schemaVersion)
        throw new Error(
          `it is of a later release (schema ${found.user_version}, this one knows ${schemaVersion})`,
        );
      this.#database.exec(schema);
    } catch (error) {
      this.#database.close();
      throw IpcError.from(error, 'ERR_WORKSPACE_FILE', path, messageOf(error));
    }
  }

  /** All processes, by name. */
  processes(): ProcessRow[] {
    return this.#database.all(`SELECT ${rowColumns} FROM process ORDER BY name`) as unknown as ProcessRow[];
  }

  /** The process of that name or alias. */
  find(word: string): ProcessRow | undefined {
    const row = this.#database.get(`SELECT ${rowColumns} FROM process WHERE name = ? OR alias = ?`, [
      word,
      word,
    ]);
    return (row ?? undefined) as ProcessRow | undefined;
  }

  /** Adds a process, which runs nowhere yet. */
  add({ name, alias, uri }: Pick<ProcessRow, 'name' | 'alias' | 'uri'>): void {
    this.#database.run('INSERT INTO process (name, alias, uri) VALUES (?, ?, ?)', [name, alias, uri]);
  }

  setAlias(name: string, alias: string | null): void {
    this.#database.run('UPDATE process SET alias = ? WHERE name = ?', [alias, name]);
  }

  setState(name: string, state: string | null): void {
    this.#database.run('UPDATE process SET state = ? WHERE name = ?', [state, name]);
  }

  /** The process that runs as this one; null: none does. */
  setRunning(name: string, running: { pid: number; startTicks: number; bootId: string } | null): void {
    this.#database.run('UPDATE process SET pid = ?, start_ticks = ?, boot_id = ? WHERE name = ?', [
      running?.pid ?? null,
      running?.startTicks ?? null,
      running?.bootId ?? null,
      name,
    ]);
  }

  /** Removes a process and its history. */
  remove(name: string): void {
    this.#database.run('DELETE FROM process WHERE name = ?', [name]);
    this.#database.run('DELETE FROM history WHERE name = ?', [name]);
  }

  note({ name, atMs, what, pid, epoch, exit }: HistoryRow): void {
    const { lastInsertRowid } = this.#database.run(
      'INSERT INTO history (name, at_ms, what, pid, epoch, exit) VALUES (?, ?, ?, ?, ?, ?)',
      [name, atMs, what, pid, epoch, exit],
    );
    if (Number(lastInsertRowid) % trimEvery === 0) this.#trim(name);
  }

  #trim(name: string): void {
    this.#database.run(
      'DELETE FROM history WHERE name = ? AND id <= (SELECT id FROM history WHERE name = ? ORDER BY id DESC LIMIT 1 OFFSET ?)',
      [name, name, this.#historyMax],
    );
  }

  /** The latest starts and exits of a process, the last one first. */
  history(name: string, count = 20): HistoryRow[] {
    return this.#database.all(
      'SELECT name, at_ms AS atMs, what, pid, epoch, exit FROM history WHERE name = ? ORDER BY id DESC LIMIT ?',
      [name, count],
    ) as unknown as HistoryRow[];
  }

  close(): void {
    this.#database.close();
  }
}
