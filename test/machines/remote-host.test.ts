import { assert } from 'chai';
import { createActor } from 'xstate';
import { SimulatedClock } from '../../src/machines/clock.ts';
import {
  type RemoteHostEvent,
  type RemoteHostInput,
  type RemoteHostReport,
  remoteHostMachine,
} from '../../src/machines/remote-host.ts';
import { remoteHostEvents, remoteHostInput } from '../support/machines/samples.ts';
import { elapsed } from '../support/machines/step.ts';
import {
  describeBeginning,
  describeCompleteness,
  describeStates,
  type Table,
} from '../support/machines/table.ts';

const [heard, left] = remoteHostEvents as [RemoteHostEvent & { type: 'host.heard' }, RemoteHostEvent];
const { told, units } = heard;
const reports = (how: RemoteHostReport['heard'], known = true) =>
  [['report', { heard: how, told: known ? told : null, units: known ? units : [] }]] as const;
const other = { ...heard, units: [] };

const table: Table<RemoteHostEvent, RemoteHostInput> = {
  input: remoteHostInput,
  events: remoteHostEvents,
  states: {
    unheard: {
      by: [],
      rows: [
        { on: heard, to: 'present.listening', does: reports('present') },
        { on: left, to: 'left', does: reports('left', false) },
        { on: elapsed('silentTimeout', 'remoteHost.unheard'), to: 'silent', does: reports('silent', false) },
      ],
    },
    'present.listening': {
      by: [heard],
      rows: [
        { on: heard, when: 'without news', to: 'present.listening', does: [] },
        {
          on: other,
          when: 'with news',
          to: 'present.listening',
          does: [['report', { heard: 'present', told, units: [] }]],
        },
        { on: left, to: 'left', does: reports('left') },
        {
          on: elapsed('silentTimeout', 'remoteHost.present.listening'),
          to: 'silent',
          does: reports('silent'),
        },
      ],
    },
    silent: {
      by: [heard, elapsed('silentTimeout', 'remoteHost.present.listening')],
      rows: [
        { on: heard, to: 'present.listening', does: reports('present') },
        { on: left, to: 'left', does: reports('left') },
      ],
    },
    left: { by: [heard, left], rows: [{ on: heard, to: 'present.listening', does: reports('present') }] },
  },
};

describe('remoteHostMachine', () => {
  describeBeginning(remoteHostMachine, table, 'unheard', reports('never', false));
  describeStates(remoteHostMachine, table);
  describeCompleteness(remoteHostMachine, table, { covers: (path) => path !== 'present.telling' });

  it('is silent only after a whole time without any word, news or not', () => {
    const clock = new SimulatedClock();
    const told: string[] = [];
    const actor = createActor(
      remoteHostMachine.provide({ actions: { report: (_, report) => void told.push(report.heard) } }),
      { input: remoteHostInput, clock },
    ).start();
    for (let i = 0; i < 10; i++) {
      actor.send(heard);
      clock.advance(9_999);
    }
    assert.deepEqual(told, ['never', 'present']);
    clock.advance(1);
    assert.deepEqual(told, ['never', 'present', 'silent']);
    actor.send(heard);
    assert.deepEqual(told, ['never', 'present', 'silent', 'present']);
    actor.stop();
  });
});
