// The allocator against a simple model, and what it gives back to the system.
import { assert } from 'chai';
import fc from 'fast-check';
import { Arena, type Block } from '../../src/transport/arena.ts';
import { native } from '../../src/transport/native.ts';

const MiB = 1024 * 1024;

interface Held {
  readonly block: Block;
  readonly bytes: number;
  readonly mark: number;
}

/** Whether a block has what was written into it. */
function holds(arena: Arena, { block, bytes, mark }: Held): boolean {
  return Buffer.alloc(bytes, mark).equals(arena.view(block, 0, bytes));
}

describe('Arena', () => {
  const operation = fc.oneof(
    { weight: 3, arbitrary: fc.record({ allocate: fc.nat(3000) }) },
    { weight: 2, arbitrary: fc.record({ allocate: fc.nat(200_000) }) },
    { weight: 1, arbitrary: fc.record({ allocate: fc.nat(1_500_000) }) },
    { weight: 5, arbitrary: fc.record({ release: fc.nat() }) },
    { weight: 1, arbitrary: fc.constant('look' as const) },
  );

  /** No two blocks share a byte, each is where it was, and each holds what was written into it. */
  it('gives memory that nobody else uses, whatever is allocated and released', () => {
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 200, size: 'max' }), (steps) => {
        const arena = new Arena('the arena', 4 * MiB, 'shared');
        const held: Held[] = [];
        const generations = new Set<number>();
        let mark = 0;
        for (const step of steps) {
          if (step === 'look') {
            // Not after each step: looking joins what was freed, and allocating must be right without that.
            const used = held.reduce((sum, { block }) => sum + block.size, 0);
            assert.equal(arena.stats().used, used);
            assert.equal(arena.stats().free, 4 * MiB - used);
          } else if ('allocate' in step) {
            const block = arena.allocate(step.allocate);
            if (!block) {
              assert.isAbove(step.allocate, arena.stats().largest, 'refused, though there is room');
              continue;
            }
            mark = (mark % 255) + 1;
            assert.equal(block.offset % 64, 0);
            assert.isFalse(generations.has(block.generation), 'a generation that was used');
            generations.add(block.generation);
            arena.view(block, 0, step.allocate).fill(mark);
            held.push({ block, bytes: step.allocate, mark });
          } else if (held.length > 0) {
            const [one] = held.splice(step.release % held.length, 1);
            assert.isTrue(holds(arena, one!));
            arena.release(one!.block);
          }
        }
        for (const one of held) {
          assert.isTrue(holds(arena, one));
          arena.release(one.block);
        }
        const { used, segments } = arena.stats();
        assert.equal(used, 0);
        // Everything has been joined again: each segment is one free block.
        const whole = Array.from({ length: segments }, () => arena.allocate(arena.stats().largest)!);
        assert.equal(new Set(whole.map(({ segment }) => segment)).size, segments);
        arena.close();
      }),
      { numRuns: 30 },
    );
  });

  it('grows by segments up to its limit, and moves nothing', () => {
    const arena = new Arena('the arena', 8 * MiB, 'shared');
    const first = arena.need(100);
    const view = arena.view(first, 0, 100).fill(3);
    assert.equal(arena.stats().segments, 1);
    while (arena.allocate(500_000));
    assert.isAbove(arena.stats().segments, 2);
    assert.isTrue(view.every((byte) => byte === 3));
    assert.throws(() => arena.need(500_000), /the arena has no room for 500000 bytes, at most for \d+ now/);
    assert.isAtMost(arena.stats().used, 8 * MiB);
    arena.close();
  });

  it('has room for the block that it was made for, however full its other segments are', () => {
    const arena = new Arena('the arena', 8 * MiB, 'session', 6 * MiB);
    assert.isDefined(arena.allocate(6 * MiB));
    arena.close();
  });

  it('gives the memory that was freed last to whoever wants as much, with the same view', () => {
    const arena = new Arena('the arena', 8 * MiB, 'shared');
    const [first, second] = [arena.need(100_000), arena.need(100_000)];
    const view = arena.view(second, 0, 100_000);
    const { generation } = second;
    arena.release(first);
    arena.release(second);
    const again = arena.need(100_000);
    assert.equal(again, second);
    assert.equal(arena.view(again, 0, 100_000), view);
    assert.equal(arena.view(again, 0, 99_999).length, 99_999);
    assert.notEqual(again.generation, generation);
    arena.close();
  });

  it('joins what was freed before it adds a segment', () => {
    const arena = new Arena('the arena', 8 * MiB, 'shared');
    const blocks = Array.from({ length: 5 }, () => arena.need(200_000));
    for (const block of blocks) arena.release(block);
    assert.isDefined(arena.allocate(900_000));
    assert.equal(arena.stats().segments, 1);
    arena.close();
  });

  it('keeps a block as long as somebody holds it', () => {
    const arena = new Arena('the arena', MiB * 2, 'shared');
    const block = arena.need(100);
    arena.hold(block);
    arena.release(block);
    assert.equal(arena.stats().used, block.size);
    arena.release(block);
    assert.equal(arena.stats().used, 0);
    arena.close();
  });

  it('marks a freed block in shared memory, so that a stale reference is seen', () => {
    const arena = new Arena('the arena', MiB * 2, 'shared');
    const { blockGenerationOffset } = native().layout;
    const block = arena.need(100);
    arena.seal(block, 0, 100);
    const at = (block.at + blockGenerationOffset) >> 2;
    assert.equal(block.segment.words[at], block.generation);
    arena.release(block);
    assert.equal(block.segment.words[at], 0);
    arena.close();
  });

  it('gives pages back: at once for a released value, and all of them when it is trimmed', () => {
    const arena = new Arena('the arena', 32 * MiB, 'shared');
    const fill = () => {
      const block = arena.need(8 * MiB);
      arena.view(block, 0, 8 * MiB).fill(1);
      return block;
    };
    const one = fill();
    const two = fill();
    const bytesAt = (block: Block) =>
      block.segment.native.buffer.slice(block.offset + MiB, block.offset + MiB + 1);
    arena.release(one);
    assert.equal(new Uint8Array(bytesAt(one))[0], 1, 'kept for the next block');
    arena.trim();
    assert.equal(new Uint8Array(bytesAt(one))[0], 0);
    arena.release(two, true);
    assert.equal(new Uint8Array(bytesAt(two))[0], 0);
    arena.close();
  });

  it('is empty and harmless once it is closed', () => {
    const arena = new Arena('the arena', MiB * 2, 'shared');
    const block = arena.need(100);
    const view = arena.view(block, 0, 100);
    arena.close();
    assert.equal(view.byteLength, 0);
    arena.release(block);
    arena.close();
    assert.isUndefined(arena.allocate(1));
    assert.deepEqual(arena.stats(), { used: 0, free: 0, largest: 0, segments: 0 });
  });

  it('refuses blocks that no segment could hold', () => {
    const arena = new Arena('the arena', 2 ** 40, 'shared');
    for (const bytes of [2 ** 32, 2 ** 32 - 1, 2 ** 39]) assert.isUndefined(arena.allocate(bytes));
    arena.close();
  });
});

