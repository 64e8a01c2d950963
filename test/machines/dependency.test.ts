// What each mode of an edge means, row by row of the table in docs/supervision.md, in simulated time.
import { assert } from 'chai';
import type { UnitPhase } from '../../src/machines/unit.ts';
import type { EdgeMode } from '../../src/spec/child.ts';
import { SimulatedTree } from '../support/machines/tree.ts';

const failing = { giveUp: { restarts: 0, periodMs: 1_000 }, reaches: 'spawned' } as const;
const on = (mode: EdgeMode, state = 'operative') => ({ dependsOn: { db: { state, mode } } });
const tree = (mode: EdgeMode, db: object = {}) => new SimulatedTree({ children: { db, app: on(mode) } });

describe('an edge', () => {
  const holdsBack: Record<EdgeMode, boolean> = {
    after: true,
    wants: true,
    requires: true,
    bind: true,
    hold: true,
    partOf: false,
    conflicts: true,
  };
  for (const [mode, holds] of Object.entries(holdsBack) as [EdgeMode, boolean][])
    it(`${mode} ${holds ? 'holds back' : 'does not hold back'} a start until the other is in its state`, () => {
      if (mode === 'conflicts') return assert.deepEqual(tree(mode).running, ['db']);
      assert.deepEqual(tree(mode, { reaches: 'spawned' }).running, holds ? ['db'] : ['db', 'app']);
    });

  const afterFailure: Record<EdgeMode, UnitPhase> = {
    after: 'up',
    wants: 'up',
    requires: 'skipped',
    bind: 'skipped',
    hold: 'skipped',
    partOf: 'up',
    conflicts: 'idle',
  };
  for (const [mode, phase] of Object.entries(afterFailure) as [EdgeMode, UnitPhase][])
    it(`${mode} leaves the unit ${phase} if the other fails before it was there`, () => {
      const simulated = tree(mode, failing);
      simulated.run('db').crashes();
      assert.deepEqual(simulated.phases(), { db: 'failed', app: phase });
    });

  for (const mode of ['after', 'wants', 'requires', 'partOf'] as const)
    it(`${mode} leaves a unit alone that is up when the other crashes`, () => {
      const simulated = tree(mode);
      simulated.run('db').crashes();
      assert.deepEqual(simulated.phases(), { db: 'backoff', app: 'up' });
      assert.lengthOf(simulated.runs('app'), 1);
    });

  it('bind takes the unit down with the other, and up again when it is back in its state', () => {
    const simulated = tree('bind');
    simulated.script('db', { reaches: 'spawned' }).run('db').crashes();
    assert.deepEqual(simulated.phases(), { db: 'backoff', app: 'blocked' });
    simulated.pass(100);
    assert.deepEqual(simulated.running, ['db']);
    simulated.run('db').reported('operative').ready();
    assert.deepEqual(simulated.phases(), { db: 'up', app: 'up' });
  });

  it('bind takes the unit down also when the other only leaves its state', () => {
    const simulated = tree('bind');
    simulated.run('db').reported('draining');
    assert.deepEqual(simulated.phases(), { db: 'up', app: 'blocked' });
  });

  it('bind counts for no limit', () => {
    const simulated = new SimulatedTree({ intensity: 1, children: { db: {}, app: on('bind') } });
    simulated.run('db').crashes();
    assert.isUndefined(simulated.output);
    assert.deepEqual(simulated.view('app').restarts, []);
  });

  it('bind passes on along a chain', () => {
    const simulated = new SimulatedTree({
      children: {
        db: {},
        app: on('bind'),
        page: { dependsOn: { app: { state: 'operative', mode: 'bind' } } },
      },
    });
    simulated.run('db').reported('draining');
    assert.deepEqual(simulated.phases(), { db: 'up', app: 'blocked', page: 'blocked' });
    simulated.run('db').reported('operative');
    assert.deepEqual(simulated.phases(), { db: 'up', app: 'up', page: 'up' });
  });

  it('hold tells the unit when the other leaves its state, and when it is back', () => {
    const simulated = tree('hold');
    simulated.run('db').reported('draining').reported('operative');
    assert.deepEqual(simulated.run('app').orders, ['dependency.lost', 'dependency.back']);
    assert.lengthOf(simulated.runs('app'), 1);
  });

  for (const mode of ['requires', 'partOf'] as const) {
    it(`${mode} stops the unit with the other, if somebody asked for that`, () => {
      const simulated = tree(mode);
      simulated.order('db', { type: 'stop' });
      assert.deepEqual(simulated.phases(), { db: 'idle', app: 'idle' });
    });

    it(`${mode} restarts the unit with the other, if somebody asked for that`, () => {
      const simulated = tree(mode);
      simulated.order('db', { type: 'restart', reason: 'a new release' });
      assert.deepEqual(simulated.phases(), { db: 'up', app: 'up' });
      assert.lengthOf(simulated.runs('app'), 2);
    });
  }

  for (const mode of ['after', 'wants', 'hold'] as const)
    it(`${mode} leaves the unit alone when somebody stops the other`, () => {
      const simulated = tree(mode);
      simulated.order('db', { type: 'stop' });
      assert.deepEqual(simulated.phases(), { db: 'idle', app: 'up' });
    });

  for (const mode of ['wants', 'requires', 'bind', 'hold'] as const)
    it(`${mode} has the other started when somebody starts the unit`, () => {
      const simulated = tree(mode);
      simulated.order('app', { type: 'stop' }).order('db', { type: 'stop' }).order('app', { type: 'start' });
      assert.deepEqual(simulated.phases(), { db: 'up', app: 'up' });
    });

  for (const mode of ['after', 'partOf'] as const)
    it(`${mode} has nobody started but the unit`, () => {
      const simulated = tree(mode);
      simulated.order('app', { type: 'stop' }).order('db', { type: 'stop' }).order('app', { type: 'start' });
      assert.deepEqual(simulated.phases(), { db: 'idle', app: 'up' });
    });

  it('conflicts has the other stopped before the unit starts', () => {
    const simulated = tree('conflicts');
    simulated.forget().order('app', { type: 'start' });
    assert.deepEqual(simulated.happened, ['0 ask db', '0 db ends', '0 app begins']);
    assert.deepEqual(simulated.phases(), { db: 'idle', app: 'up' });
  });

  it('can be waited for no more: a stop cancels the wait', () => {
    for (const mode of ['after', 'wants', 'requires', 'bind', 'hold'] as const) {
      const simulated = tree(mode, { reaches: 'spawned' });
      simulated.order('app', { type: 'stop' });
      simulated.run('db').reported('operative').ready();
      assert.equal(simulated.phases().app, 'idle', mode);
    }
  });
});
