// Incoming records: all that are no plain messages. References to the peer's arena and records with a descriptor may have to
// wait for what came by the socket; nothing behind them is read meanwhile.
import { messageOf } from '../errors.ts';
import type { ChannelOptions } from '../spec/channel-spec.ts';
import { BlockReference, readReference, referenceBytes } from './block-reference.ts';
import type { Borrow } from './borrow.ts';
import type { BorrowedMemory } from './borrowed-memory.ts';
import { asTheyAre } from './borrows.ts';
import { type Decoder, unpackPlain } from './codec.ts';
import type { OwnedDescriptor } from './descriptor.ts';
import type { IncomingHandles } from './handles.ts';
import type { LaneReader, RecordPlace } from './lane.ts';
import { recordFlag, recordKind } from './record.ts';

export type MessageHandler = (message: unknown) => void;

/** Where the records go. */
export interface RecordSink {
  /** A message, with the descriptor that came with it. */
  handOn(message: unknown, onMessage: MessageHandler, handle?: OwnedDescriptor): void;
  /** A message in the peer's arena. */
  handOnBorrow(borrow: Borrow, onMessage: MessageHandler): void;
  /** A request or what belongs to one. Throws if it makes no sense. */
  handOnNumbered(kind: number, flags: number, number: number, value: unknown, handle?: OwnedDescriptor): void;
  /** Nothing follows. */
  endOfPeer(): void;
}

export class IncomingRecords {
  /** What the last record waits for; nothing behind it is read. */
  waitsFor: 'segment' | 'descriptor' | undefined;

  readonly #what: string;
  readonly #options: ChannelOptions;
  readonly #reader: LaneReader;
  readonly #decoder: Decoder;
  readonly #memory: BorrowedMemory | undefined;
  readonly #handles: IncomingHandles;
  readonly #sink: RecordSink;
  /** What the last reference told; kept while its segment has not come. */
  readonly #reference = new BlockReference();
  /** The record that waits for its descriptor. */
  #handOn: ((handle: OwnedDescriptor, onMessage: MessageHandler) => void) | undefined;

  constructor(
    what: string,
    options: ChannelOptions,
    reader: LaneReader,
    decoder: Decoder,
    memory: BorrowedMemory | undefined,
    handles: IncomingHandles,
    sink: RecordSink,
  ) {
    this.#what = what;
    this.#options = options;
    this.#reader = reader;
    this.#decoder = decoder;
    this.#memory = memory;
    this.#handles = handles;
    this.#sink = sink;
  }

  /** Goes on with the record that waits. @returns whether what is behind it can be read. */
  resume(onMessage: MessageHandler): boolean {
    if (this.waitsFor === 'descriptor') return this.#resumeHandled(onMessage);
    try {
      this.#handleBlock(this.#memory!, onMessage);
    } catch (error) {
      this.waitsFor = undefined;
      this.#reader.refuse(messageOf(error));
    }
    return this.waitsFor === undefined;
  }

  /** A record of any other kind than a plain message. Throws if it makes no sense. */
  handle({ kind, flags, at, bytes }: RecordPlace, onMessage: MessageHandler): void {
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
      this.#sink.endOfPeer();
    } else if (isNumbered(kind)) {
      if (bytes < 4) throw new Error('a record without its number');
      const number = this.#reader.ringWords[at >> 2]!;
      this.#sink.handOnNumbered(kind, flags, number, this.#plain(at + 4, bytes - 4));
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
      this.#handOn = (handle, onTaken) => this.#sink.handOn(message, onTaken, handle);
    } else {
      const value = this.#plain(start, length);
      this.#handOn = (handle) => this.#sink.handOnNumbered(kind, flags, number, value, handle);
    }
    this.waitsFor = 'descriptor';
    this.#resumeHandled(onMessage);
  }

  /** Hands on the record that waits, if its descriptor has come. @returns whether what is behind it can be read. */
  #resumeHandled(onMessage: MessageHandler): boolean {
    const handle = this.#handles.take();
    if (!handle) return false;
    const handOn = this.#handOn!;
    this.#handOn = undefined;
    this.waitsFor = undefined;
    try {
      handOn(handle, onMessage);
    } catch (error) {
      handle.close();
      this.#reader.refuse(messageOf(error));
    }
    return this.#reader.broken === undefined;
  }

  /** A message in the peer's arena. Throws if the reference makes no sense. */
  #handleBlock(memory: BorrowedMemory, onMessage: MessageHandler): void {
    const reference = this.#reference;
    if (reference.bytes > this.#options.maxMessageBytes) throw new Error('a message above the limit');
    const borrow = memory.borrow(this.#what, reference, asTheyAre, false);
    this.waitsFor = borrow ? undefined : 'segment';
    if (borrow) this.#sink.handOnBorrow(borrow, onMessage);
  }

  #plain(at: number, bytes: number): unknown {
    // A copy first: the peer may change its memory while we decode.
    return bytes === 0 ? undefined : unpackPlain(this.#reader.ring.slice(at, at + bytes));
  }
}

/** Records of requests begin with a number. */
export function isNumbered(kind: number): boolean {
  return (
    (kind >= recordKind.request && kind <= recordKind.cancel) ||
    (kind >= recordKind.part && kind <= recordKind.stray)
  );
}
