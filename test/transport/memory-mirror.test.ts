import { assert } from 'chai';
import type { BlockReference } from '../../src/transport/block-reference.ts';
import { segmentsMax } from '../../src/transport/lent-memory.ts';
import { segmentKind } from '../../src/transport/link.ts';
import { MemoryMirror } from '../../src/transport/memory-mirror.ts';
import { type NativeSegment, native } from '../../src/transport/native.ts';

const bytes = 256 * 1024;
const bytesMax = 2 * bytes;

describe('memory that is mirrored', () => {
  let mirror: MemoryMirror;
  let lent: NativeSegment[];
  beforeEach(() => {
    mirror = new MemoryMirror(bytesMax);
    lent = [];
  });
  afterEach(() => {
    mirror.close();
    for (const segment of lent) segment.close();
  });

  /** A segment as a program beside the gateway has made it. */
  function segment(): NativeSegment {
    const made = new (native().Segment)(bytes);
    lent.push(made);
    return made;
  }

  /** A sealed block in it, as its arena would have left it. */
  function block(made: NativeSegment, text: string): BlockReference {
    const { lineBytes, blockAlign, blockGenerationOffset, blockStartOffset, blockBytesOffset } =
      native().layout;
    const offset = Math.ceil((lineBytes + blockAlign) / blockAlign) * blockAlign;
    const words = new Uint32Array(made.buffer);
    const header = offset - blockAlign;
    const value = new TextEncoder().encode(text);
    words[(header + blockGenerationOffset) >>> 2] = 9;
    words[(header + blockStartOffset) >>> 2] = 0;
    words[(header + blockBytesOffset) >>> 2] = value.length;
    new Uint8Array(made.buffer).set(value, offset);
    return { slot: 0, slotGeneration: 1, segment: 0, offset, start: 0, bytes: value.length, generation: 9 };
  }

  const receive = (number: number, made: NativeSegment) =>
    mirror.receive(number, made.bytes, native().dupFd(made.fd));

  it('reads of the lender what stands there, and no longer than it is lent', () => {
    const made = segment();
    const reference = block(made, 'lent across');
    assert.isFalse(mirror.has(reference), 'its segment has not come');
    receive(0, made);
    assert.isTrue(mirror.has(reference));
    const copy = mirror.read(0, reference.offset, reference.bytes);
    new Uint8Array(made.buffer).fill(0, reference.offset, reference.offset + 4);
    assert.equal(new TextDecoder().decode(copy), 'lent across');
  });

  it('refuses a reference that is stale, of another length, or outside', () => {
    const made = segment();
    const reference = block(made, 'x');
    receive(0, made);
    assert.throws(() => mirror.has({ ...reference, generation: 8 } as BlockReference), /stale/);
    assert.throws(() => mirror.has({ ...reference, bytes: 2 } as BlockReference), /another length/);
    assert.throws(() => mirror.has({ ...reference, offset: bytes } as BlockReference), /outside its segment/);
    assert.throws(
      () => mirror.has({ ...reference, segment: segmentsMax } as BlockReference),
      /beyond all limits/,
    );
  });

  it('takes segments of a program in their order, and no more memory than agreed', () => {
    receive(0, segment());
    assert.throws(() => receive(2, segment()), /out of order/);
    assert.throws(() => receive(0, segment()), /out of order/);
    receive(1, segment());
    assert.throws(() => receive(2, segment()), /more memory than agreed/);
  });

  it('refuses a descriptor that is no such memory, and closes it', () => {
    const [one, other] = native().socketPair();
    assert.throws(() => mirror.receive(0, bytes, one));
    native().closeFd(other);
    receive(0, segment());
  });

  it('writes the copy at the same place, where the reader maps it', () => {
    const fd = mirror.open(0, bytes);
    const seen = new (native().Segment)(segmentKind.arena, native().dupFd(fd), bytes, bytesMax);
    lent.push(seen);
    mirror.write(0, 4096, new TextEncoder().encode('here'));
    assert.equal(Buffer.from(seen.buffer, 4096, 4).toString(), 'here');
  });

  it('writes nowhere else: not before a segment is open, nor into its first line, nor beyond its end', () => {
    const value = new Uint8Array(8);
    assert.throws(() => mirror.write(0, 4096, value), /outside its segment/);
    mirror.open(0, bytes);
    for (const at of [0, native().layout.lineBytes - 8, bytes - 4, -8])
      assert.throws(() => mirror.write(0, at, value), /outside its segment/);
    assert.throws(() => mirror.open(0, bytes), /out of order/);
    assert.throws(() => mirror.open(2, bytes), /out of order/);
    mirror.open(1, bytes);
    assert.throws(() => mirror.open(2, bytes), /more memory than agreed/);
  });

  it('opens only segments of a size that this machine makes', () => {
    assert.throws(() => mirror.open(0, bytes - 64));
  });
});
