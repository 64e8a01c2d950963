// Cursor: what the two sides of a session tell each other about one broadcast, in the words of a lane that carries no
// records (see cpp/shm/broadcast.h). The reader says where it stands and for which subscription; the writer says which
// subscription it has dropped. Each writes only its own segment.
import { type NativeSegment, native } from './native.ts';

export class Cursor {
  /** Byte offset in the peer's segment of the reader's cursor, for the writer to watch. */
  readonly headBytes: number;
  /** Byte offset in the peer's segment of the word that says what was dropped, for the reader to watch. */
  readonly droppedBytes: number;

  readonly #own: Int32Array;
  readonly #peer: Int32Array;
  readonly #headAt: number;
  readonly #numberAt: number;

  constructor(own: NativeSegment, peer: NativeSegment, lane: number) {
    const { lanesOffset, laneStride, headOffset, tailOffset } = native().layout;
    const base = lanesOffset + lane * laneStride;
    this.headBytes = base + headOffset;
    this.droppedBytes = base + tailOffset;
    this.#headAt = this.headBytes >> 2;
    this.#numberAt = this.droppedBytes >> 2;
    this.#own = new Int32Array(own.buffer);
    this.#peer = new Int32Array(peer.buffer);
  }

  // ---- the reader

  /** Says where that subscription begins. */
  begin(number: number, position: number): void {
    Atomics.store(this.#own, this.#headAt, position);
    Atomics.store(this.#own, this.#numberAt, number);
  }

  /** SYNC room-visible: says that everything before the position has been read. */
  move(position: number): void {
    Atomics.store(this.#own, this.#headAt, position);
  }

  isDropped(number: number): boolean {
    return Atomics.load(this.#peer, this.#numberAt) === number;
  }

  // ---- the writer

  /** Where the reader of that subscription stands; undefined as long as it has not said so. */
  positionOf(number: number): number | undefined {
    // In this order: the number is stored after the position that belongs to it.
    return Atomics.load(this.#peer, this.#numberAt) === number ? this.headNow() : undefined;
  }

  /** The word as it is, whatever it belongs to. */
  headNow(): number {
    return Atomics.load(this.#peer, this.#headAt);
  }

  drop(number: number): void {
    Atomics.store(this.#own, this.#numberAt, number);
  }
}
