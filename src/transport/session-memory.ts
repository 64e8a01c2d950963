// SessionMemory: what the two sides of a session lend each other. Outwards: our arena of the session, slots that count what
// the peer has, and its releases. Inwards: the peer's segments, and our releases, on a lane of their own.
//
// Single writer: a block is written by its owner; a release is a record in the reader's own segment. A slot is used again
// only when the owner has read the release of its last use, so no more releases can be on their way than there are slots,
// and the lane has room for all of them.
// Segments come over the session's socket, references to them over lanes, in no order to each other: a reference may have
// to wait for its segment.
import { IpcError, messageOf } from '../errors.ts';
import type { Handle, InPlaceCodec } from '../spec/memory.ts';
import type { Breach } from '../spec/session.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { Arena, type ArenaScope, type ArenaSegment, type Block } from './arena.ts';
import {
  BlockReference,
  checkBlock,
  handleOf,
  referenceBytes,
  referenceIn,
  writeReference,
} from './block-reference.ts';
import { Borrow, type BorrowedFrom, checkedView, closeView } from './borrow.ts';
import type { LaneReader, LaneWriter, RecordPlace } from './lane.ts';
import { type Link, type LinkMember, segmentKind } from './link.ts';
import { type NativeSegment, native } from './native.ts';
import type { PeerProcess } from './peer-process.ts';
import { recordKind } from './record.ts';
import { placeOf } from './value-arena.ts';
import { type Call, WaitingLine, waiting } from './waiting.ts';

/** Bytes of a release in its lane. A multiple of 8 that divides every ring, so no release ever wraps. */
const releaseBytes = 16;
/** Releases handled in one turn of the event loop. */
const turnReleasesMax = 256;
/** Segments of one side that a session may know; arenas double, so only many small arenas come near. */
const segmentsMax = 1024;

export interface MemoryLimits {
  /** Of each side's arena of the session. */
  readonly arenaBytes: number;
  /** Of the segments of other arenas that one side may show the other. */
  readonly sharedBytes: number;
  /** What one side may have lent the other at once. */
  readonly slots: number;
  /** So large a message has room in any segment. */
  readonly messageBytesMax: number;
}

/** The ring of the releases. */
export function releaseRingBytes(slots: number): number {
  return Math.max(native().layout.ringBytesMin, 2 ** Math.ceil(Math.log2(slots * releaseBytes)));
}

/** What leaves and enters by the session's socket. */
export interface SegmentOffer {
  readonly number: number;
  readonly scope: ArenaScope;
  readonly bytes: number;
}

export interface MemoryObserver {
  /** Sends the offer of a segment with a descriptor, which stays ours. */
  offer(segment: SegmentOffer, fd: number): void;
  broken(why: string, breach: Breach): void;
}

/** What the end of a session takes back of what the peer had. */
export interface TakenBack {
  /** Blocks of the session's arena, gone with it. */
  readonly dropped: number;
  /** Blocks of other arenas, which come back when the peer's process is proven dead. */
  readonly awaited: number;
}

/** Who counts what it has lent: a channel. */
export interface Lender {
  returned(): void;
}

/** What a slot counts; used again with the slot. */
interface Lend {
  arena: Arena;
  /** Undefined while the slot is free. */
  block: Block | undefined;
  lender: Lender;
}

/** A segment of the peer. */
interface Received {
  readonly native: NativeSegment;
  readonly buffer: ArrayBuffer;
  readonly bytes: number;
  readonly words: Uint32Array;
  /** Borrows in it; as long as there are any, it stays mapped. */
  borrows: number;
}

export class SessionMemory implements LinkMember, BorrowedFrom {
  readonly arena: Arena;
  readonly tailBytes: number;
  readonly limits: MemoryLimits;

  readonly #link: Link;
  readonly #observer: MemoryObserver;
  readonly #ownScope: number;
  readonly #peerScope: number;
  readonly #peerApp: string;

