import { assert } from 'chai';
import { fromTransition, setup } from 'xstate';
import { addressOf } from '../../src/names.ts';
import { FlightRecorder, readFlight } from '../../src/transport/flight-recorder.ts';
import {
  collectEnds,
  doorMachine,
  familyMachine,
  instantMachine,
  playBall,
  stillbornMachine,
  testHost,
} from '../support/machines/hosts.ts';

const address = addressOf('door');

/** Lets what waits for the end of this turn come about. */
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe('Host.start()', () => {
  it('runs the actor under its address', () => {
    const { host } = testHost();
    host.start(doorMachine, { address });
    assert.deepEqual(host.addresses, [address]);
    assert.deepEqual(host.snapshotOf(address), { value: 'closed', status: 'active', context: { opened: 0 } });
  });

  it('refuses an address at which an actor runs', () => {
    const { host } = testHost();
    host.start(doorMachine, { address });
    assert.throws(() => host.start(doorMachine, { address }), 'there is an actor at door already');
    assert.deepEqual(host.addresses, [address]);
  });

  it('takes an address again whose actor has ended', async () => {
    const { host } = testHost();
    for (const machine of [instantMachine, stillbornMachine, doorMachine])
      host.start(machine as typeof doorMachine, { address }).stop();
    await nextTurn();
    host.start(doorMachine, { address });
    assert.equal(host.snapshotOf(address)!.status, 'active');
  });

  it('takes an address again whose actor could not be bound', () => {
    const { host } = testHost();
    const bind = () => {
      throw new Error('no handle');
    };
    assert.throws(() => host.start(doorMachine, { address, bind }), 'no handle');
    assert.deepEqual(host.addresses, []);
  });

  it('binds the actor before its first step', () => {
    const { host } = testHost();
    const known = new WeakSet<object>();
    let found = false;
    const machine = setup({
      actions: {
        look: ({ self }) => {
          found = known.has(self);
        },
      },
    }).createMachine({ entry: 'look' });
    host.start(machine, { address, bind: (actor) => void known.add(actor) });
    assert.isTrue(found);
  });

  it('has what its first step posts heard after its owner has it in hand', async () => {
    const { host } = testHost();
    const order: string[] = [];
    const machine = setup({
      actions: { post: () => host.later(() => order.push('heard')) },
    }).createMachine({ entry: 'post' });
    host.start(machine, { address });
    order.push('started');
    await nextTurn();
    assert.deepEqual(order, ['started', 'heard']);
  });

  it('knows nothing of an actor that is not there', () => {
    assert.isUndefined(testHost().host.snapshotOf(address));
  });
});

