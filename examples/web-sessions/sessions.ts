// Sessions: what one front end knows of them, and what it asks the relay for. What it knows is of its own process; it forgets
// what others change or delete as soon as it hears of it, and trusts nothing while it hears nobody.
import type { RelayDownstream } from 'actor-ipc';

const ttlMs = 30 * 60_000;
/** Without a word from the relay for so long, nobody is known: any session may have been ended elsewhere. */
const staleAfterMs = 10_000;
const timeoutMs = 2_000;
const knownMax = 10_000;
const stampsPerMs = 1_024;

export class Sessions {
  readonly #downstream: RelayDownstream;
  /** The oldest first. */
  readonly #known = new Map<string, { value: unknown; untilMs: number }>();
  #stamp = 0;

  constructor(downstream: RelayDownstream) {
    this.#downstream = downstream;
    downstream.onNews((news) => {
      // Asked for again when it is wanted.
      this.#known.delete(news.key);
      this.#stamp = Math.max(
        this.#stamp,
        news.type === 'entry.deleted' ? news.tombstone.stamp : news.entry.stamp,
      );
    });
  }

  async get<T>(key: string): Promise<T | undefined> {
    if (this.#downstream.silentMs > staleAfterMs) return undefined;
    const known = this.#known.get(key);
    if (known && performance.now() < known.untilMs) return known.value as T;
    const found = await this.#downstream.ask(key, AbortSignal.timeout(timeoutMs)).catch(() => undefined);
    if (!found || 'deleted' in found) return undefined;
    this.#stamp = Math.max(this.#stamp, found.stamp);
    const value: T = JSON.parse(new TextDecoder().decode(found.value));
    this.#keep(key, value, found.ttlMs ?? ttlMs);
    return value;
  }

  async set(key: string, value: unknown): Promise<void> {
    const bytes = new TextEncoder().encode(JSON.stringify(value));
    const entry = { value: bytes, form: 'text', stamp: this.#nextStamp(), ttlMs } as const;
    await this.#downstream.put(key, entry, AbortSignal.timeout(timeoutMs));
    this.#keep(key, value, ttlMs);
  }

  /** @returns the nodes that have not heard of it yet; they will when they are back. */
  async delete(key: string): Promise<readonly string[]> {
    this.#known.delete(key);
    // Longer than any session lives.
    const tombstone = { deleted: true, stamp: this.#nextStamp(), ttlMs: ttlMs + 60_000 } as const;
    const { missing } = await this.#downstream.forget(key, tombstone, AbortSignal.timeout(timeoutMs * 2));
    return missing;
  }

  #keep(key: string, value: unknown, leftMs: number): void {
    this.#known.delete(key);
    this.#known.set(key, { value, untilMs: performance.now() + leftMs });
    if (this.#known.size > knownMax) this.#known.delete(this.#known.keys().next().value as string);
  }

  #nextStamp(): number {
    this.#stamp = Math.max(this.#stamp + 1, Date.now() * stampsPerMs);
    return this.#stamp;
  }
}
