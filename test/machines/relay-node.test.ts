import { assert } from 'chai';
import { type RelayNodeEvent, type RelayNodeInput, relayNodeMachine } from '../../src/machines/relay-node.ts';
import { relayNodeEvents, relayNodeInput } from '../support/machines/samples.ts';
import { after, elapsed } from '../support/machines/step.ts';
import {
  describeBeginning,
  describeCompleteness,
  describeStates,
  type Table,
} from '../support/machines/table.ts';

const [opened, failed, found, lost, closed, stop, broken] = relayNodeEvents as [
  RelayNodeEvent,
  RelayNodeEvent & { type: 'node.failed' },
  RelayNodeEvent & { type: 'neighbour.found' },
  RelayNodeEvent & { type: 'neighbour.lost' },
  RelayNodeEvent,
  RelayNodeEvent,
  RelayNodeEvent & { type: 'table.ended' },
];
const says = (state: string) => [['reportState', { state: `operative.${state}` }]] as const;
const stopping = [
  { on: stop, to: 'stopping', does: [['close']] },
  { on: broken, to: 'stopping', does: [['close']] },
] as const;

const table: Table<RelayNodeEvent, RelayNodeInput> = {
  input: relayNodeInput,
  events: relayNodeEvents,
  // Who is there is remembered in every state.
  remembered: ['neighbour.found', 'neighbour.lost'],
  states: {
    starting: {
      by: [],
      rows: [
        { on: opened, to: 'serving.degraded', does: says('degraded') },
        { on: opened, when: 'with its sibling', by: [found], to: 'serving.whole', does: says('whole') },
        { on: failed, to: 'failed', does: [] },
        ...stopping,
      ],
    },
    'serving.degraded': {
      by: [opened],
      rows: [
        { on: found, to: 'serving.whole', does: says('whole') },
        {
          on: { ...found, role: 'front' },
          when: 'of a role that it does not need',
          to: 'serving.degraded',
          does: [],
        },
        ...stopping,
      ],
    },
    'serving.whole': {
      by: [found, opened],
      rows: [
        { on: lost, to: 'serving.degraded', does: says('degraded') },
        {
          on: lost,
          when: 'while another one is there',
          by: [found, { ...found, node: 'other' }, opened],
          to: 'serving.whole',
          does: [],
        },
        ...stopping,
      ],
    },
    stopping: {
      by: [stop],
      rows: [
        { on: closed, to: 'stopped', does: [] },
        { on: failed, to: 'failed', does: [] },
        { on: elapsed('stopTimeout', 'relayNode.stopping'), to: 'stopped', does: [] },
      ],
    },
    stopped: { by: [stop, closed], rows: [] },
    failed: { by: [failed], rows: [] },
  },
};

describe('relayNodeMachine', () => {
  describeBeginning(relayNodeMachine, table, 'starting', [['open']]);
  describeStates(relayNodeMachine, table);
  describeCompleteness(relayNodeMachine, table, { covers: (path) => path !== 'serving.choosing' });

  it('ends with the reason of its failure, or with none', () => {
    assert.deepEqual(after(relayNodeMachine, relayNodeInput, [failed]).output, { error: failed.error });
    assert.deepEqual(after(relayNodeMachine, relayNodeInput, [opened, broken, closed]).output, {
      error: broken.error,
    });
    assert.deepEqual(after(relayNodeMachine, relayNodeInput, [opened, stop, closed]).output, { error: null });
  });
});
