import { assert } from 'chai';
import fc from 'fast-check';
import { payloadBytesMax, type RecordPlace } from '../../src/transport/lane.ts';
import { native } from '../../src/transport/native.ts';
import { cppBuildTimeoutMs, cppTarget } from '../support/cpp-target.ts';
import { Random } from '../support/random.ts';
import { LaneEnds, newPlace } from '../support/transport/lane-ends.ts';
import { LanePeer, Outgoing, readAll } from '../support/transport/lane-peer.ts';
import { type RandomRecord, randomRecords } from '../support/transport/random-record.ts';

const capacity = 1024;
/** So that a test meets the end of the ring and of the 32-bit positions. */
const nearEnd = 2 ** 32 - 64;
/** The same for a test that wants the first ring whole. */
const ringBeforeEnd = 2 ** 32 - capacity;
const kind = 2;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

function write(ends: LaneEnds, text: string, flags = 0): boolean {
  const bytes = encoder.encode(text);
  return ends.writer.write(kind, flags, bytes, bytes.length);
}

/** The next record as text; undefined if there is none. */
function read(ends: LaneEnds): string | undefined {
  const place = newPlace();
  return ends.reader.read(place) ? decoder.decode(ends.payload(place)) : undefined;
}

function mark(recordKind: number, sequence: number): number {
  return recordKind | (sequence << 16);
}

describe('the constants of lane.ts', () => {
  it('are those of the layout: the bytes of a header, the alignment, the kind that wraps, half a ring', () => {
    const { recordHeaderBytes, recordAlign, wrapKind, ringBytesMin } = native().layout;
    using ends = new LaneEnds(capacity, capacity - 16);
    ends.writer.write(kind, 0, encoder.encode('123456789'), 9);
    ends.writer.publish();
    assert.equal(ends.ringWords[ends.headerAt(capacity - 16) + 1]! & 0xff, wrapKind);
    const place = newPlace();
    assert.isTrue(ends.reader.read(place));
    assert.equal(place.at, recordHeaderBytes);
    const total = recordHeaderBytes + Math.ceil(9 / recordAlign) * recordAlign;
    assert.equal(ends.tail, capacity + total);
    assert.equal(payloadBytesMax(ringBytesMin), ringBytesMin / 2 - recordHeaderBytes);
    assert.equal(ends.writer.payloadMax, payloadBytesMax(capacity));
  });
});

