// `build`: one bundled file per process, for production and a fast start.
import { dirname, join, relative } from 'node:path';
import { Command } from 'commander';
import { bundleTopology } from '../runtime/bundle.ts';
import { findTopology, loadTopology } from '../runtime/loader.ts';

export function buildCommand(): Command {
  return new Command('build')
    .description('bundle each Node process of a topology into one file, for production and a fast start')
    .argument('[file]', 'topology file (default: topology.{ts,mts,js,mjs,yaml,json} here)')
    .option(
      '-o, --out <folder>',
      'where to write, instead of an earlier build (default: build beside the file)',
    )
    .option('--json', 'print what was written as JSON')
    .action(async (named: string | undefined, { out, json = false }: { out?: string; json?: boolean }) => {
      const file = findTopology(named, process.cwd());
      const result = await bundleTopology(await loadTopology(file), out ?? join(dirname(file), 'build'));
      const shown = (path: string) => relative(process.cwd(), path);
      process.stdout.write(
        json
          ? `${JSON.stringify(result, null, 2)}\n`
          : `${Object.values(result.units)
              .map((path) => `wrote ${shown(path)}\n`)
              .join('')}\n  actor-ipc run ${shown(result.file)}\n`,
      );
    });
}
