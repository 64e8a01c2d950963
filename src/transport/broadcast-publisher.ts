// BroadcastPublisher: the writing end of a broadcast. Owns its segment, which every reader maps; knows who reads, wakes
// those and nobody else, and keeps those who publish in order while readers that block leave no room.
import { IpcError, messageOf } from '../errors.ts';
import type { Publisher, PublisherStats } from '../spec/broadcast.ts';
import type { BroadcastOptions } from '../spec/broadcast-spec.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { type BroadcastPlace, BroadcastRingWriter } from './broadcast-ring.ts';
import { broadcastCodecs, type Encoder } from './codec.ts';
import type { Cursor } from './cursor.ts';
import { type Link, segmentKind } from './link.ts';
import { type NativeSegment, native } from './native.ts';
import { recordKind } from './record.ts';
import { type Call, WaitingLine, waiting } from './waiting.ts';

interface WaitingPublish extends Call<void> {
  readonly bytes: Uint8Array;
}

/** One subscription of one session. */
interface Reader {
  readonly link: Link;
  readonly cursor: Cursor;
  readonly number: number;
  readonly onDropped: () => void;
  readonly leaveLink: () => void;
  /** How far it has read, as far as we believe it. Kept for readers that block. */
  position: number;
  /** Since when it has been in the way, and how far it must read to be out of it. */
  late: { readonly sinceMs: number; readonly until: number } | undefined;
  unwatch: (() => void) | undefined;
}

/** What a new reader needs: the memory, and the place to begin at. The descriptor stays the publisher's. */
export interface Admission {
  readonly bytes: number;
  readonly fd: number;
  readonly place: BroadcastPlace;
}

const done = Promise.resolve();

export class BroadcastPublisher implements Publisher {
  readonly name: string;

  readonly #options: BroadcastOptions;
  readonly #segment: NativeSegment;
  readonly #ring: BroadcastRingWriter;
  readonly #encoder: Encoder;
  /** Positions of the latest messages, in a ring of their own: message n is at n modulo its length. */
  readonly #history: Int32Array;
  readonly #publishing = new WaitingLine<WaitingPublish>();
  #readers: Reader[] = [];
  /** Whether readers have been asked to ring when they move. */
  #wanting = false;
  #timer: NodeJS.Timeout | undefined;
  #published = 0;
  #full = 0;
  #dropped = 0;
  #finished: IpcError | undefined;

  /**
   * @param firstPosition where positions start: 0, or a number close below 2^32 in tests.
   * @throws {IpcError} ERR_SYSTEM.
   */
  constructor(name: string, options: BroadcastOptions, firstPosition = 0) {
    this.name = name;
    this.#options = options;
    try {
      this.#segment = new (native().Segment)(segmentKind.broadcast, [options.capacityBytes], firstPosition);
    } catch (error) {
      throw IpcError.from(error, 'ERR_SYSTEM', 'creating shared memory', messageOf(error));
    }
    this.#ring = new BroadcastRingWriter(this.#segment);
    this.#encoder = broadcastCodecs[options.codec].encoder();
    this.#history = new Int32Array(options.history);
  }

