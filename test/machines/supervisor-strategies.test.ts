import { assert } from 'chai';
import { SimulatedTree } from '../support/machines/tree.ts';

const atOnce = { backoff: { minMs: 0, maxMs: 0, factor: 1, jitter: 0 } };
const three = { a: atOnce, b: atOnce, c: atOnce };

/** How often each unit has been started. */
function starts(tree: SimulatedTree): Record<string, number> {
  return Object.fromEntries(
    Object.values(tree.contextOf().units).map(({ id }) => [id, tree.runs(id).length]),
  );
}

describe('one-for-one', () => {
  it('restarts the one that ended', () => {
    const tree = new SimulatedTree({ strategy: 'one-for-one', children: three });
    tree.run('b').crashes();
    assert.deepEqual(starts(tree), { a: 1, b: 2, c: 1 });
  });
});

describe('one-for-all', () => {
  it('restarts all, whoever of them ended', () => {
    const tree = new SimulatedTree({ strategy: 'one-for-all', children: three });
    tree.run('b').crashes();
    assert.deepEqual(starts(tree), { a: 2, b: 2, c: 2 });
    assert.deepEqual(tree.running, ['a', 'b', 'c']);
  });

  it('leaves alone who has completed, failed or was removed', () => {
    const tree = new SimulatedTree({
      strategy: 'one-for-all',
      children: {
        a: atOnce,
        job: { restart: 'transient' },
        once: { restart: 'temporary' },
        bad: { restart: 'transient', giveUp: { restarts: 0, periodMs: 0 } },
      },
    });
    tree.run('job').ends(0);
    tree.run('once').ends(0);
    tree.run('bad').crashes();
    tree.run('a').crashes();
    assert.deepEqual(starts(tree), { a: 2, job: 1, once: 1, bad: 1 });
  });

  it('takes along who was waiting to be restarted', () => {
    const tree = new SimulatedTree({ strategy: 'one-for-all', children: { a: {}, b: {} } });
    tree.run('a').crashes();
    assert.deepEqual(tree.phases(), { a: 'backoff', b: 'up' });
    tree.run('b').crashes();
    assert.deepEqual(tree.phases(), { a: 'up', b: 'backoff' });
  });
});

describe('rest-for-one', () => {
  it('restarts the one that ended and those declared after it', () => {
    const tree = new SimulatedTree({ strategy: 'rest-for-one', children: three });
    tree.run('b').crashes();
    assert.deepEqual(starts(tree), { a: 1, b: 2, c: 2 });
  });

  it('restarts the last one alone', () => {
    const tree = new SimulatedTree({ strategy: 'rest-for-one', children: three });
    tree.forget().run('c').crashes();
    assert.deepEqual(starts(tree), { a: 1, b: 1, c: 2 });
    assert.deepEqual(tree.states(), ['degraded', 'operative']);
  });
});

describe('a group restart', () => {
  const layers = {
    db: atOnce,
    api: { ...atOnce, dependsOn: { db: 'operative' } },
    page: { ...atOnce, dependsOn: { api: 'operative' } },
    log: atOnce,
  };

  it('stops those first on whom nobody depends, and starts in the order of the gates', () => {
    const tree = new SimulatedTree({ strategy: 'one-for-all', children: layers });
    tree.forget().run('db').crashes();
    assert.deepEqual(tree.happened, [
      '0 db ends',
      '0 ask page',
      '0 page ends',
      '0 ask log',
      '0 log ends',
      '0 ask api',
      '0 api ends',
      '0 db begins',
      '0 log begins',
      '0 api begins',
      '0 page begins',
    ]);
  });

  it('waits for the slowest to go down before it starts anybody', () => {
    const tree = new SimulatedTree({
      strategy: 'one-for-all',
      children: { a: atOnce, b: { ...atOnce, obeys: 'terminate' } },
    });
    tree.run('a').crashes();
    assert.equal(tree.stateOf(), 'regrouping');
    assert.deepEqual(tree.running, ['b']);
    tree.pass(500);
    assert.deepEqual(tree.happened.slice(-3), ['500 b ends', '500 a begins', '500 b begins']);
  });

  it('lets who crashed wait for its delay, and nobody else', () => {
    const tree = new SimulatedTree({ strategy: 'one-for-all', children: { a: {}, b: {} } });
    tree.run('a').crashes();
    assert.deepEqual(tree.phases(), { a: 'backoff', b: 'up' });
    tree.pass(100);
    assert.deepEqual(tree.phases(), { a: 'up', b: 'up' });
  });

  it('is told as such, and as `restarting` until all are up', () => {
    const tree = new SimulatedTree({ strategy: 'one-for-all', children: three });
    tree.forget().run('b').crashes();
    assert.equal(tree.exits('b')[0]!.verdict, 'restart with its group');
    assert.deepEqual(tree.states(), ['degraded', 'restarting', 'degraded', 'operative']);
  });

  it('reports how each of its members ended', () => {
    const tree = new SimulatedTree({ strategy: 'one-for-all', children: three });
    tree.run('b').crashes();
    assert.sameMembers(
      tree.exits().map(({ id, exit }) => `${id} ${exit.class}`),
      ['a shutdown', 'b abnormal', 'c shutdown'],
    );
  });

  it('counts as one restart', () => {
    const tree = new SimulatedTree({ strategy: 'one-for-all', intensity: 2, children: three });
    tree.run('a').crashes();
    tree.run('b').crashes();
    assert.isUndefined(tree.output);
    tree.run('c').crashes();
    assert.equal(tree.output!.why, 'intensity');
  });

  it('restarts a transient child that had to go down with the others', () => {
    const tree = new SimulatedTree({
      strategy: 'one-for-all',
      children: { a: atOnce, b: { ...atOnce, restart: 'transient' } },
    });
    tree.run('a').crashes();
    assert.deepEqual(starts(tree), { a: 2, b: 2 });
  });

  it('does not restart a temporary child that had to go down with the others', () => {
    const tree = new SimulatedTree({
      strategy: 'one-for-all',
      children: { a: atOnce, b: { ...atOnce, restart: 'temporary' } },
    });
    tree.run('a').crashes();
    assert.deepEqual(starts(tree), { a: 2, b: 1 });
    assert.equal(tree.phases().b, 'removed');
  });

  it('goes on without a child that nothing can move', () => {
    const tree = new SimulatedTree({
      strategy: 'one-for-all',
      children: { a: atOnce, b: { ...atOnce, obeys: 'nothing' } },
    });
    tree.run('a').crashes();
    tree.pass(1_000 + 5_000);
    assert.deepEqual(tree.phases(), { a: 'up', b: 'unkillable' });
  });

  it('takes that child up again when the kernel lets go of it', () => {
    const tree = new SimulatedTree({
      strategy: 'one-for-all',
      children: { a: atOnce, b: { ...atOnce, obeys: 'nothing' } },
    });
    tree.run('a').crashes();
    tree
      .pass(1_000 + 5_000)
      .run('b')
      .ends(null, 'SIGKILL');
    assert.deepEqual(tree.phases(), { a: 'up', b: 'up' });
  });
});

