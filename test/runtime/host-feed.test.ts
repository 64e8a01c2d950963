// What one root makes of what another one tells: records, listings and feeds are input, and a feed costs what was asked for.
import { assert } from 'chai';
import type { IpcError } from '../../src/errors.ts';
import { newView } from '../../src/machines/unit-view.ts';
import { addressOf } from '../../src/names.ts';
import { Feed, type FeedRecord } from '../../src/runtime/feed.ts';
import { FeedService } from '../../src/runtime/host-feed.ts';
import { checkedHostRecord, toldUnit } from '../../src/runtime/host-record.ts';
import { checkedStatus } from '../../src/runtime/host-status.ts';
import type { TreeStatus } from '../../src/runtime/status.ts';
import { packPlain } from '../../src/transport/codec.ts';
import { policy } from '../support/machines/samples.ts';

const told = { root: 'r', pid: 1, startedAtMs: 0, state: 'operative' };
const exit = {
  ...{
    class: 'abnormal' as const,
    reason: 'x'.repeat(1_000),
    code: 1,
    signal: null,
    requested: 'none' as const,
  },
  ...{ uptimeMs: 1, atMs: 1, unkillable: ['y'] },
};
const unit = toldUnit({ ...newView('db', policy), phase: 'up', epoch: 1, exit });
const status: TreeStatus = {
  ...{ name: 'shop', file: '/x', pid: 1, workspace: '/w', startedAtMs: 0, uptimeMs: 0, state: 'operative' },
  ...{ usage: null, caches: [] },
  units: [
    {
      ...{
        name: 'db',
        kind: 'exec',
        phase: 'up',
        state: null,
        pid: 7,
        starts: 1,
        lastExit: null,
        note: null,
      },
      ...{ restarts: 0, uptimeMs: 1, health: null, usage: null, channels: [], app: null, dependsOn: {} },
    },
  ],
};

describe('the record of a host', () => {
  it('is what a root writes, with long words cut', () => {
    const record = JSON.parse(JSON.stringify({ told, units: [unit], beat: 1 }));
    const { beat: _, ...rest } = record;
    assert.deepEqual(checkedHostRecord(record), rest);
    assert.lengthOf(unit.exit!.reason, 160);
    assert.deepEqual(checkedHostRecord({ left: true }), { left: true });
  });

  it('fits for 64 units into a value of the relay, however much they say', () => {
    const words = 'w'.repeat(1_000);
    const long = toldUnit({
      ...{ ...newView('u'.repeat(64), policy), phase: 'unkillable', epoch: 2 ** 31, pid: 2 ** 22 },
      ...{ state: 's'.repeat(256), note: words },
      exit: { ...exit, class: 'permanent-failure', reason: words, signal: 'SIGVTALRM', requested: 'restart' },
    });
    const record = { told: { ...told, root: 'r'.repeat(36) }, units: Array.from({ length: 64 }, () => long) };
    assert.isDefined(checkedHostRecord(record));
    assert.isBelow(packPlain(record).length, 64 * 1024);
  });

  const wrong: [title: string, value: unknown][] = [
    ['nothing', null],
    ['a text', 'up'],
    ['no root', { units: [] }],
    ['an unknown state', { told: { ...told, state: 'fine' }, units: [] }],
    ['a phase that is none', { told, units: [{ ...unit, phase: 'constructor' }] }],
    ['a name that is none', { told, units: [{ ...unit, id: '../x' }] }],
    ['an epoch below 0', { told, units: [{ ...unit, epoch: -1 }] }],
    ['words without end', { told, units: [{ ...unit, note: 'x'.repeat(161) }] }],
    ['units without end', { told, units: Array.from({ length: 1_001 }, () => unit) }],
  ];
  for (const [title, value] of wrong)
    it(`is not ${title}`, () => assert.isUndefined(checkedHostRecord(value)));
});

