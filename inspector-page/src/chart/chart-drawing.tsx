// Chart drawing: a laid-out chart as SVG. What never changes is drawn once; what is active or was just taken is told by classes.

import type { ElkPoint } from 'elkjs/lib/elk-api.js';
import { memo } from '../frame/memo.ts';
import type { ArrowLayout, Box, ChartLayout } from './chart-layout.ts';
import { chartMetrics, type LabelLine, labelLines, shorten, shownLines } from './state-size.ts';
import type { ChartArrow, ChartState, Statechart } from './statechart.ts';
import type { TakenMark } from './taken-mark.ts';

interface ChartDrawingProps {
  readonly chart: Statechart;
  readonly layout: ChartLayout;
  readonly active: ReadonlySet<string>;
  readonly taken: TakenMark;
  /** Events that can lead on from here. */
  readonly enabled: ReadonlySet<string>;
  readonly failed: boolean;
}

export function ChartDrawing({ chart, layout, active, taken, enabled, failed }: ChartDrawingProps) {
  const arrows = [...chart.arrows].sort(
    // What is marked lies on top.
    (one, other) => Number(taken.arrows.has(one.id)) - Number(taken.arrows.has(other.id)),
  );
  return (
    <g class={failed ? 'chart failed' : 'chart'}>
      <States state={chart.root} layout={layout} active={active} inner={taken.inner} />
      {layout.initials.map(({ dot, points }) => (
        <g key={`${dot.x},${dot.y}`} class="initial">
          <circle cx={dot.x} cy={dot.y} r={5} />
          <path d={pathOf(points)} marker-end="url(#arrow-initial)" />
        </g>
      ))}
      {arrows.map((arrow) => {
        const place = layout.arrows.get(arrow.id);
        if (!place) return null;
        const mark = taken.arrows.get(arrow.id);
        const state =
          mark !== undefined
            ? 'taken'
            : active.has(arrow.from.id) && enabled.has(arrow.id)
              ? 'enabled'
              : 'other';
        return <Arrow key={arrow.id} arrow={arrow} place={place} state={state} event={mark ?? ''} />;
      })}
    </g>
  );
}

interface StatesProps {
  readonly state: ChartState;
  readonly layout: ChartLayout;
  readonly active: ReadonlySet<string>;
  readonly inner: ReadonlyMap<string, string>;
}

function States({ state, layout, active, inner }: StatesProps) {
  const box = layout.boxes.get(state.id);
  if (!box) return null;
  return (
    <>
      <StateBox
        state={state}
        box={box}
        active={active.has(state.id)}
        event={inner.get(state.id) ?? ''}
        outline={layout.outline}
      />
      {state.children.map((child) => (
        <States key={child.id} state={child} layout={layout} active={active} inner={inner} />
      ))}
    </>
  );
}

interface StateBoxProps {
  readonly state: ChartState;
  readonly box: Box;
  readonly active: boolean;
  /** The event that it took without being left, last. */
  readonly event: string;
  readonly outline: boolean;
}

const StateBox = memo(({ state, box, active, event, outline }: StateBoxProps) => {
  const { nameHeight, lineHeight, paddingX } = chartMetrics;
  const { x, y, width, height } = box;
  const { kind, children, depth } = state;
  const region = state.parent?.kind === 'parallel';
  const classes = [
    'state',
    kind,
    children.length > 0 ? 'outer' : 'inner',
    region ? 'region' : '',
    depth % 2 === 0 ? 'even' : 'odd',
    active ? 'active' : '',
  ];
  const lines = outline ? [] : shownLines(state);
  const icon = iconOf(kind);
  return (
    <g class={classes.join(' ')} data-state={state.id} transform={`translate(${x} ${y})`}>
      <title>{tooltipOf(state)}</title>
      <rect width={width} height={height} rx={8} class="state-box" />
      {kind === 'final' ? (
        <rect x={3} y={3} width={width - 6} height={height - 6} rx={6} class="state-final" />
      ) : null}
      <text x={paddingX} y={nameHeight / 2 + 5} class="state-name">
        {shorten(state.key)}
      </text>
      {icon ? (
        <text x={width - paddingX} y={nameHeight / 2 + 5} class="state-icon" text-anchor="end">
          {icon}
        </text>
      ) : null}
      {lines.map((line, index) => (
        <text
          key={index}
          x={paddingX}
          y={nameHeight + (index + 1) * lineHeight - 5}
          class={`state-line ${event !== '' && state.lines[index]?.event === event ? 'taken' : ''}`}
        >
          {line}
        </text>
      ))}
    </g>
  );
});

