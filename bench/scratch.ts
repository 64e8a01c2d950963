// Scratch: the temporary folder of this run, gone with the process however it ends.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

let folder: string | undefined;

export function scratch(): string {
  if (folder === undefined) {
    // The name is short: a socket's path has room for 107 bytes.
    const made = mkdtempSync(join(tmpdir(), 'aipc-bench-'));
    process.on('exit', () => rmSync(made, { recursive: true, force: true }));
    folder = made;
  }
  return folder;
}