  // What we lend.
  readonly #releases: LaneReader;
  readonly #place: RecordPlace = { kind: 0, flags: 0, at: 0, bytes: 0 };
  readonly #lends: (Lend | undefined)[];
  readonly #slotGenerations: Uint32Array;
  readonly #freeSlots: number[];
  readonly #numbers = new Map<ArenaSegment, number>();
  #sharedOffered = 0;
  readonly #out = new BlockReference();
  readonly #record = new Uint8Array(referenceBytes);
  readonly #recordWords = new Uint32Array(this.#record.buffer);

  // What we borrow.
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

  /** @param scopes tell the two directions of this session from those of all others, and whose memory we borrow. */
  constructor(
    link: Link,
    lane: number,
    limits: MemoryLimits,
    scopes: { own: number; peer: number; peerApp: string },
    observer: MemoryObserver,
  ) {
    const { slots } = limits;
    const { writer, reader } = link.lane(lane);
    this.arena = new Arena("the session's arena", limits.arenaBytes, 'session', limits.messageBytesMax);
    this.limits = limits;
    this.tailBytes = reader.tailBytes;
    this.#link = link;
    this.#observer = observer;
    this.#ownScope = scopes.own;
    this.#peerScope = scopes.peer;
    this.#peerApp = scopes.peerApp;
    this.#releases = reader;
    this.#writer = writer;
    this.#lends = new Array(slots).fill(undefined);
    this.#slotGenerations = new Uint32Array(slots);
    this.#freeSlots = Array.from({ length: slots }, (_, index) => slots - 1 - index);
    this.#views = new Array(slots).fill(undefined);
    this.#borrowedIn = new Uint32Array(slots);
    this.#borrowedAs = new Uint32Array(slots);
    this.#borrowedTimes = new Uint32Array(slots);
    this.#releasedAs = new Uint32Array(slots);
  }

  // ---- lending

  /** Whether one more can be lent: channels that have ended may still have some of theirs out. */
  get hasSlot(): boolean {
    return this.#freeSlots.length > 0;
  }

  /** Blocks and values that the peer has, or that are on their way to it. */
  get lent(): number {
    return this.limits.slots - this.#freeSlots.length;
  }

