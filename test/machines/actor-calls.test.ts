// What can be asked of a supervisor of actors while it runs: the answers of OTP's, row by row.
import { assert } from 'chai';
import type { ChildRef } from '../../src/spec/supervision.ts';
import { actor, supervisor } from '../../src/spec/topology.ts';
import { Actors, polite, stubborn } from '../support/machines/actors.ts';

async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    return (error as { code: string }).code;
  }
  return assert.fail('it was answered');
}

/** A supervisor with one child in each condition. */
function someOfEach(): Actors {
  const actors = new Actors((t) => {
    t.mood('ignored', 'ignores');
    return {
      intensity: 'infinity',
      children: {
        up: t.child('up'),
        down: t.child('down'),
        ignored: t.child('ignored'),
        failing: t.child('failing'),
        temporary: t.child('temporary', { restart: 'temporary' }),
      },
    };
  });
  void actors.supervision.terminateChild('down');
  actors.mood('failing', 'fails').tell('failing', 'crash');
  return actors;
}

const errorOf = (answer: { ok: boolean; error?: unknown }) => (answer.ok ? 'ok' : answer.error);

describe('startChild()', () => {
  it('adds a child at the end and starts it, with what its start function tells', async () => {
    const actors = new Actors((t) => ({ children: { a: t.child('a') } }));
    const answer = await actors.supervision.startChild('b', actors.child('b'));
    assert.deepInclude(answer, { ok: true, info: 'info of b' });
    assert.deepEqual(await actors.phases(), { a: 'up', b: 'up' });
  });

  const rows: [id: string, error: unknown][] = [
    ['up', 'already-started'],
    ['down', 'already-present'],
    ['ignored', 'already-present'],
    ['failing', 'already-present'],
  ];
  for (const [id, error] of rows)
    it(`answers ${error} for one that is ${id}`, async () => {
      const actors = someOfEach();
      const answer = await actors.supervision.startChild(id, actors.child(id));
      assert.equal(errorOf(answer), error);
      if (id === 'up') assert.equal(!answer.ok && answer.ref!.address, 'top/up');
    });

  it('answers why a start failed, and forgets the child', async () => {
    const actors = someOfEach();
    const answer = await actors.supervision.startChild('new', actors.mood('new', 'fails').child('new'));
    assert.deepEqual(answer, { ok: false, error: { failed: 'no luck' } });
    assert.equal(errorOf(await actors.supervision.whichChild('new')), 'not-found');
  });

  it('keeps a child that is to be ignored, without a ref, unless it is temporary', async () => {
    const actors = someOfEach();
    actors.mood('new', 'ignores').mood('once', 'ignores');
    assert.deepEqual(await actors.supervision.startChild('new', actors.child('new')), {
      ok: true,
      ref: null,
    });
    await actors.supervision.startChild('once', actors.child('once', { restart: 'temporary' }));
    assert.equal((await actors.phases()).new, 'down');
    assert.notProperty(await actors.phases(), 'once');
  });

  it('answers only once a start that takes its time is over', async () => {
    const actors = new Actors(() => ({ children: {} }));
    actors.mood('a', 'waits').mood('b', 'waits');
    const one = actors.supervision.startChild('a', actors.child('a'));
    const other = actors.supervision.startChild('b', actors.child('b'));
    await actors.settle('a', { logic: polite, info: 7 });
    await actors.settle('b', new Error('no'));
    assert.deepInclude(await one, { ok: true, info: 7 });
    assert.deepEqual(await other, { ok: false, error: { failed: 'no' } });
    assert.deepEqual(await actors.phases(), { a: 'up' });
  });

  it('answers what is wrong with a description', async () => {
    const { supervision } = someOfEach();
    const wrong: [string, object, RegExp][] = [
      ['no name!', actor(polite), /a name starts with a letter/],
      ['a', { kind: 'actor' }, /source: it must be the logic of an actor/],
      ['a', { kind: 'node', file: 'package.json' }, /there can be only actors here/],
      ['a', actor(polite, 0, { significant: true, restart: 'transient' }), /autoShutdown "never"/],
      ['a', actor(polite, 0, { shutdown: -1 }), /shutdown: it must be milliseconds/],
    ];
    for (const [id, child, why] of wrong) {
      const answer = await supervision.startChild(id, child as never);
      assert.match((errorOf(answer) as { failed: string }).failed, why);
    }
  });

  it('counts for no limit', async () => {
    const actors = new Actors(() => ({ intensity: 0, children: {} }));
    for (const id of ['a', 'b', 'c']) await actors.supervision.startChild(id, actors.child(id));
    assert.isUndefined(actors.output);
  });
});

