// The scenarios of sessions that several machines share: D03 to D19 of what the tier must do, by real links in one process.
import { assert } from 'chai';
import { RelayDownstream } from '../../src/actors/relay-downstream.ts';
import type { IpcError } from '../../src/errors.ts';
import { DeclaredCaches } from '../../src/runtime/declared-caches.ts';
import type { CacheNews } from '../../src/spec/downstream.ts';
import { tableCaches, tableDefaults } from '../../src/spec/relay-node.ts';
import { ownersOf } from '../../src/spec/rendezvous.ts';
import { openCache } from '../../src/transport/cache-opening.ts';
import { keyHasher } from '../../src/transport/placement-hash.ts';
import { entry, type Front, said, signal, stone, Tier, type TierNode } from '../support/relay/tier.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('the relay tier', function () {
  this.timeout(90_000);
  let tier: Tier;
  beforeEach(() => {
    tier = new Tier();
  });
  afterEach(() => tier.close());

  const put = (front: Front, key: string, text: string, ttlMs?: number) =>
    front.downstream.put(key, entry(text, ttlMs === undefined ? {} : { ttlMs }), signal());
  /** Their order is that of the calls. */
  const putAll = (front: Front, count: number) =>
    Promise.all(Array.from({ length: count }, (_, i) => put(front, `k${i}`, `v${i}`)));
  const ask = async (front: Front, key: string) => said(await front.downstream.ask(key, signal()));
  const sum = (nodes: TierNode[], what: 'records' | 'deleted') =>
    nodes.reduce((total, node) => total + node.stats!.table![what], 0);

  describe('with front ends alone', () => {
    it('hands what one sets to the others, once, and not back (D03)', async () => {
      const relay = await tier.relay({ siblingListen: undefined });
      const [a, b] = [await tier.front('a', relay), await tier.front('b', relay)];
      await put(a, 'k', 'v');
      await waitUntil('the news', () => b.news.length > 0);
      await b.member.nodes();
      assert.deepEqual(
        b.news.map((each) => [each.type, each.key]),
        [['entry.put', 'k']],
      );
      assert.isEmpty(a.news);
      assert.equal(relay.stats!.table!.records, 1);
      assert.deepEqual(relay.states, ['whole']);
    });

    it('answers from the table of the relay (D04), and with nothing what is nowhere (D06)', async () => {
      const relay = await tier.relay({ siblingListen: undefined });
      const a = await tier.front('a', relay);
      await put(a, 'k', 'v }{ ü');
      assert.equal(await ask(a, 'k'), 'v }{ ü');
      assert.equal(await ask(a, 'nowhere'), 'nothing');
    });

    it('keeps the greater stamp, whatever comes last', async () => {
      const relay = await tier.relay({ siblingListen: undefined });
      const a = await tier.front('a', relay);
      const [older, newer] = [entry('old'), entry('new')];
      await a.downstream.put('k', newer, signal());
      await a.downstream.put('k', older, signal());
      assert.equal(await ask(a, 'k'), 'new');
    });

    it('lets an entry live for what is left of its life', async () => {
      const relay = await tier.relay({ siblingListen: undefined });
      const a = await tier.front('a', relay);
      await put(a, 'short', 'v', 50);
      await put(a, 'long', 'v', 60_000);
      const found = await a.downstream.ask('long', signal());
      assert.isTrue(found && 'value' in found && found.ttlMs !== undefined && found.ttlMs <= 60_000);
      while ((await ask(a, 'short')) !== 'nothing');
      assert.equal(await ask(a, 'long'), 'v');
    });

    it('refuses a value that is larger than a record, and says so (D11)', async () => {
      const relay = await tier.relay({ siblingListen: undefined });
      const a = await tier.front('a', relay);
      await put(a, 'fits', 'ü'.repeat(192));
      const error = await put(a, 'large', 'x'.repeat(385)).catch((thrown) => thrown);
      assert.equal(error.code, 'ERR_REQUEST_FAILED');
      assert.match(error.message, /385 bytes, where records have 384/);
    });

    it('tells an answer that comes too late as news', async () => {
      const relay = await tier.relay({ fetchTimeoutMs: 5_000 });
      const sibling = await tier.sibling(relay, { fetchTimeoutMs: 5_000 });
      const aging = await tier.relief('aging', 'slow', sibling);
      const a = await tier.front('a', relay);
      await put(a, 'k', 'v');
      // Asked and given up in the same turn: the answer is under way.
      const given = new AbortController();
      const asked = a.downstream.ask('k', given.signal).catch((reason) => reason);
      given.abort(new Error('too slow'));
      assert.equal((await asked).message, 'too slow');
      await waitUntil('the news', () =>
        a.news.find((each) => each.type === 'entry.found' && each.key === 'k'),
      );
      assert.isDefined(aging.open);
    });
  });

  describe('with relief nodes', () => {
    it('forwards what has no room to exactly one aging node, and finds it there again (D05, D08)', async () => {
      const relay = await tier.relay({ table: { capacity: 30 } });
      const sibling = await tier.sibling(relay);
      const aging = [
        await tier.relief('aging', 'aging-1', sibling),
        await tier.relief('aging', 'aging-2', sibling),
      ];
      const a = await tier.front('a', relay);
      await putAll(a, 130);
      await waitUntil('all overflow', () => sum(aging, 'records') === 100);
      assert.equal(relay.stats!.table!.records, 30);
      assert.equal(relay.stats!.overflowLost, 0);
      // Both have about the same share.
      for (const node of aging) assert.isAbove(node.stats!.table!.records, 25);
      for (const i of [0, 17, 80, 129]) assert.equal(await ask(a, `k${i}`), `v${i}`);
      // What is asked for has its place in the relay again.
      const { fetches } = relay.stats!;
      assert.equal(await ask(a, 'k0'), 'v0');
      assert.equal(relay.stats!.fetches, fetches);
    });

    it('places a key where rendezvous hashing says, by the hash that travels (D13)', async () => {
      const relay = await tier.relay({ table: { capacity: 10 } });
      const sibling = await tier.sibling(relay);
      const names = ['aging-1', 'aging-2', 'aging-3'];
      const aging: TierNode[] = [];
      for (const [i, name] of names.entries())
        aging.push(await tier.relief('aging', name, sibling, { capacity: 30 + 100 * i }));
      const a = await tier.front('a', relay);
      await putAll(a, 40);
      await waitUntil('all overflow', () => sum(aging, 'records') === 30);
      const hasher = await keyHasher(9849381n);
      const expected = names.map(
        (name) =>
          Array.from({ length: 30 }, (_, i) => hasher(`k${i}`)).filter(
            (hash) => ownersOf(hash, names)[0] === name,
          ).length,
      );
      assert.deepEqual(
        aging.map((node) => node.stats!.table!.records),
        expected,
      );
    });

    it('gives new entries to expansion nodes, and to aging ones only those that had to go (D14)', async () => {
      const relay = await tier.relay({ table: { capacity: 10 } });
      const sibling = await tier.sibling(relay);
      const expansion = await tier.relief('expansion', 'expansion', sibling);
      const aging = await tier.relief('aging', 'aging', sibling);
      const a = await tier.front('a', relay);
      await putAll(a, 10);
      await waitUntil('the new ones', () => expansion.stats!.table!.records === 10);
      assert.equal(aging.stats!.table!.records, 0);
      await put(a, 'k10', 'v');
      await waitUntil('the old one', () => aging.stats!.table!.records === 1);
    });

    it('spares expansion nodes while there is no pressure, if it is told to', async () => {
      const relay = await tier.relay({ table: { capacity: 10 }, highWater: 0.8 });
      const sibling = await tier.sibling(relay);
      const expansion = await tier.relief('expansion', 'expansion', sibling);
      const a = await tier.front('a', relay);
      await putAll(a, 10);
      await waitUntil('those above the mark', () => expansion.stats!.table!.records === 3);
    });

    it('finds what a node owned before another one came', async () => {
      const relay = await tier.relay({ table: { capacity: 1 } });
      const sibling = await tier.sibling(relay);
      const first = await tier.relief('aging', 'aging-1', sibling);
      const a = await tier.front('a', relay);
      await putAll(a, 30);
      await waitUntil('all overflow', () => first.stats!.table!.records === 29);
      await tier.relief('aging', 'aging-2', sibling);
      await Promise.all(
        Array.from({ length: 29 }, async (_, i) => assert.equal(await ask(a, `k${i}`), `v${i}`)),
      );
    });

    it('goes on without a relief node that is gone, and takes the next one for its keys', async () => {
      const relay = await tier.relay({ table: { capacity: 1 } });
      const sibling = await tier.sibling(relay);
      const [one, two] = [
        await tier.relief('aging', 'aging-1', sibling),
        await tier.relief('aging', 'aging-2', sibling),
      ];
      await one.stop();
      const a = await tier.front('a', relay);
      await putAll(a, 21);
      await waitUntil('all overflow', () => two.stats!.table!.records === 20);
      assert.equal(await ask(a, 'k3'), 'v3');
      assert.equal(relay.stats!.overflowLost, 0);
    });

    it('lets a hook place the overflow', async () => {
      const relay = await tier.relay({ table: { capacity: 1 } });
      const sibling = await tier.sibling(relay, {}, { place: (_, nodes) => [...nodes].sort().reverse() });
      const [one, two] = [
        await tier.relief('aging', 'aging-1', sibling),
        await tier.relief('aging', 'aging-2', sibling),
      ];
      const a = await tier.front('a', relay);
      await putAll(a, 11);
      await waitUntil('all overflow', () => two.stats!.table!.records === 10);
      assert.equal(one.stats!.table!.records, 0);
    });

    it('keeps as many copies as it is told to', async () => {
      const relay = await tier.relay({ table: { capacity: 1 } });
      const sibling = await tier.sibling(relay, { replicas: 2 });
      const aging: TierNode[] = [];
      for (const name of ['aging-1', 'aging-2', 'aging-3'])
        aging.push(await tier.relief('aging', name, sibling));
      const a = await tier.front('a', relay);
      await putAll(a, 11);
      await waitUntil('all copies', () => sum(aging, 'records') === 20);
    });

    it('hands what nobody has used for too long to an aging node, and finds it there (D10)', async () => {
      const relay = await tier.relay({ table: { capacity: 100, agedOutMs: 300, sweepMs: 50 } });
      const sibling = await tier.sibling(relay);
      const aging = await tier.relief('aging', 'aging', sibling);
      const a = await tier.front('a', relay);
      await putAll(a, 90);
      await waitUntil('all of them', () => relay.stats!.overflowKept === 90);
      assert.equal(aging.stats!.table!.records, 90);
      assert.equal(relay.stats!.overflowLost, 0);
      assert.equal(relay.stats!.table!.aged, 90);
      for (const i of [0, 41, 89]) assert.equal(await ask(a, `k${i}`), `v${i}`);
    });

    it('finds its table again when it is started anew, as long as somebody holds it', async () => {
      const { relay: table, old } = { relay: { capacity: 10 }, old: { capacity: 50, tombstonesMax: 20 } };
      const held = new DeclaredCaches(
        tier.runDirectory,
        Object.fromEntries(
          [
            tableCaches('relay', { ...tableDefaults, ...table }),
            tableCaches('old', { ...tableDefaults, ...old }),
          ]
            .flatMap((caches) => Object.values(caches))
            .map(({ name, shape }) => [name, shape]),
        ),
        tier.nodes.host.log,
      );
      try {
        const relay = await tier.relay({ table });
        const sibling = await tier.sibling(relay);
        const aging = await tier.relief('aging', 'old', sibling, old);
        const a = await tier.front('a', relay);
        await putAll(a, 30);
        await waitUntil('all overflow', () => aging.stats!.table!.records === 20);
        await a.downstream.forget('k3', stone(), signal());
        await a.downstream.close();
        for (const node of [aging, sibling, relay]) await node.stop();

        const again = await tier.relay({ table });
        assert.deepInclude(again.stats!.table!, { records: 10, tombstones: 1 });
        const another = await tier.sibling(again);
        const agingAgain = await tier.relief('aging', 'old', another, old);
        assert.deepInclude(agingAgain.stats!.table!, { records: 19, tombstones: 1 });
        const b = await tier.front('b', again);
        assert.equal(await ask(b, 'k29'), 'v29');
        assert.equal(await ask(b, 'k4'), 'v4');
        assert.equal(await ask(b, 'k3'), 'deleted');
      } finally {
        held.release();
      }
    });

    it('makes its table anew, and says so, where its configuration has another size than the one that is there', async () => {
      const { name, shape } = tableCaches('relay', { ...tableDefaults, capacity: 10 }).records;
      const held = new DeclaredCaches(tier.runDirectory, { [name]: shape }, tier.nodes.host.log);
      try {
        const relay = await tier.relay({ siblingListen: undefined, table: { capacity: 20 } });
        const a = await tier.front('a', relay);
        await putAll(a, 20);
        assert.equal(relay.stats!.table!.records, 20);
        assert.match(tier.nodes.complaints.join(), /made anew, and empty: .*its capacity is 10, not 20/);
      } finally {
        held.release();
      }
    });

    it('ends with the reason when its table is taken over, or when another node of its name has it', async () => {
      const relay = await tier.relay({ siblingListen: undefined });
      const { node: hub } = { node: relay.open!.ports[0]! };
      const other = tier.start({
        ...{ role: 'aging', node: 'relay', cluster: '', seed: '0', table: tableDefaults },
        sibling: { endpoint: { host: '127.0.0.1', port: hub } },
      });
      await waitUntil('its end', () => other.end);
      assert.equal(other.end!.error!.code, 'ERR_RELAY_CONFIG');
      assert.match(other.end!.error!.message, new RegExp(`process ${process.pid} is a node of that name`));
      const { name, shape } = tableCaches('relay', tableDefaults).records;
      const taken = await openCache(tier.runDirectory, name, { ...shape, takeOver: true });
      await waitUntil('the end of the relay', () => relay.end);
      assert.equal(relay.end!.error!.code, 'ERR_CACHE_REPLACED');
      await taken.close();
    });

    it('loses what has no room and nowhere to go, counts it, and says it once', async () => {
      const relay = await tier.relay({ table: { capacity: 1 }, siblingListen: undefined });
      const a = await tier.front('a', relay);
      await putAll(a, 5);
      assert.equal(relay.stats!.overflowLost, 4);
      assert.lengthOf(tier.nodes.complaints, 1);
    });

    it('goes on while its sibling is gone, and is whole again with the next one (D17)', async () => {
      const relay = await tier.relay({ table: { capacity: 10 } });
      const first = await tier.sibling(relay);
      const a = await tier.front('a', relay);
      await first.stop();
      await waitUntil('it is degraded', () => relay.states.at(-1) === 'degraded');
      await put(a, 'k', 'v');
      assert.equal(await ask(a, 'k'), 'v');
      assert.equal(await ask(a, 'nowhere'), 'nothing');
      const second = await tier.sibling(relay);
      const aging = await tier.relief('aging', 'aging', second);
      await putAll(a, 20);
      await waitUntil('its overflow', () => aging.stats!.table!.records > 0);
      assert.deepEqual(relay.states, ['degraded', 'whole', 'degraded', 'whole']);
    });
  });

  describe('a delete', () => {
    it('is acknowledged by the owner and all who are connected, and found nowhere again (D15)', async () => {
      const relay = await tier.relay({ table: { capacity: 2 } });
      const sibling = await tier.sibling(relay);
      const aging = [
        await tier.relief('aging', 'aging-1', sibling),
        await tier.relief('aging', 'aging-2', sibling),
      ];
      const expansion = await tier.relief('expansion', 'expansion', sibling);
      const [a, b] = [await tier.front('a', relay), await tier.front('b', relay)];
      const [first, ...others] = ['k0', 'k1', 'k2', 'k3'];
      for (const key of [first!, ...others]) await put(a, key, 'v');
      await waitUntil('the overflow', () => sum(aging, 'records') === 2);
      const { acknowledged, missing } = await a.downstream.forget(first!, stone(), signal());
      assert.deepEqual(missing, []);
      // The relay, the sibling, three behind it and the other front end.
      assert.equal(acknowledged, 6);
      assert.equal(sum([...aging, expansion], 'deleted'), 2);
      assert.deepInclude(
        b.news.map(({ type, key }) => ({ type, key })),
        { type: 'entry.deleted', key: first },
      );
      for (const front of [a, b]) assert.equal(await ask(front, first!), 'deleted');
      assert.equal(await ask(b, others[0]!), 'v');
    });

    it('wins over an older copy, whenever that comes', async () => {
      const relay = await tier.relay({ siblingListen: undefined });
      const a = await tier.front('a', relay);
      const old = entry('old');
      await a.downstream.forget('k', stone(), signal());
      await a.downstream.put('k', old, signal());
      assert.equal(await ask(a, 'k'), 'deleted');
      // Written after the delete, it is another session.
      await put(a, 'k', 'new');
      assert.equal(await ask(a, 'k'), 'new');
    });

    it('reaches those who were away when they are back', async () => {
      const relay = await tier.relay({});
      const sibling = await tier.sibling(relay);
      const [a, b] = [await tier.front('a', relay), await tier.front('b', relay)];
      await put(a, 'k', 'v');
      await sibling.stop();
      await b.downstream.close();
      await a.downstream.forget('k', stone(), signal());
      const back = await tier.front('b', relay);
      await waitUntil('it hears of it', () =>
        back.news.some(({ type, key }) => type === 'entry.deleted' && key === 'k'),
      );
    });

    it('is told by a front end to a relay that has forgotten it', async () => {
      const relay = await tier.relay({ siblingListen: undefined });
      const port = relay.open!.ports[0]!;
      const [a, b] = [await tier.front('a', relay), await tier.front('b', relay)];
      await a.downstream.forget('k', stone(), signal());
      await relay.stop();
      await waitUntil('the loss', () => a.downstream.status === 'lost' && b.downstream.status === 'lost');
      const again = await tier.relay({ siblingListen: undefined, listen: [{ host: '127.0.0.1', port }] });
      await waitUntil('they are back', () => again.stats!.table!.tombstones === 1);
      const c = await tier.front('c', again);
      assert.equal(await ask(c, 'k'), 'deleted');
    });

    it('is told to whoever begins to listen, though it was heard before', async () => {
      const relay = await tier.relay({ siblingListen: undefined });
      const [a, b] = [await tier.front('a', relay), await tier.front('b', relay)];
      await a.downstream.forget('k', stone(), signal());
      const endpoint = { host: '127.0.0.1', port: relay.open!.ports[0]! };
      const member = await tier.nodes.connected({ node: 'c', role: 'front', endpoint });
      const c = await RelayDownstream.open(member, { seed: 9849381 });
      await waitUntil('it knows what was deleted', () => c.silentMs < Number.POSITIVE_INFINITY);
      const news: CacheNews[] = [];
      c.onNews((each) => news.push(each));
      assert.deepEqual(
        news.map(({ type, key }) => [type, key]),
        [['entry.deleted', 'k']],
      );
      assert.isBelow(b.downstream.silentMs, Number.POSITIVE_INFINITY);
    });

    it('that a front end remembers from before is told to the others', async () => {
      const relay = await tier.relay({ siblingListen: undefined });
      const [a, b] = [await tier.front('a', relay), await tier.front('b', relay)];
      a.downstream.remember([['k', stone()]]);
      await waitUntil('the others know', () =>
        b.news.some(({ type, key }) => type === 'entry.deleted' && key === 'k'),
      );
    });

    it('that could not be told is told as soon as there is a link', async () => {
      const relay = await tier.relay({ siblingListen: undefined });
      const port = relay.open!.ports[0]!;
      const a = await tier.front('a', relay);
      await relay.stop();
      await waitUntil('the loss', () => a.downstream.status === 'lost');
      const error = await a.downstream.forget('k', stone(), signal()).catch((thrown) => thrown);
      assert.equal(error.code, 'ERR_RELAY_UNAVAILABLE');
      const again = await tier.relay({ siblingListen: undefined, listen: [{ host: '127.0.0.1', port }] });
      await waitUntil('it is told', () => again.stats!.table!.tombstones === 1);
    });

    it('reaches a relief node that was away, by its sibling', async () => {
      const relay = await tier.relay({ table: { capacity: 1 } });
      const sibling = await tier.sibling(relay);
      const a = await tier.front('a', relay);
      await a.downstream.forget('k', stone(), signal());
      const aging = await tier.relief('aging', 'aging', sibling);
      await waitUntil('it has heard', () => aging.stats!.table!.tombstones === 1);
    });
  });

  describe('a sibling', () => {
    it('answers nobody else when it has not heard its relay for too long', async () => {
      const relay = await tier.relay();
      const sibling = await tier.sibling(relay, { maxStaleMs: 300 });
      const gateway = await tier.nodes.connected({
        node: 'gateway',
        role: 'gateway',
        endpoint: { host: '127.0.0.1', port: sibling.open!.ports[0]! },
      });
      const hash = (await keyHasher(9849381n))('k');
      assert.isNull(await gateway.request('session.fetch', { key: 'k', hash }));
      await relay.stop();
      let code = '';
      await waitUntil('it answers nobody', () => {
        gateway.request('session.fetch', { key: 'k', hash }).catch((error) => {
          code = error.code;
        });
        return code !== '';
      });
      assert.equal(code, 'ERR_RELAY_UNAVAILABLE');
    });
  });

  describe('what a peer sends', () => {
    for (const [what, service, body] of [
      ['a key without a hash', 'session.get', { key: 'k' }],
      ['an empty key', 'session.get', { key: '', hash: '0'.repeat(16) }],
      ['no map', 'session.get', 7],
      [
        'an entry without a value',
        'session.put',
        { key: 'k', hash: '0'.repeat(16), entry: { form: 'text', stamp: 1 } },
      ],
      [
        'an unknown form',
        'session.put',
        { key: 'k', hash: '0'.repeat(16), entry: { value: new Uint8Array(1), form: 'x', stamp: 1 } },
      ],
      [
        'a stamp that is none',
        'session.forget',
        { key: 'k', hash: '0'.repeat(16), tombstone: { deleted: true, stamp: -1, ttlMs: 1 } },
      ],
      ['deletes that are none', 'session.tell', { stones: 'all', floor: { stamp: 0, ttlMs: 0 } }],
    ] as [string, string, unknown][])
      it(`is refused: ${what}`, async () => {
        const relay = await tier.relay({ siblingListen: undefined });
        const a = await tier.front('a', relay);
        const error = (await a.member.request(service, body).catch((thrown) => thrown)) as IpcError;
        assert.equal(error.code, 'ERR_REQUEST_FAILED');
        assert.equal(relay.stats!.table!.records, 0);
      });

    it('is ignored where nobody waits for an answer', async () => {
      const relay = await tier.relay({ siblingListen: undefined });
      const [a, b] = [await tier.front('a', relay), await tier.front('b', relay)];
      a.member.publish('session', { nonsense: true });
      await put(a, 'k', 'v');
      await waitUntil('the next one', () => b.news.length > 0);
      assert.lengthOf(b.news, 1);
    });
  });

  describe('hooks', () => {
    it('see what is handed on, change it or keep it back, and see it afterwards', async () => {
      const after: unknown[] = [];
      const relay = await tier.relay(
        { siblingListen: undefined },
        {
          beforeFanOut: (topic, body) => {
            if (topic !== 'chat') return body;
            return body === 'secret' ? undefined : `${body}!`;
          },
          afterFanOut: (topic, body, from, nodes) => topic === 'chat' && void after.push([body, from, nodes]),
          admit: (node) => node !== 'mallory',
        },
      );
      const [a, b] = [await tier.front('a', relay), await tier.front('b', relay)];
      const heard: unknown[] = [];
      await b.member.subscribe('chat', (message) => heard.push(message));
      a.member.publish('chat', 'secret');
      a.member.publish('chat', 'hello');
      await waitUntil('the message', () => heard.length > 0);
      assert.deepEqual(heard, ['hello!']);
      assert.deepEqual(after, [['hello!', 'a', 1]]);
      const mallory = tier.nodes.connect({
        node: 'mallory',
        endpoint: { host: '127.0.0.1', port: relay.open!.ports[0]! },
      });
      await waitUntil('it is refused', () =>
        tier.nodes.complaints.some((each) => /mallory is not wanted/.test(each)),
      );
      assert.equal(mallory.status, 'lost');
    });
  });

  it('fails with the reason when it can not listen', async () => {
    const relay = await tier.relay({ siblingListen: undefined });
    const other = tier.start({
      role: 'sibling',
      node: 'x',
      cluster: '',
      seed: '0',
      listen: [{ host: '127.0.0.1', port: relay.open!.ports[0]! }],
      relay: { endpoint: { host: '127.0.0.1', port: 1 } },
      replicas: 1,
      fetchTimeoutMs: 1,
      maxStaleMs: 1,
      tombstonesMax: 1,
    });
    await waitUntil('its end', () => other.end);
    assert.equal(other.end!.error!.code, 'ERR_SYSTEM');
  });
});
