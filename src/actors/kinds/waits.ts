// Waits: all calls of one kind that wait. Each can be given up by time or by signal, all of them when the kind is stopped,
// and a snapshot can tell what is being waited for.
import { IpcError } from '../../errors.ts';
import type { Clock } from '../../machines/clock.ts';
import type { WaitOptions } from '../../spec/waiting.ts';
import type { Source } from './source.ts';

/** Of one kind at once. Code that runs in sequence has a handful; more is a loop that forgets to await. */
const waitsMax = 1_024;

interface Wait {
  readonly what: string;
  promise?: Promise<unknown>;
  giveUp(error: unknown): void;
}

export class Waits {
  clock: Clock;
  /** Whose they are, for errors. */
  owner: string;
  readonly #pending = new Set<Wait>();
  #takes = 0;
  #ended: { readonly error: unknown } | undefined;

  constructor(owner: string, clock: Clock) {
    this.owner = owner;
    this.clock = clock;
  }

  /** Whether every wait fails by now. */
  get over(): boolean {
    return this.#ended !== undefined;
  }

  /** What is waited for now, for whoever looks. */
  get names(): string[] {
    return [...this.#pending].map(({ what }) => what);
  }

  /** From now on every wait fails with that error, those that wait already among them. */
  end(error: unknown): void {
    if (this.#ended) return;
    this.#ended = { error };
    for (const wait of [...this.#pending]) {
      // What a function has left behind must not end the process when the kind ends.
      wait.promise?.catch(() => {});
      wait.giveUp(error);
    }
  }

  /** Takes from one source as soon as it can. */
  one<T>(what: string, source: Source<T>, options?: WaitOptions): Promise<T> {
    if (!this.#ended && !options?.signal?.aborted && source.ready()) {
      source.lastTake = ++this.#takes;
      try {
        return Promise.resolve(source.take());
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return this.until(
      what,
      () => (source.ready() ? { value: source.take() } : undefined),
      (wake) => source.arm(wake),
      options,
    );
  }

  /** Takes from one of several, and says from which: of those that are ready, the one that has been passed over longest. */
  any<T>(
    what: string,
    sources: readonly Source<T>[],
    names: readonly string[],
    options?: WaitOptions,
  ): Promise<{ from: string; value: T }> {
    if (!this.#ended && !options?.signal?.aborted) {
      try {
        const now = this.#take(sources, names);
        if (now) return Promise.resolve(now);
      } catch (error) {
        return Promise.reject(error);
      }
    }
    const attempt = () => {
      const value = this.#take(sources, names);
      return value && { value };
    };
    const arm = (wake: () => void) => {
      const disarm = sources.map((source) => source.arm(wake));
      return () => {
        for (const end of disarm) end();
      };
    };
    return this.until(what, attempt, arm, options);
  }

  /** Of those that are ready, from the one that has been passed over longest. */
  #take<T>(sources: readonly Source<T>[], names: readonly string[]): { from: string; value: T } | undefined {
    let winner = -1;
    for (let index = 0; index < sources.length; index++) {
      const source = sources[index]!;
      if (source.ready() && (winner < 0 || source.lastTake < sources[winner]!.lastTake)) winner = index;
    }
    if (winner < 0) return undefined;
    const source = sources[winner]!;
    source.lastTake = ++this.#takes;
    return { from: names[winner]!, value: source.take() };
  }

  /**
   * Waits until `attempt` answers. `arm` has its argument called whenever that may be.
   * @throws {IpcError} ERR_TIMEOUT, ERR_KIND_BUSY; the signal's reason; what `attempt` throws; what ended this kind.
   */
  until<T>(
    what: string,
    attempt: () => { value: T } | undefined,
    arm: (wake: () => void) => () => void,
    options: WaitOptions = {},
  ): Promise<T> {
    const { timeoutMs = Number.POSITIVE_INFINITY, signal } = options;
    if (this.#ended) return Promise.reject(this.#ended.error);
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#pending.size >= waitsMax)
      return Promise.reject(IpcError.of('ERR_KIND_BUSY', `calls of ${this.owner} that wait`, waitsMax));
    const wait: Wait = { what, giveUp() {} };
    wait.promise = new Promise<T>((resolve, reject) => {
      let disarm: () => void = () => {};
      let timer: unknown;
      let settled = false;
      const settle = (): void => {
        settled = true;
        this.#pending.delete(wait);
        disarm();
        if (timer !== undefined) this.clock.clearTimeout(timer);
        signal?.removeEventListener('abort', abort);
      };
      wait.giveUp = (error) => {
        if (settled) return;
        settle();
        reject(error);
      };
      const abort = () => wait.giveUp(signal?.reason);
      const look = () => {
        if (settled) return;
        try {
          const answer = attempt();
          if (!answer) return;
          settle();
          resolve(answer.value);
        } catch (error) {
          wait.giveUp(error);
        }
      };
      this.#pending.add(wait);
      look();
      if (settled) return;
      disarm = arm(look);
      signal?.addEventListener('abort', abort, { once: true });
      if (Number.isFinite(timeoutMs))
        timer = this.clock.setTimeout(
          () => wait.giveUp(IpcError.of('ERR_TIMEOUT', `${this.owner}: ${what}`, timeoutMs)),
          timeoutMs,
        );
    });
    return wait.promise as Promise<T>;
  }
}
