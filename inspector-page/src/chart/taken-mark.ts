// Taken mark: which arrows and lines of a chart the last transition went by.
import type { ViewRecord } from '../../../src/inspector/protocol.ts';
import type { Statechart } from './statechart.ts';

export interface TakenMark {
  /** Ids of arrows, each with the event as the chart names it. */
  readonly arrows: ReadonlyMap<string, string>;
  /** Ids of states that took an event without being left, each with the event. */
  readonly inner: ReadonlyMap<string, string>;
}

const nothing: TakenMark = { arrows: new Map(), inner: new Map() };

export function takenBy(chart: Statechart, last: Extract<ViewRecord, { k: 'transition' }> | null): TakenMark {
  if (!last || last.steps.length === 0) return nothing;
  const arrows = new Map<string, string>();
  const inner = new Map<string, string>();
  for (const { event, from, to } of last.steps) {
    const known = to.map((target) => `${from} -> ${target}`);
    // An eventless step is recorded with the event that it followed.
    for (const id of known) {
      const arrow = chart.arrows.find((each) => each.id === id);
      if (!arrow) continue;
      const own = arrow.transitions.some((transition) => sameEvent(transition.event, event));
      arrows.set(id, own ? nameIn(arrow.transitions, event) : '');
    }
    if (to.length === 0) inner.set(from, event);
  }
  return { arrows, inner };
}

function nameIn(transitions: Statechart['arrows'][number]['transitions'], event: string): string {
  return transitions.find((transition) => sameEvent(transition.event, event))?.event ?? '';
}

/** A chart may name a group of events: `peer.*`, or `*` for all. */
export function sameEvent(described: string, event: string): boolean {
  if (described === event || described === '*') return true;
  return described.endsWith('.*') && event.startsWith(described.slice(0, -1));
}
