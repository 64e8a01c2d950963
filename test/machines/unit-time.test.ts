import { assert } from 'chai';
import { type UnitEvent, type UnitInput, unitMachine } from '../../src/machines/unit.ts';
import type { Shutdown } from '../../src/spec/child.ts';
import { policy, unitInput } from '../support/machines/samples.ts';
import { type Simulation, simulate } from '../support/machines/simulation.ts';
import {
  emptied,
  exited,
  opened,
  ready,
  reported,
  restart,
  spawned,
  start,
  stop,
} from '../support/machines/units.ts';

const day = 86_400_000;

function unit(change: Partial<UnitInput> = {}, ...events: UnitEvent[]): Simulation<typeof unitMachine> {
  return simulate(unitMachine, { ...unitInput, ...change }, opened, start, ...events);
}

function unitThatStops(shutdown: Shutdown, canAsk = true): Simulation<typeof unitMachine> {
  return unit({ canAsk, policy: { ...policy, shutdown } }, spawned, ready, stop);
}

/** When it got which order. */
function orders({ happenings }: Simulation<typeof unitMachine>): string[] {
  return happenings
    .filter(([, what]) => what.startsWith('incarnation: '))
    .map(([atMs, what]) => `${what.slice('incarnation: '.length)} at ${atMs}`);
}

const life = (running: Simulation<typeof unitMachine>) => running.state.split(' + ')[1];

describe('startTimeout', () => {
  it('kills what has not been spawned in time', () => {
    const late = unit().pass(4_999);
    assert.equal(life(late), 'life.alive.spawning');
    late.pass(1);
    assert.equal(life(late), 'life.alive.killing');
    assert.deepEqual(orders(late), ['kill at 5000']);
  });

  it('stops what is not ready in time, counted from its spawn', () => {
    const late = unit().pass(3_000).send(spawned).pass(4_999);
    assert.equal(life(late), 'life.alive.starting');
    late.pass(1);
    assert.equal(life(late), 'life.alive.stopping.asking');
    assert.deepEqual(orders(late), ['ask at 8000']);
  });

  it('goes on while a unit that is not ready reports its state', () => {
    const late = unit({}, spawned).pass(3_000).send(reported).pass(2_000);
    assert.equal(life(late), 'life.alive.stopping.asking');
  });

  it('is over once the unit is up', () => {
    const up = unit({}, spawned, ready).pass(day);
    assert.deepEqual(orders(up), []);
  });
});

describe('shutdown', () => {
  const rows: [title: string, unit: () => Simulation<typeof unitMachine>, orders: string[]][] = [
    [
      'asks, terminates at half of its time and kills at its end',
      () => unitThatStops(1_000),
      ['ask at 0', 'terminate at 500', 'kill at 1000'],
    ],
    [
      'terminates at once what can not be asked',
      () => unitThatStops(1_000, false),
      ['terminate at 0', 'kill at 1000'],
    ],
    ['kills at once by the policy kill', () => unitThatStops('kill'), ['kill at 0']],
    ['asks and kills at once if it may take no time', () => unitThatStops(0), ['ask at 0', 'kill at 0']],
    ['waits as long as it takes by the policy infinity', () => unitThatStops('infinity'), ['ask at 0']],
  ];
  for (const [title, begin, expected] of rows)
    it(title, () => assert.deepEqual(orders(begin().pass(day)), expected));

  it('ends with the unit', () => {
    const stopped = unitThatStops(1_000).pass(400).send(exited(0)).send(emptied).pass(day);
    assert.equal(life(stopped), 'life.exited');
    assert.deepEqual(orders(stopped), ['ask at 0']);
    assert.equal(stopped.clock.pending, 0);
  });

  it('is not prolonged by a second stop', () => {
    const stopped = unitThatStops(1_000).pass(400).send(stop).pass(600);
    assert.deepEqual(orders(stopped), ['ask at 0', 'terminate at 500', 'kill at 1000']);
  });

  it('is not prolonged by a restart that comes after it', () => {
    const stopped = unitThatStops(1_000).pass(400).send(restart).pass(600);
    assert.deepEqual(orders(stopped), ['ask at 0', 'terminate at 500', 'kill at 1000']);
  });

  it('is cut short by a kill', () => {
    const stopped = unitThatStops('infinity').pass(400).send({ type: 'kill' });
    assert.deepEqual(orders(stopped), ['ask at 0', 'kill at 400']);
  });

  it('waits for a stop that came before the spawn', () => {
    const stopped = unit().send(stop).pass(300).send(spawned);
    assert.deepEqual(orders(stopped), ['ask at 300']);
  });

  it('has the same time for what a program leaves behind', () => {
    const draining = unit({}, spawned, ready).pass(50).send(exited(0)).pass(999);
    assert.equal(life(draining), 'life.alive.draining');
    draining.pass(1);
    assert.deepEqual(orders(draining), ['kill at 1050']);
  });
});

