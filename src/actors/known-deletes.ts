// Known deletes: what a front end of a session tier knows to be deleted, of which of it the tier has still to be told, and who hears of
// the news. However the tier is reached, a delete counts here at once, and whatever the tier still has of it counts no more.
import type { CacheEntry, CacheNews, CacheTombstone, Forgotten } from '../spec/downstream.ts';
import { isTombstone, parseFound } from '../transport/entry-frame.ts';
import { type Frame, mapOf, wholeOf } from '../transport/frame.ts';
import { Tombstones } from '../transport/tombstones.ts';

/** Deletes that could not be told. */
const untoldMax = 10_000;

type Found = CacheEntry | CacheTombstone | undefined;

export class KnownDeletes {
  readonly stones: Tombstones;
  readonly #untold = new Map<string, CacheTombstone>();
  readonly #onNews = new Set<(news: CacheNews) => void>();

  /** @param tombstonesMax deletes that are remembered. */
  constructor(tombstonesMax?: number) {
    this.stones = new Tombstones(() => performance.now(), tombstonesMax);
  }

  get hasUntold(): boolean {
    return this.#untold.size > 0;
  }

  /** Deletes of which the tier is still to be told. */
  get untold(): [string, CacheTombstone][] {
    return [...this.#untold];
  }

  /** It is deleted here, and nobody else knows. */
  begin(key: string, tombstone: CacheTombstone): void {
    this.stones.put(key, tombstone);
    this.#untold.delete(key);
    this.#untold.set(key, tombstone);
    // They stand among the tombstones as well, which are told at the next meeting; here is only who waits for an answer.
    if (this.#untold.size > untoldMax) this.#untold.delete(this.#untold.keys().next().value as string);
  }

  /** The tier knows of it. @returns what it has answered. @throws {IpcError} if that is nonsense. */
  told(key: string, tombstone: CacheTombstone, answer: unknown): Forgotten {
    if (this.#untold.get(key) === tombstone) this.#untold.delete(key);
    const frame = mapOf({ t: 'forgotten', answer }, 'answer') as Frame;
    const missing = Array.isArray(frame.missing)
      ? frame.missing.filter((name) => typeof name === 'string')
      : [];
    return { acknowledged: wholeOf(frame, 'acknowledged'), missing };
  }

  /** Somebody else has deleted it. */
  learn(key: string, tombstone: CacheTombstone): void {
    if (this.stones.put(key, tombstone)) this.tell(newsOf(key, tombstone));
  }

  /** What the tier has answered to a put: perhaps it was deleted while it was being written. */
  putAnswered(key: string, answer: unknown): void {
    const refused = parseFound((answer as { tombstone?: unknown } | null)?.tombstone);
    if (!refused || !isTombstone(refused)) return;
    this.stones.put(key, refused);
    this.tell(newsOf(key, refused));
  }

  /** @returns whether any of them was not known. */
  remember(stones: readonly (readonly [string, CacheTombstone])[]): boolean {
    return stones.filter(([key, tombstone]) => this.stones.put(key, tombstone)).length > 0;
  }

  /** What was deleted here counts, whatever the tier still has. */
  checked(key: string, found: Found): Found {
    if (!found || isTombstone(found) || !this.stones.covers(key, found.stamp)) return found;
    return this.stones.find(key) ?? this.stones.floorStone;
  }

  onNews(listener: (news: CacheNews) => void): () => void {
    // What was deleted while its process was not there has perhaps been heard before anybody listened.
    if (this.#onNews.size === 0)
      for (const [key, tombstone] of this.stones.entries()) listener(newsOf(key, tombstone));
    this.#onNews.add(listener);
    return () => void this.#onNews.delete(listener);
  }

  tell(news: CacheNews): void {
    for (const listener of [...this.#onNews]) listener(news);
  }

  /** Waits for an answer as long as its asker does; one that comes later is still news. @throws the signal's reason. */
  awaited(key: string, answer: Promise<Found>, signal: AbortSignal): Promise<Found> {
    answer.then(
      (found) => {
        if (signal.aborted && found) this.tell(newsOf(key, found));
      },
      () => undefined,
    );
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      answer.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
    });
  }
}

function newsOf(key: string, found: CacheEntry | CacheTombstone): CacheNews {
  return isTombstone(found)
    ? { type: 'entry.deleted', key, tombstone: found }
    : { type: 'entry.found', key, entry: found };
}
