import { assert } from 'chai';
import { affectedBy, isDown, readyToStop } from '../../src/machines/group.ts';
import type { UnitPhase } from '../../src/machines/unit.ts';
import { censusOf, dependentsOf } from '../../src/machines/unit-census.ts';
import type { UnitView } from '../../src/machines/unit-view.ts';
import { view, viewsOf } from '../support/machines/views.ts';

describe('isDown()', () => {
  const rows: [UnitPhase, boolean][] = [
    ['idle', true],
    ['blocked', false],
    ['starting', false],
    ['up', false],
    ['stopping', false],
    ['draining', false],
    ['unkillable', true],
    ['exited', true],
    ['backoff', false],
    ['completed', true],
    ['failed', true],
    ['skipped', true],
    ['removed', true],
  ];
  for (const [phase, down] of rows)
    it(`takes ${phase} for ${down ? 'down' : 'standing'}`, () =>
      assert.equal(isDown(view('a', phase)), down));

  it('takes a unit that nobody knows for down', () => assert.isTrue(isDown(undefined)));
});

describe('affectedBy()', () => {
  const units = viewsOf(view('a', 'up'), view('b', 'up'), view('c', 'up'));

  it('is the unit alone by one-for-one', () =>
    assert.deepEqual(affectedBy({ strategy: 'one-for-one', units }, 'b'), ['b']));

  it('is everybody by one-for-all', () =>
    assert.deepEqual(affectedBy({ strategy: 'one-for-all', units }, 'b'), ['a', 'b', 'c']));

  it('is the unit and those declared after it by rest-for-one', () =>
    assert.deepEqual(affectedBy({ strategy: 'rest-for-one', units }, 'b'), ['b', 'c']));

  for (const phase of ['completed', 'failed', 'removed', 'unkillable'] as const)
    it(`leaves alone who is ${phase}`, () =>
      assert.deepEqual(
        affectedBy({ strategy: 'one-for-all', units: { ...units, c: view('c', phase) } }, 'b'),
        ['a', 'b'],
      ));

  for (const phase of ['blocked', 'backoff', 'starting', 'stopping', 'draining', 'exited'] as const)
    it(`takes along who is ${phase}`, () =>
      assert.deepEqual(
        affectedBy({ strategy: 'one-for-all', units: { ...units, c: view('c', phase) } }, 'b'),
        ['a', 'b', 'c'],
      ));
});

describe('readyToStop()', () => {
  const on = (parent: string, phase: UnitPhase = 'up') =>
    view('child', phase, {}, { dependsOn: { [parent]: 'ready' } });
  /** Who of those that leave may stop; by default all leave. */
  const among = (views: UnitView[], leaving = views.map(({ id }) => id)) => {
    const census = censusOf(viewsOf(...views));
    const { units } = census;
    return readyToStop(
      { units, dependents: (id) => dependentsOf(census, id) },
      (id) => leaving.includes(id),
      leaving,
    );
  };
  const all = (...views: UnitView[]) => among(views);

  it('is everybody if nobody depends on anybody', () =>
    assert.deepEqual(all(view('a', 'up'), view('b', 'up')), ['a', 'b']));

  it('leaves out a parent whose child still stands', () =>
    assert.deepEqual(all(view('parent', 'up'), on('parent')), ['child']));

  it('has the parent once its child is down', () =>
    assert.deepEqual(all(view('parent', 'up'), on('parent', 'exited')), ['parent']));

  it('has independent branches at the same time', () =>
    assert.deepEqual(all(view('parent', 'up'), on('parent'), view('other', 'up')), ['child', 'other']));

  it('pays no heed to a child that stays', () =>
    assert.deepEqual(among([view('parent', 'up'), on('parent')], ['parent']), ['parent']));

  it('has nobody who is down', () => assert.deepEqual(all(view('a', 'exited'), view('b', 'idle')), []));

  for (const name of ['constructor', 'toString', 'valueOf'])
    it(`takes nobody for dependent on a unit of the name ${name} who does not say so`, () =>
      assert.deepEqual(all(view(name, 'up'), view('b', 'up')), [name, 'b']));
});
