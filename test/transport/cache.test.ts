import { appendFileSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import fc from 'fast-check';
import xxhash from 'xxhash-wasm';
import { type ErrorCode, IpcError } from '../../src/errors.ts';
import { type CacheEvent, type CacheOptions, cacheDefaults } from '../../src/spec/cache.ts';
import type { Cache } from '../../src/transport/cache.ts';
import { createCache, openCache } from '../../src/transport/cache-opening.ts';
import { keyHash, textHash } from '../../src/transport/key-hash.ts';
import { native } from '../../src/transport/native.ts';
import { cacheDirectory } from '../../src/transport/run-directory.ts';
import { startFixture } from '../support/fixture.ts';
import { folderOfEachTest } from '../support/temporary-folder.ts';
import { waitUntil } from '../support/wait-until.ts';

async function assertRejects(promise: Promise<unknown>, code: ErrorCode, ...words: string[]): Promise<void> {
  const error = await promise.then(
    () => assert.fail('it did not reject'),
    (reason: unknown) => reason,
  );
  assert.instanceOf(error, IpcError, String(error));
  assert.equal((error as IpcError).code, code, (error as Error).message);
  for (const word of words) assert.include((error as IpcError).message, word);
}

function assertThrows(call: () => unknown, code: ErrorCode): void {
  try {
    call();
  } catch (error) {
    assert.equal((error as IpcError).code, code);
    return;
  }
  assert.fail('nothing was thrown');
}

describe('a cache', function () {
  this.timeout(120_000);
  const folder = folderOfEachTest();
  let opened: Cache<unknown>[];
  let nowMs: number;

  beforeEach(() => {
    opened = [];
    nowMs = 1_000_000;
  });
  afterEach(async () => {
    for (const cache of opened) await cache.close();
  });

  /** One whose time is `nowMs`. */
  async function open<V = unknown>(options?: CacheOptions): Promise<Cache<V>> {
    const cache = await openCache<V>(folder(), 'sessions', options, () => nowMs);
    opened.push(cache as Cache<unknown>);
    return cache;
  }
  const fixture = (...args: string[]) =>
    startFixture('caches/role.ts', [args[0]!, folder(), ...args.slice(1)]);

  describe('its values', () => {
    it('are texts, bytes, and what msgpack carries', async () => {
      const cache = await open({ capacity: 10 });
      const values = [
        '',
        'plain',
        'grün 水 💧 \0 end',
        new Uint8Array([0, 255]),
        7,
        null,
        true,
        [1, { a: 'b' }],
      ];
      for (const value of values) {
        assert.isTrue(await cache.set('k', value));
        assert.deepEqual(cache.get('k'), value);
      }
    });

    it('have 384 bytes of room by default, multibyte characters and NUL included, and not one more', async () => {
      const cache = await open<string | Uint8Array>({ capacity: 10 });
      for (const value of [
        'x'.repeat(384),
        '水'.repeat(128),
        `${'水'.repeat(127)}\0\0\0`,
        new Uint8Array(384).fill(9),
      ]) {
        assert.isTrue(await cache.set('full', value));
        assert.deepEqual(cache.get('full'), value);
      }
      const kept = cache.get('full');
      for (const value of ['x'.repeat(385), `x${'水'.repeat(128)}`, 'x'.repeat(5000), new Uint8Array(385)])
        await assertRejects(cache.set('full', value), 'ERR_CACHE_ENTRY', '384');
      assert.deepEqual(cache.get('full'), kept);
    });

    it('are refused where msgpack has no words for them, with the path', async () => {
      const cache = await open({ capacity: 10 });
      await assertRejects(cache.set('k', undefined), 'ERR_CACHE_ENTRY');
      await assertRejects(cache.set('k', { a: [Symbol('s')] }), 'ERR_CACHE_ENTRY', '$.a[0]');
    });

    it('are our own: neither a later set nor another value changes them', async () => {
      const cache = await open<Uint8Array>({ capacity: 10 });
      await cache.set('a', new Uint8Array([1, 2, 3]));
      await cache.set('b', new Uint8Array([4, 5, 6]));
      const [a, b] = [cache.get('a')!, cache.get('b')!];
      await cache.set('a', new Uint8Array([7, 8, 9]));
      a.fill(0);
      assert.deepEqual([...b], [4, 5, 6]);
      assert.deepEqual([...cache.get('a')!], [7, 8, 9]);
    });
  });

  describe('what it evicts', () => {
    it('is handed to the user whose set has done it, once, before that answers', async () => {
      const cache = await open<unknown>({ capacity: 2 });
      const other = await open<unknown>();
      const told: unknown[] = [];
      const toldOther: unknown[] = [];
      const end = cache.onEvicted((record) => told.push(record));
      other.onEvicted(({ key }) => toldOther.push(key));
      await cache.set('a', 'grün', { stamp: 5, ttlMs: 100 });
      await cache.set('b', { n: 1 });
      nowMs += 40;
      assert.isTrue(cache.trySet('c', new Uint8Array([1])));
      assert.deepEqual(told, [{ key: 'a', value: 'grün', stamp: 5, ttlMs: 60, cause: 'room' }]);
      await other.set('d', 7);
      assert.deepEqual(toldOther, ['b']);
      assert.lengthOf(told, 1);
      end();
      await cache.set('e', 1);
      assert.lengthOf(told, 1);
      assert.deepEqual(toldOther, ['b']);
    });

    it('is also what nobody has used for too long, in a sweep; never what is deleted or over', async () => {
      const cache = await open<string>({ capacity: 400, agedOutMs: 1_000 });
      const told: string[] = [];
      cache.onEvicted(({ key, cause }) => told.push(`${key} ${cause}`));
      for (let i = 0; i < 300; i++) await cache.set(`k${i}`, 'v');
      await cache.set('short', 'v', { ttlMs: 10 });
      await cache.delete('k0');
      await cache.set('k1', 'replaced');
      nowMs += 1_000;
      assert.equal(await cache.sweep(), 300);
      assert.lengthOf(told, 299);
      assert.lengthOf(new Set(told), 299);
      assert.include(told, 'k1 age');
      assert.equal((await cache.stats()).records, 0);
    });
  });

  describe('its keys', () => {
    it('are compared in full, however they hash', async () => {
      const cache = await open<string>({ capacity: 100, seed: 5 });
      const pair = ['k51636', 'k478400'] as const;
      assert.equal(textHash(pair[0], 5), textHash(pair[1], 5));
      await cache.set(pair[0], 'one');
      assert.isUndefined(cache.get(pair[1]));
      await cache.set(pair[1], 'other');
      assert.deepEqual([cache.get(pair[0]), cache.get(pair[1])], ['one', 'other']);
    });

    it('have 1 to 255 bytes of UTF-8', async () => {
      const cache = await open<number>({ capacity: 10 });
      for (const key of ['k', 'k'.repeat(255), '水'.repeat(85), 'ä', '\0', 'a\0b', '💧x']) {
        await cache.set(key, 1);
        assert.equal(cache.get(key), 1, key);
        assert.include([...cache.keys()], key);
      }
      for (const key of ['', 'k'.repeat(256), '水'.repeat(86), `${'水'.repeat(85)}x`]) {
        assertThrows(() => cache.get(key), 'ERR_CACHE_ENTRY');
        await assertRejects(cache.set(key, 1), 'ERR_CACHE_ENTRY', '255');
        await assertRejects(cache.delete(key), 'ERR_CACHE_ENTRY');
      }
    });

    it('hash as XXH32, in JavaScript and in C++ alike', async () => {
      const { h32Raw } = await xxhash();
      fc.assert(
        fc.property(fc.uint8Array({ minLength: 1, maxLength: 255 }), fc.nat(0xffffffff), (key, seed) => {
          const memory = new ArrayBuffer(256);
          const bytes = new Uint8Array(memory);
          bytes.set(key);
          assert.equal(keyHash(new Int32Array(memory), bytes, 0, key.length, seed), h32Raw(key, seed));
        }),
        { numRuns: 500 },
      );
      // What C++ puts into a bucket, JavaScript finds there: many keys, so that no two ways of hashing would do.
      const cache = await open<number>({ capacity: 2000, shards: 7 });
      for (let i = 0; i < 1500; i++) await cache.set('x'.repeat(i % 40) + i, i);
      for (let i = 0; i < 1500; i++) assert.equal(cache.get('x'.repeat(i % 40) + i), i);
    });
  });

  describe('what it forgets', () => {
    it('keeps exactly as many as asked for: 20,000 of 384 bytes', async () => {
      const cache = await open<Uint8Array>({ capacity: 20_000, recordBytes: 384 });
      const value = new Uint8Array(384).fill(1);
      for (let i = 0; i < 20_000; i++) cache.trySet(`s${i}`, value);
      for (let i = 0; i < 20_000; i++) assert.isTrue(cache.has(`s${i}`));
      assert.include(await cache.stats(), { records: 20_000, evicted: 0 });
      await cache.set('one more', value);
      assert.include(await cache.stats(), { records: 20_000, evicted: 1 });
      assert.isFalse(cache.has('s0'));
    });

    it('evicts the oldest that was not read: of 1 to n with 1 read, n + 1 evicts 2', async () => {
      const cache = await open<number>({ capacity: 5 });
      for (let i = 1; i <= 5; i++) await cache.set(`${i}`, i);
      cache.get('1');
      await cache.set('6', 6);
      assert.sameMembers([...cache.keys()], ['1', '3', '4', '5', '6']);
    });

    it('forgets at the end of a life, which touch begins anew', async () => {
      const cache = await open<string>({ capacity: 5 });
      await cache.set('short', 'a', { ttlMs: 100 });
      await cache.set('touched', 'b', { ttlMs: 100 });
      nowMs += 99;
      assert.equal(cache.get('short'), 'a');
      assert.equal(cache.entry('short')!.ttlMs, 1);
      assert.isTrue(await cache.touch('touched', { ttlMs: 100 }));
      nowMs += 1;
      assert.isUndefined(cache.get('short'));
      assert.isFalse(await cache.touch('short', { ttlMs: 100 }));
      assert.equal(cache.get('touched'), 'b');
      nowMs += 99;
      assert.isFalse(cache.has('touched'));
      await cache.set('for ever', 'c', { ttlMs: 10 });
      await cache.touch('for ever', { ttlMs: 0 });
      nowMs += 1e12;
      assert.equal(cache.get('for ever'), 'c');
    });

    it('ages from the last use, and a sweep takes only what is old', async () => {
      const cache = await open<number>({ capacity: 5, agedOutMs: 2000 });
      await cache.set('old', 1);
      nowMs += 1500;
      await cache.set('fresh', 2);
      nowMs += 1000;
      assert.isUndefined(cache.get('old'));
      assert.equal(await cache.sweep(), 1);
      assert.deepEqual([...cache.keys()], ['fresh']);
      assert.include(await cache.stats(), { aged: 1, expired: 0, evicted: 0 });
      // Each use gives it two seconds more.
      assert.equal(cache.get('fresh'), 2);
      for (let i = 0; i < 5; i++) {
        nowMs += 1500;
        assert.equal(cache.get('fresh'), 2);
      }
      // To look whether it is there is no use.
      nowMs += 1500;
      assert.isTrue(cache.has('fresh'));
      nowMs += 500;
      assert.isFalse(cache.has('fresh'));
    });

    it('prefers what is over by itself to what has life left', async () => {
      const cache = await open<number>({ capacity: 3 });
      await cache.set('a', 1);
      await cache.set('b', 2);
      await cache.set('brief', 3, { ttlMs: 10 });
      nowMs += 10;
      await cache.set('c', 4);
      assert.sameMembers([...cache.keys()], ['a', 'b', 'c']);
      assert.include(await cache.stats(), { expired: 1, evicted: 0 });
    });

    it('does as a Map in the order of use that passes over what was read', () => {
      const key = fc.integer({ min: 0, max: 9 }).map((n) => `k${n}`);
      const step = fc.oneof(
        fc.record({ do: fc.constant('set' as const), key, ttlMs: fc.constantFrom(0, 0, 5, 20) }),
        fc.record({ do: fc.constant('get' as const), key }),
        fc.record({ do: fc.constant('delete' as const), key }),
        fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 6 }) }),
        fc.record({ do: fc.constant('touch' as const), key, ttlMs: fc.constantFrom(-1, 0, 7) }),
        fc.record({ do: fc.constant('swap' as const), key, right: fc.boolean() }),
      );
      let run = 0;
      return fc.assert(
        fc.asyncProperty(
          fc.array(step, { maxLength: 80 }),
          fc.integer({ min: 1, max: 6 }),
          async (steps, capacity) => {
            const cache = await openCache<number>(folder(), `model${run++}`, { capacity }, () => nowMs);
            const model = new CacheModel(capacity);
            try {
              for (const [i, one] of steps.entries()) {
                if (one.do === 'wait') nowMs += one.ms;
                if (one.do === 'get') assert.equal(cache.get(one.key), model.get(one.key, nowMs));
                if (one.do === 'delete')
                  assert.equal(await cache.delete(one.key), model.delete(one.key, nowMs));
                if (one.do === 'set') {
                  assert.isTrue(await cache.set(one.key, i, { ttlMs: one.ttlMs }));
                  model.set(one.key, i, one.ttlMs, nowMs);
                }
                if (one.do === 'touch') {
                  const options = one.ttlMs === -1 ? {} : { ttlMs: one.ttlMs };
                  assert.equal(await cache.touch(one.key, options), model.touch(one.key, one.ttlMs, nowMs));
                }
                if (one.do === 'swap') {
                  const revision = (cache.entry(one.key)?.revision ?? 0) + (one.right ? 0 : 1);
                  assert.equal(await cache.set(one.key, i, { revision }), one.right);
                  if (one.right) model.set(one.key, i, 0, nowMs);
                }
                assert.sameMembers([...cache.keys()], model.keys(nowMs));
              }
            } finally {
              await cache.close();
            }
          },
        ),
        { numRuns: 60 },
      );
    });
  });

  describe('changes that depend on what is there', () => {
    it('compare and set: of two who read the same revision, one wins', async () => {
      const cache = await open<number>({ capacity: 5 });
      const other = await open<number>();
      assert.isTrue(await cache.set('n', 1, { revision: 0 }));
      assert.isFalse(await other.set('n', 9, { revision: 0 }));
      const { revision } = cache.entry('n')!;
      assert.isTrue(await other.set('n', 2, { revision }));
      assert.isFalse(await cache.set('n', 3, { revision }));
      assert.isFalse(await cache.delete('n', { revision }));
      assert.equal(cache.get('n'), 2);
      assert.isTrue(await cache.delete('n', { revision: cache.entry('n')!.revision }));
      assert.isFalse(await cache.delete('n'));
    });

    it('a tombstone keeps older copies out for as long as it lives, and newer ones replace it', async () => {
      const cache = await open<string>({ capacity: 5, tombstones: 5 });
      await cache.set('s', 'old', { stamp: 10 });
      assert.isTrue(await cache.delete('s', { stamp: 20, ttlMs: 100 }));
      assert.isUndefined(cache.get('s'));
      assert.isFalse(cache.has('s'));
      assert.isFalse(await cache.set('s', 'back', { stamp: 15 }));
      assert.isFalse(await cache.set('s', 'back', { stamp: 20 }));
      assert.isTrue(await cache.set('s', 'new', { stamp: 21 }));
      assert.isFalse(await cache.set('s', 'older', { stamp: 12 }));
      assert.equal(cache.get('s'), 'new');
      // Also of a key that was never here; and it ends.
      await cache.delete('t', { stamp: 30, ttlMs: 100 });
      assert.isFalse(await cache.set('t', 'x', { stamp: 29 }));
      assert.deepEqual([...cache.keys()], ['s']);
      nowMs += 100;
      assert.isTrue(await cache.set('t', 'x', { stamp: 29 }));
    });

    it('a tombstone that had to go early raises a floor for all keys, so that nothing comes back', async () => {
      const cache = await open<string>({ capacity: 5, tombstones: 2 });
      for (const [key, stamp] of [
        ['a', 10],
        ['b', 11],
        ['c', 12],
      ] as const)
        await cache.delete(key, { stamp, ttlMs: 1000 });
      assert.include(await cache.stats(), { tombstonesKept: 2, tombstonesEvicted: 1, floor: 10 });
      assert.isFalse(await cache.set('a', 'back', { stamp: 9 }));
      assert.isFalse(await cache.set('never deleted', 'x', { stamp: 10 }));
      assert.isTrue(await cache.set('a', 'new', { stamp: 13 }));
    });
  });

  describe('for several users', () => {
    it('one creates, others attach and read what it sets, in any order', async () => {
      const late = open<string>();
      using creator = fixture('creator', '100', 'k', 'hello');
      const first = await late;
      const second = await open<string>();
      await waitUntil('the value is there', () => second.get('k') === 'hello');
      assert.equal(first.get('k'), 'hello');
      assert.equal(first.generation, second.generation);
      creator.child.kill('SIGKILL');
      await creator.end;
      await first.set('k', 'after its creator');
      assert.equal(second.get('k'), 'after its creator');
      // The next one finds what is there.
      const third = await open<string>({ capacity: 100 });
      assert.equal(third.get('k'), 'after its creator');
      assert.equal((await third.stats()).users, 3);
    });

    it('who comes before its creator waits, up to its limit', async () => {
      await assertRejects(open({ timeoutMs: 30 }), 'ERR_CACHE_MISSING', 'sessions', '30 ms');
      const controller = new AbortController();
      const waits = open({ signal: controller.signal });
      controller.abort(new Error('enough'));
      await waits.then(
        () => assert.fail(),
        (error: Error) => assert.equal(error.message, 'enough'),
      );
    });

    it('is told what differs from what it asked for', async () => {
      await open({ capacity: 10, recordBytes: 100 });
      await assertRejects(open({ capacity: 11 }), 'ERR_CACHE_MISMATCH', 'capacity is 10, not 11');
      await assertRejects(open({ recordBytes: 101 }), 'ERR_CACHE_MISMATCH', 'recordBytes');
      await assertRejects(
        openCache(folder(), 'big', { capacity: 2 ** 24, recordBytes: 2 ** 20 }),
        'ERR_OPTIONS_INVALID',
      );
      await assertRejects(openCache(folder(), 'odd', { capacity: 1.5 }), 'ERR_OPTIONS_INVALID');
      await assertRejects(openCache(folder(), 'odd', { capacity: 3, shards: 4 }), 'ERR_OPTIONS_INVALID');
    });

    it('several processes write and read the same keys, and nothing is torn', async () => {
      const cache = await open<string>({ capacity: 200 });
      const writers = Array.from({ length: 3 }, (_, seed) => fixture('writer', '4000', `${seed}`));
      for (const writer of writers) assert.deepInclude(await writer.end, { code: 0, stdout: '"done"\n' });
      const stats = await cache.stats();
      assert.include(stats, { records: 200, sets: 12_000, users: 1, repairs: 0 });
      assert.equal(stats.hits + stats.misses, 12_000);
    });

    it('a process that is killed while it writes leaves the others going', async () => {
      const cache = await open<string>({ capacity: 250 });
      for (let round = 0; round < 4; round++) {
        using storm = fixture('storm');
        await waitUntil('it is writing', () => cache.has('key-299') && cache.has(`key-${round}`));
        storm.child.kill('SIGKILL');
        await storm.end;
        for (let i = 0; i < 300; i++) {
          const value = cache.get(`key-${i}`);
          if (value !== undefined) assert.match(value, new RegExp(`^(key-${i} )+$`));
        }
        assert.isTrue(await cache.set('key-299', 'key-299 '));
        assert.isTrue(await cache.delete('key-299'));
      }
      assert.isAtMost((await cache.stats()).records, 250);
    });

    it('takes 64 users, and no more while they live', async () => {
      for (let i = 0; i < 64; i++) await open({ capacity: 10 });
      await assertRejects(open(), 'ERR_CACHE_FULL', '64');
      await opened[0]!.close();
      assert.isTrue(await (await open()).set('k', 1));
    });

    it('one that takes over makes it anew, and the old users hear of it', async () => {
      const old = await open<number>({ capacity: 10 });
      await old.set('k', 1);
      const fresh = await open<number>({ capacity: 20, takeOver: true });
      assert.isUndefined(fresh.get('k'));
      await waitUntil('the old one has ended', () => old.ended);
      assertThrows(() => old.get('k'), 'ERR_CACHE_REPLACED');
      await assertRejects(open({ generation: old.generation }), 'ERR_CACHE_REPLACED');
    });

    it('leaves nothing behind', async () => {
      const cache = await open({ capacity: 10 });
      await cache.close();
      assert.deepEqual(
        readdirSync(cacheDirectory(folder(), 'sessions')).filter((file) => /\.(sock|bell|new)$/.test(file)),
        [],
      );
      assertThrows(() => cache.get('k'), 'ERR_CACHE_CLOSED');
      await assertRejects(cache.set('k', 1), 'ERR_CACHE_CLOSED');
      await cache.close();
    });
  });

  describe('iteration', () => {
    it('gives each key that is there throughout exactly once, whatever is written meanwhile', async () => {
      const cache = await open<string>({ capacity: 1000, shards: 2 });
      for (let i = 0; i < 300; i++) await cache.set(`stays-${i}`, '0');
      using _storm = fixture('storm');
      await waitUntil('it is writing', () => cache.has('key-250'));
      for (let round = 0; round < 20; round++) {
        const seen: string[] = [];
        for (const key of cache.keys('stays-')) {
          seen.push(key);
          // Each moves to another record while we go on.
          cache.trySet(`stays-${(seen.length * 7) % 300}`, `${round}`);
        }
        assert.lengthOf(seen, 300);
        assert.equal(new Set(seen).size, 300);
      }
    });

    it('gives entries by prefix, and clear leaves none', async () => {
      const cache = await open<number>({ capacity: 1000 });
      for (let i = 0; i < 600; i++) await cache.set(`${i % 2 ? 'a' : 'b'}/${i}`, i);
      const entries = [...cache.entries('a/')];
      assert.lengthOf(entries, 300);
      for (const [key, value] of entries) assert.equal(key, `a/${value}`);
      await cache.clear();
      assert.deepEqual([...cache.keys()], []);
      assert.include(await cache.stats(), { records: 0, deletes: 600 });
    });
  });

  describe('watch()', () => {
    it('tells of changes by anybody to keys with the prefix, in order', async () => {
      const cache = await open<number>({ capacity: 3 });
      const other = await open<number>();
      const events: CacheEvent[] = [];
      const end = cache.watch('s/', (event) => events.push(event));
      await other.set('s/1', 1);
      await other.set('t/1', 1);
      await other.delete('s/1');
      await other.set('s/2', 1, { ttlMs: 5 });
      nowMs += 5;
      await other.sweep();
      await other.set('s/3', 1);
      for (const key of ['t/2', 't/3', 't/4']) await other.set(key, 1);
      await waitUntil('all have come', () => events.some(({ type }) => type === 'evicted'));
      assert.deepEqual(events, [
        { type: 'set', key: 's/1' },
        { type: 'deleted', key: 's/1' },
        { type: 'set', key: 's/2' },
        { type: 'expired', key: 's/2' },
        { type: 'set', key: 's/3' },
        { type: 'evicted', key: 's/3' },
      ]);
      end();
      await other.set('s/9', 1);
      assert.lengthOf(events, 6);
    });

    it('says how much somebody has missed who was too slow', async () => {
      const cache = await open<number>({ capacity: 10 });
      const events: CacheEvent[] = [];
      cache.watch('', (event) => events.push(event));
      for (let i = 0; i < 5000; i++) cache.trySet(`k${i % 7}`, i);
      await waitUntil('the last has come', () => events.at(-1)?.type === 'set');
      const lost = events
        .filter((event) => event.type === 'lost')
        .reduce((sum, event) => sum + (event as { count: number }).count, 0);
      assert.equal(lost + events.filter(({ type }) => type === 'set').length, 5000);
    });

    it('hears of what a process did that was killed right after', async () => {
      const cache = await open<string>({ capacity: 400 });
      const keys = new Set<string>();
      let lost = 0;
      cache.watch('key-', (event) => (event.type === 'lost' ? lost++ : keys.add(event.key)));
      using storm = fixture('storm');
      await waitUntil('changes come', () => keys.size > 200 || lost > 0);
      storm.child.kill('SIGKILL');
      await storm.end;
      await cache.set('key-last', 'x');
      await waitUntil('ours comes too', () => keys.has('key-last'));
    });
  });

  describe('memory that makes no sense', () => {
    it('is refused if it is no cache', async () => {
      const cache = await open({ capacity: 10 });
      const region = new (native().Region)(1 << 20);
      try {
        new (native().Cache)(native().dupFd(region.fd));
        assert.fail('it was taken');
      } catch (error) {
        assert.equal((error as { code?: string }).code, 'BAD_LAYOUT');
      }
      region.close();
      const path = join(folder(), 'plain');
      writeFileSync(path, '');
      appendFileSync(path, Buffer.alloc(1 << 20));
      assert.throws(() => new (native().Cache)(openSync(path, 'r+')));
      rmSync(path);
      const foreign = IpcError.of('ERR_CACHE_REFUSED', cache.name, 'made by another version of the layout');
      assert.include(foreign.message, 'sessions');
    });

    it('ends with ERR_CACHE_BROKEN or goes on, whatever word is written over, and never crashes or hangs', async function () {
      this.timeout(50_000);
      const seen = new Set<string>();
      await fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.tuple(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(0xffffffff)),
            {
              minLength: 1,
              maxLength: 40,
            },
          ),
          async (scribbles) => {
            const name = `broken${seen.size}${Math.random().toString(36).slice(2)}`;
            const cache = await openCache<string>(folder(), name, {
              capacity: 20,
              recordBytes: 64,
              lockTimeoutMs: 50,
            });
            try {
              for (let i = 0; i < 25; i++) await cache.set(`k${i}`, 'v'.repeat(i));
              const words = new Int32Array(cache.native.memory);
              const first = cache.native.shape.shardsOffset >>> 2;
              for (const [where, value] of scribbles)
                words[first + Math.floor(where * (words.length - first))] = value;
              for (let i = 0; i < 30; i++) {
                cache.get(`k${i}`);
                await cache.set(`k${i}`, 'w');
                await cache.delete(`k${i + 1}`);
              }
              await cache.clear();
              seen.add('went on');
            } catch (error) {
              assert.instanceOf(error, IpcError, String(error));
              assert.include(
                ['ERR_CACHE_BROKEN', 'ERR_LOCK_TIMEOUT', 'ERR_CACHE_ENTRY'],
                (error as IpcError).code,
              );
              seen.add((error as IpcError).code);
            } finally {
              await cache.close();
            }
          },
        ),
        { numRuns: 150 },
      );
      const cache = await open<string>({ capacity: 20 });
      await cache.set('k', 'v');
      new Int32Array(cache.native.memory).fill(0x7f7f7f7f, cache.native.shape.shardsOffset >>> 2);
      assertThrows(() => cache.get('k'), 'ERR_CACHE_BROKEN');
    });

    it('no call of the addon crashes, however it is used', () => {
      const cache = createCache({ ...cacheDefaults, capacity: 5 }, 1);
      new Int32Array(cache.exchange).fill(-1);
      assert.throws(() => cache.set());
      assert.throws(() => cache.delete());
      assert.throws(() => cache.arm());
      cache.join();
      cache.join();
      cache.arm();
      cache.catchEvicted(true);
      structuredClone(cache.exchange, { transfer: [cache.exchange] });
      assert.throws(() => cache.set());
      cache.leave();
      cache.leave();
      cache.close();
      cache.close();
      for (const call of [
        'set',
        'delete',
        'touch',
        'arm',
        'disarm',
        'stats',
        'takeRings',
        'join',
        'leave',
      ] as const)
        assert.throws(() => cache[call]());
      assert.throws(() => cache.catchEvicted(true));
      assert.throws(() => cache.memory);
      assert.throws(() => new (native().Cache)(-1));
      assert.throws(() => new (native().Cache)(0, 1, 1, 1, 1, 1));
      assert.throws(() => new (native().Cache)(5, 5, 1, 0, 0, Number.NaN));
    });
  });
});

