// Session edit: changes the files of a workspace as the commands ask for it. One command at a time; a person may edit the same
// files, so that whatever is not ours in them stays.
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { isAbsolute } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { IpcError, messageOf } from '../errors.ts';
import { aliasRule, isAlias, isStatePath } from '../names.ts';
import { maskedArguments, secretsOfArguments } from '../spec/secret.ts';
import { identityOf, maskedUri, parseUri, secretsOf, type Uri } from '../spec/uri.ts';
import { FileLock } from '../transport/run-directory.ts';
import { codename } from '../workspace/codename.ts';
import { addDependence, parseParent, removeDependence } from '../workspace/session-file.ts';
import type { SessionWorkspace } from '../workspace/session-workspace.ts';
import { isAlive } from './process-identity.ts';
import {
  commandOf,
  findProcess,
  planSession,
  requireProgram,
  requireScheme,
  type SessionPlan,
} from './session-plan.ts';

/** Another command holds the files for as long as a supervisor takes to start, or a process to stop. */
const lockTimeoutMs = 30_000;
const lockLookMs = 20;

/** What a command says about a process; what it leaves out stays as it is. */
export interface ProcessWish {
  readonly alias?: string | undefined;
  readonly restart?: boolean | undefined;
  readonly shutdown?: boolean | undefined;
}

export interface Entered {
  readonly name: string;
  readonly alias: string | undefined;
  readonly isNew: boolean;
  /** What whoever asked for it should know. */
  readonly warnings: readonly string[];
}

/** Does work on the files while nobody else does. @throws {IpcError} ERR_REFUSED if another command holds them for too long. */
export async function editSession<T>(
  workspace: SessionWorkspace,
  work: (edit: SessionEdit) => T | Promise<T>,
): Promise<T> {
  const lock = await lockEdits(workspace);
  try {
    return await work(new SessionEdit(workspace));
  } finally {
    lock.release();
  }
}

async function lockEdits({ editLockPath, folder }: SessionWorkspace): Promise<FileLock> {
  for (const givenUpAt = performance.now() + lockTimeoutMs; ; ) {
    const lock = FileLock.take(editLockPath);
    if (lock instanceof FileLock) return lock;
    if (performance.now() > givenUpAt)
      throw IpcError.of('ERR_REFUSED', `edit ${folder}`, `process ${lock.holder} edits it all the time`);
    await pause(lockLookMs);
  }
}

export class SessionEdit {
  readonly #workspace: SessionWorkspace;
  readonly plan: SessionPlan;

  constructor(workspace: SessionWorkspace) {
    this.#workspace = workspace;
    this.plan = planSession(workspace);
  }

