import { assert } from 'chai';
import { Model } from '../../inspector-page/src/feed/model.ts';
import { Ring } from '../../inspector-page/src/feed/ring.ts';
import { Topics } from '../../inspector-page/src/frame/topics.ts';
import { linkTo, readLink, type Selection } from '../../inspector-page/src/selection.ts';
import { eventKinds, searchText } from '../../inspector-page/src/timeline/event-words.ts';
import { Filtered, stopped } from '../../inspector-page/src/timeline/filtered.ts';
import { sequenceStep } from '../../inspector-page/src/timeline/sequence.ts';
import {
  drawnBefore,
  keysAbove,
  rowOf,
  type TreeRow,
  treeRows,
} from '../../inspector-page/src/tree/tree-rows.ts';
import { addressOf } from '../../src/names.ts';
import {
  actor,
  dump,
  killed,
  records,
  shop,
  shopUnits,
  transition,
  unit,
} from '../support/inspector-page/told-tree.ts';

function modelOf(messages = shop()): Model {
  const model = new Model(new Topics(() => {}));
  for (const message of messages) model.take(message);
  return model;
}

const all = { opened: new Map<string, boolean>(), search: '' };
/** As when the reader has opened the units. */
const open = {
  ...all,
  opened: new Map([
    ['unit till', true],
    ['unit stock', true],
  ]),
};
const labels = (model: Model, search = '') => treeRows(model, { ...open, search }).map(({ label }) => label);

const labelsOf = (rows: readonly TreeRow[]) => rows.map(({ label }) => label);

describe('the model', () => {
  it('has an actor where the last transition has led it', () => {
    const model = modelOf();
    model.take(records('till#1', transition('door', 'open', { opened: 'wide' })));
    const door = model.actor({ process: 'till#1', actor: 'door' })!;
    assert.deepInclude(door, { words: 'opened.wide', transitions: 1, chart: 'door' });
    assert.equal(door.last!.event, 'open');
  });

  it('keeps a crashed actor with its message until its address lives again', () => {
    const model = modelOf();
    const crash = { k: 'crash', at: 5, actor: addressOf('door'), message: 'broke', stack: null } as const;
    model.take(records('till#1', crash, { k: 'stop', at: 5, actor: addressOf('door'), how: 'crashed' }));
    const place = { process: 'till#1', actor: 'door' };
    assert.equal(model.actor(place)!.crash!.message, 'broke');
    model.take(records('till#1', actor('door', 'closed', 'door')));
    assert.isNull(model.actor(place)!.crash);
  });

  it('forgets an actor that has ended in order', () => {
    const model = modelOf();
    model.take(records('till#1', { k: 'stop', at: 5, actor: addressOf('door'), how: 'done' }));
    assert.isUndefined(model.actor({ process: 'till#1', actor: 'door' }));
  });

  it('keeps the actors of a killed process below its dead life, through a new dump', () => {
    const model = modelOf();
    model.take({
      type: 'processes',
      units: [shopUnits[0]!, unit('till', { incarnation: 2, dead: [killed('till', 1)] }), shopUnits[2]!],
    });
    model.take(dump({ process: 'till#2', records: [actor('door', 'opened', 'door')] }));
    assert.isFalse(model.isAlive('till#1'));
    assert.equal(model.actor({ process: 'till#1', actor: 'door' })!.words, 'closed');
    const opened = new Map([
      ['unit till', true],
      ['life till#1', true],
    ]);
    const rows = treeRows(model, { ...all, opened });
    assert.includeMembers(
      rows.map(({ key }) => key),
      ['life till#1', 'actor till#1 door', 'actor till#2 door'],
    );
  });

  it('forgets what a dump does not tell', () => {
    const model = modelOf();
    model.take(dump({ process: 'stock#1', records: [] }));
    assert.isUndefined(model.actor({ process: 'till#1', actor: 'door' }));
  });

  it('forgets the actors of a process whose records begin anew', () => {
    const model = modelOf();
    model.take(records('till#1', { k: 'reset', at: 1 }, actor('window', 'shut')));
    assert.isUndefined(model.actor({ process: 'till#1', actor: 'door' }));
    assert.equal(model.actor({ process: 'till#1', actor: 'window' })!.words, 'shut');
  });

  it('puts what two processes have told together into the order of the clock', () => {
    const model = modelOf();
    const at = (moment: number, event: string) => ({ ...transition('door', event, 'closed'), at: moment });
    model.take({
      type: 'records',
      batches: [
        { process: 'till#1', records: [at(1, 'first'), at(4, 'fourth')] },
        { process: 'stock#1', records: [at(2, 'second'), at(3, 'third')] },
      ],
    });
    const seen = [0, 1, 2, 3].map((offset) => model.events.at(model.events.first + offset)?.record.at);
    assert.deepEqual(seen, [1, 2, 3, 4]);
  });

  it('lists records of before the dump, which move no actor', () => {
    const model = modelOf();
    model.take({ ...records('till#1', transition('door', 'open', 'opened')), past: true });
    assert.equal(model.actor({ process: 'till#1', actor: 'door' })!.words, 'closed');
    assert.equal(model.events.length, 1);
  });

  it('lists them once, however often they are told', () => {
    const model = modelOf();
    const at = (moment: number) => ({ ...transition('door', `at${moment}`, 'closed'), at: moment });
    const past = (...moments: number[]) => ({
      ...records('till#1', ...moments.map(at)),
      past: true as const,
    });
    model.take(past(1, 2, 3));
    // The connection was lost, and is there again.
    model.take(dump({ process: 'till#1', records: [actor('door', 'closed', 'door')] }));
    model.take(past(2, 3, 4, 5));
    const seen = Array.from(
      { length: model.events.length },
      (_, i) => model.events.at(model.events.first + i)!,
    );
    assert.deepEqual(
      seen.map(({ record }) => record.at),
      [1, 2, 3, 4, 5],
    );
  });

  it('keeps what it knows of a crash when the actor is told anew', () => {
    const model = modelOf();
    model.take(
      records('till#1', { k: 'crash', at: 5, actor: addressOf('door'), message: 'broke', stack: null }),
    );
    model.take(records('till#1', actor('door', null, 'door', 'error')));
    assert.equal(model.actor({ process: 'till#1', actor: 'door' })!.crash!.message, 'broke');
  });

  it('counts what was dropped, wherever that was', () => {
    const model = modelOf();
    model.take({ type: 'dropped', at: 1, count: 3 });
    model.take(records('till#1', { k: 'dropped', at: 1, count: 4 }));
    assert.equal(model.dropped, 7);
  });
});