/** What a cache of one shard must do. */
class CacheModel {
  readonly #capacity: number;
  /** From the oldest to the newest. */
  #entries: { key: string; value: number; marked: boolean; expiresMs: number }[] = [];

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get(key: string, nowMs: number): number | undefined {
    const entry = this.#find(key, nowMs);
    if (entry) entry.marked = true;
    return entry?.value;
  }

  set(key: string, value: number, ttlMs: number, nowMs: number): void {
    const there = this.#entries.some((entry) => entry.key === key);
    if (!there && this.#entries.length >= this.#capacity) this.#makeRoom(nowMs);
    this.#entries = this.#entries.filter((entry) => entry.key !== key);
    this.#entries.push({ key, value, marked: false, expiresMs: ttlMs === 0 ? 0 : nowMs + ttlMs });
  }

  delete(key: string, nowMs: number): boolean {
    const there = this.#find(key, nowMs) !== undefined;
    this.#entries = this.#entries.filter((entry) => entry.key !== key);
    return there;
  }

  touch(key: string, ttlMs: number, nowMs: number): boolean {
    const entry = this.#find(key, nowMs);
    if (!entry) return false;
    if (ttlMs >= 0) entry.expiresMs = ttlMs === 0 ? 0 : nowMs + ttlMs;
    entry.marked = true;
    return true;
  }

  keys(nowMs: number): string[] {
    return this.#entries.filter((entry) => !isOver(entry, nowMs)).map(({ key }) => key);
  }

  /** With so few records a sweep sees them all, so whatever is over goes first. */
  #makeRoom(nowMs: number): void {
    const left = this.#entries.filter((entry) => !isOver(entry, nowMs));
    if (left.length < this.#entries.length) {
      this.#entries = left;
      return;
    }
    for (;;) {
      const oldest = this.#entries.shift()!;
      if (!oldest.marked) return;
      oldest.marked = false;
      this.#entries.push(oldest);
    }
  }

  #find(key: string, nowMs: number) {
    return this.#entries.find((entry) => entry.key === key && !isOver(entry, nowMs));
  }
}

function isOver({ expiresMs }: { expiresMs: number }, nowMs: number): boolean {
  return expiresMs !== 0 && expiresMs <= nowMs;
}
