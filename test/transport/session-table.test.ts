import { assert } from 'chai';
import fc from 'fast-check';
import type { CacheEntry } from '../../src/spec/downstream.ts';
import { tableDefaults } from '../../src/spec/relay-node.ts';
import { SessionTable, type SessionTableOptions } from '../../src/transport/session-table.ts';
import { Tombstones } from '../../src/transport/tombstones.ts';
import { folderOfEachTest } from '../support/temporary-folder.ts';

const entry = (stamp: number, change: Partial<CacheEntry> = {}): CacheEntry => ({
  value: new Uint8Array([stamp & 0xff]),
  form: 'bytes',
  stamp,
  ...change,
});

describe('a session table', function () {
  this.timeout(60_000);
  const folder = folderOfEachTest();
  let nowMs: number;
  let opened: SessionTable[];
  let pushedOut: string[];
  const table = async (
    change: Partial<SessionTableOptions['table']> = {},
    options: Partial<SessionTableOptions> = {},
  ): Promise<SessionTable> => {
    const made = await SessionTable.open({
      ...{ runDirectory: folder(), node: 'relay', now: () => nowMs },
      table: { ...tableDefaults, capacity: 3, recordBytes: 100, tombstonesMax: 50, ...change },
      onPushedOut: (key, { stamp, ttlMs }, cause) => {
        pushedOut.push(`${key} ${stamp} ${ttlMs} ${cause}`);
        return undefined;
      },
      ...options,
    });
    opened.push(made);
    return made;
  };
  beforeEach(() => {
    nowMs = 1_000;
    opened = [];
    pushedOut = [];
  });
  afterEach(async () => {
    for (const each of opened) await each.close();
  });

  it('has room for exactly its capacity, and hands on what had to go', async () => {
    const made = await table();
    await made.put('a', entry(1, { ttlMs: 100 }));
    for (const key of ['b', 'c']) assert.deepEqual(await made.put(key, entry(1)), { how: 'kept' });
    assert.isEmpty(pushedOut);
    nowMs += 30;
    assert.deepEqual(await made.put('d', entry(1)), { how: 'kept' });
    assert.deepEqual(pushedOut, ['a 1 70 room']);
    assert.sameMembers([...made.keys()], ['b', 'c', 'd']);
    assert.equal(made.size, 3);
  });

  it('spares what was used, once (D09)', async () => {
    const made = await table();
    for (const key of ['a', 'b', 'c']) await made.put(key, entry(1));
    made.find('a');
    await made.put('d', entry(1));
    assert.deepEqual(pushedOut, ['b 1 undefined room']);
  });

  it('pushes nothing out that is over', async () => {
    const made = await table();
    await made.put('a', entry(1, { ttlMs: 10 }));
    for (const key of ['b', 'c']) await made.put(key, entry(1));
    nowMs += 10;
    assert.isUndefined(made.find('a'));
    assert.deepEqual(await made.put('d', entry(1)), { how: 'kept' });
    assert.isEmpty(pushedOut);
    assert.equal(made.stats.expired, 1);
  });

  it('holds what lives no longer for over at once, and what has no end for good', async () => {
    const made = await table();
    await made.put('over', entry(1, { ttlMs: 0 }));
    await made.put('endless', entry(1));
    nowMs += 1;
    assert.isUndefined(made.find('over'));
    nowMs += 1e9;
    assert.deepEqual(made.find('endless'), entry(1));
  });

  it('hands on what is not used, and never what is (D10)', async () => {
    const made = await table({ agedOutMs: 2_000 });
    await made.put('old', entry(1));
    nowMs += 1_000;
    await made.put('young', entry(1));
    nowMs += 999;
    assert.equal(await made.sweep(), 0);
    nowMs += 1;
    assert.equal(await made.sweep(), 1);
    assert.deepEqual([...made.keys()], ['young']);
    assert.deepEqual(pushedOut, ['old 1 undefined age']);
    assert.equal(made.stats.aged, 1);
  });

  it('makes young again what is found before a sweep', async () => {
    const made = await table({ agedOutMs: 2_000 });
    await made.put('a', entry(1));
    nowMs += 3_000;
    assert.deepEqual(made.find('a'), entry(1));
    assert.equal(await made.sweep(), 0);
    nowMs += 2_000;
    assert.equal(await made.sweep(), 1);
  });

  it('sweeps no faster than what has aged is taken', async () => {
    let free = () => {};
    const taken = new Promise<void>((resolve) => {
      free = resolve;
    });
    const keys: string[] = [];
    const made = await table(
      { agedOutMs: 10 },
      {
        onPushedOut: (key) => {
          keys.push(key);
          return taken;
        },
      },
    );
    for (const key of ['a', 'b', 'c']) await made.put(key, entry(1));
    nowMs += 10;
    const swept = made.sweep();
    await new Promise(setImmediate);
    assert.lengthOf(keys, 1);
    free();
    assert.equal(await swept, 3);
    assert.sameMembers(keys, ['a', 'b', 'c']);
  });

  it('says what is left of a life, and keeps bytes that are no text as they are', async () => {
    const made = await table();
    await made.put('a', entry(1, { ttlMs: 100, form: 'text', value: new Uint8Array([0xff, 0, 0xc3]) }));
    nowMs += 30;
    const found = made.find('a') as CacheEntry;
    assert.deepEqual({ ...found, value: [...found.value] }, {
      ...entry(1, { form: 'text', ttlMs: 70 }),
      value: [0xff, 0, 0xc3],
    } as never);
  });

  it('answers a delete while it is remembered, and takes only what is later', async () => {
    const made = await table();
    await made.put('a', entry(5));
    assert.isTrue(await made.forget('a', { deleted: true, stamp: 7, ttlMs: 100 }));
    assert.isFalse(await made.forget('a', { deleted: true, stamp: 6, ttlMs: 100 }));
    assert.deepEqual(made.find('a'), { deleted: true, stamp: 7, ttlMs: 100 });
    assert.equal((await made.put('a', entry(7))).how, 'deleted');
    assert.equal((await made.put('a', entry(8))).how, 'kept');
    assert.deepEqual(made.find('a'), entry(8));
    assert.equal((await made.put('a', entry(8))).how, 'older');
    assert.equal((await made.put('a', entry(7, { value: new Uint8Array(101) }))).how, 'large');
  });

  it('takes older entries of any key for deleted once a delete had to go before its time, and tells others from where on', async () => {
    const made = await table({ tombstonesMax: 2 });
    await made.put('old', entry(9));
    for (const [key, stamp] of [
      ['a', 10],
      ['b', 20],
    ] as const)
      await made.forget(key, { deleted: true, stamp, ttlMs: 1_000 });
    assert.equal(made.tombstones.floor, 0);
    await made.forget('c', { deleted: true, stamp: 30, ttlMs: 1_000 });
    assert.equal(made.tombstones.floorStone.stamp, 10);
    assert.isUndefined(made.find('old'));
    assert.equal((await made.put('other', entry(10))).how, 'deleted');
    assert.equal((await made.put('other', entry(11))).how, 'kept');
    made.tombstones.raiseFloor(15, 50);
    assert.isUndefined(made.find('other'));
    assert.deepEqual([...made.tombstones.entries()].map(([key, { stamp }]) => [key, stamp]).sort(), [
      ['b', 20],
      ['c', 30],
    ]);
  });

  it('makes room for deletes by those whose time is over', async () => {
    const made = await table({ tombstonesMax: 2 });
    await made.forget('long', { deleted: true, stamp: 10, ttlMs: 5_000 });
    await made.forget('short', { deleted: true, stamp: 20, ttlMs: 10 });
    nowMs += 2_000;
    await made.forget('next', { deleted: true, stamp: 30, ttlMs: 5_000 });
    assert.equal(made.tombstones.floor, 0);
    assert.deepEqual(made.find('long'), { deleted: true, stamp: 10, ttlMs: 3_000 });
  });

  it('is refused to a second node of its name, and free again once it is closed', async () => {
    const made = await table();
    const error = await table().catch((thrown) => thrown);
    assert.equal(error.code, 'ERR_RELAY_CONFIG');
    await made.close();
    await table();
  });

  it('never answers an entry that is deleted, over or older, whatever happens in which order', async () => {
    const step = fc.record({
      what: fc.constantFrom('put', 'forget', 'pass', 'find', 'sweep'),
      key: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      stamp: fc.integer({ min: 1, max: 40 }),
      ttlMs: fc.integer({ min: 1, max: 50 }),
    });
    const made = await table({ tombstonesMax: 2, agedOutMs: 60 });
    // Each run has keys of its own, and stamps above all that the table may have had to forget.
    let run = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 80 }), async (steps) => {
        run++;
        const deleted = new Map<string, { stamp: number; untilMs: number }[]>();
        const newest = new Map<string, number>();
        const untilMs = new Map<string, number>();
        for (const { what, key: name, stamp: least, ttlMs } of steps) {
          const key = `${name}-${run}`;
          const stamp = run * 100 + least;
          if (what === 'put') {
            if ((await made.put(key, entry(stamp, { ttlMs }))).how === 'kept') {
              newest.set(key, stamp);
              untilMs.set(key, nowMs + ttlMs);
            }
          } else if (what === 'forget') {
            await made.forget(key, { deleted: true, stamp, ttlMs: 1_000 });
            deleted.set(key, [...(deleted.get(key) ?? []), { stamp, untilMs: nowMs + 1_000 }]);
          } else if (what === 'pass') nowMs += ttlMs % 20;
          else if (what === 'sweep') await made.sweep();
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
    assert.isAbove(pushedOut.length, 0);
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