describe('terminateChild()', () => {
  for (const [id, phase] of [
    ['up', 'down'],
    ['down', 'down'],
    ['ignored', 'down'],
    ['failing', 'down'],
    ['temporary', undefined],
  ] as const)
    it(`stops one that is ${id}, which is ${phase ?? 'forgotten'} then`, async () => {
      const actors = someOfEach();
      assert.deepEqual(await actors.supervision.terminateChild(id), { ok: true });
      assert.equal((await actors.phases())[id], phase);
    });

  it('answers not-found for one that nobody knows', async () =>
    assert.equal(errorOf(await someOfEach().supervision.terminateChild('ghost')), 'not-found'));

  it('answers once the child is gone, to all who asked', async () => {
    const actors = new Actors((t) => ({ children: { a: t.child('a', { shutdown: 1_000 }, stubborn) } }));
    const calls = [actors.supervision.terminateChild('a'), actors.supervision.terminateChild('a')];
    assert.deepEqual(await actors.phases(), { a: 'stopping' });
    actors.pass(1_000);
    assert.deepEqual(await Promise.all(calls), [{ ok: true }, { ok: true }]);
  });

  it('is no restart: the child stays down, whatever its restart type', async () => {
    const actors = someOfEach();
    await actors.supervision.terminateChild('up');
    actors.pass(100_000);
    assert.equal((await actors.phases()).up, 'down');
  });

  it('takes a ref too', async () => {
    const actors = someOfEach();
    const answer = await actors.supervision.whichChild('up');
    assert.deepEqual(await actors.supervision.terminateChild(answer.ok ? answer.child.ref! : 'no'), {
      ok: true,
    });
  });
});

describe('restartChild() and deleteChild()', () => {
  const rows: [id: string, restart: unknown, remove: unknown][] = [
    ['up', 'running', 'running'],
    ['down', 'ok', 'ok'],
    ['failing', 'restarting', 'restarting'],
    ['ghost', 'not-found', 'not-found'],
  ];
  for (const [id, restart, remove] of rows)
    it(`answer ${restart} and ${remove} for one that is ${id}`, async () => {
      assert.equal(errorOf(await someOfEach().supervision.restartChild(id)), restart);
      assert.equal(errorOf(await someOfEach().supervision.deleteChild(id)), remove);
    });

  it('keeps a child whose start fails', async () => {
    const actors = someOfEach();
    const answer = await actors.mood('down', 'fails').supervision.restartChild('down');
    assert.deepEqual(answer, { ok: false, error: { failed: 'no luck' } });
    assert.equal((await actors.phases()).down, 'down');
  });

  it('has forgotten a deleted child, whose name is free then', async () => {
    const actors = someOfEach();
    await actors.supervision.deleteChild('down');
    assert.deepInclude(await actors.supervision.startChild('down', actors.child('down')), { ok: true });
  });
});

describe('what only looks', () => {
  it('has the newest child first, with its ref while it runs', async () => {
    const children = await someOfEach().supervision.whichChildren();
    assert.deepEqual(
      children.map(({ id, ref, phase, type }) => [id, ref !== null, phase, type]),
      [
        ['temporary', true, 'up', 'worker'],
        ['failing', false, 'restarting', 'worker'],
        ['ignored', false, 'down', 'worker'],
        ['down', false, 'down', 'worker'],
        ['up', true, 'up', 'worker'],
      ],
    );
  });

  it('counts what is known, and what runs', async () => {
    const actors = someOfEach();
    await actors.supervision.startChild('x', supervisor({ children: {} }));
    assert.deepEqual(await actors.supervision.countChildren(), {
      specs: 6,
      active: 3,
      supervisors: 1,
      workers: 5,
    });
    await actors.supervision.terminateChild('x');
    await actors.supervision.deleteChild('x');
    assert.deepInclude(await actors.supervision.countChildren(), { supervisors: 0, active: 2 });
  });

  it('has the spec of a child with all defaults', async () => {
    assert.deepEqual(await someOfEach().supervision.getChildSpec('up'), {
      ok: true,
      spec: {
        id: 'up',
        kind: 'actor',
        type: 'worker',
        restart: 'permanent',
        shutdown: 5_000,
        significant: false,
      },
    });
    assert.equal(errorOf(await someOfEach().supervision.getChildSpec('ghost')), 'not-found');
  });

  it('reaches the supervisors below', async () => {
    const actors = new Actors((t) => ({ children: { x: supervisor({ children: { a: t.child('a') } }) } }));
    const [entry] = await actors.supervision.whichChildren();
    const [below] = await entry!.ref!.supervisor!.whichChildren();
    assert.equal(below!.ref!.address, 'top/x/a');
  });

  it('is answered while a group restarts; what changes something waits', async () => {
    const actors = new Actors((t) => ({
      strategy: 'one-for-all',
      children: { a: t.child('a'), b: t.child('b', { shutdown: 1_000 }, stubborn) },
    }));
    actors.forget().tell('a', 'crash');
    const call = actors.supervision.startChild('c', actors.child('c'));
    assert.deepEqual(await actors.phases(), { a: 'restarting', b: 'stopping' });
    actors.pass(1_000);
    assert.deepInclude(await call, { ok: true });
    assert.deepEqual(actors.happened, ['a starts', 'b starts', 'c starts']);
  });
});

