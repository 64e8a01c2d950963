import { assert } from 'chai';
import { assign, fromPromise, fromTransition, setup } from 'xstate';
import { addressOf } from '../../src/names.ts';
import { Feed, type FeedRecord } from '../../src/runtime/feed.ts';
import type { Host } from '../../src/runtime/host.ts';
import {
  doorMachine,
  familyMachine,
  instantMachine,
  stillbornMachine,
  testHost,
} from '../support/machines/hosts.ts';

const address = addressOf('door');

/** What a watcher of that host gets, from now on. */
function watch(host: Host): { records: FeedRecord[]; unwatch: () => void } {
  const records: FeedRecord[] = [];
  return { records, unwatch: host.feed.watch((record) => records.push(record)) };
}

function ofKind<K extends FeedRecord['k']>(
  records: readonly FeedRecord[],
  kind: K,
): Extract<FeedRecord, { k: K }>[] {
  return records.filter((record): record is Extract<FeedRecord, { k: K }> => record.k === kind);
}

const kinds = (records: readonly FeedRecord[]) => records.map(({ k }) => k);

describe('Feed', () => {
  const log: FeedRecord = { k: 'log', at: 1, level: 'info', message: 'hello', facts: {} };

  function feed(dumped: FeedRecord[] = []): { feed: Feed; watched: boolean[] } {
    const watched: boolean[] = [];
    return {
      feed: new Feed(
        () => dumped,
        (on) => void watched.push(on),
      ),
      watched,
    };
  }

  it('gives a watcher all that there is, and then what happens', () => {
    const { feed: told } = feed([log]);
    const records: FeedRecord[] = [];
    told.watch((record) => records.push(record));
    told.tell({ ...log, message: 'again' });
    assert.deepEqual(records, [log, { ...log, message: 'again' }]);
  });

  it('says when the first watcher comes and when the last one goes', () => {
    const { feed: told, watched } = feed();
    const [first, second] = [told.watch(() => {}), told.watch(() => {})];
    assert.deepEqual([watched, told.watched], [[true], true]);
    first();
    first();
    assert.deepEqual([watched, told.watched], [[true], true]);
    second();
    assert.deepEqual([watched, told.watched], [[true, false], false]);
  });

  it('tells a watcher that has gone nothing more', () => {
    const { feed: told } = feed();
    const records: FeedRecord[] = [];
    told.watch((record) => records.push(record))();
    told.tell(log);
    assert.isEmpty(records);
  });

  it('lets no watcher that throws get in the way of the others', () => {
    const { feed: told } = feed([log]);
    const records: FeedRecord[] = [];
    told.watch(() => {
      throw new Error('a mistake of the watcher');
    });
    told.watch((record) => records.push(record));
    told.tell(log);
    assert.lengthOf(records, 2);
  });
});

