import { assert } from 'chai';
import fc from 'fast-check';
import type { CacheEntry } from '../../src/spec/downstream.ts';
import { SessionTable } from '../../src/transport/session-table.ts';
import { Tombstones } from '../../src/transport/tombstones.ts';

const entry = (stamp: number, change: Partial<CacheEntry> = {}): CacheEntry => ({
  value: new Uint8Array([stamp & 0xff]),
  form: 'bytes',
  stamp,
  ...change,
});

describe('a session table', () => {
  let nowMs: number;
  const table = (change: object = {}) =>
    new SessionTable({ capacity: 3, recordBytes: 100, now: () => nowMs, ...change });
  beforeEach(() => {
    nowMs = 1_000;
  });

  it('has room for exactly its capacity, and answers what had to go', () => {
    const made = table();
    for (const key of ['a', 'b', 'c'])
      assert.deepEqual(made.put(key, entry(1)), { how: 'kept', pushedOut: undefined });
    assert.deepEqual(made.put('d', entry(1)), { how: 'kept', pushedOut: ['a', entry(1)] });
    assert.deepEqual([...made.keys()], ['b', 'c', 'd']);
  });

  it('spares what was used, once (D09)', () => {
    const made = table();
    for (const key of ['a', 'b', 'c']) made.put(key, entry(1));
    made.find('a');
    const kept = made.put('d', entry(1));
    assert.equal(kept.how === 'kept' && kept.pushedOut?.[0], 'b');
  });

  it('pushes nothing out that is over', () => {
    const made = table();
    made.put('a', entry(1, { ttlMs: 10 }));
    for (const key of ['b', 'c']) made.put(key, entry(1));
    nowMs += 10;
    assert.deepEqual(made.put('d', entry(1)), { how: 'kept', pushedOut: undefined });
    assert.equal(made.stats.expired, 1);
  });

  it('ages what is not used, and never what is (D10)', () => {
    const made = table({ agedOutMs: 2_000 });
    made.put('old', entry(1));
    nowMs += 1_000;
    made.put('young', entry(1));
    nowMs += 999;
    assert.equal(made.sweep(), 0);
    nowMs += 1;
    assert.equal(made.sweep(), 1);
    assert.deepEqual([...made.keys()], ['young']);
    assert.equal(made.stats.aged, 1);
  });

  it('says what is left of a life', () => {
    const made = table();
    made.put('a', entry(1, { ttlMs: 100 }));
    nowMs += 30;
    assert.deepEqual(made.find('a'), entry(1, { ttlMs: 70 }));
  });

  it('answers a delete while it is remembered, and takes only what is later', () => {
    const made = table();
    made.put('a', entry(5));
    assert.isTrue(made.forget('a', { deleted: true, stamp: 7, ttlMs: 100 }));
    assert.isFalse(made.forget('a', { deleted: true, stamp: 6, ttlMs: 100 }));
    assert.deepEqual(made.find('a'), { deleted: true, stamp: 7, ttlMs: 100 });
    assert.equal(made.put('a', entry(7)).how, 'deleted');
    assert.equal(made.put('a', entry(8)).how, 'kept');
    assert.deepEqual(made.find('a'), entry(8));
  });

  it('never answers an entry that is deleted, over or older, whatever happens in which order', () => {
    const step = fc.record({
      what: fc.constantFrom('put', 'forget', 'pass', 'find'),
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      stamp: fc.integer({ min: 1, max: 40 }),
      ttlMs: fc.integer({ min: 1, max: 50 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        nowMs = 0;
        const made = table({ tombstonesMax: 2 });
        const deleted = new Map<string, { stamp: number; untilMs: number }[]>();
        const newest = new Map<string, number>();
        const untilMs = new Map<string, number>();
        for (const { what, key, stamp, ttlMs } of steps) {
          if (what === 'put') {
            if (made.put(key, entry(stamp, { ttlMs })).how === 'kept') {
              newest.set(key, stamp);
              untilMs.set(key, nowMs + ttlMs);
            }
          } else if (what === 'forget') {
            made.forget(key, { deleted: true, stamp, ttlMs: 1_000 });
            deleted.set(key, [...(deleted.get(key) ?? []), { stamp, untilMs: nowMs + 1_000 }]);
          } else if (what === 'pass') nowMs += ttlMs % 20;
          const found = made.find(key);
          if (!found || 'deleted' in found) continue;
          assert.equal(found.stamp, newest.get(key));
          assert.isBelow(nowMs, untilMs.get(key)!);
          for (const each of deleted.get(key) ?? [])
            if (nowMs < each.untilMs) assert.isAbove(found.stamp, each.stamp);
          assert.isAtMost(made.size, 3);
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('tombstones', () => {
  it('that have to go before their time take all older entries of any key with them', () => {
    let nowMs = 0;
    const stones = new Tombstones(() => nowMs, 2);
    for (const [key, stamp] of [
      ['a', 10],
      ['b', 20],
      ['c', 30],
    ] as const)
      stones.put(key, { deleted: true, stamp, ttlMs: 100 });
    assert.equal(stones.size, 2);
    assert.equal(stones.floor, 10);
    assert.isTrue(stones.covers('a', 10));
    assert.isTrue(stones.covers('other', 10));
    assert.isFalse(stones.covers('other', 11));
    nowMs += 100;
    assert.equal(stones.floor, 0);
    assert.isFalse(stones.covers('a', 10));
  });

  it('make room by those whose time is over', () => {
    let nowMs = 0;
    const stones = new Tombstones(() => nowMs, 2);
    stones.put('a', { deleted: true, stamp: 1, ttlMs: 10 });
    stones.put('b', { deleted: true, stamp: 2, ttlMs: 100 });
    nowMs = 10;
    stones.put('c', { deleted: true, stamp: 3, ttlMs: 100 });
    assert.equal(stones.floor, 0);
    assert.deepEqual(
      [...stones.entries()].map(([key]) => key),
      ['b', 'c'],
    );
  });
});