describe('a dynamic supervisor', () => {
  const pool = () =>
    new Actors((t) => ({ strategy: 'dynamic', child: t.child('w', { restart: 'transient' }) }));
  const refOf = async (actors: Actors): Promise<ChildRef> => {
    const answer = await actors.supervision.startChild();
    return answer.ok ? answer.ref! : assert.fail();
  };

  it('starts any number from its template, each with its own input', async () => {
    const actors = new Actors(() => ({ strategy: 'dynamic', child: actor(polite, 'first') }));
    const inputs = [undefined, 'second', 3].map((input) => actors.supervision.startChild(input));
    const seen = (await Promise.all(inputs)).map(
      (answer) => (answer.ok && (answer.ref!.getSnapshot() as { context: object }).context) || null,
    );
    assert.deepEqual(seen, [{ input: 'first' }, { input: 'second' }, { input: 3 }]);
  });

  it('knows its children by their refs only', async () => {
    const actors = pool();
    const ref = await refOf(actors);
    assert.isNull(ref.id);
    assert.equal(errorOf(await actors.supervision.terminateChild('w')), 'dynamic');
    assert.equal(errorOf(await actors.supervision.restartChild(ref)), 'dynamic');
    assert.equal(errorOf(await actors.supervision.deleteChild(ref)), 'dynamic');
    assert.deepEqual(await actors.supervision.terminateChild(ref), { ok: true });
    assert.deepEqual(await actors.supervision.terminateChild(ref), { ok: true }, 'it is gone already');
  });

  it('does not stop the child of another', async () => {
    const stranger = await refOf(pool());
    const actors = pool();
    await refOf(actors);
    assert.equal(errorOf(await actors.supervision.terminateChild(stranger)), 'not-found');
  });

  it('answers a plain reason for a start that fails, and forgets what is to be ignored', async () => {
    const actors = pool();
    actors.mood('w', 'fails');
    assert.deepEqual(await actors.supervision.startChild(), { ok: false, error: { failed: 'no luck' } });
    actors.mood('w', 'ignores');
    assert.deepEqual(await actors.supervision.startChild(), { ok: true, ref: null });
    assert.deepInclude(await actors.supervision.countChildren(), { specs: 1, active: 0, workers: 0 });
  });
});

describe('a supervisor of actors that is ending', () => {
  it('answers no call any more', async () => {
    const { supervision } = someOfEach();
    supervision.shutdown();
    for (const call of [
      supervision.startChild('a', actor(polite)),
      supervision.terminateChild('up'),
      supervision.restartChild('up'),
      supervision.deleteChild('up'),
      supervision.whichChildren(),
      supervision.countChildren(),
      supervision.getChildSpec('up'),
    ])
      assert.equal(await codeOf(call), 'ERR_STOPPING');
  });

  it('refuses a call that waited for a group', async () => {
    const actors = new Actors((t) => ({
      strategy: 'one-for-all',
      children: { a: t.child('a'), b: t.child('b', { shutdown: 1_000 }, stubborn) },
    }));
    actors.tell('a', 'crash');
    const call = codeOf(actors.supervision.startChild('c', actors.child('c')));
    actors.supervision.shutdown();
    assert.equal(await call, 'ERR_STOPPING');
  });
});

describe('the description of a supervisor of actors', () => {
  const wrong: [object, RegExp][] = [
    [{ strategy: 'one', children: {} }, /strategy: "one" is not allowed/],
    [{ intensity: -1, children: {} }, /intensity: it must be a whole number/],
    [{ periodMs: -1, children: {} }, /periodMs: it must be milliseconds/],
    [{ autoShutdown: 'some', children: {} }, /autoShutdown: "some" is not allowed/],
    [{ childs: {}, children: {} }, /childs: unknown key \(did you mean child/],
    [{}, /children: is missing/],
    [{ strategy: 'dynamic' }, /child: is missing/],
    [
      { strategy: 'dynamic', child: actor(polite), children: {} },
      /children: a dynamic supervisor has "child"/,
    ],
    [{ child: actor(polite), children: {} }, /child: only a dynamic supervisor has one/],
    [
      { strategy: 'dynamic', autoShutdown: 'any-significant', child: actor(polite) },
      /autoShutdown: a dynamic supervisor/,
    ],
    [
      { autoShutdown: 'any-significant', children: { a: actor(polite, 0, { significant: true }) } },
      /children.a.significant: a permanent child never ends for good/,
    ],
    [
      { children: { a: actor(polite, 0, { significant: true, restart: 'transient' }) } },
      /children.a.significant: its supervisor has autoShutdown "never"/,
    ],
    [{ children: { a: actor(7 as never) } }, /children.a.source: it must be the logic/],
    [
      { children: { a: actor(polite), b: actor(polite, 0, { dependsOn: { a: 'ready' } }) } },
      /without dependsOn/,
    ],
  ];
  for (const [spec, why] of wrong)
    it(`is refused: ${why.source}`, () => assert.throws(() => new Actors(() => spec as never), why));
});
