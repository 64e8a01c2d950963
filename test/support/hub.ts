// A hub for session caches in one process: what stands downstream of several front ends, with its own table, and with faults
// that a test switches on. Frames are as late as a turn of the event loop.
import type { CacheEntry, CacheNews, CacheTombstone, Downstream } from '../../src/spec/downstream.ts';

export class Hub {
  readonly table = new Map<string, CacheEntry | CacheTombstone>();
  readonly asked: string[] = [];
  /** Questions wait for this, if it is there. */
  gate: Promise<void> | undefined;
  status: Downstream['status'] = 'connected';
  silentMs = 0;
  readonly #ends = new Set<(news: CacheNews) => void>();

  /** What one front end has. */
  end(): Downstream {
    const hub = this;
    let own: ((news: CacheNews) => void) | undefined;
    return {
      get status() {
        return hub.status;
      },
      get silentMs() {
        return hub.silentMs;
      },
      async ask(key, signal) {
        hub.asked.push(key);
        await hub.gate;
        await turn();
        const answer = hub.table.get(key);
        if (signal.aborted) {
          // The answer of a question that nobody waits for any more.
          if (answer && !('deleted' in answer)) own?.({ type: 'entry.found', key, entry: answer });
          throw signal.reason;
        }
        return answer;
      },
      async put(key, entry) {
        await turn();
        if (hub.keep(key, entry)) hub.tell({ type: 'entry.put', key, entry }, own);
      },
      async forget(key, tombstone) {
        await turn();
        hub.keep(key, tombstone);
        hub.tell({ type: 'entry.deleted', key, tombstone }, own);
        return { acknowledged: hub.#ends.size, missing: [] };
      },
      onNews(listener) {
        own = listener;
        hub.#ends.add(listener);
        return () => hub.#ends.delete(listener);
      },
      onStatus: () => () => {},
    };
  }

  keep(key: string, entry: CacheEntry | CacheTombstone): boolean {
    const there = this.table.get(key);
    if (there && there.stamp >= entry.stamp) return false;
    this.table.set(key, entry);
    return true;
  }

  tell(news: CacheNews, except?: (news: CacheNews) => void): void {
    for (const end of this.#ends) if (end !== except) end(news);
  }
}

function turn(): Promise<void> {
  return new Promise(setImmediate);
}
