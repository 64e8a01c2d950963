// Orders to units that no real program can be made to need: here the tree is what the test says.
import { assert } from 'chai';
import { IpcError } from '../../src/errors.ts';
import type { UnitEvent, UnitPhase } from '../../src/machines/unit.ts';
import { newView, type UnitView } from '../../src/machines/unit-view.ts';
import { Operator } from '../../src/runtime/operator.ts';
import { policy } from '../support/machines/samples.ts';

/** A tree of one unit that is where it is put. */
class OneUnit {
  readonly heard: UnitEvent['type'][] = [];
  readonly operator = new Operator({
    names: () => ['a'],
    unit: (name) =>
      name === 'a'
        ? { view: this.view, kind: 'exec', post: ({ type }) => void this.heard.push(type) }
        : undefined,
  });
  view: UnitView = { ...newView('a', policy), phase: 'up', epoch: 1, pid: 7 };

  becomes(phase: UnitPhase): void {
    this.view = { ...this.view, phase };
    const { epoch, pid, state, note } = this.view;
    this.operator.changed('a', { type: 'unit.changed', id: 'a', phase: 'up', epoch, pid, state, note });
  }
}

async function errorOf(call: Promise<unknown>): Promise<IpcError> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.instanceOf(error, IpcError);
  return error as IpcError;
}

describe('an order to a unit that is stuck in the kernel', () => {
  for (const order of ['stop', 'restart'] as const)
    it(`ends with ERR_UNIT_UNKILLABLE: ${order}`, async () => {
      const tree = new OneUnit();
      const ordered = errorOf(tree.operator[order]('a'));
      tree.becomes('stopping');
      tree.becomes('unkillable');
      const error = await ordered;
      assert.equal(error.code, 'ERR_UNIT_UNKILLABLE');
      assert.include(error.message, 'a');
      assert.deepEqual(tree.heard, [order]);
    });

  it('ends with it at once, if it is stuck already', async () => {
    const tree = new OneUnit();
    tree.becomes('unkillable');
    assert.equal((await errorOf(tree.operator.stop('a'))).code, 'ERR_UNIT_UNKILLABLE');
    assert.equal((await errorOf(tree.operator.start('a'))).code, 'ERR_UNIT_UNKILLABLE');
  });

  it('ends as it should if the kernel lets go after all', async () => {
    const tree = new OneUnit();
    const stopped = tree.operator.stop('a');
    tree.becomes('draining');
    tree.becomes('idle');
    assert.equal((await stopped).phase, 'idle');
  });
});
