// Who has started whom, as the kernel lists it, for soaks that kill more than their own children.
import { readdirSync, readFileSync } from 'node:fs';

/** Of all its threads. */
export function childrenOf(pid: number): number[] {
  try {
    return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
    );
  } catch {
    return [];
  }
}

/** Sends SIGKILL. @returns whether there was somebody alive to kill. */
export function killAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    if (/^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))) return false;
    return process.kill(pid, 'SIGKILL');
  } catch {
    return false;
  }
}

/** Numbers, parents and command lines of all others whose run directory is in that folder, whoever is their parent now. */
export function startedIn(folder: string): string[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      if (!(Number(name) > 0) || Number(name) === process.pid) return [];
      if (!readFileSync(`/proc/${name}/environ`, 'latin1').includes(`ACTOR_IPC_RUN_DIR=${folder}`)) return [];
      const [, parent] = /^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${name}/status`, 'latin1')) ?? [];
      const command = readFileSync(`/proc/${name}/cmdline`, 'latin1').replaceAll('\0', ' ');
      return [`${name} of ${parent}: ${command}`];
    } catch {
      return [];
    }
  });
}
