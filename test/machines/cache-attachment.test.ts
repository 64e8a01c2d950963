import { assert } from 'chai';
import {
  type CacheAttachmentEvent,
  type CacheAttachmentInput,
  cacheAttachmentMachine,
} from '../../src/machines/cache-attachment.ts';
import { leafStates } from '../support/machines/chart.ts';
import { cacheAttachmentEvents, cacheAttachmentInput } from '../support/machines/samples.ts';
import { after } from '../support/machines/step.ts';
import { describeBeginning, describeStates, type Table } from '../support/machines/table.ts';

const [attached, failed, ended] = cacheAttachmentEvents as [
  CacheAttachmentEvent & { type: 'cache.attached' },
  CacheAttachmentEvent & { type: 'attach.failed' },
  CacheAttachmentEvent & { type: 'cache.ended' },
];
const closed: CacheAttachmentEvent = { type: 'cache.ended', error: null };
const facts = (attachedAs: object | null, error: object | null) => ({
  cache: 'sessions',
  attached: attachedAs,
  error,
});

const table: Table<CacheAttachmentEvent, CacheAttachmentInput> = {
  input: cacheAttachmentInput,
  events: cacheAttachmentEvents,
  states: {
    attaching: {
      by: [],
      rows: [
        { on: attached, to: 'attached', does: [['logAttached', facts(attached.attached, null)]] },
        { on: failed, to: 'ended', does: [['logEnded', facts(null, failed.error)]] },
      ],
    },
    attached: {
      by: [attached],
      rows: [{ on: ended, to: 'ended', does: [['logEnded', facts(attached.attached, ended.error)]] }],
    },
    ended: { by: [failed], rows: [] },
  },
};

describe('cacheAttachmentMachine', () => {
  describeBeginning(cacheAttachmentMachine, table, 'attaching', [['attach']]);
  describeStates(cacheAttachmentMachine, table);

  it('has every event and every state in its table', () => {
    assert.sameMembers(
      table.events.map(({ type }) => type),
      cacheAttachmentMachine.events.filter((type) => !type.startsWith('xstate.')),
    );
    assert.sameMembers(Object.keys(table.states), leafStates(cacheAttachmentMachine));
  });

  it('ends with its cause, and with none where we have closed it', () => {
    const output = (...events: CacheAttachmentEvent[]) =>
      after(cacheAttachmentMachine, cacheAttachmentInput, events).output;
    assert.deepEqual(output(attached, ended), { error: ended.error });
    assert.deepEqual(output(failed), { error: failed.error });
    assert.deepEqual(output(attached, closed), { error: null });
  });
});
