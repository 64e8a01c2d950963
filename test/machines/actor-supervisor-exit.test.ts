// Who is restarted: restart type by reason, and by strategy. Rows of OTP's manual and of its own suite.
import { assert } from 'chai';
import type { ActorOptions } from '../../src/spec/topology.ts';
import { Actors, plain, polite, stubborn, type WorkerEvent } from '../support/machines/actors.ts';

type Restart = 'permanent' | 'transient' | 'temporary';
const restarts: Restart[] = ['permanent', 'transient', 'temporary'];

describe('a child of a supervisor of actors that ends', () => {
  const ends: { does: WorkerEvent['type']; class: string; starts: Record<Restart, number> }[] = [
    { does: 'finish', class: 'normal', starts: { permanent: 2, transient: 1, temporary: 1 } },
    { does: 'shut', class: 'shutdown', starts: { permanent: 2, transient: 1, temporary: 1 } },
    { does: 'crash', class: 'abnormal', starts: { permanent: 2, transient: 2, temporary: 1 } },
  ];
  for (const strategy of ['one-for-one', 'one-for-all', 'rest-for-one'] as const)
    for (const { does, class: kind, starts } of ends)
      for (const restart of restarts)
        it(`${kind}, being ${restart}, is started ${starts[restart]} times by ${strategy}`, async () => {
          const actors = new Actors((t) => ({ strategy, children: { a: t.child('a', { restart }) } }));
          actors.tell('a', does);
          assert.equal(actors.happened.length, starts[restart]);
          const kept = { permanent: 'up', transient: does === 'crash' ? 'up' : 'down', temporary: undefined };
          assert.equal((await actors.phases()).a, kept[restart]);
        });

  for (const { does, class: kind, starts } of ends)
    for (const restart of restarts)
      it(`${kind}, being ${restart}, is started ${starts[restart]} times by dynamic, and forgotten otherwise`, async () => {
        const actors = new Actors((t) => ({
          strategy: 'dynamic',
          child: { ...t.child('a', { restart }) },
        }));
        const answer = await actors.supervision.startChild();
        actors.tell('#1', does);
        assert.equal(actors.happened.length, starts[restart]);
        const again = starts[restart] === 2;
        assert.deepEqual(await actors.supervision.countChildren(), {
          specs: 1,
          active: again ? 1 : 0,
          supervisors: 0,
          workers: again ? 1 : 0,
        });
        assert.equal(answer.ok && answer.ref!.phase, again ? 'up' : 'removed');
      });

  it('is reported always if it is permanent, and else if its end was a bad one', () => {
    const rows: [Restart, WorkerEvent['type'], boolean][] = [
      ['permanent', 'finish', true],
      ['permanent', 'shut', true],
      ['permanent', 'crash', true],
      ['transient', 'finish', false],
      ['transient', 'crash', true],
      ['temporary', 'shut', false],
      ['temporary', 'crash', true],
    ];
    for (const [restart, does, loud] of rows) {
      const actors = new Actors((t) => ({ children: { a: t.child('a', { restart }) } }));
      actors.tell('a', does);
      assert.equal(actors.verdicts[0]!.endsWith('(child-terminated)'), loud, `${restart} ${does}`);
    }
  });

  it('keeps its input over restarts, and its ref stays valid', async () => {
    const actors = new Actors(() => ({ children: {} }));
    const { supervision } = actors;
    const answer = await supervision.startChild('a', { kind: 'actor', source: polite, input: 7 });
    assert.isTrue(answer.ok);
    const ref = answer.ok ? answer.ref! : assert.fail();
    actors.tell('a', 'crash');
    assert.deepInclude(ref.getSnapshot() as object, { status: 'active', context: { input: 7 } });
    assert.equal(ref.epoch, 2);
    assert.isTrue(ref.send({ type: 'finish' }));
    assert.equal(ref.epoch, 3);
  });
});

