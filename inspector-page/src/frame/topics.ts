// Topics: what has changed since the last frame. Messages change the model as they come, thousands a second; what shows a topic
// is drawn anew once per frame at most, and not at all while the page is hidden.

export type Topic =
  | 'connection'
  | 'units'
  /** Actors have come or gone. */
  | 'actors'
  /** Actors have moved to other states. */
  | 'values'
  | 'resources'
  | 'dependences'
  | 'events'
  | 'log'
  | 'metrics'
  | 'context'
  | 'charts'
  | 'playing'
  | 'selection'
  | 'notice';

type Listener = () => void;

export class Topics {
  readonly #listeners = new Map<Topic, Set<Listener>>();
  readonly #changed = new Set<Topic>();
  readonly #schedule: (flush: () => void) => void;
  #scheduled = false;

  /** @param schedule calls back before the next frame is drawn. */
  constructor(schedule: (flush: () => void) => void) {
    this.#schedule = schedule;
  }

  changed(topic: Topic): void {
    this.#changed.add(topic);
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#schedule(() => this.#flush());
  }

  /** @returns how to stop. */
  listen(topics: readonly Topic[], listener: Listener): () => void {
    for (const topic of topics) {
      const known = this.#listeners.get(topic);
      if (known) known.add(listener);
      else this.#listeners.set(topic, new Set([listener]));
    }
    return () => {
      for (const topic of topics) this.#listeners.get(topic)?.delete(listener);
    };
  }

  #flush(): void {
    this.#scheduled = false;
    const due = new Set<Listener>();
    for (const topic of this.#changed)
      for (const listener of this.#listeners.get(topic) ?? []) due.add(listener);
    this.#changed.clear();
    for (const listener of due) listener();
  }
}