describe('LaneWriter and LaneReader', () => {
  /** What a lane promises, said with arrays. */
  class Model {
    readonly unpublished: { record: RandomRecord; end: number }[] = [];
    readonly visible: { record: RandomRecord; end: number }[] = [];
    tail = 0;
    head = 0;
    released = 0;
    readonly #capacity: number;
    readonly #first: number;

    constructor(ringBytes: number, first: number) {
      this.#capacity = ringBytes;
      this.#first = first;
    }

    /** Where a record would end, counted from the first position; undefined if it does not fit now. */
    endOf(bytes: number): number | undefined {
      const total = 8 + Math.ceil(bytes / 8) * 8;
      const toEnd = this.#capacity - ((this.#first + this.tail) % this.#capacity);
      const end = this.tail + (total > toEnd ? toEnd : 0) + total;
      return end - this.released <= this.#capacity ? end : undefined;
    }

    publish(): void {
      this.visible.push(...this.unpublished.splice(0));
    }
  }

  const operation = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('write' as const), size: fc.nat(40), seed: fc.nat() }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('write' as const), size: fc.nat(2040), seed: fc.nat() }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('publish' as const) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('read' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const) }) },
  );
  const firstPosition = fc.oneof(
    fc.nat(64).map((steps) => 2 ** 32 - 8 * (steps + 1)),
    fc.nat(64).map((steps) => 2 ** 31 - 8 * steps),
    fc.nat(64).map((steps) => 8 * steps),
  );

  it('answer what a queue would, with sizes, batches and pauses of all kinds', () => {
    const capacities = fc.constantFrom(1024, 2048, 4096);
    const operations = fc.array(operation, { maxLength: 400, size: 'max' });
    fc.assert(
      fc.property(capacities, firstPosition, operations, (ringBytes, first, steps) => {
        using ends = new LaneEnds(ringBytes, first);
        const model = new Model(ringBytes, first);
        const place = newPlace();
        for (const step of steps) {
          if (step.do === 'write') {
            const random = new Random(step.seed + 1);
            const size = Math.min(step.size, ends.writer.payloadMax);
            const record = {
              kind: 2 + random.below(254),
              flags: random.below(256),
              payload: random.bytes(size),
            };
            const end = model.endOf(size);
            const written = ends.writer.write(record.kind, record.flags, record.payload, size);
            assert.equal(written, end !== undefined);
            if (end === undefined) continue;
            model.unpublished.push({ record, end });
            model.tail = end;
          } else if (step.do === 'publish') {
            ends.writer.publish();
            model.publish();
          } else if (step.do === 'release') {
            assert.isFalse(ends.reader.release());
            model.released = model.head;
          } else {
            const wanted = model.visible.shift();
            assert.equal(ends.reader.available(), wanted !== undefined);
            assert.equal(ends.reader.read(place), wanted !== undefined);
            if (!wanted) continue;
            const found = { kind: place.kind, flags: place.flags, payload: ends.payload(place) };
            assert.deepEqual(found, wanted.record);
            model.head = wanted.end;
          }
          assert.equal(ends.writer.unreadBytes(), model.tail - model.released);
        }
        assert.isUndefined(ends.reader.broken);
      }),
      { numRuns: 150 },
    );
  });

  it('show nothing before publish, and everything after it', () => {
    using ends = new LaneEnds(capacity, nearEnd);
    for (const text of ['a', 'b', 'c']) {
      assert.isTrue(write(ends, text));
      assert.isUndefined(read(ends));
    }
    ends.writer.publish();
    assert.deepEqual([read(ends), read(ends), read(ends), read(ends)], ['a', 'b', 'c', undefined]);
  });

  it('take sequence numbers round after 65,536 records without a gap', () => {
    using ends = new LaneEnds(capacity, nearEnd);
    const place = newPlace();
    const nothing = new Uint8Array(0);
    for (let i = 0; i < 70_000; i++) {
      ends.writer.write(kind, 0, nothing, 0);
      ends.writer.publish();
      if (!ends.reader.read(place)) assert.fail(`record ${i}: ${ends.reader.broken}`);
      ends.reader.release();
    }
  });

  it('refuse a record while the ring is full, and take it once the reader has released', () => {
    using ends = new LaneEnds(capacity, ringBeforeEnd);
    const text = 'x'.repeat(56);
    for (let i = 0; i < 16; i++) assert.isTrue(write(ends, text));
    ends.writer.publish();
    assert.isFalse(write(ends, ''));
    assert.equal(ends.writer.unreadBytes(), capacity);
    assert.equal(read(ends), text);
    assert.isFalse(write(ends, ''));
    ends.reader.release();
    assert.isTrue(write(ends, text));
    assert.isFalse(write(ends, ''));
  });

  it('leave nothing behind of a record that was refused', () => {
    using ends = new LaneEnds(capacity, nearEnd);
    write(ends, 'a'.repeat(400));
    write(ends, 'b'.repeat(400));
    for (let i = 0; i < 3; i++) assert.isFalse(write(ends, 'c'.repeat(300)));
    write(ends, 'd');
    ends.writer.publish();
    assert.deepEqual([read(ends), read(ends), read(ends)], ['a'.repeat(400), 'b'.repeat(400), 'd']);
  });

  it('fit the largest record into an empty ring wherever the positions stand', () => {
    const largest = 'x'.repeat(payloadBytesMax(capacity));
    for (let start = 0; start < capacity; start += 8) {
      using ends = new LaneEnds(capacity, start);
      assert.isTrue(write(ends, largest));
      ends.writer.publish();
      assert.equal(read(ends), largest);
      ends.reader.release();
      assert.isTrue(write(ends, 'next'));
    }
  });

  it('take the first bytes of a longer array, and none of an empty one', () => {
    using ends = new LaneEnds(capacity, nearEnd);
    ends.writer.write(kind, 0, encoder.encode('longer'), 4);
    ends.writer.write(kind, 0, encoder.encode('longer'), 0);
    ends.writer.publish();
    assert.deepEqual([read(ends), read(ends)], ['long', '']);
  });

  it('put a number before the payload, in the byte order of the machine', () => {
    for (let start = capacity - 64; start <= capacity; start += 8) {
      using ends = new LaneEnds(capacity, start);
      const text = encoder.encode('numbered');
      assert.isTrue(ends.writer.writeNumbered(3, 7, 0x12345678, text, text.length));
      assert.isTrue(ends.writer.writeNumbered(4, 0, -1, text, 4));
      ends.writer.publish();
      const place = newPlace();
      assert.isTrue(ends.reader.read(place));
      assert.deepEqual([place.kind, place.flags, place.bytes], [3, 7, 12]);
      assert.equal(ends.reader.ringWords[place.at >> 2], 0x12345678);
      assert.equal(decoder.decode(ends.payload(place).subarray(4)), 'numbered');
      assert.isTrue(ends.reader.read(place));
      assert.equal(ends.reader.ringWords[place.at >> 2], -1);
      assert.equal(decoder.decode(ends.payload(place).subarray(4)), 'numb');
    }
  });

  it('tell on release whether the writer waits for room, if there was anything to release', () => {
    using ends = new LaneEnds(capacity, nearEnd);
    write(ends, 'a');
    write(ends, 'b');
    ends.writer.publish();
    ends.writer.wantRoom(true);
    assert.isFalse(ends.reader.release());
    read(ends);
    assert.isTrue(ends.reader.release());
    assert.isFalse(ends.reader.release());
    ends.writer.wantRoom(false);
    read(ends);
    assert.isFalse(ends.reader.release());
  });

  it('bring the head to the position that the writer had when all is read and released', () => {
    using ends = new LaneEnds(capacity, nearEnd);
    for (let i = 0; i < 10; i++) write(ends, 'x'.repeat(i * 8));
    const { position } = ends.writer;
    ends.writer.publish();
    while (read(ends) !== undefined);
    assert.notEqual(ends.writer.readerHead(), position);
    ends.reader.release();
    assert.equal(ends.writer.readerHead(), position);
    assert.equal(ends.writer.unreadBytes(), 0);
  });

  it('list the kinds of what the reader has not released, oldest first', () => {
    for (let start = 2 ** 32 - 256; start <= 2 ** 32 - 8; start += 8) {
      using ends = new LaneEnds(capacity, start);
      for (const each of [2, 3, 4, 5, 6])
        ends.writer.write(each, 0, encoder.encode('x'.repeat(each * 9)), each * 9);
      ends.writer.publish();
      const place = newPlace();
      ends.reader.read(place);
      ends.reader.read(place);
      ends.reader.release();
      const kinds: number[] = [];
      ends.writer.eachUnread((each) => kinds.push(each));
      const { wrapKind } = native().layout;
      assert.deepEqual(
        kinds.filter((each) => each !== wrapKind),
        [4, 5, 6],
      );
    }
  });

  it('end such a list where a head that lies leads between two records', () => {
    using ends = new LaneEnds(capacity, ringBeforeEnd);
    const random = new Random(3);
    for (let i = 0; i < 4; i++) {
      const payload = random.bytes(200);
      ends.writer.write(kind, 0, payload, payload.length);
    }
    ends.writer.publish();
    for (let lie = 0; lie <= 4096; lie += 4) {
      ends.head = ringBeforeEnd + lie;
      let visits = 0;
      ends.writer.eachUnread(() => visits++);
      assert.isAtMost(visits, capacity / 8);
    }
  });
});

