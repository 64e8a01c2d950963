// What units of another host mean for those that depend on them, row by row of the table in docs/hosts.md, in simulated time.
import { assert } from 'chai';
import type { Exit } from '../../src/machines/exit.ts';
import type { UnitPhase } from '../../src/machines/unit.ts';
import type { HeardOfHost, UnitView } from '../../src/machines/unit-view.ts';
import type { EdgeMode, OnPartition } from '../../src/spec/child.ts';
import { SimulatedTree } from '../support/machines/tree.ts';
import { view } from '../support/machines/views.ts';

const modes = ['after', 'wants', 'requires', 'bind', 'hold', 'partOf'] as const;
type Mode = (typeof modes)[number];

function db(heard: HeardOfHost, change: Partial<UnitView> = {}, root = 'r1'): UnitView {
  const known =
    heard === 'never' || heard === 'left' ? {} : { phase: 'up' as const, state: 'operative', epoch: 1 };
  return view('db', 'idle', {
    ...known,
    ...change,
    elsewhere: { host: 'b', heard, root: heard === 'never' ? null : root },
  });
}
const up = db('present');
const down = db('present', { phase: 'backoff', state: null });
const silent = db('silent');

const tree = (mode: EdgeMode, onPartition?: OnPartition) =>
  new SimulatedTree({
    children: {
      app: { dependsOn: { db: { state: 'operative', mode } }, ...(onPartition && { onPartition }) },
    },
    remotes: { db: db('never') },
  });
const exit = (change: Partial<Exit>): Exit => ({
  ...{ class: 'abnormal', reason: 'ended with code 1', code: 1, signal: null, requested: 'none' },
  ...{ uptimeMs: 5, atMs: 5 },
  ...change,
});
const app = (simulated: SimulatedTree) => simulated.phases().app;
const orders = (simulated: SimulatedTree) => simulated.run('app').orders;

