// Chart layout: where each state, arrow and label of a chart stands. ELK lays out, in a worker; here the chart becomes its
// graph, and its answer becomes absolute places. Layouts belong to charts, not to actors: thousands of actors of one machine
// share one.
import type { ELK, ElkExtendedEdge, ElkNode, ElkPoint, LayoutOptions } from 'elkjs/lib/elk-api.js';
import { headSize, labelSize, type Measure, type Size } from './state-size.ts';
import type { ChartArrow, ChartState, Statechart } from './statechart.ts';

export interface Box extends Size {
  readonly x: number;
  readonly y: number;
}

export interface ArrowLayout {
  readonly points: readonly ElkPoint[];
  readonly label: Box | null;
}

export interface ChartLayout extends Size {
  /** Without the texts of arrows and what states do: where everything is, of a chart too large to be read at once. */
  readonly outline: boolean;
  readonly boxes: ReadonlyMap<string, Box>;
  readonly arrows: ReadonlyMap<string, ArrowLayout>;
  /** The dot from which a compound state's first state is entered, and the arrow to it. */
  readonly initials: readonly { readonly dot: ElkPoint; readonly points: readonly ElkPoint[] }[];
}

export type Direction = 'RIGHT' | 'DOWN';

/** The form of the area that charts are shown in: wider than high. */
const wantedRatio = 1.7;

/** A chart with more arrows is as wide as it is, and takes long enough to lay out once. */
const triedArrowsMax = 24;

/** Whether a chart is first shown as an outline. */
export function isLarge(chart: Statechart): boolean {
  return chart.arrows.length > triedArrowsMax;
}

/** Of a small chart both directions are tried; the one that is shown larger wins. @throws what ELK throws, if no way of asking helps. */
export async function layoutChart(
  elk: Pick<ELK, 'layout'>,
  chart: Statechart,
  measure: Measure,
  outline = false,
): Promise<ChartLayout> {
  if (outline) return layoutDirected(elk, chart, measure, 'RIGHT', true);
  const across = await layoutDirected(elk, chart, measure, 'RIGHT');
  if (isLarge(chart)) return across;
  const down = await layoutDirected(elk, chart, measure, 'DOWN');
  const room = ({ width, height }: Size) => Math.max(width / wantedRatio, height);
  return room(across) <= room(down) * 1.1 ? across : down;
}

export async function layoutDirected(
  elk: Pick<ELK, 'layout'>,
  chart: Statechart,
  measure: Measure,
  direction: Direction,
  outline = false,
): Promise<ChartLayout> {
  const laidOut = async (hierarchy: Hierarchy) =>
    readLayout(await elk.layout(graphOf(chart, measure, direction, hierarchy, outline)), outline);
  try {
    return await laidOut('INCLUDE_CHILDREN');
  } catch {
    // Rare graphs make ELK stumble over arrows that cross borders; laid out level by level, it never has.
    return await laidOut('SEPARATE_CHILDREN');
  }
}

type Hierarchy = 'INCLUDE_CHILDREN' | 'SEPARATE_CHILDREN';

function graphOf(
  chart: Statechart,
  measure: Measure,
  direction: Direction,
  hierarchy: Hierarchy,
  outline: boolean,
): ElkNode {
  const edges = new Map<ChartState | null, ElkExtendedEdge[]>();
  // Time goes from left to right: what leads away from where a state begins points forward, what leads back points back.
  const away = { 'elk.layered.priority.direction': '10' };
  const put = (container: ChartState | null, edge: ElkExtendedEdge) => {
    const known = edges.get(container);
    if (known) known.push(edge);
    else edges.set(container, [edge]);
  };
  for (const arrow of chart.arrows) {
    const label = { id: `${arrow.id} label`, text: ' ', ...labelSize(arrow, measure) };
    if (hierarchy === 'INCLUDE_CHILDREN') {
      put(containerOf(arrow), {
        id: arrow.id,
        sources: [arrow.from.id],
        targets: [arrow.to.id],
        ...(arrow.from.parent?.initial === arrow.from.id && { layoutOptions: away }),
        labels: outline ? [] : [{ ...label, layoutOptions: labelOptions(arrow.from === arrow.to) }],
      });
      continue;
    }
    const lifted = lift(arrow);
    put(lifted.container, {
      id: arrow.id,
      sources: [lifted.from.id],
      targets: [lifted.to.id],
      labels: outline ? [] : [{ ...label, layoutOptions: labelOptions(lifted.from === lifted.to) }],
    });
  }
  const options = { ...optionsOf(direction, hierarchy), ...(outline && tight) };
  const node = (state: ChartState): ElkNode => {
    const head = headSize(state, measure, outline);
    if (state.children.length === 0) return { id: state.id, ...head };
    const own = [...(edges.get(state) ?? [])];
    const children = state.children.map(node);
    if (state.initial !== null) {
      const dot = `${state.id} initial`;
      children.unshift({
        id: dot,
        width: 10,
        height: 10,
        layoutOptions: { 'elk.layered.layering.layerConstraint': 'FIRST' },
      });
      own.unshift({
        id: `${dot} arrow`,
        sources: [dot],
        targets: [state.initial],
        layoutOptions: { 'elk.layered.priority.direction': '10', 'elk.layered.priority.shortness': '10' },
      });
    }
    return {
      id: state.id,
      children,
      edges: own,
      layoutOptions: {
        ...options,
        'elk.padding': `[top=${head.height + 16},left=18,bottom=18,right=18]`,
        'elk.nodeSize.constraints': 'MINIMUM_SIZE',
        'elk.nodeSize.minimum': `(${head.width},${head.height + 20})`,
      },
    };
  };
  // Arrows from the root to itself need a container around it.
  return {
    id: ' ',
    children: [node(chart.root)],
    edges: edges.get(null) ?? [],
    layoutOptions: { ...options, 'elk.padding': '[top=8,left=8,bottom=8,right=8]' },
  };
}

