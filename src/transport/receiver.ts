// Receiver: the receiving direction of a channel. Reads the lane in bounded portions and hands messages to whoever takes
// them: the events of a machine, a batch handler, or calls of receive. Messages that nobody takes stay in the ring, so the
// sender feels it.
import { IpcError, messageOf } from '../errors.ts';
import type { InPlaceCodec } from '../spec/memory.ts';
import type { Breach } from '../spec/session.ts';
import type { ChannelOptions } from '../spec/universe.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { type BlockReference, readReference, referenceBytes } from './block-reference.ts';
import { Borrow } from './borrow.ts';
import { codecs, type Decoder, unpackPlain } from './codec.ts';
import type { LaneReader, RecordPlace } from './lane.ts';
import type { Link } from './link.ts';
import { recordKind } from './record.ts';
import type { SessionMemory } from './session-memory.ts';
import { type Call, WaitingLine, waiting } from './waiting.ts';

/** Records handled in one turn of the event loop, so that a flood on one channel starves nobody. */
const turnRecordsMax = 256;
/** The same for messages that become events of a machine, which cost some microseconds each. */
const turnEventsMax = 64;
/** Messages taken from the ring before anybody asked for them, so that a reply behind them can be reached. */
const inboxMax = 1024;

export type MessageHandler = (message: unknown) => void;

/** A call of receive; what it takes is either copied or borrowed. */
interface Receiving extends Call<unknown> {
  readonly borrow?: boolean;
}

/** What a receiver tells its channel. */
export interface ReceiverObserver {
  /** A request, reply, failure or cancel. Throws if it makes no sense. */
  numbered(kind: number, number: number, value: unknown): void;
  /** Whether something that the channel waits for may stand behind messages that nobody takes. */
  looksAhead(): boolean;
  peerEnded(): void;
  broken(why: string, breach: Breach): void;
}

export class Receiver {
  received = 0;
  /** Borrows in hand, and calls that wait for one. */
  borrows = 0;

  readonly #name: string;
  readonly #link: Link;
  readonly #reader: LaneReader;
  readonly #decoder: Decoder;
  readonly #observer: ReceiverObserver;
  readonly #place: RecordPlace = { kind: 0, flags: 0, at: 0, bytes: 0 };
  readonly #options: ChannelOptions;
  readonly #memory: SessionMemory | undefined;
  readonly #receiving = new WaitingLine<Receiving>();
  #inbox: unknown[] = [];
  #onBatch: ((messages: unknown[]) => void) | undefined;
  #onMessage: MessageHandler | undefined;
  /** Whether the handler of batches takes borrows. */
  #batchBorrows = false;
  /** Whether whoever takes the next message takes it as a Borrow, if it stands in the peer's arena. */
  #takesBlocks = false;
  /** A message in a segment that has not come yet; nothing behind it is read. */
  #stalled: BlockReference | undefined;
  #peerEnded = false;
  #finishing = false;
  #finished: IpcError | undefined;

  constructor(
    name: string,
    options: ChannelOptions,
    link: Link,
    reader: LaneReader,
    memory: SessionMemory | undefined,
    observer: ReceiverObserver,
  ) {
    this.#name = name;
    this.#link = link;
    this.#reader = reader;
    this.#decoder = codecs[options.codec].decoder();
    this.#options = options;
    this.#memory = memory;
    this.#observer = observer;
  }