  tryPublish(message: unknown): boolean {
    if (this.#finished) throw this.#finished;
    const { buffer, start, length } = this.#encode(message);
    const payload = start === 0 && length === buffer.length ? buffer : buffer.subarray(start, start + length);
    if (this.#publishing.length === 0 && this.#put(payload)) return true;
    this.#full++;
    return false;
  }

  publish(message: unknown, options?: WaitOptions): Promise<void> {
    try {
      if (this.tryPublish(message)) return done;
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.#publishing.full)
      return Promise.reject(IpcError.of('ERR_CHANNEL_BUSY', this.name, this.#publishing.length));
    const { buffer, start, length } = this.#encoder;
    // A copy: the encoder's bytes are overwritten by its next message.
    const bytes = new Uint8Array(buffer.subarray(start, start + length));
    return waiting<void>(`publish on broadcast ${this.name}`, options, (call) => {
      const leave = this.#publishing.join({ ...call, bytes });
      this.#awaitRoom();
      return () => {
        leave();
        this.#letThrough();
      };
    });
  }

  stats(): PublisherStats {
    return {
      published: this.#published,
      full: this.#full,
      readers: this.#readers.length,
      dropped: this.#dropped,
    };
  }

  /**
   * Lets a session read, from the latest messages on that the history keeps. An earlier subscription of it ends.
   * @param onDropped is called if the reader is dropped for being slow.
   */
  admit(link: Link, lane: number, number: number, onDropped: () => void = () => {}): Admission {
    this.leave(link);
    const place = this.#beginning();
    const reader: Reader = {
      link,
      cursor: link.cursor(lane),
      number,
      onDropped,
      leaveLink: link.join({ poll: () => this.#poll() }),
      position: place.position,
      late: undefined,
      unwatch: undefined,
    };
    this.#readers.push(reader);
    this.#holdForReaders();
    if (this.#publishing.length > 0) this.#awaitRoom();
    return { bytes: this.#segment.bytes, fd: this.#segment.fd, place };
  }

  /** The session reads no more, or has ended: it is in nobody's way from now on. */
  leave(link: Link): void {
    const reader = this.#readers.find((one) => one.link === link);
    if (reader) this.#forget(reader);
  }

  /** Ends all use; what was published stays with those who have mapped it. */
  finish(cause: IpcError): void {
    if (this.#finished) return;
    this.#finished = cause;
    for (const reader of this.#readers.splice(0)) this.#release(reader);
    this.#publishing.rejectAll(cause);
    clearTimeout(this.#timer);
    this.#segment.close();
  }

  #encode(message: unknown): Encoder {
    const encoder = this.#encoder;
    try {
      if (message === undefined) throw new TypeError('undefined is what an empty broadcast answers');
      encoder.encode(message);
    } catch (error) {
      throw IpcError.from(error, 'ERR_MESSAGE_INVALID', this.name, messageOf(error));
    }
    if (encoder.length > this.#ring.payloadMax)
      throw IpcError.of('ERR_MESSAGE_TOO_LARGE', this.name, encoder.length, this.#ring.payloadMax);
    return encoder;
  }

  #put(payload: Uint8Array): boolean {
    const ring = this.#ring;
    if (!ring.write(recordKind.message, 0, payload, payload.length) && !this.#writeAfterLooking(payload))
      return false;
    const history = this.#history;
    if (history.length > 0) history[ring.lastSequence % history.length] = ring.lastPosition;
    ring.publish();
    this.#published++;
    // SYNC park-or-ring: only those who read here are looked at.
    for (const { link } of this.#readers) link.notify();
    return true;
  }

  /** The oldest message that the history still has, or the next one. */
  #beginning(): BroadcastPlace {
    const { end, oldest } = this.#ring;
    const history = this.#history;
    const first = Math.max(end.sequence - history.length, oldest.sequence);
    return first < end.sequence ? this.#ring.place(history[first % history.length]!, first) : end;
  }

  // ---- readers that block

  /** Looks how far the readers are by now, drops those that were late for too long, and tries once more. */
  #writeAfterLooking(payload: Uint8Array): boolean {
    const nowMs = performance.now();
    const { end } = this.#ring;
    for (const reader of [...this.#readers]) {
      this.#look(reader);
      if (this.#ring.fits(payload.length, reader.position)) continue;
      reader.late ??= { sinceMs: nowMs, until: end.position };
      if (nowMs - reader.late.sinceMs >= this.#slowAfterMs) this.#drop(reader);
    }
    this.#holdForReaders();
    return this.#ring.write(recordKind.message, 0, payload, payload.length);
  }

  get #slowAfterMs(): number {
    const { slowAfterMs } = this.#options;
    return slowAfterMs === 'never' ? Number.POSITIVE_INFINITY : slowAfterMs;
  }

  #look(reader: Reader): void {
    const position = reader.cursor.positionOf(reader.number);
    if (position === undefined) return;
    const moved = (position - reader.position) | 0;
    const behind = (this.#ring.end.position - reader.position) | 0;
    // One that runs back, or ahead of what there is, lies; it is believed no further than before.
    if (moved > 0 && moved <= behind) reader.position = position;
    if (reader.late && ((reader.position - reader.late.until) | 0) >= 0) reader.late = undefined;
  }

  /** Nothing is overwritten that a blocking reader has not read. */
  #holdForReaders(): void {
    if (this.#options.reader !== 'block') return;
    const { position: end } = this.#ring.end;
    let behindMost = -1;
    for (const { position } of this.#readers) behindMost = Math.max(behindMost, (end - position) | 0);
    this.#ring.hold(behindMost < 0 ? undefined : (end - behindMost) | 0);
  }

  #drop(reader: Reader): void {
    this.#dropped++;
    this.#readers = this.#readers.filter((one) => one !== reader);
    reader.cursor.drop(reader.number);
    reader.link.notify();
    this.#release(reader);
    reader.onDropped();
  }

  #forget(reader: Reader): void {
    this.#readers = this.#readers.filter((one) => one !== reader);
    this.#release(reader);
    if (this.#finished) return;
    this.#holdForReaders();
    this.#letThrough();
  }

  #release(reader: Reader): void {
    reader.unwatch?.();
    reader.leaveLink();
  }

  // ---- those who wait for room

  /** Never leaves anything for another turn: what still waits is woken by a reader. */
  #poll(): boolean {
    if (this.#wanting) this.#letThrough();
    return false;
  }

  #letThrough(): void {
    if (this.#finished) return;
    for (let next = this.#publishing.first; next && this.#put(next.bytes); next = this.#publishing.first) {
      this.#publishing.shift();
      next.resolve();
    }
    if (this.#publishing.length === 0) this.#rest();
    this.#awaitSlowest();
  }

  /** Has the readers ring when they move on, for as long as anybody waits for that. */
  #awaitRoom(): void {
    this.#wanting = true;
    this.#ring.wantRoom(true);
    for (const reader of this.#readers)
      reader.unwatch ??= reader.link.watchHead(reader.cursor.headBytes, reader.cursor.headNow());
    // Once more, now that WANT is set: a reader may have moved before it could see it.
    this.#letThrough();
  }

  #rest(): void {
    if (!this.#wanting) return;
    this.#wanting = false;
    this.#ring.wantRoom(false);
    for (const reader of this.#readers) {
      reader.unwatch?.();
      reader.unwatch = undefined;
    }
  }

  /** Looks again when the time of the first late reader is over. */
  #awaitSlowest(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#publishing.length === 0 || this.#options.slowAfterMs === 'never') return;
    let firstMs = Number.POSITIVE_INFINITY;
    for (const { late } of this.#readers) if (late) firstMs = Math.min(firstMs, late.sinceMs);
    if (firstMs === Number.POSITIVE_INFINITY) return;
    const leftMs = firstMs + this.#slowAfterMs - performance.now();
    this.#timer = setTimeout(() => this.#letThrough(), Math.max(1, Math.ceil(leftMs)));
  }
}
