// State size: how much room the texts of a chart take, before it is laid out. Everything that is drawn is measured here, so that
// nothing is cut off and nothing overlaps.
import type { ChartArrow, ChartState, ChartTransition } from './statechart.ts';

export interface Size {
  readonly width: number;
  readonly height: number;
}

export type TextKind = 'name' | 'line' | 'event';

/** Width of a text in pixels, as the page draws it. */
export type Measure = (text: string, kind: TextKind) => number;

export const chartMetrics = {
  nameHeight: 26,
  lineHeight: 16,
  labelLineHeight: 15,
  paddingX: 12,
  paddingBottom: 8,
  labelPaddingX: 6,
  labelPaddingY: 3,
  /** Longer texts end in an ellipsis; the whole stands in the tooltip. */
  textMax: 46,
  /** More lines than this are counted, not shown. */
  linesMax: 12,
  /** An icon that says "parallel", "history" or "final" takes this much beside the name. */
  iconWidth: 18,
} as const;

export function shorten(text: string): string {
  const { textMax } = chartMetrics;
  return text.length <= textMax ? text : `${text.slice(0, textMax - 1)}…`;
}

export function shownLines(state: ChartState): string[] {
  const lines = state.lines.map(({ what, text }) => shorten(what === 'event' ? text : `${what} / ${text}`));
  const { linesMax } = chartMetrics;
  if (lines.length <= linesMax) return lines;
  return [...lines.slice(0, linesMax - 1), `${lines.length - linesMax + 1} more`];
}

/** Of the head of a state: its name and, but in an outline, its lines; a state without states within is only that. */
export function headSize(state: ChartState, measure: Measure, outline = false): Size {
  const { nameHeight, lineHeight, paddingX, paddingBottom, iconWidth } = chartMetrics;
  const lines = outline ? [] : shownLines(state);
  const icon = state.kind === 'atomic' || state.kind === 'compound' ? 0 : iconWidth;
  const widths = [measure(shorten(state.key), 'name') + icon, ...lines.map((line) => measure(line, 'line'))];
  return {
    width: Math.ceil(Math.max(44, ...widths) + 2 * paddingX),
    height: nameHeight + (lines.length > 0 ? lines.length * lineHeight + paddingBottom : 0),
  };
}

export interface LabelLine {
  readonly transition: ChartTransition;
  readonly text: string;
  readonly what: 'event' | 'guard' | 'actions';
}

/** What stands at an arrow: events, and behind those that share them, their guard and their actions. */
export function labelLines(arrow: ChartArrow): LabelLine[] {
  const { transitions } = arrow;
  return transitions.flatMap((transition, index) => {
    const { label, guard, actions } = transition;
    const lines: LabelLine[] = [{ transition, text: shorten(label), what: 'event' }];
    const next = transitions[index + 1];
    if (next && next.guard === guard && next.actions.join() === actions.join()) return lines;
    if (guard) lines.push({ transition, text: shorten(`[${guard}]`), what: 'guard' });
    if (actions.length > 0)
      lines.push({ transition, text: shorten(`/ ${actions.join(', ')}`), what: 'actions' });
    return lines;
  });
}

export function labelSize(arrow: ChartArrow, measure: Measure): Size {
  const { labelLineHeight, labelPaddingX, labelPaddingY } = chartMetrics;
  const lines = labelLines(arrow);
  const width = Math.max(
    ...lines.map(({ text, what }) => measure(text, what === 'event' ? 'event' : 'line')),
  );
  return {
    width: Math.ceil(width + 2 * labelPaddingX),
    height: lines.length * labelLineHeight + 2 * labelPaddingY,
  };
}
