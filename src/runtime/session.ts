// Session: what the commands under `session` do. They edit the files of the workspace, and its supervisor takes them over.
import { existsSync } from 'node:fs';
import { IpcError } from '../errors.ts';
import { FileLock } from '../transport/run-directory.ts';
import { makeSessionWorkspace, SessionWorkspace } from '../workspace/session-workspace.ts';
import { updateYaml } from '../workspace/yaml-file.ts';
import { endOf, identify } from './process-identity.ts';
import { askSession, ensureSession, isActive, startSession } from './session-client.ts';
import { editSession, type ProcessWish } from './session-edit.ts';
import { planSession } from './session-plan.ts';
import { type SessionListing, type SessionRow, sessionRows } from './session-rows.ts';
import type { Deactivated, Started } from './session-supervisor.ts';
import { strangerLike } from './stranger.ts';

export type Schemes = Readonly<Record<string, { readonly node: string; readonly app?: string }>>;

/** @param program what people type before `session`. @throws {IpcError} ERR_SYSTEM, ERR_WORKSPACE_FILE. */
export function initSession(
  folder: string,
  program: string,
  schemes: Schemes,
): { folder: string; isNew: boolean } {
  const isNew = makeSessionWorkspace(folder, scriptsOf(program));
  const workspace = openSession(folder, schemes);
  // So that it is there from the beginning; whoever supervises the session has it open already.
  const lock = existsSync(workspace.sessionDatabasePath) ? undefined : FileLock.take(workspace.lockPath);
  if (lock instanceof FileLock)
    try {
      workspace.openDatabase().close();
    } finally {
      lock.release();
    }
  return { folder, isNew };
}

/** @param schemes those that the program brings along. @throws {IpcError} ERR_NO_SESSION, ERR_WORKSPACE_FILE. */
export function openSession(folder: string, schemes: Schemes): SessionWorkspace {
  const workspace = new SessionWorkspace(folder);
  if (Object.keys(schemes).length > 0) {
    const known = workspace.session().schemes;
    if (Object.keys(schemes).some((scheme) => !Object.hasOwn(known, scheme)))
      updateYaml(workspace.sessionPath, { schemes: { ...schemes, ...known } });
  }
  return workspace;
}

/** @param uri of a new process, or of one that is known; without it, that of the alias is started. */
export async function startProcess(
  workspace: SessionWorkspace,
  uri: string | undefined,
  wish: ProcessWish,
): Promise<{ started: Started; warnings: readonly string[] }> {
  const { name, warnings, began } = await editSession(workspace, async (edit) => {
    const entered =
      uri === undefined ? { name: edit.change(wish.alias!, wish), warnings: [] } : edit.enter(uri, wish);
    // While nobody else edits: of two commands that begin a session at once, one starts its supervisor.
    const began = (await ensureSession(workspace)) !== undefined;
    return { ...entered, began };
  });
  const started = (await askSession(workspace, 'session.start', { facts: { name } })) as Started;
  // A supervisor that this command has begun starts it before it is asked to.
  return { started: began ? { ...started, already: false } : started, warnings };
}

/** @param pid of a process that runs; without it, the state of a known one is named. */
export async function attachProcess(
  workspace: SessionWorkspace,
  pid: number | undefined,
  { state, ...wish }: ProcessWish & { readonly state?: string },
): Promise<SessionRow> {
  let name = wish.alias!;
  let row: SessionRow | undefined;
  if (pid !== undefined) {
    const what = `attach ${pid}`;
    identify(what, pid);
    if (pid === process.pid || pid === process.ppid || pid === 1)
      throw IpcError.of('ERR_REFUSED', what, 'a session does not keep what it is started from');
    row = await editSession(workspace, async (edit) => {
      await ensureSession(workspace);
      for (const other of (await listSession(workspace)).rows)
        if (other.pid === pid && other.alias !== wish.alias)
          throw IpcError.of('ERR_REFUSED', what, `it runs as ${other.alias ?? other.name} already`);
      ({ name } = edit.attach(pid, wish));
      return (await askSession(workspace, 'session.attach', { facts: { name, pid } })) as SessionRow;
    });
  } else if (wish.restart !== undefined || wish.shutdown !== undefined) {
    await editSession(workspace, async (edit) => {
      edit.change(name, wish);
      await reapply(workspace);
    });
  }
  if (state === undefined) return row!;
  return (await askSession(workspace, 'session.tag', { facts: { name, state } })) as SessionRow;
}

