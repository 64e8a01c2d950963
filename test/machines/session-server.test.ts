import { assert } from 'chai';
import {
  type SessionServerEvent,
  type SessionServerInput,
  sessionServerMachine,
} from '../../src/machines/session-server.ts';
import { error, sessionServerEvents, sessionServerInput } from '../support/machines/samples.ts';
import { after, type Effect } from '../support/machines/step.ts';
import {
  describeBeginning,
  describeCompleteness,
  describeStates,
  type Table,
} from '../support/machines/table.ts';

const granted: SessionServerEvent = { type: 'claim.granted' };
const refused: SessionServerEvent = { type: 'claim.refused', error };
const broken: SessionServerEvent = { type: 'listener.failed', error };
const accepted: SessionServerEvent = { type: 'login.accepted' };
const rejected: SessionServerEvent = { type: 'login.refused' };
const stop: SessionServerEvent = { type: 'stop' };
const connect = (connection: number): SessionServerEvent => ({ type: 'connection.accepted', connection });

const fails: readonly Effect[] = [['release'], ['report', { type: 'server.failed', error }]];

const table: Table<SessionServerEvent, SessionServerInput> = {
  input: sessionServerInput,
  events: sessionServerEvents,
  states: {
    claiming: {
      by: [],
      rows: [
        { on: granted, to: 'listening', does: [['listen'], ['report', { type: 'server.listening' }]] },
        { on: refused, to: 'failed', does: fails },
        { on: accepted, to: 'claiming' },
        { on: rejected, to: 'claiming' },
        { on: stop, to: 'stopped', does: [['release']] },
      ],
    },
    listening: {
      by: [granted],
      rows: [
        {
          on: connect(9),
          to: 'listening',
          when: 'while there is room',
          does: [['beginLogin', { connection: 9, number: 1 }]],
        },
        {
          on: connect(9),
          by: [granted, connect(8)],
          when: 'beyond those that may be under way',
          to: 'listening',
          does: [['refuseConnection', { connection: 9 }]],
        },
        {
          on: connect(9),
          by: [granted, connect(8), accepted],
          when: 'after a log-in that was accepted',
          to: 'listening',
          does: [['beginLogin', { connection: 9, number: 2 }]],
        },
        {
          on: connect(9),
          by: [granted, connect(8), rejected],
          when: 'after a log-in that was refused',
          to: 'listening',
          does: [['beginLogin', { connection: 9, number: 2 }]],
        },
        { on: accepted, by: [granted, connect(8)], to: 'listening' },
        { on: rejected, by: [granted, connect(8)], to: 'listening' },
        { on: broken, to: 'failed', does: fails },
        { on: stop, to: 'stopped', does: [['release']] },
      ],
    },
    failed: { by: [refused], rows: [] },
    stopped: { by: [stop], rows: [] },
  },
};

describe('sessionServerMachine', () => {
  describeBeginning(sessionServerMachine, table, 'claiming', [['claim']]);
  describeStates(sessionServerMachine, table);
  describeCompleteness(sessionServerMachine, table);

  it('counts log-ins: those under way, accepted and refused', () => {
    const events = [granted, connect(1), accepted, connect(2), rejected, connect(3)];
    assert.deepInclude(after(sessionServerMachine, sessionServerInput, events).context, {
      pending: 1,
      accepted: 1,
      rejected: 1,
      nextNumber: 4,
    });
  });

  it('does not count a connection that it turned away', () => {
    const { context } = after(sessionServerMachine, sessionServerInput, [granted, connect(1), connect(2)]);
    assert.deepInclude(context, { pending: 1, rejected: 0, nextNumber: 2 });
  });

  it('goes on listening whatever becomes of a log-in', () => {
    const events = [granted, connect(1), rejected, connect(2), rejected];
    assert.equal(after(sessionServerMachine, sessionServerInput, events).value, 'listening');
  });

  it('ends with the reason why it can not listen', () => {
    for (const events of [[refused], [granted, broken]])
      assert.deepEqual(after(sessionServerMachine, sessionServerInput, events).output, { error });
  });

  it('ends without an error if it was asked to', () => {
    for (const events of [[stop], [granted, stop]])
      assert.deepEqual(after(sessionServerMachine, sessionServerInput, events).output, { error: null });
  });
});
