// Session plan: the topology that the files of a workspace describe. A file that is wrong costs its own process and those that
// wait for it, not the others.
import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { isAbsolute, join, resolve } from 'node:path';
import { IpcError, messageOf } from '../errors.ts';
import { isName, isStatePath, nameRule, nearest } from '../names.ts';
import { type ChildSpec, processDefaults, supervisorDefaults, type Topology } from '../spec/child.ts';
import { startOrder } from '../spec/start-order.ts';
import { parseChild } from '../spec/topology-check.ts';
import { maskedUri, parseUri, type Uri } from '../spec/uri.ts';
import type { ProcessFile } from '../workspace/process-file.ts';
import { parseParent, type SessionFile } from '../workspace/session-file.ts';
import { type SessionWorkspace, sessionName } from '../workspace/session-workspace.ts';

/** So many restarts within the period and the process is given up: by the delays between them, within half a minute. */
const giveUp = { restarts: 8, periodMs: processDefaults.giveUp.periodMs };

/** The named state of a program that is up, while none of its own is recognised. */
export const running = 'running';

export interface SessionPlan {
  readonly topology: Topology;
  /** Every process whose file can be read, by its name. */
  readonly files: ReadonlyMap<string, ProcessFile>;
  /** Why a process is left out, by its name. */
  readonly mistakes: ReadonlyMap<string, string>;
  /** For each child, its parents by name, with the state that each must be in. */
  readonly parents: ReadonlyMap<string, readonly { name: string; state: string | undefined }[]>;
}

export interface PlanOptions {
  /** Default: as it stands in its file. @throws {IpcError} ERR_WORKSPACE_FILE. */
  readonly session?: SessionFile;
  /** Whether a process that runs outlives its supervisor; undefined: as its file says from its next start on. */
  readonly survives?: (name: string) => boolean | undefined;
}

/** @throws {IpcError} ERR_WORKSPACE_FILE if the session's own file is wrong. */
export function planSession(workspace: SessionWorkspace, options: PlanOptions = {}): SessionPlan {
  const { session = workspace.session(), survives = () => undefined } = options;
  const files = new Map<string, ProcessFile>();
  const mistakes = new Map<string, string>();
  const children = new Map<string, ChildSpec>();
  for (const name of workspace.files.names())
    attempt(mistakes, name, () => {
      const file = workspace.files.read(name)!;
      files.set(name, file);
      children.set(name, childOf(workspace, session, name, file, survives(name)));
    });
  const find = finder(files);
  const parents = new Map<string, { name: string; state: string | undefined }[]>();
  for (const [child, wanted] of Object.entries(session.dependences)) {
    const name = find(child);
    if (name === undefined) continue;
    parents.set(name, []);
    attempt(mistakes, name, () => {
      for (const text of wanted) parents.get(name)!.push(parentOf(text, name, find, parents.get(name)!));
    });
  }
  for (const name of mistakes.keys()) children.delete(name);
  dropWhatCannotStart(children, parents, mistakes);
  return { topology: topologyOf(workspace, children, parents), files, mistakes, parents };
}

/** States that somebody has tagged. A file whose name has none that could be one is a person's own. */
function statesOf({ fingerprints }: SessionWorkspace, name: string): Record<string, { fingerprint: string }> {
  const states = [...fingerprints.filesOf(name)].filter(([state]) => isStatePath(state));
  return Object.fromEntries(states.map(([state, path]) => [state, { fingerprint: path }]));
}

/** The process of that name or alias. */
export function finder(files: ReadonlyMap<string, ProcessFile>): (word: string) => string | undefined {
  const aliases = new Map<string, string>();
  for (const [name, { alias }] of files) if (alias !== undefined) aliases.set(alias, name);
  return (word) => (files.has(word) ? word : aliases.get(word));
}

/** @throws {IpcError} ERR_UNIT_UNKNOWN with the nearest name. */
export function findProcess(files: ReadonlyMap<string, ProcessFile>, word: string): string {
  const name = finder(files)(word);
  if (name !== undefined) return name;
  const known = [...files].map(([each, { alias }]) => alias ?? each);
  const shown =
    known.length > 0 ? known.join(', ') : 'none yet; "session start" and "session attach" add some';
  throw IpcError.of('ERR_UNIT_UNKNOWN', word, nearest(word, [...known, ...files.keys()]), shown);
}

/** The command line of an exec uri. */
export function commandOf({ path, words }: Uri): string[] {
  return [path, ...words];
}

/** @throws {IpcError} ERR_SCHEME_UNKNOWN. */
export function requireScheme({ schemes }: SessionFile, scheme: string): void {
  const known = ['exec', ...Object.keys(schemes)];
  if (!known.includes(scheme))
    throw IpcError.of('ERR_SCHEME_UNKNOWN', scheme, nearest(scheme, known), known.join(', '));
}

