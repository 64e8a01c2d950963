// Waiting: a promise that also settles by timeout or abort, and the bounded lists of those who wait.
import { IpcError } from '../errors.ts';
import type { WaitOptions } from '../spec/waiting.ts';

/** How the one who waits is answered. */
export interface Call<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

/**
 * Starts a wait with `begin`, which answers how to give it up. It is given up after `timeoutMs` with ERR_TIMEOUT, or when
 * the signal is aborted with the signal's reason. With `late`, its answer (or what it throws) takes the place of ERR_TIMEOUT.
 */
export function waiting<T>(
  what: string,
  options: WaitOptions | undefined,
  begin: (call: Call<T>) => () => void,
  late?: (timeoutMs: number) => T,
): Promise<T> {
  // Most waits have no limit: two closures less each.
  if (options === undefined)
    return new Promise((resolve, reject) => {
      begin({ resolve, reject });
    });
  const { timeoutMs = Number.POSITIVE_INFINITY, signal } = options;
  if (signal?.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    let giveUp: (() => void) | undefined;
    const settle = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', abort);
    };
    const abandon = () => {
      settle();
      giveUp?.();
    };
    const abort = () => {
      abandon();
      reject(signal?.reason);
    };
    const timeout = () => {
      abandon();
      try {
        if (!late) throw IpcError.of('ERR_TIMEOUT', what, timeoutMs);
        resolve(late(timeoutMs));
      } catch (error) {
        reject(error);
      }
    };
    signal?.addEventListener('abort', abort, { once: true });
    if (timeoutMs !== Number.POSITIVE_INFINITY) timer = setTimeout(timeout, timeoutMs);
    giveUp = begin({
      resolve(value) {
        settle();
        resolve(value);
      },
      reject(error) {
        settle();
        reject(error);
      },
    });
  });
}

/** Calls that may wait at one place of a channel: for room, for a message, for a flush, for a reply. */
export const waitingMax = 1024;

/** Those who wait at one place, first come first served; who lets them in asks `full` first. */
export class WaitingLine<T extends { reject(error: unknown): void }> {
  #waiting: T[] = [];

  get length(): number {
    return this.#waiting.length;
  }

  get full(): boolean {
    return this.#waiting.length >= waitingMax;
  }

  get first(): T | undefined {
    return this.#waiting[0];
  }

  /** @returns how to leave the line. */
  join(one: T): () => void {
    this.#waiting.push(one);
    return () => this.take((other) => other === one);
  }

  shift(): T | undefined {
    return this.#waiting.shift();
  }

  /** Takes all out of the line for which the test says yes. */
  take(test: (one: T) => boolean): T[] {
    const taken = this.#waiting.filter(test);
    if (taken.length > 0) this.#waiting = this.#waiting.filter((one) => !test(one));
    return taken;
  }

  rejectAll(error: unknown): void {
    for (const one of this.#waiting.splice(0)) one.reject(error);
  }
}
