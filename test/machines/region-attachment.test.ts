import { assert } from 'chai';
import {
  type RegionAttachmentEvent,
  type RegionAttachmentInput,
  regionAttachmentMachine,
} from '../../src/machines/region-attachment.ts';
import { leafStates } from '../support/machines/chart.ts';
import { regionAttachmentEvents, regionAttachmentInput } from '../support/machines/samples.ts';
import { after } from '../support/machines/step.ts';
import { describeBeginning, describeStates, type Table } from '../support/machines/table.ts';

const [attached, failed, ended] = regionAttachmentEvents as [
  RegionAttachmentEvent & { type: 'region.attached' },
  RegionAttachmentEvent & { type: 'attach.failed' },
  RegionAttachmentEvent & { type: 'region.ended' },
];
const closed: RegionAttachmentEvent = { type: 'region.ended', error: null };
const facts = (attachedAs: object | null, error: object | null) => ({
  region: 'market',
  attached: attachedAs,
  error,
});

const table: Table<RegionAttachmentEvent, RegionAttachmentInput> = {
  input: regionAttachmentInput,
  events: regionAttachmentEvents,
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

describe('regionAttachmentMachine', () => {
  describeBeginning(regionAttachmentMachine, table, 'attaching', [['attach']]);
  describeStates(regionAttachmentMachine, table);

  it('has every event and every state in its table', () => {
    assert.sameMembers(
      table.events.map(({ type }) => type),
      regionAttachmentMachine.events.filter((type) => !type.startsWith('xstate.')),
    );
    assert.sameMembers(Object.keys(table.states), leafStates(regionAttachmentMachine));
  });

  it('ends with its cause, and with none where we have closed it', () => {
    const output = (...events: RegionAttachmentEvent[]) =>
      after(regionAttachmentMachine, regionAttachmentInput, events).output;
    assert.deepEqual(output(attached, ended), { error: ended.error });
    assert.deepEqual(output(failed), { error: failed.error });
    assert.deepEqual(output(attached, closed), { error: null });
  });
});
