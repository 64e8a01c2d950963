// Dependence layout: units as boxes, each edge an arrow from who is needed to who needs it, so that the tree starts from the left.
import type { ELK, ElkNode, ElkPoint } from 'elkjs/lib/elk-api.js';
import type { DependenceView, UnitView } from '../../../src/inspector/protocol.ts';
import type { Box } from '../chart/chart-layout.ts';
import type { Measure, Size } from '../chart/state-size.ts';

export interface DependenceLayout extends Size {
  readonly boxes: ReadonlyMap<string, Box>;
  readonly edges: ReadonlyMap<string, { readonly points: readonly ElkPoint[]; readonly label: Box | null }>;
}

export function edgeId({ unit, on, mode }: DependenceView): string {
  return `${on} -> ${unit} ${mode}`;
}

export function edgeLabel({ mode, state }: DependenceView): string {
  return state === '' ? mode : `${mode} ${state}`;
}

/** What the layout depends on: units and edges, not how they fare. */
export function dependenceShape(
  units: ReadonlyMap<string, UnitView>,
  edges: readonly DependenceView[],
): string {
  const shown = [...units.values()].filter(({ kind }) => kind !== 'root');
  return JSON.stringify([
    shown.map(({ path, kind }) => [path, kind]),
    edges.map((edge) => [edgeId(edge), edgeLabel(edge)]),
  ]);
}

const boxHeight = 46;

export async function layoutDependences(
  elk: Pick<ELK, 'layout'>,
  units: ReadonlyMap<string, UnitView>,
  edges: readonly DependenceView[],
  measure: Measure,
): Promise<DependenceLayout> {
  const below = new Map<string, UnitView[]>();
  for (const unit of units.values()) {
    if (unit.kind === 'root') continue;
    const parent = unit.path.slice(0, Math.max(0, unit.path.lastIndexOf('/')));
    const key = units.has(parent) ? parent : '';
    below.set(key, [...(below.get(key) ?? []), unit]);
  }
  const options = {
    'elk.algorithm': 'layered',
    'elk.direction': 'RIGHT',
    'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
    'elk.edgeRouting': 'ORTHOGONAL',
    'elk.spacing.nodeNode': '18',
    'elk.spacing.edgeNode': '14',
    'elk.spacing.componentComponent': '18',
    'elk.layered.spacing.nodeNodeBetweenLayers': '32',
    'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
    'elk.aspectRatio': '1.8',
  };
  const node = (unit: UnitView): ElkNode => {
    const inner = below.get(unit.path) ?? [];
    const name = unit.path.slice(unit.path.lastIndexOf('/') + 1);
    const width = Math.ceil(Math.max(130, measure(name, 'name') + 44));
    if (inner.length === 0) return { id: unit.path, width, height: boxHeight };
    return {
      id: unit.path,
      children: inner.map(node),
      layoutOptions: {
        ...options,
        'elk.padding': `[top=${boxHeight + 10},left=16,bottom=16,right=16]`,
        'elk.nodeSize.constraints': 'MINIMUM_SIZE',
        'elk.nodeSize.minimum': `(${width},${boxHeight})`,
      },
    };
  };
  const graph: ElkNode = await elk.layout<ElkNode>({
    id: ' ',
    children: (below.get('') ?? []).map(node),
    // All in the outermost: their coordinates are then those of the whole.
    edges: edges
      .filter(({ unit, on }) => units.has(unit) && units.has(on))
      .map((edge) => ({
        id: edgeId(edge),
        sources: [edge.on],
        targets: [edge.unit],
        labels: [
          {
            id: `${edgeId(edge)} label`,
            text: ' ',
            width: Math.ceil(measure(edgeLabel(edge), 'line') + 12),
            height: 18,
            layoutOptions: { 'elk.edgeLabels.inline': 'true', 'elk.edgeLabels.placement': 'CENTER' },
          },
        ],
      })),
    layoutOptions: {
      ...options,
      'elk.padding': '[top=8,left=8,bottom=8,right=8]',
      'elk.json.edgeCoords': 'ROOT',
    },
  });
  const boxes = new Map<string, Box>();
  const visit = ({ children = [] }: ElkNode, x: number, y: number): void => {
    for (const child of children) {
      const at = { x: x + (child.x ?? 0), y: y + (child.y ?? 0) };
      boxes.set(child.id, { ...at, width: child.width ?? 0, height: child.height ?? 0 });
      visit(child, at.x, at.y);
    }
  };
  visit(graph, 0, 0);
  const routed = new Map<string, { points: readonly ElkPoint[]; label: Box | null }>();
  for (const { id, sections = [], labels = [] } of graph.edges ?? []) {
    const points = sections.flatMap(({ startPoint, bendPoints = [], endPoint }) => [
      startPoint,
      ...bendPoints,
      endPoint,
    ]);
    const [label] = labels;
    routed.set(id, {
      points,
      label: label
        ? { x: label.x ?? 0, y: label.y ?? 0, width: label.width ?? 0, height: label.height ?? 0 }
        : null,
    });
  }
  return { width: graph.width ?? 0, height: graph.height ?? 0, boxes, edges: routed };
}
