// `inspect`: the inspector's page for a running tree, or for a recording.
import { once } from 'node:events';
import { Command } from 'commander';
import { askTree } from '../runtime/control-client.ts';
import { portOf } from './inspection.ts';
import { type TreeOptions, withTree, workspaceOf } from './tree-options.ts';

export function inspectCommand(): Command {
  const command = new Command('inspect')
    .description('open the inspector of the running tree, or show a recording, until Ctrl-C')
    .argument('[recording]', 'a file made by run --record (default: the tree that runs here)')
    .option('-p, --port <number>', 'the port for a recording (default: any that is free)', portOf);
  return withTree(command).action(inspect);
}

async function inspect(
  recording: string | undefined,
  options: TreeOptions & { readonly port?: number },
): Promise<void> {
  const print = (url: string) =>
    process.stdout.write(options.json ? `${JSON.stringify({ url })}\n` : `inspector: ${url}\n`);
  if (recording === undefined) {
    const { url } = (await askTree(workspaceOf(options), 'inspect')) as { url: string };
    print(url);
    return;
  }
  // Loaded by those alone who look on.
  const { Playback } = await import('../inspector/playback.ts');
  const { InspectorServer } = await import('../inspector/server.ts');
  const playback = await Playback.open(recording);
  if (playback.problem) process.stderr.write(`${recording}: ${playback.problem}\n`);
  const server = await InspectorServer.open(playback, { port: options.port ?? 0 });
  // Before the address: whoever reads it may stop us at once.
  const asked = Promise.race([once(process, 'SIGINT'), once(process, 'SIGTERM')]);
  print(server.url);
  // The server alone keeps no process running.
  const waiting = setInterval(() => {}, 1 << 30);
  await asked;
  clearInterval(waiting);
  server.close();
}
