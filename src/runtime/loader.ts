// Loader: reads topology files, TypeScript ones also where Node can't, and says with which arguments a child can do the
// same.
import { fork } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { IpcError, messageOf } from '../errors.ts';
import type { SupervisorSpec, Topology } from '../spec/child.ts';
import { readFingerprint } from '../workspace/fingerprint-file.ts';
import { relayTopology } from './relay-topology.ts';
import { placeOf } from './stack.ts';

const typescript = new Set(['.ts', '.mts', '.cts', '.tsx']);

/** What `run` takes in a folder when no file is named. */
const defaultNames = ['ts', 'mts', 'js', 'mjs', 'yaml', 'json'].map((extension) => `topology.${extension}`);

/** A topology that is data, not a program. */
const data = new Set(['.yaml', '.yml', '.json']);
const dataBytesMax = 1024 * 1024;

/** The topology file that is meant; a folder stands for the one in it. @throws {IpcError} ERR_TOPOLOGY_INVALID if there is none. */
export function findTopology(named: string | undefined, folder: string): string {
  if (named !== undefined) {
    const file = resolve(folder, named);
    const stat = statSync(file, { throwIfNoEntry: false });
    if (!stat)
      throw IpcError.of('ERR_TOPOLOGY_INVALID', file, 'there is no such file; name the topology file to run');
    return stat.isDirectory() ? findIn(file) : file;
  }
  return findIn(folder);
}

function findIn(folder: string): string {
  const found = defaultNames.map((name) => join(folder, name)).find((file) => existsSync(file));
  if (found) return found;
  throw IpcError.of(
    'ERR_TOPOLOGY_INVALID',
    folder,
    `there is no topology here (${defaultNames.join(', ')}); name its file`,
  );
}

/**
 * Loads and checks a topology file.
 * @throws {IpcError} ERR_TOPOLOGY_INVALID with what is wrong, and where.
 */
export async function loadTopology(file: string): Promise<Topology> {
  return typescript.has(extname(file)) ? readElsewhere(file) : readTopology(file);
}

/**
 * Loads and checks a topology file as it is now, also if this process has loaded it before. If there are actors in it, it is read
 * here: what it imports is then as it was first loaded.
 * @throws {IpcError} ERR_TOPOLOGY_INVALID.
 */
export function loadAnew(file: string): Promise<Topology> {
  return readElsewhere(file, (live) => readTranslated(live, ++readings));
}

/** How often a topology with actors has been read anew. */
let readings = 0;

/**
 * Loads and checks a topology file in this process.
 * @param reading of a file that was loaded before: any number that it has not been loaded with.
 * @throws {IpcError} ERR_TOPOLOGY_INVALID.
 */
export async function readTopology(file: string, reading = 0): Promise<Topology> {
  if (extname(file) === '.conf') return relayTopology(file);
  let exported: unknown;
  try {
    exported = data.has(extname(file))
      ? await readData(file)
      : defaultOf(await import(addressOf(file, reading)));
  } catch (error) {
    throw IpcError.from(
      error,
      'ERR_TOPOLOGY_INVALID',
      file,
      `it could not be loaded: ${whyNotLoaded(error)}`,
    );
  }
  if (exported === undefined || exported === null)
    throw IpcError.of(
      'ERR_TOPOLOGY_INVALID',
      file,
      data.has(extname(file))
        ? 'it is empty'
        : 'it has no default export; write "export default defineTopology({ ... })"',
    );
  const { checkTopology } = await import('../spec/topology-check.ts');
  const topology = checkTopology(exported, file);
  const mistakes = savedMistakes(topology, 'children');
  if (mistakes.length > 0) throw IpcError.of('ERR_TOPOLOGY_INVALID', file, mistakes.join('\n  '));
  return topology;
}