describe('the group of a strategy', () => {
  const rows: [strategy: 'one-for-one' | 'one-for-all' | 'rest-for-one', happens: string[]][] = [
    ['one-for-one', ['b starts']],
    ['one-for-all', ['a starts', 'b starts', 'c starts']],
    ['rest-for-one', ['b starts', 'c starts']],
  ];
  for (const [strategy, happens] of rows)
    it(`${strategy} starts again in the order of starts`, () => {
      const actors = new Actors((t) => ({
        strategy,
        children: { a: t.child('a'), b: t.child('b'), c: t.child('c') },
      }));
      actors.forget().tell('b', 'crash');
      assert.deepEqual(actors.happened, happens);
    });

  it('goes down in the opposite order, one after the other', () => {
    const slow: ActorOptions = { shutdown: 1_000 };
    const actors = new Actors((t) => ({
      strategy: 'one-for-all',
      children: { a: t.child('a', slow, stubborn), b: t.child('b'), c: t.child('c', slow, stubborn) },
    }));
    actors.forget().tell('b', 'crash');
    assert.deepEqual(actors.running, ['a', 'c'], 'a is not asked before c is gone');
    actors.tell('c', 'finish');
    assert.deepEqual(actors.running, ['a']);
    assert.deepEqual(actors.happened, []);
    actors.tell('a', 'finish');
    assert.deepEqual(actors.happened, ['a starts', 'b starts', 'c starts']);
  });

  it('counts as one restart', () => {
    const actors = new Actors((t) => ({
      strategy: 'one-for-all',
      intensity: 2,
      children: { a: t.child('a'), b: t.child('b') },
    }));
    actors.tell('a', 'crash').tell('b', 'crash');
    assert.isUndefined(actors.output);
    actors.tell('a', 'crash');
    assert.equal(actors.output!.why, 'intensity');
  });

  it('loses its temporary children, and restarts the transient ones that went down with it', async () => {
    const actors = new Actors((t) => ({
      strategy: 'one-for-all',
      children: {
        a: t.child('a'),
        b: t.child('b', { restart: 'temporary' }),
        c: t.child('c', { restart: 'transient' }),
      },
    }));
    actors.tell('a', 'crash');
    assert.deepEqual(await actors.phases(), { a: 'up', c: 'up' });
  });

  it('of one-for-all starts again as a whole if one of it does not start', () => {
    const actors = new Actors((t) => ({
      strategy: 'one-for-all',
      intensity: 5,
      children: { a: t.child('a'), b: t.child('b'), c: t.child('c') },
    }));
    actors.forget().mood('b', 'fails').tell('c', 'crash');
    assert.deepEqual(actors.happened, ['a starts', 'b fails']);
    assert.deepEqual(actors.running, ['a']);
    actors.mood('b', 'fine').pass(1);
    assert.deepEqual(actors.happened.slice(2), ['a starts', 'b starts', 'c starts']);
  });

  it('of rest-for-one starts again from the one on that did not start', () => {
    const actors = new Actors((t) => ({
      strategy: 'rest-for-one',
      intensity: 5,
      children: { a: t.child('a'), b: t.child('b'), c: t.child('c') },
    }));
    actors.forget().mood('b', 'fails').tell('a', 'crash');
    assert.deepEqual(actors.happened, ['a starts', 'b fails']);
    actors.mood('b', 'fine').pass(1);
    assert.deepEqual(actors.happened.slice(2), ['b starts', 'c starts'], 'a stays up');
  });

  it('lets an exit outside it wait until it is up again', () => {
    const actors = new Actors((t) => ({
      strategy: 'rest-for-one',
      children: {
        a: t.child('a'),
        b: t.child('b'),
        c: t.child('c', { shutdown: 1_000 }, stubborn),
      },
    }));
    actors.forget().tell('b', 'crash').tell('a', 'crash');
    assert.deepEqual(actors.happened, []);
    actors.tell('c', 'finish');
    assert.deepEqual(actors.happened.slice(0, 2), ['b starts', 'c starts']);
    actors.tell('c', 'finish');
    assert.deepEqual(actors.happened.slice(2), ['a starts', 'b starts', 'c starts']);
  });

  it('takes who crashes while it goes down for one of those that went down', () => {
    const actors = new Actors((t) => ({
      strategy: 'one-for-all',
      intensity: 1,
      children: { a: t.child('a'), b: t.child('b', { shutdown: 1_000 }, stubborn), c: t.child('c') },
    }));
    actors.tell('c', 'crash').tell('a', 'crash').tell('b', 'finish');
    assert.isUndefined(actors.output);
    assert.sameMembers(actors.running, ['a', 'b', 'c']);
  });

  it('waits for the delay of who crashed, if it has one', () => {
    const backoff = { minMs: 100, maxMs: 100, factor: 1, jitter: 0 };
    const actors = new Actors((t) => ({
      strategy: 'one-for-all',
      children: { a: t.child('a', { backoff }), b: t.child('b') },
    }));
    actors.forget().tell('a', 'crash').pass(99);
    assert.deepEqual(actors.running, []);
    actors.pass(1);
    assert.deepEqual(actors.happened, ['a starts', 'b starts']);
  });
});

