// Values of programs on their way to those who look on: whatever they are, the answer is JSON, bounded, and never a throw.
import { assert } from 'chai';
import fc from 'fast-check';
import { encodeValue, withoutSecrets } from '../../src/runtime/value-encoder.ts';

/** About 64 KiB, with what quotes, keys and notes of what was left out add. */
const bytesMost = 200_000;

function encoded(value: unknown, options: Parameters<typeof encodeValue>[1] = {}): string {
  return JSON.stringify(encodeValue(value, options));
}

function nested(levels: number): unknown {
  let value: unknown = 1;
  for (let i = 0; i < levels; i++) value = [value];
  return value;
}

/** Each of its traps throws, or hands out the like. */
function hostile(): object {
  const fail = (): never => {
    throw hostileError();
  };
  return new Proxy(
    {},
    { get: fail, has: fail, ownKeys: fail, getPrototypeOf: fail, getOwnPropertyDescriptor: fail },
  );
}

function hostileError(): unknown {
  return {
    get message(): string {
      throw new Error('again');
    },
    toString(): string {
      throw new Error('and again');
    },
  };
}

describe('the encoder of values', () => {
  it('makes JSON of anything', () => {
    const anything = fc.anything({
      ...{ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true },
      ...{ withBoxedValues: true, withNullPrototype: true, withObjectString: true, withSparseArray: true },
    });
    fc.assert(
      fc.property(anything, (value) => {
        assert.isBelow(encoded(value).length, bytesMost);
      }),
      { numRuns: 1_000 },
    );
  });

  it('leaves plain JSON as it is', () => {
    const plain = fc.dictionary(
      fc.string().filter((name) => name !== '$' && name !== '__proto__'),
      fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.array(fc.integer())),
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(plain, (value) => {
        const shown = encodeValue(value) as Record<string, unknown>;
        // A key may happen to be the name of a secret.
        for (const [key, inner] of Object.entries(shown))
          if ((inner as { $?: string } | null)?.$ !== 'Redacted') assert.deepEqual(inner, value[key]);
        assert.deepEqual(Object.keys(shown), Object.keys(value));
      }),
    );
  });

  it('names where a cycle leads, and shows twice what only stands there twice', () => {
    const around: Record<string, unknown> = { list: [] };
    (around.list as unknown[]).push(around);
    assert.deepEqual(encodeValue(around), { list: [{ $: 'Cycle', v: '$' }] });
    const shared = { a: 1 };
    assert.deepEqual(encodeValue({ one: shared, other: shared }), { one: { a: 1 }, other: { a: 1 } });
    const map = new Map<string, unknown>();
    map.set('me', map);
    assert.deepEqual(encodeValue(map), { $: 'Map', n: 1, e: [['me', { $: 'Cycle', v: '$' }]] });
    const error = new Error('a');
    error.cause = error;
    assert.nestedPropertyVal(encodeValue(error), 'cause.$', 'Cycle');
  });

  it('goes on beside a getter that throws, and behind a proxy that always does', () => {
    const value = {
      before: 1,
      get burnt(): number {
        throw new Error('hot');
      },
      after: 2,
    };
    assert.deepEqual(encodeValue(value), { before: 1, burnt: { $: 'Thrown', v: 'hot' }, after: 2 });
    assert.nestedPropertyVal(encodeValue({ trap: hostile() }), 'trap.$', 'Thrown');
    assert.propertyVal(encodeValue(hostile()), '$', 'Thrown');
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    assert.propertyVal(encodeValue(proxy), '$', 'Thrown');
    class Odd extends Map {
      override get size(): number {
        throw hostileError();
      }
    }
    assert.propertyVal(encodeValue(new Odd()), '$', 'Thrown');
  });

  it('is done with ten megabytes of text, a million entries and a million levels at once, and within its limits', () => {
    const begun = process.cpuUsage();
    const long = 'x'.repeat(10_000_000);
    const heavy: unknown[] = [
      long,
      { long, again: long },
      new Array(1_000_000).fill(long),
      new Map(Array.from({ length: 100_000 }, (_, i) => [i, long])),
      new Set(Array.from({ length: 100_000 }, (_, i) => i)),
      nested(1_000_000),
      Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`${i}${'k'.repeat(1_000)}`, i])),
      new Uint8Array(10_000_000),
      new Float64Array(1_000_000),
      new SharedArrayBuffer(1_000_000),
      2n ** 1_000_000n,
      Object.assign(new Error(long), { stack: long, cause: new Error(long) }),
      Symbol(long),
    ];
    for (const value of heavy) assert.isBelow(encoded(value).length, bytesMost);
    const { user, system } = process.cpuUsage(begun);
    assert.isBelow((user + system) / 1e6, 10);
  });

  it('says of what is shortened how long it is', () => {
    assert.deepEqual(encodeValue('abcdef', { textMax: 3 }), { $: 'Text', n: 6, v: 'abc' });
    assert.deepEqual(encodeValue([1, 2, 3], { entriesMax: 2 }), { $: 'Array', n: 3, e: [1, 2] });
    assert.deepEqual(encodeValue(nested(3), { depthMax: 2 }), [[{ $: 'Deep', of: 'Array' }]]);
    assert.deepEqual(encodeValue(new Uint8Array([1, 255])), {
      $: 'Bytes',
      of: 'Uint8Array',
      n: 2,
      v: '01ff',
    });
  });

  it('has words for what JSON has none for', () => {
    assert.deepEqual(encodeValue([Number.NaN, -0, undefined, 5n, new Date(Number.NaN)]), [
      { $: 'Number', v: 'NaN' },
      { $: 'Number', v: '-0' },
      { $: 'Undefined' },
      { $: 'BigInt', v: '5' },
      { $: 'Date', v: 'Invalid Date' },
    ]);
    assert.deepEqual(encodeValue({ $: 'Cycle' }), { $: 'Object', n: 1, e: { $: 'Cycle' } });
    const own = JSON.parse('{"__proto__": 1}') as object;
    assert.equal(encoded(own), '{"__proto__":1}');
  });

  it('shows no secret, however it is nested', () => {
    const secret = 'marked-secret-that-nobody-may-see';
    const tree = fc.letrec((tie) => ({
      node: fc.oneof(
        { maxDepth: 3 },
        fc.constantFrom(secret, `a${secret}b`, 1, null),
        fc.array(tie('node'), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom('a', 'password', secret), tie('node')),
        tie('node').map((inner) => new Map([[secret, inner]])),
        tie('node').map((inner) => new Set([inner])),
        tie('node').map((inner) => new Error(secret, { cause: inner })),
        tie('node').map((inner) => Symbol(String(typeof inner) + secret)),
      ),
    })).node;
    fc.assert(
      fc.property(tree, (value) => assert.notInclude(encoded(value, { secrets: [secret] }), secret)),
      { numRuns: 500 },
    );
    for (let before = 0; before < 40; before++)
      assert.notInclude(encoded('x'.repeat(before) + secret, { secrets: [secret], textMax: 40 }), 'marked');
    assert.equal(withoutSecrets('abc', ['abc']), 'abc', 'one that is too short would leave holes in words');
  });

  it('leaves out what the hook leaves out, before anything is read from it', () => {
    const redact = (path: string, value: unknown) => (path === '$.customer' ? undefined : value);
    assert.deepEqual(encodeValue({ customer: hostile(), n: 1 }, { redact }), {
      customer: { $: 'Redacted' },
      n: 1,
    });
    const failing = () => {
      throw hostileError();
    };
    assert.propertyVal(encodeValue({ a: 1 }, { redact: failing }), '$', 'Thrown');
  });
});