describe('an edge to a unit of another host', () => {
  const waits: Record<Mode, boolean> = {
    after: true,
    wants: true,
    requires: true,
    bind: true,
    hold: true,
    partOf: false,
  };
  for (const mode of modes) {
    it(`${mode} ${waits[mode] ? 'waits for' : 'does not wait for'} a host that has not been heard yet`, () => {
      const simulated = tree(mode);
      assert.equal(app(simulated), waits[mode] ? 'blocked' : 'up');
      if (waits[mode])
        assert.equal(simulated.view('app').note, 'waits for db:operative (host b has not been heard yet)');
      assert.equal(app(simulated.hears(up)), 'up');
    });

    const starts = mode === 'after' || mode === 'wants' || mode === 'partOf';
    for (const heard of ['silent', 'left'] as const)
      it(`${mode} ${starts ? 'lets the unit start without' : 'waits for'} a host that ${heard === 'left' ? 'was taken down' : 'is silent'}`, () => {
        const simulated = tree(mode).hears(db(heard));
        assert.equal(app(simulated), starts ? 'up' : 'blocked');
        if (!starts) assert.include(simulated.view('app').note, 'host b');
      });

    it(`${mode} keeps a unit up while the host is silent, and tells it nothing`, () => {
      const simulated = tree(mode).hears(up).hears(silent).hears(up);
      assert.equal(app(simulated), 'up');
      assert.lengthOf(simulated.runs('app'), 1);
      assert.deepEqual(orders(simulated), []);
    });

    const stops = mode === 'requires' || mode === 'bind';
    it(`${mode} with onPartition "stop" ${stops ? 'takes the unit down until the host is heard' : 'leaves it up'}`, () => {
      const simulated = tree(mode, 'stop').hears(up).hears(silent);
      assert.equal(app(simulated), stops ? 'blocked' : 'up');
      simulated.hears(up);
      assert.equal(app(simulated), 'up');
      assert.lengthOf(simulated.runs('app'), stops ? 2 : 1);
      if (mode === 'hold') assert.deepEqual(orders(simulated), ['dependency.lost', 'dependency.back']);
    });
  }

  it('lets nobody start by what was heard last: who crashes meanwhile waits', () => {
    const simulated = tree('requires').hears(up).hears(silent);
    simulated.run('app').crashes();
    simulated.pass(1_000);
    assert.equal(app(simulated), 'blocked');
    assert.equal(simulated.view('app').note, 'waits for db:operative (host b is silent)');
    assert.equal(app(simulated.hears(up)), 'up');
  });

  for (const phase of ['failed', 'completed', 'skipped'] as UnitPhase[])
    it(`waits for a unit that is ${phase} there, since somebody may step in there`, () => {
      const simulated = tree('requires').hears(db('present', { phase, state: null }));
      assert.equal(app(simulated), 'blocked');
      assert.equal(app(simulated.hears(up)), 'up');
    });

  it('bind takes the unit down when the other leaves its state, and when its host is taken down', () => {
    for (const gone of [down, db('left')]) {
      const simulated = tree('bind').hears(up).hears(gone);
      assert.equal(app(simulated), 'blocked');
      assert.equal(app(simulated.hears(up)), 'up');
    }
  });

  it('bind takes the unit down when the host is heard again and the other is not in its state', () => {
    assert.equal(app(tree('bind').hears(up).hears(silent).hears(down)), 'blocked');
  });

  const again = db('present', { epoch: 2, exit: exit({}) });
  const anew = db('present', {}, 'r2');
  for (const [how, now] of [
    ['crashed', again],
    ['began with another root', anew],
  ] as const) {
    it(`bind restarts the unit if the other ${how} unseen, and requires does not`, () => {
      const bound = tree('bind').hears(up).hears(silent).hears(now);
      assert.equal(app(bound), 'up');
      assert.lengthOf(bound.runs('app'), 2);
      assert.lengthOf(tree('requires').hears(up).hears(silent).hears(now).runs('app'), 1);
    });

    it(`hold tells the unit of both if the other ${how} unseen`, () => {
      const simulated = tree('hold').hears(up).hears(now);
      assert.deepEqual(orders(simulated), ['dependency.lost', 'dependency.back']);
    });
  }

  it('bind leaves the unit alone when the other was reloaded, which left it up', () => {
    assert.lengthOf(
      tree('bind')
        .hears(up)
        .hears(db('present', { epoch: 2 }))
        .runs('app'),
      1,
    );
  });

  const asked = (requested: Exit['requested']) => exit({ class: 'shutdown', requested });
  for (const mode of ['requires', 'partOf'] as const) {
    it(`${mode} stops the unit with the other, if somebody asked for that there`, () => {
      const stopped = db('present', { phase: 'idle', state: null, exit: asked('stop') });
      assert.equal(app(tree(mode).hears(up).hears(stopped)), 'idle');
    });

    it(`${mode} restarts the unit with the other, if somebody asked for that there`, () => {
      const simulated = tree(mode)
        .hears(up)
        .hears(db('present', { epoch: 2, exit: asked('restart') }));
      assert.equal(app(simulated), 'up');
      assert.lengthOf(simulated.runs('app'), 2);
    });

    it(`${mode} leaves the unit up when the root there ends with all its units, or with another root`, () => {
      const ending = db('present', { phase: 'idle', state: null, exit: asked('stop') });
      const simulated = tree(mode)
        .hears(up)
        .hears({ ...ending, elsewhere: { ...ending.elsewhere!, ending: true } })
        .hears(db('left'))
        .hears(db('present', { exit: asked('stop') }, 'r2'));
      assert.equal(app(simulated), 'up');
      assert.lengthOf(simulated.runs('app'), 1);
    });
  }

  it('counts for no limit, and not for the state of the root', () => {
    const simulated = new SimulatedTree({
      intensity: 0,
      children: { app: { dependsOn: { db: { state: 'operative', mode: 'bind' } } }, other: {} },
      remotes: { db: db('never') },
    });
    simulated.hears(up);
    assert.equal(simulated.stateOf(), 'running.operative');
    for (let i = 0; i < 5; i++) simulated.hears(down).hears(up);
    assert.equal(simulated.stateOf(), 'running.operative');
    assert.isUndefined(simulated.output);
    assert.equal(simulated.shutdown().output?.why, 'planned');
  });
});