describe('unkillable', () => {
  it('is what still stands 5 s after SIGKILL', () => {
    const stuck = unitThatStops('kill').pass(4_999);
    assert.equal(life(stuck), 'life.alive.killing');
    stuck.pass(1);
    assert.equal(life(stuck), 'life.alive.unkillable');
    assert.equal(stuck.clock.pending, 0);
  });

  it('ends when the kernel lets go after all', () => {
    const stuck = unitThatStops('kill').pass(day).send(emptied);
    assert.equal(life(stuck), 'life.exited');
  });

  for (const shutdown of [1_000, 'infinity'] as const)
    it(`is not put off when the leader goes and leaves something behind, shutdown ${shutdown}`, () => {
      const stuck = unitThatStops(shutdown).send({ type: 'kill' }).send(exited(null, 'SIGKILL')).pass(5_000);
      assert.equal(life(stuck), 'life.alive.unkillable');
    });

  it('is not put off by another kill, which is carried out all the same', () => {
    const stuck = unitThatStops('kill').pass(3_000).send({ type: 'kill' });
    assert.deepEqual(orders(stuck), ['kill at 0', 'kill at 3000']);
    assert.equal(life(stuck.pass(2_000)), 'life.alive.unkillable');
  });
});

describe('stableAfter', () => {
  it('reports that a unit has been up for its time, once', () => {
    const up = unit({}, spawned, ready).pass(9_999);
    assert.notInclude(reportTypes(up), 'unit.stable');
    up.pass(1).pass(day);
    assert.lengthOf(
      reportTypes(up).filter((type) => type === 'unit.stable'),
      1,
    );
  });

  it('counts from when the unit was ready, whatever state it reports since', () => {
    const up = unit({}, spawned).pass(1_000).send(ready).pass(5_000).send(reported).pass(4_999);
    assert.notInclude(reportTypes(up), 'unit.stable');
    assert.include(reportTypes(up.pass(1)), 'unit.stable');
  });

  it('is over when the unit ends first', () => {
    const up = unit({}, spawned, ready).pass(9_000).send(exited(1)).send(emptied).pass(day);
    assert.notInclude(reportTypes(up), 'unit.stable');
  });
});

describe('backoffDelay', () => {
  function backingOff(): Simulation<typeof unitMachine> {
    return unit({}, spawned, ready, exited(1), emptied, { type: 'verdict.restart', delayMs: 300 });
  }

  it('begins the next incarnation when it is over', () => {
    const restarted = backingOff().pass(299);
    assert.equal(life(restarted), 'life.backoff');
    restarted.pass(1);
    assert.equal(life(restarted), 'life.alive.spawning');
    assert.equal(restarted.snapshot.context.epoch, 2);
  });

  for (const event of [{ type: 'stop' }, { type: 'kill' }, { type: 'remove' }] as const)
    it(`is cancelled by ${event.type}`, () => {
      const cancelled = backingOff().send(event);
      assert.equal(cancelled.clock.pending, 0);
      assert.equal(life(cancelled.pass(day)), event.type === 'remove' ? 'life.removed' : 'life.idle');
    });

  it('looks at the gate when it is over, not when it began', () => {
    const blocked = backingOff()
      .send({ type: 'gate.closed', missing: ['db:operative'] })
      .pass(300);
    assert.equal(life(blocked), 'life.blocked');
  });
});

describe('an incarnation', () => {
  it('is left before the next one begins', () => {
    const restarted = unit({}, spawned, ready, restart, emptied, { type: 'verdict.restart', delayMs: 0 });
    assert.deepEqual(restarted.names('report', 'incarnation: ask'), [
      'incarnation begins',
      'incarnation is left',
      'incarnation begins',
    ]);
    assert.deepEqual(restarted.given('incarnation begins'), [
      { path: 'tree/a', epoch: 1, adopt: null },
      { path: 'tree/a', epoch: 2, adopt: null },
    ]);
  });

  it('leaves no timer behind, whichever state it ends in', () => {
    const running: [string, Simulation<typeof unitMachine>][] = [
      ['spawning', unit()],
      ['starting', unit({}, spawned)],
      ['up', unit({}, spawned, ready)],
      ['asking', unitThatStops(1_000)],
      ['terminating', unitThatStops(1_000, false)],
      ['killing', unitThatStops('kill')],
      ['draining', unit({}, spawned, ready, exited(0))],
    ];
    for (const [state, each] of running) {
      each.send(emptied);
      assert.equal(life(each), 'life.exited', state);
      assert.equal(each.clock.pending, 0, state);
    }
  });
});

function reportTypes(running: Simulation<typeof unitMachine>): string[] {
  return running.given('report').map((report) => (report as { type: string }).type);
}
