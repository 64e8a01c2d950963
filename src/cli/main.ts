#!/usr/bin/env node
// The command line: parses, calls the runtime, prints. Its exit codes are those of docs/cli.md.
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { IpcError } from '../errors.ts';
import { applyCommand } from './apply.ts';
import { buildCommand } from './build.ts';
import { cacheCommand } from './cache.ts';
import { chaosCommand } from './chaos.ts';
import { checkCommand } from './check.ts';
import { clusterCommand } from './cluster.ts';
import { completeCommand, completionCommand } from './completion.ts';
import { doctorCommand } from './doctor.ts';
import { exitCode, exitCodeOfError } from './exit-code.ts';
import { graphCommand } from './graph.ts';
import { initCommand } from './init.ts';
import { inspectCommand } from './inspect.ts';
import { logsCommand } from './logs.ts';
import { postmortemCommand } from './postmortem.ts';
import { relayCommand } from './relay.ts';
import { runCommand } from './run.ts';
import { sessionCommands } from './session.ts';
import { simulateCommand } from './simulate.ts';
import { statusCommand, topCommand } from './status.ts';
import { unitCommands } from './units.ts';

const { version, description } = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
) as {
  version: string;
  description: string;
};

const program = new Command('actor-ipc')
  .description(description)
  .version(version, '-V, --version', 'print the version')
  .helpOption('-h, --help', 'print this help')
  .helpCommand(false)
  .showSuggestionAfterError()
  .showHelpAfterError('(see "actor-ipc --help")')
  .exitOverride()
  .enablePositionalOptions()
  .addCommand(runCommand())
  .addCommand(checkCommand())
  .addCommand(graphCommand())
  .addCommand(simulateCommand())
  .addCommand(chaosCommand())
  .addCommand(statusCommand())
  .addCommand(topCommand())
  .addCommand(logsCommand())
  .addCommand(inspectCommand())
  .addCommand(postmortemCommand())
  .addCommand(cacheCommand())
  .addCommand(applyCommand());
for (const command of unitCommands()) program.addCommand(command);
program
  .addCommand(relayCommand())
  .addCommand(clusterCommand())
  .addCommand(initCommand())
  .addCommand(buildCommand())
  .addCommand(doctorCommand())
  .addCommand(completionCommand());
sessionCommands(program);
program.addCommand(completeCommand(program), { hidden: true });
for (const command of program.commands)
  command.exitOverride().showHelpAfterError(`(see "actor-ipc ${command.name()} --help")`);

try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) {
    // Commander has printed what is wrong; asking for help or the version is no mistake.
    process.exitCode = error.exitCode === 0 ? exitCode.asked : exitCode.usage;
  } else {
    process.stderr.write(
      `actor-ipc: ${error instanceof IpcError ? error.message : error instanceof Error ? error.stack : String(error)}\n`,
    );
    process.exitCode = exitCodeOfError(error);
  }
}
