// The ring of cpp/shm/broadcast.h for JavaScript: numbered records of one writer, read by any number of readers, each at
// its own pace. The C++ header explains the protocol; the labels SYNC name the same pairs.
import { type NativeSegment, native } from './native.ts';

/** A place in a broadcast where a reader may begin. `position` and `turn` are 32-bit words. */
export interface BroadcastPlace {
  readonly position: number;
  readonly turn: number;
  /** Of the record there. */
  readonly sequence: number;
}

/** The largest payload of a broadcast's ring: half of it, so that a record fits wherever the positions stand. */
export function broadcastPayloadMax(capacity: number): number {
  return capacity / 2 - headerBytes;
}

const headerBytes = 16;
const wrapKind = 1;
/** Records and positions are multiples of 16 bytes. */
const alignMask = 15;
const turnBits = 30;
/** The turns that the two upper bits of a position tell apart. */
const turnsMask = 3;
const halfSequence = 2 ** 32;
/** Up to this many bytes a record is copied word by word: a view of it for a block copy costs more than that. */
const wordwiseMax = 128;
/** A writer that lies could have us try for ever. One that is always ahead publishes, and so wakes us again. */
const catchUpTries = 1000;

/** Where the words of a broadcast stand, as indexes of an Int32Array over its segment. */
function wordsOf() {
  const { lanesOffset, tailOffset, wantOffset, oldestOffset, turnOffset } = native().layout;
  return {
    tail: (lanesOffset + tailOffset) >> 2,
    want: (lanesOffset + wantOffset) >> 2,
    oldest: (lanesOffset + oldestOffset) >> 2,
    turn: (lanesOffset + turnOffset) >> 2,
  };
}

/**
 * SYNC overwrite-visible: keeps all accesses before it before all behind it, also where the processor would let plain
 * reads and writes overtake Atomics. A read-modify-write of a word that nobody else has does that everywhere.
 */
function fence(): void {
  Atomics.add(fenceWord, 0, 0);
}
const fenceWord = new Int32Array(new SharedArrayBuffer(4));

/** The turn of a position that is at most a ring behind one in `turn`. */
function turnOf(position: number, turn: number): number {
  return (turn - ((turn - (position >>> turnBits)) & turnsMask)) | 0;
}

/** The one writer: `own` is the broadcast's segment, which nobody else has yet. */
export class BroadcastRingWriter {
  readonly capacity: number;
  readonly payloadMax: number;

  readonly #words: Int32Array;
  readonly #ring: Uint8Array;
  readonly #ringWords: Int32Array;
  readonly #tailAt: number;
  readonly #wantAt: number;
  readonly #oldestAt: number;
  readonly #turnAt: number;
  readonly #mask: number;
  #tail: number;
  #turn: number;
  #oldest: number;
  #oldestSequence = 1;
  #held: number | undefined;
  /** Of the next record. */
  #sequence = 1;
  /** Where the last record begins. */
  #last = 0;

