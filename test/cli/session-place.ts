// A session for one test: its folder, its commands, and programs to keep in it.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import type { SessionListing, SessionRow } from '../../src/runtime/session-rows.ts';
import { SessionDatabase } from '../../src/workspace/session-database.ts';
import { waitUntil } from '../support/wait-until.ts';
import { type CommandResult, command, fixture, processesWith, scratch } from './command.ts';

export class SessionPlace {
  readonly #place = scratch();
  readonly folder = this.#place.workspace;
  readonly env = this.#place.env;
  /** A program that listens after a while; `a=1` and the like are its arguments. */
  readonly program = join(this.#place.folder, 'program');

  constructor() {
    mkdirSync(this.folder);
    this.script('program', `exec "${process.execPath}" "${fixture('listens-late.mjs')}" "$@"`);
  }

  /** Writes a shell script. @returns its path. */
  script(name: string, text: string): string {
    const path = join(this.#place.folder, name);
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
    return path;
  }

  uri(query = '', program = this.program): string {
    return `exec://localhost${program}${query === '' ? '' : `?${query}`}`;
  }

  session(...args: string[]): Promise<CommandResult> {
    return command(['session', ...args, '--workspace', this.folder], this.env);
  }

  /** @returns what it printed. */
  async succeeds(...args: string[]): Promise<string> {
    const { code, output } = await this.session(...args);
    assert.equal(code, 0, output);
    return output;
  }

  /** @returns what it printed. */
  async fails(wanted: number, ...args: string[]): Promise<string> {
    const { code, output } = await this.session(...args);
    assert.equal(code, wanted, output);
    return output;
  }

  async show(): Promise<SessionListing> {
    return JSON.parse(await this.succeeds('show', '--json')) as SessionListing;
  }

  async row(alias: string): Promise<SessionRow> {
    const { rows } = await this.show();
    const found = rows.find((row) => row.alias === alias || row.name === alias);
    assert.isDefined(found, `${alias} in ${JSON.stringify(rows)}`);
    return found!;
  }

  /** Asks again and again until the row is so. */
  async rowWhen(alias: string, what: string, isSo: (row: SessionRow) => boolean): Promise<SessionRow> {
    for (const givenUpAt = performance.now() + 60_000; ; ) {
      const row = await this.row(alias);
      if (isSo(row)) return row;
      if (performance.now() > givenUpAt) throw new Error(`waited in vain: ${what}: ${JSON.stringify(row)}`);
    }
  }

  /** REQUIRES: no supervisor runs. */
  database<T>(look: (database: SessionDatabase) => T): T {
    const database = new SessionDatabase(join(this.folder, 'db', 'session.db'));
    try {
      return look(database);
    } finally {
      database.close();
    }
  }

  read(...path: string[]): string {
    return readFileSync(join(this.folder, ...path), 'utf8');
  }

  /** All that stands in the workspace, but its secrets. */
  everything(): string {
    return readdirSync(this.folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.secret.yaml'))
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
      .join('\n');
  }

  /** As a reboot does: nothing of it is left. */
  async killAll(): Promise<void> {
    for (let left = this.processes(); left.length > 0; left = this.processes()) {
      for (const pid of left)
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          // It has ended already.
        }
      await waitUntil('the end of all', () => left.every((pid) => !isThere(pid)));
    }
  }

  processes(): number[] {
    return processesWith(this.env.ACTOR_IPC_RUN_DIR!);
  }

  async remove(): Promise<void> {
    await this.killAll();
    this.#place.remove();
  }
}

/** Zombies have no command line. */
export function isThere(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8') !== '';
  } catch {
    return existsSync(`/proc/${pid}/cmdline`);
  }
}
