// Receiver: the receiving direction of a channel. Reads the lane in bounded portions and hands messages to whoever takes
// them: the events of a machine, a batch handler, or calls of receive. Messages that nobody takes stay in the ring, so the
// sender feels it.
import { IpcError, messageOf } from '../errors.ts';
import type { ChannelOptions } from '../spec/channel-spec.ts';
import type { InPlaceCodec } from '../spec/memory.ts';
import type { Received } from '../spec/native-handle.ts';
import type { Breach } from '../spec/session.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { BlockReference, readReference, referenceBytes } from './block-reference.ts';
import { Borrow, type BorrowCounter } from './borrow.ts';
import { codecs, type Decoder, unpackPlain } from './codec.ts';
import type { OwnedDescriptor } from './descriptor.ts';
import { handlesMax, type IncomingHandles } from './handles.ts';
import type { LaneReader, RecordPlace } from './lane.ts';
import type { Link } from './link.ts';
import type { MessageCheck } from './message-check.ts';
import { recordFlag, recordKind } from './record.ts';
import type { SessionMemory } from './session-memory.ts';
import { type Call, WaitingLine, waiting } from './waiting.ts';

/** Records handled in one turn of the event loop, so that a flood on one channel starves nobody. */
const turnRecordsMax = 256;
/** The same for messages that become events of a machine, which cost some microseconds each. */
const turnEventsMax = 64;

export type MessageHandler = (message: unknown) => void;

/** A call of receive; what it takes is copied, borrowed, or copied into the caller's memory. */
interface Receiving extends Call<unknown> {
  readonly borrow?: boolean;
  readonly into?: Uint8Array;
  readonly handles?: boolean;
}

/** A message that a descriptor came with, on its way to whoever takes it. */
export class Handled implements Received<unknown> {
  readonly message: unknown;
  readonly handle: OwnedDescriptor;

  constructor(message: unknown, handle: OwnedDescriptor) {
    this.message = message;
    this.handle = handle;
  }
}

/** A record that waits for its descriptor; nothing behind it is read. */
interface Awaiting {
  readonly handOn: (handle: OwnedDescriptor, onMessage: MessageHandler) => void;
}

