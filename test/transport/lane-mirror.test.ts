// A program on each of two machines, and a gateway beside each: all four segments in this process.
import { assert } from 'chai';
import fc from 'fast-check';
import { referenceBytes, writeReference } from '../../src/transport/block-reference.ts';
import { LaneReader, LaneWriter } from '../../src/transport/lane.ts';
import { LaneMirror, type OnBlock, type RingPiece } from '../../src/transport/lane-mirror.ts';
import { segmentKind } from '../../src/transport/link.ts';
import { type NativeSegment, native } from '../../src/transport/native.ts';
import { recordKind } from '../../src/transport/record.ts';
import { newPlace } from '../support/transport/lane-ends.ts';

const capacity = 1024;
/** So that positions pass their last 32-bit value. */
const nearEnd = 2 ** 32 - 64;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

class Crossing implements Disposable {
  readonly #segments: NativeSegment[];
  readonly writer: LaneWriter;
  readonly reader: LaneReader;
  /** The gateway beside the writer, and the one beside the reader. */
  readonly near: LaneMirror;
  readonly far: LaneMirror;
  readonly #writerWords: Int32Array;
  readonly #readerWords: Int32Array;

  constructor(firstPosition = nearEnd, onBlock?: OnBlock) {
    const { Segment } = native();
    const make = () => new Segment(segmentKind.session, [capacity], firstPosition);
    const [writer, near, far, reader] = [make(), make(), make(), make()];
    this.#segments = [writer, near, far, reader];
    this.writer = new LaneWriter(writer, near, 0);
    this.near = new LaneMirror(near, writer, 0, onBlock);
    this.far = new LaneMirror(far, reader, 0, undefined);
    this.reader = new LaneReader(reader, far, 0);
    this.#writerWords = new Int32Array(writer.buffer);
    this.#readerWords = new Int32Array(reader.buffer);
  }

  write(text: string): boolean {
    const bytes = encoder.encode(text);
    if (!this.writer.write(recordKind.message, 0, bytes, bytes.length)) return false;
    this.writer.publish();
    return true;
  }

  read(): string | undefined {
    const place = newPlace();
    if (!this.reader.read(place)) return undefined;
    const text = decoder.decode(this.reader.ring.slice(place.at, place.at + place.bytes));
    this.reader.release();
    return text;
  }

  /** All that there is, in pieces of at most so many bytes. */
  carry(max = 64): RingPiece[] {
    const pieces: RingPiece[] = [];
    for (let piece = this.near.take(max); piece; piece = this.near.take(max)) {
      pieces.push(piece);
      this.far.put(piece);
    }
    return pieces;
  }

  /** What the reader has read is told to the writer. */
  carryBack(): void {
    const head = this.far.news();
    if (head !== undefined) this.near.readUpTo(head);
  }

