import { assert } from 'chai';
import { SimulatedTree } from '../support/machines/tree.ts';

describe('booting', () => {
  it('starts each unit once those that it depends on are in the states that it names', () => {
    const tree = new SimulatedTree({
      children: {
        page: { dependsOn: { api: 'serving' } },
        api: { dependsOn: { db: 'operative' }, state: 'serving' },
        db: { reaches: 'spawned' },
      },
    });
    assert.deepEqual(tree.running, ['db']);
    tree.run('db').reported('operative');
    assert.deepEqual(tree.running, ['db'], 'a state alone does not make it ready');
    tree.run('db').ready();
    assert.deepEqual(tree.happened, ['0 db begins', '0 api begins', '0 page begins']);
  });

  it('starts at the same time whatever does not depend on each other', () => {
    const tree = new SimulatedTree({ children: { a: { reaches: 'nothing' }, b: {}, c: {} } });
    assert.deepEqual(tree.running, ['a', 'b', 'c']);
  });

  it('waits for the state that is named, and for those below it', () => {
    const tree = new SimulatedTree({
      children: { a: { state: 'warm' }, b: { dependsOn: { a: 'operative' } } },
    });
    assert.deepEqual(tree.phases(), { a: 'up', b: 'blocked' });
    tree.run('a').reported('operating');
    assert.equal(tree.phases().b, 'blocked');
    tree.run('a').reported('operative.idle');
    assert.equal(tree.phases().b, 'up');
  });

  it('opens a gate on `started` once the program runs, and not while it is being started', () => {
    const tree = new SimulatedTree({
      children: { a: { reaches: 'nothing' }, b: { dependsOn: { a: 'started' } } },
    });
    assert.deepEqual(tree.running, ['a']);
    tree.run('a').spawned();
    assert.deepEqual(tree.running, ['a', 'b']);
  });

  it('opens a gate on `ready` once the parent is up, whatever its state', () => {
    const tree = new SimulatedTree({
      children: { a: { reaches: 'spawned' }, b: { dependsOn: { a: 'ready' } } },
    });
    assert.deepEqual(tree.running, ['a']);
    tree.run('a').ready();
    assert.deepEqual(tree.running, ['a', 'b']);
  });

  for (const restart of ['transient', 'temporary'] as const)
    it(`opens a gate on \`completed\` once a ${restart} parent has ended well`, () => {
      const tree = new SimulatedTree({
        children: { job: { restart }, b: { dependsOn: { job: 'completed' } } },
      });
      assert.deepEqual(tree.running, ['job']);
      tree.run('job').ends(0);
      assert.deepEqual(tree.running, ['b']);
    });

  it('tells `operative` once all are ready, and not before', () => {
    const tree = new SimulatedTree({ children: { a: {}, b: { reaches: 'spawned' } } });
    assert.deepEqual(tree.states(), ['booting']);
    tree.run('b').ready();
    assert.deepEqual(tree.states(), ['booting', 'operative']);
  });

  it('tries a unit again that crashes before it is ready', () => {
    const tree = new SimulatedTree({ children: { a: { reaches: 'spawned' }, b: {} } });
    tree.run('a').crashes();
    assert.deepEqual(tree.phases(), { a: 'backoff', b: 'up' });
    tree.script('a', { reaches: 'ready' }).pass(100);
    assert.deepEqual(tree.states(), ['booting', 'operative']);
  });

  it('takes a unit that is not ready in time for one that crashed', () => {
    const tree = new SimulatedTree({ children: { a: { reaches: 'spawned' } } });
    tree.pass(5_000);
    assert.deepInclude(tree.exits('a')[0]!.exit, {
      class: 'abnormal',
      reason: 'it was not ready in time, so it was stopped: ended with code 0',
    });
    assert.equal(tree.phases().a, 'backoff');
  });

  describe('a start that is refused for good', () => {
    const children = { db: {}, api: { dependsOn: { db: 'operative' }, reaches: 'nothing' } } as const;

    it('ends the supervisor, and stops what runs already', () => {
      const tree = new SimulatedTree({ children });
      tree.run('api').refused('no such file', true).ends(127);
      assert.deepEqual(tree.running, []);
      assert.deepInclude(tree.output!, { why: 'boot', reason: 'api: no such file', failed: [] });
      assert.deepInclude(tree.output!.exit!, { class: 'permanent-failure', code: 127 });
    });

    it('gives up that unit alone once all have been ready', () => {
      const tree = new SimulatedTree({
        children: { db: {}, job: { restart: 'transient', reaches: 'nothing' } },
      });
      tree.run('job').spawned().ends(0);
      assert.equal(tree.stateOf(), 'running.operative');
      tree.order('job', { type: 'start' }).run('job').refused('no such file', true).ends(127);
      assert.deepEqual(tree.phases(), { db: 'up', job: 'failed' });
      assert.equal(tree.view('job').note, 'no such file');
    });

    it('is tried again once the unit has worked: what is missing may come back', () => {
      const tree = new SimulatedTree({ children: { db: {}, api: {} } });
      tree.script('api', { reaches: 'nothing' }).run('api').crashes();
      tree.pass(100).run('api').refused('no such file', true).ends(127);
      assert.equal(tree.phases().api, 'backoff');
    });

    it('is tried again if it is refused for now', () => {
      const tree = new SimulatedTree({ children });
      tree.run('api').refused('busy', false).ends(1);
      assert.deepEqual(tree.phases(), { db: 'up', api: 'backoff' });
    });
  });
});

