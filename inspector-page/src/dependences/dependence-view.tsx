// Dependence view: who waits for whom, and whose gate is open.
import { useEffect, useState } from 'preact/hooks';
import type { DependenceView as Dependence, UnitView } from '../../../src/inspector/protocol.ts';
import { Canvas } from '../chart/canvas.tsx';
import { pathOf } from '../chart/chart-drawing.tsx';
import type { Box } from '../chart/chart-layout.ts';
import { elk, measureText } from '../chart/layout-worker.ts';
import { useTopics } from '../frame/use-topics.ts';
import { usePage } from '../page-state.ts';
import { toneOfUnit, unitWords } from '../tree/tone.ts';
import {
  type DependenceLayout,
  dependenceShape,
  edgeId,
  edgeLabel,
  layoutDependences,
} from './dependence-layout.ts';

export function DependenceView() {
  const page = usePage();
  const { model } = page;
  useTopics(model.topics, 'units', 'dependences', 'selection');
  const { units, dependences } = model;
  const shape = dependenceShape(units, dependences);
  const [layout, setLayout] = useState<DependenceLayout | Error | null>(null);
  useEffect(() => {
    let shown = true;
    if (units.size > 0)
      layoutDependences(elk(), units, dependences, measureText).then(
        (made) => shown && setLayout(made),
        (error: unknown) => shown && setLayout(error instanceof Error ? error : new Error(String(error))),
      );
    return () => {
      shown = false;
    };
  }, [shape]);
  if (layout instanceof Error) return <p class="empty bad">The graph can't be laid out: {layout.message}</p>;
  if (layout === null) return <p class="empty">Waiting for the tree…</p>;
  const selected = page.selection?.kind === 'unit' ? page.selection.path : null;
  // Boxes of what is around others come first, so that those lie upon them.
  const shown = [...units.values()].filter(({ path }) => layout.boxes.has(path));
  return (
    <>
      <Canvas drawing={layout} focus={() => null} label="Units and what they depend on">
        {shown.map((unit) => (
          <UnitBox
            key={unit.path}
            unit={unit}
            box={layout.boxes.get(unit.path)!}
            selected={unit.path === selected}
            outer={shown.some(({ path }) => path.startsWith(`${unit.path}/`))}
            onSelect={() => page.select({ kind: 'unit', path: unit.path }, 'topology')}
            onOpen={() => page.select({ kind: 'unit', path: unit.path }, 'chart')}
          />
        ))}
        {dependences.map((edge) => (
          <Edge key={edgeId(edge)} edge={edge} layout={layout} />
        ))}
      </Canvas>
      <ul class="legend">
        <li data-gate="open">gate open</li>
        <li data-gate="closed">gate closed</li>
        <li data-gate="barred">never opens by itself</li>
      </ul>
    </>
  );
}

function Edge({ edge, layout }: { readonly edge: Dependence; readonly layout: DependenceLayout }) {
  const place = layout.edges.get(edgeId(edge));
  if (!place || place.points.length === 0) return null;
  const { label } = place;
  return (
    <g class="dependence" data-gate={edge.gate} data-mode={edge.mode}>
      <title>{`${edge.unit} ${edgeLabel(edge)} of ${edge.on}: gate ${edge.gate}`}</title>
      <path d={pathOf(place.points)} marker-end={`url(#arrow-${edge.gate})`} />
      {label ? (
        <g transform={`translate(${label.x} ${label.y})`}>
          <rect width={label.width} height={label.height} rx={9} class="label-box" />
          <text x={label.width / 2} y={label.height / 2 + 4} text-anchor="middle">
            {edgeLabel(edge)}
          </text>
        </g>
      ) : null}
    </g>
  );
}

interface UnitBoxProps {
  readonly unit: UnitView;
  readonly box: Box;
  readonly selected: boolean;
  readonly outer: boolean;
  readonly onSelect: () => void;
  readonly onOpen: () => void;
}

function UnitBox({ unit, box, selected, outer, onSelect, onOpen }: UnitBoxProps) {
  const name = unit.path.slice(unit.path.lastIndexOf('/') + 1);
  const restarts = Math.max(0, unit.starts - 1);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the tree beside it offers the same to the keyboard.
    <g
      class={`unit-box ${selected ? 'selected' : ''} ${outer ? 'outer' : ''}`}
      data-tone={toneOfUnit(unit)}
      data-unit={unit.path}
      transform={`translate(${box.x} ${box.y})`}
      onClick={onSelect}
      onDblClick={onOpen}
    >
      <title>{`${unit.path}: ${unitWords(unit)}${unit.waitsFor ? `\n${unit.waitsFor}` : ''}`}</title>
      <rect width={box.width} height={box.height} rx={8} />
      <rect x={0} y={0} width={4} height={box.height} rx={2} class="unit-tone" />
      <text x={14} y={20} class="unit-name">
        {name}
      </text>
      <text x={14} y={36} class="unit-state">
        {clip(unitWords(unit), box.width - 26)}
      </text>
      {restarts > 0 ? (
        <text x={box.width - 10} y={20} class="unit-restarts" text-anchor="end">
          ↻{restarts}
        </text>
      ) : null}
    </g>
  );
}

/** Characters of the small font are at most this wide on average. */
const characterWidth = 6.4;

function clip(text: string, width: number): string {
  const most = Math.floor(width / characterWidth);
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
}