function optionsOf(direction: Direction, hierarchy: Hierarchy): LayoutOptions {
  return {
    'elk.algorithm': 'layered',
    'elk.direction': direction,
    'elk.hierarchyHandling': hierarchy,
    'elk.edgeRouting': 'ORTHOGONAL',
    'elk.spacing.nodeNode': '28',
    'elk.spacing.edgeNode': '16',
    'elk.spacing.edgeEdge': '12',
    'elk.spacing.edgeLabel': '4',
    'elk.spacing.componentComponent': '24',
    'elk.layered.spacing.nodeNodeBetweenLayers': '28',
    'elk.layered.spacing.edgeNodeBetweenLayers': '16',
    'elk.layered.spacing.edgeEdgeBetweenLayers': '12',
    'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
    'elk.layered.nodePlacement.favorStraightEdges': 'true',
  };
}

const tight: LayoutOptions = {
  'elk.spacing.nodeNode': '16',
  'elk.spacing.edgeNode': '10',
  'elk.spacing.edgeEdge': '8',
  'elk.layered.spacing.nodeNodeBetweenLayers': '16',
  'elk.layered.spacing.edgeNodeBetweenLayers': '10',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '8',
};

function labelOptions(loop: boolean): LayoutOptions {
  return { 'elk.edgeLabels.inline': String(!loop), 'elk.edgeLabels.placement': 'CENTER' };
}

/** The state within which an arrow runs: the nearest around both ends; null is the room around the root. */
function containerOf({ from, to }: ChartArrow): ChartState | null {
  if (from === to) return from.parent;
  const around = new Set(pathOf(from));
  return pathOf(to).find((state) => around.has(state)) ?? null;
}

/** From the state itself up to the root. */
function pathOf(state: ChartState): ChartState[] {
  const path: ChartState[] = [];
  for (let at: ChartState | null = state; at; at = at.parent) path.push(at);
  return path;
}

/** The same arrow between two states of one level: at the borders of what stands around its ends. */
function lift(arrow: ChartArrow): { from: ChartState; to: ChartState; container: ChartState | null } {
  const container = containerOf(arrow);
  const childOf = (state: ChartState) => pathOf(state).find(({ parent }) => parent === container) ?? state;
  if (container === arrow.from || container === arrow.to) {
    const inner = childOf(container === arrow.from ? arrow.to : arrow.from);
    return { from: inner, to: inner, container };
  }
  return { from: childOf(arrow.from), to: childOf(arrow.to), container };
}

function readLayout(graph: ElkNode, outline: boolean): ChartLayout {
  const boxes = new Map<string, Box>();
  const arrows = new Map<string, ArrowLayout>();
  const dots = new Map<string, ElkPoint>();
  const initialArrows = new Map<string, readonly ElkPoint[]>();
  const visit = (node: ElkNode, x: number, y: number): void => {
    for (const edge of node.edges ?? []) {
      const points = pointsOf(edge, x, y);
      const [label] = edge.labels ?? [];
      if (edge.id.endsWith(' initial arrow')) {
        initialArrows.set(edge.id.slice(0, -' arrow'.length), points);
        continue;
      }
      arrows.set(edge.id, {
        points,
        label: label
          ? {
              x: x + (label.x ?? 0),
              y: y + (label.y ?? 0),
              width: label.width ?? 0,
              height: label.height ?? 0,
            }
          : null,
      });
    }
    for (const child of node.children ?? []) {
      const at = { x: x + (child.x ?? 0), y: y + (child.y ?? 0) };
      if (child.id.endsWith(' initial')) {
        dots.set(child.id, { x: at.x + 5, y: at.y + 5 });
        continue;
      }
      boxes.set(child.id, { ...at, width: child.width ?? 0, height: child.height ?? 0 });
      visit(child, at.x, at.y);
    }
  };
  visit(graph, 0, 0);
  return {
    outline,
    width: graph.width ?? 0,
    height: graph.height ?? 0,
    boxes,
    arrows,
    initials: [...dots].map(([id, dot]) => ({ dot, points: initialArrows.get(id) ?? [] })),
  };
}

function pointsOf(edge: ElkExtendedEdge, x: number, y: number): ElkPoint[] {
  return (edge.sections ?? [])
    .flatMap(({ startPoint, bendPoints, endPoint }) => [startPoint, ...(bendPoints ?? []), endPoint])
    .map((point) => ({ x: x + point.x, y: y + point.y }));
}
