// Fuzz: feeds one target with inputs at random for a time. Each input has a seed of its own, so that a failure comes back
// alone: npm run fuzz -- --target T --seed S --inputs 1
import { Random } from '../support/random.ts';
import { targets } from './targets.ts';

export interface FuzzOptions {
  readonly target: string;
  /** Of the first input; each further one has the next. */
  readonly seed: number;
  /** Stops after so many inputs, or after so long, whichever comes first. */
  readonly inputs: number;
  readonly ms: number;
  /** So many in any case, however slow the machine is. Default 0. */
  readonly inputsMin?: number;
}

export interface FuzzResult {
  inputs: number;
  /** The most processor time that one input took. */
  slowestMs: number;
  /** How much more memory the process has than before, at most. */
  grownBytes: number;
}

/** No input is larger than a packet or a ring; this leaves room for the collector to be lazy. */
const grownMax = 400 * 1024 * 1024;
const lookEvery = 256;
/** Of processor time. No input is large enough to be worth more, by a wide margin. */
const inputMsMax = 4_000;

/** @throws an Error that names target and seed. */
export async function fuzz({ target, seed, inputs, ms, inputsMin = 0 }: FuzzOptions): Promise<FuzzResult> {
  const fed = await targets[target]!();
  const rss = process.memoryUsage.rss();
  const result: FuzzResult = { inputs: 0, slowestMs: 0, grownBytes: 0 };
  const endsAt = performance.now() + ms;
  try {
    const goesOn = () => performance.now() < endsAt || result.inputs < inputsMin;
    for (; result.inputs < inputs && goesOn(); result.inputs++) {
      try {
        const random = new Random(scattered(seed + result.inputs));
        const before = process.cpuUsage();
        await fed.feed(random);
        const { user, system } = process.cpuUsage(before);
        result.slowestMs = Math.max(result.slowestMs, (user + system) / 1_000);
        if (result.slowestMs > inputMsMax) throw new Error(`it took ${result.slowestMs} ms`);
      } catch (error) {
        throw new Error(`target ${target}, seed ${seed + result.inputs}`, { cause: error });
      }
      if (result.inputs % lookEvery !== 0) continue;
      result.grownBytes = Math.max(result.grownBytes, process.memoryUsage.rss() - rss);
      if (result.grownBytes > grownMax)
        throw new Error(`target ${target} has grown by ${result.grownBytes} bytes`);
      // Sockets and finalizers get their turn too.
      await new Promise(setImmediate);
    }
  } finally {
    await fed.close?.();
  }
  return result;
}

/** Neighbouring seeds of xorshift give similar first numbers; these don't. */
function scattered(seed: number): number {
  let state = Math.imul(seed ^ (seed >>> 16), 0x45d9f3b);
  state = Math.imul(state ^ (state >>> 16), 0x45d9f3b);
  return (state ^ (state >>> 16)) >>> 0 || 1;
}
