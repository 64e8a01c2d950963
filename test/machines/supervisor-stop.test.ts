import { assert } from 'chai';
import { type Child, SimulatedTree } from '../support/machines/tree.ts';

const day = 86_400_000;

/** That nothing of the tree is left: no program, no actor, no timer. */
function assertGone(tree: SimulatedTree): void {
  assert.isDefined(tree.output, 'the supervisor has ended');
  assert.deepEqual(tree.running, []);
  assert.deepEqual(tree.host.addresses, []);
  assert.equal(tree.clock.pending, 0);
}

describe('a shutdown', () => {
  const slow = { obeys: 'terminate' } as const;

  it('stops those first on whom nobody depends, and independent branches at the same time', () => {
    const tree = new SimulatedTree({
      children: {
        db: slow,
        left: { ...slow, dependsOn: { db: 'operative' } },
        right: { ...slow, shutdown: 2_000, dependsOn: { db: 'operative' } },
        page: { ...slow, dependsOn: { left: 'operative', right: 'operative' } },
        log: slow,
      },
    });
    tree.forget().shutdown().pass(day);
    assert.deepEqual(
      tree.happened.filter((what) => !what.includes('terminate')),
      [
        '0 ask page',
        '0 ask log',
        '500 page ends',
        '500 ask left',
        '500 ask right',
        '500 log ends',
        '1000 left ends',
        '1500 right ends',
        '1500 ask db',
        '2000 db ends',
        '2000 the supervisor ends',
      ],
    );
    assertGone(tree);
  });

  it('is planned, and names nobody', () => {
    const tree = new SimulatedTree({ children: { a: {} } });
    tree.shutdown();
    assert.deepEqual(tree.output, {
      why: 'planned',
      reason: 'asked to stop',
      exit: null,
      failed: [],
      unkillable: [],
    });
  });

  it('asks, then terminates, then kills each unit', () => {
    const tree = new SimulatedTree({ children: { a: { obeys: 'kill' } } });
    tree.forget().shutdown().pass(day);
    assert.deepEqual(tree.happened, [
      '0 ask a',
      '500 terminate a',
      '1000 kill a',
      '1000 a ends',
      '1000 the supervisor ends',
    ]);
  });

  it('is not held up by what not even SIGKILL moves, and names it', () => {
    const tree = new SimulatedTree({
      children: { a: {}, b: { obeys: 'nothing', dependsOn: { a: 'operative' } } },
    });
    tree.shutdown().pass(1_000 + 5_000);
    assert.deepEqual(tree.output!.unkillable, ['b']);
    assert.equal(tree.runs('a')[0]!.over, true, 'who it depends on is stopped all the same');
    assert.equal(tree.clock.pending, 0);
    assert.deepEqual(tree.host.addresses, []);
  });

  it('is not held up for longer by what is left of a killed program', () => {
    const tree = new SimulatedTree({ children: { a: { obeys: 'nothing', shutdown: 'infinity' } } });
    tree.shutdown().force();
    tree.run('a').exited(null, 'SIGKILL');
    tree.pass(5_000);
    assert.deepEqual(tree.output?.unkillable, ['a']);
  });

  it('does not restart who ends by itself meanwhile', () => {
    const tree = new SimulatedTree({ children: { a: {}, b: { ...slow, dependsOn: { a: 'operative' } } } });
    tree.shutdown().run('a').crashes();
    tree.pass(day);
    assert.lengthOf(tree.runs('a'), 1);
    assertGone(tree);
  });

  it('tells `stopping` once', () => {
    const tree = new SimulatedTree({ children: { a: slow } });
    tree.forget().shutdown().shutdown().pass(100).shutdown().pass(day);
    assert.deepEqual(tree.states(), ['stopping']);
    assertGone(tree);
  });

  it('asked for twice asks no unit twice', () => {
    const tree = new SimulatedTree({ children: { a: slow } });
    tree.shutdown().pass(100).shutdown().pass(day);
    assert.deepEqual(tree.runs('a')[0]!.orders, ['ask', 'terminate']);
  });

  it('reports how each child ended', () => {
    const tree = new SimulatedTree({ children: { a: {}, b: { obeys: 'kill' } } });
    tree.shutdown().pass(day);
    assert.deepEqual(
      tree.exits().map(({ id, exit }) => [id, exit.class]),
      [
        ['a', 'shutdown'],
        ['b', 'killed'],
      ],
    );
  });

  it('names who had failed and who was skipped', () => {
    const tree = new SimulatedTree({
      children: {
        a: { giveUp: { restarts: 0, periodMs: 0 }, reaches: 'spawned' },
        b: { dependsOn: { a: 'operative' } },
        c: {},
      },
    });
    tree.run('a').crashes();
    tree.shutdown();
    assert.deepEqual(tree.output!.failed, ['a', 'b']);
    assertGone(tree);
  });

  it('stops a unit of any name that a child may have', () => {
    const tree = new SimulatedTree({ children: { constructor: {}, valueOf: {} } });
    tree.shutdown().pass(day);
    assertGone(tree);
  });

  describe('in every phase of a unit', () => {
    const rows: [phase: string, child: Child, before: (tree: SimulatedTree) => void][] = [
      ['idle', {}, (tree) => tree.order('a', { type: 'stop' })],
      ['blocked', { dependsOn: { b: 'never' } }, () => {}],
      ['up', {}, () => {}],
      ['up, and obeys no word', { obeys: 'kill' }, () => {}],
      ['being spawned', { reaches: 'nothing', obeys: 'kill' }, (tree) => tree.pass(10)],
      ['not ready', { reaches: 'spawned' }, () => {}],
      ['stopping', { obeys: 'kill' }, (tree) => tree.order('a', { type: 'stop' }).pass(600)],
      [
        'stopping for a restart',
        { obeys: 'kill' },
        (tree) => tree.order('a', { type: 'restart', reason: 'a new release' }).pass(600),
      ],
      ['draining', { obeys: 'kill' }, (tree) => tree.run('a').exited(0)],
      ['in backoff', {}, (tree) => tree.run('a').crashes()],
      ['completed', { restart: 'transient' }, (tree) => tree.run('a').ends(0)],
      ['failed', { giveUp: { restarts: 0, periodMs: 0 } }, (tree) => tree.run('a').crashes()],
      ['removed', { restart: 'temporary' }, (tree) => tree.run('a').ends(0)],
    ];
    for (const [phase, child, before] of rows) {
      it(`ends all while one is ${phase}`, () => {
        const tree = new SimulatedTree({ children: { a: child, b: {} } });
        before(tree);
        tree.shutdown().pass(day);
        assertGone(tree);
        assert.equal(tree.output!.why, 'planned');
        assert.isAtMost(tree.runs('a').length, 1, 'nothing is started any more');
      });

      it(`ends all at once by force while one is ${phase}`, () => {
        const tree = new SimulatedTree({ children: { a: child, b: { obeys: 'kill' } } });
        before(tree);
        tree.shutdown().force();
        assertGone(tree);
      });
    }
  });

  it('remembers to stop what is still being spawned', () => {
    const tree = new SimulatedTree({ children: { a: { reaches: 'nothing' } } });
    tree.shutdown().pass(100);
    assert.deepEqual(tree.runs('a')[0]!.orders, []);
    tree.run('a').spawned();
    assert.deepEqual(tree.runs('a')[0]!.orders, ['ask']);
    assertGone(tree);
  });

  it('ends a group restart that is under way', () => {
    const tree = new SimulatedTree({ strategy: 'one-for-all', children: { a: {}, b: slow } });
    tree.run('a').crashes();
    assert.equal(tree.stateOf(), 'regrouping');
    tree.shutdown().pass(day);
    assertGone(tree);
    assert.lengthOf(tree.runs('a'), 1);
    assert.lengthOf(tree.runs('b'), 1);
  });

  for (const strategy of ['one-for-one', 'one-for-all'] as const)
    it(`that meets a crash leaves nothing running, however far the crash has come, ${strategy}`, () => {
      const atOnce = { backoff: { minMs: 0, maxMs: 0, factor: 1, jitter: 0 } };
      for (let turns = 0; turns < 20; turns++) {
        const children = strategy === 'one-for-one' ? { a: atOnce } : { a: atOnce, b: atOnce };
        const tree = new SimulatedTree({ strategy, children });
        const shutDownAfter = (left: number): void =>
          left === 0 ? void tree.shutdown() : tree.host.later(() => shutDownAfter(left - 1));
        tree.host.later(() => {
          tree.run('a').crashes();
          shutDownAfter(turns);
        });
        tree.pass(day);
        assert.isDefined(tree.output);
        assert.deepEqual(tree.running, [], `${turns} turns later`);
      }
    });
});

