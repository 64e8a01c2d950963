import { assert } from 'chai';
import {
  type Exit,
  type ExitClass,
  type RestartType,
  type Verdict,
  verdictOf,
} from '../../src/machines/exit.ts';

const classes: ExitClass[] = ['normal', 'shutdown', 'abnormal', 'killed', 'permanent-failure'];
const types: RestartType[] = ['permanent', 'transient', 'temporary'];

describe('verdictOf()', () => {
  const unrequested: [ExitClass, Record<RestartType, Verdict>][] = [
    ['normal', { permanent: 'restart', transient: 'done', temporary: 'remove' }],
    ['shutdown', { permanent: 'restart', transient: 'done', temporary: 'remove' }],
    ['abnormal', { permanent: 'restart', transient: 'restart', temporary: 'remove' }],
    ['killed', { permanent: 'restart', transient: 'restart', temporary: 'remove' }],
    ['permanent-failure', { permanent: 'fail', transient: 'fail', temporary: 'remove' }],
  ];
  for (const [exitClass, verdicts] of unrequested)
    for (const type of types)
      it(`is ${verdicts[type]} for a ${type} unit after an end of class ${exitClass}`, () =>
        assert.equal(verdictOf(type, by(exitClass, 'none')), verdicts[type]));

  for (const exitClass of classes) {
    it(`leaves down what was asked to stop and ended as ${exitClass}`, () => {
      assert.equal(verdictOf('permanent', by(exitClass, 'stop')), 'down');
      assert.equal(verdictOf('transient', by(exitClass, 'stop')), 'down');
    });

    it(`removes a temporary unit that was asked to stop and ended as ${exitClass}`, () =>
      assert.equal(verdictOf('temporary', by(exitClass, 'stop')), 'remove'));

    for (const type of types)
      it(`restarts a ${type} unit for which that was asked and that ended as ${exitClass}, without counting it`, () =>
        assert.equal(verdictOf(type, by(exitClass, 'restart')), 'restart-uncounted'));
  }
});

function by(exitClass: ExitClass, requested: Exit['requested']): Pick<Exit, 'class' | 'requested'> {
  return { class: exitClass, requested };
}