/** @throws {IpcError} ERR_PROGRAM_MISSING. */
export function requireProgram(file: string, cwd: string): void {
  // Without a slash it is looked up in PATH, which is that of whoever starts it.
  if (!file.includes('/')) return;
  const path = resolve(cwd, file);
  try {
    if (statSync(path).isDirectory()) throw new Error('it is a folder');
    accessSync(path, constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'ENOENT' || code === 'ENOTDIR'
        ? 'there is no such program'
        : code === 'EACCES'
          ? 'it may not be executed'
          : messageOf(error);
    throw IpcError.from(error, 'ERR_PROGRAM_MISSING', file, why);
  }
}

function attempt(mistakes: Map<string, string>, name: string, work: () => void): void {
  try {
    work();
  } catch (error) {
    mistakes.set(name, messageOf(error));
  }
}

function parentOf(
  text: string,
  child: string,
  find: (word: string) => string | undefined,
  others: readonly { name: string }[],
): { name: string; state: string | undefined } {
  const { alias, state } = parseParent(text);
  const name = find(alias);
  if (name === undefined) throw new Error(`it depends on ${alias}, which is not there`);
  if (name === child) throw new Error('it depends on itself');
  if (others.some((other) => other.name === name))
    throw new Error(`it depends on two states of ${alias}; it can be in one at a time`);
  return { name, state };
}

/** Who waits for one that is left out, or in a circle, would wait for ever. */
function dropWhatCannotStart(
  children: Map<string, ChildSpec>,
  parents: SessionPlan['parents'],
  mistakes: Map<string, string>,
): void {
  const drop = (name: string, why: string) => {
    if (!mistakes.has(name)) mistakes.set(name, why);
    return children.delete(name);
  };
  for (let dropped = true; dropped; ) {
    dropped = false;
    for (const name of children.keys())
      for (const parent of parents.get(name) ?? [])
        if (!children.has(parent.name))
          dropped = drop(name, `it depends on ${parent.name}, which has a mistake`);
  }
  const done = new Set<string>();
  const visit = (name: string, path: string[]): void => {
    if (done.has(name) || !children.has(name)) return;
    if (path.includes(name)) {
      const circle = path.slice(path.indexOf(name));
      for (const each of circle) drop(each, `a circle of dependences: ${[...circle, name].join(' -> ')}`);
      return;
    }
    for (const parent of parents.get(name) ?? []) visit(parent.name, [...path, name]);
    done.add(name);
  };
  const before = children.size;
  for (const name of [...children.keys()]) visit(name, []);
  if (children.size < before) dropWhatCannotStart(children, parents, mistakes);
}

function topologyOf(
  { folder, sessionPath }: SessionWorkspace,
  children: ReadonlyMap<string, ChildSpec>,
  parents: SessionPlan['parents'],
): Topology {
  for (const [name, child] of children)
    Object.assign(child, {
      dependsOn: Object.fromEntries(
        (parents.get(name) ?? []).map((parent) => [parent.name, parent.state ?? 'ready']),
      ),
    });
  const { strategy, intensity, periodMs, autoShutdown } = supervisorDefaults;
  const rules = { strategy: strategy as Topology['strategy'], intensity, periodMs, autoShutdown };
  const unordered = {
    ...rules,
    name: sessionName,
    file: sessionPath,
    children: Object.fromEntries(children),
  };
  // Parents first, so that they come up, and are listed, before those that wait for them.
  const order = startOrder(unordered);
  return {
    ...unordered,
    file: join(folder, 'etc', 'session.yaml'),
    children: Object.fromEntries(order.map((name) => [name, children.get(name)!])),
  };
}

function childOf(
  workspace: SessionWorkspace,
  session: SessionFile,
  name: string,
  file: ProcessFile,
  survives: boolean | undefined,
): ChildSpec {
  const { folder } = workspace;
  const path = join(folder, 'etc', `${name}.yaml`);
  if (!isName(name)) throw IpcError.of('ERR_WORKSPACE_FILE', path, `${nameRule}; an alias may have dots`);
  const uri = parseUri(file.uri);
  const secretPath = workspace.files.secretPath(name);
  const input = {
    restart: file.restart ? 'permanent' : 'temporary',
    giveUp,
    ...file.unit,
    ...(file.cwd !== undefined && { cwd: file.cwd }),
    ...(existsSync(secretPath) && { secrets: secretPath }),
    states: { ...(file.unit?.states as object | undefined), ...statesOf(workspace, name) },
    env: {
      ...(file.unit?.env as Record<string, string> | undefined),
      ...file.env,
      ACTOR_IPC_DB: workspace.databasePath(name),
      ACTOR_IPC_URI: maskedUri(uri),
      ACTOR_IPC_WORKSPACE: folder,
    },
  };
  if (file.cmdline !== undefined || uri.scheme === 'exec') {
    const [program, ...args] = file.cmdline ?? commandOf(uri);
    const survive = survives ?? !file.shutdown;
    const exec = { ...input, kind: 'exec', file: program, args, survive, otherwise: running };
    return parseChild(exec, path, name, folder);
  }
  requireScheme(session, uri.scheme);
  const { node, app = name } = session.schemes[uri.scheme]!;
  const program = isAbsolute(node) ? node : join(folder, node);
  return parseChild(
    { ...input, kind: 'node', file: program, app, input: Object.fromEntries(uri.query) },
    path,
    name,
    folder,
  );
}
