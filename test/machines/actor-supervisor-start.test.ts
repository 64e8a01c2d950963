// How a supervisor of actors starts, how often it tries again, and when it gives up.
import { assert } from 'chai';
import { supervisor } from '../../src/spec/topology.ts';
import { Actors, polite, stubborn, turn } from '../support/machines/actors.ts';

describe('the boot of a supervisor of actors', () => {
  it('starts one child after the other', async () => {
    const actors = new Actors((t) => {
      t.mood('b', 'waits');
      return { children: { a: t.child('a'), b: t.child('b'), c: t.child('c') } };
    });
    assert.deepEqual(actors.happened, ['a starts', 'b waits']);
    assert.isFalse(actors.booted);
    await actors.settle('b', polite);
    assert.deepEqual(actors.happened.slice(2), ['c starts']);
    assert.isTrue(actors.booted);
  });

  for (const mood of ['fails', 'stillborn'] as const)
    it(`that meets a child which ${mood === 'fails' ? 'fails' : 'crashes in its first step'} takes back what it has done, and tries nothing again`, () => {
      const actors = new Actors((t) => {
        t.mood('c', mood);
        return {
          children: {
            a: t.child('a', {}, stubborn),
            b: t.child('b', {}, stubborn),
            c: t.child('c'),
            d: t.child('d'),
          },
        };
      });
      assert.deepEqual(actors.happened, ['a starts', 'b starts', `c ${mood}`]);
      assert.deepEqual(actors.running, ['a', 'b']);
      actors.tell('b', 'finish');
      assert.deepEqual(actors.running, ['a'], 'the last first');
      actors.tell('a', 'finish');
      assert.deepInclude(actors.output!, { why: 'boot' });
      assert.match(actors.output!.reason, /^c could not start: (no luck|it fell)$/);
      assert.isFalse(actors.booted);
      assert.equal(actors.verdicts[0], 'c abnormal: end the supervisor (start-error)');
    });

  it('goes on without a child that is to be ignored, which stays known unless it is temporary', async () => {
    const actors = new Actors((t) => {
      t.mood('a', 'ignores').mood('b', 'ignores');
      return { children: { a: t.child('a'), b: t.child('b', { restart: 'temporary' }), c: t.child('c') } };
    });
    assert.isTrue(actors.booted);
    assert.deepEqual(await actors.phases(), { a: 'down', c: 'up' });
  });

  it('goes on without a child whose start function says so late', async () => {
    const actors = new Actors((t) => {
      t.mood('a', 'waits');
      return { children: { a: t.child('a'), b: t.child('b') } };
    });
    await actors.settle('a', 'ignore');
    assert.isTrue(actors.booted);
    assert.deepEqual(await actors.phases(), { a: 'down', b: 'up' });
  });

  it('fails with a child that does not start in time', () => {
    const actors = new Actors((t) => {
      t.mood('a', 'waits');
      return { children: { a: t.child('a', { startTimeoutMs: 1_000 }) } };
    });
    actors.pass(1_000);
    assert.equal(actors.output!.reason, 'a could not start: it did not start in time, so it was stopped');
  });

  it('fails with what a start function rejects with', async () => {
    const actors = new Actors((t) => {
      t.mood('a', 'waits');
      return { children: { a: t.child('a') } };
    });
    await actors.settle('a', new Error('no database'));
    assert.equal(actors.output!.reason, 'a could not start: no database');
  });

  it('can be called off', async () => {
    const actors = new Actors((t) => {
      t.mood('b', 'waits');
      return { children: { a: t.child('a'), b: t.child('b') } };
    });
    actors.supervision.shutdown();
    assert.equal(actors.output!.why, 'planned');
    await actors.settle('b', polite);
    assert.deepEqual(actors.running, []);
  });

  it('goes down to the last grandchild before the next child starts', () => {
    const actors = new Actors((t) => ({
      children: { x: supervisor({ children: { a: t.child('a'), b: t.child('b') } }), c: t.child('c') },
    }));
    assert.deepEqual(actors.happened, ['a starts', 'b starts', 'c starts']);
  });

  it('fails with the supervisor below it', () => {
    const actors = new Actors((t) => {
      t.mood('b', 'fails');
      return {
        children: { x: supervisor({ children: { a: t.child('a'), b: t.child('b') } }), c: t.child('c') },
      };
    });
    assert.equal(actors.output!.reason, 'x could not start: b could not start: no luck');
    assert.deepEqual(actors.running, []);
  });

  it('waits for a supervisor below that takes back its own start', () => {
    const actors = new Actors((t) => {
      t.mood('b', 'fails');
      return {
        children: { x: supervisor({ children: { a: t.child('a', {}, stubborn), b: t.child('b') } }) },
      };
    });
    assert.isUndefined(actors.output);
    actors.tell('x/a', 'finish');
    assert.equal(actors.output!.why, 'boot');
  });
});

