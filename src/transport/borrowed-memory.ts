// Borrowed memory: the peer's half of what the two sides of a session lend each other. Its segments, what we hold in them, and
// our releases, which stand in a lane of our own segment.
import { IpcError, messageOf } from '../errors.ts';
import type { InPlaceCodec } from '../spec/memory.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { type BlockReference, checkBlock, referenceIn } from './block-reference.ts';
import { Borrow, type BorrowedFrom, checkedView, closeView } from './borrow.ts';
import type { LaneWriter } from './lane.ts';
import { type MemoryLimits, type MemoryObserver, type SegmentOffer, segmentsMax } from './lent-memory.ts';
import { type Link, segmentKind } from './link.ts';
import { type NativeSegment, native } from './native.ts';
import { recordKind } from './record.ts';
import { type Call, WaitingLine, waiting } from './waiting.ts';

/** A segment of the peer. */
interface Received {
  readonly native: NativeSegment;
  readonly buffer: ArrayBuffer;
  readonly bytes: number;
  readonly words: Uint32Array;
  /** Borrows in it; as long as there are any, it stays mapped. */
  borrows: number;
}

export class BorrowedMemory implements BorrowedFrom {
  readonly #limits: MemoryLimits;
  readonly #link: Link;
  readonly #observer: MemoryObserver;
  readonly #peerScope: number;
  readonly #peerApp: string;
  readonly #writer: LaneWriter;
  readonly #releaseRecord = new Uint8Array(4);
  readonly #releaseWords = new Uint32Array(this.#releaseRecord.buffer);
  readonly #received: Received[] = [];
  readonly #receivedBytes = { session: 0, shared: 0 };
  readonly #layout = native().layout;
  /** By slot: the view and the segment of its last borrow. Blocks that come back come with their slot. */
  readonly #views: (Uint8Array | undefined)[];
  readonly #borrowedIn: Uint32Array;
  readonly #borrowedAs: Uint32Array;
  readonly #borrowedTimes: Uint32Array;
  readonly #releasedAs: Uint32Array;
  /** A release was written that the peer can't see yet. */
  #unpublished = false;
  readonly #awaiting = new WaitingLine<Call<void> & { segment: number }>();
  #closed = false;

  /** @param scope tells the peer's direction of the session from all others. */
  constructor(
    link: Link,
    releases: LaneWriter,
    limits: MemoryLimits,
    { scope, app }: { scope: number; app: string },
    observer: MemoryObserver,
  ) {
    const { slots } = limits;
    this.#limits = limits;
    this.#link = link;
    this.#observer = observer;
    this.#peerScope = scope;
    this.#peerApp = app;
    this.#writer = releases;
    this.#views = new Array(slots).fill(undefined);
    this.#borrowedIn = new Uint32Array(slots);
    this.#borrowedAs = new Uint32Array(slots);
    this.#borrowedTimes = new Uint32Array(slots);
    this.#releasedAs = new Uint32Array(slots);
  }

