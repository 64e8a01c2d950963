// Both sides of one lane in this process, each side's segment mapped twice as it would be in two processes.
import { LaneReader, LaneWriter, type RecordPlace } from '../../../src/transport/lane.ts';
import { segmentKind } from '../../../src/transport/link.ts';
import { type NativeSegment, native } from '../../../src/transport/native.ts';

export class LaneEnds implements Disposable {
  readonly writer: LaneWriter;
  readonly reader: LaneReader;
  /** The writer's own memory, for tests of a writer that lies. */
  readonly ringWords: Uint32Array;
  readonly ring: Uint8Array;
  readonly #segments: NativeSegment[];
  readonly #writerWords: Int32Array;
  readonly #readerWords: Int32Array;
  readonly #capacity: number;

  constructor(capacity: number, firstPosition = 0) {
    const { Segment } = native();
    const writerOwn = new Segment(segmentKind.session, [capacity], firstPosition);
    const readerOwn = new Segment(segmentKind.session, [capacity], firstPosition);
    const writerSeen = mappedAgain(writerOwn);
    const readerSeen = mappedAgain(readerOwn);
    this.#segments = [writerOwn, readerOwn, writerSeen, readerSeen];
    this.#capacity = capacity;
    this.#writerWords = new Int32Array(writerOwn.buffer);
    this.#readerWords = new Int32Array(readerOwn.buffer);
    this.ringWords = new Uint32Array(writerOwn.buffer, writerOwn.rings[0], capacity >> 2);
    this.ring = new Uint8Array(writerOwn.buffer, writerOwn.rings[0], capacity);
    this.writer = new LaneWriter(writerOwn, readerSeen, 0);
    this.reader = new LaneReader(readerOwn, writerSeen, 0);
  }

  get tail(): number {
    return Atomics.load(this.#writerWords, tailAt()) >>> 0;
  }
  set tail(position: number) {
    Atomics.store(this.#writerWords, tailAt(), position | 0);
  }
  get head(): number {
    return Atomics.load(this.#readerWords, headAt()) >>> 0;
  }
  set head(position: number) {
    Atomics.store(this.#readerWords, headAt(), position | 0);
  }

  /** Index of the header of the record at that position, in `ringWords`. */
  headerAt(position: number): number {
    return (position & (this.#capacity - 1)) >>> 2;
  }

  /** Copies what a record holds out of the ring. */
  payload({ at, bytes }: RecordPlace): Uint8Array {
    return this.reader.ring.slice(at, at + bytes);
  }

  [Symbol.dispose](): void {
    for (const segment of this.#segments) segment.close();
  }
}

function mappedAgain(segment: NativeSegment): NativeSegment {
  const { Segment, dupFd } = native();
  return new Segment(segmentKind.session, dupFd(segment.fd), segment.bytes, segment.bytes);
}

function tailAt(): number {
  const { lanesOffset, tailOffset } = native().layout;
  return (lanesOffset + tailOffset) >> 2;
}

function headAt(): number {
  const { lanesOffset, headOffset } = native().layout;
  return (lanesOffset + headOffset) >> 2;
}

export function newPlace(): RecordPlace {
  return { kind: 0, flags: 0, at: 0, bytes: 0 };
}
