// Lane mirror: one lane of a session whose other end is on another machine, as the gateway between sees it. Both machines have
// rings of one size, and the same bytes stand at the same places in both. So what a program finds in its ring (room, what was
// read, the last place of a channel) means the same as on one machine, and nothing is decoded or waits in between.
import { type BlockReference, readReference, referenceBytes } from './block-reference.ts';
import { type NativeSegment, native } from './native.ts';
import { recordKind } from './record.ts';

/** Some bytes of a ring; `last`: with them it holds whole records only. */
export interface RingPiece {
  readonly at: number;
  readonly bytes: Uint8Array;
  readonly last: boolean;
}

/** Called for each block that a record lends. @returns false if the record has to wait. @throws for a reference without sense. */
export type OnBlock = (reference: BlockReference) => boolean;

export class LaneMirror {
  /** Byte offsets in the peer's segment of the words that move when it writes, and when it reads. */
  readonly tailBytes: number;
  readonly headBytes: number;

  readonly #own: Int32Array;
  readonly #peer: Int32Array;
  readonly #ownRing: Uint8Array;
  readonly #peerRing: Uint8Array;
  readonly #peerRingWords: Int32Array;
  readonly #tailAt: number;
  readonly #wantAt: number;
  readonly #headAt: number;
  readonly #capacity: number;
  readonly #onBlock: OnBlock | undefined;
  /** Of the peer's ring: how far it was taken, may be taken, and was read on the other machine. */
  #taken: number;
  #limit: number;
  #read: number;
  /** Of our ring: how far it was written, and what was told of the peer's reading. */
  #written: number;
  #told: number;

  /** @param onBlock for lanes with messages, where memory is lent. */
  constructor(own: NativeSegment, peer: NativeSegment, lane: number, onBlock: OnBlock | undefined) {
    const { lanesOffset, laneStride, tailOffset, wantOffset, headOffset } = native().layout;
    const base = lanesOffset + lane * laneStride;
    this.tailBytes = base + tailOffset;
    this.headBytes = base + headOffset;
    this.#tailAt = this.tailBytes >> 2;
    this.#wantAt = (base + wantOffset) >> 2;
    this.#headAt = this.headBytes >> 2;
    this.#own = new Int32Array(own.buffer);
    this.#peer = new Int32Array(peer.buffer);
    const [ownOffset, capacity] = own.rings.slice(lane * 2) as [number, number];
    const peerOffset = peer.rings[lane * 2]!;
    this.#capacity = capacity;
    this.#ownRing = new Uint8Array(own.buffer, ownOffset, capacity);
    this.#peerRing = new Uint8Array(peer.buffer, peerOffset, capacity);
    this.#peerRingWords = new Int32Array(peer.buffer, peerOffset, capacity >> 2);
    this.#onBlock = onBlock;
    this.#taken = Atomics.load(this.#own, this.#headAt);
    this.#limit = this.#taken;
    this.#read = this.#taken;
    this.#written = Atomics.load(this.#own, this.#tailAt);
    this.#told = this.#written;
    // The peer rings for each release: on the other machine somebody may wait for the room.
    Atomics.store(this.#own, this.#wantAt, 1);
  }

  /** Where the peer's ring ends now: what was written before a frame that has come. */
  get tail(): number {
    return Atomics.load(this.#peer, this.#tailAt);
  }

  /** Whether everything up to that place has been taken. */
  hasTaken(tail: number): boolean {
    return ((this.#taken - tail) | 0) >= 0;
  }

  /** The next bytes that the peer has written. @throws an Error for a ring that makes no sense. */
  take(max: number): RingPiece | undefined {
    if (this.#taken === this.#limit) this.#look();
    const left = (this.#limit - this.#taken) | 0;
    if (left === 0) return undefined;
    const start = this.#taken & (this.#capacity - 1);
    const length = Math.min(left, max & ~7, this.#capacity - start);
    const at = this.#taken >>> 0;
    this.#taken = (this.#taken + length) | 0;
    return {
      at,
      bytes: this.#peerRing.slice(start, start + length),
      last: this.#taken === this.#limit,
    };
  }

  /** Whether the peer has written what was not taken. */
  get hasMore(): boolean {
    return this.#taken !== this.#limit || this.tail !== this.#limit;
  }

  #look(): void {
    const { tail } = this;
    const length = (tail - this.#limit) | 0;
    if (length < 0 || ((tail - this.#read) | 0) > this.#capacity || (tail & 7) !== 0)
      throw new Error('the tail is outside the ring');
    if (this.#onBlock) this.#limit = this.#recordsUpTo(tail, this.#onBlock);
    else this.#limit = tail;
  }

  /** Where the records end that need not wait. The reader checks records; here they are only told apart. */
  #recordsUpTo(tail: number, onBlock: OnBlock): number {
    const { recordHeaderBytes } = native().layout;
    let at = this.#limit;
    while (at !== tail) {
      const start = at & (this.#capacity - 1);
      const bytes = this.#peerRingWords[start >> 2]! >>> 0;
      const kind = this.#peerRingWords[(start >> 2) + 1]! & 0xff;
      const total = recordHeaderBytes + Math.ceil(bytes / 8) * 8;
      if (total > ((tail - at) | 0) || start + total > this.#capacity)
        throw new Error('a record is longer than the ring');
      if (kind === recordKind.block) {
        if (bytes !== referenceBytes) throw new Error('a reference of another length');
        const words = this.#peerRingWords.slice((start + recordHeaderBytes) >> 2, (start + total) >> 2);
        if (!onBlock(readReference(words, 0))) return at;
      }
      at = (at + total) | 0;
    }
    return tail;
  }

  /**
   * The other machine's program has read up to there.
   * @returns whether our peer waits for that room. @throws an Error for a place that can't be one.
   */
  readUpTo(head: number): boolean {
    const length = (head - this.#read) | 0;
    if (length < 0 || length > ((this.#taken - this.#read) | 0) || (head & 7) !== 0)
      throw new Error('it has read what was not sent');
    this.#read = head | 0;
    Atomics.store(this.#own, this.#headAt, this.#read);
    return Atomics.load(this.#peer, this.#wantAt) !== 0;
  }

  /**
   * Writes what stands at that place of the other machine's ring. One that sends more than there is room for harms nobody but
   * the reader of this lane, who finds out.
   * @returns whether something became visible. @throws an Error for another place than the next one.
   */
  put({ at, bytes, last }: RingPiece): boolean {
    const start = this.#written & (this.#capacity - 1);
    if (at >>> 0 !== this.#written >>> 0 || bytes.length === 0 || (bytes.length & 7) !== 0)
      throw new Error('a piece of a ring in the wrong place');
    if (start + bytes.length > this.#capacity) throw new Error('a piece beyond the end of a ring');
    this.#ownRing.set(bytes, start);
    this.#written = (this.#written + bytes.length) | 0;
    if (last) Atomics.store(this.#own, this.#tailAt, this.#written);
    return last;
  }

  /** How far the peer has read, if that is news. */
  news(): number | undefined {
    const head = Atomics.load(this.#peer, this.#headAt);
    if (head === this.#told) return undefined;
    const unread = (this.#written - head) | 0;
    // A head that makes no sense is never told; the writer on the other machine then waits, as on this one.
    if (unread < 0 || unread > this.#capacity || ((head - this.#told) | 0) < 0) return undefined;
    this.#told = head;
    return head >>> 0;
  }
}
