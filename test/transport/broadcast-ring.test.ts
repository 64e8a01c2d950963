import { assert } from 'chai';
import fc from 'fast-check';
import {
  type BroadcastPlace,
  BroadcastRingReader,
  BroadcastRingWriter,
  broadcastPayloadMax,
} from '../../src/transport/broadcast-ring.ts';
import { segmentKind } from '../../src/transport/link.ts';
import { type NativeSegment, native } from '../../src/transport/native.ts';
import { cppBuildTimeoutMs, cppTarget } from '../support/cpp-target.ts';
import { type Program, startProgram } from '../support/fixture.ts';
import { Random } from '../support/random.ts';

const capacity = 1024;
/** So that a test meets the end of the ring, of a turn and of the 32-bit positions. */
const nearEnd = 2 ** 32 - 64;
const kind = 2;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** A broadcast's segment, mapped twice as it would be in two processes. */
class Ends implements Disposable {
  readonly writer: BroadcastRingWriter;
  /** The writer's own memory, for tests of a writer that lies. */
  readonly words: Int32Array;
  readonly ringWords: Int32Array;
  readonly #own: NativeSegment;
  readonly #seen: NativeSegment;

  constructor(ringBytes: number, firstPosition = 0) {
    const { Segment, dupFd } = native();
    this.#own = new Segment(segmentKind.broadcast, [ringBytes], firstPosition);
    this.#seen = new Segment(segmentKind.broadcast, dupFd(this.#own.fd), this.#own.bytes, this.#own.bytes);
    this.writer = new BroadcastRingWriter(this.#own);
    this.words = new Int32Array(this.#own.buffer);
    this.ringWords = new Int32Array(this.#own.buffer, this.#own.rings[0], ringBytes >> 2);
  }

  reader(first: BroadcastPlace = this.writer.end): BroadcastRingReader {
    return new BroadcastRingReader(this.#seen, first);
  }

  publish(text: string): void {
    const bytes = encoder.encode(text);
    assert.isTrue(this.writer.write(kind, 0, bytes, bytes.length));
    this.writer.publish();
  }

  get fd(): number {
    return this.#own.fd;
  }

  get bytes(): number {
    return this.#own.bytes;
  }

  [Symbol.dispose](): void {
    this.#own.close();
    this.#seen.close();
  }
}

/** The next record as text with the gap before it; undefined if there is none. */
function read(reader: BroadcastRingReader): string | undefined {
  if (!reader.read()) return undefined;
  const text = decoder.decode(reader.copy.subarray(0, reader.length));
  return reader.gap === 0 ? text : `(${reader.gap} missed) ${text}`;
}

describe('BroadcastRingWriter and BroadcastRingReader', () => {
  it('use the constants of the layout', () => {
    const { broadcastHeaderBytes, broadcastAlign, turnBits, ringBytesMax } = native().layout;
    using ends = new Ends(capacity);
    ends.publish('123456789');
    assert.equal(ends.writer.end.position, broadcastHeaderBytes + broadcastAlign);
    assert.equal(broadcastPayloadMax(capacity), capacity / 2 - broadcastHeaderBytes);
    assert.isAtLeast(2 ** turnBits, ringBytesMax);
  });

  /** What a broadcast promises, said with a list of all records. */
  class Model {
    readonly records: { payload: Uint8Array; flags: number; begin: number; end: number }[] = [];
    oldest = 0;
    #tail: number;
    readonly #capacity: number;

    constructor(ringBytes: number, first: number) {
      this.#capacity = ringBytes;
      this.#tail = first;
    }

    write(flags: number, payload: Uint8Array): void {
      const total = 16 + Math.ceil(payload.length / 16) * 16;
      const toEnd = this.#capacity - (this.#tail % this.#capacity);
      const end = this.#tail + (total > toEnd ? toEnd : 0) + total;
      while (this.oldest < this.records.length && end - this.records[this.oldest]!.begin > this.#capacity)
        this.oldest++;
      this.records.push({ payload, flags, begin: end - total, end });
      this.#tail = end;
    }
  }

  it('answer what a list would, with sizes and pauses of all kinds, from any place on', () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ do: fc.constant('write' as const), size: fc.nat(40), seed: fc.nat() }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ do: fc.constant('write' as const), size: fc.nat(2032), seed: fc.nat() }),
      },
      { weight: 1, arbitrary: fc.record({ do: fc.constant('join' as const) }) },
      { weight: 5, arbitrary: fc.record({ do: fc.constant('read' as const), which: fc.nat(7) }) },
    );
    const firstPosition = fc.oneof(
      fc.nat(64).map((steps) => 2 ** 32 - 16 * (steps + 1)),
      fc.nat(64).map((steps) => 2 ** 31 - 16 * steps),
      fc.nat(64).map((steps) => 2 ** 30 - 16 * steps),
      fc.nat(64).map((steps) => 16 * steps),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(1024, 2048, 4096),
        firstPosition,
        fc.array(step, { maxLength: 400, size: 'max' }),
        (ringBytes, first, steps) => {
          using ends = new Ends(ringBytes, first);
          const model = new Model(ringBytes, first);
          const readers: { reader: BroadcastRingReader; next: number }[] = [];
          for (const act of steps) {
            if (act.do === 'write') {
              const random = new Random(act.seed + 1);
              const payload = random.bytes(Math.min(act.size, ends.writer.payloadMax));
              const flags = random.below(256);
              assert.isTrue(ends.writer.write(kind, flags, payload, payload.length));
              model.write(flags, payload);
              assert.equal(ends.writer.oldest.sequence, model.oldest + 1);
              ends.writer.publish();
            } else if (act.do === 'join') {
              if (readers.length < 8) readers.push({ reader: ends.reader(), next: model.records.length });
            } else if (readers.length > 0) {
              const one = readers[act.which % readers.length]!;
              const { reader } = one;
              const has = one.next < model.records.length;
              assert.equal(reader.available(), has);
              assert.equal(reader.read(), has);
              assert.isUndefined(reader.broken);
              if (!has) continue;
              const wanted = Math.max(one.next, model.oldest);
              assert.equal(reader.gap, wanted - one.next);
              const { payload, flags } = model.records[wanted]!;
              assert.equal(reader.flags, flags);
              assert.deepEqual(new Uint8Array(reader.copy.subarray(0, reader.length)), payload);
              one.next = wanted + 1;
            }
          }
        },
      ),
      { numRuns: 150 },
    );
  });

  it('show nothing before publish', () => {
    using ends = new Ends(capacity, nearEnd);
    const reader = ends.reader();
    ends.writer.write(kind, 0, encoder.encode('a'), 1);
    assert.isUndefined(read(reader));
    ends.writer.publish();
    assert.equal(read(reader), 'a');
    assert.isUndefined(read(reader));
  });

  it('count exactly what a lapped reader missed, and go on with the oldest record', () => {
    using ends = new Ends(capacity, nearEnd);
    const reader = ends.reader();
    for (let n = 0; n <= 100; n++) ends.publish(String(n));
    assert.equal(read(reader), '(69 missed) 69');
    for (let n = 70; n <= 100; n++) assert.equal(read(reader), String(n));
    assert.isUndefined(read(reader));
  });

  it('are not fooled by positions that look the same after 2^32 bytes', () => {
    using ends = new Ends(capacity, nearEnd);
    for (let n = 1; n <= 100; n++) ends.publish(String(n));
    for (const now of [ends.writer.end, ends.writer.oldest])
      for (const slept of [4, 8, 2 ** 31]) {
        // Where a reader would stand that has seen four records, and then nothing for so many turns.
        const reader = ends.reader({ position: now.position, turn: now.turn - slept, sequence: 5 });
        assert.equal(read(reader), '(64 missed) 69');
        assert.equal(read(reader), '70');
      }
  });

  it('overwrite nothing that is held', () => {
    using ends = new Ends(capacity, nearEnd);
    const reader = ends.reader();
    const bytes = new Uint8Array(48);
    ends.writer.hold(reader.position);
    let written = 0;
    while (ends.writer.write(kind, 0, bytes, 48)) written++;
    assert.equal(written, 16);
    assert.isFalse(ends.writer.fits(0, reader.position));
    ends.writer.publish();
    assert.isTrue(reader.read());
    assert.isTrue(ends.writer.fits(48, reader.position));
    assert.isFalse(ends.writer.write(kind, 0, bytes, 48));
    ends.writer.hold(reader.position);
    assert.isTrue(ends.writer.write(kind, 0, bytes, 48));
    ends.writer.hold(undefined);
    assert.isTrue(ends.writer.write(kind, 0, bytes, 48));
  });

  describe('with a writer whose memory makes no sense', () => {
    const { lanesOffset, tailOffset, oldestOffset } = native().layout;
    const tailAt = (lanesOffset + tailOffset) >> 2;
    const oldestAt = (lanesOffset + oldestOffset) >> 2;
    const rows: [title: string, memory: 'words' | 'ringWords', at: number, value: number][] = [
      ['a tail between two records', 'words', tailAt, 8],
      ['a tail beyond the ring', 'words', tailAt, capacity + 16],
      ['a tail that runs back', 'words', tailAt, -16],
      ['an oldest record between two', 'words', oldestAt, 24],
      ['an oldest record beyond the tail', 'words', oldestAt, capacity],
      ['a length beyond the tail', 'ringWords', 0, 200],
      ['a length beyond all', 'ringWords', 0, -1],
      ['a wrap record in the middle', 'ringWords', 1, 1],
      ['a number out of order', 'ringWords', 2, 2],
      ['a number from far ahead', 'ringWords', 3, 1],
    ];
    for (const [title, memory, at, value] of rows)
      it(`refuses ${title}, for good`, () => {
        using ends = new Ends(capacity);
        const reader = ends.reader();
        ends.publish('first');
        ends.publish('second');
        ends[memory][at] = value;
        assert.isUndefined(read(reader));
        assert.isString(reader.broken);
        ends.publish('third');
        assert.isUndefined(read(reader));
      });

    it('survives words at random', () => {
      for (let seed = 1; seed <= 500; seed++) {
        using ends = new Ends(capacity, nearEnd);
        const reader = ends.reader();
        for (let n = 0; n < 10; n++) ends.publish(String(n));
        const random = new Random(seed);
        for (let i = 0; i < 4; i++) {
          ends.ringWords[random.below(capacity / 4)] = random.next();
          const at = [tailAt, oldestAt, oldestAt + 1][random.below(3)]!;
          if (random.below(2) === 0) ends.words[at] = random.next();
          for (let reads = 0; reads < 20; reads++) reader.read();
        }
      }
    });
  });
});

