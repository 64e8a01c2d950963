// Belongings: what a kind has open and what ends with it. Its timers, and its promises without an answer and shared handles.
import { IpcError } from '../../errors.ts';
import { type Clock, systemClock } from '../../machines/clock.ts';

import { type Timer, Timers } from './timer.ts';

/** Promises without an answer and shared handles that are open, of one kind. More is a program that forgets them. */
const closersMax = 16_384;
const timersKept = 64;

export class Belongings {
  readonly #timers = new Set<Timer>();
  readonly #closers = new Set<(why: string) => void>();
  #owner = '';
  #clock: Clock = systemClock;
  #named: Timers | undefined;
  /** Timers that have fired are forgotten when there are so many. */
  #pruneAt = timersKept;
  #ended = false;

  /** @param owner how errors call whose they are. */
  begin(owner: string, clock: Clock): void {
    this.#owner = owner;
    this.#clock = clock;
  }

  /** Its timers by name. */
  get timers(): Timers {
    this.#named ??= new Timers(this.#clock);
    if (this.#ended) this.#named.close();
    return this.#named;
  }

  /** A timer that is cancelled with the kind. */
  keep(timer: Timer): Timer {
    if (this.#timers.size >= this.#pruneAt) {
      for (const old of this.#timers) if (!old.active) this.#timers.delete(old);
      this.#pruneAt = Math.max(timersKept, 2 * this.#timers.size);
    }
    this.#timers.add(timer);
    if (this.#ended) timer.cancel();
    return timer;
  }

  /** Has `close` called at the end. @returns a function that ends it. @throws {IpcError} ERR_KIND_BUSY. */
  closeAtEnd(close: (why: string) => void): () => void {
    if (this.#closers.size >= closersMax)
      throw IpcError.of('ERR_KIND_BUSY', `open promises and handles of ${this.#owner}`, closersMax);
    this.#closers.add(close);
    return () => this.#closers.delete(close);
  }

  end(why: string): void {
    this.#ended = true;
    for (const close of [...this.#closers]) close(why);
    for (const timer of this.#timers) timer.cancel();
    this.#named?.close();
  }
}
