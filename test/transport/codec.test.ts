import { isDeepStrictEqual } from 'node:util';
import { assert } from 'chai';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { type CodecName, codecs, encodedBytes, packPlain, unpackPlain } from '../../src/transport/codec.ts';
import { Random } from '../support/random.ts';

/** Both ends of one direction of a channel: encodes, tells shapes before their first use, decodes out of a ring. */
class Direction {
  readonly encoder;
  readonly decoder;
  readonly ring = new Uint8Array(1 << 20);
  told = 0;
  #at = 0;

  constructor(codec: CodecName = 'msgpack') {
    this.encoder = codecs[codec].encoder();
    this.decoder = codecs[codec].decoder();
  }

  /** The bytes of a message, copied at once as a channel does it. */
  encode(value: unknown): Uint8Array {
    this.encoder.encode(value);
    return new Uint8Array(encodedBytes(this.encoder));
  }

  tell(): void {
    for (; this.told < this.encoder.structures.length; this.told++) {
      const [index, names] = unpackPlain(packPlain([this.told, this.encoder.structures[this.told]])) as [
        number,
        unknown,
      ];
      assert.isTrue(this.decoder.learn(index, names));
    }
  }

  decode(bytes: Uint8Array): unknown {
    if (this.#at + bytes.length > this.ring.length) this.#at = 0;
    const at = this.#at;
    this.ring.set(bytes, at);
    this.#at += bytes.length;
    return this.decoder.decode(this.ring, at, bytes.length);
  }

  carry(value: unknown): unknown {
    const bytes = this.encode(value);
    this.tell();
    return this.decode(bytes);
  }
}

function assertSame(found: unknown, wanted: unknown): void {
  // Not chai's comparison, which takes -0, errors and classes of bytes more lightly.
  if (isDeepStrictEqual(found, wanted)) return;
  assert.deepEqual(found, wanted, 'another value');
  assert.fail('values that only look alike');
}

/** Zero has no sign in msgpack. */
const unsignedZero = (value: number) => (value === 0 ? 0 : value);
const numbers = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.double().map(unsignedZero),
  fc.float().map(unsignedZero),
);
const leaf = fc.oneof(
  { weight: 4, arbitrary: numbers },
  { weight: 4, arbitrary: fc.string({ unit: 'grapheme', maxLength: 300 }) },
  fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
  fc.constantFrom(null, undefined, true, false),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }),
  fc.uint8Array({ maxLength: 300 }),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.float64Array({ maxLength: 20 }),
  fc.int32Array({ maxLength: 20 }),
  fc.date({ noInvalidDate: true }),
  fc.constantFrom(/a+[^b]/giu, new Int16Array([1, -1]), new BigInt64Array([-1n, 1n]), new ArrayBuffer(3)),
);
const key = fc
  .oneof(fc.constantFrom('id', 'name', 'at', 'values'), fc.string({ unit: 'grapheme', maxLength: 20 }))
  .filter((name) => name !== '__proto__');
const { value: anyValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    { weight: 6, arbitrary: leaf },
    { weight: 2, arbitrary: fc.array(tie('value'), { maxLength: 20 }) },
    { weight: 3, arbitrary: fc.dictionary(key, tie('value'), { maxKeys: 12, noNullPrototype: true }) },
    {
      weight: 1,
      arbitrary: fc.array(fc.tuple(leaf, tie('value')), { maxLength: 6 }).map((all) => new Map(all)),
    },
    { weight: 1, arbitrary: fc.array(leaf, { maxLength: 6 }).map((all) => new Set(all)) },
  ),
}));

