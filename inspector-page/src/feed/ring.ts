// Ring: the newest so many of an endless sequence. Each entry has a number that stays its own, so that a list can say which of
// them it shows while older ones go.

export class Ring<T> {
  readonly #entries: (T | undefined)[];
  #end = 0;
  /** Nothing before this number is there. */
  #forgotten = 0;

  constructor(capacity: number) {
    this.#entries = new Array<T | undefined>(capacity);
  }

  get capacity(): number {
    return this.#entries.length;
  }

  /** Number of the oldest entry that is still there. */
  get first(): number {
    return Math.max(this.#forgotten, this.#end - this.#entries.length);
  }

  /** Number that the next entry will have. */
  get end(): number {
    return this.#end;
  }

  get length(): number {
    return this.#end - this.first;
  }

  push(entry: T): void {
    this.#entries[this.#end % this.#entries.length] = entry;
    this.#end++;
  }

  /** Undefined for what is gone or has not come. */
  at(number: number): T | undefined {
    return number < this.first || number >= this.#end
      ? undefined
      : this.#entries[number % this.#entries.length];
  }

  /** Forgets all; numbers go on, so that nobody takes a new entry for an old one. */
  clear(): void {
    this.#entries.fill(undefined);
    this.#forgotten = this.#end;
  }
}
