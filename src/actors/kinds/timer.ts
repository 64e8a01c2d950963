// Timer: time as something to wait for. A timer that was cancelled never fires, also if its tick lies there already; ticks
// of a repeating one never pile up.
import { IpcError } from '../../errors.ts';
import type { Clock } from '../../machines/clock.ts';
import { Source } from './source.ts';

/** Timers of one kind that may be set at once. */
const timersMax = 1_024;

/** One timer: fires once, or again and again. */
export class Timer extends Source<void> {
  readonly name: string;
  readonly #clock: Clock;
  readonly #everyMs: number | undefined;
  #running: unknown;
  #due = false;
  #cancelled = false;

  constructor(clock: Clock, name: string, delayMs: number, repeat = false) {
    super();
    this.name = name;
    this.#clock = clock;
    this.#everyMs = repeat ? Math.max(1, delayMs) : undefined;
    this.#set(delayMs);
  }

  /** Whether it will fire, or has fired and nobody has taken it. */
  get active(): boolean {
    return !this.#cancelled && (this.#due || this.#running !== undefined);
  }

  ready(): boolean {
    return this.#due;
  }

  take(): void {
    this.#due = false;
  }

  /** Never fires from now on. Answers false if there was nothing left to cancel. */
  cancel(): boolean {
    const { active } = this;
    this.#cancelled = true;
    this.#due = false;
    this.#clock.clearTimeout(this.#running);
    this.#running = undefined;
    return active;
  }

  /** As `cancel`. */
  [Symbol.dispose](): void {
    this.cancel();
  }

  #set(delayMs: number): void {
    this.#running = this.#clock.setTimeout(() => this.#fire(), delayMs);
  }

  #fire(): void {
    this.#running = undefined;
    if (this.#cancelled) return;
    this.#due = true;
    if (this.#everyMs !== undefined) this.#set(this.#everyMs);
    this.wake();
  }
}

/** Timers by name, as one source of the names that fire. */
export class Timers extends Source<string> {
  readonly name = 'timers';
  readonly #clock: Clock;
  readonly #set = new Map<string, { timer: Timer; repeat: boolean; disarm: () => void }>();
  #dueIds: string[] = [];
  #closed = false;

  constructor(clock: Clock) {
    super();
    this.#clock = clock;
  }

  /** How many are set. */
  get size(): number {
    return this.#set.size;
  }

  /** Sets the timer of that name, in place of one that is set. @throws {IpcError} ERR_KIND_BUSY. */
  set(id: string, delayMs: number, { repeat = false }: { repeat?: boolean } = {}): void {
    if (this.#closed) return;
    if (this.#set.has(id)) this.unset(id);
    if (this.#set.size >= timersMax) throw IpcError.of('ERR_KIND_BUSY', 'timers that are set', timersMax);
    const timer = new Timer(this.#clock, id, delayMs, repeat);
    const disarm = timer.arm(() => {
      if (this.#dueIds.includes(id)) return;
      this.#dueIds.push(id);
      this.wake();
    });
    this.#set.set(id, { timer, repeat, disarm });
  }

  /** It never fires from now on, also if its tick lies here. @throws {IpcError} ERR_TIMER_UNKNOWN if none is set. */
  unset(id: string): void {
    const entry = this.#set.get(id);
    if (!entry) throw IpcError.of('ERR_TIMER_UNKNOWN', id);
    this.#set.delete(id);
    entry.disarm();
    entry.timer.cancel();
    this.#dueIds = this.#dueIds.filter((due) => due !== id);
  }

  /** The kind is over: none is set any more. */
  close(): void {
    this.#closed = true;
    for (const id of [...this.#set.keys()]) this.unset(id);
  }

  ready(): boolean {
    return this.#dueIds.length > 0;
  }

  /** The name of the timer that fired first. */
  take(): string {
    const id = this.#dueIds.shift()!;
    const { timer, repeat } = this.#set.get(id)!;
    timer.take();
    if (!repeat) this.#set.delete(id);
    return id;
  }
}
