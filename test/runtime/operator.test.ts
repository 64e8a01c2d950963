// The operator over units whose supervisor is this test: what orders wait for, and how they fail.
import { assert } from 'chai';
import { IpcError } from '../../src/errors.ts';
import type { UnitEvent, UnitPhase } from '../../src/machines/unit.ts';
import { newView, type UnitView } from '../../src/machines/unit-view.ts';
import { Operator } from '../../src/runtime/operator.ts';

describe('an operator', () => {
  let view: UnitView;
  let asked: UnitEvent[];
  let operator: Operator;

  beforeEach(() => {
    view = { ...newView('db', {} as never), phase: 'up', epoch: 1, pid: 7 };
    asked = [];
    const unit = {
      get view() {
        return view;
      },
      kind: 'exec',
      post: (event: UnitEvent) => void asked.push(event),
    };
    operator = new Operator({
      names: () => ['db', 'web'],
      unit: (name) => (name === 'db' ? unit : undefined),
    });
  });

  function becomes(phase: UnitPhase, more: Partial<UnitView> = {}): void {
    view = { ...view, phase, ...more };
    operator.changed('db', {} as never);
  }

  async function codeOf(order: () => Promise<unknown>): Promise<string> {
    try {
      await order();
    } catch (error) {
      assert.instanceOf(error, IpcError);
      return error.code;
    }
    return 'none';
  }

  it('stops a unit until nothing of it is left', async () => {
    const stopped = operator.stop('db');
    becomes('stopping');
    becomes('draining');
    becomes('idle', { pid: null });
    assert.deepEqual(await stopped, { unit: 'db', phase: 'idle', state: null, pid: null, starts: 1 });
    assert.deepEqual(asked, [{ type: 'stop' }]);
  });

  it('says that something is stuck in the kernel, with ERR_UNIT_UNKILLABLE', async () => {
    const code = codeOf(() => operator.stop('db'));
    becomes('stopping');
    becomes('unkillable');
    assert.equal(await code, 'ERR_UNIT_UNKILLABLE');
  });

  it('says that a unit was given up again, with ERR_UNIT_FAILED', async () => {
    view = { ...view, phase: 'failed' };
    const code = codeOf(() => operator.start('db'));
    becomes('starting', { epoch: 2 });
    becomes('failed', { note: '10 restarts in 5 minutes' });
    assert.equal(await code, 'ERR_UNIT_FAILED');
  });

  it('refuses names that do not exist and suggests the nearest, with ERR_UNIT_UNKNOWN', async () => {
    assert.equal(await codeOf(async () => operator.stop('dbb')), 'ERR_UNIT_UNKNOWN');
    assert.throws(() => operator.stop('dbb'), IpcError, /db/);
  });

  it('refuses to start what has ended for good, and signals that there are not, with ERR_REFUSED', async () => {
    view = { ...view, phase: 'removed' };
    assert.equal(await codeOf(async () => operator.start('db')), 'ERR_REFUSED');
    view = { ...view, phase: 'up' };
    assert.equal(await codeOf(async () => operator.signal('db', 'NONSENSE')), 'ERR_REFUSED');
  });

  it('gives up waiting by its signal, while the order goes on', async () => {
    const controller = new AbortController();
    const stopped = operator.stop('db', { signal: controller.signal }).catch((error: Error) => error.message);
    controller.abort(new Error('no time'));
    assert.equal(await stopped, 'no time');
    assert.deepEqual(asked, [{ type: 'stop' }]);
  });
});
