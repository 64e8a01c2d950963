// Watched processes that are none: a lookout in simulated time that sees what a test says.
import { Lookout } from '../../src/actors/lookout.ts';
import { IpcError } from '../../src/errors.ts';
import { SimulatedClock } from '../../src/machines/clock.ts';
import { type Fingerprint, type FingerprintKey, fingerprintKeys } from '../../src/spec/fingerprint.ts';

export function fingerprintWith(parts: Partial<Fingerprint> = {}): Fingerprint {
  return { cmdline: [], listen: [], established: [], udp: [], files: [], ...parts };
}

export interface Watched {
  readonly clock: SimulatedClock;
  readonly lookout: Lookout;
  /** What is seen of each process; of others there is nothing. */
  readonly seen: Map<number, Fingerprint>;
  /** The times of looks at the machine, and of those at its processes. */
  readonly rounds: number[];
  readonly looks: { readonly atMs: number; readonly pid: number; readonly keys: string }[];
  /** How often nobody was left to look. */
  rests: number;
}

/** @param random chance, from 0 to 1; in the middle, periods are exact. */
export function watchedProcesses(random = () => 0.5): Watched {
  const clock = new SimulatedClock();
  const watched: Omit<Watched, 'lookout'> = { clock, seen: new Map(), rounds: [], looks: [], rests: 0 };
  const lookout = new Lookout({
    clock,
    random,
    eyes: {
      open() {
        watched.rounds.push(clock.now());
        return {
          at({ pid }, keys: ReadonlySet<FingerprintKey>) {
            const named = fingerprintKeys.filter((key) => keys.has(key)).join(' ');
            watched.looks.push({ atMs: clock.now(), pid, keys: named });
            const found = watched.seen.get(pid);
            if (!found) throw IpcError.of('ERR_SYSTEM', `looking at process ${pid}`, 'ENOENT');
            return found;
          },
        };
      },
      rest: () => void watched.rests++,
    },
  });
  return Object.assign(watched, { lookout });
}
