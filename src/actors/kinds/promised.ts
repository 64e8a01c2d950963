// Promised: an answer that is sent once, by whoever has got it in a message, to the kind that made it.
import { IpcError } from '../../errors.ts';
import type { WaitOptions } from '../../spec/waiting.ts';
import { Outcome, Source } from './source.ts';
import type { Waits } from './waits.ts';

/** The end that answers; it travels in a message within this process. */
export interface Resolver<T> {
  /** Whether nobody waits for the answer any more. */
  readonly closed: boolean;
  /** Answers. @throws {IpcError} ERR_PROMISE_CLOSED if it was answered already, or nobody waits any more. */
  resolve(value: T): void;
  /** Answers with a failure. @throws as resolve. */
  reject(error: unknown): void;
}

/** An answer that may come once. A source: settled, it answers the same each time. */
export class Promised<T> extends Source<T> implements Resolver<T> {
  readonly name = 'promise';
  readonly #outcome = new Outcome<T>('promise');
  readonly #waits: Waits;
  #why: string | undefined;

  constructor(waits: Waits) {
    super();
    this.#waits = waits;
  }

  get closed(): boolean {
    return this.#why !== undefined || this.#outcome.settled;
  }

  resolve(value: T): void {
    this.#refuse();
    this.#outcome.resolve(value);
  }

  reject(error: unknown): void {
    this.#refuse();
    this.#outcome.reject(error);
  }

  /** The answer. @throws what it was rejected with; {IpcError} ERR_PROMISE_CLOSED, ERR_TIMEOUT. */
  wait(options?: WaitOptions): Promise<T> {
    return this.#waits.one(this.name, this, options);
  }

  /** There will be no answer, or nobody wants it: those who wait are told, and those who would answer. */
  close(why: string): void {
    if (this.closed) return;
    this.#why = why;
    this.#outcome.reject(IpcError.of('ERR_PROMISE_CLOSED', why));
  }

  /** Rejects it, unless it was resolved already: nobody waits for it any more. */
  [Symbol.dispose](): void {
    this.close('nobody waits for it any more');
  }

  ready(): boolean {
    return this.#outcome.ready();
  }

  take(): T {
    return this.#outcome.take();
  }

  override arm(wake: () => void): () => void {
    return this.#outcome.arm(wake);
  }

  #refuse(): void {
    if (this.#why !== undefined) throw IpcError.of('ERR_PROMISE_CLOSED', this.#why);
    if (this.#outcome.settled) throw IpcError.of('ERR_PROMISE_CLOSED', 'it was answered before');
  }
}
