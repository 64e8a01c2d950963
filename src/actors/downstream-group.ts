// Downstream group: several relays behind one session cache, as one downstream.
//
// Policy. A question goes to the relays in their order: to the next one as soon as the one before has nothing, fails or takes too
// long; the first that has it answers. Puts and deletes go to all. A relay that is away misses puts, and what it does not have the
// next one is asked for; deletes it is told when it is back.
import { IpcError } from '../errors.ts';
import type { CacheEntry, CacheNews, CacheTombstone, Downstream, Forgotten } from '../spec/downstream.ts';

/** How long a relay has before the next one is asked, too: above what an answer from behind a relay takes. */
const nextAfterMs = 200;
/** News that were told lately: two relays tell the same. */
const toldMax = 4_096;

/** How several relays behind one session cache are taken. */
export interface GroupOptions {
  /**
   * Whose silence counts. `all`: of the one that is silent the longest, since a delete can have come to that one alone;
   * `any`: hearing one of them is enough. Default `all`.
   */
  heardFrom?: 'all' | 'any';
}

export class DownstreamGroup implements Downstream {
  readonly #all: readonly Downstream[];
  readonly #heardFrom: 'all' | 'any';

  /** @throws {IpcError} ERR_OPTIONS_INVALID for none. */
  constructor(all: readonly Downstream[], { heardFrom = 'all' }: GroupOptions = {}) {
    if (all.length === 0) throw IpcError.of('ERR_OPTIONS_INVALID', 'downstream', 'the list has no relay');
    if (heardFrom !== 'all' && heardFrom !== 'any')
      throw IpcError.of('ERR_OPTIONS_INVALID', 'heardFrom', 'it is all or any');
    this.#all = [...all];
    this.#heardFrom = heardFrom;
  }

  /** `lost`: all of them are. */
  get status(): Downstream['status'] {
    return this.#all.some(({ status }) => status === 'connected') ? 'connected' : 'lost';
  }

  get silentMs(): number {
    const silences = this.#all.map(({ silentMs }) => silentMs);
    return this.#heardFrom === 'all' ? Math.max(...silences) : Math.min(...silences);
  }

  ask(key: string, signal: AbortSignal): Promise<CacheEntry | CacheTombstone | undefined> {
    const there = this.#all.filter(({ status }) => status === 'connected');
    const [first, ...others] = there.length > 0 ? there : this.#all;
    return firstFound(first!, others, (each) => each.ask(key, signal), signal);
  }

  /** Resolved: one of them has it. */
  async put(key: string, entry: CacheEntry, signal: AbortSignal): Promise<void> {
    try {
      await Promise.any(this.#all.map((each) => each.put(key, entry, signal)));
    } catch (error) {
      throw error instanceof AggregateError ? error.errors[0] : error;
    }
  }

  /** Each is told. A node that two relays reach counts twice. */
  async forget(key: string, tombstone: CacheTombstone, signal: AbortSignal): Promise<Forgotten> {
    const answers = await Promise.all(
      this.#all.map((each, index) =>
        each.forget(key, tombstone, signal).catch(() => {
          return { acknowledged: 0, missing: [each.name ?? `downstream ${index + 1}`] };
        }),
      ),
    );
    const acknowledged = answers.reduce((sum, answer) => sum + answer.acknowledged, 0);
    return { acknowledged, missing: [...new Set(answers.flatMap(({ missing }) => missing))] };
  }

  remember(stones: readonly (readonly [string, CacheTombstone])[]): void {
    for (const each of this.#all) each.remember?.(stones);
  }

  onNews(listener: (news: CacheNews) => void): () => void {
    const told = new Map<string, number>();
    const hear = (news: CacheNews) => {
      const { stamp } = news.type === 'entry.deleted' ? news.tombstone : news.entry;
      const what = `${news.type} ${news.key}`;
      if (told.get(what) === stamp) return;
      told.delete(what);
      told.set(what, stamp);
      if (told.size > toldMax) told.delete(told.keys().next().value as string);
      listener(news);
    };
    const ends = this.#all.map((each) => each.onNews(hear));
    return () => {
      for (const end of ends) end();
    };
  }

  onStatus(listener: (status: Downstream['status']) => void): () => void {
    let last = this.status;
    const ends = this.#all.map((each) =>
      each.onStatus(() => {
        if (this.status === last) return;
        last = this.status;
        listener(last);
      }),
    );
    return () => {
      for (const end of ends) end();
    };
  }
}

type Found = CacheEntry | CacheTombstone | undefined;

/** Asks one after the other; fails only if all have. */
function firstFound(
  first: Downstream,
  others: readonly Downstream[],
  ask: (each: Downstream) => Promise<Found>,
  signal: AbortSignal,
): Promise<Found> {
  return new Promise((resolve, reject) => {
    const waiting = [...others];
    let underWay = 0;
    let answered = false;
    let timer: NodeJS.Timeout | undefined;
    const begin = (each: Downstream | undefined) => {
      clearTimeout(timer);
      if (!each) return;
      underWay++;
      if (waiting.length > 0) timer = setTimeout(() => begin(waiting.shift()), nextAfterMs);
      ask(each).then(
        (found) => {
          underWay--;
          answered = true;
          if (found) settle(() => resolve(found));
          else next(undefined);
        },
        (error: unknown) => {
          underWay--;
          next(error);
        },
      );
    };
    const next = (error: unknown) => {
      if (waiting.length > 0) return begin(waiting.shift());
      if (underWay > 0) return;
      settle(() => (answered ? resolve(undefined) : reject(error)));
    };
    const settle = (tell: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      waiting.length = 0;
      tell();
    };
    const abort = () => settle(() => reject(signal.reason));
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    begin(first);
  });
}
