// `relay`: runs a node of the relay tier, and the sibling that its file names, as a tree like any other.
import { extname } from 'node:path';
import { Command } from 'commander';
import { IpcError } from '../errors.ts';
import { run, runCommand } from './run.ts';

export function relayCommand(): Command {
  const command = new Command('relay')
    .description('run the relay node that a configuration file describes, until Ctrl-C')
    .argument('<config>', 'file of a relay, a sibling or pressure relief, named *.conf: JSON with comments');
  for (const option of runCommand().options) command.addOption(option);
  return command.action(async (config: string, options: Parameters<typeof run>[1]) => {
    if (extname(config) !== '.conf')
      throw IpcError.of('ERR_RELAY_CONFIG', config, 'the file of a relay node is named *.conf');
    await run(config, options);
  });
}
