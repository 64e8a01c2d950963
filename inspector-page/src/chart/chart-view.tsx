// Chart view: the chart of the actor that is shown, with where it is and how it came there.
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { ActorEntry } from '../feed/model.ts';
import { useTopics } from '../frame/use-topics.ts';
import { usePage } from '../page-state.ts';
import { activeStates } from './active-states.ts';
import { Canvas } from './canvas.tsx';
import { ChartDrawing } from './chart-drawing.tsx';
import { type Box, type ChartLayout, isLarge } from './chart-layout.ts';
import { layoutOf } from './layout-worker.ts';
import type { Statechart } from './statechart.ts';
import { sameEvent, takenBy } from './taken-mark.ts';

export function ChartView() {
  const page = usePage();
  const { model } = page;
  useTopics(model.topics, 'selection', 'values', 'actors', 'charts', 'context', 'units');
  const actor = page.shownActor;
  const { selection } = page;
  if (!actor) {
    if (selection === null) return <p class="empty">Choose an actor in the tree to see its chart.</p>;
    if (!model.filled) return <p class="empty">Waiting for the tree…</p>;
    return <p class="empty">{whyNothing(selection.kind)}</p>;
  }
  const chart = model.chart(actor.chart);
  if (actor.chart === null || !chart) return <Outline actor={actor} />;
  return <LaidOut key={actor.chart} hash={actor.chart} chart={chart} actor={actor} />;
}

function whyNothing(kind: string): string {
  if (kind === 'actor') return 'That actor does not run now. Its last events are in the log below.';
  if (kind === 'resource')
    return 'Shared memory has no chart. Its figures are on the right, and under Transport.';
  return 'This unit has no chart that the root has told of.';
}

/** Logic that is no machine has no states to draw. */
function Outline({ actor }: { readonly actor: ActorEntry }) {
  return (
    <div class="outline">
      <div class="outline-box" data-tone={actor.crash ? 'bad' : 'good'}>
        <h3>{actor.actor}</h3>
        <p>{actor.crash ? actor.crash.message : actor.words || actor.status}</p>
      </div>
      <p class="muted">No machine, so no chart: a function, a promise or a callback.</p>
    </div>
  );
}

interface LaidOutProps {
  readonly hash: string;
  readonly chart: Statechart;
  readonly actor: ActorEntry;
}

function LaidOut({ hash, chart, actor }: LaidOutProps) {
  const page = usePage();
  const { model } = page;
  const outline = page.outline ?? isLarge(chart);
  const [layout, setLayout] = useState<ChartLayout | Error | null>(null);
  useEffect(() => {
    let shown = true;
    layoutOf(hash, chart, outline).then(
      (made) => shown && setLayout(made),
      (error: unknown) => shown && setLayout(error instanceof Error ? error : new Error(String(error))),
    );
    return () => {
      shown = false;
    };
  }, [hash, chart, outline]);
  const active = useMemo(() => activeStates(chart, actor.value), [chart, actor.value]);
  const taken = useMemo(() => takenBy(chart, actor.last), [chart, actor.last]);
  const { context } = model;
  const own = context && context.place.process === actor.process && context.place.actor === actor.actor;
  const next = own ? context.next : null;
  const enabled = useMemo(() => {
    const arrows = chart.arrows.filter(
      ({ from, transitions }) =>
        active.has(from.id) &&
        (next === null ||
          next.some(
            (each) => each.from === from.id && transitions.some(({ event }) => sameEvent(event, each.event)),
          )),
    );
    return new Set(arrows.map(({ id }) => id));
  }, [chart, active, next]);
  if (layout instanceof Error) return <p class="empty bad">This chart can't be laid out: {layout.message}</p>;
  if (layout === null) return <p class="empty">Laying out the chart…</p>;
  const focus = () => focusOf(chart, layout, active, actor.last?.steps.flatMap(({ to }) => to) ?? []);
  return (
    <Canvas
      drawing={layout}
      focus={focus}
      followed={`${actor.process} ${actor.actor} ${actor.words}`}
      label={`Chart of ${actor.actor}, in ${actor.words}`}
      tools={
        <button
          type="button"
          aria-pressed={outline}
          onClick={() => {
            page.outline = !outline;
            page.changed();
          }}
          title="States and arrows alone, or with guards and actions"
        >
          Outline
        </button>
      }
    >
      <ChartDrawing
        chart={chart}
        layout={layout}
        active={active}
        taken={taken}
        enabled={enabled}
        failed={actor.crash !== null || !model.isAlive(actor.process)}
      />
    </Canvas>
  );
}

/** More than this can't be read at once at the smallest scale at which text is text. */
const focusMax = { width: 1_000, height: 560 } as const;

/** Around the innermost states that are active; if those are far from each other, where the actor has come last. */
function focusOf(
  chart: Statechart,
  layout: ChartLayout,
  active: ReadonlySet<string>,
  last: readonly string[],
): Box | null {
  const innermost = [...active].filter((id) => {
    const state = chart.states.get(id);
    return state && !state.children.some((child) => active.has(child.id));
  });
  const all = around(layout, innermost);
  if (!all || (all.width <= focusMax.width && all.height <= focusMax.height)) return all;
  const newest = innermost.filter((id) =>
    last.some((target) => id === target || id.startsWith(`${target}.`)),
  );
  const deepest = innermost.toSorted((one, other) => depthOf(chart, other) - depthOf(chart, one));
  return around(layout, newest.slice(0, 1)) ?? around(layout, deepest.slice(0, 1));
}

function depthOf(chart: Statechart, id: string): number {
  return chart.states.get(id)?.depth ?? 0;
}

function around(layout: ChartLayout, ids: readonly string[]): Box | null {
  const boxes = ids.flatMap((id) => layout.boxes.get(id) ?? []);
  if (boxes.length === 0) return null;
  const x = Math.min(...boxes.map((box) => box.x));
  const y = Math.min(...boxes.map((box) => box.y));
  return {
    x,
    y,
    width: Math.max(...boxes.map((box) => box.x + box.width)) - x,
    height: Math.max(...boxes.map((box) => box.y + box.height)) - y,
  };
}
