// What a victim was about to do and had done, in a file that outlives it. Each count is one write of four bytes, which the
// kernel has even if the process is killed right after it.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

export const counts = [
  'messagesBegun',
  'messagesSent',
  'valuesBegun',
  'valuesSent',
  'messagesTaken',
  'valuesTaken',
  'releasesBegun',
  'releasesDone',
] as const;

export type Count = (typeof counts)[number];
export type Counts = Record<Count, number>;

export class Ledger {
  readonly counted = Object.fromEntries(counts.map((name) => [name, 0])) as Counts;
  readonly #fd: number | undefined;
  readonly #word = new Uint32Array(1);

  /** @param path where it is kept; without one, only here. */
  constructor(path?: string) {
    this.#fd = path === undefined ? undefined : openSync(path, 'w');
  }

  count(name: Count): void {
    this.counted[name]++;
    if (this.#fd === undefined) return;
    this.#word[0] = this.counted[name];
    writeSync(this.#fd, this.#word, 0, 4, 4 * counts.indexOf(name));
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }
}

/** What a process that is dead has left in its ledger. */
export function readLedger(path: string): Counts {
  const bytes = readFileSync(path);
  const at = (index: number) => (4 * index + 4 <= bytes.length ? bytes.readUInt32LE(4 * index) : 0);
  return Object.fromEntries(counts.map((name, index) => [name, at(index)])) as Counts;
}
