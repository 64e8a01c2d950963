// What waits for a page that reads slowly, and what it knows afterwards.
import { assert } from 'chai';
import { AudienceQueue } from '../../src/inspector/audience-queue.ts';
import { Mirror } from '../../src/inspector/mirror.ts';
import type { ViewRecord } from '../../src/inspector/protocol.ts';
import { addressOf } from '../../src/names.ts';
import { actor, transition } from '../support/inspector-page/told-tree.ts';

/** As a live source tells one audience. */
function audience(droppableMax: number) {
  const mirror = new Mirror();
  const queue = new AudienceQueue({ droppableMax, actorNow: (place) => mirror.actor(place) });
  const tell = (record: ViewRecord) => {
    for (const shown of mirror.apply('till#1', record)) queue.push('till#1', shown);
  };
  const takeAll = () => {
    const taken: ViewRecord[] = [];
    while (queue.length > 0) for (const { records } of queue.take(7)) taken.push(...records);
    return taken;
  };
  return { queue, tell, takeAll };
}

const isOf = (name: string) => (record: ViewRecord) => 'actor' in record && record.actor === name;

describe('the queue of an audience', () => {
  it('tells anew where an actor is whose last transition was left out', () => {
    const { queue, tell, takeAll } = audience(10);
    for (const name of ['door', 'shelf']) tell(actor(name, 'closed'));
    takeAll();
    tell(transition('door', 'open', 'opened'));
    for (let i = 0; i < 50; i++) tell(transition('shelf', `turn${i}`, 'closed'));
    const taken = takeAll();
    assert.equal(queue.takeDropped(), 41);
    assert.isFalse(taken.some((record) => record.k === 'transition' && isOf('door')(record)));
    const now = taken.filter(isOf('door')).at(-1);
    assert.deepInclude(now, { k: 'actor', value: 'opened' });
  });

  it('says nothing of one that has ended since, nor twice the same', () => {
    const { tell, takeAll } = audience(10);
    tell(actor('door', 'closed'));
    takeAll();
    tell(transition('door', 'open', 'opened'));
    for (let i = 0; i < 50; i++) tell(transition('shelf', `turn${i}`, 'closed'));
    tell({ k: 'stop', at: 9, actor: addressOf('door'), how: 'done' });
    const taken = takeAll();
    assert.deepEqual(
      taken.filter(isOf('door')).map(({ k }) => k),
      ['stop'],
    );
    assert.isEmpty(takeAll());
  });

  it('says nothing anew where nothing was left out', () => {
    const { tell, takeAll } = audience(10);
    tell(actor('door', 'closed'));
    tell(transition('door', 'open', 'opened'));
    assert.deepEqual(
      takeAll().map(({ k }) => k),
      ['actor', 'transition'],
    );
  });
});
