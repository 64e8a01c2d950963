// Message queue: what stands behind an inbox. Bounded for each type, so that early messages of one stage never shut out those
// of another; it knows who waits for room, and its views are what the kind takes from.
import type { EventObject } from 'xstate';
import { IpcError } from '../../errors.ts';
import type { WaitOptions } from '../../spec/waiting.ts';
import { Fifo } from './fifo.ts';
import { type InboxOptions, type InboxOverflow, type InboxStats, inboxDefaults } from './inbox.ts';
import { OrEnd, Source } from './source.ts';
import type { Waits } from './waits.ts';

/** Different types that may lie there at once; a program has a dozen, a hostile sender as many as it likes. */
const typesMax = 256;
/** Senders that may wait for room at once. */
const sendersMax = 1_024;
/**
 * So many messages are taken without the event loop having its turn: else two kinds that talk would stop all timers. More
 * than an inbox holds by default, so that a burst is taken at once.
 */
const takesPerTurn = 4_096;

interface Item {
  readonly sequence: number;
  readonly message: EventObject;
}

/** One who waits for room. */
interface Sender {
  readonly message: EventObject;
  settle(error?: unknown): void;
}

/** The queues, and who waits for room in them. */
export class MessageQueue {
  name: string;
  readonly #max: number;
  readonly #overflow: InboxOverflow;
  readonly #queues = new Map<string, Fifo<Item>>();
  readonly #views = new Map<string, MessageView>();
  /** The same, for the many times that all are gone through. */
  #told: readonly MessageView[] = [];
  readonly #waits: Waits;
  readonly #senders: Sender[] = [];
  #sequence = 0;
  #queued = 0;
  #received = 0;
  #dropped = 0;
  #takes = 0;
  #turn: Promise<void> | undefined;
  #end: unknown;

  constructor(name: string, waits: Waits, { max, overflow }: InboxOptions = {}) {
    this.name = name;
    this.#waits = waits;
    this.#max = max ?? inboxDefaults.max;
    this.#overflow = overflow ?? inboxDefaults.overflow;
  }