  /** Takes over a segment of the peer. @throws an Error that says what is wrong with it. */
  receive({ number, scope, bytes }: SegmentOffer, fd: number): void {
    const limit = scope === 'session' ? this.#limits.arenaBytes : this.#limits.sharedBytes;
    const left = limit - this.#receivedBytes[scope];
    if (number !== this.#received.length || number >= segmentsMax || bytes > left) {
      native().closeFd(fd);
      throw new Error(bytes > left ? `more memory than the ${limit} bytes agreed` : 'a segment out of order');
    }
    let segment: NativeSegment;
    try {
      segment = new (native().Segment)(segmentKind.arena, fd, bytes, left);
    } catch (error) {
      throw new Error(`a segment that was refused: ${messageOf(error)}`);
    }
    segment.closeFile();
    segment.name(`memory lent in the session with app ${this.#peerApp}`, []);
    this.#receivedBytes[scope] += bytes;
    const { buffer } = segment;
    this.#received.push({ native: segment, buffer, bytes, words: new Uint32Array(buffer), borrows: 0 });
    for (const call of this.#awaiting.take((waits) => waits.segment === number)) call.resolve();
    // Lanes that had to stop for it go on.
    this.#link.again();
  }

  /**
   * Holds what a reference leads to.
   * @param again whether the same loan may be borrowed a second time while it is borrowed.
   * @returns undefined if its segment has not come yet.
   * @throws an Error that says why the reference makes no sense.
   */
  borrow<T>(
    what: string,
    reference: BlockReference,
    read: (bytes: Uint8Array) => T,
    again: boolean,
  ): Borrow<T> | undefined {
    const { slot, slotGeneration, segment: number, offset, start, bytes } = reference;
    if (slot >= this.#limits.slots || number >= segmentsMax) throw new Error('a reference beyond all limits');
    const segment = this.#received[number];
    if (!segment) {
      if (this.#closed) throw new Error('a reference to memory that never came');
      return undefined;
    }
    checkBlock(reference, segment.words, segment.bytes, this.#layout);
    const times = this.#borrowedTimes[slot]!;
    if (times > 0 && (!again || this.#borrowedAs[slot] !== slotGeneration))
      throw new Error('a second reference in a slot that is borrowed');
    if (times === 0 && ((slotGeneration - this.#releasedAs[slot]!) | 0) <= 0)
      throw new Error('a reference that was released already');
    this.#borrowedAs[slot] = slotGeneration;
    this.#borrowedTimes[slot] = times + 1;
    segment.borrows++;
    this.#borrowedIn[slot] = number;
    return new Borrow(what, this.#viewOf(segment, slot, offset + start, bytes), read, this, slot);
  }

  #viewOf(segment: Received, slot: number, at: number, bytes: number): Uint8Array {
    const checked = checkedView(segment.native, at, bytes);
    if (checked) return checked;
    const last = this.#views[slot];
    if (
      last !== undefined &&
      last.byteOffset === at &&
      last.length === bytes &&
      last.buffer === segment.buffer
    )
      return last;
    const view = new Uint8Array(segment.buffer, at, bytes);
    this.#views[slot] = view;
    return view;
  }

  /** Borrows by a handle, which came in some message; waits for its segment. */
  async borrowValue<T>(
    what: string,
    handle: unknown,
    codec: InPlaceCodec<T, never>,
    options?: WaitOptions,
  ): Promise<Borrow<T>> {
    const reference = referenceIn(handle, this.#peerScope);
    const number = reference.segment;
    if (number < segmentsMax && !this.#received[number] && !this.#closed) {
      if (this.#awaiting.full) throw IpcError.of('ERR_CHANNEL_BUSY', what, this.#awaiting.length);
      await waiting<void>(`borrowing from ${what}`, options, (call) =>
        this.#awaiting.join({ ...call, segment: number }),
      );
    }
    try {
      return this.borrow(what, reference, (bytes) => codec.read(bytes), true)!;
    } catch (error) {
      throw IpcError.from(error, 'ERR_HANDLE_INVALID', messageOf(error));
    }
  }

  /** The end of a borrow. */
  takeBack(slot: number, bytes: Uint8Array): void {
    const segment = this.#received[this.#borrowedIn[slot]!]!;
    if (bytes.buffer !== segment.buffer) closeView(bytes);
    segment.borrows--;
    const times = this.#borrowedTimes[slot]! - 1;
    this.#borrowedTimes[slot] = times;
    if (this.#closed) {
      if (segment.borrows === 0) segment.native.close();
      return;
    }
    if (times > 0) return;
    const generation = this.#borrowedAs[slot]!;
    this.#releasedAs[slot] = generation;
    this.#releaseWords[0] = generation;
    if (!this.#writer.writeNumbered(recordKind.release, 0, slot, this.#releaseRecord, 4))
      return this.#observer.broken('the peer lends more than it may', 'memory');
    // Whoever answers a message takes its release along; only one waits for that, since a writer may be out of memory.
    if (!this.#unpublished && this.#link.afterPoll(this.#publishLate)) this.#unpublished = true;
    else {
      this.#unpublished = true;
      this.#publishLate();
    }
  }

  /** Makes releases visible that wait for the next message. Whoever calls it publishes a message and notifies. */
  publishReleases(): void {
    if (!this.#unpublished) return;
    this.#unpublished = false;
    this.#writer.publish();
  }

  readonly #publishLate = () => {
    if (!this.#unpublished || this.#closed) return;
    this.publishReleases();
    this.#link.notify();
  };

  /** The peer will send nothing more. @param cause for those who wait for a segment. */
  finish(cause: IpcError): void {
    this.#awaiting.rejectAll(cause);
  }

  /** Lets go of all segments that nobody has borrowed from; of the others when that ends. */
  close(): void {
    this.#closed = true;
    for (const segment of this.#received) if (segment.borrows === 0) segment.native.close();
    this.#views.fill(undefined);
  }
}
