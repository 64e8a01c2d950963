// `apply`: leads a running tree to another topology, and says what that takes.
import { resolve } from 'node:path';
import { Command } from 'commander';
import { type Applied, describeChange } from '../runtime/apply.ts';
import { findTopology } from '../runtime/loader.ts';
import { exitCode } from './exit-code.ts';
import { ask, durationMs, type TreeOptions } from './tree-options.ts';

interface ApplyOptions extends TreeOptions {
  readonly dryRun?: boolean;
  readonly timeout?: number;
}

export function applyCommand(): Command {
  return new Command('apply')
    .description('change a running tree to what a topology file says; what is the same runs on')
    .argument('[file]', 'topology file (default: topology.ts, .mts, .js or .mjs here)')
    .option('-n, --dry-run', 'only print what would be done')
    .option('-w, --workspace <folder>', 'the workspace of the tree, if it is not beside the file')
    .option('-t, --timeout <duration>', 'give up waiting after that (code 5)', durationMs)
    .option('--json', 'print the result as JSON')
    .action(async (named: string | undefined, options: ApplyOptions) => {
      const { dryRun = false, timeout, json, ...more } = options;
      const file = resolve(findTopology(named, process.cwd()));
      const applied = (await ask({ ...more, file }, 'apply', {
        facts: { file, dryRun },
        timeoutMs: timeout ?? 'infinity',
        what: `apply ${file}`,
      })) as Applied;
      process.stdout.write(json ? `${JSON.stringify(applied, null, 2)}\n` : describe(applied));
      if (applied.changes.some(({ error }) => error !== undefined)) process.exitCode = exitCode.failed;
    });
}

function describe({ tree, dryRun, changes }: Applied): string {
  if (changes.length === 0) return `${tree} is as it should be\n`;
  const lines = changes.map((change) => {
    const step = describeChange(change);
    if (change.error !== undefined) return `${step}: ${change.error}`;
    return dryRun ? `would ${step}` : step;
  });
  return `${lines.join('\n')}\n`;
}
