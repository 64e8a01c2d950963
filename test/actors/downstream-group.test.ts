import { assert } from 'chai';
import { DownstreamGroup } from '../../src/actors/downstream-group.ts';
import { IpcError } from '../../src/errors.ts';
import type { CacheEntry, CacheNews } from '../../src/spec/downstream.ts';
import { Hub } from '../support/hub.ts';
import { waitUntil } from '../support/wait-until.ts';

const text = (value: string, stamp = 1): CacheEntry => ({ value: Buffer.from(value), form: 'text', stamp });
const signal = () => AbortSignal.timeout(10_000);

describe('several downstreams as one', () => {
  let hubs: [Hub, Hub];
  let group: DownstreamGroup;
  beforeEach(() => {
    hubs = [new Hub(), new Hub()];
    group = new DownstreamGroup(hubs.map((hub) => hub.end()));
  });
  const ask = async (key: string) => {
    const found = await group.ask(key, signal());
    return found && 'value' in found ? Buffer.from(found.value).toString() : found;
  };

  it('asks the first, and the next one only for what the first does not have', async () => {
    hubs[0].keep('k', text('first'));
    hubs[1].keep('k', text('second'));
    hubs[1].keep('l', text('only there'));
    assert.equal(await ask('k'), 'first');
    assert.deepEqual(hubs[1].asked, []);
    assert.equal(await ask('l'), 'only there');
    assert.isUndefined(await ask('nowhere'));
    assert.deepEqual(hubs[1].asked, ['l', 'nowhere']);
  });

  it('does not wait for one that takes too long, and passes over one that is lost', async () => {
    hubs[0].gate = new Promise(() => {});
    hubs[1].keep('k', text('second'));
    assert.equal(await ask('k'), 'second');
    hubs[0].status = 'lost';
    hubs[0].asked.length = 0;
    assert.equal(await ask('k'), 'second');
    assert.deepEqual(hubs[0].asked, []);
  });

  it('gives up with the question, whoever has not answered', async () => {
    for (const hub of hubs) hub.gate = new Promise(() => {});
    const given = new AbortController();
    const asked = group.ask('k', given.signal).catch((reason) => reason.message);
    given.abort(new Error('too slow'));
    assert.equal(await asked, 'too slow');
    assert.equal(await group.ask('k', given.signal).catch((reason) => reason.message), 'too slow');
    assert.deepEqual([hubs[0].asked, hubs[1].asked], [['k'], []]);
  });

  it('puts at all, and deletes at all', async () => {
    group.onNews(() => {});
    await group.put('k', text('v'), signal());
    await waitUntil('both have it', () => hubs.every((hub) => hub.table.has('k')));
    const { acknowledged, missing } = await group.forget(
      'k',
      { deleted: true, stamp: 2, ttlMs: 1_000 },
      signal(),
    );
    assert.equal(acknowledged, 2);
    assert.deepEqual(missing, []);
    for (const hub of hubs) assert.isTrue('deleted' in hub.table.get('k')!);
  });

  it('tells each news once', () => {
    const news: CacheNews[] = [];
    const end = group.onNews((each) => news.push(each));
    for (const hub of hubs) hub.tell({ type: 'entry.put', key: 'k', entry: text('v', 7) });
    assert.lengthOf(news, 1);
    hubs[1].tell({ type: 'entry.put', key: 'k', entry: text('v', 8) });
    assert.lengthOf(news, 2);
    end();
    hubs[0].tell({ type: 'entry.put', key: 'k', entry: text('v', 9) });
    assert.lengthOf(news, 2);
  });

  it('is silent for as long as the most silent of them, unless one is to be enough', () => {
    hubs[0].silentMs = 10;
    hubs[1].silentMs = 5_000;
    assert.equal(group.silentMs, 5_000);
    const either = new DownstreamGroup(
      hubs.map((hub) => hub.end()),
      { heardFrom: 'any' },
    );
    assert.equal(either.silentMs, 10);
  });

  it('is none without any', () => {
    assert.throws(() => new DownstreamGroup([]), IpcError, 'the list has no relay');
  });
});