/** The number of the one process that looks like a saved fingerprint and is not kept already. @throws {IpcError} ERR_REFUSED. */
export async function processLike(workspace: SessionWorkspace, file: string): Promise<number> {
  const { supervisor, rows } = await listSession(workspace);
  const kept = [supervisor, ...rows].flatMap((each) => each?.pid ?? []);
  return strangerLike('attach', file, [process.pid, ...kept]);
}

/** @throws {IpcError} ERR_TIMEOUT, ERR_SESSION_INACTIVE, ERR_UNIT_UNKNOWN. */
export async function waitForProcess(
  workspace: SessionWorkspace,
  name: string,
  { condition, state, timeout }: { condition?: string; state?: string; timeout?: number },
): Promise<SessionRow> {
  return (await askSession(workspace, 'session.wait', {
    facts: { name, ...(condition === undefined ? { state } : { condition }) },
    timeoutMs: timeout ?? 'infinity',
    what: condition === undefined ? `${name} being ${state}` : `the condition ${condition} of ${name}`,
  })) as SessionRow;
}

export async function stopProcess(
  workspace: SessionWorkspace,
  name: string,
  timeoutMs: number | 'infinity' = 'infinity',
): Promise<SessionRow> {
  const what = `the end of ${name}`;
  return (await askSession(workspace, 'session.stop', { facts: { name }, timeoutMs, what })) as SessionRow;
}

/** Also a process that still runs without a supervisor is stopped by one first. */
export async function removeProcess(workspace: SessionWorkspace, word: string): Promise<void> {
  await editSession(workspace, async (edit) => {
    const active = await isActive(workspace);
    const name = edit.checkRemoval(word);
    if (!active && (await listSession(workspace)).rows.some((row) => row.name === name && row.pid !== null))
      throw IpcError.of(
        'ERR_REFUSED',
        `remove ${word}`,
        'it runs; activate the session, so that it can be stopped',
      );
    if (active) await stopProcess(workspace, name);
    edit.remove(word);
    await reapply(workspace);
  });
}

export function changeDependences(
  workspace: SessionWorkspace,
  what: 'add' | 'remove',
  parents: readonly string[],
  children: readonly string[],
): Promise<string[]> {
  return editSession(workspace, async (edit) => {
    const changed =
      what === 'add' ? edit.addDependences(parents, children) : edit.removeDependences(parents, children);
    await reapply(workspace);
    return changed;
  });
}

/** @throws {IpcError} ERR_WORKSPACE_BUSY with the number of the supervisor that there is already. */
export async function activateSession(
  workspace: SessionWorkspace,
): Promise<{ pid: number; started: readonly Started[] }> {
  const pid = await startSession(workspace);
  const started = (await askSession(workspace, 'session.activated')) as Started[];
  return { pid, started };
}

/** Until nothing of the supervisor is left. */
export async function deactivateSession(
  workspace: SessionWorkspace,
  onStopped: (name: string) => void,
): Promise<Deactivated> {
  const { supervisor } = (await askSession(workspace, 'session.show')) as SessionListing;
  const identity = supervisor && identify('deactivate', supervisor.pid);
  const end = (await askSession(workspace, 'session.deactivate', {
    onItem: (item) => onStopped((item as { stopped: string }).stopped),
  })) as Deactivated;
  if (identity) await endOf(identity);
  return end;
}

/** With or without a supervisor. */
export async function listSession(workspace: SessionWorkspace): Promise<SessionListing> {
  try {
    return (await askSession(workspace, 'session.show')) as SessionListing;
  } catch (error) {
    if (!(error instanceof IpcError && error.code === 'ERR_SESSION_INACTIVE')) throw error;
    return {
      workspace: workspace.folder,
      supervisor: null,
      rows: sessionRows(workspace, planSession(workspace)),
    };
  }
}

/** What is not active takes the files over when it is activated. */
async function reapply(workspace: SessionWorkspace): Promise<void> {
  try {
    await askSession(workspace, 'session.apply');
  } catch (error) {
    if (!(error instanceof IpcError && error.code === 'ERR_SESSION_INACTIVE')) throw error;
  }
}

function scriptsOf(program: string): Record<string, string> {
  return {
    'activate.sh': `#!/bin/sh
# Starts the session of the workspace that this file stands in.
cd "$(dirname "$0")/.." && exec ${program} session activate "$@"
`,
    'install_bash_completer.rc': `# Completes the words of commands in bash: source this file, or name it in ~/.bashrc.
source <(actor-ipc completion bash)
`,
  };
}