  tryReceive(): unknown {
    if (this.#inbox.length > 0) return this.#plainOf(this.#inbox.shift());
    let message: unknown;
    if (!this.#finished)
      this.#readWhile(
        () => message === undefined,
        (next) => {
          message = next;
        },
      );
    if (message === undefined && (this.#finished || this.#peerEnded)) throw this.#end();
    return message;
  }

  /** As tryReceive, with a hold on the message. @throws {IpcError} ERR_BORROW_LIMIT, ERR_CHANNEL_CODEC. */
  tryBorrow(): Borrow | undefined {
    this.#needBorrow();
    let message = this.#inbox.shift();
    if (message === undefined && !this.#finished)
      this.#readBlocks(
        () => message === undefined,
        (next) => {
          message = next;
        },
      );
    if (message !== undefined) return this.#borrowOf(message);
    if (this.#finished || this.#peerEnded) throw this.#end();
    return undefined;
  }

  receive(options?: WaitOptions): Promise<unknown> {
    if (this.#receiving.full)
      return Promise.reject(IpcError.of('ERR_CHANNEL_BUSY', this.#name, this.#receiving.length));
    try {
      const message = this.#receiving.length === 0 ? this.tryReceive() : undefined;
      if (message !== undefined) return Promise.resolve(message);
    } catch (error) {
      return Promise.reject(error);
    }
    return waiting<unknown>(`receive on channel ${this.#name}`, options, (call) =>
      this.#receiving.join(call),
    );
  }

  receiveBorrow(options?: WaitOptions): Promise<Borrow> {
    if (this.#receiving.full)
      return Promise.reject(IpcError.of('ERR_CHANNEL_BUSY', this.#name, this.#receiving.length));
    try {
      this.#needBorrow();
      const message = this.#receiving.length === 0 ? this.tryBorrow() : undefined;
      if (message !== undefined) return Promise.resolve(message);
    } catch (error) {
      return Promise.reject(error);
    }
    // Counted from now on, so that those who wait can't exceed the limit together.
    this.borrows++;
    const wait = waiting<unknown>(`receive on channel ${this.#name}`, options, (call) =>
      this.#receiving.join({ ...call, borrow: true }),
    );
    return wait.then(
      (message) => {
        this.borrows--;
        return this.#borrowOf(message);
      },
      (error) => {
        this.borrows--;
        throw error;
      },
    );
  }

  /** Borrows what a handle leads to; counted with the messages. */
  async borrowValue<T>(
    memory: SessionMemory,
    handle: unknown,
    codec: InPlaceCodec<T, never>,
    options?: WaitOptions,
  ): Promise<Borrow<T>> {
    this.#needRoomToBorrow();
    this.borrows++;
    try {
      const borrow = await memory.borrowValue(`channel ${this.#name}`, handle, codec, options);
      borrow.alsoOnRelease(() => this.#borrowEnded());
      return borrow;
    } catch (error) {
      this.borrows--;
      throw error;
    }
  }

  /** Makes a borrow that was taken the next message again. */
  putBack(borrow: Borrow): void {
    const call = this.#receiving.shift();
    if (!call) this.#inbox.unshift(borrow);
    else call.resolve(call.borrow ? borrow : this.#copyOf(borrow));
  }

  onBatch(handler: (messages: unknown[]) => void, borrow: boolean): () => void {
    if (borrow) this.#needBytes();
    this.#onBatch = handler;
    this.#batchBorrows = borrow;
    if (this.#inbox.length > 0)
      handler(
        this.#inbox.splice(0).map((message) => (borrow ? this.#borrowOf(message) : this.#plainOf(message))),
      );
    this.pollNow();
    return () => {
      if (this.#onBatch === handler) this.#onBatch = undefined;
    };
  }

  /** Each message by itself, as the events of a machine. */
  onMessage(handler: MessageHandler): void {
    this.#onMessage = handler;
    for (const message of this.#inbox.splice(0)) handler(this.#plainOf(message));
  }

  /** As `poll`, outside the turn that the doorbell gives; what is left gets a turn of its own. */
  pollNow(): void {
    if (this.poll()) this.#link.again();
  }

  /** Hands on what has come, up to a turn's portion. @returns whether something was left for another turn. */
  poll(): boolean {
    if (this.#finished) return false;
    if (this.#onMessage) return this.#readWhile(always, this.#onMessage, turnEventsMax);
    if (this.#onBatch) return this.#readBatch(this.#onBatch);
    return this.#readForCalls();
  }

  /** The end: takes over everything that has arrived, because the peer's memory is about to go. */
  finish(cause: IpcError): void {
    this.#finishing = true;
    while (this.poll()) {
      // The handlers get the rest in the same portions as ever.
    }
    // Kept for those who still ask, but not given back as read: nobody has taken them. Bounded by the size of the ring.
    this.#takesBlocks = true;
    if (!this.#onMessage && !this.#onBatch)
      while (!this.#stalled && this.#reader.read(this.#place))
        this.#handle(this.#place, (message) => this.#inbox.push(message));
    this.#finished = cause;
    this.#receiving.rejectAll(cause);
  }

  #readBatch(onBatch: (messages: unknown[]) => void): boolean {
    const batch: unknown[] = [];
    let more: boolean;
    if (this.#batchBorrows) {
      // What is not released holds back what comes behind; each release asks for another turn.
      const wanted = () => this.#finishing || this.borrows < this.#options.maxBorrows;
      more = this.#readBlocks(wanted, (message) => batch.push(this.#borrowOf(message))) && wanted();
    } else more = this.#readWhile(always, (message) => batch.push(message));
    if (batch.length > 0) onBatch(batch);
    return more;
  }

  #readBlocks(wanted: () => boolean, onMessage: MessageHandler): boolean {
    this.#takesBlocks = true;
    const more = this.#readWhile(wanted, onMessage);
    this.#takesBlocks = false;
    return more;
  }

  #readForCalls(): boolean {
    const wanted = () => {
      const { first } = this.#receiving;
      // What nobody has asked for yet is kept as it is: the next call may want to borrow it.
      this.#takesBlocks = first === undefined || first.borrow === true;
      return first !== undefined || (this.#inbox.length < inboxMax && this.#observer.looksAhead());
    };
    const more = this.#readWhile(wanted, (message) => {
      const call = this.#receiving.shift();
      if (call) call.resolve(message);
      else this.#inbox.push(message);
    });
    if (this.#peerEnded) this.#receiving.rejectAll(this.#end());
    const again = more && wanted();
    this.#takesBlocks = false;
    return again;
  }

  /**
   * Handles records within a turn while `wanted`; gives their room back and wakes a writer that waits for it.
   * @returns whether records are left.
   */
  #readWhile(wanted: () => boolean, onMessage: MessageHandler, max = turnRecordsMax): boolean {
    const place = this.#place;
    let left = max;
    if (this.#stalled && !this.#resume(wanted, onMessage)) return false;
    // A handler may end the channel while we are here.
    while (left > 0 && !this.#finished && wanted() && this.#reader.read(place)) {
      left--;
      this.#handle(place, onMessage);
      if (this.#stalled) break;
    }
    if (this.#finished) return false;
    if (this.#reader.release()) this.#link.notify();
    if (this.#reader.broken === undefined) return left === 0 && !this.#stalled && this.#reader.available();
    this.#observer.broken(`channel ${this.#name}: ${this.#reader.broken}`, this.#reader.breach);
    return false;
  }

  #handle(place: RecordPlace, onMessage: MessageHandler): void {
    let message: unknown;
    try {
      if (this.#peerEnded) throw new Error('a record after the end');
      if (place.kind !== recordKind.message) return this.#handleOther(place, onMessage);
      message = this.#decoder.decode(this.#reader.ring, place.at, place.bytes);
    } catch (error) {
      this.#reader.refuse(messageOf(error));
      return;
    }
    this.received++;
    onMessage(message);
  }

  #handleOther({ kind, at, bytes }: RecordPlace, onMessage: MessageHandler): void {
    if (kind === recordKind.block && this.#memory) {
      if (bytes !== referenceBytes) throw new Error('a reference of another length');
      this.#handleBlock(this.#memory, readReference(this.#reader.ringWords, at >> 2), onMessage);
    } else if (kind === recordKind.structure) {
      const told = this.#plain(at, bytes);
      if (!Array.isArray(told) || !this.#decoder.learn(told[0], told[1]))
        throw new Error('a shape of objects out of order');
    } else if (kind === recordKind.end) {
      this.#peerEnded = true;
      this.#observer.peerEnded();
    } else if (kind >= recordKind.request && kind <= recordKind.cancel) {
      if (bytes < 4) throw new Error('a record without its number');
      this.received++;
      this.#observer.numbered(kind, this.#reader.ringWords[at >> 2]!, this.#plain(at + 4, bytes - 4));
    } else {
      throw new Error(`a record of unknown kind ${kind}`);
    }
  }

  /** A message in the peer's arena. Throws if the reference makes no sense. */
  #handleBlock(memory: SessionMemory, reference: BlockReference, onMessage: MessageHandler): void {
    if (reference.bytes > this.#options.maxMessageBytes) throw new Error('a message above the limit');
    const borrow = memory.borrow(`channel ${this.#name}`, reference, asTheyAre, false);
    this.#stalled = borrow ? undefined : reference;
    if (!borrow) return;
    this.received++;
    onMessage(this.#takesBlocks ? borrow : this.#decode(borrow));
  }

  /** Goes on with the message that had to wait for its segment. @returns whether what is behind it can be read. */
  #resume(wanted: () => boolean, onMessage: MessageHandler): boolean {
    if (this.#finished || !wanted()) return false;
    try {
      this.#handleBlock(this.#memory!, this.#stalled!, onMessage);
    } catch (error) {
      this.#stalled = undefined;
      this.#reader.refuse(messageOf(error));
    }
    return !this.#stalled;
  }

  #decode(borrow: Borrow): unknown {
    using held = borrow;
    return this.#decoder.decode(held.bytes, 0, held.bytes.byteLength);
  }

  #plainOf(message: unknown): unknown {
    return message instanceof Borrow ? this.#copyOf(message) : message;
  }

  /** A kept message for someone who wants no borrow. Throws if the peer wrote nonsense; the session ends then. */
  #copyOf(borrow: Borrow): unknown {
    try {
      return this.#decode(borrow);
    } catch (error) {
      this.#reader.refuse(messageOf(error));
      this.#observer.broken(`channel ${this.#name}: ${messageOf(error)}`, 'protocol');
      throw this.#finished ?? IpcError.from(error, 'ERR_CHANNEL_HOSED', this.#name, messageOf(error));
    }
  }

  /** Counts a borrow that leaves; a small message is a copy already, and gets the same manners. */
  #borrowOf(message: unknown): Borrow {
    const borrow =
      message instanceof Borrow
        ? message
        : new Borrow(`channel ${this.#name}`, message as Uint8Array, asTheyAre, () => {});
    this.borrows++;
    borrow.alsoOnRelease(() => this.#borrowEnded());
    return borrow;
  }

  #borrowEnded(): void {
    this.borrows--;
    if (this.#batchBorrows && !this.#finished) this.#link.again();
  }

  #needBorrow(): void {
    this.#needBytes();
    this.#needRoomToBorrow();
  }

  #needRoomToBorrow(): void {
    if (this.borrows >= this.#options.maxBorrows)
      throw IpcError.of('ERR_BORROW_LIMIT', this.#name, this.#options.maxBorrows);
  }

  #needBytes(): void {
    if (this.#options.codec !== 'bytes')
      throw IpcError.of('ERR_CHANNEL_CODEC', this.#name, 'borrow messages');
  }

  #plain(at: number, bytes: number): unknown {
    // A copy first: the peer may change its memory while we decode.
    return bytes === 0 ? undefined : unpackPlain(this.#reader.ring.slice(at, at + bytes));
  }

  #end(): IpcError {
    return this.#finished ?? IpcError.of('ERR_CHANNEL_CLOSED', this.#name);
  }
}

const always = () => true;
const asTheyAre = (bytes: Uint8Array) => bytes;
