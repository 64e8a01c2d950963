// Source: something that a kind can wait for, alone or among others. Nothing is taken from it but by the one wait that gets
// it, so a wait that is given up or loses to another source loses nothing.

/** What is waited for: an inbox, a timer, a join, a stream. `select` takes from the one that has been passed over longest. */
export abstract class Source<T> {
  /** Which of all takes of a kind was the last from here; 0 for none. Kept by `select`. */
  lastTake = 0;
  readonly #wakes = new Set<() => void>();

  /** What a snapshot calls it. */
  abstract readonly name: string;

  /** Whether `take` answers now, be it by throwing. */
  abstract ready(): boolean;

  /** Takes what is there. Called only when ready. @throws what ended the source. */
  abstract take(): T;

  /** Has `wake` called when it may have become ready. @returns a function that ends it. */
  arm(wake: () => void): () => void {
    this.#wakes.add(wake);
    return () => this.#wakes.delete(wake);
  }

  /** Lets those who wait look again, the longest waiting first. */
  protected wake(): void {
    if (this.#wakes.size > 0) for (const wake of [...this.#wakes]) wake();
  }
}

/** A source that settles once and answers the same to everybody from then on. */
export class Outcome<T> extends Source<T> {
  readonly name: string;
  #settled: { readonly value: T } | { readonly error: unknown } | undefined;

  constructor(name: string) {
    super();
    this.name = name;
  }

  get settled(): boolean {
    return this.#settled !== undefined;
  }

  /** Answers false if it was settled before. */
  resolve(value: T): boolean {
    return this.#settle({ value });
  }

  reject(error: unknown): boolean {
    return this.#settle({ error });
  }

  ready(): boolean {
    return this.settled;
  }

  take(): T {
    const settled = this.#settled!;
    if ('error' in settled) throw settled.error;
    return settled.value;
  }

  #settle(settled: { readonly value: T } | { readonly error: unknown }): boolean {
    if (this.#settled) return false;
    this.#settled = settled;
    this.wake();
    return true;
  }
}

/** A promise as a source: it keeps its answer for whoever asks. */
export function outcomeOf<T>(name: string, promise: PromiseLike<T>): Outcome<T> {
  const outcome = new Outcome<T>(name);
  promise.then(
    (value) => outcome.resolve(value),
    (error: unknown) => outcome.reject(error),
  );
  return outcome;
}

/** A source without its end: undefined instead of the error that ended it. */
export class OrEnd<T> extends Source<T | undefined> {
  readonly #source: Source<T> & { readonly ended: boolean };

  constructor(source: Source<T> & { readonly ended: boolean }) {
    super();
    this.#source = source;
  }

  get name(): string {
    return this.#source.name;
  }

  ready(): boolean {
    return this.#source.ready();
  }

  take(): T | undefined {
    return this.#source.ended ? undefined : this.#source.take();
  }

  override arm(wake: () => void): () => void {
    return this.#source.arm(wake);
  }
}

/** Whatever hands out one message after the other: a channel of a session, a broadcast, a pipe. */
export interface Receiver<T> {
  /** The next message. */
  receive(): Promise<T>;
}

/**
 * A source made of anything that answers by promises. One answer is asked for ahead and kept until somebody takes it, so
 * that losing a `select` loses nothing.
 */
export class Pulled<T> extends Source<T> {
  readonly name: string;
  readonly #pull: () => Promise<T>;
  #asking = false;
  #answer: { readonly value: T } | { readonly error: unknown } | undefined;

  constructor(name: string, pull: () => Promise<T>) {
    super();
    this.name = name;
    this.#pull = pull;
  }

  ready(): boolean {
    this.#ask();
    return this.#answer !== undefined;
  }

  take(): T {
    const answer = this.#answer!;
    // An error is the end: it stays.
    if ('error' in answer) throw answer.error;
    this.#answer = undefined;
    return answer.value;
  }

  #ask(): void {
    if (this.#asking || this.#answer) return;
    this.#asking = true;
    const settle = (answer: { value: T } | { error: unknown }) => {
      this.#asking = false;
      this.#answer = answer;
      this.wake();
    };
    this.#pull().then(
      (value) => settle({ value }),
      (error: unknown) => settle({ error }),
    );
  }
}
