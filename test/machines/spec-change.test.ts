// What a running supervisor makes of other rules and other children, in simulated time.
import { assert } from 'chai';
import { SimulatedTree } from '../support/machines/tree.ts';

const bound = { dependsOn: { db: { state: 'operative', mode: 'bind' } } } as const;

describe('a supervisor whose spec changes', () => {
  it('leaves alone what runs, also when its rules are others', () => {
    const tree = new SimulatedTree({ children: { a: {}, b: {} } });
    tree.change({ children: { a: { stableMs: 5 }, b: {} } });
    assert.deepEqual(tree.phases(), { a: 'up', b: 'up' });
    assert.lengthOf(tree.runs('a'), 1);
  });

  it('judges by the new rules from then on', () => {
    const tree = new SimulatedTree({ children: { a: {}, b: {} } });
    tree.change({ children: { a: { restart: 'temporary' }, b: {} } });
    tree.run('a').crashes();
    assert.deepEqual(tree.phases(), { a: 'removed', b: 'up' });
  });

  it('has new children down until they are started, and is degraded meanwhile', () => {
    const tree = new SimulatedTree({ children: { a: {} } });
    tree.change({ children: { a: {}, b: {} } });
    assert.deepEqual(tree.phases(), { a: 'up', b: 'idle' });
    assert.equal(tree.states().at(-1), 'degraded');
    tree.order('b', { type: 'start' });
    assert.deepEqual(tree.phases(), { a: 'up', b: 'up' });
    assert.equal(tree.states().at(-1), 'operative');
  });

  it('looks at the gate of a new child before its start', () => {
    const tree = new SimulatedTree({ children: { db: {} } });
    tree.change({ children: { db: {}, app: { dependsOn: { db: 'hot' } } } }).order('app', { type: 'start' });
    assert.equal(tree.phases().app, 'blocked');
    tree.run('db').reported('hot');
    assert.equal(tree.phases().app, 'up');
  });

  it('takes down who is bound now to what is not there', () => {
    const tree = new SimulatedTree({ children: { db: {}, app: {} } });
    tree.order('db', { type: 'stop' }).change({ children: { db: {}, app: bound } });
    assert.deepEqual(tree.phases(), { db: 'idle', app: 'blocked' });
  });

  it('leaves a unit up whose edge is gone when the other is stopped', () => {
    const tree = new SimulatedTree({ children: { db: {}, app: bound } });
    tree.change({ children: { db: {}, app: {} } }).order('db', { type: 'stop' });
    assert.deepEqual(tree.phases(), { db: 'idle', app: 'up' });
  });

  it('restarts the later ones of the new order', () => {
    const tree = new SimulatedTree({ strategy: 'one-for-one', children: { a: {}, b: {} } });
    tree.change({ strategy: 'rest-for-one', children: { b: {}, a: {} } });
    tree.run('b').crashes();
    tree.pass(10_000);
    assert.lengthOf(tree.runs('a'), 2);
  });

  it('forgets a child that is down, and none that is up', () => {
    const tree = new SimulatedTree({ children: { a: {}, b: {} } });
    tree.drop('a');
    assert.deepEqual(tree.phases(), { a: 'up', b: 'up' });
    tree
      .order('a', { type: 'stop' })
      .change({ children: { b: {} } })
      .drop('a');
    assert.deepEqual(tree.phases(), { b: 'up' });
    assert.equal(tree.states().at(-1), 'operative');
  });

  for (const strategy of ['one-for-one', 'one-for-all', 'rest-for-one'] as const)
    it(`stops a child that came later with the others: ${strategy}`, () => {
      const tree = new SimulatedTree({ strategy, children: { a: {} } });
      tree.change({ strategy, children: { a: {}, b: {} } }).order('b', { type: 'start' });
      tree.shutdown();
      assert.deepEqual(tree.running, []);
    });

  it('takes over while a group restarts, and while it stops', () => {
    const tree = new SimulatedTree({ strategy: 'one-for-all', children: { a: {}, b: { obeys: 'kill' } } });
    tree.run('a').crashes();
    tree.change({ strategy: 'one-for-all', children: { a: {}, b: { obeys: 'kill' }, c: {} } });
    tree.pass(20_000);
    assert.deepEqual(tree.phases(), { a: 'up', b: 'up', c: 'idle' });
    tree.shutdown().change({ children: { a: {}, b: { obeys: 'kill' }, c: {}, d: {} } });
    tree.pass(20_000);
    assert.deepEqual(tree.running, []);
  });
});
