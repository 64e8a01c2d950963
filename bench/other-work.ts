// Other work: how much of the CPUs went to something else while we measured. Figures from a busy machine tell little, and
// nothing else in them says so.
import { readFileSync } from 'node:fs';

/** Below this share of the CPUs it is what every machine does for itself. */
export const otherWorkNotable = 0.05;

export class OtherWork {
  readonly #began = ticksNow();

  /** From 0 to 1 of all CPUs together, since this was made; what the host took from a virtual machine counts too. */
  share(): number {
    const now = ticksNow();
    const since = (key: keyof Ticks) => now[key] - this.#began[key];
    return since('all') === 0 ? 0 : Math.max(0, since('busy') - since('own')) / since('all');
  }
}

/** Times in the kernel's ticks. */
interface Ticks {
  readonly all: number;
  readonly busy: number;
  /** Of this process and of all its children that have ended, with theirs. */
  readonly own: number;
}

function ticksNow(): Ticks {
  // cpu user nice system idle iowait irq softirq steal; guests are counted within user and nice.
  const cpu = numbersOf(readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]!).slice(0, 8);
  const [, , , idle = 0, waiting = 0] = cpu;
  // Behind the name of the program, which may contain anything, comes field 3; times are fields 14 to 17.
  const self = readFileSync('/proc/self/stat', 'utf8');
  const fields = self.slice(self.lastIndexOf(')') + 2).split(' ');
  const all = sum(cpu);
  return { all, busy: all - idle - waiting, own: sum(fields.slice(11, 15).map(Number)) };
}

function numbersOf(line: string): number[] {
  return line.split(/\s+/).slice(1).map(Number);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
