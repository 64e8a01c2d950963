import { assert } from 'chai';
import type { Exit } from '../../src/machines/exit.ts';
import { type Judged, judge, outputOf } from '../../src/machines/judgement.ts';
import type { ChildPolicy } from '../../src/spec/child.ts';
import { exit, policy } from '../support/machines/samples.ts';
import { view, viewsOf } from '../support/machines/views.ts';

const seed = 1;

function judged(change: Partial<Judged> = {}, rules: Partial<ChildPolicy> = {}): Judged {
  return {
    strategy: 'one-for-one',
    intensity: 3,
    periodMs: 5_000,
    units: viewsOf(view('a', 'up', {}, rules), view('b', 'up'), view('c', 'up')),
    restarts: [],
    booted: true,
    seed,
    ...change,
  };
}

const crash = (change: Partial<Exit> = {}): Exit => ({ ...exit, ...change });

describe('judge()', () => {
  describe('an end that is not answered by a restart', () => {
    const rows: [title: string, rules: Partial<ChildPolicy>, exit: Partial<Exit>, event: object][] = [
      ['stays down as asked', {}, { requested: 'stop' }, { type: 'verdict.down' }],
      ['is the work done', { restart: 'transient' }, { class: 'normal' }, { type: 'verdict.done' }],
      ['removes a temporary unit', { restart: 'temporary' }, {}, { type: 'verdict.remove' }],
      [
        'is given up for a failure that trying again can not mend',
        {},
        { class: 'permanent-failure', reason: 'no such file' },
        { type: 'verdict.fail', why: 'no such file' },
      ],
      ['is a restart as asked', {}, { requested: 'restart' }, { type: 'verdict.restart', delayMs: 0 }],
    ];
    for (const [title, rules, change, event] of rows)
      it(`${title}, and counts for no limit`, () => {
        const { decision, restarts, units } = judge(judged({}, rules), 'a', crash(change));
        assert.deepInclude(decision as object, { do: 'settle', id: 'a', event });
        assert.isUndefined(restarts);
        assert.isEmpty(units?.a?.restarts ?? []);
      });
  });

  describe('a restart', () => {
    it('waits as its backoff says, and counts for both limits', () => {
      const judgement = judge(judged(), 'a', crash({ atMs: 30 }));
      assert.deepInclude(judgement.decision!, { do: 'settle', verdict: 'restart', delayMs: 100 });
      assert.deepEqual(judgement.restarts, [30]);
      assert.deepInclude(judgement.units!.a, { attempt: 1, restarts: [30] });
    });

    it('waits longer each time in a row', () => {
      let now = judged({ intensity: 'infinity' });
      const delays = [1, 2, 3, 4, 5, 6].map((atMs) => {
        const { decision, ...changes } = judge(now, 'a', crash({ atMs }));
        now = { ...now, ...changes };
        return decision!.delayMs;
      });
      assert.deepEqual(delays, [100, 200, 400, 800, 1_000, 1_000]);
    });

    it('has its jitter from the seed, and moves the seed on', () => {
      const rules = { backoff: { ...policy.backoff, jitter: 1 } };
      const first = judge(judged({}, rules), 'a', crash());
      assert.deepEqual(judge(judged({}, rules), 'a', crash()), first);
      assert.notEqual(first.seed, seed);
      const other = judge(judged({ seed: first.seed! }, rules), 'a', crash());
      assert.notEqual(other.decision!.delayMs, first.decision!.delayMs);
    });

    it('takes the group of its strategy with it, and counts once', () => {
      const judgement = judge(judged({ strategy: 'one-for-all' }), 'b', crash());
      assert.deepInclude(judgement.decision!, {
        do: 'regroup',
        ids: ['a', 'b', 'c'],
        verdict: 'restart with its group',
        delayMs: 100,
      });
      assert.deepEqual(judgement.restarts, [30]);
      assert.deepEqual(judgement.units!.a!.restarts, []);
    });

    it('is that of one unit if it is the only one of its group', () =>
      assert.equal(judge(judged({ strategy: 'rest-for-one' }), 'c', crash()).decision!.do, 'settle'));
  });

  describe('the limit of a supervisor', () => {
    it('is exceeded by one restart more', () => {
      const before = judged({ restarts: [10, 20, 30] });
      const { decision } = judge(before, 'a', crash({ atMs: 40 }));
      assert.deepInclude(decision!, { do: 'end', id: 'a', verdict: 'end the supervisor' });
      assert.deepInclude(decision!.do === 'end' ? decision!.output : {}, {
        why: 'intensity',
        reason: 'more than 3 restarts within 5000 ms, the last of a',
        exit: crash({ atMs: 40 }),
      });
    });

    it('still counts a restart that is exactly one period old', () => {
      const before = judged({ restarts: [0, 1, 2] });
      assert.equal(judge(before, 'a', crash({ atMs: 5_000 })).decision!.do, 'end');
      assert.equal(judge(before, 'a', crash({ atMs: 5_001 })).decision!.do, 'settle');
    });

    it('is exceeded by the first restart if it is 0', () =>
      assert.equal(judge(judged({ intensity: 0 }), 'a', crash()).decision!.do, 'end'));

    it('is never exceeded if it is infinity', () => {
      const restarts = Array.from({ length: 1_000 }, () => 30);
      assert.equal(judge(judged({ intensity: 'infinity', restarts }), 'a', crash()).decision!.do, 'settle');
    });

    it('counts the restarts of all units together', () => {
      const before = judged({ intensity: 1, restarts: [20] });
      assert.equal(judge(before, 'b', crash()).decision!.do, 'end');
    });
  });

  describe('the limit of a unit', () => {
    const giveUp = { restarts: 2, periodMs: 1_000 };

    it('gives it up, with the limit and the last reason', () => {
      const units = viewsOf(view('a', 'up', { restarts: [10, 20] }, { giveUp }), view('b', 'up'));
      const { decision, restarts } = judge(judged({ units, intensity: 'infinity' }), 'a', crash());
      assert.deepInclude(decision!, {
        do: 'settle',
        verdict: 'given up',
        event: {
          type: 'verdict.fail',
          why: 'more than 2 restarts within 1000 ms; the last: ended with code 1',
        },
      });
      assert.isUndefined(restarts, 'a restart that does not happen counts for nothing');
    });

    it('is looked at after that of its supervisor', () => {
      const units = viewsOf(view('a', 'up', { restarts: [10, 20] }, { giveUp }), view('b', 'up'));
      assert.equal(judge(judged({ units, intensity: 0 }), 'a', crash()).decision!.do, 'end');
    });
  });

  describe('a failure that trying again can not mend', () => {
    const failure = crash({ class: 'permanent-failure', reason: 'no such file' });

    it('ends the supervisor until all have been ready once', () => {
      const { decision } = judge(judged({ booted: false }), 'a', failure);
      assert.deepInclude(decision!.do === 'end' ? decision!.output : {}, {
        why: 'boot',
        reason: 'a: no such file',
        exit: failure,
      });
    });

    it('gives up the unit afterwards', () =>
      assert.equal(judge(judged(), 'a', failure).decision!.do, 'settle'));
  });

  describe('a significant unit that ends for good', () => {
    const rules = { restart: 'transient', significant: true } as const;
    const well = crash({ class: 'normal', reason: 'ended with code 0' });
    const both = viewsOf(view('a', 'up', {}, rules), view('b', 'up', {}, rules), view('c', 'up'));
    const does = (change: Partial<Judged>, end = well) =>
      judge(judged({ units: both, ...change }), 'a', end).decision!;

    it('ends its supervisor with any-significant', () =>
      assert.deepInclude(does({ autoShutdown: 'any-significant' }), { do: 'end' }));
    it('ends nobody with all-significant while another one is up', () =>
      assert.equal(does({ autoShutdown: 'all-significant' }).do, 'settle'));
    it('ends its supervisor with all-significant as the last one', () =>
      assert.equal(
        does({ autoShutdown: 'all-significant', units: { ...both, b: view('b', 'completed', {}, rules) } })
          .do,
        'end',
      ));
    it('ends nobody if it was asked to end', () =>
      assert.equal(does({ autoShutdown: 'any-significant' }, { ...well, requested: 'stop' }).do, 'settle'));
    it('ends nobody if it is restarted', () =>
      assert.equal(does({ autoShutdown: 'any-significant' }, crash()).do, 'settle'));
  });

  it('decides nothing about a unit that nobody knows', () =>
    assert.deepEqual(judge(judged(), 'ghost', crash()), { decision: null }));
});

describe('outputOf()', () => {
  it('names who has failed or was skipped, and who is stuck', () => {
    const units = viewsOf(
      view('a', 'failed'),
      view('b', 'skipped'),
      view('c', 'unkillable'),
      view('d', 'idle'),
    );
    assert.deepEqual(outputOf(units, 'planned', 'asked to stop'), {
      why: 'planned',
      reason: 'asked to stop',
      exit: null,
      failed: ['a', 'b'],
      unkillable: ['c'],
    });
  });
});
