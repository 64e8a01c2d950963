import { assert } from 'chai';
import {
  type SubscriptionEnd,
  type SubscriptionEvent,
  type SubscriptionInput,
  subscriptionMachine,
} from '../../src/machines/subscription.ts';
import { leafStates } from '../support/machines/chart.ts';
import { subscriptionEvents, subscriptionInput } from '../support/machines/samples.ts';
import { simulate } from '../support/machines/simulation.ts';
import { after } from '../support/machines/step.ts';
import { describeBeginning, describeStates, type Row, type Table } from '../support/machines/table.ts';

const subscribe: SubscriptionEvent = { type: 'subscribe', number: 1 };
const unsubscribe: SubscriptionEvent = { type: 'unsubscribe' };
const admitted: SubscriptionEvent = { type: 'server.admitted', number: 1 };
const dropped: SubscriptionEvent = { type: 'reader.dropped', number: 1 };
const close: SubscriptionEvent = { type: 'close' };
const hose: SubscriptionEvent = { type: 'hose', reason: 'peer.reset', why: 'its process was killed' };

const end: SubscriptionEnd = { how: 'hosed', reason: 'peer.reset', why: 'its process was killed' };
const hosed: Row<SubscriptionEvent, SubscriptionInput> = { on: hose, to: 'ended', does: [['finish', end]] };
const left: Row<SubscriptionEvent, SubscriptionInput> = { on: unsubscribe, to: 'resting', does: [['leave']] };
const closedWhileReading: Row<SubscriptionEvent, SubscriptionInput> = {
  on: close,
  to: 'ended',
  does: [['leave'], ['finish', { how: 'closed' }]],
};
const closed: Row<SubscriptionEvent, SubscriptionInput> = {
  on: close,
  to: 'ended',
  does: [['finish', { how: 'closed' }]],
};
const asks: Row<SubscriptionEvent, SubscriptionInput> = {
  on: subscribe,
  to: 'asking',
  does: [['ask', { number: 1 }]],
};

const table: Table<SubscriptionEvent, SubscriptionInput> = {
  input: subscriptionInput,
  events: subscriptionEvents,
  states: {
    resting: { by: [], rows: [asks, closed, hosed] },
    asking: {
      by: [subscribe],
      rows: [{ on: admitted, to: 'reading', does: [] }, left, closedWhileReading, hosed],
    },
    reading: {
      by: [subscribe, admitted],
      rows: [{ on: dropped, to: 'dropped', does: [] }, left, closedWhileReading, hosed],
    },
    dropped: { by: [subscribe, admitted, dropped], rows: [asks, closed, hosed] },
    ended: { by: [hose], rows: [] },
  },
};

describe('subscriptionMachine', () => {
  describeBeginning(subscriptionMachine, table, 'resting', []);
  describeStates(subscriptionMachine, table);

  it('has every event and every state in its table', () => {
    assert.sameMembers(
      table.events.map(({ type }) => type),
      subscriptionMachine.events.filter((type) => !type.startsWith('xstate.')),
    );
    assert.sameMembers(Object.keys(table.states), leafStates(subscriptionMachine));
  });

  it('takes no answer and no drop of a subscription that is past', () => {
    const again: SubscriptionEvent[] = [subscribe, unsubscribe, { type: 'subscribe', number: 2 }];
    const at = (...events: SubscriptionEvent[]) =>
      after(subscriptionMachine, subscriptionInput, events).value;
    assert.equal(at(...again, admitted), 'asking');
    const reading: SubscriptionEvent[] = [...again, { type: 'server.admitted', number: 2 }];
    assert.equal(at(...reading), 'reading');
    assert.equal(at(...reading, dropped), 'reading');
  });

  it('ends with the cause with which its session ended it, or with none', () => {
    const output = (...events: SubscriptionEvent[]) =>
      after(subscriptionMachine, subscriptionInput, events).output;
    assert.deepEqual(output(subscribe, admitted, hose), end);
    assert.deepEqual(output(subscribe, admitted, close), { how: 'closed' });
  });

  it('finishes once, and counts how often it was dropped', () => {
    const events = [subscribe, admitted, dropped, subscribe, admitted, dropped, close, hose, close];
    const subscription = simulate(subscriptionMachine, subscriptionInput, ...events);
    assert.lengthOf(subscription.times('finish'), 1);
    assert.lengthOf(subscription.times('ask'), 2);
    assert.equal(after(subscriptionMachine, subscriptionInput, events).context.drops, 2);
  });
});
