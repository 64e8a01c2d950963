// Place: where the programs of a user meet, and where those of one tree do.
import { existsSync, readFileSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { IpcError, messageOf } from '../errors.ts';
import { treeDirectory } from '../transport/run-directory.ts';
import { makeFolder } from '../workspace/folder.ts';
import { runPathIn, Workspace } from '../workspace/workspace.ts';

/** `$ACTOR_IPC_RUN_DIR`, else below `$XDG_RUNTIME_DIR`, else a folder of this user in the system's temporary one. */
export function defaultRunDirectory(env: NodeJS.ProcessEnv): string {
  if (env.ACTOR_IPC_RUN_DIR) {
    makeRunDirectory(env.ACTOR_IPC_RUN_DIR);
    return env.ACTOR_IPC_RUN_DIR;
  }
  if (env.XDG_RUNTIME_DIR) return join(env.XDG_RUNTIME_DIR, 'actor-ipc');
  return join(tmpdir(), `actor-ipc-${process.getuid!()}`);
}

function makeRunDirectory(path: string): void {
  try {
    makeFolder(path);
  } catch (error) {
    throw IpcError.from(error, 'ERR_RUN_DIRECTORY', path, messageOf(error));
  }
}

/** The folder in which the tree of a workspace has its sockets. */
export function treeRunDirectory(workspace: string): string {
  return treeDirectory(defaultRunDirectory(process.env), realpathSync(workspace));
}

/** Where the tree of a workspace has its sockets, if one runs, also if it was started where the run directory is another one. */
export function runningTreeDirectory(workspace: string): string {
  try {
    const told = readFileSync(runPathIn(workspace), 'utf8');
    if (existsSync(told)) return told;
  } catch {
    // None has run here, or it could not be written down.
  }
  return treeRunDirectory(workspace);
}

/** The workspace that is named, else the one beside the topology file. */
export function workspaceFolder(file: string, named: string | undefined): string {
  return named ?? join(dirname(file), '.actor-ipc');
}

/** Opens a workspace, made if need be. @throws {IpcError} ERR_SYSTEM. */
export function openWorkspace(folder: string): Workspace {
  return new Workspace(folder);
}