describe('BroadcastRingWriter and BroadcastRingReader with their peers in C++', function () {
  let path = '';
  const ringBytes = 4096;
  const count = 40_000;
  before(function () {
    this.timeout(cppBuildTimeoutMs);
    path = cppTarget('actor_ipc_broadcast_peer');
  });
  this.timeout(90_000);

  interface Drawn {
    readonly kind: number;
    readonly flags: number;
    readonly payload: Uint8Array;
  }

  /** The record that cpp/test/broadcast_peer.cc draws. */
  function draw(random: Random): Drawn {
    const limit = random.below(8) === 0 ? 400 : 64;
    const bytes = random.below(limit);
    return { kind: 2 + random.below(254), flags: random.below(256), payload: random.bytes(bytes) };
  }

  /** A peer, and the packets that it sends: a number each, with descriptors. */
  class Peer implements Disposable {
    readonly #socket;
    readonly #program: Program;
    readonly #packets: { number: number; fds: number[] }[] = [];
    #wake: (() => void) | undefined;

    constructor(args: readonly (string | number)[], fds: readonly number[] = []) {
      const { socketPair, closeFd, Socket } = native();
      const [mine, theirs] = socketPair();
      this.#program = startProgram(path, args.map(String), { fds: [theirs, ...fds] });
      closeFd(theirs);
      this.#socket = new Socket(mine);
      this.#socket.listen(
        (packet, received) => {
          this.#packets.push({ number: Number(packet.readBigUInt64LE()), fds: received });
          this.#wake?.();
        },
        () => undefined,
        () => undefined,
      );
    }

    async packet(): Promise<{ number: number; fds: number[] }> {
      const arrived = new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (this.#packets.length > 0) resolve();
      });
      const died = this.#program.end.then(({ code, stderr }) => {
        if (code !== 0) throw new Error(stderr);
        return arrived;
      });
      await Promise.race([arrived, died]);
      return this.#packets.shift()!;
    }

    go(): void {
      this.#socket.send(Uint8Array.of(1));
    }

    [Symbol.dispose](): void {
      this.#socket.close();
      this.#program[Symbol.dispose]();
    }
  }

  it('read what it writes, whole and with exact gaps, also while it overwrites', async () => {
    using peer = new Peer(['produce', ringBytes, nearEnd, 3, count]);
    const { number: bytes, fds } = await peer.packet();
    const segment = new (native().Segment)(segmentKind.broadcast, fds[0]!, bytes, bytes);
    const reader = new BroadcastRingReader(segment, { position: nearEnd, turn: 3, sequence: 1 });
    const random = new Random(3);
    let sequence = 0;
    let missed = 0;
    const take = () => {
      if (!reader.read()) return;
      for (let gap = reader.gap; gap > 0; gap--) draw(random);
      sequence += reader.gap + 1;
      missed += reader.gap;
      const { kind: wantedKind, flags, payload } = draw(random);
      assert.deepEqual([reader.kind, reader.flags], [wantedKind, flags], `record ${sequence}`);
      assert.deepEqual(new Uint8Array(reader.copy.subarray(0, reader.length)), payload);
    };
    for (let round = 1; round <= 5; round++) {
      peer.go();
      const done = peer.packet();
      let over = false;
      void done.then(() => {
        over = true;
      });
      while (!over) {
        for (let i = 0; i < 1000; i++) take();
        await new Promise((resolve) => setImmediate(resolve));
      }
      while (reader.available()) take();
      assert.isUndefined(reader.broken);
      assert.equal(sequence, (await done).number - 1);
      assert.equal(sequence, round * count);
    }
    assert.isAbove(missed, 0);
    segment.close();
  });

  it('write what it reads, whole and with exact gaps', async () => {
    using ends = new Ends(ringBytes, nearEnd);
    const { position, turn, sequence } = ends.writer.end;
    const place = [position >>> 0, turn >>> 0, sequence];
    using peer = new Peer(['consume', ends.bytes, ...place, 5, count], [ends.fd]);
    await peer.packet();
    const random = new Random(5);
    for (let n = 0; n < count; n++) {
      const record = draw(random);
      assert.isTrue(ends.writer.write(record.kind, record.flags, record.payload, record.payload.length));
      ends.writer.publish();
    }
    const { number: missed } = await peer.packet();
    assert.isBelow(missed, count);
  });
});
