// Postmortem: what all processes of a tree did around the death of one: transitions from their flight recorders, lines, and log records
// with what was under way, merged by time. Made by the root at each end that nobody has asked for, and kept in the workspace.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { IpcError, messageOf } from '../errors.ts';
import { nearest } from '../names.ts';
import type { Death, Tree } from '../runtime/tree.ts';

export interface Postmortem {
  readonly actorIpc: 'postmortem';
  readonly version: number;
  readonly tree: string;
  /** Path below the root. */
  readonly unit: string;
  readonly incarnation: number;
  readonly pid: number | null;
  readonly endedAtMs: number;
  readonly exit: Death['exit'];
  readonly verdict: string;
  /** The last named state. */
  readonly state: string | null;
  /** By time. */
  readonly entries: readonly PostmortemEntry[];
}

export interface PostmortemEntry {
  readonly atMs: number;
  /** Path below the root; empty for the root itself. */
  readonly unit: string;
  readonly what: 'transition' | 'line' | 'log';
  readonly text: string;
}

const version = 1;
/** What happened this long before matters, and what others made of it. */
const beforeMs = 30_000;
const afterMs = 1_000;
const flightMax = 256;
/** Of each unit. */
const keptMax = 10;

/** Makes a postmortem at each unwanted end of a unit of a tree. */
export class Postmortems {
  readonly #tree: Tree;
  readonly #folder: string;
  readonly #pending = new Set<() => void>();
  readonly #unfollow: () => void;

  /** @param workspace the folder in which they are kept. */
  constructor(tree: Tree, workspace: string) {
    this.#tree = tree;
    this.#folder = folderOf(workspace);
    this.#unfollow = tree.deaths.follow((death) => {
      if (death.unwanted) this.#begin(death);
    });
  }

  /** Writes what is not complete yet. */
  close(): void {
    this.#unfollow();
    for (const finish of [...this.#pending]) finish();
  }

  #begin(death: Death): void {
    const entries = new Map<string, PostmortemEntry>();
    // Now, since others may be dead, too, before the time is over.
    this.#collect(death, entries);
    const finish = () => {
      clearTimeout(timer);
      if (!this.#pending.delete(finish)) return;
      this.#collect(death, entries);
      this.#write(death, [...entries.values()]);
    };
    const timer = setTimeout(finish, afterMs).unref();
    this.#pending.add(finish);
  }

  #collect({ unit, endedAtMs, flight, lines }: Death, entries: Map<string, PostmortemEntry>): void {
    const add = (atMs: number | null, of: string, what: PostmortemEntry['what'], text: string) => {
      if (atMs === null || atMs < endedAtMs - beforeMs || atMs > endedAtMs + afterMs) return;
      entries.set(`${atMs} ${of} ${what} ${text}`, { atMs, unit: of, what, text });
    };
    const fly = (of: string, records: Death['flight']) => {
      for (const { atMs, actor, event, state } of records)
        add(atMs, of, 'transition', `${actor}: ${event} -> ${state}`);
    };
    fly(unit, flight);
    fly('', this.#tree.flight(flightMax));
    for (const child of this.#tree.watched) fly(pathOf(child.unit), child.flight(flightMax));
    for (const { atMs, stream, line } of lines) add(atMs, unit, 'line', `${stream}: ${line}`);
    for (const { name } of this.#tree.status().units)
      for (const { atMs, stream, line } of this.#tree.logs.lastLines(`${this.#tree.name}/${name}`))
        add(atMs, name, 'line', `${stream}: ${line}`);
    for (const { atMs, unit: of, level, message } of this.#tree.recentLog.records)
      add(atMs, of, 'log', `${level}: ${message}`);
  }

  #write(death: Death, entries: PostmortemEntry[]): void {
    const { unit, incarnation, pid, endedAtMs, exit, verdict, state } = death;
    const postmortem: Postmortem = {
      ...{ actorIpc: 'postmortem', version, tree: this.#tree.name },
      ...{ unit, incarnation, pid, endedAtMs, exit, verdict, state },
      entries: entries.sort((one, other) => one.atMs - other.atMs),
    };
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
      const name = `${fileName(unit)}@${Math.round(endedAtMs)}.json`;
      writeFileSync(join(this.#folder, name), JSON.stringify(postmortem), { mode: 0o600 });
      for (const { file } of postmortemsIn(this.#folder, unit).slice(keptMax)) rmSync(file, { force: true });
    } catch {
      // A full disk costs the words, never the run.
    }
  }
}

/**
 * The latest postmortem of a unit.
 * @param number 1 is the latest, 2 the one before...
 * @throws {IpcError} ERR_UNIT_UNKNOWN if there is none, ERR_RECORDING if it can't be read.
 */
export function readPostmortem(workspace: string, unit: string, number = 1): Postmortem {
  const folder = folderOf(workspace);
  const found = postmortemsIn(folder, unit)[number - 1];
  if (!found) {
    const known = [...new Set(postmortemsIn(folder).map(({ unit: each }) => each))];
    const list = known.length === 0 ? 'none has died in this workspace' : known.join(', ');
    throw IpcError.of('ERR_UNIT_UNKNOWN', unit, nearest(unit, known), list);
  }
  try {
    const postmortem = JSON.parse(readFileSync(found.file, 'utf8')) as Postmortem;
    if (postmortem.actorIpc !== 'postmortem' || postmortem.version !== version)
      throw new Error(`it has version ${postmortem.version}, and this actor-ipc reads ${version}`);
    return postmortem;
  } catch (error) {
    throw IpcError.from(error, 'ERR_RECORDING', found.file, messageOf(error));
  }
}

function folderOf(workspace: string): string {
  return join(workspace, 'postmortem');
}

/** A unit's path without what a file name can't hold; names have no dots. */
function fileName(unit: string): string {
  return unit.replaceAll('/', '.');
}

/** The newest first. */
function postmortemsIn(folder: string, unit?: string): { unit: string; file: string; atMs: number }[] {
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names
    .flatMap((name) => {
      const [, of, at] = /^(.+)@(\d+)\.json$/.exec(name) ?? [];
      if (of === undefined || (unit !== undefined && of !== fileName(unit))) return [];
      return [{ unit: of.replaceAll('.', '/'), file: join(folder, name), atMs: Number(at) }];
    })
    .sort((one, other) => other.atMs - one.atMs);
}

function pathOf(unit: string): string {
  return unit.slice(unit.indexOf('/') + 1);
}
