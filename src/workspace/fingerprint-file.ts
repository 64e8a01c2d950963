// Fingerprint file: how a process looks when it is in a state, as YAML that a person may edit.
import { statSync } from 'node:fs';
import { z } from 'zod';
import { IpcError, messageOf } from '../errors.ts';
import type { Fingerprint } from '../spec/fingerprint.ts';
import { readYaml, writeYaml } from './yaml-file.ts';

const entries = z.array(z.string());
const schema = z.object({
  cmdline: entries,
  listen: entries,
  established: entries,
  udp: entries,
  files: entries,
});

/** @throws {IpcError} ERR_WORKSPACE_FILE if it is not there, or is none. */
export function readFingerprint(path: string): Fingerprint {
  const data = readYaml(path);
  if (data === undefined) throw IpcError.of('ERR_WORKSPACE_FILE', path, 'there is no such file');
  const parsed = schema.safeParse(data);
  if (parsed.success) return parsed.data;
  const [{ path: keys }] = parsed.error.issues as [z.core.$ZodIssue];
  throw IpcError.of(
    'ERR_WORKSPACE_FILE',
    path,
    `it is no fingerprint: ${keys.join('.')} is no list of texts`,
  );
}

/** @throws {IpcError} ERR_WORKSPACE_FILE. */
export function writeFingerprint(
  path: string,
  { cmdline, listen, established, udp, files }: Fingerprint,
): void {
  writeYaml(path, { cmdline, listen, established, udp, files });
}

/** A file that is looked at often and changes seldom. */
export class FingerprintFile {
  readonly #path: string;
  #version = '';
  #content: Fingerprint | IpcError | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** What it says now, or why it can't be read. */
  read(): Fingerprint | IpcError {
    const version = versionOf(this.#path);
    if (this.#content === undefined || version !== this.#version) {
      this.#version = version;
      this.#content = contentOf(this.#path);
    }
    return this.#content;
  }
}

/** Files are replaced as a whole, so another content is another inode at least. */
function versionOf(path: string): string {
  try {
    const { ino, mtimeMs, size } = statSync(path);
    return `${ino} ${mtimeMs} ${size}`;
  } catch (error) {
    return messageOf(error);
  }
}

function contentOf(path: string): Fingerprint | IpcError {
  try {
    return readFingerprint(path);
  } catch (error) {
    return IpcError.from(error, 'ERR_WORKSPACE_FILE', path, messageOf(error));
  }
}
