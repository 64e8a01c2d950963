// What leads from one topology to another, row by row of the table in docs/supervision.md.
import { assert } from 'chai';
import { setup } from 'xstate';
import type { SupervisorSpec } from '../../src/spec/child.ts';
import { addChild, type Change, changesBetween, dropChild, takeOver } from '../../src/spec/difference.ts';
import { actor, exec, supervisor } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';

const topology = (children: object, more: object = {}) =>
  checkTopology({ name: 'shop', children, ...more }, '/tmp/topology.mjs');
const sleeper = (more: object = {}) => exec('sleep', { args: ['1'], ...more });
const between = (now: object, next: object) =>
  changesBetween(topology(now), topology(next)).map(({ do: what, unit, keys }) => [what, unit, ...keys]);

/** As loaded twice: never the same objects. */
const counter = (step: number) =>
  setup({ actions: { count: step === 1 ? () => 1 : () => 2 } }).createMachine({
    entry: 'count',
    on: { go: {} },
  });

describe('changesBetween()', () => {
  const rows: [what: string, now: object, next: object, changes: string[][]][] = [
    ['a child more', { a: sleeper() }, { a: sleeper(), b: sleeper() }, [['add', 'b']]],
    ['a child less', { a: sleeper(), b: sleeper() }, { a: sleeper() }, [['remove', 'b']]],
    ['another order of children', { a: sleeper(), b: sleeper() }, { b: sleeper(), a: sleeper() }, []],
    ['other arguments', { a: sleeper() }, { a: sleeper({ args: ['2'] }) }, [['restart', 'a', 'args']]],
    ['other variables', { a: sleeper() }, { a: sleeper({ env: { X: '1' } }) }, [['restart', 'a', 'env']]],
    ['another folder', { a: sleeper() }, { a: sleeper({ cwd: '/' }) }, [['restart', 'a', 'cwd']]],
    ['another program', { a: sleeper() }, { a: exec('true', { args: ['1'] }) }, [['restart', 'a', 'file']]],
    [
      'whether it survives',
      { a: sleeper() },
      { a: sleeper({ survive: true }) },
      [['restart', 'a', 'survive']],
    ],
    ...(
      [
        ['restart', 'transient'],
        ['shutdown', 1],
        ['stableMs', 1],
        ['startTimeoutMs', 1],
        ['giveUp', { restarts: 1, periodMs: 1 }],
        ['backoff', { minMs: 1 }],
        ['log', { files: 2 }],
        ['ready', { tcp: 1 }],
        ['liveness', { tcp: 1 }],
        ['onDependency', { lost: 'SIGUSR1' }],
      ] as const
    ).map(([key, value]): [string, object, object, string[][]] => [
      `another ${key}`,
      { a: sleeper() },
      { a: sleeper({ [key]: value }) },
      [['change', 'a', key]],
    ]),
    [
      'an edge more',
      { a: sleeper(), b: sleeper() },
      { a: sleeper(), b: sleeper({ dependsOn: { a: 'ready' } }) },
      [['change', 'b', 'dependsOn']],
    ],
    [
      'another kind',
      { a: sleeper() },
      { a: supervisor({ children: { b: sleeper() } }) },
      [['replace', 'a', 'kind']],
    ],
    [
      'children of a supervisor below',
      { a: supervisor({ children: { b: sleeper(), c: sleeper() } }) },
      { a: supervisor({ strategy: 'one-for-all', children: { c: sleeper(), d: sleeper() } }) },
      [
        ['change', 'a', 'strategy'],
        ['remove', 'a/b'],
        ['add', 'a/d'],
      ],
    ],
    [
      'the template of a pool',
      { a: supervisor({ strategy: 'dynamic', child: sleeper() }) },
      { a: supervisor({ strategy: 'dynamic', child: sleeper({ args: ['2'] }) }) },
      [['change', 'a', 'pool']],
    ],
    [
      'a pool in place of a supervisor',
      { a: supervisor({ children: { b: sleeper() } }) },
      { a: supervisor({ strategy: 'dynamic', child: sleeper() }) },
      [['replace', 'a', 'kind']],
    ],
    ['an actor that was only loaded again', { a: actor(counter(1)) }, { a: actor(counter(1)) }, []],
    [
      'the code of an actor',
      { a: actor(counter(1)) },
      { a: actor(counter(2)) },
      [['restart', 'a', 'source']],
    ],
    [
      'the input of an actor',
      { a: actor(counter(1), 1) },
      { a: actor(counter(1), 2) },
      [['restart', 'a', 'input']],
    ],
    [
      'the rules of an actor',
      { a: actor(counter(1)) },
      { a: actor(counter(1), undefined, { shutdown: 1 }) },
      [['change', 'a', 'shutdown']],
    ],
    [
      'what is below a supervisor of actors',
      { a: supervisor({ children: { b: actor(counter(1)) } }) },
      { a: supervisor({ children: { b: actor(counter(2)) } }) },
      [['restart', 'a', 'children']],
    ],
    [
      'the rules of a supervisor of actors as a child',
      { a: supervisor({ children: { b: actor(counter(1)) } }) },
      { a: supervisor({ shutdown: 1, children: { b: actor(counter(1)) } }) },
      [['change', 'a', 'shutdown']],
    ],
    [
      'a supervisor of actors in place of one of processes',
      { a: supervisor({ children: { b: sleeper() } }) },
      { a: supervisor({ children: { b: actor(counter(1)) } }) },
      [['replace', 'a', 'kind']],
    ],
  ];
  for (const [what, now, next, changes] of rows)
    it(`for ${what}: ${changes.map(([step]) => step).join(', ') || 'nothing'}`, () =>
      assert.deepEqual(between(now, next), changes));

  it('has the rules of the root under an empty name', () =>
    assert.deepEqual(
      changesBetween(topology({ a: sleeper() }), topology({ a: sleeper() }, { strategy: 'one-for-all' })),
      [{ do: 'change', unit: '', keys: ['strategy'] }] satisfies Change[],
    ));
});

describe('a child that a program has added', () => {
  const child = () => topology({ late: sleeper() }).children.late!;
  const running = (): SupervisorSpec => {
    const spec = topology({ a: sleeper() });
    addChild(spec, 'late', child());
    return spec;
  };
  const apply = (spec: SupervisorSpec, next: SupervisorSpec) => takeOver(spec, next, new Set());

  it('stays, behind the others, when a file is applied that does not name it', () => {
    const spec = running();
    const next = topology({ b: sleeper() });
    assert.deepEqual(
      changesBetween(spec, next).map(({ do: what, unit }) => [what, unit]),
      [
        ['remove', 'a'],
        ['add', 'b'],
      ],
    );
    apply(spec, next);
    assert.deepEqual(Object.keys(spec.children), ['b', 'a', 'late']);
    assert.deepEqual(
      changesBetween(spec, topology({ b: sleeper() })).map(({ unit }) => unit),
      ['a'],
    );
  });

  it('is one of the file as soon as that names it, and goes with it', () => {
    const spec = running();
    apply(spec, topology({ a: sleeper(), late: sleeper() }));
    assert.deepEqual(
      changesBetween(spec, topology({ a: sleeper() })).map(({ do: what, unit }) => [what, unit]),
      [['remove', 'late']],
    );
  });

  it('is forgotten with all that was known of it', () => {
    const spec = running();
    dropChild(spec, 'late');
    assert.deepEqual([Object.keys(spec.children), spec.added], [['a'], []]);
  });
});