/** What is wrong in the fingerprints that a topology names, each with its key path. */
function savedMistakes({ children }: Pick<SupervisorSpec, 'children'>, path: string): string[] {
  return Object.entries(children).flatMap(([id, child]): string[] => {
    const at = `${path}.${id}`;
    if (child.kind === 'supervisor') return savedMistakes(child as SupervisorSpec, `${at}.children`);
    if (child.kind === 'actor') return [];
    return Object.entries(child.states).flatMap(([state, { by }]) => {
      if (by.kind !== 'fingerprint') return [];
      try {
        readFingerprint(by.file);
        return [];
      } catch (error) {
        return [`${at}.states.${state}.fingerprint: ${messageOf(error)}`];
      }
    });
  });
}

/** JSON is YAML, too; both are bounded, since a file of data may come from anywhere. */
async function readData(file: string): Promise<unknown> {
  const { size } = statSync(file);
  if (size > dataBytesMax) throw new Error(`it has ${size} bytes; ${dataBytesMax} are possible`);
  const { parse } = await import('yaml');
  return parse(readFileSync(file, 'utf8'), { maxAliasCount: 20, prettyErrors: true });
}

/** What the reader sends back. `live`: it has machines in it, which can't be sent. */
export type ReaderAnswer =
  | { topology: Topology }
  | { live: true }
  | { error: { code: string; message: string } };

/** The reader stands beside this file, in the same language. */
const readerPath = fileURLToPath(new URL(`./topology-reader${import.meta.url.slice(-3)}`, import.meta.url));

/**
 * In a process of its own, which ends with the reading: what translates TypeScript leaves a service running behind it, and a
 * root that lives for months must not carry it along.
 */
function readElsewhere(
  file: string,
  readLive: (file: string) => Promise<Topology> = readTranslated,
): Promise<Topology> {
  return new Promise((resolve, reject) => {
    const reader = fork(readerPath, [file], {
      execArgv: loaderArgs(file, readerPath),
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    reader.once('message', (answer: ReaderAnswer) => {
      if ('topology' in answer) resolve(answer.topology);
      else if ('live' in answer) resolve(new Promise((live) => live(readLive(file))));
      else reject(IpcError.received(answer.error));
    });
    const fail = (why: string) =>
      reject(IpcError.of('ERR_TOPOLOGY_INVALID', file, `it could not be loaded: ${why}`));
    reader.once('error', (error) => fail(error.message));
    reader.once('exit', (code, signal) => fail(`its reader ended with ${signal ?? `code ${code}`}`));
  });
}

/** Actors run here, so their file is loaded here; what translates it stays until this process ends. */
async function readTranslated(file: string, reading = 0): Promise<Topology> {
  const { register } = await import('tsx/esm/api');
  const unregister = register();
  try {
    return await readTopology(file, reading);
  } finally {
    await unregister();
  }
}

/** What a file of JavaScript or TypeScript exports: its default, else all of it. */
export async function loadModule(file: string): Promise<unknown> {
  if (typescript.has(extname(file))) {
    // Whatever it loads later is translated, too; in a folder without "type": "module" it is CommonJS.
    (await import('tsx/cjs/api')).register();
    (await import('tsx/esm/api')).register();
  }
  const loaded = (await import(addressOf(file, 0))) as Module;
  return defaultOf(loaded) ?? loaded.default ?? loaded;
}

/** Node loads the same address once. */
function addressOf(file: string, reading: number): string {
  const { href } = pathToFileURL(file);
  return reading === 0 ? href : `${href}?reading=${reading}`;
}

interface Module {
  default?: unknown;
  __esModule?: boolean;
}

/** In a folder without "type": "module" the file is CommonJS, whose exports come as one default. */
function defaultOf(loaded: Module): unknown {
  const inner = loaded.default as Module | undefined;
  return inner?.__esModule ? inner.default : loaded.default;
}

/** The place stands in the message of a syntax error, or in the stack of any other. */
function whyNotLoaded(error: unknown): string {
  const place = placeOf(error);
  const message = messageOf(error).trim();
  return place === undefined ? message : `${message} (at ${place})`;
}

/** The arguments of Node by which it can run these files. */
export function loaderArgs(...files: string[]): string[] {
  const args = ['--enable-source-maps'];
  // By its full address: a bare name would be looked up from the child's folder.
  if (files.some((file) => typescript.has(extname(file)))) args.push('--import', import.meta.resolve('tsx'));
  return args;
}
