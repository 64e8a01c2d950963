// Sender: the sending direction of a channel. Encodes, writes into the lane, and keeps those who wait for room or for the
// reader in order.
import { IpcError, messageOf } from '../errors.ts';
import type { ChannelOptions } from '../spec/channel-spec.ts';
import type { Handle } from '../spec/memory.ts';
import type { NativeHandle, SendOptions } from '../spec/native-handle.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import type { Block } from './arena.ts';
import { referenceBytes } from './block-reference.ts';
import { codecs, type Encoder, packPlain } from './codec.ts';
import { copyOfHandle } from './descriptor.ts';
import { OutgoingHandles } from './handles.ts';
import type { LaneWriter } from './lane.ts';
import type { Link } from './link.ts';
import { native } from './native.ts';
import { recordFlag, recordKind } from './record.ts';
import type { Lender, SessionMemory } from './session-memory.ts';
import { type Call, WaitingLine, waiting } from './waiting.ts';

interface WaitingSend extends Call<void> {
  /** Sends it now if there is room. @throws what makes it impossible for good. */
  readonly put: () => boolean;
}

interface WaitingFlush extends Call<void> {
  /** Everything before this place of the lane must have been read. */
  position: number;
}

const nothing = new Uint8Array(0);
const done = Promise.resolve();

/** A request's number and a handle's stand before what a record carries. */
const numbersBytes = 8;

/** A message larger than this part of its ring stands in the arena: a few of them would keep the ring full. */
const inRingPart = 4;

/** From this size on, fresh memory costs more than copying into it: the kernel clears each page. */
const spareBytesMin = 64 * 1024;
/** A channel keeps no more than this. */
const spareBytesMax = 1024 * 1024;

export class Sender implements Lender {
  /** Blocks and values that are out: loans in hand, and what the peer has not given back. */
  loans = 0;
  sent = 0;
  dropped = 0;
  full = 0;

  readonly #name: string;
  readonly #options: ChannelOptions;
  readonly #link: Link;
  readonly #writer: LaneWriter;
  readonly #encoder: Encoder;
  readonly #memory: SessionMemory | undefined;
  readonly #handles: OutgoingHandles;
  /** The largest message that goes into the ring. */
  readonly #inRingMax: number;
  #structuresTold = 0;
  readonly #sending = new WaitingLine<WaitingSend>();
  readonly #flushing = new WaitingLine<WaitingFlush>();
  #unwatchHead: (() => void) | undefined;
  /** Of a message that had to wait. */
  #spare: ArrayBufferLike | undefined;
  /** The peer has been told that nothing follows. */
  #ended = false;
  /** Our memory may be gone from then on. */
  #finished: IpcError | undefined;

  constructor(
    name: string,
    options: ChannelOptions,
    link: Link,
    writer: LaneWriter,
    memory: SessionMemory | undefined,
    sendHandle: (number: number, fd: number) => void,
  ) {
    this.#name = name;
    this.#handles = new OutgoingHandles(writer, sendHandle);
    this.#options = options;
    this.#link = link;
    this.#writer = writer;
    this.#encoder = codecs[options.codec].encoder();
    this.#memory = memory?.limits.arenaBytes ? memory : undefined;
    this.#inRingMax = this.#memory ? writer.capacity / inRingPart : writer.payloadMax;
  }

  get unreadBytes(): number {
    return this.#writer.unreadBytes();
  }