function iconOf(kind: ChartState['kind']): string {
  if (kind === 'parallel') return '∥';
  if (kind === 'history') return 'H';
  return kind === 'final' ? '◉' : '';
}

function tooltipOf({ id, kind, description, tags, lines }: ChartState): string {
  return [
    `${id} (${kind})`,
    description,
    tags.length > 0 ? `tags: ${tags.join(', ')}` : null,
    ...lines.map(({ what, text }) => (what === 'event' ? text : `${what} / ${text}`)),
  ]
    .filter((line) => line)
    .join('\n');
}

interface ArrowProps {
  readonly arrow: ChartArrow;
  readonly place: ArrowLayout;
  readonly state: 'taken' | 'enabled' | 'other';
  readonly event: string;
}

const Arrow = memo(({ arrow, place, state, event }: ArrowProps) => {
  const { label } = place;
  const lines = labelLines(arrow);
  return (
    <g class={`arrow ${state}`} data-arrow={arrow.id}>
      <title>{arrow.transitions.map(describeTransition).join('\n')}</title>
      <path d={pathOf(place.points)} marker-end={`url(#arrow-${state})`} />
      {label ? (
        <g transform={`translate(${label.x} ${label.y})`}>
          <rect width={label.width} height={label.height} rx={5} class="label-box" />
          {lines.map((line, index) => (
            <LabelText key={`${line.text} ${index}`} line={line} index={index} event={event} />
          ))}
        </g>
      ) : null}
    </g>
  );
});

function LabelText({ line, index, event }: { line: LabelLine; index: number; event: string }) {
  const { labelLineHeight, labelPaddingX, labelPaddingY } = chartMetrics;
  const taken = event !== '' && line.transition.event === event;
  return (
    <text
      x={labelPaddingX}
      y={labelPaddingY + (index + 1) * labelLineHeight - 4}
      class={`label-${line.what} ${taken ? 'taken' : ''}`}
    >
      {line.text}
    </text>
  );
}

function describeTransition({ label, guard, actions }: ChartArrow['transitions'][number]): string {
  return `${label}${guard ? ` [${guard}]` : ''}${actions.length > 0 ? ` / ${actions.join(', ')}` : ''}`;
}

/** Straight lines with rounded corners. */
export function pathOf(points: readonly ElkPoint[]): string {
  const [first, ...rest] = points;
  const last = rest.pop();
  if (!first || !last) return '';
  let path = `M${first.x} ${first.y}`;
  let from = first;
  rest.forEach((corner, index) => {
    const to = rest[index + 1] ?? last;
    const before = toward(corner, from);
    const after = toward(corner, to);
    path += `L${before.x} ${before.y}Q${corner.x} ${corner.y} ${after.x} ${after.y}`;
    from = corner;
  });
  return `${path}L${last.x} ${last.y}`;
}

const cornerRadius = 8;

function toward(corner: ElkPoint, other: ElkPoint): ElkPoint {
  const length = Math.hypot(other.x - corner.x, other.y - corner.y);
  if (length === 0) return corner;
  const part = Math.min(cornerRadius, length / 2) / length;
  return { x: corner.x + (other.x - corner.x) * part, y: corner.y + (other.y - corner.y) * part };
}

/** Heads of arrows, one for each colour that they have. */
export function ArrowHeads() {
  return (
    <defs>
      {['other', 'enabled', 'taken', 'initial', 'open', 'closed', 'barred'].map((name) => (
        <marker
          key={name}
          id={`arrow-${name}`}
          class={`arrow-head ${name}`}
          viewBox="0 0 8 8"
          refX={7}
          refY={4}
          markerWidth={8}
          markerHeight={8}
          markerUnits="userSpaceOnUse"
          orient="auto"
        >
          <path d="M0 0.5L8 4L0 7.5Z" />
        </marker>
      ))}
    </defs>
  );
}
