// Session client: asks the supervisor of a workspace, and starts it where none runs.
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { IpcError } from '../errors.ts';
import type { SessionWorkspace } from '../workspace/session-workspace.ts';
import { type AskOptions, askTree } from './control-client.ts';
import { loaderArgs } from './loader.ts';
import type { SessionNews } from './session-main.ts';

/** The entry stands beside this file, in the same language. */
const mainPath = fileURLToPath(new URL(`./session-main${import.meta.url.slice(-3)}`, import.meta.url));

/** A supervisor that another command has just started answers within this time. */
const answerTimeoutMs = 15_000;
const lookMs = 20;

/** @throws {IpcError} ERR_SESSION_INACTIVE, and what the supervisor answers. */
export async function askSession(
  { folder }: SessionWorkspace,
  question: string,
  options: AskOptions = {},
): Promise<unknown> {
  try {
    return await askTree(folder, question, { timeoutMs: 'infinity', ...options });
  } catch (error) {
    if (error instanceof IpcError && error.code === 'ERR_NO_TREE')
      throw IpcError.from(error, 'ERR_SESSION_INACTIVE', folder);
    throw error;
  }
}

export async function isActive(workspace: SessionWorkspace): Promise<boolean> {
  try {
    await askSession(workspace, 'session.show', { timeoutMs: answerTimeoutMs });
    return true;
  } catch (error) {
    if (error instanceof IpcError && error.code === 'ERR_SESSION_INACTIVE') return false;
    throw error;
  }
}

/** @returns its number if it had to be started. @throws {IpcError} what starting it throws; ERR_TIMEOUT. */
export async function ensureSession(workspace: SessionWorkspace): Promise<number | undefined> {
  if (await isActive(workspace)) return undefined;
  try {
    return await startSession(workspace);
  } catch (error) {
    if (!(error instanceof IpcError && error.code === 'ERR_WORKSPACE_BUSY')) throw error;
    // Another command was quicker; its supervisor is about to listen. Or the last one is about to be gone.
    for (
      const givenUpAt = performance.now() + answerTimeoutMs;
      performance.now() < givenUpAt;
      await pause(lookMs)
    )
      if (await isActive(workspace)) return undefined;
    throw error;
  }
}

/**
 * Starts the supervisor, detached from this process, its terminal and its group.
 * @returns its number. @throws {IpcError} ERR_WORKSPACE_BUSY with the number of the one that runs; what keeps it from starting.
 */
export function startSession({ folder, logPath }: SessionWorkspace): Promise<number> {
  return new Promise((resolve, reject) => {
    const log = openSync(logPath, 'a', 0o600);
    const child = spawn(process.execPath, [...loaderArgs(mainPath), mainPath, folder], {
      cwd: folder,
      detached: true,
      // What it says at a crash stands in its log.
      stdio: ['ignore', log, log, 'ipc'],
    });
    closeSync(log);
    child.once('message', (news: SessionNews) => {
      child.disconnect?.();
      child.unref();
      if ('pid' in news) resolve(news.pid);
      else reject(IpcError.received(news.error));
    });
    child.once('error', (error) =>
      reject(IpcError.from(error, 'ERR_SYSTEM', 'starting the supervisor', error.message)),
    );
    child.once('exit', (code, signal) =>
      reject(
        IpcError.of(
          'ERR_SYSTEM',
          'starting the supervisor',
          `it ended with ${signal ?? `code ${code}`}; ${logPath} says why`,
        ),
      ),
    );
  });
}
