import { assert } from 'chai';
import { SimulatedClock } from '../../src/machines/clock.ts';

describe('SimulatedClock', () => {
  it('fires timers at their own times, in order of time and then of setting', () => {
    const clock = new SimulatedClock();
    const fired: string[] = [];
    const set = (name: string, ms: number) =>
      clock.setTimeout(() => fired.push(`${name} at ${clock.now()}`), ms);
    set('late', 20);
    set('first', 10);
    set('second', 10);
    clock.advance(30);
    assert.deepEqual(fired, ['first at 10', 'second at 10', 'late at 20']);
    assert.equal(clock.now(), 30);
  });

  it('meets a timer that another one sets at its own time', () => {
    const clock = new SimulatedClock();
    const fired: number[] = [];
    clock.setTimeout(() => clock.setTimeout(() => fired.push(clock.now()), 5), 10);
    clock.advance(100);
    assert.deepEqual(fired, [15]);
  });

  it('fires a timer without delay only when time passes', () => {
    const clock = new SimulatedClock();
    let fired = false;
    clock.setTimeout(() => {
      fired = true;
    }, -1);
    assert.isFalse(fired);
    clock.advance(0);
    assert.isTrue(fired);
  });

  it('knows how many timers are set', () => {
    const clock = new SimulatedClock();
    const timer = clock.setTimeout(() => assert.fail('it was cleared'), 10);
    clock.setTimeout(() => {}, 20);
    assert.equal(clock.pending, 2);
    clock.clearTimeout(timer);
    assert.equal(clock.pending, 1);
    clock.advance(20);
    assert.equal(clock.pending, 0);
  });
});