describe('a crash during a group restart', () => {
  const slow = { ...atOnce, obeys: 'terminate' } as const;

  it('of one that goes down anyway starts it again with the others, and counts no more', () => {
    const tree = new SimulatedTree({
      strategy: 'one-for-all',
      intensity: 1,
      children: { a: atOnce, b: slow, c: slow },
    });
    tree.run('a').crashes();
    tree.run('b').crashes();
    tree.pass(500);
    assert.deepEqual(tree.phases(), { a: 'up', b: 'up', c: 'up' });
    assert.deepEqual(starts(tree), { a: 2, b: 2, c: 2 });
  });

  it('of one outside the group restarts its own group, which holds the first', () => {
    const tree = new SimulatedTree({
      strategy: 'rest-for-one',
      children: { a: atOnce, b: atOnce, c: slow },
    });
    tree.run('b').crashes();
    tree.run('a').crashes();
    assert.deepEqual(tree.contextOf().leaving, ['a', 'b', 'c']);
    tree.pass(500);
    assert.deepEqual(starts(tree), { a: 2, b: 2, c: 2 });
    assert.deepEqual(tree.phases(), { a: 'up', b: 'up', c: 'up' });
  });

  it('of one outside the group that is not restarted does not stop the restart', () => {
    const tree = new SimulatedTree({
      strategy: 'rest-for-one',
      children: { a: { restart: 'temporary' }, b: atOnce, c: slow },
    });
    tree.run('b').crashes();
    tree.run('a').crashes();
    assert.equal(tree.stateOf(), 'regrouping');
    tree.pass(500);
    assert.deepEqual(tree.phases(), { a: 'removed', b: 'up', c: 'up' });
  });

  it('keeps the delay of who crashed first', () => {
    const tree = new SimulatedTree({ strategy: 'rest-for-one', children: { a: atOnce, b: {}, c: slow } });
    tree.run('b').crashes();
    tree.run('a').crashes();
    tree.pass(500);
    assert.deepEqual(tree.phases(), { a: 'up', b: 'backoff', c: 'up' });
  });

  it('that exceeds the intensity ends the supervisor', () => {
    const tree = new SimulatedTree({
      strategy: 'rest-for-one',
      intensity: 1,
      children: { a: atOnce, b: atOnce, c: slow },
    });
    tree.run('b').crashes();
    tree.run('a').crashes();
    assert.equal(tree.stateOf(), 'stopping');
    tree.pass(500);
    assert.equal(tree.output!.why, 'intensity');
    assert.equal(tree.clock.pending, 0);
  });

  it('while it starts begins another one', () => {
    const tree = new SimulatedTree({
      strategy: 'one-for-all',
      children: { a: atOnce, b: { ...atOnce, dependsOn: { a: 'operative' } } },
    });
    tree.script('a', { reaches: 'spawned' }).run('a').crashes();
    tree.run('a').crashes();
    tree.script('a', { reaches: 'ready' }).run('a').reported('operative').ready();
    assert.deepEqual(tree.phases(), { a: 'up', b: 'up' });
    assert.deepEqual(starts(tree), { a: 3, b: 2 });
  });

  it('while it starts leaves alone who comes before in rest-for-one', () => {
    const tree = new SimulatedTree({ strategy: 'rest-for-one', children: { ...three, d: atOnce } });
    tree.script('c', { reaches: 'spawned' }).run('b').crashes();
    assert.deepEqual(starts(tree), { a: 1, b: 2, c: 2, d: 2 });
    tree.run('c').crashes();
    assert.deepEqual(starts(tree), { a: 1, b: 2, c: 3, d: 3 });
  });

  it('before all have been ready once leads back to booting', () => {
    const tree = new SimulatedTree({
      strategy: 'one-for-all',
      children: { a: atOnce, b: { ...atOnce, reaches: 'spawned' } },
    });
    tree.run('a').crashes();
    assert.equal(tree.stateOf(), 'booting');
    tree.run('b').ready();
    assert.equal(tree.stateOf(), 'running.operative');
  });
});