/** What a receiver tells its channel. */
export interface ReceiverObserver {
  /** A request or what belongs to one. Throws if it makes no sense. */
  numbered(kind: number, flags: number, number: number, value: unknown, handle?: OwnedDescriptor): void;
  /** Whether something that the channel waits for may stand behind messages that nobody takes. */
  looksAhead(): boolean;
  /** A message failed its schema. */
  rejected(error: unknown): void;
  /** A message was dropped because nobody takes any. */
  unexpected(): void;
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
  readonly #handles: IncomingHandles;
  readonly #check: MessageCheck | undefined;
  readonly #receiving = new WaitingLine<Receiving>();
  #inbox: unknown[] = [];
  #onBatch: ((messages: unknown[]) => void) | undefined;
  #onMessage: MessageHandler | undefined;
  /** Whether the handler of batches takes borrows. */
  #batchBorrows = false;
  #batchHandles = false;
  /** Messages in hand that a descriptor came with. */
  #handled = 0;
  /** A record that waits for its descriptor. */
  #awaiting: Awaiting | undefined;
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
    handles: IncomingHandles,
    check: MessageCheck | undefined,
    observer: ReceiverObserver,
  ) {
    this.#name = name;
    this.#what = `channel ${name}`;
    this.#link = link;
    this.#reader = reader;
    this.#decoder = codecs[options.codec].decoder();
    this.#options = options;
    this.#memory = memory;
    this.#handles = handles;
    this.#check = check;
    this.#observer = observer;
  }

  tryReceive(handles = false): unknown {
    if (this.#inbox.length > 0) return this.#plainOf(this.#inbox.shift(), handles);
    let message: unknown;
    if (!this.#finished)
      this.#readWhile(
        () => message === undefined,
        (next) => {
          message = next;
        },
      );
    if (message === undefined && (this.#finished || this.#peerEnded)) throw this.#end();
    return handles || this.#handled > 0 ? this.#plainOf(message, handles) : message;
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

  receive(options?: WaitOptions, handles = false): Promise<unknown> {
    if (this.#receiving.full)
      return Promise.reject(IpcError.of('ERR_CHANNEL_BUSY', this.#name, this.#receiving.length));
    try {
      const message = this.#receiving.length === 0 ? this.tryReceive(handles) : undefined;
      if (message !== undefined) return Promise.resolve(message);
    } catch (error) {
      return Promise.reject(error);
    }
    return waiting<unknown>(`receive on channel ${this.#name}`, options, (call) =>
      this.#receiving.join(handles ? { ...call, handles } : call),
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
        if (this.#check === undefined) this.#into = memory;
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
    const bytes = message instanceof Borrow ? message.bytes : (this.#messageIn(message) as Uint8Array);
    const { byteLength } = bytes;
    if (byteLength > memory.byteLength) {
      this.#putBack(message);
      throw IpcError.of('ERR_MESSAGE_TOO_LARGE', this.#name, byteLength, memory.byteLength);
    }
    memory.set(bytes);
    if (message instanceof Borrow) message.release();
    else this.#plainOf(message);
    return byteLength;
  }

  /** What came with a descriptor, or by itself. */
  #messageIn(message: unknown): unknown {
    return message instanceof Handled ? message.message : message;
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
    else call.resolve(call.borrow ? message : this.#plainOf(message, call.handles));
  }

  onBatch(handler: (messages: unknown[]) => void, borrow: boolean, handles: boolean): () => void {
    if (borrow) this.#needBytes();
    this.#onBatch = handler;
    this.#batchBorrows = borrow;
    this.#batchHandles = handles;
    if (this.#inbox.length > 0)
      handler(
        this.#inbox
          .splice(0)
          .map((message) => (borrow ? this.#borrowOf(message) : this.#plainOf(message, handles))),
      );
    this.pollNow();
    return () => {
      if (this.#onBatch === handler) this.#onBatch = undefined;
    };
  }

  /** Each message by itself, as the events of a machine. */
  onMessage(handler: (message: unknown, handle: OwnedDescriptor | undefined) => void): void {
    this.#onMessage = (message) => {
      if (this.#handled === 0 || !(message instanceof Handled)) return handler(message, undefined);
      this.#handled--;
      handler(message.message, message.handle);
    };
    for (const message of this.#inbox.splice(0))
      this.#onMessage(message instanceof Handled ? message : this.#plainOf(message));
  }

  /** As `poll`, outside the turn that the doorbell gives; what is left gets a turn of its own. */
  pollNow(): void {
    if (this.poll()) this.#link.again();
  }

  /** Goes on if a record waited for a descriptor. */
  handleArrived(): void {
    if (this.#awaiting) this.pollNow();
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
      while (!this.#stalled && !this.#awaiting && this.#reader.read(this.#place))
        this.#handle(this.#place, (message) => this.#inbox.push(message));
    this.#finished = cause;
    this.#receiving.rejectAll(cause);
    // Nobody may ever ask for those that are left; their descriptors must not stay open.
    for (const message of this.#inbox) if (message instanceof Handled) message.handle.close();
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
    if (batch.length > 0)
      onBatch(
        this.#batchHandles || this.#handled > 0
          ? batch.map((message) =>
              this.#batchBorrows ? message : this.#plainOf(message, this.#batchHandles),
            )
          : batch,
      );
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
      // What has a schema is looked at before anybody gets it.
      this.#into = this.#check === undefined ? first?.into : undefined;
      if (first !== undefined) return true;
      // A request finds its taker elsewhere, or waits there for one.
      if (isNumbered(this.#reader.nextKind())) return true;
      return (this.#hasRoom() || this.#dropsUnexpected()) && this.#observer.looksAhead();
    };
    const more = this.#readWhile(wanted, (message) => {
      const call = this.#receiving.shift();
      if (call) call.resolve(call.borrow ? message : this.#plainOf(message, call.handles));
      else if (this.#inbox.length < this.#options.unexpectedMax) this.#inbox.push(message);
      else this.#dropUnexpected(message);
    });
    if (this.#peerEnded) this.#receiving.rejectAll(this.#end());
    const again = more && wanted();
    this.#takesBlocks = false;
    this.#into = undefined;
    return again;
  }

  /** Whether one more message without a taker may be set aside. */
  #hasRoom(): boolean {
    return this.#inbox.length < this.#options.unexpectedMax && this.#handled < handlesMax;
  }

  #dropsUnexpected(): boolean {
    return this.#options.unexpected === 'drop-newest';
  }

  #dropUnexpected(message: unknown): void {
    // Only a peer that changes a record while we look at it gets here otherwise.
    if (!this.#dropsUnexpected()) this.#reader.refuse('a record changed while it was read');
    if (message instanceof Borrow) message.release();
    else this.#plainOf(message);
    this.#observer.unexpected();
  }

  /**
   * Handles records within a turn while `wanted`; gives their room back and wakes a writer that waits for it.
   * @returns whether records are left.
   */
  #readWhile(wanted: () => boolean, onMessage: MessageHandler, max = turnRecordsMax): boolean {
    const place = this.#place;
    let left = max;
    if (this.#stalled && !this.#resume(wanted, onMessage)) return false;
    if (this.#awaiting && !this.#resumeHandled(onMessage)) return this.#broken();
    // A handler may end the channel while we are here.
    while (left > 0 && !this.#finished && wanted() && this.#reader.read(place)) {
      left--;
      this.#handle(place, onMessage);
      if (this.#stalled || this.#awaiting) break;
    }
    if (this.#finished) return false;
    if (this.#reader.release()) this.#link.notify();
    if (this.#reader.broken === undefined)
      return left === 0 && !this.#stalled && !this.#awaiting && this.#reader.available();
    return this.#broken();
  }

  /** Tells that the peer's memory makes no sense, if it does not. */
  #broken(): false {
    if (this.#reader.broken !== undefined && !this.#finished)
      this.#observer.broken(`channel ${this.#name}: ${this.#reader.broken}`, this.#reader.breach);
    return false;
  }

  #handle(place: RecordPlace, onMessage: MessageHandler): void {
    let message: unknown;
    try {
      if (this.#peerEnded) throw new Error('a record after the end');
      if (place.kind !== recordKind.message || place.flags !== 0) return this.#handleOther(place, onMessage);
      message =
        this.#into !== undefined && place.bytes <= this.#into.byteLength
          ? this.#copyInto(this.#into, place)
          : this.#decoder.decode(this.#reader.ring, place.at, place.bytes);
    } catch (error) {
      this.#reader.refuse(messageOf(error));
      return;
    }
    if (this.#check !== undefined) return this.#handOnChecked(message, onMessage);
    this.received++;
    onMessage(message);
  }

  #copyInto(memory: Uint8Array, { at, bytes }: RecordPlace): number {
    memory.set(this.#reader.ring.subarray(at, at + bytes));
    return bytes;
  }

  #handOnChecked(message: unknown, onMessage: MessageHandler, handle?: OwnedDescriptor): void {
    let checked = message;
    try {
      checked = this.#check ? this.#check.incoming(message) : message;
    } catch (error) {
      handle?.close();
      this.#observer.rejected(error);
      return;
    }
    this.received++;
    if (!handle) return onMessage(checked);
    this.#handled++;
    onMessage(new Handled(checked, handle));
  }

  #handleOther({ kind, flags, at, bytes }: RecordPlace, onMessage: MessageHandler): void {
    if ((flags & recordFlag.handle) !== 0) this.#handleHandled(kind, flags, at, bytes, onMessage);
    else if (kind === recordKind.message) throw new Error('a message with unknown flags');
    else if (kind === recordKind.block && this.#memory) {
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
    } else if (isNumbered(kind)) {
      if (bytes < 4) throw new Error('a record without its number');
      this.received++;
      this.#observer.numbered(kind, flags, this.#reader.ringWords[at >> 2]!, this.#plain(at + 4, bytes - 4));
    } else {
      throw new Error(`a record of unknown kind ${kind}`);
    }
  }

  /** A message or request that a descriptor belongs to. Throws if it makes no sense. */
  #handleHandled(kind: number, flags: number, at: number, bytes: number, onMessage: MessageHandler): void {
    const { ring, ringWords } = this.#reader;
    if (kind !== recordKind.message && kind !== recordKind.request)
      throw new Error('a handle where none belongs');
    const request = kind === recordKind.request ? 4 : 0;
    if (bytes < request + 4) throw new Error('a record without its numbers');
    const number = ringWords[at >> 2]!;
    this.#handles.claim(ringWords[(at + request) >> 2]!);
    const start = at + request + 4;
    const length = bytes - request - 4;
    // From a copy, so that the room in the ring may be given back while the descriptor is on its way.
    if (kind === recordKind.message) {
      const message = this.#decoder.decode(ring, start, length);
      this.#awaiting = { handOn: (handle, onTaken) => this.#handOnChecked(message, onTaken, handle) };
    } else {
      const value = this.#plain(start, length);
      this.#awaiting = {
        handOn: (handle) => {
          this.received++;
          this.#observer.numbered(kind, flags, number, value, handle);
        },
      };
    }
    this.#resumeHandled(onMessage);
  }

  /** Hands on the record that waits, if its descriptor has come. @returns whether what is behind it can be read. */
  #resumeHandled(onMessage: MessageHandler): boolean {
    const handle = this.#handles.take();
    if (!handle) return false;
    const { handOn } = this.#awaiting!;
    this.#awaiting = undefined;
    try {
      handOn(handle, onMessage);
    } catch (error) {
      handle.close();
      this.#reader.refuse(messageOf(error));
    }
    return this.#reader.broken === undefined;
  }

  /** A message in the peer's arena. Throws if the reference makes no sense. */
  #handleBlock(memory: SessionMemory, onMessage: MessageHandler): void {
    const reference = this.#reference;
    if (reference.bytes > this.#options.maxMessageBytes) throw new Error('a message above the limit');
    const borrow = memory.borrow(this.#what, reference, asTheyAre, false);
    this.#stalled = !borrow;
    if (!borrow) return;
    // What has a schema is looked at before anybody gets it.
    if (this.#check !== undefined) return this.#handOnChecked(this.#decode(borrow), onMessage);
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

  /** A message as its taker wants it: alone, where its descriptor is closed, or with it. */
  #plainOf(message: unknown, handles = false): unknown {
    if (message instanceof Handled) {
      this.#handled--;
      if (handles) return { message: message.message, handle: message.handle };
      message.handle.close();
      return message.message;
    }
    const plain = message instanceof Borrow ? this.#copyOf(message) : message;
    return handles && plain !== undefined ? { message: plain, handle: undefined } : plain;
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
        : new Borrow(this.#what, this.#plainOf(message) as Uint8Array, asTheyAre, undefined, 0);
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

/** Records of requests begin with a number. */
function isNumbered(kind: number): boolean {
  return (
    (kind >= recordKind.request && kind <= recordKind.cancel) ||
    (kind >= recordKind.part && kind <= recordKind.stray)
  );
}

const always = () => true;
const asTheyAre = (bytes: Uint8Array) => bytes;
