// The lane of cpp/shm/lane.h for JavaScript: a single-producer single-consumer ring of byte records, read and written
// without a native call. The C++ header explains the protocol; the labels SYNC name the same pairs.
//
// Order between processes: every word that the other side reads is written by Atomics.store and read by Atomics.load,
// which V8 compiles to sequentially consistent accesses of the mapping. The language promises that only for a
// SharedArrayBuffer; memory-order.ts tests it at start-up and test/transport/litmus.test.ts between two processes.
import type { Breach } from '../spec/session.ts';
import { type NativeSegment, native } from './native.ts';

/** What Node's event loop and the ring see of a record. `kind` and `flags` are a byte each. */
export interface RecordPlace {
  kind: number;
  flags: number;
  /** First byte of the payload, counted from the start of the ring. */
  at: number;
  bytes: number;
}

/** The largest payload of a ring: half of it, so that a record fits an empty ring wherever the positions stand. */
export function payloadBytesMax(capacity: number): number {
  return capacity / 2 - 8;
}

/** The words of one lane in one segment, as indexes of an Int32Array over it. */
function wordsOf(lane: number) {
  const { lanesOffset, laneStride, tailOffset, wantOffset, headOffset, parkOffset } = native().layout;
  const base = lanesOffset + lane * laneStride;
  return {
    tail: (base + tailOffset) >> 2,
    want: (base + wantOffset) >> 2,
    head: (base + headOffset) >> 2,
    headBytes: base + headOffset,
    tailBytes: base + tailOffset,
    park: parkOffset >> 2,
  };
}

function ringOf(segment: NativeSegment, lane: number): { offset: number; capacity: number } {
  return { offset: segment.rings[lane * 2]!, capacity: segment.rings[lane * 2 + 1]! };
}

const headerBytes = 8;
const wrapKind = 1;

/** Where the writer of that lane stands: its final tail, once nothing is written any more. */
export function tailOf(own: NativeSegment, lane: number): number {
  return Atomics.load(new Int32Array(own.buffer), wordsOf(lane).tail) >>> 0;
}

/** How far the reader of that lane has read. */
export function headOf(own: NativeSegment, lane: number): number {
  return Atomics.load(new Int32Array(own.buffer), wordsOf(lane).head) >>> 0;
}

/**
 * Leaves out what the peer had written up to its final tail, so that the lane can be used again from there.
 * @throws an Error for a tail that can't be one: the peer wrote it.
 */
export function skipTo(own: NativeSegment, peer: NativeSegment, lane: number, tail: number): void {
  const { capacity } = ringOf(peer, lane);
  const words = new Int32Array(own.buffer);
  const at = wordsOf(lane).head;
  const skipped = (tail - Atomics.load(words, at)) | 0;
  if (skipped < 0 || skipped > capacity || (tail & 7) !== 0) throw new Error('a last place outside the ring');
  Atomics.store(words, at, tail | 0);
}

/** The sending end: `own` holds the ring and the tail, `peer` the reader's head and its park word. */
export class LaneWriter {
  readonly capacity: number;
  readonly payloadMax: number;
  /** Byte offset in the peer's segment of the head, for a doorbell to watch while we wait for room. */
  readonly headBytes: number;

  readonly #own: Int32Array;
  readonly #peer: Int32Array;
  readonly #ring: Uint8Array;
  readonly #ringWords: Int32Array;
  readonly #tailAt: number;
  readonly #wantAt: number;
  readonly #headAt: number;
  readonly #mask: number;
  #tail: number;
  #head: number;
  #sequence = 0;

  constructor(own: NativeSegment, peer: NativeSegment, lane: number) {
    const words = wordsOf(lane);
    const { offset, capacity } = ringOf(own, lane);
    this.capacity = capacity;
    this.payloadMax = payloadBytesMax(capacity);
    this.headBytes = words.headBytes;
    this.#own = new Int32Array(own.buffer);
    this.#peer = new Int32Array(peer.buffer);
    this.#ring = new Uint8Array(own.buffer, offset, capacity);
    this.#ringWords = new Int32Array(own.buffer, offset, capacity >> 2);
    this.#tailAt = words.tail;
    this.#wantAt = words.want;
    this.#headAt = words.head;
    this.#mask = capacity - 1;
    this.#tail = Atomics.load(this.#own, this.#tailAt);
    this.#head = this.#tail;
  }

