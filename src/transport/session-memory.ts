// SessionMemory: what the two sides of a session lend each other. Outwards: our arena of the session, slots that count what
// the peer has, and its releases. Inwards: the peer's segments, and our releases, on a lane of their own.
//
// Single writer: a block is written by its owner; a release is a record in the reader's own segment. A slot is used again
// only when the owner has read the release of its last use, so no more releases can be on their way than there are slots,
// and the lane has room for all of them.
// Segments come over the session's socket, references to them over lanes, in no order to each other: a reference may have
// to wait for its segment.
import type { IpcError } from '../errors.ts';
import type { Arena } from './arena.ts';
import { BorrowedMemory } from './borrowed-memory.ts';
import {
  LentMemory,
  type MemoryLimits,
  type MemoryObserver,
  type SegmentOffer,
  type TakenBack,
} from './lent-memory.ts';
import type { Link, LinkMember } from './link.ts';
import { native } from './native.ts';
import type { PeerProcess } from './peer-process.ts';

/** Bytes of a release in its lane. A multiple of 8 that divides every ring, so no release ever wraps. */
const releaseBytes = 16;

/** The ring of the releases. */
export function releaseRingBytes(slots: number): number {
  return Math.max(native().layout.ringBytesMin, 2 ** Math.ceil(Math.log2(slots * releaseBytes)));
}

export class SessionMemory implements LinkMember {
  /** What we lend. */
  readonly lent: LentMemory;
  /** What we borrow. */
  readonly borrowed: BorrowedMemory;
  readonly tailBytes: number;
  readonly limits: MemoryLimits;
  #closed = false;

  /** @param scopes tell the two directions of this session from those of all others, and whose memory we borrow. */
  constructor(
    link: Link,
    lane: number,
    limits: MemoryLimits,
    scopes: { own: number; peer: number; peerApp: string },
    observer: MemoryObserver,
  ) {
    const { writer, reader } = link.lane(lane);
    this.limits = limits;
    this.tailBytes = reader.tailBytes;
    this.lent = new LentMemory(link, reader, limits, scopes.own, observer);
    this.borrowed = new BorrowedMemory(
      link,
      writer,
      limits,
      { scope: scopes.peer, app: scopes.peerApp },
      observer,
    );
  }

  get arena(): Arena {
    return this.lent.arena;
  }

  /** Takes over a segment of the peer. @throws an Error that says what is wrong with it. */
  receive(offer: SegmentOffer, fd: number): void {
    this.borrowed.receive(offer, fd);
  }

  /** Takes back what the peer has released. @returns whether something was left for another turn. */
  poll(): boolean {
    return this.lent.poll();
  }

  /**
   * Drops our arena of the session whole, and of the peer's segments all that nobody has borrowed from. Blocks of other
   * arenas come back when that process is proven dead.
   */
  close(peer: PeerProcess | undefined): TakenBack {
    if (this.#closed) return { dropped: 0, awaited: 0 };
    this.#closed = true;
    const taken = this.lent.close(peer);
    this.borrowed.close();
    return taken;
  }

  /** The peer will send nothing more. @param cause for those who wait for a segment. */
  finish(cause: IpcError): void {
    this.borrowed.finish(cause);
  }
}
