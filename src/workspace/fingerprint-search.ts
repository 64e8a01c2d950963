// Fingerprint search: which process of this machine looks like a saved fingerprint. For processes whose number nobody knows; it
// looks at the whole machine, once.
import { readdirSync } from 'node:fs';
import {
  type Fingerprint,
  type FingerprintKey,
  likeness,
  likenessAtMost,
  sameFrom,
  tellingKeys,
} from '../spec/fingerprint.ts';
import { FingerprintLook } from './fingerprint.ts';
import { ProcessTable } from './process-table.ts';

export interface Likely {
  readonly pid: number;
  readonly likeness: number;
}

const cmdlineOnly: ReadonlySet<FingerprintKey> = new Set<FingerprintKey>(['cmdline']);

/**
 * Those that look enough like it, most alike first. Processes that may not be looked at are passed over.
 * @param without with all that descend from them, they are left out.
 */
export function processesLike(known: Fingerprint, without: readonly number[]): Likely[] {
  const processes = new ProcessTable();
  processes.refresh();
  const passed = new Set(without.flatMap((pid) => [pid, ...processes.below(pid)]));
  const look = new FingerprintLook(processes);
  const found: Likely[] = [];
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid) || passed.has(pid)) continue;
    try {
      // Most are strangers, and their command line tells.
      const { cmdline } = look.at({ pid }, cmdlineOnly);
      if (cmdline.length === 0 || likenessAtMost(known, cmdline) < sameFrom) continue;
      const alike = likeness(known, look.at({ pid }, tellingKeys));
      if (alike >= sameFrom) found.push({ pid, likeness: alike });
    } catch {
      // It has ended, or belongs to somebody else.
    }
  }
  return found.sort((a, b) => b.likeness - a.likeness || a.pid - b.pid);
}