describe('a segment of an arena', () => {
  it('is lent as a descriptor that can only be read', () => {
    const segment = new (native().Segment)(100_000);
    const reader = new (native().Segment)(4, native().dupFd(segment.fd), segment.bytes, segment.bytes);
    new Uint8Array(segment.buffer)[5000] = 7;
    assert.equal(new Uint8Array(reader.buffer)[5000], 7);
    assert.throws(() => reader.giveBack(0, 65_536), /pages to give back/);
    assert.throws(() => segment.giveBack(0, segment.bytes + 1), /pages to give back/);
    segment.giveBack(0, segment.bytes);
    assert.equal(new Uint8Array(reader.buffer)[5000], 0);
    segment.close();
    segment.giveBack(0, 1);
    reader.close();
  });

  it('is refused where another kind is wanted', () => {
    const segment = new (native().Segment)(100_000);
    for (const kind of [1, 2, 3])
      assert.throws(
        () => new (native().Segment)(kind, native().dupFd(segment.fd), segment.bytes, segment.bytes),
        /segment header/,
      );
    segment.close();
  });

  it('has no size that makes no segment', () => {
    for (const bytes of [0, 1, 128, 2 ** 32, 2 ** 40])
      assert.throws(() => new (native().Segment)(bytes), /segment size/);
    for (const bytes of [-1, 1.5, Number.NaN, 'x'])
      assert.throws(() => new (native().Segment)(bytes as number), TypeError);
  });
});
