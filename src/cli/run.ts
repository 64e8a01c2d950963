// `run`: starts a tree and stays with it to its end.
import { Command, Option } from 'commander';
import { loadEnvFile } from '../runtime/env-file.ts';
import { reapOrphans } from '../runtime/init.ts';
import { findTopology, loadTopology } from '../runtime/loader.ts';
import { createLog, type LogLevel } from '../runtime/log.ts';
import { openWorkspace, workspaceFolder } from '../runtime/place.ts';
import { onStopSignals } from '../runtime/signals.ts';
import { Tree, type TreeEnd } from '../runtime/tree.ts';
import { isColored } from './color.ts';
import { exitCode, exitCodeOf } from './exit-code.ts';
import { unitPrinter } from './unit-printer.ts';

interface RunOptions {
  workspace?: string;
  logLevel: LogLevel;
  json?: boolean;
  envFile?: string;
}

export function runCommand(): Command {
  return new Command('run')
    .alias('up')
    .description('start a topology and supervise it until Ctrl-C')
    .argument('[file]', 'topology file (default: topology.{ts,mts,js,mjs,yaml,json} here)')
    .option('-w, --workspace <folder>', 'keep logs and records there (default: .actor-ipc beside the file)')
    .addOption(
      new Option('-l, --log-level <level>', 'least level to log')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('info'),
    )
    .option('--env-file <file>', 'variables for the topology and its units (default: .env beside it)')
    .option('--json', 'print one JSON object per line: log records, and what the units write')
    .action(run);
}

export async function run(
  named: string | undefined,
  { workspace, logLevel, json = false, envFile }: RunOptions,
): Promise<void> {
  const file = findTopology(named, process.cwd());
  loadEnvFile(file, envFile);
  const topology = await loadTopology(file);
  const place = openWorkspace(workspaceFolder(file, workspace));
  const write = (text: string) => void process.stdout.write(text);
  const log = createLog({
    level: logLevel,
    terminal: json ? 'json' : 'pretty',
    color: isColored,
    file: place.logPath,
    write,
  });
  const onLine = unitPrinter({ units: Object.keys(topology.children), json, color: isColored, write });
  log.info({ file, workspace: place.folder }, `${topology.name} from ${file}; logs in ${place.folder}`);
  const tree = new Tree(topology, { workspace: place, log, onLine });

  // Who reads our output has gone, as in "run | head": there is nobody left to run for.
  process.stdout.on('error', () => tree.stop());

  let killed: number | undefined;
  const forget = onStopSignals(
    () => {
      log.info({}, 'stopping in order; press Ctrl-C again to kill');
      tree.stop();
    },
    (signal) => {
      killed = 128 + signal;
      log.warn({}, 'killing what still stands');
      tree.force();
    },
  );
  const leave = reapOrphans();
  const output = await tree.ended;
  leave();
  forget();
  log[exitCodeOf(output) === exitCode.asked ? 'info' : 'error'](
    { output },
    `${topology.name} ${describeEnd(output)}`,
  );
  process.exitCode = killed ?? exitCodeOf(output);
  // Every process of the tree is reaped and every socket closed; what could keep us here is a mistake of the topology's.
  setTimeout(() => process.exit(), 500).unref();
}

function describeEnd({ why, reason, failed, unkillable }: TreeEnd): string {
  const verb = why === 'boot' ? 'could not start' : 'ended';
  const left = unkillable.length > 0 ? `; stuck in the kernel: ${unkillable.join(', ')}` : '';
  return `${verb}: ${reason}${failed.length > 0 ? `; failed: ${failed.join(', ')}` : ''}${left}`;
}