  /**
   * Writes down the process of a uri; one that is known by it already keeps its name and what a person has written.
   * @throws {IpcError} ERR_URI_INVALID, ERR_SCHEME_UNKNOWN, ERR_PROGRAM_MISSING, ERR_REFUSED, ERR_WORKSPACE_FILE; nothing is
   * written then.
   */
  enter(text: string, wish: ProcessWish): Entered {
    const uri = parseUri(text);
    requireScheme(this.#workspace.session(), uri.scheme);
    const warnings: string[] = [];
    const { name, isNew } = this.#nameFor(identityOf(uri), wish.alias);
    const secrets = secretsOf(uri);
    const command = uri.scheme === 'exec' ? commandOf(uri) : undefined;
    if (command) {
      if (uri.path === '' || uri.path.endsWith('/'))
        throw IpcError.of(
          'ERR_URI_INVALID',
          maskedUri(uri),
          'it names no program: exec://localhost/path/of/program',
        );
      requireProgram(this.plan.files.get(name)?.cmdline?.[0] ?? command[0]!, this.#workspace.folder);
      const keys = Object.keys(secrets);
      if (keys.length > 0)
        warnings.push(
          `${keys.join(', ')}: every user of this machine can read the arguments of a program; if it can take them from its environment or a file, leave them out here and use secret() in a topology, or "env" in ${this.#path(name)}`,
        );
    } else if (this.#willSurvive(name, wish))
      warnings.push('what runs for a scheme ends with the supervisor of the session, also with --shutdown 0');
    const cmdline = command && this.plan.files.get(name)?.cmdline === undefined;
    this.#write(name, isNew, uri, wish, cmdline ? { cmdline: maskedArguments(command) } : {});
    if (Object.keys(secrets).length > 0) this.#workspace.files.setSecrets(name, secrets);
    return { name, alias: wish.alias ?? this.plan.files.get(name)?.alias, isNew, warnings };
  }

  /**
   * Writes down a process that runs already.
   * @throws {IpcError} ERR_SYSTEM if it may not be looked at, ERR_REFUSED, ERR_WORKSPACE_FILE; nothing is written then.
   */
  attach(pid: number, wish: ProcessWish): Entered {
    const { command, cwd } = commandOfProcess(pid);
    const known = wish.alias !== undefined ? this.#find(wish.alias) : undefined;
    if (known !== undefined) {
      const record = this.#workspace.recordOf(known);
      if (record && record.pid !== pid && isAlive(record))
        throw IpcError.of('ERR_REFUSED', `attach ${pid}`, `${wish.alias} runs as process ${record.pid}`);
      this.#workspace.files.update(known, flagsOf(wish));
      return { name: known, alias: wish.alias, isNew: false, warnings: [] };
    }
    const shown = maskedArguments(command);
    const uri = parseUri(`attached://${hostname()}/${encodeURIComponent(shown.join(' ')).slice(0, 4_000)}`);
    const { name, isNew } = this.#nameFor(identityOf(uri), wish.alias, pid);
    this.#write(name, isNew, uri, wish, { cmdline: shown, cwd, attached: true });
    this.#workspace.files.setSecrets(name, secretsOfArguments(command));
    return { name, alias: wish.alias, isNew, warnings: [] };
  }

  /** Changes what is known of a process. @throws {IpcError} ERR_UNIT_UNKNOWN, ERR_WORKSPACE_FILE. */
  change(word: string, wish: Omit<ProcessWish, 'alias'>): string {
    const name = findProcess(this.plan.files, word);
    this.#workspace.files.update(name, flagsOf(wish));
    return name;
  }

  /** Whether a process can be forgotten. @throws {IpcError} ERR_UNIT_UNKNOWN, ERR_REFUSED. */
  checkRemoval(word: string): string {
    const name = findProcess(this.plan.files, word);
    for (const [child, parents] of this.plan.parents)
      if (child !== name && parents.some((parent) => parent.name === name))
        throw IpcError.of('ERR_REFUSED', `remove ${word}`, `${this.#aliasOf(child)} depends on it`);
    return name;
  }

  /** Forgets a process, but not what it has written. REQUIRES: it is down. @throws {IpcError} ERR_UNIT_UNKNOWN, ERR_REFUSED. */
  remove(word: string): void {
    const name = this.checkRemoval(word);
    const { dependences } = this.#workspace.session();
    for (const key of Object.keys(dependences))
      if (this.#find(key) === name)
        for (const parent of dependences[key]!) removeDependence(this.#workspace.sessionPath, parent, key);
    this.#workspace.files.remove(name);
    this.#workspace.fingerprints.remove(name);
  }

  /** @returns those that are new. @throws {IpcError} ERR_UNIT_UNKNOWN, ERR_REFUSED; nothing is written then. */
  addDependences(parents: readonly string[], children: readonly string[]): string[] {
    const session = this.#workspace.session();
    const dependences: Record<string, string[]> = { ...session.dependences };
    const added: { parent: string; child: string }[] = [];
    for (const child of children) {
      if (child.includes(':'))
        throw refusedDependence(child, 'a state belongs to the parent: --parent master.tws:operative');
      findProcess(this.plan.files, child);
      // By whichever of its names it stands there.
      const key = Object.keys(dependences).find((each) => this.#find(each) === this.#find(child)) ?? child;
      for (const parent of parents) {
        const { alias, state } = parseParent(parent);
        findProcess(this.plan.files, alias);
        if (state !== undefined && !isStatePath(state))
          throw refusedDependence(parent, 'a state is one name, or several joined by dots');
        const there = dependences[key] ?? [];
        if (there.includes(parent)) continue;
        dependences[key] = [...there, parent];
        added.push({ parent, child: key });
      }
    }
    const { mistakes } = planSession(this.#workspace, { session: { ...session, dependences } });
    for (const { child } of added) {
      const why = mistakes.get(this.#find(child)!);
      if (why !== undefined) throw refusedDependence(child, why);
    }
    for (const { parent, child } of added) addDependence(this.#workspace.sessionPath, parent, child);
    return added.map(({ parent, child }) => `${child} waits for ${parent}`);
  }

  /** @returns those that are gone. @throws {IpcError} ERR_REFUSED if there is none of them. */
  removeDependences(parents: readonly string[], children: readonly string[]): string[] {
    const { dependences } = this.#workspace.session();
    const known = Object.entries(dependences).flatMap(([child, of]) =>
      of.map((parent) => `${parent} -> ${child}`),
    );
    const gone: string[] = [];
    for (const text of children) {
      // A state at the child means nothing; the manual of old writes it there.
      const { alias: child } = parseParent(text);
      const name = this.#find(child);
      for (const key of Object.keys(dependences).filter(
        (each) => each === child || this.#find(each) === name,
      ))
        for (const parent of parents)
          if (removeDependence(this.#workspace.sessionPath, parent, key) > 0)
            gone.push(`${key} waits for ${parent} no more`);
    }
    if (gone.length === 0)
      throw refusedDependence(
        `${parents.join(',')} -> ${children.join(',')}`,
        `there is no such dependence; there are ${known.join(', ') || 'none'}`,
      );
    return gone;
  }

  #write(name: string, isNew: boolean, uri: Uri, wish: ProcessWish, more: object): void {
    const { files } = this.#workspace;
    const defaults = isNew ? { restart: 0, shutdown: 0 } : {};
    files.update(name, {
      ...(wish.alias !== undefined && { alias: wish.alias }),
      ...(isNew && { uri: maskedUri(uri) }),
      ...more,
      ...(defaults as object),
      ...flagsOf(wish),
    });
    if (wish.alias !== undefined) files.link(name, wish.alias);
  }

  /** The name of whoever is known by that identity and alias, or a new one that nobody has. */
  #nameFor(identity: string, alias: string | undefined, pid?: number): { name: string; isNew: boolean } {
    const { files } = this.plan;
    if (alias !== undefined) this.#checkAlias(alias);
    const taken = alias === undefined ? undefined : this.#find(alias);
    const base = codename(identity);
    const names = this.#workspace.files.names();
    for (let number = 1; ; number++) {
      const name = number === 1 ? base : `${base}-${number}`;
      const file = files.get(name);
      const isFree = !names.includes(name);
      const isThisOne =
        file !== undefined &&
        identityOf(parseUri(file.uri)) === identity &&
        (alias === undefined || file.alias === undefined || file.alias === alias) &&
        (pid === undefined || !this.#runsElse(name, pid));
      if (!isFree && !isThisOne) continue;
      if (taken !== undefined && taken !== name)
        throw IpcError.of(
          'ERR_REFUSED',
          `alias ${alias}`,
          `it is that of ${taken} (${files.get(taken)?.uri}); choose another one`,
        );
      return { name, isNew: isFree };
    }
  }

  #runsElse(name: string, pid: number): boolean {
    const record = this.#workspace.recordOf(name);
    return record !== undefined && record.pid !== pid && isAlive(record);
  }

  #checkAlias(alias: string): void {
    const why = !isAlias(alias)
      ? aliasRule
      : alias === 'session' || alias.endsWith('.secret')
        ? 'a file of the workspace has that name'
        : undefined;
    if (why !== undefined) throw IpcError.of('ERR_OPTIONS_INVALID', `--alias ${alias}`, why);
  }

  #willSurvive(name: string, { shutdown }: ProcessWish): boolean {
    return !(shutdown ?? this.plan.files.get(name)?.shutdown ?? false);
  }

  #find(word: string): string | undefined {
    for (const [name, { alias }] of this.plan.files) if (name === word || alias === word) return name;
    return undefined;
  }

  #aliasOf(name: string): string {
    return this.plan.files.get(name)?.alias ?? name;
  }

  #path(name: string): string {
    return `etc/${name}.yaml`;
  }
}

/** As they stand in the files: 0 or 1, as on the command line. */
function flagsOf({ restart, shutdown }: ProcessWish): object {
  return {
    ...(restart !== undefined && { restart: Number(restart) }),
    ...(shutdown !== undefined && { shutdown: Number(shutdown) }),
  };
}

function refusedDependence(what: string, why: string): IpcError {
  return IpcError.of('ERR_REFUSED', `dependence ${what}`, why);
}

/** How a process was started, as far as one can see. @throws {IpcError} ERR_REFUSED, ERR_SYSTEM. */
function commandOfProcess(pid: number): { command: string[]; cwd: string } {
  try {
    const args = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1);
    if (args.length === 0)
      throw IpcError.of('ERR_REFUSED', `attach ${pid}`, 'it has no command line of its own');
    const [program, ...rest] = args as [string, ...string[]];
    // A name was looked up in a PATH that is not ours.
    const file = isAbsolute(program) ? program : readlinkSync(`/proc/${pid}/exe`);
    return { command: [file, ...rest], cwd: readlinkSync(`/proc/${pid}/cwd`) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw IpcError.from(error, 'ERR_REFUSED', `attach ${pid}`, `there is no process ${pid}`);
    throw IpcError.from(error, 'ERR_SYSTEM', `looking at process ${pid}`, messageOf(error));
  }
}
