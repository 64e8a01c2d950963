// Unit logs: what the units of a tree write, on its way into their files, to the terminal, and to those who follow it.
import type { OutputStream } from '../actors/output.ts';
import type { LogRules } from '../spec/probe.ts';
import { UnitLog } from '../workspace/unit-log.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { type LogPositions, logPositions } from './log-reader.ts';
import type { UnitLine } from './unit-line.ts';

/** Lines that are kept for the case of a crash. */
const lastLinesMax = 100;

type Follower = (line: UnitLine) => void;

export class UnitLogs {
  readonly #workspace: Workspace;
  readonly #onLine: (unit: string, stream: OutputStream, line: string) => void;
  readonly #files = new Map<string, UnitLog>();
  readonly #last = new Map<string, UnitLine[]>();
  readonly #followers = new Set<Follower>();

  constructor(workspace: Workspace, onLine: (unit: string, stream: OutputStream, line: string) => void) {
    this.#workspace = workspace;
    this.#onLine = onLine;
  }

  /** @param unit the path of the unit, @param name the same below the root. */
  write(
    unit: string,
    name: string,
    stream: OutputStream,
    lines: readonly string[],
    dropped: number,
    rules: LogRules,
  ): void {
    const atMs = Date.now();
    const told = dropped === 0 ? lines : [...lines, flood(dropped, rules)];
    const path = this.#workspace.unitLogPath(unit, stream);
    let file = this.#files.get(path);
    if (!file) {
      file = new UnitLog(path);
      this.#files.set(path, file);
    }
    file.append(told, atMs, rules);
    const last = this.#last.get(unit) ?? [];
    this.#last.set(unit, last);
    for (const line of told) {
      const unitLine = { atMs, unit: name, stream, line };
      last.push(unitLine);
      this.#onLine(name, stream, line);
      for (const follower of this.#followers) follower(unitLine);
    }
    if (last.length > lastLinesMax) last.splice(0, last.length - lastLinesMax);
  }

  /** The last lines of its present run. */
  lastLines(unit: string): readonly UnitLine[] {
    return this.#last.get(unit) ?? [];
  }

  /** The last lines of a unit. With `keep`, also in a file that no later line touches. */
  last(unit: string, keep: string | undefined): string[] {
    const lines = (this.#last.get(unit) ?? []).map(
      ({ atMs, stream, line }) => `${new Date(atMs ?? 0).toISOString()} ${stream}: ${line}`,
    );
    if (keep !== undefined) this.#workspace.writeCrash(unit, [keep, ...lines, ''].join('\n'));
    return lines;
  }

  /** The next run has a log of its own. */
  forget(unit: string): void {
    this.#last.delete(unit);
  }

  /** Calls back for each line from now on. @returns how to stop. */
  follow(follower: Follower): () => void {
    this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  /** Of the workspace in which the files stand. */
  get folder(): string {
    return this.#workspace.folder;
  }

  /** How far each log goes now, the lines that were told to followers among them. */
  positions(): LogPositions {
    return logPositions(this.#workspace.folder);
  }
}

function flood(dropped: number, { maxBytesPerSecond }: LogRules): string {
  return `(${dropped} lines were dropped: more than ${maxBytesPerSecond} bytes in a second)`;
}
