// YAML file: a file of the workspace that a person may edit. What we don't know in it stays, and so do comments and order.
// Files are input: bounded, without links out of their folder, and without aliases that grow.
import { lstatSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Document, isMap, parseDocument, stringify } from 'yaml';
import { IpcError, messageOf } from '../errors.ts';

const bytesMax = 1024 * 1024;
/** More than a person would write, fewer than it takes to fill the memory. */
const aliasCountMax = 20;

/** The content as plain data, or undefined if there is no such file. @throws {IpcError} ERR_WORKSPACE_FILE. */
export function readYaml(path: string): Record<string, unknown> | undefined {
  return load(path)?.data;
}

/**
 * Sets these keys, and removes those that are undefined; everything else stays as it is.
 * @returns whether that changed anything; the file is not touched otherwise.
 * @throws {IpcError} ERR_WORKSPACE_FILE.
 */
export function updateYaml(path: string, changes: Readonly<Record<string, unknown>>): boolean {
  const loaded = load(path);
  if (!loaded) {
    writeYaml(path, Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined)));
    return true;
  }
  const { document, target } = loaded;
  let changed = false;
  for (const [key, value] of Object.entries(changes)) {
    if (JSON.stringify(loaded.data[key]) === JSON.stringify(value)) continue;
    changed = true;
    if (value === undefined) document.delete(key);
    else document.set(key, document.createNode(value));
  }
  if (changed) write(target, document.toString({ lineWidth: 0 }));
  return changed;
}

/** Writes a file as a whole, for its owner alone. @throws {IpcError} ERR_WORKSPACE_FILE. */
export function writeYaml(path: string, data: unknown): void {
  write(path, stringify(data, { lineWidth: 0 }));
}

interface Loaded {
  readonly document: Document;
  readonly data: Record<string, unknown>;
  /** The file itself, behind the link that an alias is. */
  readonly target: string;
}

function load(path: string): Loaded | undefined {
  const fail = (why: string, cause?: unknown) => IpcError.from(cause, 'ERR_WORKSPACE_FILE', path, why);
  const target = targetOf(path, fail);
  if (target === undefined) return undefined;
  let text: string;
  try {
    text = readFileSync(target, 'utf8');
  } catch (error) {
    throw fail(messageOf(error), error);
  }
  const document = parseDocument(text, { uniqueKeys: true, merge: false });
  const mistake = document.errors[0];
  if (mistake) throw fail(mistake.message.split('\n', 1)[0]!, mistake);
  if (document.contents === null) return { document, data: {}, target };
  if (!isMap(document.contents)) throw fail('it holds no map of keys');
  try {
    return {
      document,
      data: document.toJS({ maxAliasCount: aliasCountMax }) as Record<string, unknown>,
      target,
    };
  } catch (error) {
    throw fail(messageOf(error), error);
  }
}

/** The file that a path leads to: itself, or one in the same folder. */
function targetOf(path: string, fail: (why: string, cause?: unknown) => IpcError): string | undefined {
  try {
    if (!lstatSync(path, { throwIfNoEntry: false })) return undefined;
    const target = realpathSync(path);
    if (dirname(target) !== realpathSync(dirname(path))) throw fail('it is a link to somewhere else');
    const { size } = lstatSync(target);
    if (!lstatSync(target).isFile()) throw fail('it is no regular file');
    if (size > bytesMax) throw fail(`it has ${size} bytes; ${bytesMax} are possible`);
    return target;
  } catch (error) {
    throw error instanceof IpcError ? error : fail(messageOf(error), error);
  }
}

/** Under another name first: who reads it meanwhile, and who looks after a crash, finds all of the old or all of the new. */
function write(path: string, text: string): void {
  const next = join(dirname(path), `.${basename(path)}.${process.pid}.new`);
  try {
    writeFileSync(next, text, { mode: 0o600 });
    renameSync(next, path);
  } catch (error) {
    rmSync(next, { force: true });
    throw IpcError.from(error, 'ERR_WORKSPACE_FILE', path, messageOf(error));
  }
}