describe('the end of an actor', () => {
  it('is told once, with its output, when it is done', () => {
    const { host } = testHost();
    const ends: unknown[] = [];
    const door = host.start(doorMachine, { address, onEnd: (end) => ends.push(end) });
    for (const type of ['open', 'close', 'lock', 'lock'] as const) door.post({ type });
    door.stop();
    assert.deepEqual(ends, [{ how: 'done', output: { opened: 1 } }]);
    assert.deepEqual(host.addresses, []);
  });

  it('is told once when it is stopped, however often', () => {
    const { host } = testHost();
    const { ends, onEnd } = collectEnds();
    const door = host.start(doorMachine, { address, onEnd });
    door.stop();
    door.stop();
    assert.deepEqual(ends, ['stopped']);
  });

  it('is told after the actor is in hand, also if its first step is its last', async () => {
    const { host } = testHost();
    for (const machine of [instantMachine, stillbornMachine]) {
      const order: string[] = [];
      host.start(machine as typeof instantMachine, { address, onEnd: () => order.push('ended') });
      order.push('started');
      await nextTurn();
      assert.deepEqual(order, ['started', 'ended']);
    }
  });

  const crashes: [where: string, type: 'break' | 'burn', message: string][] = [
    ['an action', 'break', 'the hinge broke'],
    ['a guard', 'burn', 'there is fire'],
  ];
  for (const [where, type, message] of crashes)
    it(`is a crash, told once and logged, when ${where} throws`, () => {
      const { host, logged } = testHost();
      const { ends, onEnd } = collectEnds();
      const door = host.start(doorMachine, { address, onEnd });
      door.post({ type });
      door.post({ type });
      door.stop();
      assert.lengthOf(ends, 1);
      assert.isTrue(ends[0]!.startsWith('crashed: '));
      assert.include(ends[0], message);
      assert.lengthOf(logged, 1);
      assert.equal(logged[0]!.level, 'error');
      assert.include(logged[0]!.message, 'actor door crashed');
      assert.deepEqual(host.addresses, []);
    });

  it('is a crash when its first step throws', async () => {
    const { host, logged } = testHost();
    const { ends, onEnd } = collectEnds();
    host.start(stillbornMachine, { address, onEnd });
    await nextTurn();
    assert.deepEqual(ends, ['crashed: no air']);
    assert.lengthOf(logged, 1);
    assert.deepEqual(host.addresses, []);
  });

  it('is a crash when its context can not be made', async () => {
    const { host } = testHost();
    const { ends, onEnd } = collectEnds();
    const machine = setup({ types: { context: {} as object } }).createMachine({
      context: () => {
        throw new Error('no room');
      },
    });
    host.start(machine, { address, onEnd });
    await nextTurn();
    assert.deepEqual(ends, ['crashed: no room']);
  });

  it('is a crash when what it does after a delay throws', () => {
    const { host, clock } = testHost();
    const { ends, onEnd } = collectEnds();
    const machine = setup({
      actions: {
        breakDown: () => {
          throw new Error('too late');
        },
      },
      delays: { later: 100 },
    }).createMachine({ initial: 'a', states: { a: { after: { later: { actions: 'breakDown' } } } } });
    host.start(machine, { address, onEnd });
    clock.advance(100);
    assert.deepEqual(ends, ['crashed: too late']);
  });

  it('leaves no timer behind', () => {
    const { host, clock } = testHost();
    for (const end of ['break', 'close'] as const) {
      const door = host.start(doorMachine, { address });
      door.post({ type: 'open' });
      assert.equal(clock.pending, 1);
      door.post({ type: end });
      door.stop();
      assert.equal(clock.pending, 0);
    }
  });

  it('lets events that come after it fall to the ground', () => {
    const { host } = testHost();
    const door = host.start(doorMachine, { address });
    door.post({ type: 'break' });
    door.post({ type: 'open' });
    door.stop();
    assert.deepEqual(host.addresses, []);
  });
});

describe('the children of an actor', () => {
  it('are all ended when it crashes, also those of its children', () => {
    const { host } = testHost();
    const alive = new Set<string>();
    const family = host.start(familyMachine(alive), { address });
    assert.deepEqual([...alive].sort(), ['child', 'grandchild']);
    family.post({ type: 'fail' });
    assert.isEmpty(alive);
  });

  it('are all ended when it is stopped', () => {
    const { host } = testHost();
    const alive = new Set<string>();
    host.start(familyMachine(alive), { address }).stop();
    assert.isEmpty(alive);
  });

  it('crash it when they fail and it does not care, and the others are ended', () => {
    const { host } = testHost();
    const alive = new Set<string>();
    const { ends, onEnd } = collectEnds();
    host.start(familyMachine(alive), { address, onEnd }).post({ type: 'fail child' });
    assert.deepEqual(ends, ['crashed: child fell']);
    assert.notInclude([...alive], 'grandchild');
  });

  it('do not crash it when they fail and it cares', () => {
    const { host } = testHost();
    const alive = new Set<string>();
    const { ends, onEnd } = collectEnds();
    host.start(familyMachine(alive, { handles: true }), { address, onEnd }).post({ type: 'fail child' });
    assert.isEmpty(ends);
    assert.include([...alive], 'grandchild');
    assert.equal(host.snapshotOf(address)!.status, 'active');
  });
});

describe('Host.later()', () => {
  it('runs tasks in the order in which they were given, and never one within another', () => {
    const { host } = testHost();
    const order: string[] = [];
    host.later(() => {
      host.later(() => {
        order.push('c begins');
        host.later(() => order.push('e'));
        order.push('c ends');
      });
      host.later(() => order.push('d'));
      order.push('b ends');
    });
    assert.deepEqual(order, ['b ends', 'c begins', 'c ends', 'd', 'e']);
  });

  it('does not grow the stack by a chain of 10,000', () => {
    const { host } = testHost();
    let depth = 0;
    let deepest = 0;
    let ran = 0;
    const step = (): void => {
      depth++;
      deepest = Math.max(deepest, depth);
      ran++;
      if (ran < 10_000) host.later(step);
      depth--;
    };
    host.later(step);
    assert.deepEqual([ran, deepest], [10_000, 1]);
  });

  it('goes on after a task that throws, whose error goes to who gave the first', async () => {
    const { host } = testHost();
    const order: string[] = [];
    assert.throws(
      () =>
        host.later(() => {
          host.later(() => order.push('after'));
          host.later(() => order.push('at last'));
          throw new Error('a mistake');
        }),
      'a mistake',
    );
    await nextTurn();
    assert.deepEqual(order, ['after', 'at last']);
  });

  it('goes on with new tasks after one that throws', () => {
    const { host } = testHost();
    let ran = false;
    assert.throws(() =>
      host.later(() => {
        throw new Error('a mistake');
      }),
    );
    host.later(() => {
      ran = true;
    });
    assert.isTrue(ran);
  });
});

