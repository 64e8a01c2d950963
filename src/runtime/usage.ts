// Usage: the processor time and memory of whole units, each with everything that its program has started. Looked up only
// when somebody asks.
import pidusage from 'pidusage';
import { ProcessTable } from '../workspace/process-table.ts';

export interface Usage {
  /** Of one core: 200 are two busy ones. Since it was last asked for within a minute, else since the process began. */
  readonly cpuPercent: number;
  /** Resident memory; what processes share counts in each of them. */
  readonly memoryBytes: number;
  readonly processes: number;
}

/** Two who ask at once get the same answer: the share of a processor in a few milliseconds is noise. */
const freshMs = 500;
/** After that the numbers of processes may have been given to others. */
const staleMs = 10_000;

export class UsageMeter {
  readonly #table = new ProcessTable();
  #last: { readonly atMs: number; readonly of: Promise<ReadonlyMap<number, Usage>> } | undefined;

  /** @param pids the programs of units. @returns their usage by pid, without those that have ended. */
  measure(pids: readonly number[]): Promise<ReadonlyMap<number, Usage>> {
    const nowMs = performance.now();
    const last = this.#last;
    if (last && nowMs - last.atMs < freshMs) return last.of;
    if (last && nowMs - last.atMs > staleMs) this.#table.forget();
    const of = this.#measure(pids);
    this.#last = { atMs: nowMs, of };
    return of;
  }

  async #measure(pids: readonly number[]): Promise<ReadonlyMap<number, Usage>> {
    this.#table.refresh();
    const groups = new Map(pids.map((pid) => [pid, this.#groupOf(pid)]));
    const members = [...groups.values()].flat();
    if (members.length === 0) return new Map();
    // Each of them may end at any moment.
    const figures = await pidusage(members).catch((): Record<string, pidusage.Status> => ({}));
    const usages = new Map<number, Usage>();
    for (const [pid, group] of groups) {
      const known = group.flatMap((member) => figures[member] ?? []);
      if (known.length === 0) continue;
      usages.set(pid, {
        cpuPercent: Math.round(10 * known.reduce((sum, { cpu }) => sum + cpu, 0)) / 10,
        memoryBytes: known.reduce((sum, { memory }) => sum + memory, 0),
        processes: known.length,
      });
    }
    return usages;
  }

  /** The program of a unit and all that descends from it, those among them that have left its group. */
  #groupOf(pid: number): number[] {
    const minder = this.#table.parentOf(pid);
    if (minder === undefined) return [];
    // All units descend from the root, and each speaks for itself.
    if (pid === process.pid) return [pid];
    // What loses its parent becomes a child of the minder, which minds this program alone and is not counted.
    if (this.#table.parentOf(minder) === process.pid) return this.#table.below(minder);
    return [pid, ...this.#table.below(pid, pid)];
  }
}
