// Process table: who descends from whom, for those who look again and again. A look reads the entries of those processes alone
// that are new since the last one, and does nothing at all if none has come or gone; so its cost is not that of the whole machine.
import { readdirSync, readFileSync } from 'node:fs';

interface Entry {
  readonly parent: number;
  readonly group: number;
  /** Clock ticks after boot: another process of the same number has others. */
  readonly startTicks: string;
}

export class ProcessTable {
  readonly #entries = new Map<number, Entry>();
  readonly #children = new Map<number, Set<number>>();
  /** Processes whose parent was not to be found: it has just ended, and they have got another one. */
  readonly #loose = new Set<number>();
  /** The number that the kernel gave last. */
  #last = 0;
  /** How many threads there were. Nobody has ended if no number was given since and there are still as many. */
  #threads = 0;

  /** Takes in what has changed. */
  refresh(): void {
    const { last, threads } = machineLoad();
    const isSame = last === this.#last && threads === this.#threads;
    if (isSame && this.#entries.size > 0 && this.#loose.size === 0) return;
    this.#threads = threads;
    const listed = numbersIn('/proc');
    const gone = new Set<number>();
    for (const pid of this.#entries.keys()) if (!listed.has(pid)) gone.add(pid);
    for (const pid of listed) {
      const known = this.#entries.get(pid);
      if (known && !isBetween(pid, this.#last, last)) continue;
      const entry = entryOf(pid);
      if (known && known.startTicks !== entry?.startTicks) gone.add(pid);
      this.#set(pid, entry);
    }
    this.#last = last;
    for (const pid of gone) {
      if (!listed.has(pid)) this.#set(pid, undefined);
      for (const child of this.#children.get(pid) ?? []) this.#loose.add(child);
    }
    for (const pid of [...this.#loose]) {
      this.#loose.delete(pid);
      if (this.#entries.has(pid)) this.#set(pid, entryOf(pid));
    }
  }

  /** The parent of a process; undefined if that is not there. */
  parentOf(pid: number): number | undefined {
    return this.#entries.get(pid)?.parent;
  }

  /** Everything that descends from a process, without itself. @param group also who is in that group. */
  below(pid: number, group?: number): number[] {
    const found = new Set<number>();
    const visit = (parent: number): void => {
      for (const child of this.#children.get(parent) ?? []) {
        if (child === pid || found.has(child)) continue;
        found.add(child);
        visit(child);
      }
    };
    visit(pid);
    if (group !== undefined)
      for (const [member, entry] of this.#entries)
        if (entry.group === group && member !== pid && !found.has(member)) {
          found.add(member);
          visit(member);
        }
    return [...found];
  }

  /** Numbers may be given anew while nobody looks. */
  forget(): void {
    this.#entries.clear();
    this.#children.clear();
    this.#loose.clear();
  }

  #set(pid: number, entry: Entry | undefined): void {
    const before = this.#entries.get(pid);
    if (before) this.#children.get(before.parent)?.delete(pid);
    if (!entry) {
      this.#entries.delete(pid);
      this.#loose.delete(pid);
      return;
    }
    this.#entries.set(pid, entry);
    const siblings = this.#children.get(entry.parent) ?? new Set();
    this.#children.set(entry.parent, siblings.add(pid));
  }
}

/** The fourth and fifth field of /proc/loadavg: "running/threads" and the number given last. */
function machineLoad(): { last: number; threads: number } {
  const fields = readFileSync('/proc/loadavg', 'latin1').trim().split(' ');
  return { threads: Number(fields[3]!.split('/')[1]), last: Number(fields[4]) };
}

/** Numbers are given upwards, and from the lowest again after the highest. */
function isBetween(pid: number, from: number, to: number): boolean {
  return from <= to ? pid > from && pid <= to : pid > from || pid <= to;
}

function numbersIn(folder: string): Set<number> {
  const numbers = new Set<number>();
  for (const name of readdirSync(folder)) if (/^\d+$/.test(name)) numbers.add(Number(name));
  return numbers;
}

/** Fields of /proc/PID/stat; the name before them may hold anything. */
function entryOf(pid: number): Entry | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return { parent: Number(fields[1]), group: Number(fields[2]), startTicks: fields[19]! };
  } catch {
    return undefined;
  }
}