  /**
   * Lends a block: its hold passes to the peer. The answer is the reference's record, valid until the next lend; sealed, but
   * not sent.
   * @throws {IpcError} ERR_ARENA_FULL if the peer may not see more of that arena. REQUIRES: a free slot.
   */
  lend(lender: Lender, arena: Arena, block: Block, start: number, bytes: number): Uint8Array {
    const reference = this.#out;
    reference.segment = this.#numberOf(arena, block.segment);
    const slot = this.#freeSlots.pop()!;
    const generation = (this.#slotGenerations[slot]! + 1) >>> 0;
    this.#slotGenerations[slot] = generation;
    const lend = this.#lends[slot];
    if (lend) {
      lend.arena = arena;
      lend.block = block;
      lend.lender = lender;
    } else this.#lends[slot] = { arena, block, lender };
    reference.slot = slot;
    reference.slotGeneration = generation;
    reference.offset = block.offset;
    reference.start = start;
    reference.bytes = bytes;
    reference.generation = block.generation;
    arena.seal(block, start, bytes);
    writeReference(reference, this.#recordWords, 0);
    return this.#record;
  }

  /** Undoes the last lend, which nobody has been told of: the hold is the caller's again. */
  undoLend(): void {
    const { slot } = this.#out;
    this.#lends[slot]!.block = undefined;
    this.#freeSlots.push(slot);
    // The generation stays used: two lends never look the same.
  }

  /**
   * A handle by which the peer can borrow that value, once.
   * @throws {IpcError} ERR_LOAN_FOREIGN, ERR_MEMORY_RETURNED, ERR_ARENA_FULL. REQUIRES: a free slot.
   */
  lendValue(lender: Lender, value: unknown): Handle {
    const { arena, block, start, bytes } = placeOf(value, this.arena);
    this.lend(lender, arena, block, start, bytes);
    arena.hold(block);
    return handleOf(this.#out, this.#ownScope);
  }

  /** Takes back what the peer has released. @returns whether something was left for another turn. */
  poll(): boolean {
    if (this.#closed) return false;
    const place = this.#place;
    let left = turnReleasesMax;
    while (left > 0 && this.#releases.read(place)) {
      left--;
      if (!this.#takeBack(place)) this.#releases.refuse('a release of what was not lent');
    }
    if (this.#releases.release()) this.#link.notify();
    if (this.#releases.broken === undefined) return left === 0 && this.#releases.available();
    this.#observer.broken(`the peer's releases: ${this.#releases.broken}`, 'memory');
    return false;
  }

  #takeBack({ kind, at, bytes }: RecordPlace): boolean {
    if (kind !== recordKind.release || bytes !== 8) return false;
    const slot = this.#releases.ringWords[at >> 2]! >>> 0;
    const generation = this.#releases.ringWords[(at >> 2) + 1]! >>> 0;
    const lend = slot < this.#lends.length ? this.#lends[slot] : undefined;
    const block = lend?.block;
    if (!lend || !block || this.#slotGenerations[slot] !== generation) return false;
    lend.block = undefined;
    this.#freeSlots.push(slot);
    lend.arena.release(block);
    lend.lender.returned();
    return true;
  }

  /** The segment's number in this session; the first time, the peer is sent its descriptor. */
  #numberOf(arena: Arena, segment: ArenaSegment): number {
    const known = this.#numbers.get(segment);
    if (known !== undefined) return known;
    const number = this.#numbers.size;
    const { scope } = arena;
    const { bytes } = segment;
    if (
      number >= segmentsMax ||
      (scope === 'shared' && this.#sharedOffered + bytes > this.limits.sharedBytes)
    )
      throw IpcError.of(
        'ERR_ARENA_FULL',
        'sharedBytes',
        bytes,
        this.limits.sharedBytes - this.#sharedOffered,
      );
    this.#observer.offer({ number, scope, bytes }, segment.native.fd);
    this.#numbers.set(segment, number);
    if (scope === 'shared') this.#sharedOffered += bytes;
    // Nobody else will be sent it.
    else segment.native.closeFile();
    return number;
  }

  // ---- borrowing

  /** Takes over a segment of the peer. @throws an Error that says what is wrong with it. */
  receive({ number, scope, bytes }: SegmentOffer, fd: number): void {
    const limit = scope === 'session' ? this.limits.arenaBytes : this.limits.sharedBytes;
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
    if (slot >= this.limits.slots || number >= segmentsMax) throw new Error('a reference beyond all limits');
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

  // ---- ending

  /** The peer will send nothing more. @param cause for those who wait for a segment. */
  finish(cause: IpcError): void {
    this.#awaiting.rejectAll(cause);
  }

  /**
   * Drops our arena of the session whole, and of the peer's segments all that nobody has borrowed from. Blocks of other
   * arenas come back when that process is proven dead.
   */
  close(peer: PeerProcess | undefined): TakenBack {
    if (this.#closed) return { dropped: 0, awaited: 0 };
    this.#closed = true;
    this.arena.close();
    for (const segment of this.#received) if (segment.borrows === 0) segment.native.close();
    this.#views.fill(undefined);
    const lent = this.#lends.filter((lend) => lend?.block) as Lend[];
    const left = lent.filter(({ arena }) => arena !== this.arena);
    this.#lends.fill(undefined);
    const taken = { dropped: lent.length - left.length, awaited: left.length };
    if (left.length === 0 || !peer) return taken;
    for (const arena of new Set(left.map((lend) => lend.arena)))
      arena.releaseAfter(
        peer,
        left.filter((lend) => lend.arena === arena).map(({ block }) => block!),
      );
    return taken;
  }
}
