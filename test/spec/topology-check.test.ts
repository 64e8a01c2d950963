import { dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { assert } from 'chai';
import fc from 'fast-check';
import { IpcError } from '../../src/errors.ts';
import { processDefaults, supervisorDefaults } from '../../src/spec/child.ts';
import { processRulesDefaults, readyOf } from '../../src/spec/probe.ts';
import { arena, defineTopology, exec, node, supervisor } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';
import { mistakesOf as mistakesIn } from '../support/machines/topologies.ts';

/** The topologies below are this file's, and this file is also the program of their children. */
const file = fileURLToPath(import.meta.url);
const folder = dirname(file);
const program = './topology-check.test.ts';

const checked = (exported: unknown) => checkTopology(exported, file);
const mistakesOf = (exported: unknown) => mistakesIn(exported, file);
const child = (options: object, kind: 'node' | 'exec' = 'exec') => ({
  name: 'tree',
  children: { a: kind === 'exec' ? exec('true', options) : node(program, options) },
});

describe('checkTopology()', () => {
  describe('defaults', () => {
    const processes = {
      restart: 'permanent',
      shutdown: processDefaults.shutdown,
      dependsOn: {},
      startTimeoutMs: processDefaults.startTimeoutMs,
      backoff: processDefaults.backoff,
      stableMs: processDefaults.stableMs,
      giveUp: processDefaults.giveUp,
      ...processRulesDefaults,
      ready: readyOf('exec'),
      significant: false,
      args: [],
      env: {},
      cwd: folder,
    };

    it('are filled in for a tree and its processes', () => {
      const tree = defineTopology({ name: 'tree', children: { web: node(program), log: exec('logger') } });
      assert.deepEqual(checked(tree), {
        name: 'tree',
        file,
        strategy: 'one-for-one',
        intensity: 'infinity',
        periodMs: 5_000,
        autoShutdown: 'never',
        children: {
          web: { kind: 'node', file, app: 'web', ...processes, ready: readyOf('node') },
          log: { kind: 'exec', file: 'logger', ...processes },
        },
      } as never);
    });

    it('are filled in for a nested supervisor and what is below it', () => {
      const tree = { name: 'tree', children: { inner: supervisor({ children: { log: exec('logger') } }) } };
      const { inner } = checked(tree).children;
      const { strategy, intensity, periodMs, ...rest } = supervisorDefaults;
      assert.deepEqual(inner, {
        kind: 'supervisor',
        dependsOn: {},
        strategy,
        intensity,
        periodMs,
        ...rest,
        children: { log: { kind: 'exec', file: 'logger', ...processes } },
      } as never);
    });

    it('are filled in around the options of a process that are given', () => {
      const { a } = checked(child({ backoff: { minMs: 5 }, giveUp: { restarts: 2 } })).children;
      assert.deepEqual(a!.backoff, { ...processDefaults.backoff, minMs: 5 });
      assert.deepEqual(a!.giveUp, { ...processDefaults.giveUp, restarts: 2 });
    });

    it('are filled in around the options of a supervisor that are given, with its own', () => {
      const inner = supervisor({
        backoff: { jitter: 0.1 },
        giveUp: { restarts: 7 },
        children: { a: exec('true') },
      });
      const { backoff, giveUp } = checked({ name: 'tree', children: { inner } }).children.inner!;
      assert.deepEqual(backoff, { ...supervisorDefaults.backoff, jitter: 0.1 });
      assert.deepEqual(giveUp, { ...supervisorDefaults.giveUp, restarts: 7 });
    });
  });

  for (const [alias, restart] of [
    ['always', 'permanent'],
    ['on-failure', 'transient'],
    ['no', 'temporary'],
    ['permanent', 'permanent'],
    ['transient', 'transient'],
    ['temporary', 'temporary'],
  ] as const)
    it(`takes the restart type ${alias} for ${restart}`, () =>
      assert.equal(checked(child({ restart: alias })).children.a!.restart, restart));

  for (const shutdown of [0, 1_500, 'kill', 'infinity'] as const)
    it(`takes ${shutdown} for a shutdown`, () =>
      assert.equal(checked(child({ shutdown })).children.a!.shutdown, shutdown));

  describe('files', () => {
    const fileOf = (given: string, kind: 'node' | 'exec') => {
      const made = kind === 'node' ? node(given) : exec(given);
      const { a } = checked({ name: 'tree', children: { a: made } }).children;
      return 'file' in a! ? a.file : undefined;
    };

    it('of a node child are found from the topology file', () => {
      assert.equal(fileOf(program, 'node'), file);
      assert.equal(fileOf('topology-check.test.ts', 'node'), file);
      assert.equal(fileOf(file, 'node'), file);
      assert.equal(fileOf(pathToFileURL(file).href, 'node'), file);
    });

    it('of a program are found from there if they are paths, and else looked up in PATH', () => {
      assert.equal(fileOf('./tool', 'exec'), `${folder}/tool`);
      assert.equal(fileOf('../tool', 'exec'), `${dirname(folder)}/tool`);
      assert.equal(fileOf('/bin/tool', 'exec'), '/bin/tool');
      assert.equal(fileOf('tool', 'exec'), 'tool');
    });

    it('have their working folder found from there too', () => {
      const { a } = checked(child({ cwd: '..' })).children;
      assert.equal(a!.kind === 'exec' && a!.cwd, dirname(folder));
    });

    it('are refused if they are not there', () => {
      const tree = { name: 'tree', children: { a: node('./nothing.ts', { cwd: './nowhere' }) } };
      assert.deepEqual(mistakesOf(tree), [
        `children.a.cwd: there is no folder ${folder}/nowhere`,
        `children.a.file: there is no readable file ${folder}/nothing.ts`,
      ]);
    });

    it('are refused if a working folder is a file', () =>
      assert.deepEqual(mistakesOf(child({ cwd: '/bin/sh' })), [
        'children.a.cwd: there is no folder /bin/sh',
      ]));

    it('are refused if a file is a folder', () =>
      assert.deepEqual(mistakesOf({ name: 'tree', children: { a: node('.') } }), [
        `children.a.file: there is no readable file ${folder}`,
      ]));

    it('are refused if a URL names no file here', () =>
      assert.include(
        mistakesOf({ name: 'tree', children: { a: node('file://elsewhere/a.ts') } })[0],
        'children.a.file',
      ));
  });

  describe('a mistake', () => {
    const rows: [title: string, exported: unknown, ...parts: string[]][] = [
      ['no export at all', undefined, 'the exported value: is missing'],
      ['another export', 5, 'the exported value: must be an object, not 5'],
      ['a list', [], 'the exported value: must be an object, not []'],
      ['a function', () => {}, 'the exported value: must be an object, not a function'],
      ['no name', { children: { a: exec('true') } }, 'name: is missing; it must be a string'],
      [
        'a name that is none',
        { name: 'my tree', children: { a: exec('true') } },
        'name: a name starts with a letter and has at most 64 letters, digits, "_" or "-", not "my tree"',
      ],
      ['no children', { name: 'tree' }, 'children: is missing'],
      ['none of them', { name: 'tree', children: {} }, 'children: at least one child is needed'],
      [
        'a child whose name is none',
        { name: 'tree', children: { 'a b': exec('true') } },
        'children.a b: a name starts with a letter',
      ],
      [
        'an unknown key of the tree',
        { ...child({}), stategy: 'one-for-all' },
        'stategy: unknown key (did you mean strategy?); allowed: name, strategy, intensity, periodMs, autoShutdown, children, arenas',
      ],
      [
        'an arena without a size',
        { ...child({}), arenas: { shelf: arena({} as never) } },
        'arenas.shelf.bytes: is missing; it must be a number',
      ],
      [
        'an arena that is too small',
        { ...child({}), arenas: { shelf: arena({ bytes: 1000 }) } },
        'arenas.shelf.bytes: it must be a whole number of bytes, from 262144 to 1099511627776, not 1000',
      ],
      [
        'an unknown key of an arena',
        { ...child({}), arenas: { shelf: arena({ bytes: 1_000_000, byte: 1 } as never) } },
        'arenas.shelf.byte: unknown key (did you mean bytes?); allowed: bytes',
      ],
      [
        'an arena whose name is none',
        { ...child({}), arenas: { 'my shelf': arena({ bytes: 1_000_000 }) } },
        'arenas.my shelf: a name starts with a letter',
      ],
      [
        'an unknown strategy',
        { ...child({}), strategy: 'one-for-al' },
        'strategy: "one-for-al" is not allowed (did you mean one-for-all?); allowed: one-for-one, one-for-all, rest-for-one',
      ],
      ['an intensity below zero', { ...child({}), intensity: -1 }, 'intensity: ', '-1'],
      [
        'an intensity that is no number',
        { ...child({}), intensity: 'often' },
        'intensity: it must be a whole number, 0 or more, or "infinity", not "often"',
      ],
      [
        'a period that is no number',
        { ...child({}), periodMs: '5 s' },
        'periodMs: must be a number, not "5 s"',
      ],
      [
        'a child that is made by nothing',
        { name: 'tree', children: { a: { kind: 'nod', file: 'x' } } },
        'children.a',
        'is no child; make it with node(), exec(), actor() or supervisor()',
      ],
      [
        'a child that is nothing',
        { name: 'tree', children: { a: null } },
        'children.a: must be an object, not null',
      ],
      [
        'an unknown key of a child',
        child({ dependOn: {} }),
        'children.a.dependOn: unknown key (did you mean dependsOn?); allowed: ',
        ...Object.keys(processDefaults),
        ...['dependsOn', 'file', 'args', 'env', 'cwd'],
      ],
      ['an app of a plain program', child({ app: 'x' }), 'children.a.app: unknown key'],
      [
        'an unknown key of a backoff',
        child({ backoff: { min: 5 } }),
        'children.a.backoff.min: unknown key (did you mean minMs?); allowed: minMs, maxMs, factor, jitter',
      ],
      [
        'an unknown key of a limit',
        child({ giveUp: { restart: 5 } }),
        'children.a.giveUp.restart: unknown key (did you mean restarts?); allowed: restarts, periodMs',
      ],
      [
        'an unknown restart type',
        child({ restart: 'alway' }),
        'children.a.restart: "alway" is not allowed (did you mean always?); allowed: permanent, transient, temporary, always, on-failure, no',
      ],
      [
        'an unknown shutdown',
        child({ shutdown: 'soon' }),
        'children.a.shutdown: it must be milliseconds up to 2147483647, "kill" or "infinity", not "soon"',
      ],
      ['a time below zero', child({ startTimeoutMs: -4 }), 'children.a.startTimeoutMs: ', '-4'],
      ['a factor below 1', child({ backoff: { factor: 0.5 } }), 'children.a.backoff.factor: ', '0.5'],
      ['more jitter than all', child({ backoff: { jitter: 2 } }), 'children.a.backoff.jitter: ', '2'],
      ['an argument that is no text', child({ args: [5] }), 'children.a.args.0: must be a string, not 5'],
      [
        'a variable that is no text',
        child({ env: { A: 1 } }),
        'children.a.env.A: it must be a text, secret("NAME") or secret({ file }), not 1',
      ],
      ['a program without a name', { name: 'tree', children: { a: exec('') } }, 'children.a.file: ', '""'],
      [
        'a state that is none',
        child({ dependsOn: { b: 'a..b' } }),
        'children.a.dependsOn.b: a state is one name, or several joined by dots, not "a..b"',
      ],
      ['a list of dependencies', child({ dependsOn: ['b'] }), 'children.a.dependsOn: ', '["b"]'],
      [
        'a mistake below a nested supervisor',
        {
          name: 'tree',
          children: { inner: supervisor({ children: { a: exec('x', { restart: 'yes' as never }) } }) },
        },
        'children.inner.children.a.restart: "yes" is not allowed',
      ],
      ['a tree without children', { name: 'tree', children: {} }, 'children: at least one child is needed'],
    ];
    for (const [title, exported, ...parts] of rows)
      it(`is told with its place, what was found and what is allowed: ${title}`, () => {
        const mistakes = mistakesOf(exported);
        for (const part of parts) assert.include(mistakes[0], part);
      });

    it('is told together with all others of its kind', () => {
      const mistakes = mistakesOf({
        name: '1',
        strategy: 'all',
        extra: 1,
        children: {
          a: exec('true', { restart: 'maybe' as never, shutdown: -1 }),
          b: exec('true', { backof: {} } as never),
        },
      });
      assert.deepEqual(mistakes.map((line) => line.split(':')[0]).sort(), [
        'children.a.restart',
        'children.a.shutdown',
        'children.b.backof',
        'extra',
        'name',
        'strategy',
      ]);
    });

    it('is a time that no timer can take: it would be over at once', () => {
      for (const key of ['shutdown', 'startTimeoutMs', 'stableMs'])
        assert.include(mistakesOf(child({ [key]: 2 ** 31 }))[0], `children.a.${key}`);
      assert.include(mistakesOf(child({ backoff: { maxMs: 2 ** 31 } }))[0], 'children.a.backoff.maxMs');
    });

    it('is told in our words and not in those of a library', () => {
      for (const exported of [
        { ...child({}), intensity: -1 },
        child({ startTimeoutMs: -4 }),
        child({ giveUp: { restarts: 1.5 } }),
        { name: 'tree', children: { a: exec('') } },
        child({ dependsOn: ['b'] }),
      ])
        assert.notMatch(mistakesOf(exported)[0]!, /Too small|expected|a record|a int/);
    });
  });

  it('refuses whatever is no topology, and throws nothing else', () => {
    const anything = fc.anything({ withBigInt: true, withMap: true, withNullPrototype: true });
    const almost = fc.record(
      {
        name: fc.constant('tree'),
        strategy: anything,
        intensity: anything,
        children: fc.dictionary(
          fc.constantFrom('a', 'b'),
          fc.record(
            {
              kind: fc.constantFrom('exec', 'node', 'supervisor', 'x'),
              file: anything,
              dependsOn: anything,
              children: anything,
            },
            { requiredKeys: ['kind'] },
          ),
        ),
      },
      { requiredKeys: ['name', 'children'] },
    );
    fc.assert(
      fc.property(fc.oneof(anything, almost), (exported) => {
        try {
          checked(exported);
        } catch (error) {
          assert.instanceOf(error, IpcError, String(error));
        }
      }),
      { numRuns: 500 },
    );
  });

  it('refuses what refers to itself', () => {
    const round: Record<string, unknown> = { name: 'tree' };
    round.children = round;
    assert.isNotEmpty(mistakesOf(round));
  });
});
