import { assert } from 'chai';
import { type ProbeEvent, type ProbeInput, probeMachine } from '../../src/machines/probe.ts';
import { probeInput } from '../support/machines/samples.ts';
import { type Simulation, simulate } from '../support/machines/simulation.ts';

type Probe = Simulation<typeof probeMachine>;

const probe = (change: Partial<ProbeInput> = {}): Probe =>
  simulate(probeMachine, { ...probeInput, ...change });
const passed = (look: number): ProbeEvent => ({ type: 'look.passed', look });
const failed = (look: number): ProbeEvent => ({ type: 'look.failed', look, why: 'nobody answers' });
const heard: ProbeEvent = { type: 'heard' };
const told = (running: Probe) => running.given('report');
const looks = (running: Probe) =>
  running.given('beginLook').map((params) => (params as { look: number }).look);

const holds = { type: 'probe.passed' };
const falls = { type: 'probe.failed', why: 'nobody answers (3 times in a row)' };

describe('a probe that looks', () => {
  it('looks at once, and again a period after each answer', () => {
    const running = probe();
    assert.deepEqual(looks(running), [1]);
    running.send(passed(1)).pass(999);
    assert.deepEqual(looks(running), [1]);
    running.pass(1);
    assert.deepEqual(looks(running), [1, 2]);
  });

  it('tells once that it holds', () => {
    const running = probe().send(passed(1)).pass(1_000).send(passed(2)).pass(1_000);
    assert.deepEqual(told(running), [holds]);
  });

  it('tells once that it does not, after so many failures in a row', () => {
    const running = probe();
    for (const look of [1, 2, 3, 4]) {
      assert.lengthOf(told(running), look > 3 ? 1 : 0);
      running.send(failed(look)).pass(1_000);
    }
    assert.deepEqual(told(running), [falls]);
  });

  it('forgives failures before a success', () => {
    const running = probe();
    for (const event of [failed(1), failed(2), passed(3), failed(4), failed(5)])
      running.send(event).pass(1_000);
    assert.deepEqual(told(running), [holds]);
  });

  it('tells that it holds again', () => {
    const running = probe({ failures: 1 }).send(failed(1)).pass(1_000).send(passed(2));
    assert.deepEqual(told(running), [{ type: 'probe.failed', why: 'nobody answers' }, holds]);
  });

  it('takes no answer for a failure, and hears a late one no more', () => {
    const running = probe({ failures: 1 }).pass(200);
    assert.deepEqual(told(running), [{ type: 'probe.failed', why: 'no answer within 200 ms' }]);
    running.send(passed(1)).pass(1_000).send(passed(1));
    assert.lengthOf(told(running), 1);
  });
});

describe('a probe that listens', () => {
  const listener = (failures = 2) => probe({ how: 'listen', failures });

  it('looks for nothing', () => assert.deepEqual(looks(listener().pass(10_000)), []));

  it('tells that it holds when it hears of it', () => {
    assert.deepEqual(told(listener().pass(900).send(heard).pass(900).send(heard)), [holds]);
  });

  it('takes a silence of so many periods for a failure', () => {
    const running = listener().send(heard).pass(1_999);
    assert.deepEqual(told(running), [holds]);
    running.pass(1);
    assert.deepEqual(told(running).slice(1), [
      { type: 'probe.failed', why: 'nothing was heard for 1000 ms (2 times in a row)' },
    ]);
  });
});