describe('the end of a child on request', () => {
  it('is its own doing if it can take the request', () => {
    const actors = new Actors((t) => ({ children: { a: t.child('a') } }));
    actors.supervision.shutdown();
    assert.deepEqual(actors.verdicts, ['a shutdown: stay down (quiet)']);
  });

  it('is done to it if it can not', () => {
    const actors = new Actors((t) => ({ children: { a: t.child('a', {}, plain as never) } }));
    actors.supervision.shutdown();
    assert.deepEqual(actors.verdicts, ['a shutdown: stay down (quiet)']);
  });

  it('is forced after its time, which is reported', () => {
    const actors = new Actors((t) => ({ children: { a: t.child('a', { shutdown: 1_000 }, stubborn) } }));
    actors.supervision.shutdown();
    actors.pass(999);
    assert.isUndefined(actors.output);
    actors.pass(1);
    assert.isDefined(actors.output);
    assert.deepEqual(actors.verdicts, ['a killed: stay down (shutdown-error)']);
  });

  it('has all the time there is with `infinity`', () => {
    const actors = new Actors((t) => ({ children: { a: t.child('a', { shutdown: 'infinity' }, stubborn) } }));
    actors.supervision.shutdown();
    actors.pass(1_000_000_000);
    assert.isUndefined(actors.output);
    actors.tell('a', 'finish');
    assert.isDefined(actors.output);
  });

  it('comes without a request with `kill`', () => {
    const actors = new Actors((t) => ({ children: { a: t.child('a', { shutdown: 'kill' }, stubborn) } }));
    actors.supervision.shutdown();
    assert.deepEqual(actors.verdicts, ['a killed: stay down (quiet)']);
  });

  it('is reported if it crashed instead', () => {
    const actors = new Actors((t) => ({ children: { a: t.child('a', { shutdown: 9 }, stubborn) } }));
    actors.supervision.shutdown();
    actors.tell('a', 'crash');
    assert.deepEqual(actors.verdicts, ['a abnormal: stay down (shutdown-error)']);
  });

  it('of all under a dynamic supervisor is asked for at once, with one time for all', async () => {
    const actors = new Actors((t) => ({
      strategy: 'dynamic',
      child: t.child('a', { shutdown: 1_000 }, stubborn),
    }));
    for (let i = 0; i < 3; i++) await actors.supervision.startChild();
    actors.supervision.shutdown();
    assert.equal(actors.clock.pending, 1);
    actors.tell('#2', 'finish').pass(1_000);
    assert.isDefined(actors.output);
    assert.equal(actors.clock.pending, 0);
  });
});