  /**
   * Copies a record of `length` bytes of `payload` into the ring; `publish` makes it visible.
   * REQUIRES: length <= payloadMax.
   * @returns false if there is no room now; nothing was written then.
   */
  write(kind: number, flags: number, payload: Uint8Array, length: number): boolean {
    const at = this.#reserve(length);
    if (at < 0) return false;
    this.#begin(at, kind, flags, length);
    const start = at + headerBytes;
    if (length === payload.length) this.#ring.set(payload, start);
    else if (length > 0) this.#ring.set(payload.subarray(0, length), start);
    return true;
  }

  /** As `write`, for a payload of a number and then bytes: requests and replies carry their number so. */
  writeNumbered(kind: number, flags: number, number: number, payload: Uint8Array, length: number): boolean {
    const at = this.#reserve(length + 4);
    if (at < 0) return false;
    this.#begin(at, kind, flags, length + 4);
    this.#ringWords[(at + headerBytes) >> 2] = number;
    this.#ring.set(length === payload.length ? payload : payload.subarray(0, length), at + headerBytes + 4);
    return true;
  }

  /** Whether a record of that many bytes could be written now. */
  hasRoom(length: number): boolean {
    const total = (headerBytes + length + 7) & ~7;
    const toEnd = this.capacity - (this.#tail & this.#mask);
    const needed = total <= toEnd ? total : toEnd + total;
    return this.capacity - ((this.#tail - this.#head) | 0) >= needed || this.#refresh(needed);
  }

  /** SYNC record-visible: makes everything written so far visible to the reader in one store. */
  publish(): void {
    Atomics.store(this.#own, this.#tailAt, this.#tail);
  }

  /** SYNC room-visible: asks the reader to ring when it has given room back. Look for room once more after it. */
  wantRoom(want: boolean): void {
    Atomics.store(this.#own, this.#wantAt, want ? 1 : 0);
  }

  /** The reader's head as it is now: how far it has read. */
  readerHead(): number {
    return Atomics.load(this.#peer, this.#headAt);
  }

  /** Where the next record will end at the earliest; `readerHead` reaching it means that all was read. */
  get position(): number {
    return this.#tail;
  }

  /** Calls back for each record that the reader has not taken, oldest first. For after the reader's end. */
  eachUnread(visit: (kind: number, bytes: number) => void): void {
    let at = this.#tail - this.unreadBytes();
    while (((this.#tail - at) | 0) > 0) {
      const word = (at & this.#mask) >> 2;
      const total = (headerBytes + this.#ringWords[word]! + 7) & ~7;
      // The reader's head is its word, not ours: from a false one we may land between two records.
      if (total < headerBytes || total > this.capacity) return;
      visit(this.#ringWords[word + 1]! & 0xff, this.#ringWords[word]!);
      at += total;
    }
  }

  /** Bytes that the reader has not taken. */
  unreadBytes(): number {
    const unread = (this.#tail - this.readerHead()) | 0;
    return unread < 0 || unread > this.capacity ? this.capacity : unread;
  }

  /** The place of a record's header, after a wrap record if one was needed; -1 if there is no room. */
  #reserve(length: number): number {
    const total = (headerBytes + length + 7) & ~7;
    const at = this.#tail & this.#mask;
    const toEnd = this.capacity - at;
    const needed = total <= toEnd ? total : toEnd + total;
    if (this.capacity - ((this.#tail - this.#head) | 0) < needed && !this.#refresh(needed)) return -1;
    if (total <= toEnd) {
      this.#tail = (this.#tail + total) | 0;
      return at;
    }
    this.#ringWords[at >> 2] = toEnd - headerBytes;
    this.#ringWords[(at >> 2) + 1] = wrapKind;
    this.#tail = (this.#tail + toEnd + total) | 0;
    return 0;
  }

  #refresh(needed: number): boolean {
    const head = Atomics.load(this.#peer, this.#headAt);
    const unread = (this.#tail - head) | 0;
    // A head that runs ahead of the tail or back is a lie; trusting it could only overwrite what the liar has not read.
    if (unread < 0 || unread > this.capacity) return false;
    this.#head = head;
    return this.capacity - unread >= needed;
  }

  #begin(at: number, kind: number, flags: number, length: number): void {
    this.#sequence = (this.#sequence + 1) & 0xffff;
    this.#ringWords[at >> 2] = length;
    this.#ringWords[(at >> 2) + 1] = kind | (flags << 8) | (this.#sequence << 16);
  }
}

/** The receiving end: `peer` holds the ring and the tail, `own` our head. Everything read from `peer` is checked. */
export class LaneReader {
  readonly capacity: number;
  /** The ring, read-only memory of the writer: bytes of a record stay as they are until `release`. */
  readonly ring: Uint8Array;
  readonly ringWords: Int32Array;
  /** Byte offset in the peer's segment of the tail, for a doorbell to watch. */
  readonly tailBytes: number;
  /** What is wrong with the writer's memory; once set, nothing more is read. */
  broken: string | undefined;
  /** Which rule that breaks. */
  breach: Breach = 'protocol';

  readonly #own: Int32Array;
  readonly #peer: Int32Array;
  readonly #tailAt: number;
  readonly #wantAt: number;
  readonly #headAt: number;
  readonly #mask: number;
  #head: number;
  #released: number;
  #tail: number;
  #sequence = 0;

  constructor(own: NativeSegment, peer: NativeSegment, lane: number) {
    const words = wordsOf(lane);
    const { offset, capacity } = ringOf(peer, lane);
    this.capacity = capacity;
    this.tailBytes = words.tailBytes;
    this.#own = new Int32Array(own.buffer);
    this.#peer = new Int32Array(peer.buffer);
    this.ring = new Uint8Array(peer.buffer, offset, capacity);
    this.ringWords = new Int32Array(peer.buffer, offset, capacity >> 2);
    this.#tailAt = words.tail;
    this.#wantAt = words.want;
    this.#headAt = words.head;
    this.#mask = capacity - 1;
    this.#head = Atomics.load(this.#own, this.#headAt);
    this.#released = this.#head;
    this.#tail = this.#head;
  }

  /** The next record's place, or false if there is none now or the writer's memory is broken. */
  read(into: RecordPlace): boolean {
    for (;;) {
      if (this.#head === this.#tail && !this.available()) return false;
      const at = this.#head & this.#mask;
      // Read once: the writer may change it under our eyes.
      const bytes = this.ringWords[at >> 2]! >>> 0;
      const mark = this.ringWords[(at >> 2) + 1]!;
      const left = (this.#tail - this.#head) | 0;
      const total = (headerBytes + bytes + 7) & ~7;
      if (bytes > left || total > left || at + total > this.capacity)
        return this.#break('a record is longer than the ring');
      this.#head = (this.#head + total) | 0;
      if ((mark & 0xff) === wrapKind) {
        if (at + total !== this.capacity) return this.#break('a wrap record does not end the ring');
        continue;
      }
      this.#sequence = (this.#sequence + 1) & 0xffff;
      if (mark >>> 16 !== this.#sequence) return this.#break('a record is missing or comes twice');
      into.kind = mark & 0xff;
      into.flags = (mark >>> 8) & 0xff;
      into.at = at + headerBytes;
      into.bytes = bytes;
      return true;
    }
  }

  /** The kind of the next record, 0 if there is none now. It may be another one when it is read. */
  nextKind(): number {
    if (!this.available()) return 0;
    const at = (this.#head & this.#mask) >> 2;
    const kind = this.ringWords[at + 1]! & 0xff;
    // A wrap record is never the last one.
    return kind === wrapKind ? this.ringWords[1]! & 0xff : kind;
  }

  /** SYNC record-visible: whether a record can be read. */
  available(): boolean {
    if (this.#head !== this.#tail) return true;
    if (this.broken !== undefined) return false;
    const tail = Atomics.load(this.#peer, this.#tailAt);
    const unread = (tail - this.#head) | 0;
    if (unread < 0 || unread > this.capacity || (tail & 7) !== 0)
      return this.#break('the tail is outside the ring');
    this.#tail = tail;
    return unread > 0;
  }

  /** Bytes that have been read, as a word that wraps, and those that have come and have not; for figures alone. */
  progress(): { taken: number; unreadBytes: number } {
    const unread = (Atomics.load(this.#peer, this.#tailAt) - this.#head) | 0;
    return { taken: this.#head, unreadBytes: Math.min(this.capacity, Math.max(0, unread)) };
  }

  /** SYNC room-visible: gives the room of all read records back. @returns whether the writer waits for it. */
  release(): boolean {
    if (this.#released === this.#head) return false;
    this.#released = this.#head;
    Atomics.store(this.#own, this.#headAt, this.#head);
    return Atomics.load(this.#peer, this.#wantAt) !== 0;
  }

  /** Stops reading for good, because what the writer sent makes no sense. */
  refuse(why: string): void {
    this.broken ??= why;
    this.#tail = this.#head;
  }

  #break(why: string): false {
    if (this.broken === undefined) this.breach = 'memory';
    this.refuse(why);
    return false;
  }
}
