import { assert } from 'chai';
import type { ErrorData } from '../../src/errors.ts';
import {
  type IncomingSessionEvent,
  type IncomingSessionInput,
  incomingSessionMachine,
} from '../../src/machines/incoming-session.ts';
import {
  error,
  hello as helloFacts,
  incomingSessionEvents,
  incomingSessionInput,
  peer,
} from '../support/machines/samples.ts';
import { simulate } from '../support/machines/simulation.ts';
import { type AfterEvent, after, type Effect, elapsed } from '../support/machines/step.ts';
import {
  describeBeginning,
  describeCompleteness,
  describeStates,
  type Row,
  type Table,
} from '../support/machines/table.ts';

const identified: IncomingSessionEvent = { type: 'peer.identified', peer };
const hello: IncomingSessionEvent = { type: 'hello.received', hello: helloFacts };
const passed: IncomingSessionEvent = { type: 'login.passed' };
const failed: IncomingSessionEvent = { type: 'login.failed', error };
const mapped: IncomingSessionEvent = { type: 'memory.mapped' };
const ready: IncomingSessionEvent = { type: 'ready.received' };
const gone: IncomingSessionEvent = { type: 'socket.ended', error };
const stop: IncomingSessionEvent = { type: 'stop' };
const late: AfterEvent = elapsed('loginTimeout', 'incomingSession.loggingIn');

const path = [identified, hello, passed, mapped, ready];
const stopping: ErrorData = { code: 'ERR_STOPPING', message: 'the server is stopping' };
const timeout: ErrorData = {
  code: 'ERR_LOGIN_TIMEOUT',
  message: 'the client did not complete the log-in within 5000 ms',
};
const rejects = (why: ErrorData): readonly Effect[] => [['sendRejected', why], ['discard']];

/** What ends a log-in wherever it is. */
const ends: Row<IncomingSessionEvent, IncomingSessionInput>[] = [
  { on: failed, to: 'rejected', does: rejects(error) },
  { on: gone, to: 'aborted', does: [['discard']] },
  { on: stop, to: 'rejected', does: rejects(stopping) },
  { on: late, to: 'rejected', does: rejects(timeout) },
];

const table: Table<IncomingSessionEvent, IncomingSessionInput> = {
  input: incomingSessionInput,
  events: incomingSessionEvents,
  states: {
    'loggingIn.checkingPeer': {
      by: [],
      rows: [{ on: identified, to: 'loggingIn.awaitingHello' }, ...ends],
    },
    'loggingIn.awaitingHello': {
      by: path.slice(0, 1),
      rows: [{ on: hello, to: 'loggingIn.validating', does: [['validate']] }, ...ends],
    },
    'loggingIn.validating': {
      by: path.slice(0, 2),
      rows: [{ on: passed, to: 'loggingIn.mappingMemory', does: [['mapMemory']] }, ...ends],
    },
    'loggingIn.mappingMemory': {
      by: path.slice(0, 3),
      rows: [{ on: mapped, to: 'loggingIn.awaitingReady', does: [['sendAccepted']] }, ...ends],
    },
    'loggingIn.awaitingReady': {
      by: path.slice(0, 4),
      rows: [{ on: ready, to: 'accepted' }, ...ends],
    },
    accepted: { by: path, rows: [] },
    rejected: { by: [failed], rows: [] },
    aborted: { by: [gone], rows: [] },
  },
};

describe('incomingSessionMachine', () => {
  describeBeginning(incomingSessionMachine, table, 'loggingIn.checkingPeer', [['identify']]);
  describeStates(incomingSessionMachine, table);
  describeCompleteness(incomingSessionMachine, table);

  describe('output', () => {
    it('is the peer and its hello once it is accepted', () =>
      assert.deepEqual(after(incomingSessionMachine, incomingSessionInput, path).output, {
        how: 'accepted',
        peer,
        hello: helloFacts,
      }));

    for (let steps = 0; steps < path.length; steps++) {
      const way = path.slice(0, steps);
      const where = ['at once', ...way.map(({ type }) => `after ${type}`)].at(-1);
      it(`is rejected with the reason for a log-in that fails ${where}`, () =>
        assert.deepEqual(after(incomingSessionMachine, incomingSessionInput, [...way, failed]).output, {
          how: 'rejected',
          error,
        }));

      it(`is aborted with the reason for a client that goes away ${where}`, () =>
        assert.deepEqual(after(incomingSessionMachine, incomingSessionInput, [...way, gone]).output, {
          how: 'aborted',
          error,
        }));
    }
  });

  describe('loginTimeout', () => {
    it('is for the whole log-in, however far it comes', () => {
      const login = simulate(incomingSessionMachine, incomingSessionInput);
      for (const event of path.slice(0, 4)) login.pass(1_000).send(event);
      assert.equal(login.pass(999).state, 'loggingIn.awaitingReady');
      assert.equal(login.pass(1).state, 'rejected');
      assert.deepEqual(login.given('sendRejected'), [timeout]);
    });

    it('is over with the log-in', () => {
      for (const events of [path, [failed], [gone], [stop]])
        assert.equal(simulate(incomingSessionMachine, incomingSessionInput, ...events).clock.pending, 0);
    });
  });

  it('discards what it made exactly once, and not for the session that goes on from here', () => {
    for (const [events, times] of [
      [path, 0],
      [[...path.slice(0, 3), failed, gone, stop], 1],
      [[...path.slice(0, 3), gone, failed, stop], 1],
    ] as const)
      assert.lengthOf(
        simulate(incomingSessionMachine, incomingSessionInput, ...events).times('discard'),
        times,
      );
  });
});
