import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import fc from 'fast-check';
import { setup } from 'xstate';
import type { Wanted } from '../../src/spec/child.ts';
import { startOrder } from '../../src/spec/start-order.ts';
import { actor, exec, node, supervisor } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';
import type { ChildInput } from '../../src/spec/topology-schema.ts';
import { mistakesOf as mistakesIn } from '../support/machines/topologies.ts';

const file = fileURLToPath(import.meta.url);
const program = './topology-gates.test.ts';

const tree = (children: Record<string, ChildInput>) => ({ name: 'tree', children });
const mistakesOf = (children: Record<string, ChildInput>) => mistakesIn(tree(children), file);
const needs = (...parents: string[]) =>
  exec('true', { dependsOn: Object.fromEntries(parents.map((parent) => [parent, 'ready'])) });

describe('a gate', () => {
  const accepted: [title: string, parent: ChildInput, wanted: string][] = [
    ['a node child that has been started', node(program), 'started'],
    ['a node child that is ready', node(program), 'ready'],
    ['a node child in any state of its own', node(program), 'market.open'],
    ['a program that runs', exec('true'), 'operative'],
    ['a program that has been started', exec('true'), 'started'],
    ['a transient job that has been done', exec('true', { restart: 'transient' }), 'completed'],
    ['a temporary job that has been done', exec('true', { restart: 'no' }), 'completed'],
    [
      'a supervisor all of whose children are ready',
      supervisor({ children: { a: exec('true') } }),
      'operative',
    ],
    ['a supervisor that makes do', supervisor({ children: { a: exec('true') } }), 'degraded'],
  ];
  for (const [title, parent, wanted] of accepted)
    it(`may wait for ${title}`, () => {
      const { b } = checkTopology(
        tree({ parent, b: exec('true', { dependsOn: { parent: wanted } }) }),
        file,
      ).children;
      assert.deepEqual(b!.dependsOn, { parent: wanted });
    });

  it('is refused on a name that no sibling has, and says which was meant', () => {
    assert.deepEqual(mistakesOf({ db: exec('true'), b: needs('dbb') }), [
      'children.b.dependsOn.dbb: no sibling has that name (did you mean db?); there are db, b',
    ]);
    assert.deepEqual(mistakesOf({ db: exec('true'), b: needs('zookeeper') }), [
      'children.b.dependsOn.zookeeper: no sibling has that name; there are db, b',
    ]);
  });

  it('is refused on a name that only looks known', () => {
    for (const name of ['constructor', 'toString'])
      assert.include(mistakesOf({ db: exec('true'), b: needs(name) })[0], 'no sibling has that name');
  });

  it('is refused on a child of another supervisor', () => {
    const inner = supervisor({ children: { a: needs('database') } });
    assert.deepEqual(mistakesOf({ database: exec('true'), inner }), [
      'children.inner.children.a.dependsOn.database: no sibling has that name; there are a',
    ]);
  });

  it('is refused without a guess if no name has a letter in common with it', () => {
    assert.notInclude(mistakesOf({ a: exec('true'), c: needs('db') })[0], 'did you mean');
  });

  it('is refused on oneself, once', () =>
    assert.deepEqual(mistakesOf({ a: needs('a') }), [
      "children.a.dependsOn.a: a child can't depend on itself",
    ]));

  it('is refused for the completion of what never completes', () =>
    assert.deepEqual(mistakesOf({ a: exec('true'), b: exec('true', { dependsOn: { a: 'completed' } }) }), [
      'children.b.dependsOn.a: a never completes, since its restart type is permanent; make it transient or temporary',
    ]));

  it('is refused for a state that a plain program can not report', () =>
    assert.deepEqual(mistakesOf({ a: exec('true'), b: exec('true', { dependsOn: { a: 'warm' } }) }), [
      'children.b.dependsOn.a: a is a plain program and reports no state warm; use started, ready or completed',
    ]));

  it('is refused for a state that a supervisor never reports', () => {
    const inner = supervisor({ children: { a: exec('true') } });
    for (const wanted of ['warm', 'operative.idle'])
      assert.include(
        mistakesOf({ inner, b: exec('true', { dependsOn: { inner: wanted } }) })[0],
        'children.b.dependsOn.inner',
      );
  });

  it('is refused in a circle, with the way around it', () => {
    const [mistake, ...others] = mistakesOf({ a: needs('c'), b: needs('a'), c: needs('b') });
    assert.match(mistake!, /^children: children depend on each other in a circle: /);
    const way = mistake!.split('circle: ')[1]!.split(' -> ');
    assert.equal(way[0], way.at(-1));
    assert.sameMembers(way.slice(1), ['a', 'b', 'c']);
    assert.isEmpty(others);
  });

  it('is refused in a circle below a nested supervisor', () => {
    const inner = supervisor({ children: { a: needs('b'), b: needs('a') } });
    assert.match(mistakesOf({ inner })[0]!, /^children\.inner\.children: children depend on each other/);
  });

  it('is refused with all other mistakes of gates and files', () => {
    const mistakes = mistakesOf({
      a: node('./nothing.ts'),
      b: needs('aa', 'b'),
      inner: supervisor({ children: { c: needs('d'), e: exec('true', { dependsOn: { c: 'completed' } }) } }),
    });
    assert.includeMembers(
      mistakes.map((line) => line.split(':')[0]),
      [
        'children.a.file',
        'children.b.dependsOn.aa',
        'children.b.dependsOn.b',
        'children.inner.children.c.dependsOn.d',
        'children.inner.children.e.dependsOn.c',
      ],
    );
  });
});

