// Record queue: records on their way to one watcher, who may read slowly or never. What can be missed is bounded by number:
// the oldest goes first, and how much is gone is told. Charts, actors, crashes and ends are never left out alone, since
// nobody could draw what follows without them; when too many of those wait, the queue is of no use any more and says so.
import { type FeedRecord, momentMs } from './feed.ts';

const droppableMaxDefault = 2_000;
/** Beyond these a new dump is shorter than what waits. */
const keptMaxDefault = 20_000;

const kept: ReadonlySet<string> = new Set(['chart', 'actor', 'crash', 'stop', 'reset', 'session']);

interface Kind {
  readonly k: string;
}

export interface QueueOptions<T extends Kind> {
  readonly droppableMax?: number;
  readonly keptMax?: number;
  /** Told of each record that is left out, but not of those that `clear` leaves out. */
  readonly onDropped?: (record: T) => void;
}

export class RecordQueue<T extends Kind = FeedRecord> {
  readonly #droppableMax: number;
  #keptMax: number;
  readonly #keptMaxBasis: number;
  readonly #onDropped: ((record: T) => void) | undefined;
  /** Those before `#first` are out; undefined: dropped. */
  #items: (T | undefined)[] = [];
  #first = 0;
  /** Where the oldest of what can be missed may stand. */
  #scanned = 0;
  #droppable = 0;
  #kept = 0;
  #dropped = 0;

  constructor({
    droppableMax = droppableMaxDefault,
    keptMax = keptMaxDefault,
    onDropped,
  }: QueueOptions<T> = {}) {
    this.#onDropped = onDropped;
    this.#droppableMax = droppableMax;
    this.#keptMax = keptMax;
    this.#keptMaxBasis = keptMax;
  }

  /** More wait that must not be missed than there is room for: clear it, and begin with all that there is. */
  get overrun(): boolean {
    return this.#kept > this.#keptMax;
  }

  get length(): number {
    return this.#droppable + this.#kept;
  }

  /** How many were left out since the last call. */
  takeDropped(): number {
    const dropped = this.#dropped;
    this.#dropped = 0;
    return dropped;
  }

  push(record: T): void {
    this.#items.push(record);
    if (kept.has(record.k)) {
      this.#kept++;
      return;
    }
    this.#droppable++;
    if (this.#droppable > this.#droppableMax) this.#dropOldest();
  }

  /** So many wait that are no backlog: a dump of all that there is. */
  allow(count: number): void {
    this.#keptMax = this.#keptMaxBasis + count;
  }

  /** Hands out the oldest ones, in their order. */
  take(max: number): T[] {
    const taken: T[] = [];
    while (taken.length < max && this.#first < this.#items.length) {
      const item = this.#items[this.#first]!;
      this.#items[this.#first++] = undefined;
      if (item === undefined) continue;
      if (kept.has(item.k)) this.#kept--;
      else this.#droppable--;
      taken.push(item);
    }
    this.#compact();
    return taken;
  }

  /** Puts back what could not be sent, before everything else. */
  putBack(records: readonly T[]): void {
    this.#items = [...records, ...this.#items.slice(this.#first)];
    this.#first = 0;
    this.#scanned = 0;
    for (const { k } of records)
      if (kept.has(k)) this.#kept++;
      else this.#droppable++;
    while (this.#droppable > this.#droppableMax) this.#dropOldest();
  }

  /** Leaves out everything, and counts it. */
  clear(): void {
    this.#dropped += this.length;
    this.#items = [];
    this.#first = 0;
    this.#scanned = 0;
    this.#droppable = 0;
    this.#kept = 0;
  }

  /** Counts what was lost on the way as left out. */
  countDropped(count: number): void {
    this.#dropped += count;
  }

  /** Each place is looked at once, however often something is dropped. */
  #dropOldest(): void {
    let at = Math.max(this.#scanned, this.#first);
    for (; at < this.#items.length; at++) {
      const item = this.#items[at];
      if (item !== undefined && !kept.has(item.k)) break;
    }
    const dropped = this.#items[at];
    this.#items[at] = undefined;
    this.#scanned = at + 1;
    this.#droppable--;
    this.#dropped++;
    if (dropped !== undefined) this.#onDropped?.(dropped);
    // Holes that nobody takes away would grow for as long as nobody reads.
    if (this.#items.length > 4 * (this.length + this.#droppableMax)) {
      this.#items = this.#items.slice(this.#first).filter((item) => item !== undefined);
      this.#first = 0;
      this.#scanned = 0;
    }
  }

  #compact(): void {
    if (this.#first < 1_024 && this.#first < this.#items.length) return;
    this.#items = this.#items.slice(this.#first);
    this.#scanned = Math.max(0, this.#scanned - this.#first);
    this.#first = 0;
  }
}

/** The record that tells how many are missing. */
export function droppedRecord(count: number): FeedRecord {
  return { k: 'dropped', at: momentMs(), count };
}
