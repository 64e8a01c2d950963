// Stream: what a kind gives out to one consumer, bounded. The one who gives waits for room, or drops by the consumer's wish.
import type { WaitOptions } from '../../spec/waiting.ts';
import { Fifo } from './fifo.ts';
import { OrEnd, Source } from './source.ts';
import type { Waits } from './waits.ts';

/** How much a stream holds, and what becomes of more. */
export interface StreamOptions {
  /** Items that may lie there; default 256. */
  max?: number;
  /** For what finds no room: `wait` (default) holds up the one who gives, the others drop and count. */
  overflow?: 'wait' | 'drop-newest' | 'drop-oldest';
}

const maxDefault = 256;

/** The reading end. Ends when the one who gives does well, throws when it fails; closing it tells the one who gives. */
export class Stream<T> extends Source<T> implements AsyncIterable<T> {
  readonly name: string;
  readonly orEnd: Source<T | undefined>;
  readonly #max: number;
  readonly #overflow: 'wait' | 'drop-newest' | 'drop-oldest';
  readonly #waits: Waits;
  readonly #items = new Fifo<T>();
  readonly #onRoom = new Set<() => void>();
  #end: { readonly error: unknown; readonly clean: boolean } | undefined;
  #closed = false;
  #dropped = 0;

  /** @param waits those of the consumer. */
  constructor(name: string, waits: Waits, { max, overflow }: StreamOptions = {}) {
    super();
    this.name = name;
    this.#waits = waits;
    this.#max = max ?? maxDefault;
    this.#overflow = overflow ?? 'wait';
    this.orEnd = new OrEnd(this);
  }

  /** Whether the consumer has closed it. */
  get closed(): boolean {
    return this.#closed;
  }

  /** How many items found no room and were dropped. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Whether it has ended well and everything was taken. */
  get ended(): boolean {
    return this.#end?.clean === true && this.#items.length === 0;
  }

  ready(): boolean {
    return this.#items.length > 0 || this.#end !== undefined;
  }

  take(): T {
    if (this.#items.length === 0) throw this.#end!.error;
    const item = this.#items.shift() as T;
    for (const look of [...this.#onRoom]) look();
    return item;
  }

  /** The next item. @throws {IpcError} ERR_KIND_ENDED at the end, ERR_KIND_FAILED, ERR_TIMEOUT. */
  receive(options?: WaitOptions): Promise<T> {
    return this.#waits.one(this.name, this, options);
  }

  /** The next item, or undefined at the end. */
  next(options?: WaitOptions): Promise<T | undefined> {
    return this.#waits.one(this.name, this.orEnd, options);
  }

  /** Wants nothing more. What lies there is gone. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const look of [...this.#onRoom]) look();
    this.onClosed?.();
  }

  /** As `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  /** Ends with the stream. */
  [Symbol.asyncIterator](): AsyncIterator<T, void> {
    return {
      next: async () => {
        if (!this.ready())
          await this.#waits.until(
            this.name,
            () => this.#look(),
            (wake) => this.arm(wake),
          );
        if (this.ended) return { done: true, value: undefined };
        return { done: false, value: this.take() };
      },
      return: () => {
        this.close();
        return Promise.resolve({ done: true, value: undefined });
      },
    };
  }

  /** Called once when the consumer has closed it. */
  onClosed: (() => void) | undefined;

  /** Gives an item, as soon as there is room. Nothing is given to a stream that was closed. */
  put(item: T, waits: Waits): Promise<void> | undefined {
    if (this.#put(item)) return undefined;
    return waits.until(
      `room in ${this.name}`,
      () => (this.#put(item) ? { value: undefined } : undefined),
      (wake) => {
        this.#onRoom.add(wake);
        return () => this.#onRoom.delete(wake);
      },
    );
  }

  /** The one who gives has ended. */
  finish(error: unknown, clean: boolean): void {
    this.#end ??= { error, clean };
    this.wake();
  }

  #look(): { value: undefined } | undefined {
    return this.ready() ? { value: undefined } : undefined;
  }

  #put(item: T): boolean {
    if (this.#closed || this.#end) return true;
    if (this.#items.length >= this.#max) {
      if (this.#overflow === 'wait') return false;
      this.#dropped++;
      if (this.#overflow === 'drop-newest') return true;
      this.#items.shift();
    }
    this.#items.push(item);
    this.wake();
    return true;
  }
}