describe('a lane whose writer lies', () => {
  /** Writes two records of 16 bytes, lets `spoil` change the writer's memory; nothing is ever read again. */
  function assertBroken(spoil: (ends: LaneEnds) => void, readableBefore = 0): void {
    using ends = new LaneEnds(capacity, nearEnd);
    write(ends, 'first');
    write(ends, 'second');
    ends.writer.publish();
    const sane = ends.ring.slice();
    const { tail } = ends;
    spoil(ends);
    for (let i = 0; i < readableBefore; i++) assert.isDefined(read(ends));
    assert.isUndefined(read(ends));
    assert.isString(ends.reader.broken);
    // A writer that repairs its memory is not trusted any more either.
    ends.ring.set(sane);
    ends.tail = tail;
    write(ends, 'third');
    ends.writer.publish();
    for (let i = 0; i < 4; i++) {
      assert.isFalse(ends.reader.available());
      assert.isUndefined(read(ends));
    }
  }

  const record = 16;

  it('is not read any more for a tail outside the ring, or off its alignment', () => {
    for (const ahead of [-8, -1, 1, 4, 7, 36, capacity + 8, 2 ** 31, capacity * 2])
      assertBroken((ends) => {
        ends.tail = nearEnd + ahead;
      });
  });

  it('is not read any more for a tail between two records', () => {
    assertBroken((ends) => {
      ends.tail = nearEnd + 8;
    });
    assertBroken((ends) => {
      ends.tail = nearEnd + record + 8;
    }, 1);
  });

  it('is not read any more for a length that reaches beyond the tail or the ring', () => {
    const lengths = [
      2 * record - 7,
      capacity,
      2 ** 31 - 1,
      2 ** 31,
      2 ** 32 - 17,
      2 ** 32 - 16,
      2 ** 32 - 8,
      2 ** 32 - 1,
    ];
    for (const bytes of lengths)
      for (const index of [0, 1])
        assertBroken((ends) => {
          ends.ringWords[ends.headerAt(nearEnd + index * record)] = bytes;
        }, index);
    // Within the tail, but over the end of the ring, which is 64 bytes away.
    assertBroken((ends) => {
      ends.ringWords[ends.headerAt(nearEnd)] = 64;
      ends.tail = nearEnd + 128;
    });
  });

  it('is not read any more for a wrap mark that does not end the ring', () => {
    const { wrapKind } = native().layout;
    for (const sequence of [0, 1])
      assertBroken((ends) => {
        ends.ringWords[ends.headerAt(nearEnd) + 1] = mark(wrapKind, sequence);
      });
    assertBroken((ends) => {
      ends.ringWords[ends.headerAt(nearEnd + record) + 1] = mark(wrapKind, 0);
    }, 1);
  });

  it('is not read any more for a record that is missing, comes twice or has no number', () => {
    for (const sequence of [0, 2, 3, 0xffff])
      assertBroken((ends) => {
        ends.ringWords[ends.headerAt(nearEnd) + 1] = mark(kind, sequence);
      });
    for (const sequence of [0, 1, 3])
      assertBroken((ends) => {
        ends.ringWords[ends.headerAt(nearEnd + record) + 1] = mark(kind, sequence);
      }, 1);
  });

  it('never leads the reader outside the ring, whatever its memory holds', () => {
    const random = new Random(77);
    for (let round = 0; round < 300; round++) {
      const first = (random.next() & ~7) >>> 0;
      using ends = new LaneEnds(capacity, first);
      for (let i = 0; i < capacity >> 2; i += 2) {
        ends.ringWords[i] = random.below(8) === 0 ? random.next() : random.below(64);
        ends.ringWords[i + 1] = mark(random.below(4), random.below(4));
      }
      const place = newPlace();
      for (let publish = 0; publish < 8; publish++) {
        ends.tail = first + random.below(capacity / 8 + 2) * 8;
        for (let i = 0; i < 200 && ends.reader.read(place); i++) {
          assert.isAtLeast(place.at, 8);
          assert.isAtMost(place.at + place.bytes, capacity);
        }
      }
    }
  });

  it('is not read any more once the reader refuses what a record says', () => {
    using ends = new LaneEnds(capacity, nearEnd);
    write(ends, 'first');
    write(ends, 'second');
    ends.writer.publish();
    assert.equal(read(ends), 'first');
    ends.reader.refuse('a reason');
    ends.reader.refuse('another');
    assert.isUndefined(read(ends));
    assert.equal(ends.reader.broken, 'a reason');
  });
});

