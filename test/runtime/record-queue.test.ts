// The queue before a watcher who may never read, beside a plain model of what it promises.
import { assert } from 'chai';
import fc from 'fast-check';
import { RecordQueue } from '../../src/runtime/record-queue.ts';

interface Item {
  readonly k: string;
  readonly n: number;
}

const isKept = ({ k }: Item) => k === 'actor';

describe('a record queue', () => {
  it('drops the oldest that can be missed, keeps the order and counts right, whatever is done with it', () => {
    const order = fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom('actor', 'transition', 'send') },
      { weight: 2, arbitrary: fc.nat({ max: 7 }) },
      { weight: 1, arbitrary: fc.constantFrom('back', 'clear', 'dropped') },
    );
    fc.assert(
      fc.property(fc.array(order, { maxLength: 300 }), fc.integer({ min: 1, max: 9 }), (orders, most) => {
        const queue = new RecordQueue<Item>({ droppableMax: most, keptMax: 10 });
        let model: Item[] = [];
        let dropped = 0;
        let taken: Item[] = [];
        let n = 0;
        const bound = () => {
          while (model.filter((item) => !isKept(item)).length > most) {
            model.splice(
              model.findIndex((item) => !isKept(item)),
              1,
            );
            dropped++;
          }
        };
        for (const what of orders) {
          if (typeof what === 'number') {
            taken = queue.take(what);
            assert.deepEqual(taken, model.splice(0, what));
          } else if (what === 'back') {
            queue.putBack(taken);
            model = [...taken, ...model];
            taken = [];
            bound();
          } else if (what === 'clear') {
            queue.clear();
            dropped += model.length;
            model = [];
          } else if (what === 'dropped') {
            assert.equal(queue.takeDropped(), dropped);
            dropped = 0;
          } else {
            const item = { k: what, n: n++ };
            queue.push(item);
            model.push(item);
            bound();
          }
          assert.equal(queue.length, model.length);
          assert.equal(queue.overrun, model.filter(isKept).length > 10);
        }
        assert.deepEqual(queue.take(1_000), model);
      }),
      { numRuns: 500 },
    );
  });

  it('says that it is of no use any more when too much waits that must not be missed, a dump aside', () => {
    const queue = new RecordQueue<Item>({ keptMax: 3 });
    for (let n = 0; n < 5; n++) queue.push({ k: 'actor', n });
    queue.allow(5);
    assert.isFalse(queue.overrun);
    for (let n = 0; n < 3; n++) queue.push({ k: 'actor', n });
    assert.isFalse(queue.overrun);
    queue.push({ k: 'actor', n: 9 });
    assert.isTrue(queue.overrun);
    queue.clear();
    assert.isFalse(queue.overrun);
    assert.equal(queue.takeDropped(), 9);
  });

  it('takes a million records that nobody reads in the room of its limit', function () {
    this.timeout(90_000);
    const queue = new RecordQueue<Item>({ droppableMax: 1_000 });
    for (let n = 0; n < 1_000_000; n++) queue.push({ k: n % 100_000 === 0 ? 'actor' : 'transition', n });
    assert.equal(queue.length, 1_010);
    assert.equal(queue.takeDropped(), 1_000_000 - 1_010);
    const rest = queue.take(2_000);
    assert.deepEqual(
      rest.slice(0, 10).map(({ n }) => n),
      Array.from({ length: 10 }, (_, i) => i * 100_000),
    );
    assert.equal(rest.at(-1)?.n, 999_999);
  });
});
