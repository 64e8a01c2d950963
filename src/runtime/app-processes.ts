// App processes: which processes of a tree run as each app, so that an app knows its peers from strangers.
import type { AppProcess } from '../actors/child-control.ts';

/** A process that takes over is told of so many; of others it asks. */
const toldMax = 512;

export class AppProcesses {
  /** By app: the start ticks of each process, by its number. */
  readonly #processes = new Map<string, Map<number, number>>();

  /** @param startTicks 0: not known; then a process is known by its number alone, as long as it runs. */
  add(app: string, pid: number, startTicks: number): void {
    const processes = this.#processes.get(app) ?? new Map<number, number>();
    processes.set(pid, startTicks);
    this.#processes.set(app, processes);
  }

  /** That process has ended. */
  delete(pid: number): void {
    for (const processes of this.#processes.values()) processes.delete(pid);
  }

  /** Undefined if no process of the tree has run as that app. */
  runs(app: string, pid: number): boolean | undefined {
    return this.#processes.get(app)?.has(pid);
  }

  /** Those that run now, for one that is to know them without asking. */
  running(): AppProcess[] {
    const found: AppProcess[] = [];
    for (const [app, processes] of this.#processes)
      for (const [pid, startTicks] of processes)
        if (startTicks > 0 && found.length < toldMax) found.push({ app, pid, startTicks });
    return found;
  }
}