describe('a lane whose reader lies', () => {
  it('never has its writer overwrite what was not read', () => {
    for (const lie of [8, 16, capacity, 2 ** 31, -capacity - 8, -2 * capacity]) {
      using ends = new LaneEnds(capacity, ringBeforeEnd);
      const texts = Array.from({ length: 8 }, (_, i) => String(i).repeat(120));
      for (const text of texts) assert.isTrue(write(ends, text));
      ends.writer.publish();
      // Beyond the tail, or further behind it than the ring is long: impossible for an honest reader.
      ends.head = ends.tail + lie;
      for (let i = 0; i < 20; i++) assert.isFalse(write(ends, 'over'));
      assert.equal(ends.writer.unreadBytes(), capacity);
      ends.head = ringBeforeEnd;
      assert.deepEqual(
        texts.map(() => read(ends)),
        texts,
      );
      ends.reader.release();
      assert.isTrue(write(ends, 'room'));
    }
  });

  it('only takes room away by going back, until it tells the truth again', () => {
    using ends = new LaneEnds(capacity, ringBeforeEnd);
    const text = 'x'.repeat(248);
    for (let i = 0; i < 4; i++) assert.isTrue(write(ends, text));
    ends.writer.publish();
    for (let i = 0; i < 4; i++) assert.equal(read(ends), text);
    ends.head = ringBeforeEnd;
    assert.isFalse(write(ends, ''));
    ends.reader.release();
    for (let i = 0; i < 4; i++) assert.isTrue(write(ends, text));
  });
});

