// Sender: the sending direction of a channel. Encodes, writes into the lane, and keeps those who wait for room or for the
// reader in order.
import { IpcError, messageOf } from '../errors.ts';
import type { WaitOptions } from '../spec/session.ts';
import type { ChannelOptions } from '../spec/universe.ts';
import { codecs, type Encoder, packPlain } from './codec.ts';
import type { LaneWriter } from './lane.ts';
import type { Link } from './link.ts';
import { recordKind } from './record.ts';
import { type Call, WaitingLine, waiting } from './waiting.ts';

interface WaitingSend extends Call<void> {
  readonly kind: number;
  readonly number: number;
  readonly bytes: Uint8Array;
}

interface WaitingFlush extends Call<void> {
  /** Everything before this place of the lane must have been read. */
  position: number;
}

const nothing = new Uint8Array(0);
const done = Promise.resolve();

export class Sender {
  sent = 0;
  dropped = 0;
  full = 0;

  readonly #name: string;
  readonly #options: ChannelOptions;
  readonly #link: Link;
  readonly #writer: LaneWriter;
  readonly #encoder: Encoder;
  #structuresTold = 0;
  readonly #sending = new WaitingLine<WaitingSend>();
  readonly #flushing = new WaitingLine<WaitingFlush>();
  #unwatchHead: (() => void) | undefined;

  constructor(name: string, options: ChannelOptions, link: Link, writer: LaneWriter) {
    this.#name = name;
    this.#options = options;
    this.#link = link;
    this.#writer = writer;
    this.#encoder = codecs[options.codec].encoder();
  }

  get unreadBytes(): number {
    return this.#writer.unreadBytes();
  }

  /** Messages that the reader never took. */
  unread(): number {
    let count = this.#sending.length;
    this.#writer.eachUnread((kind) => {
      if (kind === recordKind.message || kind === recordKind.request) count++;
    });
    return count;
  }

  trySend(message: unknown): boolean {
    const { buffer, start, length } = this.#encode(message);
    const payload = start === 0 && length === buffer.length ? buffer : buffer.subarray(start, start + length);
    if (this.#sending.length === 0 && this.#put(recordKind.message, 0, payload)) return true;
    this.full++;
    if (this.#options.overflow === 'drop-newest') this.dropped++;
    return false;
  }

  send(message: unknown, options?: WaitOptions): Promise<void> {
    if (this.trySend(message) || this.#options.overflow === 'drop-newest') return done;
    const { buffer, start, length } = this.#encoder;
    // A copy: the encoder's bytes are overwritten by its next message. (Buffer's own slice would not copy.)
    const bytes = new Uint8Array(buffer.subarray(start, start + length));
    return this.#sendLater(recordKind.message, 0, bytes, options);
  }

  /** Requests, replies and failures: a number and a self-contained value. */
  sendNumbered(kind: number, number: number, value: unknown, options?: WaitOptions): Promise<void> {
    let bytes: Uint8Array;
    try {
      bytes = value === undefined ? nothing : packPlain(value);
    } catch (error) {
      return Promise.reject(IpcError.from(error, 'ERR_MESSAGE_INVALID', this.#name, messageOf(error)));
    }
    const max = Math.min(this.#options.maxMessageBytes, this.#writer.payloadMax - 4);
    if (bytes.length > max)
      return Promise.reject(IpcError.of('ERR_MESSAGE_TOO_LARGE', this.#name, bytes.length, max));
    if (this.#sending.length === 0 && this.#put(kind, number, bytes)) return done;
    return this.#sendLater(kind, number, bytes, options);
  }

  /** Tells the peer that nothing follows. REQUIRES: flushed, so there is room. */
  sendEnd(): void {
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
    for (
      let next = this.#sending.first;
      next && this.#put(next.kind, next.number, next.bytes);
      next = this.#sending.first
    ) {
      this.#sending.shift();
      next.resolve();
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

  /** Writes and publishes one record, after the shapes that it may use. Answers false if there is no room. */
  #put(kind: number, number: number, payload: Uint8Array): boolean {
    if (this.#structuresTold < this.#encoder.structures.length && !this.#tellStructures()) return false;
    const written =
      number === 0
        ? this.#writer.write(kind, 0, payload, payload.length)
        : this.#writer.writeNumbered(kind, 0, number, payload, payload.length);
    if (!written) return false;
    this.sent++;
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

  #sendLater(kind: number, number: number, bytes: Uint8Array, options?: WaitOptions): Promise<void> {
    if (this.#sending.full)
      return Promise.reject(IpcError.of('ERR_CHANNEL_BUSY', this.#name, this.#sending.length));
    return waiting<void>(`send on channel ${this.#name}`, options, (call) => {
      const leave = this.#sending.join({ ...call, kind, number, bytes });
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
