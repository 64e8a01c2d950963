// Time in a kind.
import { assert } from 'chai';
import { collector, type Io } from '../../../src/actors/kinds/kinds.ts';
import type { IpcError } from '../../../src/errors.ts';
import { stage, turns } from '../../support/kinds/stage.ts';

/** Runs `task` as a kind; its time only goes when the test says so. */
function timed<R>(task: (io: Io) => Promise<R>) {
  const { start, clock } = stage();
  const main = start(collector((io: Io) => task(io)));
  const advance = async (ms: number) => {
    await turns();
    clock.advance(ms);
    await turns();
  };
  return { main, clock, advance };
}

describe('a timer', () => {
  it('fires once', async () => {
    const { main, advance } = timed(async ({ timer, next, now }) => {
      const tick = timer(10);
      const before = now();
      await next(tick);
      return { after: now() - before, active: tick.active };
    });
    await advance(10);
    assert.deepEqual(await main.join(), { after: 10, active: false });
  });

  it('that is cancelled while its tick lies there does not fire (B13)', async () => {
    const { main, advance } = timed(async ({ timer, select, sleep }) => {
      const early = timer(10);
      await sleep(20);
      // Its tick lies here, and nobody has taken it.
      const wasActive = early.active;
      const cancelled = early.cancel();
      const { from } = await select({ early, late: timer(10) });
      return { wasActive, cancelled, from, again: early.cancel() };
    });
    await advance(20);
    await advance(10);
    assert.deepEqual(await main.join(), { wasActive: true, cancelled: true, from: 'late', again: false });
  });

  it('that repeats has one tick at most, however many nobody took', async () => {
    const { main, advance } = timed(async ({ every, sleep, next }) => {
      const tick = every(10);
      await sleep(55);
      await next(tick);
      const ready = tick.ready();
      tick.cancel();
      return ready;
    });
    await advance(55);
    assert.isFalse(await main.join());
  });

  it('is gone with its kind', async () => {
    const { main, clock } = timed(async ({ timer, every, timers }) => {
      timer(10);
      every(10);
      timers.set('retry', 10);
    });
    await main.join();
    assert.equal(clock.pending, 0);
  });
});

describe('named timers', () => {
  it('tell which of them has fired, in the order of time', async () => {
    const { main, advance } = timed(async ({ timers, next }) => {
      timers.set('late', 20);
      timers.set('early', 10);
      return [await next(timers), await next(timers), timers.size];
    });
    await advance(30);
    assert.deepEqual(await main.join(), ['early', 'late', 0]);
  });

  it('that are unset never fire, also if their tick lies there; unsetting what is not set is an error (B13)', async () => {
    const { main, advance } = timed(async ({ timers, sleep, select, timer }) => {
      timers.set('retry', 10);
      await sleep(20);
      timers.unset('retry');
      const { from } = await select({ timers, late: timer(10) });
      try {
        timers.unset('retry');
      } catch (error) {
        return [from, (error as IpcError).code];
      }
      return [from];
    });
    await advance(20);
    await advance(10);
    assert.deepEqual(await main.join(), ['late', 'ERR_TIMER_UNKNOWN']);
  });

  it('that are set again count from then on', async () => {
    const { main, advance } = timed(async ({ timers, sleep, next, now }) => {
      timers.set('retry', 10);
      await sleep(9);
      timers.set('retry', 10);
      await next(timers);
      return now();
    });
    await advance(9);
    await advance(9);
    await advance(1);
    assert.equal(await main.join(), 19);
  });

  it('can repeat', async () => {
    const { main, advance } = timed(async ({ timers, next, now }) => {
      timers.set('beat', 10, { repeat: true });
      const at = [];
      for (let n = 0; n < 3; n++) {
        await next(timers);
        at.push(now());
      }
      timers.unset('beat');
      return at;
    });
    for (let n = 0; n < 3; n++) await advance(10);
    assert.deepEqual(await main.join(), [10, 20, 30]);
  });

  it('are at most 1024', async () => {
    const { main } = timed(async ({ timers }) => {
      for (let n = 0; n < 1_024; n++) timers.set(`t${n}`, 10);
      try {
        timers.set('one more', 10);
      } catch (error) {
        return (error as IpcError).code;
      }
      return 'no limit';
    });
    assert.equal(await main.join(), 'ERR_KIND_BUSY');
  });
});