describe('the codec msgpack', () => {
  it('brings back values of all kinds, also with shapes that it has learned from earlier ones', () => {
    const direction = new Direction();
    fc.assert(
      fc.property(anyValue, (value) => assertSame(direction.carry(value), value)),
      { numRuns: 1000 },
    );
  });

  it('brings back an error with its name and its message', () => {
    const found = new Direction().carry(new RangeError('too far'));
    assert.instanceOf(found, RangeError);
    assert.propertyVal(found, 'message', 'too far');
  });

  it('brings back messages far larger than those before them', () => {
    const direction = new Direction();
    for (const length of [1, 4095, 4096, 4097, 70_000, 500_000, 10]) {
      const value = { text: 'é'.repeat(length / 2), bytes: new Uint8Array(length).fill(7) };
      assertSame(direction.carry(value), value);
    }
  });

  it('tells each shape once, and appends the new ones', () => {
    const direction = new Direction();
    const shapes = () => direction.encoder.structures.map((names) => [...names]);
    for (const n of [1, 2, 3]) direction.carry({ a: n, b: [{ c: n }, { c: -n }] });
    const first = shapes();
    assert.sameDeepMembers(first, [['a', 'b'], ['c']]);
    for (const n of [1, 2, 3]) direction.carry({ b: n, a: n });
    assert.deepEqual(shapes(), [...first, ['b', 'a']]);
    direction.carry([1, 'no object', new Map([['d', 1]])]);
    assert.deepEqual(shapes(), [...first, ['b', 'a']]);
  });

  it('takes an object of a learned shape for less than its names', () => {
    const direction = new Direction();
    const value = (n: number) => ({ aNameThatIsLong: n, anotherNameThatIsLong: n });
    direction.carry(value(1));
    assert.isAtMost(direction.encode(value(2)).length, 3);
  });

  it('brings back 40 shapes, of which the last carry their names', () => {
    const direction = new Direction();
    for (let round = 0; round < 5; round++)
      for (let shape = 0; shape < 40; shape++) {
        const value = { [`first${shape}`]: round, [`second${shape}`]: { [`inner${shape % 7}`]: 'x' } };
        assertSame(direction.carry(value), value);
      }
    assert.isAtMost(direction.encoder.structures.length, 32);
    const once = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`k${i}`, { [`v${i}`]: i }]));
    assertSame(direction.carry(once), once);
  });

  it('neither harms nor is harmed by others who pack in this process', () => {
    const others = [
      new Packr(),
      new Packr({ structures: [] }),
      new Packr({ useRecords: false, moreTypes: true } as ConstructorParameters<typeof Packr>[0]),
    ];
    const small = fc.array(
      fc.oneof(fc.integer(), fc.string(), fc.dictionary(key, fc.integer(), { noNullPrototype: true })),
    );
    const ours = new Direction();
    const alsoOurs = new Direction();
    fc.assert(
      fc.property(fc.array(small, { minLength: 4, maxLength: 12 }), (values) => {
        const packed: { by: Packr; bytes: Uint8Array; value: unknown }[] = [];
        const encoded: { by: Direction; bytes: Uint8Array; value: unknown }[] = [];
        values.forEach((value, i) => {
          for (const by of [ours, alsoOurs]) {
            encoded.push({ by, bytes: by.encode(value), value });
            by.tell();
          }
          // Kept as they are given, not copied: they are their caller's.
          const by = others[i % others.length]!;
          packed.push({ by, bytes: by.pack(value), value });
        });
        for (const { by, bytes, value } of packed) assertSame(by.unpack(bytes), value);
        for (const { by, bytes, value } of encoded) assertSame(by.decode(bytes), value);
      }),
      { numRuns: 200 },
    );
  });

  it('answers values that change neither with the ring nor with later messages', () => {
    const direction = new Direction();
    const make = (n: number) => ({
      bytes: new Uint8Array(100).fill(n),
      buffer: Buffer.alloc(100, n),
      floats: new Float64Array(10).fill(n),
      words: new Int32Array(10).fill(n),
      raw: new Uint8Array(16).fill(n).buffer,
      text: String(n).repeat(100),
      list: [Buffer.alloc(10, n)],
    });
    const found = [1, 2, 3, 4].map((n) => direction.carry(make(n)));
    direction.ring.fill(0xff);
    direction.carry(make(5));
    for (const [i, value] of found.entries()) assertSame(value, make(i + 1));
  });

  it('throws for what it can not express, and encodes the next message as if that had not been', () => {
    const direction = new Direction();
    const unexpressed = { fresh: { inner: Symbol('none') } };
    assert.throws(() => direction.encode(unexpressed));
    assert.throws(() => direction.encode([1, unexpressed]));
    for (const value of [{ fresh: { inner: 1 } }, { fresh: 2 }, [{ inner: { fresh: 3 } }]])
      assertSame(direction.carry(value), value);
  });

  it('throws for a message that is cut off anywhere', () => {
    const direction = new Direction();
    const values = [
      'text that is long enough for a byte of length',
      [1, -1, 1.5, 2 ** 40, 'é', null],
      { a: { b: [new Uint8Array(20)] }, c: new Date(0) },
      new Map([[1, new Set(['x', 'y'])]]),
      [2n ** 60n, new Float64Array(3), /x/],
    ];
    for (const value of values) {
      const bytes = direction.encode(value);
      direction.tell();
      for (let length = 0; length < bytes.length; length++)
        assert.throws(() => direction.decode(bytes.subarray(0, length)), Error, undefined, `${length} bytes`);
      assertSame(direction.decode(bytes), value);
    }
  });

  it('throws for a message of no bytes, whatever came before it', () => {
    const direction = new Direction();
    // As long as the place that it is decoded in, so that what was there before makes a whole message.
    const before = 'x'.repeat(4096 - 3);
    assert.equal(direction.encode(before).length, 4096);
    assertSame(direction.carry(before), before);
    assert.throws(() => direction.decode(new Uint8Array(0)));
  });

  it('throws for bytes that are left over', () => {
    const direction = new Direction();
    for (const value of [1, 'x', [1, 2], { a: 1 }]) {
      const bytes = direction.encode(value);
      direction.tell();
      for (const more of [1, 2, 100])
        assert.throws(() => direction.decode(Uint8Array.from([...bytes, ...new Uint8Array(more)])));
    }
  });

  it('throws for a shape that it was not told, and for types that it does not know', () => {
    const decode = (...bytes: number[]) => new Direction().decode(Uint8Array.from(bytes));
    assert.throws(() => decode(0x41, 1, 2));
    assert.throws(() => decode(0xd4, 0x33, 0));
    assert.throws(() => decode(0xc7, 1, 0x34, 0));
  });

  it('throws for what is nested without end', () => {
    const direction = new Direction();
    for (const token of [0x91, 0x81])
      assert.throws(() => direction.decode(new Uint8Array(500_000).fill(token)));
    assertSame(direction.carry([1]), [1]);
  });

  it('throws for lengths that nobody could have sent, without taking memory for them', () => {
    const direction = new Direction();
    // str, bin, array, map and ext of 32-bit lengths.
    for (const token of [0xdb, 0xc6, 0xdd, 0xdf, 0xc9]) {
      const before = process.memoryUsage().rss;
      assert.throws(() => direction.decode(Uint8Array.of(token, 0xff, 0xff, 0xff, 0xff, 1)));
      assert.isBelow(process.memoryUsage().rss - before, 512 * 1024 * 1024);
    }
  });

  it('throws or answers for bytes at random, and goes on', () => {
    const direction = new Direction();
    const random = new Random(4711);
    const whole = direction.encode([
      { a: 1, b: 'text' },
      [1.5, null],
      new Map([[1, 2]]),
      new Uint8Array(9),
      'é',
    ]);
    for (let round = 0; round < 20_000; round++) {
      const bytes = round % 2 === 0 ? random.bytes(random.below(60)) : whole.slice();
      if (round % 2 !== 0)
        for (let hits = 1 + random.below(4); hits > 0; hits--)
          bytes[random.below(bytes.length)] = random.next() & 0xff;
      try {
        direction.decode(bytes);
      } catch (error) {
        assert.instanceOf(error, Error);
      }
    }
    assertSame(direction.carry(['still', 1]), ['still', 1]);
  });

  it('learns shapes in their order only, and only what can be one', () => {
    const decoder = codecs.msgpack.decoder();
    assert.isFalse(decoder.learn(1, ['a']));
    for (const names of [undefined, null, 'a', { 0: 'a' }, [1], ['a', null], new Array(1025).fill('a')])
      assert.isFalse(decoder.learn(0, names));
    assert.isTrue(decoder.learn(0, ['a']));
    assert.isFalse(decoder.learn(0, ['b']));
    assert.isFalse(decoder.learn(-1, ['b']));
    for (let i = 1; i < 32; i++) assert.isTrue(decoder.learn(i, [`name${i}`]));
    assert.isFalse(decoder.learn(32, ['one too many']));
    assertSame(decoder.decode(Uint8Array.of(0x40, 5), 0, 2), { a: 5 });
  });

  it('does not let a message change a shape that was told', () => {
    const decoder = codecs.msgpack.decoder();
    assert.isTrue(decoder.learn(0, ['a']));
    const ofTheShape = Uint8Array.of(0x40, 1);
    // fixext 1, "r", id 0, then [ "b" ] and a value: the shape 0 anew.
    const defining = Uint8Array.of(0xd4, 0x72, 0x40, 0x91, 0xa1, 0x62, 1);
    try {
      decoder.decode(defining, 0, defining.length);
    } catch {
      // To refuse it is as good.
    }
    assertSame(decoder.decode(ofTheShape, 0, ofTheShape.length), { a: 1 });
  });

  it('makes no prototype of what a message names __proto__', () => {
    const direction = new Direction();
    const found = direction.carry(JSON.parse('{ "__proto__": { "polluted": true } }')) as object;
    assert.isUndefined((found as { polluted?: boolean }).polluted);
    assert.isUndefined(({} as { polluted?: boolean }).polluted);
    assert.strictEqual(Object.getPrototypeOf(found), Object.prototype);
  });
});