describe('the rows of the tree', () => {
  it('are units, their actors by address, and shared memory', () => {
    assert.deepEqual(labels(modelOf()), [
      'shop',
      'till',
      'door',
      'stock',
      'shelf',
      'machinery of the root',
      'shared memory',
      'shop/orders',
    ]);
  });

  it('put an actor below the nearest actor that its address begins with', () => {
    const model = modelOf();
    model.take(
      records('stock#1', actor('shelf/box/1', null), actor('shelf/box/1/lid', null), actor('shelfish', null)),
    );
    const rows = treeRows(model, open).filter(({ of }) => of.kind === 'actor');
    assert.deepEqual(
      rows.map(({ label, depth }) => [label, depth]),
      [
        ['door', 2],
        ['shelf', 2],
        ['box/1', 3],
        ['lid', 4],
        ['shelfish', 2],
      ],
    );
  });

  it('stand still while a process starts, and when one dies only its life comes in between', () => {
    const model = modelOf();
    const before = labelsOf(treeRows(model, all));
    assert.deepEqual(before, [
      'shop',
      'till',
      'stock',
      'machinery of the root',
      'shared memory',
      'shop/orders',
    ]);
    for (let i = 0; i < 20; i++) {
      model.take(records('till#1', actor(`window/${i}`, 'shut')));
      assert.deepEqual(labelsOf(treeRows(model, all)), before);
    }
    const dead = [killed('till', 2), killed('till', 1)];
    model.take({
      type: 'processes',
      units: [shopUnits[0]!, unit('till', { incarnation: 3, dead }), shopUnits[2]!],
    });
    assert.deepEqual(labelsOf(treeRows(model, all)), before.toSpliced(2, 0, 'life 2'));
  });

  it('stay open or closed as they were drawn, however many actors come, up to a hundred', () => {
    const model = modelOf();
    let before = new Map<string, boolean>();
    const draw = () => {
      const rows = treeRows(model, { ...open, before });
      before = drawnBefore(rows);
      return rows.filter(({ depth }) => depth === 3).length;
    };
    model.take(records('stock#1', actor('shelf/box/0', null)));
    assert.equal(draw(), 1);
    for (let i = 1; i < 100; i++) model.take(records('stock#1', actor(`shelf/box/${i}`, null)));
    assert.equal(draw(), 100);
    model.take(records('stock#1', actor('shelf/box/100', null)));
    assert.equal(draw(), 0);
    // Closed is closed: it does not open by itself when most of them have gone.
    for (let i = 1; i <= 100; i++)
      model.take(records('stock#1', { k: 'stop', at: 1, actor: addressOf(`shelf/box/${i}`), how: 'done' }));
    assert.equal(draw(), 0);
  });

  it('of a search are what it finds, with all that it stands below', () => {
    assert.deepEqual(labels(modelOf(), 'DOOR'), ['shop', 'till', 'door']);
    assert.deepEqual(labels(modelOf(), 'closed'), ['shop', 'till', 'door']);
    assert.deepEqual(labels(modelOf(), 'no such thing'), []);
  });

  it('can be opened down to any actor', () => {
    const model = modelOf();
    const many = Array.from({ length: 20 }, (_, i) => actor(`shelf/box/${i}`, null));
    model.take(records('stock#1', ...many));
    const selection: Selection = { kind: 'actor', process: 'stock#1', actor: 'shelf/box/7' };
    assert.equal(rowOf(treeRows(model, all), selection), -1);
    const opened = new Map(keysAbove(model, selection).map((key) => [key, true]));
    assert.isAbove(rowOf(treeRows(model, { ...all, opened }), selection), 0);
  });
});

