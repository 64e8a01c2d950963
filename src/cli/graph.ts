// `graph`: draws who depends on whom in a topology.
import { Command, Option } from 'commander';
import { findTopology, loadTopology } from '../runtime/loader.ts';
import { type DependenceGraph, dependenceGraph, toDot, toMermaid } from '../spec/dependence-graph.ts';

type Format = 'dot' | 'mermaid' | 'json' | 'svg';

export function graphCommand(): Command {
  return new Command('graph')
    .description('draw the units of a topology and their dependences; nothing runs')
    .argument('[file]', 'topology file (default: topology.{ts,mts,js,mjs,yaml,json} here)')
    .addOption(
      new Option('-f, --format <format>', 'in which language')
        .choices(['dot', 'mermaid', 'json', 'svg'])
        .default('dot'),
    )
    .action(async (named: string | undefined, { format }: { format: Format }) => {
      const graph = dependenceGraph(await loadTopology(findTopology(named, process.cwd())));
      process.stdout.write(await render(graph, format));
    });
}

async function render(graph: DependenceGraph, format: Format): Promise<string> {
  if (format === 'json') return `${JSON.stringify(graph, null, 2)}\n`;
  if (format === 'mermaid') return toMermaid(graph);
  const dot = toDot(graph);
  if (format === 'dot') return dot;
  // Graphviz itself, as WebAssembly: a second to load, so only where it is needed.
  const { instance } = await import('@viz-js/viz');
  return (await instance()).renderString(dot, { format: 'svg' });
}