describe('a gate', () => {
  const children = { a: {}, b: { dependsOn: { a: 'operative' } } };

  it('closes when the parent crashes, and leaves alone who is up', () => {
    const tree = new SimulatedTree({ children });
    tree.run('a').crashes();
    assert.deepEqual(tree.phases(), { a: 'backoff', b: 'up' });
    assert.deepEqual(tree.running, ['b']);
  });

  it('holds back who crashes while the parent is away, until it is back in its state', () => {
    const tree = new SimulatedTree({ children });
    tree.script('a', { reaches: 'spawned' });
    tree.run('a').crashes();
    tree.run('b').crashes();
    tree.pass(100);
    assert.deepEqual(tree.phases(), { a: 'starting', b: 'blocked' });
    tree.run('a').reported('operative').ready();
    assert.deepEqual(tree.phases(), { a: 'up', b: 'up' });
  });

  it('does not hold back who crashes while the parent is there', () => {
    const tree = new SimulatedTree({ children });
    tree.run('b').crashes();
    tree.pass(100);
    assert.deepEqual(tree.phases(), { a: 'up', b: 'up' });
  });

  it('is not opened by what an earlier incarnation had reached', () => {
    const tree = new SimulatedTree({ children });
    tree.script('a', { reaches: 'spawned' });
    tree.run('a').crashes();
    tree.run('b').crashes();
    tree.pass(100);
    tree.run('a').ready();
    assert.deepEqual(
      tree.phases(),
      { a: 'up', b: 'blocked' },
      'up, but it has not said that it is operative',
    );
  });

  it('closes when the parent leaves its state', () => {
    const tree = new SimulatedTree({ children });
    tree.run('a').reported('draining');
    tree.run('b').crashes();
    tree.pass(100);
    assert.deepEqual(tree.phases(), { a: 'up', b: 'blocked' });
    tree.run('a').reported('operative');
    assert.deepEqual(tree.phases(), { a: 'up', b: 'up' });
  });

  it('that closes during a backoff leads from there to blocked', () => {
    const tree = new SimulatedTree({ children: { ...children, a: { reaches: 'ready' } } });
    tree.run('b').crashes();
    tree.script('a', { reaches: 'nothing' });
    tree.run('a').crashes();
    tree.pass(100);
    assert.deepEqual(tree.phases(), { a: 'spawning', b: 'blocked' });
  });

  it('says what a unit waits for from the first moment on', () => {
    const tree = new SimulatedTree({ children: { ...children, a: { reaches: 'spawned' } } });
    assert.equal(tree.view('b').note, 'waits for a:operative');
  });

  describe('on a unit that is given up', () => {
    const chain = {
      a: { giveUp: { restarts: 0, periodMs: 1_000 }, reaches: 'spawned' },
      b: { dependsOn: { a: 'operative' } },
      c: { dependsOn: { b: 'operative' } },
      d: {},
    } as const;

    it('skips its dependents, and theirs', () => {
      const tree = new SimulatedTree({ children: chain });
      tree.run('a').crashes();
      assert.deepEqual(tree.phases(), { a: 'failed', b: 'skipped', c: 'skipped', d: 'up' });
      assert.equal(tree.view('b').note, 'a is failed and will not be operative');
      assert.equal(tree.view('c').note, 'b is skipped and will not be operative');
    });

    it('opens again when somebody starts it and it succeeds', () => {
      const tree = new SimulatedTree({ children: chain });
      tree.run('a').crashes();
      tree.script('a', { reaches: 'ready' }).order('a', { type: 'start' });
      assert.deepEqual(tree.phases(), { a: 'up', b: 'up', c: 'up', d: 'up' });
    });

    it('does not bring up who was told to stop meanwhile', () => {
      const tree = new SimulatedTree({ children: chain });
      tree.run('a').crashes();
      tree.script('a', { reaches: 'ready' }).order('b', { type: 'stop' }).order('a', { type: 'start' });
      assert.equal(tree.phases().b, 'idle');
    });
  });
});

describe('running', () => {
  it('is degraded while a child is not ready, and tells each change once', () => {
    const tree = new SimulatedTree({ children: { a: {}, b: {} } });
    tree.forget().run('a').crashes();
    assert.deepEqual(tree.states(), ['degraded']);
    tree.pass(100);
    assert.deepEqual(tree.states(), ['degraded', 'operative']);
  });

  it('is degraded also by a child that ends without a word', () => {
    const tree = new SimulatedTree({ children: { a: {}, b: {} } });
    tree.forget().run('a').emptied();
    assert.deepEqual(tree.states(), ['degraded']);
  });

  it('is operative with a child that has done its work', () => {
    const tree = new SimulatedTree({ children: { a: { restart: 'transient' }, b: {} } });
    tree.run('a').ends(0);
    assert.equal(tree.stateOf(), 'running.operative');
  });

  it('is operative without a temporary child that has ended: it belongs to it no more', () => {
    const tree = new SimulatedTree({ children: { a: { restart: 'temporary' }, b: {} } });
    tree.run('a').ends(0);
    assert.equal(tree.stateOf(), 'running.operative');
  });

  it('is reached without a temporary child that has ended before the others were ready', () => {
    const tree = new SimulatedTree({ children: { a: { restart: 'temporary' }, b: { reaches: 'spawned' } } });
    tree.run('a').ends(0);
    tree.run('b').ready();
    assert.equal(tree.stateOf(), 'running.operative');
  });

  it('goes on without a child that has failed', () => {
    const tree = new SimulatedTree({ children: { a: { giveUp: { restarts: 0, periodMs: 0 } }, b: {} } });
    tree.run('a').crashes();
    tree.pass(86_400_000);
    assert.deepEqual(tree.phases(), { a: 'failed', b: 'up' });
    assert.equal(tree.stateOf(), 'running.degraded');
  });
});
