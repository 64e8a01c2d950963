import { assert } from 'chai';
import fc from 'fast-check';
import { backoffMs, nextChance, recordRestart } from '../../src/machines/restart.ts';

describe('recordRestart()', () => {
  const limit = { restarts: 3, periodMs: 5_000 };

  it('allows as many restarts within the period as the limit says', () => {
    assert.isFalse(recordRestart([], 0, limit).exceeded);
    assert.isFalse(recordRestart([0, 1], 2, limit).exceeded);
  });

  it('is exceeded by one more', () => {
    assert.isTrue(recordRestart([0, 1, 2], 3, limit).exceeded);
  });

  it('still counts a restart that is exactly one period old', () => {
    assert.deepEqual(recordRestart([0, 1, 2], 5_000, limit), { restarts: [0, 1, 2, 5_000], exceeded: true });
  });

  it('forgets a restart that is older than the period', () => {
    assert.deepEqual(recordRestart([0, 1, 2], 5_001, limit), { restarts: [1, 2, 5_001], exceeded: false });
  });

  it('allows none with a limit of 0', () => {
    assert.isTrue(recordRestart([], 0, { restarts: 0, periodMs: 5_000 }).exceeded);
  });

  it('is never exceeded without a limit', () => {
    const many = Array.from({ length: 1_000 }, () => 0);
    assert.isFalse(recordRestart(many, 0, { restarts: Number.POSITIVE_INFINITY, periodMs: 5_000 }).exceeded);
  });

  it('is exceeded exactly when more than the limit lie within the period, as counted one by one', () => {
    const pauses = fc.array(fc.integer({ min: 0, max: 4_000 }), { minLength: 1, maxLength: 30 });
    fc.assert(
      fc.property(pauses, fc.integer({ min: 0, max: 5 }), (waits, restarts) => {
        const times: number[] = [];
        let kept: number[] = [];
        let nowMs = 0;
        for (const wait of waits) {
          nowMs += wait;
          times.push(nowMs);
          const recorded = recordRestart(kept, nowMs, { restarts, periodMs: 5_000 });
          kept = recorded.restarts;
          const within = times.filter((at) => nowMs - at <= 5_000);
          assert.deepEqual(kept, within);
          assert.equal(recorded.exceeded, within.length > restarts);
        }
      }),
    );
  });
});

describe('backoffMs()', () => {
  const backoff = { minMs: 100, maxMs: 1_000, factor: 2, jitter: 0.2 };

  it('doubles from the least to the most, and stays there', () => {
    const delays = [1, 2, 3, 4, 5, 6, 60].map((attempt) => backoffMs(backoff, attempt, 0));
    assert.deepEqual(delays, [100, 200, 400, 800, 1_000, 1_000, 1_000]);
  });

  it('adds up to the share that the jitter allows', () => {
    assert.equal(backoffMs(backoff, 1, 0.5), 110);
    assert.equal(backoffMs(backoff, 1, 1), 120);
    assert.equal(backoffMs(backoff, 9, 1), 1_200);
  });

  it('does not wait where no delay is wanted, after any number of attempts', () => {
    assert.equal(backoffMs({ minMs: 0, maxMs: 0, factor: 1, jitter: 0 }, 7, 1), 0);
    assert.equal(backoffMs({ minMs: 0, maxMs: 1_000, factor: 2, jitter: 0 }, 2_000, 1), 0);
  });

  it('is a whole number of milliseconds within its bounds after any number of attempts', () => {
    const options = fc.record({
      minMs: fc.integer({ min: 1, max: 1_000 }),
      maxMs: fc.integer({ min: 1_000, max: 60_000 }),
      factor: fc.double({ min: 1, max: 10, noNaN: true }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(options, fc.integer({ min: 1, max: 10_000 }), chance, (each, attempt, by) => {
        const delay = backoffMs(each, attempt, by);
        assert.isTrue(Number.isInteger(delay));
        assert.isAtLeast(delay, each.minMs);
        assert.isAtMost(delay, Math.round(each.maxMs * (1 + each.jitter)));
      }),
    );
  });
});

describe('nextChance()', () => {
  it('gives the same row for the same seed', () => {
    assert.deepEqual(row(7, 5), row(7, 5));
  });

  it('gives another row for another seed', () => {
    assert.notDeepEqual(row(7, 5), row(8, 5));
  });

  it('stays from 0 to below 1 and spreads over it', () => {
    const chances = row(7, 1_000);
    assert.isTrue(chances.every((chance) => chance >= 0 && chance < 1));
    for (let tenth = 0; tenth < 10; tenth++)
      assert.isAtLeast(chances.filter((chance) => Math.floor(chance * 10) === tenth).length, 50);
  });

  function row(seed: number, length: number): number[] {
    return Array.from({ length }, () => {
      const next = nextChance(seed);
      seed = next.seed;
      return next.chance;
    });
  }
});