describe('the listing of another host', () => {
  it('is taken as it is', () => assert.deepEqual(checkedStatus(JSON.parse(JSON.stringify(status))), status));

  it('can do nothing with a terminal', () => {
    const sly = { ...status, units: [{ ...status.units[0], note: '\u001b[2Jgone' }] };
    assert.equal(checkedStatus(sly)!.units[0]!.note, ' [2Jgone');
  });

  for (const value of [undefined, [], { units: [] }, { ...status, units: [{ name: 'x' }] }])
    it(`is not ${JSON.stringify(value)?.slice(0, 40)}`, () => assert.isUndefined(checkedStatus(value)));
});

describe('the feed of another host', () => {
  const actor = (name: string): FeedRecord => ({
    ...{ k: 'actor', at: 1, actor: addressOf(name), chart: null, value: null, status: 'active' },
  });
  const log = (message: string): FeedRecord => ({ k: 'log', at: 1, level: 'info', message, facts: {} });
  const setting = () => {
    let watched = false;
    const feed = new Feed(
      () => [actor('there')],
      (on) => {
        watched = on;
      },
    );
    const service = new FeedService({
      watch: (watcher) => feed.watch((record) => watcher(null, 0, record)),
      status: () => status,
      dependences: () => [],
    });
    const ask = (id: string, from = 'a') => service.answer({ t: 'feed', id }, { from });
    return { feed, service, ask, isWatched: () => watched };
  };
  const wordsOf = ({ records }: { records: readonly (readonly [unknown, unknown, FeedRecord])[] }) =>
    records.map(([, , record]) => (record.k === 'log' ? record.message : record.k));

  it('begins with all that there is, and goes on with what happens', () => {
    const { feed, service, ask, isWatched } = setting();
    assert.isFalse(isWatched());
    assert.deepEqual(wordsOf(ask('1')), ['actor']);
    feed.tell(log('one'));
    feed.tell(log('two'));
    assert.deepEqual(wordsOf(ask('1')), ['one', 'two']);
    assert.deepEqual(wordsOf(ask('1')), []);
    assert.deepEqual(wordsOf(ask('2')), ['actor'], 'who begins anew');
    service.close();
    assert.isFalse(isWatched());
  });

  it('is another one for each host', () => {
    const { feed, service, ask } = setting();
    ask('1', 'a');
    ask('1', 'b');
    assert.equal(service.spectators, 2);
    feed.tell(log('one'));
    assert.deepEqual([wordsOf(ask('1', 'a')), wordsOf(ask('1', 'b'))], [['one'], ['one']]);
    service.close();
    assert.equal(service.spectators, 0);
  });

  it('keeps the last 2,000 records for who asks rarely, and counts the others', () => {
    const { feed, service, ask } = setting();
    ask('1');
    for (let i = 0; i < 5_000; i++) feed.tell(log(`${i}`));
    const part = ask('1');
    assert.equal(part.dropped, 3_000);
    assert.equal(wordsOf(part)[0], '3000');
    service.close();
  });

  it('hands out what fits into a message, and the rest with the next ones', () => {
    const { feed, service, ask } = setting();
    ask('1');
    const long = 'x'.repeat(60_000);
    for (let i = 0; i < 20; i++) feed.tell(log(`${i} ${long}`));
    const words: unknown[] = [];
    for (let asked = 0; words.length < 20; asked++) {
      const part = ask('1');
      assert.isBelow(JSON.stringify(part).length, 512 * 1024);
      words.push(...wordsOf(part).map((word) => Number(String(word).split(' ')[0])));
      assert.isBelow(asked, 10);
    }
    assert.deepEqual(
      words,
      Array.from({ length: 20 }, (_, i) => i),
    );
    service.close();
  });

  it('has to begin anew once more is there that nobody could do without than is kept', () => {
    const { feed, service, ask } = setting();
    ask('1');
    for (let i = 0; i < 20_002; i++) feed.tell(actor(`actor-${i}`));
    try {
      ask('1');
      assert.fail('it was answered');
    } catch (error) {
      assert.equal((error as IpcError).code, 'ERR_REFUSED');
    }
    assert.equal(service.spectators, 0);
  });

  it('is for 16 hosts at once', () => {
    const { service, ask } = setting();
    for (let i = 0; i < 16; i++) ask('1', `host-${i}`);
    assert.throws(() => ask('1', 'one-more'), /16 hosts look on already/);
    service.close();
  });
});
