import { assert } from 'chai';
import type { RestartType } from '../../src/machines/exit.ts';
import type { UnitPhase } from '../../src/machines/unit.ts';
import { policy } from '../support/machines/samples.ts';
import { type Run, SimulatedTree } from '../support/machines/tree.ts';

describe('a child that ends', () => {
  const ways: [way: string, end: (run: Run) => void, phases: Record<RestartType, UnitPhase>][] = [
    [
      'with code 0',
      (run) => run.ends(0),
      { permanent: 'backoff', transient: 'completed', temporary: 'removed' },
    ],
    [
      'with another code',
      (run) => run.ends(1),
      { permanent: 'backoff', transient: 'backoff', temporary: 'removed' },
    ],
    [
      'by a signal',
      (run) => run.ends(null, 'SIGSEGV'),
      { permanent: 'backoff', transient: 'backoff', temporary: 'removed' },
    ],
  ];
  for (const [way, end, phases] of ways)
    for (const restart of ['permanent', 'transient', 'temporary'] as const) {
      it(`${way} is ${phases[restart]} if it is ${restart}`, () => {
        const tree = new SimulatedTree({ children: { a: { restart }, b: {} } });
        end(tree.run('a'));
        assert.equal(tree.phases().a, phases[restart]);
        tree.pass(100);
        assert.lengthOf(tree.runs('a'), phases[restart] === 'backoff' ? 2 : 1);
      });

      it(`${way} is reported if it is ${restart}`, () => {
        const tree = new SimulatedTree({ children: { a: { restart }, b: {} } });
        end(tree.run('a'));
        assert.lengthOf(tree.exits('a'), 1);
      });
    }

  it('is reported with its verdict, its delay and what is left of the intensity', () => {
    const tree = new SimulatedTree({ intensity: 3, children: { a: {} } });
    tree.pass(50).run('a').crashes();
    assert.deepEqual(tree.exits(), [
      {
        type: 'child.exited',
        id: 'a',
        epoch: 1,
        exit: {
          class: 'abnormal',
          reason: 'ended with code 1',
          code: 1,
          signal: null,
          requested: 'none',
          uptimeMs: 50,
          atMs: 50,
        },
        verdict: 'restart',
        delayMs: 100,
        restartsLeft: 2,
      },
    ]);
  });

  it('has no restarts left to tell of where there is no limit', () => {
    const tree = new SimulatedTree({ children: { a: {} } });
    tree.run('a').crashes();
    assert.isNull(tree.exits()[0]!.restartsLeft);
  });

  it('is down only when nothing is left of what it started', () => {
    const tree = new SimulatedTree({ children: { a: {} } });
    const run = tree.run('a').exited(1);
    assert.equal(tree.phases().a, 'draining');
    assert.lengthOf(tree.exits(), 0);
    run.emptied();
    assert.lengthOf(tree.exits(), 1);
  });

  it('is judged by how its program ended, also if what that had left behind had to be killed', () => {
    const tree = new SimulatedTree({ children: { a: { restart: 'transient', obeys: 'kill' }, b: {} } });
    tree.run('a').exited(0);
    tree.pass(1_000);
    assert.equal(tree.phases().a, 'completed');
  });

  it('as asked stays down', () => {
    const tree = new SimulatedTree({ children: { a: {}, b: {} } });
    tree.order('a', { type: 'stop' }).pass(86_400_000);
    assert.deepEqual(tree.phases(), { a: 'idle', b: 'up' });
  });

  it('as asked comes up again for a restart, at once and without counting', () => {
    const tree = new SimulatedTree({ intensity: 0, children: { a: {} } });
    tree.order('a', { type: 'restart', reason: 'a new release' });
    assert.deepEqual(tree.phases(), { a: 'up' });
    assert.equal(tree.view('a').epoch, 2);
    assert.equal(tree.exits()[0]!.verdict, 'restart, as asked');
  });
});