describe('startOrder()', () => {
  const orderOf = (children: Record<string, ChildInput>) => startOrder(checkTopology(tree(children), file));

  it('has parents before those that depend on them', () =>
    assert.deepEqual(orderOf({ page: needs('api'), api: needs('db'), db: exec('true') }), [
      'db',
      'api',
      'page',
    ]));

  it('has everybody once, parents first, whatever the order in which they are declared', () => {
    const names = ['a', 'b', 'c', 'd', 'e', 'f'];
    const graphs = fc.record({
      declared: fc.shuffledSubarray(names, { minLength: names.length, maxLength: names.length }),
      edges: fc.array(fc.tuple(fc.nat(names.length - 1), fc.nat(names.length - 1)), { maxLength: 12 }),
    });
    fc.assert(
      fc.property(graphs, ({ declared, edges }) => {
        // From a later name to an earlier one, so that there is no circle.
        const parentsOf = (name: string) =>
          edges.flatMap(([from, to]) => (to < from && names[from] === name ? [names[to]!] : []));
        const order = orderOf(
          Object.fromEntries(declared.map((name) => [name, needs(...new Set(parentsOf(name)))])),
        );
        assert.sameMembers(order, names);
        for (const name of names)
          for (const parent of parentsOf(name))
            assert.isBelow(order.indexOf(parent), order.indexOf(name), `${parent} before ${name}`);
      }),
    );
  });
});

describe('an edge', () => {
  const edgesOf = (children: Record<string, ChildInput>) => {
    const checked = checkTopology(tree(children), file).children;
    return Object.fromEntries(Object.entries(checked).map(([id, { dependsOn }]) => [id, dependsOn]));
  };
  const machine = setup({}).createMachine({
    initial: 'cold',
    states: { cold: {}, warm: { tags: 'serving', initial: 'idle', states: { idle: {}, busy: {} } } },
  });
  const on = (edge: Wanted | object) => exec('true', { dependsOn: { db: edge as Wanted } });

  it('is a required state if it is nothing else', () =>
    assert.deepEqual(edgesOf({ db: node(program), app: on({ state: 'operative' }) }).app, {
      db: 'operative',
    }));

  it('waits for `ready` if it names no state', () =>
    assert.deepEqual(edgesOf({ db: node(program), app: on({ mode: 'bind' }) }).app, {
      db: { state: 'ready', mode: 'bind' },
    }));

  it('conflicts is one for both', () =>
    assert.deepEqual(edgesOf({ db: node(program), app: on({ mode: 'conflicts' }) }).db, {
      app: { state: 'ready', mode: 'conflicts' },
    }));

  it('to an actor waits for it to be ready in place of a state `operative` that it has not', () =>
    assert.deepEqual(edgesOf({ db: actor(machine), app: on('operative') }).app, { db: 'ready' }));

  for (const wanted of ['cold', 'warm', 'warm.busy', 'serving', 'started'])
    it(`to an actor may wait for ${wanted}, which its machine has`, () =>
      assert.deepEqual(edgesOf({ db: actor(machine), app: on(wanted) }).app, { db: wanted }));

  it('to an actor that is made by a function may wait for any state', () =>
    assert.deepEqual(edgesOf({ db: actor(() => machine), app: on('any') }).app, { db: 'any' }));

  const wrong: [title: string, edge: Wanted | object, mistake: RegExp][] = [
    [
      'of an unknown mode',
      { mode: 'needs' },
      /one of the modes after, wants, requires, bind, hold, partOf, conflicts/,
    ],
    ['with another key', { stat: 'ready' }, /children.app.dependsOn.db/],
    [
      'to a state that the machine of an actor has not',
      'warn',
      /has no state or tag warn \(did you mean warm\?\)/,
    ],
  ];
  for (const [title, edge, mistake] of wrong)
    it(`${title} is refused`, () =>
      assert.match(mistakesOf({ db: actor(machine), app: on(edge) })[0]!, mistake));

  it('of conflict with one that depends on it is refused', () => {
    const db = exec('true', { dependsOn: { app: 'ready' } });
    assert.match(mistakesOf({ db, app: on({ mode: 'conflicts' }) })[0]!, /so they can't conflict/);
  });

  it('that orders nothing makes no circle', () => {
    const partOf = { state: 'ready', mode: 'partOf' } as const;
    edgesOf({ a: exec('true', { dependsOn: { b: partOf } }), b: exec('true', { dependsOn: { a: partOf } }) });
  });
});
