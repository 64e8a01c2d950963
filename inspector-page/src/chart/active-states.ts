// Active states: which states of a chart a state value names.
import type { StateValue } from '../../../src/runtime/feed.ts';
import type { ChartState, Statechart } from './statechart.ts';

/** @returns the ids of all states that the value is in, with those around them. */
export function activeStates(chart: Statechart, value: StateValue | null): Set<string> {
  const active = new Set<string>([chart.root.id]);
  if (value !== null) enter(chart.root, value, active);
  return active;
}

function enter(state: ChartState, value: StateValue, active: Set<string>): void {
  if (typeof value === 'string') {
    const child = state.children.find(({ key }) => key === value);
    if (child) active.add(child.id);
    return;
  }
  for (const [key, inner] of Object.entries(value)) {
    const child = state.children.find((each) => each.key === key);
    if (!child) continue;
    active.add(child.id);
    if (inner !== undefined) enter(child, inner, active);
  }
}

/** A state value in one line: `up.serving`, and regions beside each other as `(gate.open, life.up)`. */
export function describeValue(value: StateValue | null | undefined): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'string') return value;
  const parts = Object.entries(value).map(([key, inner]) => {
    const words = describeValue(inner);
    return words === '' ? key : `${key}.${words}`;
  });
  return parts.length === 1 ? (parts[0] ?? '') : parts.length === 0 ? '' : `(${parts.join(', ')})`;
}