describe('backoff', () => {
  /** The pauses before the next restarts of `a`. */
  function pauses(tree: SimulatedTree, count: number): number[] {
    return Array.from({ length: count }, () => {
      tree.run('a').crashes();
      const delay = tree.exits('a').at(-1)!.delayMs;
      tree.pass(delay);
      return delay;
    });
  }

  it('doubles up to its maximum', () => {
    const tree = new SimulatedTree({ children: { a: {} } });
    assert.deepEqual(pauses(tree, 6), [100, 200, 400, 800, 1_000, 1_000]);
  });

  it('begins anew once the unit has been up long enough', () => {
    const tree = new SimulatedTree({ children: { a: {} } });
    pauses(tree, 3);
    tree.pass(policy.stableMs);
    assert.deepEqual(pauses(tree, 2), [100, 200]);
  });

  it('does not begin anew just because the unit was up', () => {
    const tree = new SimulatedTree({ children: { a: {} } });
    pauses(tree, 3);
    tree.pass(policy.stableMs - 1);
    assert.deepEqual(pauses(tree, 1), [800]);
  });

  it('is counted for each unit on its own', () => {
    const tree = new SimulatedTree({ children: { a: {}, b: {} } });
    pauses(tree, 3);
    tree.run('b').crashes();
    assert.equal(tree.exits('b')[0]!.delayMs, 100);
  });

  it('has its jitter from the seed', () => {
    const jittery = (seed: number) =>
      pauses(
        new SimulatedTree({ seed, children: { a: { backoff: { ...policy.backoff, jitter: 0.5 } } } }),
        5,
      );
    assert.deepEqual(jittery(1), jittery(1));
    assert.notDeepEqual(jittery(1), jittery(2));
    for (const [i, delay] of jittery(3).entries())
      assert.isTrue(
        delay >= [100, 200, 400, 800, 1_000][i]! && delay <= 1.5 * [100, 200, 400, 800, 1_000][i]!,
      );
  });

  it('is none for a unit that is restarted at once', () => {
    const tree = new SimulatedTree({
      children: { a: { backoff: { minMs: 0, maxMs: 0, factor: 1, jitter: 0 } } },
    });
    tree.run('a').crashes();
    assert.deepEqual(tree.phases(), { a: 'up' });
  });
});

describe('giveUp', () => {
  const giveUp = { restarts: 2, periodMs: 1_000 };

  it('leaves a unit down that restarts too often, with the last reason', () => {
    const tree = new SimulatedTree({ children: { a: { giveUp }, b: {} } });
    for (const delay of [100, 200, 0]) tree.run('a').crashes().over && tree.pass(delay);
    assert.deepEqual(tree.phases(), { a: 'failed', b: 'up' });
    assert.equal(tree.view('a').note, 'more than 2 restarts within 1000 ms; the last: ended with code 1');
    assert.equal(tree.exits('a').at(-1)!.verdict, 'given up');
    assert.equal(tree.pass(86_400_000).runs('a').length, 3);
  });

  it('pays no heed to restarts that are older than its period', () => {
    const tree = new SimulatedTree({ children: { a: { giveUp, stableMs: 900 } } });
    for (let i = 0; i < 10; i++) {
      tree.run('a').crashes();
      tree.pass(1_100);
    }
    assert.deepEqual(tree.phases(), { a: 'up' });
  });

  it('does not count for the intensity', () => {
    const tree = new SimulatedTree({
      intensity: 1,
      children: { a: { giveUp: { restarts: 0, periodMs: 0 } }, b: {} },
    });
    tree.run('a').crashes();
    tree.run('b').crashes();
    assert.deepEqual(tree.phases(), { a: 'failed', b: 'backoff' });
  });

  it('lets a unit that somebody has started again use its whole allowance again', () => {
    const tree = new SimulatedTree({ children: { a: { giveUp }, b: {} } });
    for (const delay of [100, 200, 0]) tree.run('a').crashes().over && tree.pass(delay);
    tree.order('a', { type: 'start' });
    tree.run('a').crashes();
    assert.deepEqual(tree.phases(), { a: 'backoff', b: 'up' });
    assert.equal(tree.exits('a').at(-1)!.delayMs, 100);
  });
});

