// Drawing: a graph of dependences in one of the languages that `graph` and `session graph` know.
import { Option } from 'commander';
import { type DependenceGraph, toDot, toMermaid } from '../spec/dependence-graph.ts';

export type Format = 'dot' | 'mermaid' | 'json' | 'svg';

export function formatOption(): Option {
  return new Option('-f, --format <format>', 'in which language')
    .choices(['dot', 'mermaid', 'json', 'svg'])
    .default('dot');
}

export async function draw(graph: DependenceGraph, format: Format): Promise<string> {
  if (format === 'json') return `${JSON.stringify(graph, null, 2)}\n`;
  if (format === 'mermaid') return toMermaid(graph);
  const dot = toDot(graph);
  if (format === 'dot') return dot;
  // Graphviz itself, as WebAssembly: a second to load, so only where it is needed.
  const { instance } = await import('@viz-js/viz');
  return (await instance()).renderString(dot, { format: 'svg' });
}
