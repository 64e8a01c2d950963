import { assert } from 'chai';
import {
  type MulticastContext,
  type MulticastEvent,
  type MulticastInput,
  multicastMachine,
} from '../../src/machines/multicast.ts';
import { leafStates } from '../support/machines/chart.ts';
import { multicastInput } from '../support/machines/samples.ts';
import { after, type Effect } from '../support/machines/step.ts';
import { describeBeginning, describeStates, type Table } from '../support/machines/table.ts';

const taken: MulticastEvent = { type: 'packet.taken' };
const took = (reader: number): MulticastEvent => ({ type: 'reader.took', reader });
const late = (reader: number): MulticastEvent => ({ type: 'reader.late', reader });
const error = { code: 'ERR_REGION_CLOSED', message: 'pipe market/a is closed' } as const;
const failed: MulticastEvent = { type: 'pipe.failed', error };
const stop: MulticastEvent = { type: 'stop' };

const offer = (reader: number, timeoutMs: number | null): Effect => ['offer', { reader, timeoutMs }];
const told = (type: string, reader: string, dropped: number): Effect => ['report', { type, reader, dropped }];
const block: MulticastInput = { ...multicastInput, policy: 'block' };

const table: Table<MulticastEvent, MulticastInput> = {
  input: multicastInput,
  events: [taken, took(0), late(0), failed, stop],
  states: {
    taking: {
      by: [],
      rows: [
        { on: taken, to: 'delivering', does: [offer(0, 500), offer(1, 500)] },
        {
          on: taken,
          when: 'a reader is known to be slow: it has no limit to use up again',
          by: [taken, late(0), took(1)],
          to: 'delivering',
          does: [offer(0, 0), offer(1, 500)],
        },
        { on: stop, to: 'ended', does: [['giveUp']] },
        { on: failed, to: 'ended', does: [['giveUp']] },
      ],
    },
    delivering: {
      by: [taken],
      rows: [
        { on: took(0), to: 'delivering' },
        {
          on: took(1),
          when: 'it is the last',
          by: [taken, took(0)],
          to: 'taking',
          does: [['letGo'], ['take']],
        },
        { on: late(0), to: 'delivering', does: [told('reader.slow', 'a', 1)] },
        {
          on: late(0),
          when: 'it was slow before',
          by: [taken, late(0), took(1), taken],
          to: 'delivering',
        },
        {
          on: took(0),
          when: 'it was slow before',
          by: [taken, late(0), took(1), taken],
          to: 'delivering',
          does: [told('reader.recovered', 'a', 1)],
        },
        {
          on: late(0),
          when: 'all wait for the slow one',
          input: block,
          to: 'delivering',
          does: [told('reader.slow', 'a', 0), offer(0, null)],
        },
        { on: took(0), when: 'it has answered already', by: [taken, took(0)], to: 'delivering' },
        { on: stop, to: 'ended', does: [['letGo'], ['giveUp']] },
        { on: failed, to: 'ended', does: [['letGo'], ['giveUp']] },
      ],
    },
    ended: { by: [stop], rows: [] },
  },
};

describe('multicastMachine', () => {
  describeBeginning(multicastMachine, table, 'taking', [['take']]);
  describeStates(multicastMachine, table);

  it('has every event and every state in its table', () => {
    assert.sameMembers(
      table.events.map(({ type }) => type),
      multicastMachine.events.filter((type) => !type.startsWith('xstate.')),
    );
    assert.sameMembers(Object.keys(table.states), leafStates(multicastMachine));
  });

  it('counts what each reader got and lost', () => {
    const events = [taken, took(1), late(0), taken, late(0), took(1), taken, took(0), took(1)];
    const { readers } = after(multicastMachine, multicastInput, events).context as MulticastContext;
    assert.deepEqual(readers, [
      { name: 'a', slow: false, delivered: 1, dropped: 2 },
      { name: 'b', slow: false, delivered: 3, dropped: 0 },
    ]);
  });

  it('ends with the error of the pipe that failed, or with none', () => {
    assert.deepEqual(after(multicastMachine, multicastInput, [taken, failed]).output, { error });
    assert.deepEqual(after(multicastMachine, multicastInput, [stop]).output, { error: null });
  });
});