  constructor(own: NativeSegment) {
    const { tail, want, oldest, turn } = wordsOf();
    const [offset, capacity] = own.rings as [number, number];
    this.capacity = capacity;
    this.payloadMax = broadcastPayloadMax(capacity);
    this.#words = new Int32Array(own.buffer);
    this.#ring = new Uint8Array(own.buffer, offset, capacity);
    this.#ringWords = new Int32Array(own.buffer, offset, capacity >> 2);
    this.#tailAt = tail;
    this.#wantAt = want;
    this.#oldestAt = oldest;
    this.#turnAt = turn;
    this.#mask = capacity - 1;
    this.#tail = Atomics.load(this.#words, tail);
    this.#turn = this.#tail >>> turnBits;
    this.#oldest = this.#tail;
    Atomics.store(this.#words, oldest, this.#tail);
    Atomics.store(this.#words, turn, this.#turn);
  }

  /** Behind the newest record. */
  get end(): BroadcastPlace {
    return this.place(this.#tail, this.#sequence);
  }

  get oldest(): BroadcastPlace {
    return this.place(this.#oldest, this.#oldestSequence);
  }

  /** Where the last record begins. */
  get lastPosition(): number {
    return this.#last;
  }

  get lastSequence(): number {
    return this.#sequence - 1;
  }

  /** The place of a record that has not been overwritten. */
  place(position: number, sequence: number): BroadcastPlace {
    return { position, turn: turnOf(position, this.#turn), sequence };
  }

  /** From that position on nothing is overwritten; undefined: everything may be. */
  hold(position: number | undefined): void {
    this.#held = position;
  }

  /** Whether a record of `length` bytes can be written if everything from `position` on is held. */
  fits(length: number, position: number): boolean {
    return ((this.#tail - position) | 0) + this.#needed(length) <= this.capacity;
  }

  /**
   * Copies a record of `length` bytes of `payload` into the ring, over the oldest ones; `publish` makes it visible.
   * REQUIRES: length <= payloadMax; everything written before has been published.
   * @returns false if what is held leaves no room; nothing was written then.
   */
  write(kind: number, flags: number, payload: Uint8Array, length: number): boolean {
    const needed = this.#needed(length);
    if (this.#held !== undefined && ((this.#tail - this.#held) | 0) + needed > this.capacity) return false;
    this.#makeRoom(needed);
    const total = (headerBytes + length + alignMask) & ~alignMask;
    if (total !== needed) {
      this.#begin(this.#tail & this.#mask, wrapKind, needed - total - headerBytes);
      this.#tail = (this.#tail + needed - total) | 0;
    }
    this.#last = this.#tail;
    const at = this.#tail & this.#mask;
    this.#begin(at, kind | (flags << 8), length);
    if (length > 0)
      this.#ring.set(length === payload.length ? payload : payload.subarray(0, length), at + headerBytes);
    this.#tail = (this.#tail + total) | 0;
    this.#sequence++;
    return true;
  }

  /** SYNC record-visible: makes everything written so far visible in one store. */
  publish(): void {
    Atomics.store(this.#words, this.#tailAt, this.#tail);
  }

  /** SYNC room-visible: asks the readers that block to ring when they have moved. Look once more after it. */
  wantRoom(want: boolean): void {
    Atomics.store(this.#words, this.#wantAt, want ? 1 : 0);
  }

  /** Bytes of the ring that such a record takes now, with what it leaves at the end of the ring. */
  #needed(length: number): number {
    const total = (headerBytes + length + alignMask) & ~alignMask;
    const toEnd = this.capacity - (this.#tail & this.#mask);
    return total <= toEnd ? total : toEnd + total;
  }

  #makeRoom(needed: number): void {
    const before = this.#oldest;
    while (((this.#tail - this.#oldest) | 0) + needed > this.capacity) {
      const word = (this.#oldest & this.#mask) >> 2;
      const bytes = this.#ringWords[word]!;
      if (this.#ringWords[word + 1] !== wrapKind) this.#oldestSequence++;
      this.#oldest = (this.#oldest + ((headerBytes + bytes + alignMask) & ~alignMask)) | 0;
    }
    const end = this.#tail + needed;
    const turns = ((end | 0) >>> turnBits) - (this.#tail >>> turnBits);
    if (this.#oldest === before && turns === 0) return;
    if (this.#oldest !== before) Atomics.store(this.#words, this.#oldestAt, this.#oldest);
    if (turns !== 0) {
      this.#turn = (this.#turn + 1) | 0;
      Atomics.store(this.#words, this.#turnAt, this.#turn);
    }
    fence();
  }

  #begin(at: number, mark: number, bytes: number): void {
    const word = at >> 2;
    this.#ringWords[word] = bytes;
    this.#ringWords[word + 1] = mark;
    this.#ringWords[word + 2] = this.#sequence | 0;
    this.#ringWords[word + 3] = (this.#sequence / halfSequence) | 0;
  }
}

/** A reader: `seen` is the writer's segment. It writes nothing, and everything that it reads is checked. */
export class BroadcastRingReader {
  readonly capacity: number;
  /** Byte offset in the writer's segment of the tail, for a doorbell to watch. */
  readonly tailBytes: number;
  /** What is wrong with the writer's memory; once set, nothing more is read. */
  broken: string | undefined;
  /** Of the record that was read last: what this reader has missed before it, its kind, and its bytes in `copy`. */
  gap = 0;
  kind = 0;
  flags = 0;
  length = 0;
  /** The reader's own memory: holds the record that was read last until the next read. */
  copy = new Uint8Array(4096);
  #copyWords = new Int32Array(this.copy.buffer);

  readonly #words: Int32Array;
  readonly #ring: Uint8Array;
  readonly #ringWords: Int32Array;
  readonly #tailAt: number;
  readonly #wantAt: number;
  readonly #oldestAt: number;
  readonly #turnAt: number;
  readonly #mask: number;
  #head: number;
  #headTurn: number;
  #sequence: number;
  #tail: number;
  #missed = 0;

  constructor(seen: NativeSegment, first: BroadcastPlace) {
    const { tail, want, oldest, turn } = wordsOf();
    const [offset, capacity] = seen.rings as [number, number];
    this.capacity = capacity;
    this.tailBytes = tail << 2;
    this.#words = new Int32Array(seen.buffer);
    this.#ring = new Uint8Array(seen.buffer, offset, capacity);
    this.#ringWords = new Int32Array(seen.buffer, offset, capacity >> 2);
    this.#tailAt = tail;
    this.#wantAt = want;
    this.#oldestAt = oldest;
    this.#turnAt = turn;
    this.#mask = capacity - 1;
    this.#head = first.position | 0;
    this.#headTurn = first.turn | 0;
    this.#sequence = first.sequence;
    this.#tail = this.#head;
  }

  /** Where the next record is read: the cursor that a blocking reader tells its writer. */
  get position(): number {
    return this.#head;
  }

  /** SYNC room-visible: whether the writer waits for readers to move. Ask after telling where you are. */
  get writerWaits(): boolean {
    return Atomics.load(this.#words, this.#wantAt) !== 0;
  }

  /** Copies the next record that is still whole into `copy`. @returns false if there is none now or memory is broken. */
  read(): boolean {
    for (let tries = catchUpTries; tries > 0; tries--) {
      if (this.#head === this.#tail && !this.available()) return false;
      const at = this.#head & this.#mask;
      const word = at >> 2;
      // Read once: the writer may change it under our eyes.
      const bytes = this.#ringWords[word]! >>> 0;
      const mark = this.#ringWords[word + 1]!;
      const low = this.#ringWords[word + 2]! >>> 0;
      const high = this.#ringWords[word + 3]! >>> 0;
      const left = (this.#tail - this.#head) | 0;
      const total = (headerBytes + bytes + alignMask) & ~alignMask;
      const fits = bytes <= left && total <= left && at + total <= this.capacity;
      const wraps = mark === wrapKind;
      if (fits && !wraps) this.#copy(at + headerBytes, bytes);
      // Only what was whole after the copy counts.
      fence();
      if (this.#lapped()) {
        if (!this.#catchUp()) return false;
        continue;
      }
      if (!fits) return this.#break('a record is longer than the ring');
      if (wraps && at + total !== this.capacity) return this.#break('a wrap record does not end the ring');
      if (low + high * halfSequence !== this.#sequence)
        return this.#break('a record is missing or comes twice');
      this.#advance(total);
      if (wraps) continue;
      this.#sequence++;
      this.gap = this.#missed;
      this.#missed = 0;
      this.kind = mark & 0xff;
      this.flags = (mark >>> 8) & 0xff;
      this.length = bytes;
      return true;
    }
    return false;
  }

  /** SYNC record-visible: whether there is something to read. */
  available(): boolean {
    if (this.broken !== undefined) return false;
    if (this.#head !== this.#tail) return true;
    const tail = Atomics.load(this.#words, this.#tailAt);
    if (this.#lapped()) return this.#catchUp();
    const unread = (tail - this.#head) | 0;
    if (unread < 0 || unread > this.capacity || (tail & alignMask) !== 0)
      return this.#break('the tail is outside the ring');
    this.#tail = tail;
    return unread > 0;
  }

  /** Stops reading for good, because what the writer sent makes no sense. */
  refuse(why: string): void {
    this.broken ??= why;
    this.#tail = this.#head;
  }

  #copy(at: number, bytes: number): void {
    if (bytes > wordwiseMax) {
      if (bytes > this.copy.length) {
        this.copy = new Uint8Array(2 ** Math.ceil(Math.log2(bytes)));
        this.#copyWords = new Int32Array(this.copy.buffer);
      }
      this.copy.set(this.#ring.subarray(at, at + bytes));
      return;
    }
    const from = at >> 2;
    const words = (bytes + 3) >> 2;
    for (let i = 0; i < words; i++) this.#copyWords[i] = this.#ringWords[from + i]!;
  }

  #lapped(): boolean {
    const oldest = Atomics.load(this.#words, this.#oldestAt);
    const turn = Atomics.load(this.#words, this.#turnAt);
    return (turn - this.#headTurn) >>> 0 >= 2 || ((oldest - this.#head) | 0) > 0;
  }

  /**
   * Goes on with the oldest record that is whole, and notes what was missed. @returns false while there is none that stays:
   * the writer is in the middle of a record then, and rings when that is there.
   */
  #catchUp(): boolean {
    const words = this.#words;
    for (let tries = catchUpTries; tries > 0; tries--) {
      const turn = Atomics.load(words, this.#turnAt);
      const oldest = Atomics.load(words, this.#oldestAt);
      if (Atomics.load(words, this.#turnAt) !== turn) continue;
      const oldestTurn = turnOf(oldest, turn);
      // First: a header that begins between two places could end behind the ring.
      if ((oldest & alignMask) !== 0 || (turn - oldestTurn) >>> 0 >= 2)
        return this.#break('the oldest record is outside the ring');
      const tail = Atomics.load(words, this.#tailAt);
      if (tail === oldest) break;
      const word = (oldest & this.#mask) >> 2;
      const low = this.#ringWords[word + 2]! >>> 0;
      const high = this.#ringWords[word + 3]! >>> 0;
      fence();
      if (Atomics.load(words, this.#oldestAt) !== oldest || Atomics.load(words, this.#turnAt) !== turn)
        continue;
      const sequence = low + high * halfSequence;
      const unread = (tail - oldest) | 0;
      if (unread < 0 || unread > this.capacity || sequence < this.#sequence)
        return this.#break('the oldest record is outside the ring');
      this.#missed += sequence - this.#sequence;
      this.#head = oldest;
      this.#headTurn = oldestTurn;
      this.#sequence = sequence;
      this.#tail = tail;
      return true;
    }
    this.#tail = this.#head;
    return false;
  }

  #advance(bytes: number): void {
    const next = (this.#head + bytes) | 0;
    if (next >>> turnBits !== this.#head >>> turnBits) this.#headTurn = (this.#headTurn + 1) | 0;
    this.#head = next;
  }

  #break(why: string): false {
    this.refuse(why);
    return false;
  }
}