  /** What a program that lies has written as its own place. */
  lie(whose: 'tail' | 'head', position: number): void {
    const { lanesOffset, tailOffset, headOffset } = native().layout;
    if (whose === 'tail') Atomics.store(this.#writerWords, (lanesOffset + tailOffset) >> 2, position | 0);
    else Atomics.store(this.#readerWords, (lanesOffset + headOffset) >> 2, position | 0);
  }

  [Symbol.dispose](): void {
    for (const segment of this.#segments) segment.close();
  }
}

describe('a lane that is mirrored', () => {
  it('shows the reader nothing of a record of which a piece is missing', () => {
    using lane = new Crossing();
    lane.write('x'.repeat(300));
    const first = lane.near.take(128)!;
    assert.deepEqual([first.at, first.bytes.length, first.last], [nearEnd, 64, false]);
    assert.isFalse(lane.far.put(first));
    assert.isUndefined(lane.read());
    assert.isTrue(lane.near.hasMore);
    assert.isTrue(lane.carry().at(-1)!.last);
    assert.isFalse(lane.near.hasMore);
    assert.equal(lane.read(), 'x'.repeat(300));
  });

  it('has as much room as one of a single machine, and gives it back once the reader has read', () => {
    using lane = new Crossing();
    let written = 0;
    while (lane.write('y'.repeat(100))) written++;
    lane.carry();
    assert.isFalse(lane.write('y'.repeat(100)), 'what was taken by a gateway is not read yet');
    for (let i = 0; i < written; i++) assert.isDefined(lane.read());
    assert.isFalse(lane.write('y'.repeat(100)), 'nor what nobody has told');
    lane.carryBack();
    assert.isTrue(lane.write('y'.repeat(100)));
    assert.isUndefined(lane.far.news());
  });

  it('carries every record once and in order, whatever the pieces and the places', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({ length: fc.nat(400), max: fc.integer({ min: 8, max: 600 }), reads: fc.nat(4) }),
          {
            maxLength: 60,
          },
        ),
        fc.integer({ min: 0, max: 2 ** 29 - 1 }),
        (steps, first) => {
          using lane = new Crossing(first * 8);
          const sent: string[] = [];
          const got: string[] = [];
          const take = () => {
            const text = lane.read();
            if (text !== undefined) got.push(text);
            return text !== undefined;
          };
          for (const [n, { length, max, reads }] of steps.entries()) {
            const text = `${n}:`.padEnd(length, '.');
            if (lane.write(text)) sent.push(text);
            lane.carry(max);
            for (let i = 0; i < reads; i++) take();
            lane.carryBack();
          }
          lane.carry();
          while (take());
          assert.deepEqual(got, sent);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('stops before a record whose block has not come, and goes on when it has', () => {
    let come = false;
    const asked: number[] = [];
    using lane = new Crossing(nearEnd, ({ segment, bytes }) => {
      asked.push(segment, bytes);
      return come;
    });
    const reference = new Uint32Array(referenceBytes / 4);
    writeReference(
      { slot: 1, slotGeneration: 1, segment: 3, offset: 64, start: 0, bytes: 77, generation: 1 },
      reference,
      0,
    );
    lane.write('before');
    lane.writer.write(recordKind.block, 0, new Uint8Array(reference.buffer), referenceBytes);
    lane.writer.publish();
    lane.carry();
    assert.equal(lane.read(), 'before');
    assert.isTrue(lane.near.hasMore);
    assert.isUndefined(lane.near.take(64));
    come = true;
    assert.isAbove(lane.carry().length, 0);
    assert.deepEqual(asked.slice(0, 2), [3, 77]);
    const place = newPlace();
    assert.isTrue(lane.reader.read(place));
    assert.deepEqual([place.kind, place.bytes], [recordKind.block, referenceBytes]);
  });

  it('refuses what a program beside it has written, where that makes no sense', () => {
    for (const tail of [nearEnd + capacity + 8, nearEnd - 8, nearEnd + 4]) {
      using lane = new Crossing();
      lane.lie('tail', tail);
      assert.throws(() => lane.near.take(64), /outside the ring/);
    }
    using lane = new Crossing(nearEnd, () => true);
    lane.write('a record');
    lane.lie('tail', nearEnd + 8);
    assert.throws(() => lane.near.take(64), /longer than the ring/);
  });

  it('refuses what the other gateway sends, where that makes no sense', () => {
    using lane = new Crossing();
    lane.write('z'.repeat(100));
    const piece = lane.near.take(64)!;
    for (const wrong of [
      { ...piece, at: piece.at + 8 },
      { ...piece, bytes: piece.bytes.subarray(0, 12) },
      { ...piece, bytes: new Uint8Array(0) },
    ])
      assert.throws(() => lane.far.put(wrong), /wrong place/);
    assert.throws(() => lane.far.put({ ...piece, bytes: new Uint8Array(capacity) }), /beyond the end/);
    // Twice is the wrong place, too.
    lane.far.put(piece);
    assert.throws(() => lane.far.put(piece), /wrong place/);
    for (const head of [piece.at + 128, piece.at - 8, piece.at + 4])
      assert.throws(() => lane.near.readUpTo(head), /read what was not sent/);
  });

  it('tells nothing of a head that makes no sense', () => {
    using lane = new Crossing();
    lane.write('a');
    lane.carry();
    for (const head of [nearEnd + 512, nearEnd - 8]) {
      lane.lie('head', head);
      assert.isUndefined(lane.far.news());
    }
  });
});
