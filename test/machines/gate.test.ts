import { assert } from 'chai';
import { gateOf, sameGate } from '../../src/machines/gate.ts';
import type { UnitPhase } from '../../src/machines/unit.ts';
import type { Gate } from '../../src/machines/unit-view.ts';
import { view, viewsOf } from '../support/machines/views.ts';

const opened: Gate = { type: 'gate.opened' };
const phases: UnitPhase[] = [
  'idle',
  'blocked',
  'spawning',
  'starting',
  'up',
  'stopping',
  'draining',
  'unkillable',
  'exited',
  'backoff',
  'completed',
  'failed',
  'skipped',
  'removed',
];

describe('gateOf()', () => {
  /** What a unit that wants `db` in `wanted` is told while `db` is in each phase and state. */
  function gate(wanted: string, phase: UnitPhase, state: string | null = null): Gate {
    const unit = view('a', 'blocked', {}, { dependsOn: { db: wanted } });
    return gateOf(unit, viewsOf(view('db', phase, { state, pid: 7 }), unit));
  }
  const opensIn = (wanted: string, state: string | null = null) =>
    phases.filter((phase) => gate(wanted, phase, state).type === 'gate.opened');
  const barredIn = (wanted: string) => phases.filter((phase) => gate(wanted, phase).type === 'gate.barred');

  it('is open for a unit that depends on nobody', () => {
    const unit = view('a', 'idle');
    assert.deepEqual(gateOf(unit, viewsOf(unit)), opened);
  });

  it('opens for `started` while the parent runs', () => {
    assert.deepEqual(opensIn('started'), ['starting', 'up']);
  });

  it('opens for `ready` while the parent is up', () => assert.deepEqual(opensIn('ready'), ['up']));

  it('opens for `completed` once the parent has ended well', () =>
    assert.deepEqual(opensIn('completed'), ['completed']));

  it('opens for a named state while the parent is up and reports it', () => {
    assert.deepEqual(opensIn('operative', 'operative'), ['up']);
    assert.deepEqual(opensIn('operative', 'operative.idle'), ['up']);
  });

  it('stays closed for a named state that is not reported, or is another one', () => {
    assert.deepEqual(opensIn('operative'), []);
    assert.deepEqual(opensIn('operative', 'operatively'), []);
    assert.deepEqual(opensIn('operative.idle', 'operative'), []);
  });

  it('is barred by a parent that will get nowhere unless somebody steps in', () => {
    for (const wanted of ['started', 'ready', 'operative'])
      assert.deepEqual(barredIn(wanted), ['unkillable', 'completed', 'failed', 'skipped', 'removed'], wanted);
  });

  it('is not barred for `completed` by a parent that has not ended yet', () =>
    assert.deepEqual(barredIn('completed'), ['unkillable', 'failed', 'skipped', 'removed']));

  it('says which parent bars it, and what was wanted of it', () => {
    assert.deepEqual(gate('operative', 'failed'), {
      type: 'gate.barred',
      why: 'db is failed and will not be operative',
    });
  });

  it('is barred by a parent that nobody knows', () => {
    const unit = view('a', 'blocked', {}, { dependsOn: { ghost: 'ready' } });
    assert.deepEqual(gateOf(unit, viewsOf(unit)), {
      type: 'gate.barred',
      why: 'ghost is unknown and will not be ready',
    });
  });

  it('lists all that is missing, and nothing that is there', () => {
    const unit = view('a', 'blocked', {}, { dependsOn: { db: 'operative', net: 'ready', log: 'started' } });
    const units = viewsOf(view('db', 'starting'), view('net', 'backoff'), view('log', 'up'), unit);
    assert.deepEqual(gateOf(unit, units), { type: 'gate.closed', missing: ['db:operative', 'net:ready'] });
  });

  it('is barred by one parent even if others are only missing', () => {
    const unit = view('a', 'blocked', {}, { dependsOn: { db: 'operative', net: 'ready' } });
    assert.equal(
      gateOf(unit, viewsOf(view('db', 'starting'), view('net', 'failed'), unit)).type,
      'gate.barred',
    );
  });
});

describe('sameGate()', () => {
  const closed: Gate = { type: 'gate.closed', missing: ['db:operative'] };

  it('takes the first one of a unit for news', () => assert.isFalse(sameGate(opened, null)));

  it('takes what was told already for no news', () => {
    assert.isTrue(sameGate({ type: 'gate.opened' }, opened));
    assert.isTrue(sameGate({ type: 'gate.closed', missing: ['db:operative'] }, closed));
  });

  it('takes another list of what is missing for news', () =>
    assert.isFalse(sameGate({ type: 'gate.closed', missing: ['net:ready'] }, closed)));
});