describe('force', () => {
  it('kills all that still stand, also those that others depend on', () => {
    const stubborn = { obeys: 'kill' } as const;
    const tree = new SimulatedTree({
      children: {
        a: stubborn,
        b: { ...stubborn, dependsOn: { a: 'operative' } },
        c: { dependsOn: { b: 'never' } },
      },
    });
    tree.forget().shutdown().pass(100).force();
    assert.deepEqual(tree.happened, [
      '0 ask b',
      '100 kill a',
      '100 a ends',
      '100 kill b',
      '100 b ends',
      '100 the supervisor ends',
    ]);
    assertGone(tree);
  });

  it('without a shutdown before it does nothing', () => {
    const tree = new SimulatedTree({ children: { a: {} } });
    tree.force();
    assert.deepEqual(tree.phases(), { a: 'up' });
  });
});

describe('endsWhenIdle', () => {
  it('ends a supervisor whose work is done', () => {
    const job = { restart: 'transient' } as const;
    const tree = new SimulatedTree({
      endsWhenIdle: true,
      children: { a: job, b: { ...job, dependsOn: { a: 'completed' } } },
    });
    tree.run('a').ends(0);
    assert.isUndefined(tree.output);
    tree.run('b').ends(0);
    assert.deepInclude(tree.output!, { why: 'idle', failed: [] });
    assertGone(tree);
  });

  it('ends a supervisor all of whose children have failed or were skipped, and names them', () => {
    const tree = new SimulatedTree({
      endsWhenIdle: true,
      children: {
        a: { giveUp: { restarts: 0, periodMs: 0 }, reaches: 'spawned' },
        b: { dependsOn: { a: 'operative' } },
      },
    });
    tree.run('a').crashes();
    assert.deepInclude(tree.output!, { why: 'idle', failed: ['a', 'b'] });
  });

  it('ends one whose temporary children have all ended', () => {
    const tree = new SimulatedTree({ endsWhenIdle: true, children: { a: { restart: 'temporary' } } });
    tree.run('a').crashes();
    assert.equal(tree.output!.why, 'idle');
  });

  it('waits for a child in backoff', () => {
    const tree = new SimulatedTree({ endsWhenIdle: true, children: { a: {}, b: { restart: 'transient' } } });
    tree.run('b').ends(0);
    tree.run('a').crashes();
    assert.isUndefined(tree.output);
  });

  it('left out, a supervisor without work stays', () => {
    const tree = new SimulatedTree({ children: { a: { restart: 'transient' } } });
    tree.run('a').ends(0);
    tree.pass(day);
    assert.isUndefined(tree.output);
    assert.equal(tree.clock.pending, 0);
  });
});