describe('the feed of a host', () => {
  describe('gives a watcher that comes late', () => {
    it('the charts first, then the actors as they are now', () => {
      const { host } = testHost();
      host.start(doorMachine, { address }).post({ type: 'open' });
      const { records } = watch(host);
      const [chart] = ofKind(records, 'chart');
      const [actor] = ofKind(records, 'actor');
      assert.equal(records[0], chart);
      assert.deepInclude(actor, {
        k: 'actor',
        actor: address,
        chart: chart!.hash,
        value: 'open',
        status: 'active',
      });
    });

    it('each chart once, however many actors follow it and however many machines come of it', () => {
      const { host } = testHost();
      host.start(doorMachine, { address });
      host.start(doorMachine.provide({ actions: { creak: () => {} } }), { address: addressOf('other') });
      assert.lengthOf(ofKind(watch(host).records, 'chart'), 1);
    });

    it('no actor that has ended', () => {
      const { host } = testHost();
      host.start(doorMachine, { address }).stop();
      assert.isEmpty(ofKind(watch(host).records, 'actor'));
    });

    it('with what it waits for, while it does', () => {
      const { host } = testHost();
      const waiter = setup({
        types: { context: {} as { waitsFor: string | null }, events: {} as { type: 'server.came' } },
        actions: { forget: assign({ waitsFor: null }) },
      }).createMachine({ context: { waitsFor: 'no server' }, on: { 'server.came': { actions: 'forget' } } });
      const hosted = host.start(waiter, { address });
      const { records } = watch(host);
      hosted.post({ type: 'server.came' });
      assert.equal(ofKind(records, 'actor')[0]!.waitsFor, 'no server');
      assert.isUndefined(ofKind(records, 'transition')[0]!.waitsFor);
    });

    it('an actor that is no machine without a chart', () => {
      const { host } = testHost();
      host.start(
        fromTransition((count: number) => count + 1, 0),
        { address },
      );
      assert.deepInclude(ofKind(watch(host).records, 'actor')[0]!, { chart: null, value: null });
    });
  });

  describe('tells a chart', () => {
    it('as plain data, with its states and their transitions', () => {
      const { host } = testHost();
      host.start(doorMachine, { address });
      const { chart } = ofKind(watch(host).records, 'chart')[0]!;
      assert.deepEqual(JSON.parse(JSON.stringify(chart)), chart);
      assert.nestedPropertyVal(chart, 'states.closed.on.lock', 'locked');
      assert.notProperty(chart, 'context');
    });

    it('before the first actor that follows it', () => {
      const { host } = testHost();
      const { records } = watch(host);
      host.start(doorMachine, { address });
      assert.isBelow(kinds(records).indexOf('chart'), kinds(records).indexOf('actor'));
    });

    it('also to a watcher that comes when another has had it and no actor follows it any more', () => {
      const { host } = testHost();
      watch(host);
      host.start(doorMachine, { address }).stop();
      const late = watch(host);
      host.start(doorMachine, { address });
      assert.lengthOf(ofKind(late.records, 'chart'), 1);
    });

    it('also to a watcher that comes when the first has gone', () => {
      const { host } = testHost();
      const first = watch(host);
      host.start(doorMachine, { address }).stop();
      first.unwatch();
      const second = watch(host);
      host.start(doorMachine, { address });
      assert.lengthOf(ofKind(second.records, 'chart'), 1);
    });
  });

  describe('tells an actor', () => {
    it('that begins, before anything that happens to it', () => {
      const { host } = testHost();
      const { records } = watch(host);
      host.start(doorMachine, { address });
      const first = records.find((record) => 'actor' in record);
      assert.equal(first!.k, 'actor');
    });

    for (const [what, machine] of [
      ['fails', stillbornMachine],
      ['is done', instantMachine],
    ] as const)
      it(`that ${what} in its first step as one that has ended`, () => {
        const { host } = testHost();
        const { records } = watch(host);
        host.start(machine as typeof instantMachine, { address });
        const ofActor = kinds(records.filter((record) => 'actor' in record));
        assert.equal(ofActor[0], 'actor');
        assert.equal(ofActor.at(-1), 'stop');
      });

    it('that ends, and how', () => {
      const ends: [type: 'lock' | 'break' | 'stop', how: string][] = [
        ['lock', 'done'],
        ['break', 'crashed'],
        ['stop', 'stopped'],
      ];
      for (const [type, how] of ends) {
        const { host } = testHost();
        const door = host.start(doorMachine, { address });
        const { records } = watch(host);
        if (type === 'stop') door.stop();
        else door.post({ type });
        assert.deepInclude(ofKind(records, 'stop').at(-1) as object, { actor: address, how });
        assert.lengthOf(ofKind(records, 'stop'), 1);
      }
    });

    it('that crashes, with its message and stack', () => {
      const { host } = testHost();
      const door = host.start(doorMachine, { address });
      const { records } = watch(host);
      door.post({ type: 'break' });
      const [crash] = ofKind(records, 'crash');
      assert.deepInclude(crash!, { actor: address, message: 'the hinge broke' });
      assert.include(crash!.stack, 'the hinge broke');
    });
  });

  describe('tells a transition', () => {
    it('with its event, its steps, its actions and where it led', () => {
      const { host } = testHost();
      const door = host.start(doorMachine, { address });
      const { records } = watch(host);
      door.post({ type: 'open' });
      const [transition] = ofKind(records, 'transition');
      assert.deepInclude(transition, {
        actor: address,
        event: 'open',
        value: 'open',
        status: 'active',
        steps: [{ event: 'open', from: 'door.closed', to: ['door.open'] }],
      });
      assert.include(transition!.actions, 'creak');
    });

    it('with each of the steps that one event leads to', () => {
      const { host } = testHost();
      const machine = setup({}).createMachine({
        id: 'stairs',
        initial: 'a',
        states: { a: { on: { climb: 'b' } }, b: { always: 'c' }, c: { always: 'd' }, d: {} },
      });
      const stairs = host.start(machine, { address });
      const { records } = watch(host);
      stairs.post({ type: 'climb' });
      assert.deepEqual(
        ofKind(records, 'transition')[0]!.steps.map(({ to }) => to[0]),
        ['stairs.b', 'stairs.c', 'stairs.d'],
      );
    });

    it('after a delay as well', () => {
      const { host, clock } = testHost();
      const door = host.start(doorMachine, { address });
      door.post({ type: 'open' });
      const { records } = watch(host);
      clock.advance(1_000);
      assert.deepInclude(ofKind(records, 'transition')[0], { value: 'closed' });
      assert.equal(host.snapshotOf(address)!.value, 'closed');
    });

    it('of logic that is no machine', () => {
      const { host } = testHost();
      const { records } = watch(host);
      const counter = host.start(
        fromTransition((count: number) => count + 1, 0),
        { address },
      );
      counter.post({ type: 'count' });
      assert.lengthOf(
        ofKind(records, 'transition').filter(({ event }) => event === 'count'),
        1,
      );
    });
  });

  it('tells an event that no state takes as ignored', () => {
    const { host } = testHost();
    const door = host.start(doorMachine, { address });
    const { records } = watch(host);
    door.post({ type: 'close' });
    assert.deepInclude(ofKind(records, 'ignored')[0], { actor: address, event: 'close' });
    assert.isEmpty(ofKind(records, 'transition'));
  });

  it('tells what is sent, to whom, and by whom within an actor', () => {
    const { host } = testHost();
    const family = host.start(familyMachine(new Set(), { handles: true }), { address });
    const { records } = watch(host);
    family.post({ type: 'fail child' });
    const sent = ofKind(records, 'send');
    assert.deepInclude(sent[0], { from: null, to: address, event: 'fail child' });
    assert.isTrue(sent.some(({ to, event }) => to === addressOf(address, 'child') && event === 'fail'));
  });

  it('tells the result of a promise', async () => {
    const { host } = testHost();
    const { records } = watch(host);
    const done = new Promise<void>((resolve) =>
      host.start(
        fromPromise(async () => 7),
        { address, onEnd: () => resolve() },
      ),
    );
    await done;
    assert.deepInclude(ofKind(records, 'stop')[0], { how: 'done' });
  });

  describe('a watcher that throws', () => {
    it('wedges no actor', () => {
      const { host } = testHost();
      const door = host.start(doorMachine, { address });
      host.feed.watch(() => {
        throw new Error('a mistake of the watcher');
      });
      for (const type of ['open', 'close', 'open'] as const) door.post({ type });
      assert.equal(host.snapshotOf(address)!.value, 'open');
      door.post({ type: 'break' });
      assert.isEmpty(host.addresses);
    });
  });

  describe('without a watcher', () => {
    /** An actor that counts who follows it. */
    function followed(host: Host): { following: () => number } {
      let following = 0;
      host.start(doorMachine, {
        address,
        bind(actor) {
          const { system } = actor as { system: { inspect(observer: unknown): { unsubscribe(): void } } };
          const { inspect } = system;
          system.inspect = (observer) => {
            following++;
            const { unsubscribe } = inspect.call(system, observer);
            return {
              unsubscribe() {
                following--;
                unsubscribe();
              },
            };
          };
        },
      });
      return { following: () => following };
    }

    it('follows nobody', () => {
      const { host } = testHost();
      const { following } = followed(host);
      assert.equal(following(), 0);
      const [first, second] = [watch(host), watch(host)];
      assert.equal(following(), 1);
      first.unwatch();
      assert.equal(following(), 1);
      second.unwatch();
      assert.equal(following(), 0);
    });

    it('tells nothing', () => {
      const { host } = testHost();
      const door = host.start(doorMachine, { address });
      const { records, unwatch } = watch(host);
      unwatch();
      const before = records.length;
      for (const type of ['open', 'break'] as const) door.post({ type });
      assert.lengthOf(records, before);
    });

    it('tells the next one all again', () => {
      const { host } = testHost();
      const door = host.start(doorMachine, { address });
      watch(host).unwatch();
      const { records } = watch(host);
      door.post({ type: 'open' });
      assert.lengthOf(ofKind(records, 'actor'), 1);
      assert.lengthOf(ofKind(records, 'transition'), 1);
    });
  });

  it('tells two watchers the same', () => {
    const { host } = testHost();
    const door = host.start(doorMachine, { address });
    const [one, other] = [watch(host), watch(host)];
    door.post({ type: 'open' });
    assert.deepEqual(ofKind(one.records, 'transition'), ofKind(other.records, 'transition'));
    assert.lengthOf(ofKind(one.records, 'transition'), 1);
  });
});
