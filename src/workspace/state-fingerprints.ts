// State fingerprints: `fp/<name>.<state>.fp`, how a process looks when it is in a state. They recognise the state again.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Fingerprint, likeliest } from '../spec/fingerprint.ts';
import { readFingerprint, writeFingerprint } from './fingerprint-file.ts';

export class StateFingerprints {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @param state the state that it is in; without, its latest look. */
  save(name: string, fingerprint: Fingerprint, state?: string): void {
    writeFingerprint(this.#path(name, state), fingerprint);
  }

  /** The states of which it is known how the process looks then, with their files. */
  filesOf(name: string): ReadonlyMap<string, string> {
    return new Map(
      this.#files(name)
        .sort()
        .map((file) => [file.slice(name.length + 1, -'.fp'.length), join(this.#folder, file)]),
    );
  }

  /** How it looks in each of them. @throws {IpcError} ERR_WORKSPACE_FILE. */
  of(name: string): ReadonlyMap<string, Fingerprint> {
    return new Map([...this.filesOf(name)].map(([state, path]) => [state, readFingerprint(path)]));
  }

  /** The known state that a process looks most like, if it looks enough like one. @throws {IpcError} ERR_WORKSPACE_FILE. */
  recognise(name: string, fingerprint: Fingerprint): string | undefined {
    return likeliest(fingerprint, this.of(name));
  }

  remove(name: string): void {
    for (const file of this.#files(name)) rmSync(join(this.#folder, file), { force: true });
    rmSync(this.#path(name), { force: true });
  }

  /** A name has no dot, a state may. */
  #files(name: string): string[] {
    return readdirSync(this.#folder).filter(
      (file) => file.startsWith(`${name}.`) && file.endsWith('.fp') && file.length > `${name}..fp`.length,
    );
  }

  #path(name: string, state?: string): string {
    return join(this.#folder, state === undefined ? `${name}.fp` : `${name}.${state}.fp`);
  }
}