describe('the intensity of a supervisor of actors', () => {
  const crashes = (intensity: number | 'infinity', times: number, everyMs: number, periodMs = 5_000) => {
    const actors = new Actors((t) => ({ intensity, periodMs, children: { a: t.child('a') } }));
    for (let i = 0; i < times && !actors.output; i++) actors.tell('a', 'crash').pass(everyMs);
    return actors;
  };

  it('is 3 in 5 s by default', () => {
    const actors = new Actors((t) => ({ children: { a: t.child('a') } }));
    for (let i = 0; i < 3; i++) actors.tell('a', 'crash');
    assert.isUndefined(actors.output);
    actors.tell('a', 'crash');
    assert.deepInclude(actors.output!, {
      why: 'intensity',
      reason: 'more than 3 restarts within 5000 ms, the last of a',
    });
  });

  it('of 0 allows no restart', () => assert.isDefined(crashes(0, 1, 0).output));
  it('still counts a restart that is exactly one period old', () =>
    assert.isDefined(crashes(1, 2, 5_000).output));
  it('no longer counts one that is older', () => assert.isUndefined(crashes(1, 20, 5_001).output));
  it('of infinity allows any number, each in a turn of its own', () => {
    const actors = crashes('infinity', 1_000, 1);
    assert.isUndefined(actors.output);
    assert.equal(actors.happened.length, 1_001);
  });

  it('is shared by all children', () => {
    const actors = new Actors((t) => ({ intensity: 1, children: { a: t.child('a'), b: t.child('b') } }));
    actors.tell('a', 'crash').tell('b', 'crash');
    assert.equal(actors.output!.why, 'intensity');
  });

  it('says in each report what is left of it', () => {
    const actors = new Actors((t) => ({ intensity: 2, children: { a: t.child('a') } }));
    actors.tell('a', 'crash').tell('a', 'crash').tell('a', 'crash');
    const left = actors.reports.flatMap((each) => (each.type === 'child.exited' ? [each.restartsLeft] : []));
    assert.deepEqual(left, [1, 0, 0]);
  });

  it('of an inner supervisor ends that; its supervisor restarts it with its first children', () => {
    const actors = new Actors((t) => ({
      children: { x: supervisor({ intensity: 0, children: { a: t.child('a') } }) },
    }));
    actors.tell('x/a', 'crash');
    assert.deepEqual(actors.verdicts, ['x shutdown: restart (child-terminated)']);
    assert.deepEqual(actors.running, ['x/a']);
  });

  it('of an inner supervisor that is transient ends that for good: it has ended in order', async () => {
    const inner = { intensity: 0, restart: 'transient' } as const;
    const actors = new Actors((t) => ({
      children: { x: supervisor({ ...inner, children: { a: t.child('a') } }) },
    }));
    actors.tell('x/a', 'crash');
    assert.deepEqual(await actors.phases(), { x: 'down' });
  });
});

describe('a restart that fails', () => {
  it('is tried again without a delay, after a turn, and each try counts', async () => {
    const actors = new Actors((t) => ({ intensity: 3, children: { a: t.child('a') } }));
    actors.forget().mood('a', 'fails').tell('a', 'crash');
    assert.deepEqual(actors.happened, ['a fails']);
    assert.deepEqual(await actors.phases(), { a: 'restarting' });
    actors.pass(10);
    assert.deepEqual(actors.happened, ['a fails', 'a fails', 'a fails', 'the supervisor ends']);
    assert.equal(actors.output!.why, 'intensity');
  });

  it('is one more chance', async () => {
    const actors = new Actors((t) => ({ children: { a: t.child('a') } }));
    actors.mood('a', 'fails').tell('a', 'crash').mood('a', 'fine').pass(1);
    assert.deepEqual(await actors.phases(), { a: 'up' });
  });

  it('is called off by terminateChild()', async () => {
    const actors = new Actors((t) => ({ intensity: 'infinity', children: { a: t.child('a') } }));
    actors.mood('a', 'fails').tell('a', 'crash');
    assert.deepEqual(await actors.supervision.terminateChild('a'), { ok: true });
    actors.forget().pass(1_000);
    assert.deepEqual(actors.happened, []);
    assert.deepEqual(await actors.phases(), { a: 'down' });
  });

  it('does not hold up the end of the supervisor', () => {
    const actors = new Actors((t) => ({ intensity: 'infinity', children: { a: t.child('a') } }));
    actors.mood('a', 'fails').tell('a', 'crash').supervision.shutdown();
    assert.equal(actors.output!.why, 'planned');
    assert.equal(actors.clock.pending, 0);
  });

  it('of a dynamic child that is to be ignored forgets it', async () => {
    const actors = new Actors((t) => ({ strategy: 'dynamic', child: t.child('a') }));
    await actors.supervision.startChild();
    actors.mood('a', 'ignores').tell('#1', 'crash');
    assert.deepInclude(await actors.supervision.countChildren(), { active: 0, workers: 0 });
  });

  it('waits longer each time if the child has a backoff, and as before once it was stable', () => {
    const backoff = { minMs: 100, maxMs: 1_000, factor: 2, jitter: 0 };
    const actors = new Actors((t) => ({
      intensity: 'infinity',
      children: { a: t.child('a', { backoff, stableMs: 5_000 }) },
    }));
    const delays: number[] = [];
    for (const upMs of [0, 0, 0, 5_000]) {
      actors.pass(upMs).forget().tell('a', 'crash');
      const exit = actors.reports.find((each) => each.type === 'child.exited')!;
      delays.push(exit.type === 'child.exited' ? exit.delayMs : -1);
      actors.pass(1_000 - 1).pass(1);
      if (upMs === 5_000) break;
    }
    assert.deepEqual(delays, [100, 200, 400, 100]);
  });
});