describe('the codec bytes', () => {
  it('brings back bytes of any length, from any view', () => {
    const direction = new Direction('bytes');
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), fc.nat(20), (bytes, skip) => {
        assertSame(direction.carry(bytes), bytes);
        const view = bytes.subarray(Math.min(skip, bytes.length));
        assertSame(direction.carry(view), Uint8Array.from(view));
        assertSame(direction.carry(Buffer.from(bytes)), bytes);
      }),
    );
  });

  it('answers bytes that do not change with the ring', () => {
    const direction = new Direction('bytes');
    const found = direction.carry(Uint8Array.of(1, 2, 3));
    direction.ring.fill(0xff);
    assertSame(found, Uint8Array.of(1, 2, 3));
  });

  it('keeps messages apart that share memory', () => {
    const random = new Random(11);
    const direction = new Direction('bytes');
    const sent = Array.from({ length: 500 }, (_, i) => new Uint8Array(random.below(10_000)).fill(i));
    const found = sent.map((bytes) => direction.carry(bytes) as Uint8Array);
    for (const [i, bytes] of found.entries())
      assert.isTrue(isDeepStrictEqual(bytes, sent[i]), `message ${i}`);
    // Writing to one is writing to that one alone.
    for (const [i, bytes] of found.entries()) bytes.fill(255 - (i & 0xff));
    for (const [i, bytes] of found.entries()) assert.isTrue(bytes.every((byte) => byte === 255 - (i & 0xff)));
  });

  it('lets nobody take the memory of a message from its neighbours', () => {
    const direction = new Direction('bytes');
    const [one, other] = [direction.carry(new Uint8Array(100)), direction.carry(new Uint8Array(100).fill(7))];
    const memory = (one as Uint8Array).buffer as ArrayBuffer;
    try {
      // Node 20 copies what may not be transferred, later releases refuse.
      structuredClone(memory, { transfer: [memory] });
    } catch {}
    assert.deepEqual([...(other as Uint8Array)], new Array(100).fill(7));
  });

  it('encodes without a copy', () => {
    const { encoder } = new Direction('bytes');
    const bytes = Uint8Array.of(1, 2, 3);
    encoder.encode(bytes);
    assert.strictEqual(encoder.buffer, bytes);
    assert.equal(encoder.length, 3);
  });

  it('throws for what are no bytes', () => {
    const { encoder } = new Direction('bytes');
    for (const value of [
      null,
      'text',
      [1],
      new ArrayBuffer(1),
      new DataView(new ArrayBuffer(1)),
      new Int8Array(1),
      {},
    ])
      assert.throws(() => encoder.encode(value), TypeError);
  });

  it('knows no shapes', () => {
    const { encoder, decoder } = new Direction('bytes');
    encoder.encode(Uint8Array.of(1));
    assert.deepEqual(encoder.structures, []);
    assert.isFalse(decoder.learn(0, ['a']));
  });
});

