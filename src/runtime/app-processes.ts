// App processes: which processes of a tree run as each app, so that an app knows its peers from strangers.

export class AppProcesses {
  readonly #pids = new Map<string, Set<number>>();

  add(app: string, pid: number): void {
    const pids = this.#pids.get(app) ?? new Set();
    pids.add(pid);
    this.#pids.set(app, pids);
  }

  /** That process has ended. */
  delete(pid: number): void {
    for (const pids of this.#pids.values()) pids.delete(pid);
  }

  /** Undefined if no process of the tree has run as that app. */
  runs(app: string, pid: number): boolean | undefined {
    return this.#pids.get(app)?.has(pid);
  }
}
