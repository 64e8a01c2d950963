// Layout worker: ELK in a worker of its own, made when the first chart is drawn; and the layouts that it has made.
import type { ELK } from 'elkjs/lib/elk-api.js';
import ElkApi from 'elkjs/lib/elk-api.js';
import workerUrl from 'elkjs/lib/elk-worker.min.js?url';
import { type ChartLayout, layoutChart } from './chart-layout.ts';
import type { Measure, TextKind } from './state-size.ts';
import type { Statechart } from './statechart.ts';

/** More charts than anybody looks at in a day. */
const layoutsMax = 200;

const layouts = new Map<string, Promise<ChartLayout>>();
let started: ELK | undefined;

/** The constructor, however the bundler hands out a CommonJS module. */
const Elk = ((ElkApi as unknown as { default?: typeof ElkApi }).default ?? ElkApi) as typeof ElkApi;

export function elk(): ELK {
  started ??= new Elk({ workerFactory: () => new Worker(workerUrl) });
  return started;
}

/** The layout of a chart; made once for each hash, and once for its outline. */
export function layoutOf(hash: string, chart: Statechart, outline: boolean): Promise<ChartLayout> {
  const key = outline ? `${hash} outline` : hash;
  const known = layouts.get(key);
  if (known) return known;
  const made = layoutChart(elk(), chart, measureText, outline);
  layouts.set(key, made);
  for (const oldest of layouts.keys()) {
    if (layouts.size <= layoutsMax) break;
    layouts.delete(oldest);
  }
  return made;
}

/** The same fonts as in the style sheet. */
const fonts: Readonly<Record<TextKind, string>> = {
  name: '600 13px system-ui, sans-serif',
  event: '500 12px system-ui, sans-serif',
  line: '400 11.5px system-ui, sans-serif',
};

let canvas: CanvasRenderingContext2D | null = null;

export const measureText: Measure = (text, kind) => {
  canvas ??= document.createElement('canvas').getContext('2d');
  if (!canvas) return text.length * 7;
  canvas.font = fonts[kind];
  return canvas.measureText(text).width + 1;
};
