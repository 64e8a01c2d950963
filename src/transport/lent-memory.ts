// Lent memory: our half of what the two sides of a session lend each other. Our arena of the session, slots that count what
// the peer has, and its releases, which it writes in its own segment.
import { IpcError } from '../errors.ts';
import type { Handle } from '../spec/memory.ts';
import type { Breach } from '../spec/session.ts';
import { Arena, type ArenaScope, type ArenaSegment, type Block } from './arena.ts';
import { BlockReference, handleOf, referenceBytes, writeReference } from './block-reference.ts';
import type { LaneReader, RecordPlace } from './lane.ts';
import type { Link } from './link.ts';
import type { PeerProcess } from './peer-process.ts';
import { recordKind } from './record.ts';
import { placeOf } from './value-arena.ts';

/** Releases handled in one turn of the event loop. */
const turnReleasesMax = 256;
/** Segments of one side that a session may know; arenas double, so only many small arenas come near. */
export const segmentsMax = 1024;

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
  /** Asked before a value is lent that the peer reads in place. @throws {IpcError} if it can't be. */
  lendsValue?(): void;
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

export class LentMemory {
  readonly arena: Arena;
  readonly #limits: MemoryLimits;
  readonly #link: Link;
  readonly #observer: MemoryObserver;
  readonly #ownScope: number;
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
  #closed = false;

  /** @param ownScope tells this direction of the session from all others. */
  constructor(
    link: Link,
    releases: LaneReader,
    limits: MemoryLimits,
    ownScope: number,
    observer: MemoryObserver,
  ) {
    const { slots } = limits;
    this.arena = new Arena("the session's arena", limits.arenaBytes, 'session', limits.messageBytesMax);
    this.#limits = limits;
    this.#link = link;
    this.#observer = observer;
    this.#ownScope = ownScope;
    this.#releases = releases;
    this.#lends = new Array(slots).fill(undefined);
    this.#slotGenerations = new Uint32Array(slots);
    this.#freeSlots = Array.from({ length: slots }, (_, index) => slots - 1 - index);
  }

  /** Whether one more can be lent: channels that have ended may still have some of theirs out. */
  get hasSlot(): boolean {
    return this.#freeSlots.length > 0;
  }

  /** Blocks and values that the peer has, or that are on their way to it. */
  get count(): number {
    return this.#limits.slots - this.#freeSlots.length;
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
    this.#observer.lendsValue?.();
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
      (scope === 'shared' && this.#sharedOffered + bytes > this.#limits.sharedBytes)
    )
      throw IpcError.of(
        'ERR_ARENA_FULL',
        'sharedBytes',
        bytes,
        this.#limits.sharedBytes - this.#sharedOffered,
      );
    this.#observer.offer({ number, scope, bytes }, segment.native.fd);
    this.#numbers.set(segment, number);
    if (scope === 'shared') this.#sharedOffered += bytes;
    // Nobody else will be sent it.
    else segment.native.closeFile();
    return number;
  }

  /** Drops our arena of the session whole. Blocks of other arenas come back when that process is proven dead. */
  close(peer: PeerProcess | undefined): TakenBack {
    this.#closed = true;
    this.arena.close();
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