  /** Messages that the reader never took. */
  unread(): number {
    let count = this.#sending.length;
    this.#writer.eachUnread((kind) => {
      if (kind === recordKind.message || kind === recordKind.request || kind === recordKind.block) count++;
    });
    return count;
  }

  trySend(message: unknown): boolean {
    const { buffer, start, length } = this.#encode(message);
    // Not Buffer's subarray, which takes twice as long.
    const payload =
      start === 0 && length === buffer.length
        ? buffer
        : new Uint8Array(buffer.buffer, buffer.byteOffset + start, length);
    if (this.#sending.length === 0 && this.#put(recordKind.message, 0, payload)) return true;
    this.full++;
    if (this.#options.overflow === 'drop-newest') this.dropped++;
    return false;
  }

  send(message: unknown, options?: WaitOptions): Promise<void> {
    if (this.trySend(message) || this.#options.overflow === 'drop-newest') return done;
    const { buffer, start, length } = this.#encoder;
    // A copy: the encoder's bytes are overwritten by its next message.
    const bytes = this.#memoryFor(length);
    bytes.set(buffer.subarray(start, start + length));
    return this.#sendLater(() => {
      if (!this.#put(recordKind.message, 0, bytes)) return false;
      if (length >= spareBytesMin && length <= spareBytesMax) this.#spare = bytes.buffer;
      return true;
    }, options);
  }

  /** Memory for a message that waits. Who sends large messages one after another waits in the same memory each time. */
  #memoryFor(length: number): Uint8Array {
    const spare = this.#spare;
    if (spare === undefined || length < spareBytesMin || length > spare.byteLength)
      return new Uint8Array(length);
    this.#spare = undefined;
    return new Uint8Array(spare, 0, length);
  }

  /** Sends as soon as there is room; nobody waits for it. @throws {IpcError} those of trySend, ERR_CHANNEL_BUSY. */
  post(message: unknown): void {
    if (this.#sending.full) throw IpcError.of('ERR_CHANNEL_BUSY', this.#name, this.#sending.length);
    // From here on it fails only with the channel.
    this.send(message).catch(() => undefined);
  }

  /**
   * Memory of the arena for one message.
   * @throws {IpcError} ERR_ARENA_FULL, ERR_LOAN_LIMIT, ERR_NO_ARENA, ERR_CHANNEL_CODEC, ERR_MESSAGE_TOO_LARGE.
   */
  loan(bytes: number): Block {
    const memory = this.#memory;
    if (!memory) throw IpcError.of('ERR_NO_ARENA', `a loan of channel ${this.#name}`, 'arenaBytes');
    if (this.#options.codec !== 'bytes') throw IpcError.of('ERR_CHANNEL_CODEC', this.#name, 'lend memory');
    if (!Number.isSafeInteger(bytes) || bytes < 0)
      throw IpcError.of('ERR_MESSAGE_INVALID', this.#name, `a loan of ${bytes} bytes`);
    if (bytes > this.#options.maxMessageBytes)
      throw IpcError.of('ERR_MESSAGE_TOO_LARGE', this.#name, bytes, this.#options.maxMessageBytes);
    this.#needLoan(memory);
    const { arena } = memory;
    let block = arena.allocate(bytes);
    if (!block) {
      memory.poll();
      block = arena.need(bytes);
    }
    this.loans++;
    return block;
  }

  /** The memory of a loan. */
  bytesOf(block: Block, bytes: number): Uint8Array {
    return this.#memory!.arena.view(block, 0, bytes);
  }

  /** Sends what was written into a loan; the block is the peer's then. @returns false if there is no room now. */
  trySendLoan(block: Block, bytes: number): boolean {
    if (this.#sending.length === 0 && this.#putLoan(block, bytes)) return true;
    this.full++;
    return false;
  }

  sendLoan(block: Block, bytes: number, options?: WaitOptions): Promise<void> {
    if (this.trySendLoan(block, bytes)) return done;
    return this.#sendLater(() => this.#putLoan(block, bytes), options);
  }

  /** A loan that was not sent. */
  giveBack(block: Block): void {
    this.#memory!.arena.release(block);
    this.returned();
  }

  /** @throws {IpcError} ERR_LOAN_LIMIT, ERR_LOAN_FOREIGN, ERR_NO_ARENA, ERR_MEMORY_RETURNED, ERR_ARENA_FULL. */
  lend(memory: SessionMemory | undefined, value: unknown): Handle {
    if (!memory)
      throw IpcError.of('ERR_NO_ARENA', `lending on channel ${this.#name}`, 'arenaBytes or sharedBytes');
    this.#needLoan(memory);
    const handle = memory.lendValue(this, value);
    this.loans++;
    return handle;
  }

  /** The peer has given one back. Those who wait for memory get their turn from `poll`. */
  returned(): void {
    this.loans--;
  }

  /** As trySend, with a descriptor that travels with it. */
  trySendHandle(message: unknown, handle: NativeHandle): boolean {
    const payload = this.#ringPayload(message);
    const fd = copyOfHandle(handle);
    try {
      if (this.#sending.length === 0 && this.#putHandle(recordKind.message, 0, 0, payload, fd)) return true;
    } finally {
      native().closeFd(fd);
    }
    this.full++;
    if (this.#options.overflow === 'drop-newest') this.dropped++;
    return false;
  }

  async sendHandle(message: unknown, handle: NativeHandle, options: WaitOptions): Promise<void> {
    if (this.trySendHandle(message, handle) || this.#options.overflow === 'drop-newest') return;
    const bytes = new Uint8Array(this.#ringPayload(message));
    return this.#sendHandleLater(recordKind.message, 0, 0, bytes, copyOfHandle(handle), options);
  }

  /** Requests and what belongs to them: a number and a self-contained value. */
  sendNumbered(
    kind: number,
    number: number,
    value: unknown,
    options?: WaitOptions & SendOptions,
    flags = 0,
  ): Promise<void> {
    if (options?.handle !== undefined)
      return this.#sendNumberedHandle(kind, number, value, options.handle, options, flags);
    return this.#sendNumbered(kind, number, value, options, flags, false);
  }

  /** The same for a record of which there are few: it may wait for room behind any number of calls. */
  postNumbered(kind: number, number: number, value: unknown, flags = 0): Promise<void> {
    return this.#sendNumbered(kind, number, value, undefined, flags, true);
  }

  /** Whether what a call has answered means that the record was there at once. */
  isSent(sending: Promise<void>): boolean {
    return sending === done;
  }

  /** Tells the peer that nothing follows. REQUIRES: flushed, so there is room. */
  sendEnd(): void {
    this.#ended = true;
    this.#put(recordKind.end, 0, nothing);
  }

  flush(options?: WaitOptions): Promise<void> {
    const position = this.#writer.position;
    if (this.#sending.length === 0 && this.#isRead(position)) return done;
    return waiting<void>(`flush of channel ${this.#name}`, options, (call) => {
      const leave = this.#flushing.join({ ...call, position });
      this.#awaitReader();
      return () => {
        leave();
        this.#awaitReader();
      };
    });
  }

  /** Lets through whoever can go on, now that the reader may have moved. */
  poll(): void {
    if (this.#unwatchHead === undefined) return;
    for (let next = this.#sending.first; next; next = this.#sending.first) {
      try {
        if (!next.put()) break;
        this.#sending.shift();
        next.resolve();
      } catch (error) {
        this.#sending.shift();
        next.reject(error);
        continue;
      }
      // Whoever waits for a flush since before this send waits for it too: it had been asked for earlier.
      this.#flushing.take((flush) => {
        flush.position = this.#writer.position;
        return false;
      });
    }
    if (this.#sending.length === 0)
      for (const flush of this.#flushing.take(({ position }) => this.#isRead(position))) flush.resolve();
    this.#awaitReader();
  }

  finish(cause: IpcError): void {
    this.#finished = cause;
    this.#unwatchHead?.();
    this.#unwatchHead = undefined;
    this.#sending.rejectAll(cause);
    this.#flushing.rejectAll(cause);
  }

  #encode(message: unknown): Encoder {
    const encoder = this.#encoder;
    try {
      if (message === undefined) throw new TypeError('undefined is what an empty channel answers');
      encoder.encode(message);
    } catch (error) {
      throw IpcError.from(error, 'ERR_MESSAGE_INVALID', this.#name, messageOf(error));
    }
    if (encoder.length > this.#options.maxMessageBytes)
      throw IpcError.of('ERR_MESSAGE_TOO_LARGE', this.#name, encoder.length, this.#options.maxMessageBytes);
    return encoder;
  }

  #sendNumbered(
    kind: number,
    number: number,
    value: unknown,
    options: WaitOptions | undefined,
    flags: number,
    always: boolean,
  ): Promise<void> {
    let bytes: Uint8Array;
    try {
      this.#needOpen();
      bytes = this.#plainPayload(value);
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.#sending.length === 0 && this.#put(kind, number, bytes, flags)) return done;
    return this.#sendLater(() => this.#put(kind, number, bytes, flags), options, always);
  }

  async #sendNumberedHandle(
    kind: number,
    number: number,
    value: unknown,
    handle: NativeHandle,
    options: WaitOptions,
    flags: number,
  ): Promise<void> {
    const bytes = this.#plainPayload(value);
    return this.#sendHandleLater(kind, number, flags, bytes, copyOfHandle(handle), options);
  }

  /** An answer that comes after the end mark, or later still: the peer would take it for a breach. */
  #needOpen(): void {
    if (this.#finished) throw this.#finished;
    if (this.#ended) throw IpcError.of('ERR_CHANNEL_CLOSED', this.#name);
  }

  /** @throws {IpcError} ERR_MESSAGE_INVALID, ERR_MESSAGE_TOO_LARGE. */
  #plainPayload(value: unknown): Uint8Array {
    let bytes: Uint8Array;
    try {
      bytes = value === undefined ? nothing : packPlain(value);
    } catch (error) {
      throw IpcError.from(error, 'ERR_MESSAGE_INVALID', this.#name, messageOf(error));
    }
    const max = Math.min(this.#options.maxMessageBytes, this.#writer.payloadMax - numbersBytes);
    if (bytes.length > max) throw IpcError.of('ERR_MESSAGE_TOO_LARGE', this.#name, bytes.length, max);
    return bytes;
  }

  /** A message that must stand in the ring, encoded; valid until the next one. */
  #ringPayload(message: unknown): Uint8Array {
    const { buffer, start, length } = this.#encode(message);
    const max = Math.min(this.#inRingMax, this.#writer.payloadMax - numbersBytes);
    if (length > max) throw IpcError.of('ERR_MESSAGE_TOO_LARGE', this.#name, length, max);
    return buffer.subarray(start, start + length);
  }

  /** Sends as soon as there is room for message and descriptor, which is closed then. */
  #sendHandleLater(
    kind: number,
    number: number,
    flags: number,
    bytes: Uint8Array,
    fd: number,
    options: WaitOptions,
  ): Promise<void> {
    const close = () => native().closeFd(fd);
    const put = () => this.#putHandle(kind, number, flags, bytes, fd);
    let sending: Promise<void>;
    try {
      this.#needOpen();
      sending = this.#sending.length === 0 && put() ? done : this.#sendLater(put, options);
    } catch (error) {
      sending = Promise.reject(error);
    }
    sending.then(close, close);
    return sending;
  }

  /** A record with its descriptor. The descriptor goes first: what follows it can't fail. */
  #putHandle(kind: number, number: number, flags: number, payload: Uint8Array, fd: number): boolean {
    if (this.#handles.full) return false;
    if (this.#structuresTold < this.#encoder.structures.length && !this.#tellStructures()) return false;
    if (!this.#writer.hasRoom(payload.length + numbersBytes)) return false;
    // A copy: sending a frame writes over the encoder's bytes.
    const body = new Uint8Array(number === 0 ? payload.length : payload.length + 4);
    body.set(payload, body.length - payload.length);
    const handle = this.#handles.send(fd);
    if (number !== 0) new DataView(body.buffer).setUint32(0, handle, true);
    this.#writer.writeNumbered(
      kind,
      flags | recordFlag.handle,
      number === 0 ? handle : number,
      body,
      body.length,
    );
    this.#handles.written();
    this.sent++;
    this.#memory?.publishReleases();
    this.#writer.publish();
    this.#link.notify();
    return true;
  }

  /** Writes and publishes one record, after the shapes that it may use. Answers false if there is no room. */
  #put(kind: number, number: number, payload: Uint8Array, flags = 0): boolean {
    if (payload.length > this.#inRingMax && kind === recordKind.message) return this.#putBlock(payload);
    if (this.#structuresTold < this.#encoder.structures.length && !this.#tellStructures()) return false;
    const written =
      number === 0
        ? this.#writer.write(kind, 0, payload, payload.length)
        : this.#writer.writeNumbered(kind, flags, number, payload, payload.length);
    if (!written) return false;
    this.sent++;
    this.#memory?.publishReleases();
    this.#writer.publish();
    this.#link.notify();
    return true;
  }

  /** A message too large for the ring: into a block. @throws {IpcError} ERR_ARENA_FULL if no release can help. */
  #putBlock(payload: Uint8Array): boolean {
    const memory = this.#memory!;
    const { arena } = memory;
    if (!this.#writer.hasRoom(referenceBytes)) return false;
    let block = this.#mayLend(memory) ? arena.allocate(payload.length) : undefined;
    if (!block) {
      memory.poll();
      if (!this.#mayLend(memory)) return false;
      block = arena.allocate(payload.length);
      if (!block && memory.lent > 0) return false;
      if (!block) throw arena.full(payload.length);
    }
    this.loans++;
    // Before anything else: a new segment goes out as a frame, and encoding that writes over the encoder's bytes.
    arena.view(block, 0, payload.length).set(payload);
    if (this.#putLoan(block, payload.length)) return true;
    this.giveBack(block);
    return false;
  }

  /** Publishes a block as a message; it is the peer's from then on. */
  #putLoan(block: Block, bytes: number): boolean {
    const memory = this.#memory!;
    if (!memory.hasSlot) return false;
    if (this.#structuresTold < this.#encoder.structures.length && !this.#tellStructures()) return false;
    const record = memory.lend(this, memory.arena, block, 0, bytes);
    if (!this.#writer.write(recordKind.block, 0, record, record.length)) {
      memory.undoLend();
      return false;
    }
    this.sent++;
    memory.publishReleases();
    this.#writer.publish();
    this.#link.notify();
    return true;
  }

  #needLoan(memory: SessionMemory): void {
    const { maxLoans } = this.#options;
    if (!this.#mayLend(memory)) memory.poll();
    if (!this.#mayLend(memory)) throw IpcError.of('ERR_LOAN_LIMIT', this.#name, maxLoans);
  }

  #mayLend(memory: SessionMemory): boolean {
    return this.loans < this.#options.maxLoans && memory.hasSlot;
  }

  #tellStructures(): boolean {
    const { structures } = this.#encoder;
    while (this.#structuresTold < structures.length) {
      const told = packPlain([this.#structuresTold, structures[this.#structuresTold]]);
      if (!this.#writer.write(recordKind.structure, 0, told, told.length)) return false;
      this.#structuresTold++;
    }
    return true;
  }

  #sendLater(put: () => boolean, options?: WaitOptions, always = false): Promise<void> {
    if (this.#sending.full && !always)
      return Promise.reject(IpcError.of('ERR_CHANNEL_BUSY', this.#name, this.#sending.length));
    return waiting<void>(`send on channel ${this.#name}`, options, (call) => {
      const leave = this.#sending.join({ ...call, put });
      this.#awaitReader();
      return () => {
        leave();
        this.#awaitReader();
      };
    });
  }

  #isRead(position: number): boolean {
    return ((this.#writer.readerHead() - position) | 0) >= 0;
  }

  /** Has the reader ring when it moves on, for as long as anybody here waits for that. */
  #awaitReader(): void {
    const wanted = this.#sending.length + this.#flushing.length > 0;
    if (wanted === (this.#unwatchHead !== undefined)) return;
    this.#writer.wantRoom(wanted);
    if (!wanted) {
      this.#unwatchHead?.();
      this.#unwatchHead = undefined;
      return;
    }
    this.#unwatchHead = this.#link.watchHead(this.#writer.headBytes, this.#writer.readerHead());
    // Once more, now that WANT is set: the reader may have moved before it could see it.
    this.poll();
  }
}
