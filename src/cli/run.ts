// `run`: starts a tree and stays with it to its end, here or in a process of its own.
import { hostname } from 'node:os';
import { resolve } from 'node:path';
import { Command, Option } from 'commander';
import { messageOf } from '../errors.ts';
import { loadEnvFile } from '../runtime/env-file.ts';
import { reapOrphans } from '../runtime/init.ts';
import { findTopology, loadTopology } from '../runtime/loader.ts';
import { createLog, type LogLevel } from '../runtime/log.ts';
import { openWorkspace, workspaceFolder } from '../runtime/place.ts';
import { onStopSignals } from '../runtime/signals.ts';
import { Tree, type TreeEnd } from '../runtime/tree.ts';
import { hostOf, placedOn } from '../spec/placement.ts';
import { isColored } from './color.ts';
import { detach, detachedOption } from './detach.ts';
import { exitCode, exitCodeOf } from './exit-code.ts';
import { Inspection, type InspectionOptions, inspectionArgs, withInspection } from './inspection.ts';
import { RunOutput } from './run-output.ts';
import { durationMs } from './tree-options.ts';

interface RunOptions extends InspectionOptions {
  workspace?: string;
  logLevel: LogLevel;
  json?: boolean;
  envFile?: string;
  detach?: boolean;
  /** This is the process that `--detach` has started. */
  detached?: boolean;
  timeout?: number;
  watch?: boolean;
  host?: string;
}

export function runCommand(): Command {
  const command = new Command('run')
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
    .option(
      '--host <name>',
      'run the units of that host of the topology (default: the one with this hostname)',
    )
    .option('--watch', 'restart what has changed on disk, and apply a changed topology')
    .option('-d, --detach', 'return once all units are up; the tree goes on, see "logs -f" and "down"')
    .addOption(new Option(detachedOption).hideHelp())
    .option('-t, --timeout <duration>', 'with --detach: give up waiting after that (code 5)', durationMs)
    .option('--json', 'print one JSON object per line: log records, and what the units write')
    .action(run);
  return withInspection(command);
}

export async function run(named: string | undefined, options: RunOptions): Promise<void> {
  const file = findTopology(named, process.cwd());
  const folder = workspaceFolder(file, options.workspace);
  if (options.detach)
    return detach({ workspace: folder, args: argsOf(file, folder, options), timeoutMs: options.timeout });
  await runHere(file, folder, options);
}

async function runHere(
  file: string,
  folder: string,
  {
    logLevel,
    json = false,
    envFile,
    detached = false,
    watch: watches = false,
    host,
    ...inspected
  }: RunOptions,
): Promise<void> {
  const env = loadEnvFile(file, envFile);
  const whole = await loadTopology(file);
  const here = hostOf(whole, host, hostname());
  const loaded = here === undefined ? whole : placedOn(whole, here);
  const watching = watches ? await import('../runtime/program-watch.ts') : undefined;
  const topology = watching?.withoutStandbys(loaded) ?? loaded;
  const place = openWorkspace(folder);
  const output = new RunOutput(Object.keys(topology.children), json);
  const log = createLog({
    level: logLevel,
    terminal: detached ? 'none' : json ? 'json' : 'pretty',
    color: isColored,
    file: place.logPath,
    write: output.write,
  });
  const on = here === undefined ? '' : ` on host ${here}`;
  log.info({ file, workspace: place.folder }, `${topology.name}${on} from ${file}; logs in ${place.folder}`);
  const inspection = new Inspection(inspected, log);
  const tree = new Tree(topology, {
    workspace: place,
    log,
    onLine: detached ? () => {} : output.onLine,
    questions: inspection.questions,
  });
  await inspection.begin(tree).catch(async (error: unknown) => {
    // What was asked for can't be: nothing is left running.
    await tree.down();
    throw error;
  });
  if (detached) tellStarted();
  else output.show(tree);

  const watch = watching?.ProgramWatch.start({ tree, file, env, log });
  watch?.then(
    () => log.info({}, 'restarts what has changed on disk'),
    (error: unknown) => log.error({}, `files are not watched: ${messageOf(error)}`),
  );

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
  const end = await tree.ended;
  await watch?.then((started) => started.close()).catch(() => {});
  await inspection.close();
  leave();
  forget();
  output.close();
  const code = exitCodeOf(end);
  const words = `${topology.name} ${describeEnd(end)}`;
  log[code === exitCode.asked ? 'info' : 'error']({ output: end }, words);
  // Whoever has started it may still be there to read it.
  if (detached && code !== exitCode.asked) process.stderr.write(`${words}\n`);
  process.exitCode = killed ?? code;
  await output.finished();
  // Every process of the tree is reaped and every socket closed; what could keep us here is a mistake of the topology's.
  setTimeout(() => process.exit(), 500).unref();
}

/** The control socket is there, and whoever waits for it may ask. */
function tellStarted(): void {
  if (!process.send) return;
  process.send('started', () => {
    if (process.connected) process.disconnect();
  });
}

/** What the detached process is started with. */
function argsOf(file: string, folder: string, options: RunOptions): string[] {
  const { logLevel, envFile, watch, host } = options;
  return [
    ...[file, '--workspace', resolve(folder), '--log-level', logLevel],
    ...(envFile === undefined ? [] : ['--env-file', resolve(envFile)]),
    ...(watch ? ['--watch'] : []),
    ...(host === undefined ? [] : ['--host', host]),
    ...inspectionArgs(options),
  ];
}

function describeEnd({ why, reason, failed, unkillable }: TreeEnd): string {
  const verb = why === 'boot' ? 'could not start' : 'ended';
  const left = unkillable.length > 0 ? `; stuck in the kernel: ${unkillable.join(', ')}` : '';
  return `${verb}: ${reason}${failed.length > 0 ? `; failed: ${failed.join(', ')}` : ''}${left}`;
}
