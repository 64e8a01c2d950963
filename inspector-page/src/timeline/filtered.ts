// Filtered: those entries of a ring that somebody wants to see. Each entry is looked at once, when it comes; a frame costs what is
// new, not what is kept.

/** A ring, or what a ring was when it was stopped. */
export interface Numbered<T> {
  readonly first: number;
  readonly end: number;
  at(number: number): T | undefined;
}

export class Filtered<T> {
  readonly #source: Numbered<T>;
  readonly #accepts: (entry: T) => boolean;
  #numbers: number[] = [];
  /** Before this index, entries have gone. */
  #start = 0;
  #looked: number;

  constructor(source: Numbered<T>, accepts: (entry: T) => boolean) {
    this.#source = source;
    this.#accepts = accepts;
    this.#looked = source.first;
  }

  get length(): number {
    return this.#numbers.length - this.#start;
  }

  at(index: number): T | undefined {
    const number = this.#numbers[this.#start + index];
    return number === undefined ? undefined : this.#source.at(number);
  }

  update(): void {
    const { first, end } = this.#source;
    for (let number = Math.max(first, this.#looked); number < end; number++) {
      const entry = this.#source.at(number);
      if (entry !== undefined && this.#accepts(entry)) this.#numbers.push(number);
    }
    this.#looked = end;
    while (this.#start < this.#numbers.length && this.#numbers[this.#start]! < first) this.#start++;
    if (this.#start > 10_000) {
      this.#numbers = this.#numbers.slice(this.#start);
      this.#start = 0;
    }
  }
}

/** What is there now, kept while the ring goes on. */
export function stopped<T>(source: Numbered<T>): Numbered<T> {
  const { first, end } = source;
  const entries: (T | undefined)[] = [];
  for (let number = first; number < end; number++) entries.push(source.at(number));
  return { first, end, at: (number) => entries[number - first] };
}
