// `simulate`: what crashes would do to a topology, tried in simulated time; no program of it runs.
import { Command } from 'commander';
import { loadEnvFile } from '../runtime/env-file.ts';
import { findTopology, loadTopology } from '../runtime/loader.ts';
import { type Loop, replay, type Simulation, simulate, type UnitFigures } from '../runtime/simulation.ts';
import { describeMs } from '../runtime/status.ts';
import { paint } from './color.ts';
import { exitCode } from './exit-code.ts';
import { plainTable } from './table.ts';
import { wholeNumber } from './tree-options.ts';

interface SimulateOptions {
  readonly seed: number;
  readonly crashes: number;
  readonly episode?: number;
  readonly envFile?: string;
  readonly json?: boolean;
}

export function simulateCommand(): Command {
  return new Command('simulate')
    .description('try what crashes would do to a topology, in simulated time; no program runs')
    .argument('[file]', 'topology file (default: topology.{ts,mts,js,mjs,yaml,json} here)')
    .option('--seed <n>', 'the same seed gives the same, to the millisecond', wholeNumber, 1)
    .option('--crashes <n>', 'how many crashes are to happen', wholeNumber, 1_000)
    .option('--episode <n>', 'print what happens in this episode, step by step', wholeNumber)
    .option('--env-file <file>', 'variables for the topology (default: .env beside it)')
    .option('--json', 'print it as JSON')
    .addHelpText(
      'after',
      `
The charts are those that a run would use; only the programs are played: they start, report their states, crash, hang and
refuse to stop as programs do. It looks for gates that never open again, crashes that take along too much, restarts without
end, and stops in the wrong order. Exit code 1 if it finds any.`,
    )
    .action(
      async (
        named: string | undefined,
        { seed, crashes, episode, envFile, json = false }: SimulateOptions,
      ) => {
        const file = findTopology(named, process.cwd());
        loadEnvFile(file, envFile);
        const topology = await loadTopology(file);
        if (episode !== undefined) {
          const lines = replay(topology, seed, episode);
          process.stdout.write(json ? `${JSON.stringify(lines, null, 2)}\n` : `${lines.join('\n')}\n`);
          return;
        }
        const simulation = simulate(topology, { seed, crashes });
        process.stdout.write(
          json ? `${JSON.stringify(simulation, null, 2)}\n` : describe(topology.name, simulation),
        );
        if (simulation.findings.length > 0) process.exitCode = exitCode.failed;
      },
    );
}

function describe(
  name: string,
  { seed, crashes, episodes, starts, simulatedMs, units, stopMs, findings }: Simulation,
): string {
  const table = plainTable(['unit', 'crashes', 'back after (p50, p99)', 'takes along', 'in a crash loop']);
  for (const unit of units) table.push(rowOf(unit));
  const head = `${paint.bold(name)}  ${crashes} crashes in ${episodes} episodes, ${starts} starts, ${describeMs(simulatedMs)} of simulated time, seed ${seed}`;
  const stop = `an ordered stop takes ${describeMs(stopMs.p50)}, ${describeMs(stopMs.p99)} at most in 99 of 100`;
  const found =
    findings.length === 0
      ? paint.green('found nothing wrong')
      : findings
          .map(
            ({ kind, what, episode }) =>
              `${paint.red(kind)}: ${what}${episode > 0 ? ` (--episode ${episode})` : ''}`,
          )
          .join('\n');
  return `${head}\n\n${table.toString()}\n\n${stop}\n${found}\n`;
}

function rowOf({ unit, crashes, backMs, takesAlong, loop }: UnitFigures): string[] {
  const back = backMs === null ? '-' : `${describeMs(backMs.p50)}, ${describeMs(backMs.p99)}`;
  return [unit, String(crashes), back, takesAlong.join(' '), wordsOf(loop)];
}

function wordsOf({ ends, starts, ms }: Loop): string {
  switch (ends) {
    case 'failed':
      return `stays down after ${starts} starts, ${describeMs(ms)}`;
    case 'tree':
      return `ends the tree after ${starts} starts, ${describeMs(ms)}`;
    case 'never':
      return `${starts} starts in ${describeMs(ms)}, without end`;
    case 'not-restarted':
      return 'is not restarted';
  }
}
