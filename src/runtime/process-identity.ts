// Process identity: a number tells one process from all others only together with its start time.
import { IpcError } from '../errors.ts';
import type { Identity } from '../machines/incarnation.ts';
import { native } from '../transport/native.ts';
import type { ProcessRecord } from '../workspace/workspace.ts';

/** @throws {IpcError} ERR_REFUSED if there is no such process. */
export function identify(what: string, pid: number): Identity {
  try {
    return { pid, startTicks: native().startTicks(pid) };
  } catch (error) {
    throw IpcError.from(error, 'ERR_REFUSED', what, `there is no process ${pid}`);
  }
}

/** 0 for one that has ended already. */
export function startTicksOf(pid: number): number {
  try {
    return native().startTicks(pid);
  } catch {
    return 0;
  }
}

/** Whether that very process runs: number and start time are those, and so is the boot if it is known. */
export function isAlive({ pid, startTicks, bootId }: Identity & Partial<ProcessRecord>): boolean {
  if (bootId !== undefined && bootId !== native().bootId()) return false;
  try {
    const process = new (native().Process)(pid, startTicks);
    const { ended } = process;
    process.close();
    return !ended;
  } catch {
    return false;
  }
}

/** Resolves at the end of that process; at once if it has ended. */
export function endOf({ pid, startTicks }: Identity): Promise<void> {
  return new Promise((resolve) => {
    // The handle alone does not keep this process running.
    const waiting = setInterval(() => {}, 2 ** 30);
    const settle = () => {
      clearInterval(waiting);
      resolve();
    };
    try {
      const process = new (native().Process)(pid, startTicks);
      process.listen(() => {
        process.close();
        settle();
      });
    } catch {
      settle();
    }
  });
}
