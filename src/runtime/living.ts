// Living: which processes of a tree there are, by number and start, so that none is mistaken for a later one of its number.
import { readFileSync } from 'node:fs';
import { ProcessTable } from '../workspace/process-table.ts';

export interface Living {
  readonly pid: number;
  /** Clock ticks after boot. */
  readonly startTicks: string;
}

/** A process and everything that descends from it, as the machine is now. */
export function livingBelow(pid: number): Living[] {
  const table = new ProcessTable();
  table.refresh();
  return [pid, ...table.below(pid)].flatMap((each) => livingAs(each) ?? []);
}

/** The process that has this number now; undefined if there is none. */
export function livingAs(pid: number): Living | undefined {
  const startTicks = startOf(pid);
  return startTicks === undefined ? undefined : { pid, startTicks };
}

/** Whether it is still there. What is dead and waits for its parent only is not. */
export function isAlive({ pid, startTicks }: Living): boolean {
  return startOf(pid) === startTicks;
}

function startOf(pid: number): string | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const [state, ...fields] = text.slice(text.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' || state === 'X' ? undefined : fields[18];
  } catch {
    return undefined;
  }
}
