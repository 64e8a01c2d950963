// Program files: what the program of a unit is made of, as far as it can be seen without running it. Of a Node process that is
// its file and all that this imports by a path, as the bundler finds it; packages are left out. Of a plain program it is the
// program itself and the files among its arguments, if they stand below the topology.
import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, extname, isAbsolute, relative, resolve, sep } from 'node:path';
import type { Plugin } from 'esbuild';
import { messageOf } from '../errors.ts';
import type { ProcessSpec } from '../spec/child.ts';

export interface ProgramFiles {
  readonly files: readonly string[];
  /** Why the program can't be read, for a person: a mistake in it, an import that leads nowhere. */
  readonly mistake: string | null;
}

/** What the bundler reads as code; of anything else only that it is there counts. */
const code = new Set(['.js', '.mjs', '.cjs', '.jsx', '.ts', '.mts', '.cts', '.tsx', '.json']);

const anythingElse: Plugin = {
  name: 'anything-else',
  setup(build) {
    build.onLoad({ filter: /.*/ }, ({ path }) =>
      code.has(extname(path)) ? undefined : { contents: '', loader: 'empty' },
    );
  },
};

/** @param folder of the topology. */
export function filesOfUnit(spec: ProcessSpec, folder: string): Promise<ProgramFiles> {
  return spec.kind === 'node' ? filesOfModule(spec.file) : Promise.resolve(filesOfProgram(spec, folder));
}

/** A module and all that it imports by a path. */
export async function filesOfModule(file: string): Promise<ProgramFiles> {
  const { build } = await import('esbuild');
  const base = dirname(file);
  try {
    const { metafile } = await build({
      entryPoints: [file],
      absWorkingDir: base,
      bundle: true,
      write: false,
      metafile: true,
      outdir: base,
      packages: 'external',
      platform: 'node',
      format: 'esm',
      target: 'node20.19',
      logLevel: 'silent',
      plugins: [anythingElse],
    });
    const files = Object.keys(metafile.inputs).map((input) => resolve(base, input));
    return { files: files.filter((each) => !each.includes(`${sep}node_modules${sep}`)), mistake: null };
  } catch (error) {
    return { files: [realpathOf(file)], mistake: messageOf(error) };
  }
}

function filesOfProgram({ file, args, cwd }: ProcessSpec, folder: string): ProgramFiles {
  const named = [file, ...args].filter((word) => !word.startsWith('-')).map((word) => resolve(cwd, word));
  const files = named.filter(
    (path) => isBelow(path, folder) && statSync(path, { throwIfNoEntry: false })?.isFile(),
  );
  return { files: [...new Set(files.map(realpathOf))], mistake: null };
}

function isBelow(path: string, folder: string): boolean {
  const way = relative(folder, path);
  return way !== '' && !way.startsWith('..') && !isAbsolute(way) && !way.split(sep).includes('node_modules');
}

function realpathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** What is in a file, to tell a change from a mere touch; null if it is not there. */
export function contentOf(path: string): string | null {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return null;
  }
}
