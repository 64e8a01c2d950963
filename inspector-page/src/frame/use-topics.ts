import { useEffect, useReducer } from 'preact/hooks';
import type { Topic, Topics } from './topics.ts';

/** Draws the component anew in the next frame after one of these topics has changed. */
export function useTopics(topics: Topics, ...names: Topic[]): void {
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  useEffect(() => topics.listen(names, () => redraw(undefined)), [topics]);
}