describe('intensity', () => {
  const atOnce = { backoff: { minMs: 0, maxMs: 0, factor: 1, jitter: 0 } };

  it('ends the supervisor by one restart more, and stops its other children in order', () => {
    const tree = new SimulatedTree({
      intensity: 2,
      children: { a: atOnce, b: {}, c: { dependsOn: { b: 'operative' } } },
    });
    for (let i = 0; i < 3; i++) tree.run('a').crashes();
    assert.deepEqual(tree.happened.slice(-5), [
      '0 ask c',
      '0 c ends',
      '0 ask b',
      '0 b ends',
      '0 the supervisor ends',
    ]);
    assert.deepInclude(tree.output!, {
      why: 'intensity',
      reason: 'more than 2 restarts within 5000 ms, the last of a',
    });
    assert.equal(tree.output!.exit!.reason, 'ended with code 1');
    assert.equal(tree.exits('a').at(-1)!.verdict, 'end the supervisor');
  });

  it('counts the restarts of all children together', () => {
    const tree = new SimulatedTree({ intensity: 1, children: { a: atOnce, b: atOnce } });
    tree.run('a').crashes();
    tree.run('b').crashes();
    assert.equal(tree.output!.why, 'intensity');
  });

  it('still counts a restart that is exactly one period old', () => {
    const tree = new SimulatedTree({ intensity: 1, children: { a: atOnce } });
    tree.run('a').crashes();
    tree.pass(5_000).run('a').crashes();
    assert.equal(tree.output!.why, 'intensity');
  });

  it('forgets a restart that is older than that', () => {
    const tree = new SimulatedTree({ intensity: 1, children: { a: atOnce } });
    tree.run('a').crashes();
    tree.pass(5_001).run('a').crashes();
    assert.isUndefined(tree.output);
  });

  it('of 0 ends the supervisor at the first restart', () => {
    const tree = new SimulatedTree({ intensity: 0, children: { a: {} } });
    tree.run('a').crashes();
    assert.equal(tree.output!.why, 'intensity');
    assert.lengthOf(tree.runs('a'), 1);
  });

  it('of infinity never ends it', () => {
    const children = { a: { ...atOnce, giveUp: { restarts: 1_000, periodMs: 1 } } };
    const tree = new SimulatedTree({ intensity: 'infinity', children });
    for (let i = 0; i < 500; i++) tree.run('a').crashes();
    assert.deepEqual(tree.phases(), { a: 'up' });
  });

  it('does not count what needs no restart', () => {
    const tree = new SimulatedTree({
      intensity: 0,
      children: { a: { restart: 'transient' }, b: { restart: 'temporary' }, c: {} },
    });
    tree.run('a').ends(0);
    tree.run('b').crashes();
    tree.order('c', { type: 'stop' });
    assert.isUndefined(tree.output);
  });

  it('counts each failed try again', () => {
    const tree = new SimulatedTree({ intensity: 3, children: { a: { ...atOnce, reaches: 'nothing' } } });
    for (let i = 0; i < 4; i++) tree.run('a').refused('busy', false).ends(1);
    assert.equal(tree.output!.why, 'intensity');
    assert.lengthOf(tree.runs('a'), 4);
  });

  it('leaves no timer behind when it ends the supervisor', () => {
    const tree = new SimulatedTree({ intensity: 1, children: { a: {}, b: {}, c: { obeys: 'kill' } } });
    tree.run('a').crashes();
    tree.run('b').crashes();
    tree.pass(1_000);
    assert.equal(tree.output!.why, 'intensity');
    assert.equal(tree.clock.pending, 0);
  });
});