describe('packPlain() and unpackPlain()', () => {
  const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)));
  const plain = json.filter((value) => !JSON.stringify(value).includes('__proto__'));

  it('bring back whatever JSON can express, and bytes', () => {
    fc.assert(
      fc.property(plain, fc.uint8Array(), (value, bytes) => {
        assertSame(unpackPlain(packPlain(value)), value);
        assertSame(unpackPlain(packPlain({ value, bytes })), { value, bytes });
      }),
    );
  });

  it('pack every time alike, whatever was packed before', () => {
    const value = { t: 'frame', fields: [1, { a: 'b' }] };
    const bytes = Buffer.from(packPlain(value));
    new Direction().carry(value);
    packPlain({ another: 'shape' });
    assertSame(packPlain(value), bytes);
  });

  it("answer bytes that are the caller's, and values that do not change with the bytes", () => {
    const packed = [1, 2, 3].map((n) => packPlain({ n, bytes: Buffer.alloc(50, n) }));
    const direction = new Direction();
    for (let i = 0; i < 100; i++) {
      packPlain({ noise: 'x'.repeat(i * 100) });
      direction.carry({ noise: 'x'.repeat(i * 100) });
    }
    const found = packed.map((bytes) => {
      const value = unpackPlain(bytes);
      bytes.fill(0xff);
      return value;
    });
    for (const [i, value] of found.entries()) assertSame(value, { n: i + 1, bytes: Buffer.alloc(50, i + 1) });
  });

  it('throw for bytes that are cut off, left over or none', () => {
    const bytes = packPlain({ t: 'hello', list: [1, 'two', new Uint8Array(3)] });
    for (let length = 0; length < bytes.length; length++)
      assert.throws(() => unpackPlain(bytes.subarray(0, length)));
    assert.throws(() => unpackPlain(Buffer.concat([bytes, Buffer.of(0)])));
    assert.throws(() => unpackPlain(Buffer.alloc(0)));
  });
});