describe('a lane between JavaScript and C++', () => {
  let peerPath: string;

  before('build the other side', function () {
    this.timeout(cppBuildTimeoutMs);
    peerPath = cppTarget('actor_ipc_lane_peer');
  });

  const places = [
    { capacity: 1024, firstPosition: 0 },
    { capacity: 1024, firstPosition: 2 ** 32 - 8 },
    { capacity: 4096, firstPosition: 2 ** 32 - 2000 },
    { capacity: 65_536, firstPosition: 2 ** 31 - 8000 },
    { capacity: 65_536, firstPosition: 2 ** 32 - 100_000 },
  ];

  /** Compares what is read with the records that were to come. */
  function expecting(wanted: Iterator<RandomRecord, void>) {
    return ({ kind: found, flags, at, bytes }: RecordPlace, ring: Uint8Array) => {
      const record = wanted.next().value;
      if (!record) return assert.fail('a record too many');
      // Buffer.compare, since a deep comparison of large arrays takes longer than the whole test.
      if (found !== record.kind || flags !== record.flags) assert.fail('another kind or other flags');
      if (Buffer.compare(ring.subarray(at, at + bytes), record.payload) !== 0) assert.fail('another payload');
    };
  }

  async function assertEnded(peer: LanePeer): Promise<void> {
    const { code, signal, stderr } = await peer.end;
    assert.deepEqual({ code, signal, stderr }, { code: 0, signal: null, stderr: '' });
  }

  const count = 4000;

  for (const { capacity, firstPosition } of places) {
    const where = `in a ring of ${capacity} bytes from position ${firstPosition}`;
    const seed = (capacity + firstPosition) >>> 0 || 1;
    const start = (mode: 'echo' | 'produce' | 'consume') =>
      LanePeer.start(peerPath, { mode, seed, count, capacity, firstPosition });

    it(`delivers what JavaScript writes to C++, ${where}`, async () => {
      using peer = await start('consume');
      const outgoing = new Outgoing(peer, randomRecords(seed, capacity, count));
      await peer.run(() => outgoing.pump());
      await assertEnded(peer);
      assert.equal(peer.writer.unreadBytes(), 0);
    });

    it(`delivers what C++ writes to JavaScript, ${where}`, async () => {
      using peer = await start('produce');
      const expect = expecting(randomRecords(seed, capacity, count));
      let taken = 0;
      await peer.run(() => {
        readAll(peer, (place, ring) => {
          expect(place, ring);
          taken++;
        });
        return taken === count;
      });
      peer.hangUp();
      await assertEnded(peer);
      assert.isFalse(peer.reader.available());
    });

    it(`brings back what C++ sends back, ${where}`, async () => {
      using peer = await start('echo');
      const outgoing = new Outgoing(peer, randomRecords(seed, capacity, count));
      const expect = expecting(randomRecords(seed, capacity, count));
      let taken = 0;
      await peer.run(() => {
        outgoing.pump();
        readAll(peer, (place, ring) => {
          expect(place, ring);
          taken++;
        });
        return taken === count;
      });
      peer.hangUp();
      await assertEnded(peer);
    });
  }
});
