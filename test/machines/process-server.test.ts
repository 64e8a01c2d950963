import { assert } from 'chai';
import {
  type ServerProcessEvent,
  type ServerProcessInput,
  serverProcessMachine,
} from '../../src/machines/process.ts';
import { error, serverProcessEvents, serverProcessInput } from '../support/machines/samples.ts';
import { simulate } from '../support/machines/simulation.ts';
import { after, type Effect, elapsed } from '../support/machines/step.ts';
import {
  describeBeginning,
  describeCompleteness,
  describeStates,
  type Row,
  type Table,
} from '../support/machines/table.ts';

const listening: ServerProcessEvent = { type: 'server.listening' };
const failed: ServerProcessEvent = { type: 'server.failed', error };
const opened: ServerProcessEvent = { type: 'session.opened' };
const ended: ServerProcessEvent = { type: 'session.ended' };
const stop: ServerProcessEvent = { type: 'stop' };

const closes: readonly Effect[] = [['stopServer'], ['closeSessions']];
const toStopping = [listening, opened, stop];

/** Ends at once while it has no sessions, and waits for those that it has. */
function endsBy(
  on: ServerProcessEvent,
  by: readonly ServerProcessEvent[],
): Row<ServerProcessEvent, ServerProcessInput>[] {
  return [
    { on, by: [...by, opened], when: 'with a session', to: 'stopping', does: closes },
    { on, by, when: 'without a session', to: 'stopped', does: closes },
  ];
}

const table: Table<ServerProcessEvent, ServerProcessInput> = {
  input: serverProcessInput,
  events: serverProcessEvents,
  states: {
    starting: {
      by: [],
      rows: [
        { on: listening, to: 'serving', does: [['reportServing']] },
        { on: opened, to: 'starting' },
        { on: ended, to: 'starting' },
        ...endsBy(failed, []),
        ...endsBy(stop, []),
      ],
    },
    serving: {
      by: [listening],
      rows: [
        { on: opened, to: 'serving' },
        { on: ended, to: 'serving' },
        ...endsBy(failed, [listening]),
        ...endsBy(stop, [listening]),
      ],
    },
    stopping: {
      by: toStopping,
      rows: [
        { on: opened, to: 'stopping' },
        { on: ended, to: 'stopped', when: 'of the last session' },
        { on: ended, by: [listening, opened, opened, stop], when: 'of one of two', to: 'stopping' },
        { on: elapsed('stopTimeout', 'serverProcess.stopping'), to: 'stopped' },
      ],
    },
    stopped: { by: [listening, stop], rows: [] },
  },
};

describe('serverProcessMachine', () => {
  describeBeginning(serverProcessMachine, table, 'starting', [['startServer']]);
  describeStates(serverProcessMachine, table);
  describeCompleteness(serverProcessMachine, table);

  it('counts its sessions, those that there are and those that there have been', () => {
    const { context } = after(serverProcessMachine, serverProcessInput, [listening, opened, opened, ended]);
    assert.deepInclude(context, { sessions: 1, sessionsTotal: 2 });
  });

  it('ends without an error if it was asked to', () => {
    const { output } = after(serverProcessMachine, serverProcessInput, [listening, stop]);
    assert.deepEqual(output, { error: null });
  });

  it('ends with the reason why it can not serve', () => {
    const { output } = after(serverProcessMachine, serverProcessInput, [failed]);
    assert.deepEqual(output, { error });
  });

  it('ends without an error if its listener fails while it stops', () => {
    const { output } = after(serverProcessMachine, serverProcessInput, [...toStopping, failed, ended]);
    assert.deepEqual(output, { error: null });
  });

  it('waits for its sessions no longer than its deadline, and a second stop does not prolong that', () => {
    const stopping = simulate(serverProcessMachine, serverProcessInput, ...toStopping);
    stopping.pass(1_000).send(stop).pass(999);
    assert.equal(stopping.state, 'stopping');
    assert.equal(stopping.pass(1).state, 'stopped');
    assert.equal(stopping.clock.pending, 0);
  });

  it('leaves no timer behind when its sessions end in time', () => {
    const stopping = simulate(serverProcessMachine, serverProcessInput, ...toStopping, ended);
    assert.equal(stopping.state, 'stopped');
    assert.equal(stopping.clock.pending, 0);
  });
});
