// Sender: the sending direction of a channel. Encodes and writes into the lane; what is not a plain message goes out by it
// as well, on behalf of `Loans` and `NumberedSender`.
import { IpcError, messageOf } from '../errors.ts';
import type { ChannelOptions } from '../spec/channel-spec.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import type { BorrowedMemory } from './borrowed-memory.ts';
import { codecs, type Encoder, encodedBytes, packPlain } from './codec.ts';
import type { LaneWriter } from './lane.ts';
import type { Link } from './link.ts';
import { type LoanLane, Loans } from './loans.ts';
import { recordKind } from './record.ts';
import { done, SendingLine, type WaitingSend } from './sending-line.ts';
import type { SessionMemory } from './session-memory.ts';
import type { WaitingLine } from './waiting.ts';

const nothing = new Uint8Array(0);
/** A request's number and a handle's stand before what a record carries. */
export const numbersBytes = 8;

/** A message larger than this part of its ring stands in the arena: a few of them would keep the ring full. */
const inRingPart = 4;

/** From this size on, fresh memory costs more than copying into it: the kernel clears each page. */
const spareBytesMin = 64 * 1024;
/** A channel keeps no more than this. */
const spareBytesMax = 1024 * 1024;

export class Sender implements LoanLane {
  sent = 0;
  dropped = 0;
  full = 0;
  readonly line: SendingLine;
  readonly loans: Loans;

  readonly #name: string;
  readonly #options: ChannelOptions;
  readonly #link: Link;
  readonly #writer: LaneWriter;
  readonly #encoder: Encoder;
  readonly #borrowed: BorrowedMemory | undefined;
  /** The largest message that goes into the ring. */
  readonly #inRingMax: number;
  #structuresTold = 0;
  readonly #sending: WaitingLine<WaitingSend>;
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
  ) {
    this.#name = name;
    this.#options = options;
    this.#link = link;
    this.#writer = writer;
    this.line = new SendingLine(name, link, writer);
    this.#sending = this.line.sending;
    this.#encoder = codecs[options.codec].encoder();
    const arena = memory?.limits.arenaBytes ? memory : undefined;
    this.#borrowed = arena?.borrowed;
    this.loans = new Loans(name, options, arena?.lent, this);
    this.#inRingMax = arena ? writer.capacity / inRingPart : writer.payloadMax;
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

  /** How large the oldest of them in the ring are, in bytes; requests count with their numbers. */
  unreadLengths(max: number): number[] {
    const lengths: number[] = [];
    this.#writer.eachUnread((kind, bytes) => {
      if (lengths.length < max && (kind === recordKind.message || kind === recordKind.request))
        lengths.push(bytes);
    });
    return lengths;
  }

  trySend(message: unknown): boolean {
    const payload = encodedBytes(this.#encode(message));
    if (this.#sending.length === 0 && this.put(recordKind.message, 0, payload)) return true;
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
    return this.line.later(() => {
      if (!this.put(recordKind.message, 0, bytes)) return false;
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

  /** Tells the peer that nothing follows. REQUIRES: flushed, so there is room. */
  sendEnd(): void {
    this.#ended = true;
    this.put(recordKind.end, 0, nothing);
  }

  finish(cause: IpcError): void {
    this.#finished = cause;
    this.line.finish(cause);
  }

  /** An answer that comes after the end mark, or later still: the peer would take it for a breach. */
  needOpen(): void {
    if (this.#finished) throw this.#finished;
    if (this.#ended) throw IpcError.of('ERR_CHANNEL_CLOSED', this.#name);
  }

  /** A message that must stand in the ring, encoded; valid until the next one. */
  ringPayload(message: unknown): Uint8Array {
    const { buffer, start, length } = this.#encode(message);
    const max = Math.min(this.#inRingMax, this.numberedMax);
    if (length > max) throw IpcError.of('ERR_MESSAGE_TOO_LARGE', this.#name, length, max);
    return buffer.subarray(start, start + length);
  }

  /** The most that a numbered record can carry. */
  get numberedMax(): number {
    return this.#writer.payloadMax - numbersBytes;
  }

  /** Whether so many bytes have room after the shapes that they may use, which are told now. */
  hasRoom(bytes: number): boolean {
    if (this.#structuresTold < this.#encoder.structures.length && !this.#tellStructures()) return false;
    return this.#writer.hasRoom(bytes);
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

  /** Writes and publishes one record, after the shapes that it may use. Answers false if there is no room. */
  put(kind: number, number: number, payload: Uint8Array, flags = 0): boolean {
    if (payload.length > this.#inRingMax && kind === recordKind.message)
      return this.loans.putMessage(payload);
    if (this.#structuresTold < this.#encoder.structures.length && !this.#tellStructures()) return false;
    const written =
      number === 0
        ? this.#writer.write(kind, 0, payload, payload.length)
        : this.#writer.writeNumbered(kind, flags, number, payload, payload.length);
    if (!written) return false;
    this.sent++;
    this.#borrowed?.publishReleases();
    this.#writer.publish();
    this.#link.notify();
    return true;
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
}
