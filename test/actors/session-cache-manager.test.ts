import { assert } from 'chai';
import { type ManagerOptions, SessionCacheManager } from '../../src/actors/session-cache-manager.ts';
import { IpcError } from '../../src/errors.ts';
import type { CacheEntry, Downstream } from '../../src/spec/downstream.ts';
import type { Cache } from '../../src/transport/cache.ts';
import { openCache } from '../../src/transport/cache-opening.ts';
import { Hub } from '../support/hub.ts';
import { folderOfEachTest } from '../support/temporary-folder.ts';
import { waitUntil } from '../support/wait-until.ts';

const text = (value: string, stamp: number): CacheEntry => ({
  value: Buffer.from(value),
  form: 'text',
  stamp,
  ttlMs: 60_000,
});

describe('a session cache', () => {
  const folder = folderOfEachTest();
  let caches: Cache<unknown>[];
  let managers: SessionCacheManager[];
  let hub: Hub;
  let nowMs: number;

  beforeEach(() => {
    caches = [];
    managers = [];
    hub = new Hub();
    nowMs = 5_000_000;
  });
  afterEach(async () => {
    for (const manager of managers) await manager.close();
  });

  /** A front end with a table of its own, as on a machine of its own. */
  async function frontEnd(
    downstream: Downstream | undefined = hub.end(),
    options: ManagerOptions = {},
    capacity = 50,
  ): Promise<SessionCacheManager> {
    const cache = await openCache<unknown>(
      folder(),
      `sessions${managers.length}`,
      { capacity, tombstones: 50 },
      () => nowMs,
    );
    const manager = new SessionCacheManager(cache, downstream, options, {
      nowMs: () => nowMs,
      wallMs: () => nowMs,
    });
    caches.push(cache);
    managers.push(manager);
    return manager;
  }

  it('with nothing downstream keeps what it is given, and knows nothing else', async () => {
    const manager = await frontEnd(undefined as never);
    const alone = new SessionCacheManager(caches[0]!);
    await manager.set('s', { user: 7 });
    assert.deepEqual(await alone.get('s'), { user: 7 });
    assert.isUndefined(await alone.get('other'));
    assert.deepInclude(await alone.delete('s'), { existed: true });
    assert.isUndefined(await manager.get('s'));
  });

  it('what one front end sets, the other has without a question, and its own does not come back to it', async () => {
    const [a, b] = [await frontEnd(), await frontEnd()];
    await a.set('k', 'session');
    await waitUntil('it is there', () => caches[1]!.has('k'));
    assert.equal(await b.get('k'), 'session');
    assert.deepEqual(hub.asked, []);
    assert.equal((await caches[0]!.stats()).sets, 1);
    assert.equal((await caches[1]!.stats()).sets, 1);
  });

  it('waits until the next node has it only if it is told to, and not for ever', async () => {
    const a = await frontEnd();
    await a.set('k', 'v');
    assert.isFalse(hub.table.has('k'));
    await a.set('l', 'v', { confirmed: true });
    assert.isTrue(hub.table.has('l'));
    const never = { ...hub.end(), put: () => new Promise<void>(() => {}) };
    const b = await frontEnd(never, { askTimeoutMs: 20 });
    assert.isTrue(await b.set('m', 'v', { confirmed: true }));
    assert.equal(b.stats().putsDropped, 1);
  });

  it('what was evicted here comes back from downstream, and stays', async () => {
    const a = await frontEnd(hub.end(), {}, 2);
    for (const key of ['k', 'l', 'm']) await a.set(key, `session ${key}`);
    assert.isFalse(caches[0]!.has('k'));
    await waitUntil('all are downstream', () => hub.table.size === 3);
    assert.equal(await a.get('k'), 'session k');
    assert.isTrue(caches[0]!.has('k'));
    assert.deepEqual(hub.asked, ['k']);
  });

  it('what nobody has is not known, within the limit, also if downstream never answers', async () => {
    const a = await frontEnd(hub.end(), { askTimeoutMs: 30 });
    assert.isUndefined(await a.get('nowhere'));
    hub.gate = new Promise(() => {});
    assert.isUndefined(await a.get('nowhere'));
    assert.isFalse(await a.seedSurface().get('nowhere'));
    assert.include(a.stats(), { asked: 3, unanswered: 3, answered: 0 });
  });

  it('asks once for all who miss the same key at the same time', async () => {
    const a = await frontEnd();
    hub.keep('k', text('found', 1));
    assert.deepEqual(
      await Promise.all(Array.from({ length: 20 }, () => a.get('k'))),
      Array(20).fill('found'),
    );
    assert.deepEqual(hub.asked, ['k']);
    assert.include(a.stats(), { asked: 1, joined: 19, answered: 1 });
  });

  it('an answer that comes late is stored, and told once, if it is still wanted', async () => {
    const a = await frontEnd(hub.end(), { askTimeoutMs: 20, wantedMs: 1000 });
    const told: unknown[] = [];
    a.application_set_key_notify('k', (key, value) => told.push([key, value]));
    let open!: () => void;
    hub.gate = new Promise((resolve) => {
      open = resolve;
    });
    hub.keep('k', text('late', 1));
    assert.isUndefined(await a.get('k'));
    open();
    await waitUntil('it is told', () => told.length > 0);
    assert.deepEqual(told, [['k', 'late']]);
    assert.equal(await a.get('k'), 'late');
    assert.equal(a.stats().late, 1);
    // Two hours later nobody wants it any more; and what nobody asked for is not taken.
    hub.gate = new Promise(() => {});
    assert.isUndefined(await a.get('old'));
    nowMs += 1000;
    hub.tell({ type: 'entry.found', key: 'old', entry: text('x', 2) });
    hub.tell({ type: 'entry.found', key: 'never', entry: text('x', 2) });
    hub.tell({ type: 'entry.put', key: 'marker', entry: text('x', 3) });
    await waitUntil('all has been heard', () => caches[0]!.has('marker'));
    assert.isFalse(caches[0]!.has('old') || caches[0]!.has('never'));
  });

  it('what is deleted at one is gone everywhere, and older copies do not bring it back', async () => {
    const [a, b] = [await frontEnd(), await frontEnd()];
    await a.set('k', 'session');
    await waitUntil('it is there', () => caches[1]!.has('k'));
    const old = hub.table.get('k') as CacheEntry;
    assert.deepEqual(await a.delete('k'), { existed: true, acknowledged: 2, missing: [] });
    await waitUntil('it is gone', () => !caches[1]!.has('k'));
    assert.isUndefined(await a.get('k'));
    assert.isUndefined(await b.get('k'));
    // A node that was away brings its copy.
    hub.tell({ type: 'entry.put', key: 'k', entry: old });
    hub.tell({ type: 'entry.put', key: 'marker', entry: text('x', old.stamp) });
    await waitUntil('all has been heard', () => caches[1]!.has('marker') && caches[0]!.has('marker'));
    assert.isUndefined(await a.get('k'));
    assert.isUndefined(await b.get('k'));
    // Not even a question is asked about what is known to be deleted.
    assert.deepEqual(hub.asked, []);
    // The same key can be used again.
    await b.set('k', 'next');
    await waitUntil('it is there', () => caches[0]!.get('k') === 'next');
  });

  it('a delete that comes while the question is under way wins over its answer', async () => {
    const a = await frontEnd();
    hub.keep('k', text('old', 5));
    let open!: () => void;
    hub.gate = new Promise((resolve) => {
      open = resolve;
    });
    const asked = a.get('k');
    hub.tell({ type: 'entry.deleted', key: 'k', tombstone: { deleted: true, stamp: 9, ttlMs: 60_000 } });
    open();
    assert.isUndefined(await asked);
    assert.isUndefined(await a.get('k'));
  });

  it('tombstones outlive the longest session', async () => {
    const a = await frontEnd(undefined, { sessionMaxMs: 10_000 });
    await a.set('k', 'x');
    const { stamp } = caches[0]!.entry('k')!;
    await a.delete('k');
    nowMs += 10_000;
    assert.isFalse(await caches[0]!.set('k', 'copy', { stamp }));
    assert.equal(caches[0]!.look('k')!.form, 'forgotten');
    await a
      .set('l', 'x')
      .then(() => caches[0]!.look('l')!.ttlMs)
      .then((ms) => assert.isAtMost(ms, 10_000));
    const error = await a.set('l', 'x', { ttlMs: 10_001 }).catch((reason: unknown) => reason);
    assert.equal((error as IpcError).code, 'ERR_OPTIONS_INVALID');
  });

  it('a clock that goes back keeps neither its own nor the writes of others from being overtaken', async () => {
    const a = await frontEnd();
    await a.set('k', 'first');
    nowMs -= 4_000_000;
    assert.isTrue(await a.set('k', 'second'));
    assert.equal(await a.get('k'), 'second');
    hub.tell({ type: 'entry.put', key: 'k', entry: text('far ahead', 9e12) });
    await waitUntil('it is there', () => caches[0]!.get('k') === 'far ahead');
    assert.isTrue(await a.set('k', 'third'));
    assert.equal(await a.get('k'), 'third');
    assert.isTrue((await a.delete('k')).existed);
    assert.isUndefined(await a.get('k'));
  });

  it('without contact for longer than maxStaleMs it knows nobody', async () => {
    const a = await frontEnd(hub.end(), { maxStaleMs: 1000 });
    await a.set('k', 'session');
    hub.status = 'lost';
    hub.silentMs = 1000;
    assert.equal(await a.get('k'), 'session');
    hub.silentMs = 1001;
    assert.isUndefined(await a.get('k'));
    hub.silentMs = 0;
    assert.equal(await a.get('k'), 'session');
  });

  it('while the link is lost it answers from here, and asks nobody', async () => {
    const a = await frontEnd();
    hub.status = 'lost';
    await a.set('k', 'session');
    assert.equal(await a.get('k'), 'session');
    assert.isUndefined(await a.get('other'));
    assert.deepEqual(hub.asked, []);
    assert.include(a.stats(), { putsDropped: 1, refused: 1, wanted: 1, status: 'lost' });
  });

  it('keeps only the hash of a value, and checks a value against it', async () => {
    const seed = (await frontEnd()).seedSurface();
    const hash = await seed.hash_set('k', 'secret');
    assert.match(hash, /^[0-9a-f]{64}$/);
    assert.equal(await seed.get('k'), hash);
    assert.isTrue(seed.check_hash(hash, 'secret'));
    assert.isFalse(seed.check_hash(hash, 'Secret'));
    assert.isFalse(seed.check_hash('', 'secret'));
    await seed.set('o', { a: 1 });
    assert.equal(await seed.get('o'), '{"a":1}');
    await seed.delete('o');
    assert.isFalse(await seed.get('o'));
  });

  it('needs a cache that remembers deleted keys', async () => {
    const cache = await openCache<unknown>(folder(), 'forgetful', { capacity: 5 });
    assert.throws(() => new SessionCacheManager(cache), IpcError, 'tombstones');
    await cache.close();
  });
});