describe('a significant child', () => {
  const rows: [
    auto: 'any-significant' | 'all-significant',
    restart: 'transient' | 'temporary',
    does: 'finish' | 'crash',
    ends: boolean,
  ][] = [
    ['any-significant', 'transient', 'finish', true],
    ['any-significant', 'transient', 'crash', false],
    ['any-significant', 'temporary', 'finish', true],
    ['any-significant', 'temporary', 'crash', true],
    ['all-significant', 'transient', 'finish', false],
    ['all-significant', 'temporary', 'crash', false],
  ];
  for (const [autoShutdown, restart, does, ends] of rows)
    it(`that is ${restart}, one of two, ${ends ? 'ends' : 'does not end'} its supervisor by ${does}ing with ${autoShutdown}`, () => {
      const options = { restart, significant: true };
      const actors = new Actors((t) => ({
        autoShutdown,
        children: { a: t.child('a', options), b: t.child('b', options), c: t.child('c') },
      }));
      actors.tell('a', does);
      assert.equal(actors.output !== undefined, ends);
      if (ends) assert.equal(actors.output!.why, 'significant');
    });

  it('ends its supervisor as the last one with all-significant', () => {
    const options = { restart: 'temporary', significant: true } as const;
    const actors = new Actors((t) => ({
      autoShutdown: 'all-significant',
      children: { a: t.child('a', options), b: t.child('b', options), c: t.child('c') },
    }));
    actors.tell('b', 'crash').tell('a', 'finish');
    assert.equal(actors.output!.why, 'significant');
    assert.deepEqual(actors.running, []);
  });

  it('does not end its supervisor when it is terminated, or goes down with its group', async () => {
    const options = { restart: 'transient', significant: true } as const;
    const actors = new Actors((t) => ({
      strategy: 'one-for-all',
      autoShutdown: 'any-significant',
      children: { a: t.child('a', options), b: t.child('b') },
    }));
    actors.tell('b', 'crash');
    await actors.supervision.terminateChild('a');
    assert.isUndefined(actors.output);
  });

  it('that is a supervisor passes its end on', () => {
    const options = { restart: 'transient', significant: true } as const;
    const auto = { autoShutdown: 'any-significant' } as const;
    const actors = new Actors((t) => ({
      ...auto,
      children: {
        x: supervisor({ ...auto, ...options, children: { a: t.child('a', options) } }),
        b: t.child('b'),
      },
    }));
    actors.tell('x/a', 'finish');
    assert.equal(actors.output!.why, 'significant');
  });
});

describe('the end of a supervisor of actors', () => {
  it('stops its children in the opposite order of their starts, also after restarts', () => {
    const actors = new Actors((t) => ({
      children: {
        a: t.child('a', {}, stubborn),
        b: t.child('b', {}, stubborn),
        c: t.child('c', {}, stubborn),
      },
    }));
    actors.tell('a', 'crash').supervision.shutdown();
    const order: [left: string[], next: string][] = [
      [['b', 'a'], 'c'],
      [['a'], 'b'],
      [[], 'a'],
    ];
    for (const [left, next] of order) {
      actors.tell(next, 'finish');
      assert.deepEqual(actors.running, left);
    }
    assert.equal(actors.output!.why, 'planned');
  });

  it('restarts nobody who crashes meanwhile', () => {
    const actors = new Actors((t) => ({
      children: { a: t.child('a'), b: t.child('b', {}, stubborn) },
    }));
    actors.forget().supervision.shutdown();
    actors.tell('a', 'crash').tell('b', 'finish');
    assert.deepEqual(actors.happened, ['the supervisor ends']);
  });

  it('comes at once if it is forced', () => {
    const actors = new Actors((t) => ({
      children: {
        a: t.child('a', { shutdown: 'infinity' }, stubborn),
        x: supervisor({ children: { b: t.child('b', { shutdown: 'infinity' }, stubborn) } }),
      },
    }));
    actors.supervision.force();
    assert.isDefined(actors.output);
    assert.deepEqual(actors.running, []);
  });

  it('drops a group that was on its way', () => {
    const actors = new Actors((t) => ({
      strategy: 'one-for-all',
      children: { a: t.child('a'), b: t.child('b', { shutdown: 1_000 }, stubborn) },
    }));
    actors.forget().tell('a', 'crash').supervision.shutdown();
    actors.tell('b', 'finish');
    assert.deepEqual(actors.happened, ['the supervisor ends']);
  });

  it('leaves no promise of a start behind that could still start something', async () => {
    const actors = new Actors((t) => ({ children: { a: t.child('a') } }));
    actors.mood('a', 'waits').tell('a', 'crash').supervision.shutdown();
    await actors.settle('a', polite);
    await turn();
    assert.deepEqual(actors.running, []);
  });
});
