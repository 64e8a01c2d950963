// Receiver: the receiving direction of a channel. Reads the lane in bounded portions and hands messages to whoever takes
// them: the events of a machine, a batch handler, or calls of receive. Messages that nobody takes stay in the ring, so the
// sender feels it.
import { IpcError, messageOf } from '../errors.ts';
import type { InPlaceCodec } from '../spec/memory.ts';
import type { Breach } from '../spec/session.ts';
import type { ChannelOptions } from '../spec/universe.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { BlockReference, readReference, referenceBytes } from './block-reference.ts';
import { Borrow, type BorrowCounter } from './borrow.ts';
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

/** A call of receive; what it takes is copied, borrowed, or copied into the caller's memory. */
interface Receiving extends Call<unknown> {
  readonly borrow?: boolean;
  readonly into?: Uint8Array;
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

export class Receiver implements BorrowCounter {
  received = 0;
  /** Borrows in hand, and calls that wait for one. */
  borrows = 0;

  readonly #name: string;
  readonly #what: string;
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
  /** Where the next message goes if it stands in the ring and has room there; its number of bytes is handed on then. */
  #into: Uint8Array | undefined;
  /** What the last record told; kept while `#stalled`. */
  readonly #reference = new BlockReference();
  /** Its message is in a segment that has not come yet; nothing behind it is read. */
  #stalled = false;
  /** Messages were left because the handler of batches has as many borrows as it may. */
  #heldBack = false;
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
    this.#what = `channel ${name}`;
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

  /** Copies the next message into memory of the caller. @returns its number of bytes. */
  async receiveInto(memory: Uint8Array, options?: WaitOptions): Promise<number> {
    if (this.#receiving.full) throw IpcError.of('ERR_CHANNEL_BUSY', this.#name, this.#receiving.length);
    this.#needBytes();
    if (!(memory instanceof Uint8Array)) throw new TypeError('receiveInto takes a Uint8Array or a Buffer');
    let message = this.#receiving.length === 0 ? this.#inbox.shift() : undefined;
    if (message === undefined && this.#receiving.length === 0) {
      if (!this.#finished) {
        this.#into = memory;
        this.#readBlocks(
          () => message === undefined,
          (next) => {
            message = next;
          },
        );
        this.#into = undefined;
      }
      if (message === undefined && (this.#finished || this.#peerEnded)) throw this.#end();
    }
    message ??= await waiting<unknown>(`receive on channel ${this.#name}`, options, (call) =>
      this.#receiving.join({ ...call, borrow: true, into: memory }),
    );
    if (typeof message === 'number') return message;
    const bytes = message instanceof Borrow ? message.bytes : (message as Uint8Array);
    const { byteLength } = bytes;
    if (byteLength > memory.byteLength) {
      this.#putBack(message);
      throw IpcError.of('ERR_MESSAGE_TOO_LARGE', this.#name, byteLength, memory.byteLength);
    }
    memory.set(bytes);
    if (message instanceof Borrow) message.release();
    return byteLength;
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
      borrow.countedBy(this);
      return borrow;
    } catch (error) {
      this.borrows--;
      throw error;
    }
  }

  /** Makes what was taken the next message again. */
  #putBack(message: unknown): void {
    const call = this.#receiving.shift();
    if (!call) this.#inbox.unshift(message);
    else call.resolve(call.borrow ? message : this.#plainOf(message));
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

  /**
   * The end: takes over everything that has arrived, because the peer's memory is about to go, or its lane to serve another.
   * @param copies whether messages in the peer's arena are copied now, or borrowed by whoever asks for them.
   */
  finish(cause: IpcError, copies: boolean): void {
    this.#finishing = true;
    while (this.poll()) {
      // The handlers get the rest in the same portions as ever.
    }
    // Kept for those who still ask, but not given back as read: nobody has taken them. Bounded by the size of the ring.
    this.#takesBlocks = !copies;
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
      // What is not released holds back what comes behind; the next release asks for another turn.
      more = this.#readBlocks(this.#mayBorrow, (message) => batch.push(this.#borrowOf(message)));
      this.#heldBack = !this.#mayBorrow();
      more &&= !this.#heldBack;
    } else more = this.#readWhile(always, (message) => batch.push(message));
    if (batch.length > 0) onBatch(batch);
    return more;
  }

  readonly #mayBorrow = () => this.#finishing || this.borrows < this.#options.maxBorrows;

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
      this.#into = first?.into;
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
    this.#into = undefined;
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
      message =
        this.#into !== undefined && place.bytes <= this.#into.byteLength
          ? this.#copyInto(this.#into, place)
          : this.#decoder.decode(this.#reader.ring, place.at, place.bytes);
    } catch (error) {
      this.#reader.refuse(messageOf(error));
      return;
    }
    this.received++;
    onMessage(message);
  }

  #copyInto(memory: Uint8Array, { at, bytes }: RecordPlace): number {
    memory.set(this.#reader.ring.subarray(at, at + bytes));
    return bytes;
  }

  #handleOther({ kind, at, bytes }: RecordPlace, onMessage: MessageHandler): void {
    if (kind === recordKind.block && this.#memory) {
      if (bytes !== referenceBytes) throw new Error('a reference of another length');
      readReference(this.#reader.ringWords, at >> 2, this.#reference);
      this.#handleBlock(this.#memory, onMessage);
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
  #handleBlock(memory: SessionMemory, onMessage: MessageHandler): void {
    const reference = this.#reference;
    if (reference.bytes > this.#options.maxMessageBytes) throw new Error('a message above the limit');
    const borrow = memory.borrow(this.#what, reference, asTheyAre, false);
    this.#stalled = !borrow;
    if (!borrow) return;
    this.received++;
    onMessage(this.#takesBlocks ? borrow : this.#decode(borrow));
  }

  /** Goes on with the message that had to wait for its segment. @returns whether what is behind it can be read. */
  #resume(wanted: () => boolean, onMessage: MessageHandler): boolean {
    if (this.#finished || !wanted()) return false;
    try {
      this.#handleBlock(this.#memory!, onMessage);
    } catch (error) {
      this.#stalled = false;
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
        : new Borrow(this.#what, message as Uint8Array, asTheyAre, undefined, 0);
    this.borrows++;
    borrow.countedBy(this);
    return borrow;
  }

  borrowEnded(): void {
    this.borrows--;
    if (!this.#heldBack) return;
    this.#heldBack = false;
    if (!this.#finished) this.#link.again();
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
