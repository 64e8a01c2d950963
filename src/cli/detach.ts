// Detach: `run` in a process of its own, which goes on without the terminal. This one waits until the tree has come up.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { constants } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { IpcError } from '../errors.ts';
import { askTree } from '../runtime/control-client.ts';
import { openWorkspace } from '../runtime/place.ts';
import type { TreeStatus } from '../runtime/status.ts';
import { exitCode } from './exit-code.ts';
import { isComing, withProgress } from './progress.ts';

/** By it the detached process knows that it is one. */
export const detachedOption = '--detached';

/** How soon a tree that comes up is looked at again. */
const lookMs = 100;
/** What a process that failed at once has said, at most. */
const saidBytesMax = 64 * 1024;

interface Detached {
  /** Folder of the workspace. */
  readonly workspace: string;
  /** Arguments of `run`, without those that are for this process. */
  readonly args: readonly string[];
  readonly timeoutMs: number | undefined;
}

/** Ends with the code of a boot that failed. @throws {IpcError} ERR_TIMEOUT; the tree goes on coming up. */
export async function detach({ workspace, args, timeoutMs }: Detached): Promise<void> {
  const path = openWorkspace(workspace).rootOutputPath;
  const before = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const fd = openSync(path, 'a', 0o600);
  const root = spawn(
    process.execPath,
    [...process.execArgv, process.argv[1]!, 'run', ...args, detachedOption],
    {
      detached: true,
      stdio: ['ignore', fd, fd, 'ipc'],
    },
  );
  closeSync(fd);
  let ended: number | undefined;
  root.once('error', () => {
    ended = exitCode.failed;
  });
  root.once('exit', (code, signal) => {
    ended = code ?? 128 + (signal === null ? 0 : constants.signals[signal]);
  });
  const started = new Promise<void>((resolve) => {
    root.once('message', () => resolve());
    root.once('exit', () => resolve());
    root.once('error', () => resolve());
  });
  const deadline = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
  const tooLate = new Promise<never>((_, reject) => {
    deadline?.addEventListener('abort', () =>
      reject(IpcError.of('ERR_TIMEOUT', 'the start of the tree, which goes on,', timeoutMs!)),
    );
  });
  tooLate.catch(() => {});
  const code = await withProgress({ workspace, what: 'starting', concerns: isComing }, () =>
    Promise.race([tooLate, started.then(() => settle(workspace, () => ended, deadline))]),
  ).finally(() => {
    if (root.connected) root.disconnect();
    root.unref();
  });
  if (ended !== undefined) process.stderr.write(tailOf(path, before));
  process.exitCode = code;
}

/** Waits until all units are up, or one can't come up. @returns the exit code that says so. */
async function settle(
  workspace: string,
  ended: () => number | undefined,
  until: AbortSignal | undefined,
): Promise<number> {
  for (;;) {
    const code = ended();
    if (code !== undefined) return code;
    const status = await look(workspace);
    if (status) {
      const { name, pid, state, units } = status;
      const lost = units.filter(({ phase }) => phase === 'failed' || phase === 'skipped');
      // Degraded is what it can only be after it has been operative.
      if (state === 'operative' || state === 'degraded' || lost.length > 0) {
        const follow = '"actor-ipc logs -f" follows it, "actor-ipc down" ends it';
        process.stdout.write(`${name} runs as process ${pid}; ${follow}\n`);
        for (const unit of lost) process.stderr.write(`${unit.name} is ${unit.phase}: ${unit.note}\n`);
        return lost.length > 0 ? exitCode.failed : exitCode.asked;
      }
    }
    if (until?.aborted) return exitCode.timedOut;
    await pause(lookMs);
  }
}

/** Nothing while it is on its way up, or down. */
async function look(workspace: string): Promise<TreeStatus | undefined> {
  try {
    return (await askTree(workspace, 'status')) as TreeStatus;
  } catch {
    return undefined;
  }
}

function tailOf(path: string, from: number): string {
  const fd = openSync(path, 'r');
  try {
    const bytes = Buffer.alloc(saidBytesMax);
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, saidBytesMax, from));
  } finally {
    closeSync(fd);
  }
}
