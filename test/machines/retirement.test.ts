import { assert } from 'chai';
import { type RetirementInput, retirementMachine } from '../../src/machines/retirement.ts';
import { retirementInput } from '../support/machines/samples.ts';
import { simulate } from '../support/machines/simulation.ts';

const retiring = (input: Partial<RetirementInput> = {}) =>
  simulate(retirementMachine, { ...retirementInput, ...input });

describe('a process that has been replaced', () => {
  it('is asked, then gets SIGTERM after half of its time, and SIGKILL after all of it', () => {
    const { happenings } = retiring().pass(60_000);
    assert.deepEqual(happenings, [
      [0, 'ask'],
      [2_500, 'terminate'],
      [5_000, 'kill'],
    ]);
  });

  it('gets SIGTERM at once where nobody can be asked', () => {
    const { happenings } = retiring({ canAsk: false }).pass(60_000);
    assert.deepEqual(happenings, [
      [0, 'terminate'],
      [5_000, 'kill'],
    ]);
  });

  it('is killed at once if its spec says so', () =>
    assert.deepEqual(retiring({ shutdown: 'kill' }).happenings, [[0, 'kill']]));

  it('has a day, and no end, with `infinity`', () =>
    assert.deepEqual(retiring({ shutdown: 'infinity', canAsk: false }).pass(86_400_000).names(), [
      'terminate',
    ]));

  it('is killed at once when it must be gone', () =>
    assert.deepEqual(retiring().pass(10).send({ type: 'hurry' }).happenings.at(-1), [10, 'kill']));

  it('is killed once, however often it must be gone', () =>
    assert.deepEqual(retiring().send({ type: 'hurry' }).send({ type: 'hurry' }).pass(60_000).names(), [
      'ask',
      'kill',
    ]));

  for (const afterMs of [0, 3_000, 6_000])
    it(`is done with when nothing of it is left after ${afterMs} ms, and leaves no timer behind`, () => {
      const simulation = retiring().pass(afterMs).send({ type: 'process.emptied' });
      assert.equal(simulation.snapshot.status, 'done');
      assert.equal(simulation.clock.pending, 0);
    });
});
