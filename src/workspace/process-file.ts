// Process file: `etc/<name>.yaml`, what a person may change about a process of the workspace: its command line, whether it is
// started again and stopped with the session. Its secrets stand beside it, for the owner's eyes only.
import { lstatSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { IpcError } from '../errors.ts';
import { readYaml, updateYaml, writeYaml } from './yaml-file.ts';

const flag = z.union([z.boolean(), z.literal([0, 1])]).transform(Boolean);
const schema = z.looseObject({
  name: z.string(),
  alias: z.string().optional(),
  uri: z.string(),
  cmdline: z.array(z.string()).min(1).optional(),
  cwd: z.string().optional(),
  env: z.record(z.string(), z.string()).optional(),
  /** Started again when it ends, and by `activate`. */
  restart: flag.default(false),
  /** Stopped by `deactivate`; otherwise it outlives the session. */
  shutdown: flag.default(false),
  /** It was there before: its command line is what was found. */
  attached: flag.default(false),
  /** What else a topology may say about a unit: limits, probes, the time that it has to stop. */
  unit: z.record(z.string(), z.unknown()).optional(),
});

/** What stands in a process's file; unknown keys are a person's own. */
export type ProcessFile = Readonly<z.output<typeof schema>>;

/** Texts by key. @throws {IpcError} ERR_WORKSPACE_FILE. */
export function readSecrets(path: string): Readonly<Record<string, string>> {
  const { success, data } = z.record(z.string(), z.string()).safeParse(readYaml(path) ?? {});
  if (!success) throw IpcError.of('ERR_WORKSPACE_FILE', path, 'it holds something else than texts by key');
  return data;
}

/** The processes' files of a workspace, in `etc`. */
export class ProcessFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @throws {IpcError} ERR_WORKSPACE_FILE. */
  read(name: string): ProcessFile | undefined {
    const path = this.#path(name);
    const data = readYaml(path);
    if (!data) return undefined;
    const { success, data: file, error } = schema.safeParse(data);
    if (!success) {
      const [{ path: keys, message }] = error.issues as [z.core.$ZodIssue];
      throw IpcError.of('ERR_WORKSPACE_FILE', path, `${keys.join('.')}: ${message}`);
    }
    return file;
  }

  /** The names of all, sorted. */
  names(): string[] {
    return readdirSync(this.#folder, { withFileTypes: true })
      .filter((entry) => entry.isFile() && /^[^.].*\.yaml$/.test(entry.name))
      .map(({ name }) => name.slice(0, -'.yaml'.length))
      .filter((name) => name !== 'session' && !name.endsWith('.secret'))
      .sort();
  }

  /** Sets these keys and keeps all others. @throws {IpcError} ERR_WORKSPACE_FILE. */
  update(name: string, changes: Partial<ProcessFile>): void {
    updateYaml(this.#path(name), { name, ...changes });
  }

  /** Makes `<alias>.yaml` lead to the process's file. @throws {IpcError} ERR_WORKSPACE_FILE if it is a file of its own. */
  link(name: string, alias: string): void {
    if (alias === name) return;
    const path = this.#path(alias);
    const there = lstatSync(path, { throwIfNoEntry: false });
    if (there && !there.isSymbolicLink())
      throw IpcError.of('ERR_WORKSPACE_FILE', path, `it is the file of another process than ${name}`);
    if (there && readlinkSync(path) === `${name}.yaml`) return;
    const next = `${path}.new`;
    rmSync(next, { force: true });
    symlinkSync(`${name}.yaml`, next);
    renameSync(next, path);
  }

  /** @throws {IpcError} ERR_WORKSPACE_FILE. */
  secrets(name: string): Readonly<Record<string, string>> {
    return readSecrets(this.secretPath(name));
  }

  setSecrets(name: string, secrets: Readonly<Record<string, string>>): void {
    if (Object.keys(secrets).length > 0) writeYaml(this.secretPath(name), secrets);
    else rmSync(this.secretPath(name), { force: true });
  }

  /** Removes the process's files and the links to them. */
  remove(name: string): void {
    for (const entry of readdirSync(this.#folder, { withFileTypes: true })) {
      const path = join(this.#folder, entry.name);
      if (entry.isSymbolicLink() && readlinkSync(path) === `${name}.yaml`) rmSync(path);
    }
    rmSync(this.#path(name), { force: true });
    rmSync(this.secretPath(name), { force: true });
  }

  #path(name: string): string {
    return join(this.#folder, `${name}.yaml`);
  }

  secretPath(name: string): string {
    return join(this.#folder, `${name}.secret.yaml`);
  }
}
