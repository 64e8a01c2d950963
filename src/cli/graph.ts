// `graph`: draws who depends on whom in a topology.
import { Command } from 'commander';
import { findTopology, loadTopology } from '../runtime/loader.ts';
import { dependenceGraph } from '../spec/dependence-graph.ts';
import { draw, type Format, formatOption } from './drawing.ts';

export function graphCommand(): Command {
  return new Command('graph')
    .description('draw the units of a topology and their dependences; nothing runs')
    .argument('[file]', 'topology file (default: topology.{ts,mts,js,mjs,yaml,json} here)')
    .addOption(formatOption())
    .action(async (named: string | undefined, { format }: { format: Format }) => {
      const graph = dependenceGraph(await loadTopology(findTopology(named, process.cwd())));
      process.stdout.write(await draw(graph, format));
    });
}