describe('a link', () => {
  it('leads back to what it was made of, whatever the names', () => {
    const selections: Selection[] = [
      { kind: 'unit', path: 'back end/übung' },
      { kind: 'actor', process: 'a/b#2', actor: 'x&y=z#1/<b>' },
      { kind: 'life', process: 'a#1' },
      { kind: 'resource', of: 'pipe', name: 'r/p' },
    ];
    for (const selection of selections) assert.deepEqual(readLink(`#${linkTo(selection)}`), selection);
    assert.isNull(readLink(''));
    assert.isNull(readLink('#show=nonsense'));
  });
});

describe('a ring', () => {
  it('has the newest, by numbers that stay', () => {
    const ring = new Ring<string>(3);
    for (const each of 'abcde') ring.push(each);
    assert.deepEqual([ring.first, ring.end, ring.at(1), ring.at(2), ring.at(4)], [2, 5, undefined, 'c', 'e']);
    ring.clear();
    ring.push('f');
    assert.deepEqual([ring.length, ring.at(4), ring.at(5)], [1, undefined, 'f']);
  });

  it('is filtered as it grows, and forgets in the filter what it forgets', () => {
    const ring = new Ring<number>(10);
    const even = new Filtered(ring, (each) => each % 2 === 0);
    for (let i = 0; i < 25; i++) {
      ring.push(i);
      even.update();
    }
    assert.deepEqual(
      Array.from({ length: even.length }, (_, i) => even.at(i)),
      [16, 18, 20, 22, 24],
    );
  });

  it('stopped stays as it was', () => {
    const ring = new Ring<number>(3);
    for (let i = 0; i < 3; i++) ring.push(i);
    const frozen = stopped(ring);
    for (let i = 3; i < 9; i++) ring.push(i);
    assert.deepEqual([frozen.first, frozen.end, frozen.at(0), frozen.at(2)], [0, 3, 0, 2]);
  });
});

describe('the sequence', () => {
  const message = {
    process: 'till#1',
    record: { k: 'message', at: 1, from: { process: 'stock#1', actor: 'shelf' }, to: 'door', event: 'open' },
  } as const;

  it('has an arrow for a message between two processes', () => {
    assert.deepInclude(sequenceStep(message, 'processes')!, { from: 'stock', to: 'till', words: 'open' });
    assert.deepInclude(sequenceStep(message, 'actors')!, { from: 'stock: shelf', to: 'till: door' });
  });

  it('shows what actors of one process say to each other only between actors', () => {
    const send = {
      process: 'till#1',
      record: { k: 'send', at: 1, from: addressOf('door'), to: addressOf('bell'), event: 'ring' },
    } as const;
    assert.isNull(sequenceStep(send, 'processes'));
    assert.deepInclude(sequenceStep(send, 'actors')!, { from: 'till: door', to: 'till: bell' });
  });

  it('is searched by all that a row shows', () => {
    assert.include(searchText(message), 'stock#1 shelf');
    assert.lengthOf(eventKinds, 6);
  });
});
