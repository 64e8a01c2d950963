// Recent log: the last log records of the root and of programs, for those who come later or ask after a death.
import type { Log, LogLevel } from '../actors/hosting.ts';

export interface LoggedRecord {
  readonly atMs: number;
  readonly level: LogLevel;
  /** Path below the root; empty for the root itself. */
  readonly unit: string;
  readonly message: string;
}

const keptMax = 500;
const messageMax = 4_096;

export class RecentLog {
  readonly #records: LoggedRecord[] = [];
  readonly #listeners = new Set<(record: LoggedRecord) => void>();

  /** A log that keeps what passes on its way to another one. */
  through(log: Log): Log {
    const passing = (level: LogLevel) => (facts: object, message: string) => {
      if (level !== 'debug') this.#keep(level, facts, message);
      log[level](facts, message);
    };
    return {
      debug: passing('debug'),
      info: passing('info'),
      warn: passing('warn'),
      error: passing('error'),
    };
  }

  get records(): readonly LoggedRecord[] {
    return this.#records;
  }

  /** Calls back for each record from now on. @returns how to stop. */
  follow(listener: (record: LoggedRecord) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #keep(level: LogLevel, facts: object, message: string): void {
    const { unit } = facts as { unit?: unknown };
    const path = typeof unit === 'string' ? unit.slice(unit.indexOf('/') + 1) : '';
    const record = { atMs: Date.now(), level, unit: path, message: message.slice(0, messageMax) };
    this.#records.push(record);
    if (this.#records.length > keptMax) this.#records.shift();
    for (const listener of this.#listeners) listener(record);
  }
}
