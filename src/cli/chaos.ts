// `chaos`: runs a topology, kills and stops its processes at random, and looks whether it keeps its promises.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Command } from 'commander';
import { type ChaosReport, chaos } from '../runtime/chaos.ts';
import { loadEnvFile } from '../runtime/env-file.ts';
import { findTopology, loadTopology } from '../runtime/loader.ts';
import { openWorkspace } from '../runtime/place.ts';
import { onStopSignals } from '../runtime/signals.ts';
import { describeMs } from '../runtime/status.ts';
import type { SupervisorSpec } from '../spec/child.ts';
import { paint } from './color.ts';
import { exitCode } from './exit-code.ts';
import { durationMs, wholeNumber } from './tree-options.ts';

interface ChaosCommandOptions {
  readonly seed: number;
  readonly for: number;
  readonly patience: number;
  readonly workspace?: string;
  readonly envFile?: string;
  readonly json?: boolean;
}

export function chaosCommand(): Command {
  return new Command('chaos')
    .description('run a topology, kill and stop its processes at random, and check what it promises')
    .argument('[file]', 'topology file (default: topology.{ts,mts,js,mjs,yaml,json} here)')
    .option('--seed <n>', 'chooses what is done; when is up to the machine', wholeNumber, 1)
    .option('--for <duration>', 'how long', durationMs, 60_000)
    .option('--patience <duration>', 'nobody may take longer to come back', durationMs, 60_000)
    .option(
      '-w, --workspace <folder>',
      'keep logs and records there (default: a temporary folder, which stays if a promise is broken)',
    )
    .option('--env-file <file>', 'variables for the topology and its units (default: .env beside it)')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      `
Processes of units, their minders, what units have started, and the supervisor itself are killed; units are stopped for a while
and ended. All must be up again in time, nothing of the dead may be left, the supervisor must hold no more descriptors than
before, and at the end an ordered stop must leave nothing. Exit code 1 if a promise is broken.`,
    )
    .action(async (named: string | undefined, options: ChaosCommandOptions) => {
      const file = findTopology(named, process.cwd());
      loadEnvFile(file, options.envFile);
      const topology = await loadTopology(file);
      const workspace = resolve(options.workspace ?? mkdtempSync(join(tmpdir(), 'actor-ipc-chaos-')));
      const place = openWorkspace(workspace);
      const stop = new AbortController();
      const forget = onStopSignals(
        () => stop.abort(),
        () => process.exit(130),
      );
      const say = options.json ? () => {} : (text: string) => void process.stdout.write(text);
      say(
        `${topology.name}: seed ${options.seed}, for ${describeMs(options.for)}; what it prints is in ${place.rootOutputPath}\n`,
      );
      try {
        const report = await chaos({
          command: [
            process.execPath,
            ...process.execArgv,
            process.argv[1]!,
            ...['run', file, '--workspace', workspace, '--json'],
            ...(options.envFile === undefined ? [] : ['--env-file', resolve(options.envFile)]),
          ],
          workspace,
          outputPath: place.rootOutputPath,
          seed: options.seed,
          forMs: options.for,
          patienceMs: options.patience,
          survivors: new Set(survivorsOf(topology)),
          signal: stop.signal,
          onAct: (atMs, what) => say(`${(atMs / 1_000).toFixed(1).padStart(7)} s  ${what}\n`),
        });
        const broken = report.violations.length > 0;
        const stays = broken || options.workspace !== undefined;
        if (!stays) rmSync(workspace, { recursive: true, force: true });
        const kept = { ...report, workspace: stays ? workspace : null };
        if (options.json) process.stdout.write(`${JSON.stringify(kept, null, 2)}\n`);
        else say(describe(report));
        if (broken) process.exitCode = exitCode.failed;
      } finally {
        forget();
      }
    });
}

function survivorsOf({ children }: SupervisorSpec, path = ''): string[] {
  return Object.entries(children).flatMap(([id, child]) => {
    if ('survive' in child) return child.survive ? [`${path}${id}`] : [];
    return child.kind === 'supervisor'
      ? survivorsOf(child as unknown as SupervisorSpec, `${path}${id}/`)
      : [];
  });
}

function describe({ acts, backMs, givenUp, descriptors, violations, ms }: ChaosReport): string {
  const did = Object.entries(acts)
    .map(([what, count]) => `${count} ${what}`)
    .join(', ');
  return [
    `\nin ${describeMs(ms)}: ${did || 'nothing'}`,
    backMs &&
      `all up again after ${describeMs(backMs.p50)}, ${describeMs(backMs.p99)} in 99 of 100, ${describeMs(backMs.max)} at most`,
    givenUp > 0 && `given up for too many restarts, and started again by hand: ${givenUp}`,
    descriptors &&
      `descriptors of the supervisor: ${descriptors.first} at first, ${descriptors.last} at last`,
    violations.length === 0
      ? paint.green('every promise kept')
      : violations.map((what) => paint.red(what)).join('\n'),
  ]
    .filter(Boolean)
    .join('\n')
    .concat('\n');
}
