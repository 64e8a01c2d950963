// Intake: takes records out of a lane, checks and decodes them, and hands them on. It reads no more than is wanted, and no
// more in one turn than its portion.
import { IpcError, messageOf } from '../errors.ts';
import type { ChannelOptions } from '../spec/channel-spec.ts';
import type { Breach } from '../spec/session.ts';
import type { Borrow } from './borrow.ts';
import type { BorrowedMemory } from './borrowed-memory.ts';
import { codecs, type Decoder } from './codec.ts';
import type { OwnedDescriptor } from './descriptor.ts';
import type { IncomingHandles } from './handles.ts';
import { Handled, type Inbox } from './inbox.ts';
import { IncomingRecords, type MessageHandler, type RecordSink } from './incoming-records.ts';
import type { LaneReader, RecordPlace } from './lane.ts';
import type { Link } from './link.ts';
import type { MessageCheck } from './message-check.ts';
import { recordKind } from './record.ts';

/** Records handled in one turn of the event loop, so that a flood on one channel starves nobody. */
const turnRecordsMax = 256;

/** What a channel learns from its records besides messages. */
export interface IntakeObserver {
  /** A request or what belongs to one. Throws if it makes no sense. */
  numbered(kind: number, flags: number, number: number, value: unknown, handle?: OwnedDescriptor): void;
  /** A message failed its schema. */
  rejected(error: unknown): void;
  peerEnded(): void;
  broken(why: string, breach: Breach): void;
}

export class Intake implements RecordSink {
  received = 0;
  /** Whether whoever takes the next message takes it as a Borrow, if it stands in the peer's arena. */
  takesBlocks = false;
  /** Where the next message goes if it stands in the ring and has room there; its number of bytes is handed on then. */
  into: Uint8Array | undefined;
  /** Nothing follows. */
  peerEnded = false;
  /** Why nothing is read any more. */
  finished: IpcError | undefined;

  readonly #name: string;
  readonly #link: Link;
  readonly #reader: LaneReader;
  readonly #decoder: Decoder;
  readonly #check: MessageCheck | undefined;
  readonly #inbox: Inbox;
  readonly #observer: IntakeObserver;
  readonly #records: IncomingRecords;
  readonly #place: RecordPlace = { kind: 0, flags: 0, at: 0, bytes: 0 };

  constructor(
    name: string,
    options: ChannelOptions,
    link: Link,
    reader: LaneReader,
    memory: BorrowedMemory | undefined,
    handles: IncomingHandles,
    check: MessageCheck | undefined,
    inbox: Inbox,
    observer: IntakeObserver,
  ) {
    this.#name = name;
    this.#link = link;
    this.#reader = reader;
    this.#decoder = codecs[options.codec].decoder();
    this.#check = check;
    this.#inbox = inbox;
    this.#observer = observer;
    const what = `channel ${name}`;
    this.#records = new IncomingRecords(what, options, reader, this.#decoder, memory, handles, this);
  }

  /** The kind of the next record, 0 if there is none now. */
  nextKind(): number {
    return this.#reader.nextKind();
  }

  /** Whether a record waits for its descriptor. */
  get awaitsDescriptor(): boolean {
    return this.#records.waitsFor === 'descriptor';
  }

  /** Stops reading for good, because what the peer sent makes no sense. */
  refuse(why: string): void {
    this.#reader.refuse(why);
  }

  /**
   * Handles records within a turn while `wanted`; gives their room back and wakes a writer that waits for it.
   * @returns whether records are left.
   */
  readWhile(wanted: () => boolean, onMessage: MessageHandler, max = turnRecordsMax): boolean {
    const place = this.#place;
    let left = max;
    if (this.#records.waitsFor !== undefined && !this.#resume(wanted, onMessage)) return this.#broken();
    // A handler may end the channel while we are here.
    while (left > 0 && !this.finished && wanted() && this.#reader.read(place)) {
      left--;
      this.#handle(place, onMessage);
      if (this.#records.waitsFor !== undefined) break;
    }
    if (this.finished) return false;
    if (this.#reader.release()) this.#link.notify();
    if (this.#reader.broken === undefined)
      return left === 0 && this.#records.waitsFor === undefined && this.#reader.available();
    return this.#broken();
  }

  /** Reads all that can be read, without giving its room back. */
  readRest(onMessage: MessageHandler): void {
    while (this.#records.waitsFor === undefined && this.#reader.read(this.#place))
      this.#handle(this.#place, onMessage);
  }

  /** Goes on with the record that waits. @returns whether what is behind it can be read. */
  #resume(wanted: () => boolean, onMessage: MessageHandler): boolean {
    if (this.#records.waitsFor === 'segment' && (this.finished || !wanted())) return false;
    return this.#records.resume(onMessage);
  }

  /** Tells that the peer's memory makes no sense, if it does not. */
  #broken(): false {
    if (this.#reader.broken !== undefined && !this.finished)
      this.#observer.broken(`channel ${this.#name}: ${this.#reader.broken}`, this.#reader.breach);
    return false;
  }

  #handle(place: RecordPlace, onMessage: MessageHandler): void {
    let message: unknown;
    try {
      if (this.peerEnded) throw new Error('a record after the end');
      if (place.kind !== recordKind.message || place.flags !== 0)
        return this.#records.handle(place, onMessage);
      message =
        this.into !== undefined && place.bytes <= this.into.byteLength
          ? this.#copyInto(this.into, place)
          : this.#decoder.decode(this.#reader.ring, place.at, place.bytes);
    } catch (error) {
      this.#reader.refuse(messageOf(error));
      return;
    }
    if (this.#check !== undefined) return this.handOn(message, onMessage);
    this.received++;
    onMessage(message);
  }

  #copyInto(memory: Uint8Array, { at, bytes }: RecordPlace): number {
    memory.set(this.#reader.ring.subarray(at, at + bytes));
    return bytes;
  }

  handOn(message: unknown, onMessage: MessageHandler, handle?: OwnedDescriptor): void {
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
    this.#inbox.handled++;
    onMessage(new Handled(checked, handle));
  }

  handOnBorrow(borrow: Borrow, onMessage: MessageHandler): void {
    // What has a schema is looked at before anybody gets it.
    if (this.#check !== undefined) return this.handOn(this.#decode(borrow), onMessage);
    this.received++;
    onMessage(this.takesBlocks ? borrow : this.#decode(borrow));
  }

  handOnNumbered(
    kind: number,
    flags: number,
    number: number,
    value: unknown,
    handle?: OwnedDescriptor,
  ): void {
    this.received++;
    this.#observer.numbered(kind, flags, number, value, handle);
  }

  endOfPeer(): void {
    this.peerEnded = true;
    this.#observer.peerEnded();
  }

  #decode(borrow: Borrow): unknown {
    using held = borrow;
    return this.#decoder.decode(held.bytes, 0, held.bytes.byteLength);
  }

  /** A kept message for someone who wants no borrow. Throws if the peer wrote nonsense; the session ends then. */
  copyOf(borrow: Borrow): unknown {
    try {
      return this.#decode(borrow);
    } catch (error) {
      this.#reader.refuse(messageOf(error));
      this.#observer.broken(`channel ${this.#name}: ${messageOf(error)}`, 'protocol');
      throw this.finished ?? IpcError.from(error, 'ERR_CHANNEL_HOSED', this.#name, messageOf(error));
    }
  }
}