describe('Hosted.post()', () => {
  it('never runs the receiver within the turn of the sender', () => {
    const { heard, deepest } = playBall(4);
    assert.deepEqual(heard, ['a 1', 'b 2', 'a 3', 'b 4']);
    assert.equal(deepest, 1);
  });

  it('does not grow the stack by a chain of 10,000', () => assert.lengthOf(playBall(10_000).heard, 10_000));

  it('keeps the order of all that is posted, whoever gets it', () => {
    const { host } = testHost();
    const seen: string[] = [];
    const watch = (name: string) =>
      host.start(
        setup({
          types: { events: {} as { type: 'e'; n: number } },
          actions: { note: ({ event }) => void seen.push(`${name}${event.n}`) },
        }).createMachine({ on: { e: { actions: 'note' } } }),
        { address: addressOf(name) },
      );
    const [a, b] = [watch('a'), watch('b')];
    host.later(() => {
      for (const [to, n] of [
        [a, 1],
        [b, 2],
        [a, 3],
        [a, 4],
        [b, 5],
      ] as const)
        to.post({ type: 'e', n });
    });
    assert.deepEqual(seen, ['a1', 'b2', 'a3', 'a4', 'b5']);
  });
});

describe('a timer', () => {
  it('takes its turn like everything else', () => {
    const { host, clock } = testHost();
    const door = host.start(doorMachine, { address });
    door.post({ type: 'open' });
    const states: unknown[] = [];
    const note = () => states.push(host.snapshotOf(address)!.value);
    host.later(() => {
      clock.advance(1_000);
      note();
      host.later(note);
    });
    assert.deepEqual(states, ['open', 'closed']);
  });

  it('that was cancelled does nothing, also if its turn was due already', () => {
    const { host, clock } = testHost();
    const door = host.start(doorMachine, { address });
    door.post({ type: 'open' });
    host.later(() => {
      door.post({ type: 'close' });
      door.post({ type: 'open' });
      clock.advance(1_000);
    });
    assert.equal(host.snapshotOf(address)!.value, 'open', 'it was opened anew for a second');
    clock.advance(1_000);
    assert.equal(host.snapshotOf(address)!.value, 'closed');
  });
});

describe('the flight recorder', () => {
  function flightOf(run: (t: ReturnType<typeof testHost>) => void): string[] {
    const recorder = new FlightRecorder();
    try {
      run(testHost(recorder));
      const { fd, bytes } = recorder.offer;
      const { records, problem } = readFlight(fd, bytes, 0, 100);
      assert.isUndefined(problem);
      return records.map(({ actor, event, state }) => `${actor}: ${event} -> ${state}`);
    } finally {
      recorder.close();
    }
  }

  it('has the transitions of all hosted machines, and their ends', () => {
    const records = flightOf(({ host, clock }) => {
      const door = host.start(doorMachine, { address });
      door.post({ type: 'open' });
      clock.advance(1_000);
      door.post({ type: 'lock' });
    });
    assert.deepEqual(records, [
      'door: open -> open',
      'door: xstate.after.closing.door.open -> closed',
      'door: lock -> locked',
      'door: (done) -> done',
    ]);
  });

  it('has the steps of what is no machine, with its status for a state', () => {
    const records = flightOf(({ host }) => {
      const counter = host.start(
        fromTransition((count: number) => count + 1, 0),
        { address },
      );
      counter.post({ type: 'count' });
    });
    assert.deepEqual(records, ['door: count -> active']);
  });

  it('has crashes', () => {
    const records = flightOf(({ host }) => host.start(doorMachine, { address }).post({ type: 'break' }));
    assert.equal(records.at(-1), 'door: (crashed) -> crashed');
  });
});