  get stats(): InboxStats {
    return { queued: this.#queued, received: this.#received, dropped: this.#dropped };
  }

  get closed(): boolean {
    return this.#end !== undefined;
  }

  /** Why nothing more comes. */
  get end(): unknown {
    return this.#end;
  }

  /** The one view for these types; none for all. */
  view(types: readonly string[] = []): MessageView {
    const key = [...types].sort().join('\n');
    let view = this.#views.get(key);
    if (!view) {
      view = new MessageView(this, this.#waits, types);
      this.#views.set(key, view);
      this.#told = [...this.#views.values()];
    }
    return view;
  }

  /** Puts it in now or not at all; behind those who wait already. @throws why the inbox is closed. */
  tryPut(message: EventObject): boolean {
    if (this.#end !== undefined) throw this.#end;
    return !this.#awaited(message.type) && this.#add(message);
  }

  #add(message: EventObject): boolean {
    let queue = this.#queues.get(message.type);
    if (!queue) {
      if (this.#queues.size >= typesMax) return false;
      queue = new Fifo();
      this.#queues.set(message.type, queue);
    }
    if (queue.length >= this.#max) return false;
    queue.push({ sequence: ++this.#sequence, message });
    this.#queued++;
    for (const view of this.#told) view.noticed(message.type);
    return true;
  }

  /** Puts it in as soon as there is room. */
  put(message: EventObject, waits: Waits, options?: WaitOptions): Promise<void> {
    try {
      if (this.tryPut(message)) return Promise.resolve();
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.#senders.length >= sendersMax)
      return Promise.reject(IpcError.of('ERR_KIND_BUSY', `senders that wait for ${this.name}`, sendersMax));
    let settled: { readonly error?: unknown } | undefined;
    let look = () => {};
    const sender = {
      message,
      settle(error?: unknown) {
        settled = error === undefined ? {} : { error };
        look();
      },
    };
    this.#senders.push(sender);
    return waits.until(
      `room in ${this.name}`,
      () => {
        if (settled && 'error' in settled) throw settled.error;
        return settled && { value: undefined };
      },
      (wake) => {
        look = wake;
        return () => this.#forget(sender);
      },
      options,
    );
  }

  /** Takes a message from one who does not wait. Answers false if the kind has to end because of it. */
  deliver(message: EventObject): boolean {
    if (this.#end !== undefined || this.tryPut(message)) return true;
    const queue = this.#queues.get(message.type);
    if (this.#overflow === 'fail') return false;
    this.#dropped++;
    if (this.#overflow === 'drop-oldest' && queue?.shift()) {
      this.#queued--;
      this.#add(message);
    }
    return true;
  }

  #awaited(type: string): boolean {
    return this.#senders.length > 0 && this.#senders.some((sender) => sender.message.type === type);
  }

  /** What a message that had no room is told as. */
  overflowError(message: EventObject): IpcError {
    return IpcError.of('ERR_INBOX_FULL', this.name, this.#max, message.type);
  }

  /** Nothing more comes; what lies there can still be taken. */
  close(error: unknown): void {
    if (this.#end !== undefined) return;
    this.#end = error;
    for (const sender of this.#senders.splice(0)) sender.settle(error);
    for (const view of this.#told) view.noticed(undefined);
  }

  /** Everything that was never taken. */
  clear(): EventObject[] {
    const left: EventObject[] = [];
    for (let item = this.#take([]); item; item = this.#take([])) left.push(item);
    return left;
  }

  has(types: readonly string[]): boolean {
    if (types.length === 0) return this.#queued > 0;
    return types.some((type) => this.#queues.has(type) && this.#queues.get(type)!.length > 0);
  }

  /** The oldest message of these types. */
  take(types: readonly string[]): EventObject | undefined {
    const message = this.#take(types);
    if (message) {
      this.#received++;
      this.#makeRoom(message.type);
    }
    return message;
  }

  /** Something to wait for first, once many messages were taken in one turn of the event loop. */
  breath(): Promise<void> | undefined {
    if (++this.#takes < takesPerTurn) return undefined;
    this.#turn ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#turn = undefined;
        this.#takes = 0;
        resolve();
      });
    });
    return this.#turn;
  }

  #take(types: readonly string[]): EventObject | undefined {
    let from: Fifo<Item> | undefined;
    if (types.length === 1) from = this.#queues.get(types[0]!);
    else
      for (const type of types.length > 0 ? types : this.#queues.keys()) {
        const queue = this.#queues.get(type);
        if (queue?.first && (!from || queue.first.sequence < from.first!.sequence)) from = queue;
      }
    const item = from?.shift();
    if (!item) return undefined;
    this.#queued--;
    // Kept while there are few: most programs have the same types again and again.
    if (from!.length === 0 && this.#queues.size > typesMax / 4) this.#queues.delete(item.message.type);
    return item.message;
  }

  #makeRoom(type: string): void {
    if (this.#senders.length === 0) return;
    // Of the same type, or of one that found too many others here.
    const at = this.#senders.findIndex(
      ({ message }) => message.type === type || !this.#queues.has(message.type),
    );
    const sender = this.#senders[at];
    if (!sender || !this.#add(sender.message)) return;
    this.#senders.splice(at, 1);
    sender.settle();
  }

  #forget(sender: Sender): void {
    const at = this.#senders.indexOf(sender);
    if (at >= 0) this.#senders.splice(at, 1);
  }
}

/** All types of a queue, or some. */
export class MessageView extends Source<EventObject> {
  readonly #queue: MessageQueue;
  readonly #waits: Waits;
  readonly #types: readonly string[];
  readonly #what: string;
  readonly orEnd: Source<EventObject | undefined>;

  constructor(queue: MessageQueue, waits: Waits, types: readonly string[]) {
    super();
    this.#queue = queue;
    this.#waits = waits;
    this.#types = types;
    this.#what = types.length > 0 ? `receive ${types.join('|')}` : 'receive';
    this.orEnd = new OrEnd(this);
  }

  get name(): string {
    return this.#what;
  }

  get closed(): boolean {
    return this.#queue.closed;
  }

  /** Closed, and nothing of these types is left. */
  get ended(): boolean {
    return this.#queue.closed && !this.#queue.has(this.#types);
  }

  ready(): boolean {
    return this.#queue.has(this.#types) || this.#queue.closed;
  }

  take(): EventObject {
    const message = this.#queue.take(this.#types);
    if (!message) throw this.#queue.end;
    return message;
  }

  /** A message of that type has come; undefined: the queue was closed. */
  noticed(type: string | undefined): void {
    if (type === undefined || this.#types.length === 0 || this.#types.includes(type)) this.wake();
  }

  tryReceive(): EventObject | undefined {
    return this.ready() ? this.take() : undefined;
  }

  receive(options?: WaitOptions): Promise<EventObject> {
    const turn = this.#queue.breath();
    if (!turn) return this.#waits.one(this.#what, this, options);
    return turn.then(() => this.#waits.one(this.#what, this, options));
  }

  async next(options?: WaitOptions): Promise<EventObject | undefined> {
    await this.#queue.breath();
    return this.#waits.one(this.#what, this.orEnd, options);
  }

  of(...types: string[]): MessageView {
    return this.#queue.view(types);
  }

  stats(): InboxStats {
    return this.#queue.stats;
  }

  [Symbol.asyncIterator](): AsyncIterator<EventObject, void> {
    return {
      next: () => {
        const turn = this.#queue.breath();
        // What lies there costs one promise.
        if (!turn && this.#queue.has(this.#types) && !this.#waits.over)
          return Promise.resolve({ done: false, value: this.take() });
        return this.#iterate(turn);
      },
      return: () => Promise.resolve({ done: true, value: undefined }),
    };
  }

  async #iterate(turn: Promise<void> | undefined): Promise<IteratorResult<EventObject, void>> {
    await turn;
    const value = await this.#waits.one(this.#what, this.orEnd);
    return value === undefined ? { done: true, value: undefined } : { done: false, value };
  }
}
