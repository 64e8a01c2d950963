// Victims in JavaScript: a process that translates nothing starts in a fraction of the time, and is killed that much more often.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = fileURLToPath(new URL('../..', import.meta.url));

/**
 * Translates a program of this folder, with what it imports from here; the product is what was built of it.
 * @returns the file that Node runs.
 */
export async function compiled(name: string, folder: string): Promise<string> {
  const outfile = join(folder, `${name}.mjs`);
  await build({
    entryPoints: [fileURLToPath(new URL(`${name}.ts`, import.meta.url))],
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    outfile,
    logLevel: 'error',
    plugins: [
      {
        name: 'built',
        setup({ onResolve }) {
          onResolve({ filter: /^\.\.\/\.\.\/src\/.*\.ts$/ }, ({ path }) => ({
            path: join(root, 'dist', path.slice('../../src/'.length).replace(/\.ts$/, '.js')),
            external: true,
          }));
          // It stands far from node_modules.
          onResolve({ filter: /^[a-z@]/ }, ({ path, kind }) =>
            kind === 'entry-point' || path.startsWith('node:')
              ? undefined
              : { path: fileURLToPath(import.meta.resolve(path)), external: true },
          );
        },
      },
    ],
  });
  return outfile;
}
