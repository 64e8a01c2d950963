import { assert } from 'chai';
import { policy } from '../support/machines/samples.ts';
import { SimulatedTree } from '../support/machines/tree.ts';

const atOnce = { backoff: { minMs: 0, maxMs: 0, factor: 1, jitter: 0 } };
const stable = { ...policy, ...atOnce, shutdown: 'infinity' } as const;

describe('a nested supervisor', () => {
  it('is ready once all below it are, and takes its state from theirs', () => {
    const tree = new SimulatedTree({
      children: { inner: { children: { a: {}, b: { reaches: 'spawned' } } } },
    });
    assert.equal(tree.phases().inner, 'starting');
    tree.run('inner/b').ready();
    assert.equal(tree.phases().inner, 'up');
    assert.equal(tree.view('inner').state, 'operative');
    tree.run('inner/a').crashes();
    assert.equal(tree.view('inner').state, 'degraded');
    tree.pass(100);
    assert.equal(tree.view('inner').state, 'operative');
  });

  it('holds back who depends on it while it is degraded', () => {
    const tree = new SimulatedTree({
      children: { inner: { children: { a: {} } }, b: { dependsOn: { inner: 'operative' } } },
    });
    tree.run('inner/a').crashes();
    tree.run('b').crashes();
    tree.pass(99);
    tree.script('inner/a', { reaches: 'nothing' });
    tree.pass(1);
    assert.equal(tree.phases().b, 'blocked');
    tree.run('inner/a').spawned().ready();
    assert.equal(tree.phases().b, 'up');
  });

  it('restarts below it without a word to the one above', () => {
    const tree = new SimulatedTree({ intensity: 0, children: { inner: { children: { a: atOnce } } } });
    tree.run('inner/a').crashes();
    assert.equal(tree.run('inner/a').epoch, 2);
    assert.lengthOf(tree.exits('inner'), 0);
    assert.isUndefined(tree.output);
  });

  it('that gives up is restarted by the one above, with all below it', () => {
    const tree = new SimulatedTree({
      children: { inner: { ...stable, intensity: 1, children: { a: atOnce, b: {} } }, c: {} },
    });
    tree.run('inner/a').crashes();
    tree.run('inner/a').crashes();
    assert.equal(tree.view('inner').epoch, 2);
    assert.sameMembers(tree.running, ['inner/a', 'inner/b', 'c']);
    assert.lengthOf(tree.runs('inner/b'), 2);
    assert.lengthOf(tree.runs('c'), 1);
    assert.lengthOf(tree.exits('inner'), 1);
  });

  it('counts anew after it was restarted', () => {
    const tree = new SimulatedTree({
      children: { inner: { ...stable, intensity: 1, children: { a: atOnce } } },
    });
    for (let i = 0; i < 3; i++) tree.run('inner/a').crashes();
    assert.equal(tree.view('inner').epoch, 2);
    assert.lengthOf(tree.contextOf('inner').restarts, 1);
  });

  it('multiplies the limits: all of them together end the root', () => {
    const tree = new SimulatedTree({
      intensity: 1,
      children: { inner: { ...stable, intensity: 1, children: { a: atOnce } } },
    });
    for (let i = 0; i < 4; i++) tree.run('inner/a').crashes();
    assert.equal(tree.output!.why, 'intensity');
    assert.lengthOf(tree.runs('inner/a'), 4);
    assert.equal(tree.clock.pending, 0);
    assert.deepEqual(tree.host.addresses, []);
  });

  it('that can not boot is restarted by the one above', () => {
    const tree = new SimulatedTree({
      children: { inner: { children: { a: { reaches: 'nothing' } } }, b: {} },
    });
    tree.run('inner/a').refused('no such file', true).ends(127);
    assert.equal(tree.phases().inner, 'backoff');
  });

  it('is one member of the group above it', () => {
    const tree = new SimulatedTree({
      strategy: 'one-for-all',
      children: { inner: { ...stable, children: { a: {}, b: {} } }, c: atOnce },
    });
    tree.run('c').crashes();
    assert.deepEqual(
      ['inner/a', 'inner/b', 'c'].map((name) => tree.runs(name).length),
      [2, 2, 2],
    );
  });

  it('stops all below it before it is down itself, in the order of all', () => {
    const tree = new SimulatedTree({
      children: {
        inner: {
          ...stable,
          dependsOn: { db: 'operative' },
          children: { a: { obeys: 'terminate' }, b: { dependsOn: { a: 'operative' } } },
        },
        db: {},
      },
    });
    tree.forget().shutdown().pass(500);
    assert.deepEqual(tree.happened, [
      '0 ask inner/b',
      '0 inner/b ends',
      '0 ask inner/a',
      '500 terminate inner/a',
      '500 inner/a ends',
      '500 ask db',
      '500 db ends',
      '500 the supervisor ends',
    ]);
    assert.equal(tree.clock.pending, 0);
    assert.deepEqual(tree.host.addresses, []);
  });

  it('kills all below it by force', () => {
    const tree = new SimulatedTree({
      children: { inner: { ...stable, children: { a: { obeys: 'kill', shutdown: 'infinity' } } } },
    });
    tree.shutdown().force();
    assert.deepEqual(tree.running, []);
    assert.equal(tree.output!.why, 'planned');
  });

  it('tells the one above that it could not kill all below it', () => {
    const tree = new SimulatedTree({
      children: { inner: { ...stable, children: { a: { obeys: 'nothing' } } } },
    });
    tree.shutdown().pass(1_000 + 5_000);
    assert.isNotEmpty(tree.output!.unkillable);
  });

  it('that is not ready in time is stopped and tried again', () => {
    const tree = new SimulatedTree({
      children: { inner: { ...stable, children: { a: { reaches: 'spawned' } } } },
    });
    tree.pass(policy.startTimeoutMs);
    assert.include(tree.exits('inner')[0]!.exit.reason, 'it was not ready in time');
    assert.equal(tree.view('inner').epoch, 2);
  });

  it('whose start fails in our own hands has ended at that time', () => {
    const tree = new SimulatedTree({
      children: { inner: { ...policy, intensity: 0, children: { a: atOnce } } },
    });
    tree.pass(10_000).breaks('inner').run('inner/a').crashes();
    tree.pass(100);
    assert.deepInclude(tree.exits('inner').at(-1)!.exit, { class: 'abnormal', atMs: 10_100 });
  });

  it('of type transient is not restarted after it gave up: for the one above, that is a shutdown', () => {
    const tree = new SimulatedTree({
      children: { inner: { ...stable, restart: 'transient', intensity: 0, children: { a: atOnce } }, b: {} },
    });
    tree.run('inner/a').crashes();
    assert.equal(tree.view('inner').epoch, 1);
    assert.equal(tree.phases().inner, 'completed');
  });
});
