// Demand: who wants a frame, in the order in which they asked. Each asks for few at once, so that this is never long.
export class Demand<T> {
  readonly #asked: T[] = [];
  readonly #waiting: ((one: T) => void)[] = [];

  add(one: T): void {
    const next = this.#waiting.shift();
    if (next) next(one);
    else this.#asked.push(one);
  }

  async next(): Promise<T> {
    return this.#asked.shift() ?? new Promise((resolve) => this.#waiting.push(resolve));
  }
}
