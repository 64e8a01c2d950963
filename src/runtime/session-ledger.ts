// Session ledger: what the database of a session keeps, as its units report it. A full disk costs the entries, never the run.
import type { Log } from '../actors/hosting.ts';
import { messageOf } from '../errors.ts';
import type { UnitReport } from '../machines/unit-report.ts';
import { native } from '../transport/native.ts';
import type { ProcessFile } from '../workspace/process-file.ts';
import type { SessionDatabase } from '../workspace/session-database.ts';
import { describeExit } from './status.ts';

export class SessionLedger {
  readonly #database: SessionDatabase;
  readonly #log: Log;
  readonly #epochs = new Map<string, { epoch: number; pid: number; atMs: number }>();
  #failing = false;

  constructor(database: SessionDatabase, log: Log) {
    this.#database = database;
    this.#log = log;
  }

  /** The processes of the workspace are these. */
  know(files: ReadonlyMap<string, ProcessFile>): void {
    this.#attempt(() => {
      const rows = new Map(this.#database.processes().map((row) => [row.name, row]));
      for (const name of rows.keys()) if (!files.has(name)) this.#database.remove(name);
      // Two of them may have changed their aliases with each other.
      for (const [name, { alias = null }] of files)
        if (rows.has(name) && rows.get(name)!.alias !== alias) this.#database.setAlias(name, null);
      for (const [name, { alias = null, uri }] of files)
        if (!rows.has(name)) this.#database.add({ name, alias, uri });
        else if (rows.get(name)!.alias !== alias) this.#database.setAlias(name, alias);
    });
  }

  note(name: string, report: UnitReport): void {
    if (report.type === 'unit.changed') {
      const { phase, state, pid, epoch } = report;
      if (pid !== null && this.#epochs.get(name)?.epoch !== epoch) this.#noteStart(name, pid, epoch);
      this.#attempt(() => this.#database.setState(name, phase === 'up' ? (state ?? phase) : phase));
    }
    if (report.type === 'unit.exited') {
      const { epoch, exit } = report;
      const { pid = 0 } = this.#epochs.get(name) ?? {};
      this.#epochs.delete(name);
      this.#attempt(() => {
        this.#database.setRunning(name, null);
        this.#database.note({ name, atMs: Date.now(), what: 'exited', pid, epoch, exit: describeExit(exit) });
      });
    }
  }

  /** When the process that runs as that one came under this supervisor. */
  startedAtMs(name: string): number {
    return this.#epochs.get(name)?.atMs ?? Date.now();
  }

  #noteStart(name: string, pid: number, epoch: number): void {
    const atMs = Date.now();
    this.#epochs.set(name, { epoch, pid, atMs });
    this.#attempt(() => {
      this.#database.note({ name, atMs, what: 'started', pid, epoch, exit: null });
      const startTicks = ticksOf(pid);
      this.#database.setRunning(
        name,
        startTicks === undefined ? null : { pid, startTicks, bootId: native().bootId() },
      );
    });
  }

  #attempt(write: () => void): void {
    try {
      write();
      this.#failing = false;
    } catch (error) {
      // Once: the same again says nothing new.
      if (!this.#failing)
        this.#log.error({ why: messageOf(error) }, `db/session.db was not written: ${messageOf(error)}`);
      this.#failing = true;
    }
  }
}

/** Undefined if it has ended already. */
function ticksOf(pid: number): number | undefined {
  try {
    return native().startTicks(pid);
  } catch {
    return undefined;
  }
}
