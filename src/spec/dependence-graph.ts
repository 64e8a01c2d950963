// Dependence graph: who waits for whom in a topology, as data and in the languages in which graphs are drawn.
import { type ChildSpec, type EdgeMode, edgeOf, type Topology } from './child.ts';

export interface GraphNode {
  /** Letters, digits and `_`. */
  readonly id: string;
  /** The unit's path below the root. */
  readonly unit: string;
  /** The unit, and the state that others wait for if all of them wait for the same one. */
  readonly label: string;
  readonly kind: string;
  /** Set for the children of a nested supervisor. */
  readonly supervisor: string | null;
  /** Where the topology names hosts: on which it runs. */
  readonly host?: string;
}

export interface GraphEdge {
  readonly from: string;
  readonly to: string;
  /** The state that the child waits for. */
  readonly state: string;
  readonly mode: EdgeMode;
}

export interface DependenceGraph {
  readonly name: string;
  readonly nodes: readonly GraphNode[];
  /** From parent to child. */
  readonly edges: readonly GraphEdge[];
}

/** States that say no more than that somebody waits at all. */
const plain: ReadonlySet<string> = new Set(['ready']);

export function dependenceGraph(topology: Topology): DependenceGraph {
  const nodes: Omit<GraphNode, 'label'>[] = [];
  const edges: GraphEdge[] = [];
  const ids = new Set<string>();
  const walk = (
    children: Readonly<Record<string, ChildSpec>>,
    supervisor: string | null,
    path: string,
    on?: string,
  ) => {
    const own = new Map<string, string>();
    for (const [name, child] of Object.entries(children)) {
      const unit = path === '' ? name : `${path}/${name}`;
      const id = freeId(unit, ids);
      own.set(name, id);
      const host = child.host ?? on;
      nodes.push({ id, unit, kind: child.kind, supervisor, ...(host !== undefined && { host }) });
      if (child.kind === 'supervisor') walk(child.children, id, unit, host);
    }
    for (const [name, child] of Object.entries(children))
      for (const [parent, wanted] of Object.entries(child.dependsOn))
        edges.push({ from: own.get(parent)!, to: own.get(name)!, ...edgeOf(wanted) });
  };
  walk(topology.children, null, '');
  return labelled(topology.name, nodes, edges);
}

/** A unit beside others, with those that it requires. */
export interface GraphUnit {
  readonly unit: string;
  readonly kind: string;
  readonly parents: readonly { readonly unit: string; readonly state: string }[];
}

/** REQUIRES: each parent is one of the units. */
export function graphOf(name: string, units: readonly GraphUnit[]): DependenceGraph {
  const taken = new Set<string>();
  const ids = new Map(units.map(({ unit }) => [unit, freeId(unit, taken)]));
  const nodes = units.map(({ unit, kind }) => ({ id: ids.get(unit)!, unit, kind, supervisor: null }));
  const edges = units.flatMap(({ unit, parents }) =>
    parents.map(
      (parent): GraphEdge => ({
        from: ids.get(parent.unit)!,
        to: ids.get(unit)!,
        state: parent.state,
        mode: 'requires',
      }),
    ),
  );
  return labelled(name, nodes, edges);
}

function labelled(
  name: string,
  nodes: readonly Omit<GraphNode, 'label'>[],
  edges: readonly GraphEdge[],
): DependenceGraph {
  return { name, nodes: nodes.map((node) => ({ ...node, label: labelOf(node, edges) })), edges };
}

function freeId(unit: string, taken: Set<string>): string {
  const base = unit.replaceAll(/[^A-Za-z0-9]/g, '_');
  let id = base;
  for (let i = 2; taken.has(id); i++) id = `${base}_${i}`;
  taken.add(id);
  return id;
}

/** As in `store:operative @b`; below a supervisor its host is not said again. */
function labelOf(node: Omit<GraphNode, 'label'>, edges: readonly GraphEdge[]): string {
  const { host, supervisor } = node;
  const name = nameOf(node, edges);
  return host === undefined || supervisor !== null ? name : `${name} @${host}`;
}

function nameOf({ id, unit }: Omit<GraphNode, 'label'>, edges: readonly GraphEdge[]): string {
  const states = new Set(
    edges.filter(({ from, state }) => from === id && !plain.has(state)).map(({ state }) => state),
  );
  return states.size === 1 ? `${unit}:${[...states][0]}` : unit;
}

/** What stands at an edge: the state, if the parent's label does not say it, and the mode, if it is another than `requires`. */
function wordsAt({ from, state, mode }: GraphEdge, { nodes }: DependenceGraph): string | undefined {
  const parent = nodes.find(({ id }) => id === from)!;
  const said = plain.has(state) || parent.label.split(' @')[0] === `${parent.unit}:${state}`;
  const words = [...(said ? [] : [state]), ...(mode === 'requires' ? [] : [mode])];
  return words.length > 0 ? words.join(', ') : undefined;
}

/** How a language writes a unit, and the begin and end of what a supervisor holds. */
interface Drawing {
  unit(node: GraphNode): string;
  supervisor(node: GraphNode): string[];
  readonly end: string;
}

/** All nodes, each supervisor's inside it. */
function drawn({ nodes }: DependenceGraph, drawing: Drawing): string[] {
  const inside = (supervisor: string | null, indent: string): string[] =>
    nodes
      .filter((node) => node.supervisor === supervisor)
      .flatMap((node) =>
        node.kind === 'supervisor'
          ? [
              ...drawing.supervisor(node).map((line) => indent + line),
              ...inside(node.id, `${indent}  `),
              indent + drawing.end,
            ]
          : [indent + drawing.unit(node)],
      );
  return inside(null, '  ');
}

/** In the language of Graphviz; dashed edges, from parent to child. */
export function toDot(graph: DependenceGraph): string {
  const quote = (text: string) => JSON.stringify(text);
  const nodes = drawn(graph, {
    unit: ({ id, label }) => `${id} [label=${quote(label)}];`,
    supervisor: ({ id, unit, label }) => [
      `subgraph ${quote(`cluster_${id}`)} {`,
      `  label=${quote(unit)};`,
      `  ${id} [label=${quote(label)}, shape=box, style=rounded];`,
    ],
    end: '}',
  });
  const edges = graph.edges.map((edge) => {
    const words = wordsAt(edge, graph);
    return `  ${edge.from} -> ${edge.to}${words === undefined ? '' : ` [label=${quote(words)}]`};`;
  });
  return `digraph ${quote(graph.name)} {\n  edge [style="dashed"];\n${[...nodes, ...edges].join('\n')}\n}\n`;
}

/** In the language of Mermaid. */
export function toMermaid(graph: DependenceGraph): string {
  const quote = (text: string) => `"${text.replaceAll('"', '#quot;')}"`;
  const nodes = drawn(graph, {
    unit: ({ id, label }) => `${id}[${quote(label)}]`,
    supervisor: ({ id, unit, label }) => [
      `subgraph group_${id} [${quote(unit)}]`,
      `  ${id}([${quote(label)}])`,
    ],
    end: 'end',
  });
  const edges = graph.edges.map((edge) => {
    const words = wordsAt(edge, graph);
    return `  ${edge.from} -.->${words === undefined ? '' : `|${quote(words)}|`} ${edge.to}`;
  });
  return `flowchart TD\n${[...nodes, ...edges].join('\n')}\n`;
}
