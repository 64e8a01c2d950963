// Warnings: what a valid topology says that will hardly be meant.
import { assert } from 'chai';
import { setup } from 'xstate';
import { machineWarnings } from '../../src/spec/machine-lint.ts';
import { actor, defineTopology, exec, supervisor } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';
import { lintTopology } from '../../src/spec/topology-lint.ts';

type Input = Parameters<typeof defineTopology>[0];

function warningsOf(topology: Omit<Input, 'name'>): [string, string][] {
  const checked = checkTopology(defineTopology({ name: 'lint', ...topology } as Input), '/tmp/topology.ts');
  return lintTopology(checked).map(({ file, path, text }) => {
    assert.equal(file, '/tmp/topology.ts');
    return [path, text];
  });
}

const sleeper = (options: Parameters<typeof exec>[1] = {}) => exec('sleep', { args: ['1'], ...options });
const steady = { minMs: 1_000, maxMs: 1_000, factor: 1, jitter: 0 };

describe('the warnings of a topology', () => {
  it('are none for what has its defaults', () => {
    assert.deepEqual(
      warningsOf({ children: { a: sleeper(), b: sleeper({ dependsOn: { a: 'ready' } }) } }),
      [],
    );
  });

  const limits: [claim: string, giveUp: { restarts: number; periodMs: number }, warns: RegExp | undefined][] =
    [
      [
        'that can never trip',
        { restarts: 10, periodMs: 9_999 },
        /never trip: by its backoff 11 restarts take 10000 ms/,
      ],
      ['that can just trip', { restarts: 10, periodMs: 10_000 }, undefined],
      ['that trips at once', { restarts: 0, periodMs: 10_000 }, /the first crash ends it for good/],
    ];
  for (const [claim, giveUp, warns] of limits)
    it(`tell of a limit of restarts ${claim}${warns ? '' : ' nothing'}`, () => {
      const found = warningsOf({ children: { a: sleeper({ backoff: steady, giveUp }) } });
      assert.lengthOf(found, warns ? 1 : 0);
      if (!warns) return;
      assert.match(found[0]![0], /^children\.a\.giveUp/);
      assert.match(found[0]![1], warns);
    });

  it('count a backoff that grows, up to its limit, less its jitter', () => {
    // 200, 400, 800 and 800 ms, of which a half is certain: 1100 ms between the first and the fifth.
    const backoff = { minMs: 100, maxMs: 800, factor: 2, jitter: 0.5 };
    const within = (periodMs: number) =>
      warningsOf({ children: { a: sleeper({ backoff, giveUp: { restarts: 4, periodMs } }) } });
    assert.lengthOf(within(1_099), 1);
    assert.lengthOf(within(1_100), 0);
  });

  it('tell of an intensity that the backoff of all children together never reaches, or that no backoff precedes', () => {
    const children = { a: sleeper({ backoff: steady }), b: sleeper({ backoff: steady }) };
    assert.match(
      warningsOf({ intensity: 10, periodMs: 2_000, children })[0]!.join(': '),
      /^intensity: .*at most 6 times in 2000 ms/,
    );
    assert.lengthOf(warningsOf({ intensity: 5, periodMs: 2_000, children }), 0);
    assert.match(warningsOf({ intensity: 0, children })[0]!.join(': '), /^intensity: with 0 the first crash/);
  });

  it('tell of gates, with the whole path of nested ones', () => {
    const children = {
      above: supervisor({
        strategy: 'rest-for-one',
        children: {
          late: sleeper({ dependsOn: { early: 'ready', vague: 'started' } }),
          early: sleeper(),
          vague: sleeper(),
          once: sleeper({ restart: 'temporary' }),
          needs: sleeper({ dependsOn: { once: 'ready' } }),
        },
      }),
    };
    const found = warningsOf({ children }).filter(([path]) => path.includes('dependsOn'));
    assert.deepEqual(
      found.map(([path]) => path),
      [
        'children.above.children.late.dependsOn.early',
        'children.above.children.late.dependsOn.vague',
        'children.above.children.needs.dependsOn.once',
      ],
    );
    assert.match(found[0]![1], /stands behind late/);
    assert.match(found[2]![1], /once is temporary/);
  });

  it('tell of the machines of actors', () => {
    const machine = setup({}).createMachine({
      initial: 'a',
      states: { a: { initial: 'b', states: { b: { on: { '*': {} } } } } },
    });
    assert.deepEqual(
      warningsOf({
        children: { one: actor(machine), more: supervisor({ children: { two: actor(machine) } }) },
      }).map(([path]) => path),
      [
        "children.one.source.states.a.states.b.on['*']",
        "children.more.children.two.source.states.a.states.b.on['*']",
      ],
    );
  });
});

describe('the warnings of a machine', () => {
  const paths = (config: unknown) => machineWarnings(config).map(({ path }) => path);

  it("are of a bare '*', not of a prefix", () => {
    assert.deepEqual(paths({ on: { '*': 'x' } }), ["on['*']"]);
    assert.deepEqual(paths({ on: { 'message.*': 'x' } }), []);
  });

  it('are of what is invoked without onError, in a list too', () => {
    const promise = { src: 'load' };
    assert.deepEqual(paths({ states: { a: { invoke: promise } } }), ['states.a.invoke']);
    assert.deepEqual(paths({ invoke: [{ ...promise, onError: 'x' }, promise] }), ['invoke[1]']);
    assert.deepEqual(paths({ invoke: promise, on: { 'xstate.error.actor.load': 'x' } }), []);
  });

  it('are none for what is no machine', () => {
    for (const value of [undefined, null, 1, 'on', [], () => {}])
      assert.deepEqual(machineWarnings(value), []);
  });
});
