// Metrics strip: the last five minutes of the selected process, or of the whole tree.
import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import type { ProcessId } from '../../../src/inspector/protocol.ts';
import { describeCount, describeMs, describeRate } from '../detail/quantity.ts';
import type { Sample } from '../feed/metrics-history.ts';
import { useSize } from '../frame/use-size.ts';
import { useTopics } from '../frame/use-topics.ts';
import { type PageState, usePage } from '../page-state.ts';
import { onThemeChange } from '../theme.ts';

type Figure = Exclude<keyof Sample, 'at'>;

interface Panel {
  readonly figure: Figure;
  readonly title: string;
  readonly explained: string;
  readonly show: (value: number) => string;
  readonly steps: boolean;
}

const panels: readonly Panel[] = [
  {
    figure: 'messagesPerS',
    title: 'Messages',
    explained: 'sent through channels',
    show: describeRate,
    steps: false,
  },
  {
    figure: 'depth',
    title: 'Waiting',
    explained: 'messages that wait to be taken or for room',
    show: describeCount,
    steps: false,
  },
  {
    figure: 'waitMs',
    title: 'Latency',
    explained:
      'how long messages wait on average until they are taken, in the channel where they wait longest',
    show: describeMs,
    steps: false,
  },
  {
    figure: 'loopDelayMs',
    title: 'Loop delay',
    explained: 'how late an event loop came to its timers: the 99th percentile, of the slowest process',
    show: describeMs,
    steps: false,
  },
  {
    figure: 'restarts',
    title: 'Restarts',
    explained: 'since the tree began',
    show: describeCount,
    steps: true,
  },
];

export function MetricsStrip() {
  const page = usePage();
  const { model } = page;
  useTopics(model.topics, 'metrics', 'selection', 'units');
  const process = processOf(page);
  const samples = model.metrics.samplesOf(process);
  return (
    <section class="metrics" aria-label={`Metrics of ${process ?? 'the tree'}`}>
      {panels.map((panel) => (
        <PanelView key={panel.figure} panel={panel} samples={samples} of={process ?? 'whole tree'} />
      ))}
    </section>
  );
}

/** Of the process that the selection is in; null: of all. */
function processOf({ selection, model }: PageState): ProcessId | null {
  if (selection?.kind === 'actor') return model.isAlive(selection.process) ? selection.process : null;
  if (selection?.kind === 'unit' && selection.path !== '')
    return model.units.get(selection.path)?.process ?? null;
  return null;
}

interface PanelProps {
  readonly panel: Panel;
  readonly samples: readonly Sample[];
  readonly of: string;
}

function PanelView({ panel, samples, of }: PanelProps) {
  const { figure, title, explained, show, steps } = panel;
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const { width, height } = useSize(place);
  const last = samples.at(-1)?.[figure] ?? null;

  useEffect(() => {
    if (!place.current || width === 0 || height === 0) return;
    const element = place.current;
    const make = () => {
      plot.current?.destroy();
      plot.current = new uPlot(options(width, height, steps), dataOf(samples, figure), element);
    };
    make();
    const stop = onThemeChange(make);
    return () => {
      stop();
      plot.current?.destroy();
      plot.current = null;
    };
  }, [width, height, figure, steps]);

  const newest = samples.at(-1);
  useEffect(() => plot.current?.setData(dataOf(samples, figure)), [samples, newest, figure]);

  return (
    <div class="metric" title={`${title}: ${explained} (${of})`} data-figure={figure}>
      <div class="metric-head">
        <span>{title}</span>
        <strong>{last === null ? '–' : show(last)}</strong>
      </div>
      <div ref={place} class="metric-plot" />
    </div>
  );
}

function dataOf(samples: readonly Sample[], figure: Figure): uPlot.AlignedData {
  return [samples.map(({ at }) => at), samples.map((sample) => sample[figure])];
}

function options(width: number, height: number, steps: boolean): uPlot.Options {
  const style = getComputedStyle(document.documentElement);
  const line = style.getPropertyValue('--accent').trim();
  const fill = style.getPropertyValue('--accent-soft').trim();
  return {
    width,
    height,
    padding: [4, 0, 0, 0],
    legend: { show: false },
    cursor: { show: false },
    axes: [{ show: false }, { show: false }],
    scales: {
      x: { time: true },
      // From nothing, so that a flat line of a hundred does not look like one of zero.
      y: {
        range: (_, __, max) => {
          const most = Math.max(1, (max ?? 0) * 1.15);
          // A line along zero is seen, too.
          return [-0.05 * most, most];
        },
      },
    },
    series: [
      {},
      {
        stroke: line,
        fill,
        width: 1.5,
        points: { show: false },
        ...(steps && uPlot.paths.stepped && { paths: uPlot.paths.stepped({ align: 1 }) }),
      },
    ],
  };
}
