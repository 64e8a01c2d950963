import { assert } from 'chai';
import fc from 'fast-check';
import type { AnyStateNode } from 'xstate';
import { activeStates, describeValue } from '../../inspector-page/src/chart/active-states.ts';
import { readStatechart, type Statechart } from '../../inspector-page/src/chart/statechart.ts';
import { takenBy } from '../../inspector-page/src/chart/taken-mark.ts';
import { unitMachine } from '../../src/machines/unit.ts';
import { addressOf } from '../../src/names.ts';

function read(chart: unknown): Statechart {
  const found = readStatechart(chart);
  assert.isNotNull(found);
  return found!;
}

function nodesOf(node: AnyStateNode): AnyStateNode[] {
  return [node, ...Object.values(node.states).flatMap(nodesOf)];
}

const arrows = (chart: Statechart) => chart.arrows.map(({ id }) => id);
const linesOf = (chart: Statechart, id: string) => chart.states.get(id)!.lines.map(({ text }) => text);

describe('a statechart', () => {
  it('gives every state the id that XState gives it, and every arrow its two ends', () => {
    const nodes = nodesOf(unitMachine.root);
    const chart = read(JSON.parse(JSON.stringify(unitMachine.config)));
    assert.sameMembers(
      [...chart.states.keys()],
      nodes.map(({ id }) => id),
    );
    const expected = new Set<string>();
    for (const { transitions, always } of nodes)
      for (const { source, target } of [...[...transitions.values()].flat(), ...(always ?? [])])
        for (const { id } of target ?? []) expected.add(`${source.id} -> ${id}`);
    assert.sameMembers(arrows(chart), [...expected]);
  });

  it('finds targets by their name beside, below, and by id', () => {
    const chart = read({
      id: 'm',
      initial: 'a',
      on: { down: '.b.inner' },
      states: {
        a: { on: { beside: 'b', within: 'b.inner', far: '#named', path: '#m.b' } },
        b: { initial: 'inner', on: { in: '.other' }, states: { inner: {}, other: { id: 'named' } } },
      },
    });
    assert.sameMembers(arrows(chart), [
      'm -> m.b.inner',
      'm.a -> m.b',
      'm.a -> m.b.inner',
      'm.a -> named',
      'm.b -> named',
    ]);
    assert.sameMembers(
      chart.arrows.find(({ id }) => id === 'm.a -> m.b')!.transitions.map(({ event }) => event),
      ['beside', 'path'],
    );
  });

  it('names delays, ends of actors and eventless transitions as a reader would', () => {
    const chart = read({
      id: 'm',
      initial: 'a',
      states: {
        a: {
          after: { 100: 'b', patience: 'b' },
          always: { target: 'b', guard: 'ready' },
          onDone: 'b',
          invoke: { src: 'load', onDone: 'b', onError: { target: 'b', actions: ['note', { type: 'tell' }] } },
        },
        b: {},
      },
    });
    const [arrow] = chart.arrows;
    assert.deepEqual(
      arrow!.transitions.map(({ label, guard, actions }) => [label, guard, actions.join()]),
      [
        ['always', 'ready', ''],
        ['after 100 ms', null, ''],
        ['after patience', null, ''],
        ['done', null, ''],
        ['load done', null, ''],
        ['load failed', null, 'note,tell'],
      ],
    );
  });

  it('shows what is taken without leaving a state as a line of that state', () => {
    const chart = read({
      id: 'm',
      entry: 'begin',
      on: { note: { actions: 'write', guard: 'may' }, known: {} },
    });
    assert.deepEqual(linesOf(chart, 'm'), ['begin', 'note [may] / write', 'known']);
  });

  it('leaves out what it does not understand, whatever a peer has written', () => {
    fc.assert(
      fc.property(fc.anything({ maxDepth: 4 }), (value) => {
        readStatechart({
          id: 'm',
          states: { a: value, b: { on: value, after: value, invoke: value } },
          initial: value,
        });
        readStatechart(value);
      }),
    );
    assert.isNull(readStatechart('no machine'));
    assert.deepEqual(
      arrows(read({ id: 'm', states: { a: { on: { go: 'nowhere', far: '#unknown' } } } })),
      [],
    );
  });
});

describe('the active states of a value', () => {
  const chart = read({
    id: 'm',
    type: 'parallel',
    states: {
      one: { initial: 'a', states: { a: {}, b: { initial: 'x', states: { x: {}, y: {} } } } },
      two: { initial: 'p', states: { p: {} } },
    },
  });

  it('are those that it names, with all around them', () => {
    assert.sameMembers(
      [...activeStates(chart, { one: { b: 'y' }, two: 'p' })],
      ['m', 'm.one', 'm.one.b', 'm.one.b.y', 'm.two', 'm.two.p'],
    );
  });

  it('leave out names that the chart does not have', () => {
    assert.sameMembers([...activeStates(chart, { one: 'gone', three: 'x' })], ['m', 'm.one']);
    assert.sameMembers([...activeStates(chart, null)], ['m']);
  });

  it('read in one line', () => {
    assert.equal(describeValue('up'), 'up');
    assert.equal(describeValue({ life: { alive: 'up' } }), 'life.alive.up');
    assert.equal(describeValue({ one: { b: 'y' }, two: 'p' }), '(one.b.y, two.p)');
  });
});

describe('the mark of the last transition', () => {
  const chart = read({
    id: 'm',
    initial: 'a',
    states: { a: { on: { go: 'b', 'peer.*': 'b', stay: { actions: 'x' } } }, b: {} },
  });
  const taken = (event: string, to: string[]) =>
    takenBy(chart, {
      k: 'transition',
      at: 1,
      actor: addressOf('m'),
      event,
      value: 'b',
      status: 'active',
      steps: [{ event, from: 'm.a', to }],
      actions: [],
    });

  it('is on its arrow, with the event, also where the chart names a group of events', () => {
    assert.deepEqual([...taken('go', ['m.b']).arrows], [['m.a -> m.b', 'go']]);
    assert.deepEqual([...taken('peer.lost', ['m.b']).arrows], [['m.a -> m.b', 'peer.*']]);
  });

  it('is on the line of a state that was not left', () => {
    assert.deepEqual([...taken('stay', []).inner], [['m.a', 'stay']]);
  });

  it('is nowhere before the first', () => assert.equal(takenBy(chart, null).arrows.size, 0));
});
