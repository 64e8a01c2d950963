import { assert } from 'chai';
import type { ErrorData } from '../../src/errors.ts';
import {
  type ClientProcessEvent,
  type ClientProcessInput,
  clientProcessMachine,
  type Reconnect,
} from '../../src/machines/process.ts';
import { clientProcessEvents, clientProcessInput, error } from '../support/machines/samples.ts';
import { simulate } from '../support/machines/simulation.ts';
import { after, elapsed } from '../support/machines/step.ts';
import {
  describeBeginning,
  describeCompleteness,
  describeStates,
  type Table,
} from '../support/machines/table.ts';

const opened: ClientProcessEvent = { type: 'session.opened' };
const stop: ClientProcessEvent = { type: 'stop' };
const failedAt = (atMs: number): ClientProcessEvent => ({ type: 'session.failed', error, atMs });
const lost: ClientProcessEvent = { type: 'session.ended', atMs: 100, refused: false, lastedMs: 50 };
const refused: ClientProcessEvent = { type: 'session.ended', atMs: 100, refused: true, lastedMs: 999 };
const refusedLate: ClientProcessEvent = { ...refused, lastedMs: 1_000 };
const again = elapsed('reconnectDelay', 'clientProcess.waiting');

const withReconnect = (change: Partial<Reconnect>): ClientProcessInput => ({
  ...clientProcessInput,
  reconnect: { ...clientProcessInput.reconnect, ...change },
});

const table: Table<ClientProcessEvent, ClientProcessInput> = {
  input: clientProcessInput,
  events: clientProcessEvents,
  states: {
    opening: {
      by: [],
      rows: [
        { on: opened, to: 'active', does: [['reportOpen']] },
        { on: failedAt(100), to: 'waiting', does: [['reportWaiting', error]] },
        {
          on: failedAt(600),
          by: [failedAt(100), again],
          input: withReconnect({ giveUpAfterMs: 500 }),
          when: 'when it has been without a session for too long',
          to: 'failed',
        },
        {
          on: failedAt(599),
          by: [failedAt(100), again],
          input: withReconnect({ giveUpAfterMs: 500 }),
          when: 'when there is time left',
          to: 'waiting',
          does: [['reportWaiting', error]],
        },
        { on: stop, to: 'stopping', does: [['closeSession']] },
      ],
    },
    waiting: {
      by: [failedAt(100)],
      rows: [
        { on: again, to: 'opening', does: [['openSession']] },
        { on: stop, to: 'stopped' },
      ],
    },
    active: {
      by: [opened],
      rows: [
        { on: lost, to: 'opening', when: 'of a session that was lost', does: [['openSession']] },
        {
          on: refused,
          to: 'waiting',
          when: 'of one that was refused as soon as it was open',
          does: [
            [
              'reportWaiting',
              {
                code: 'ERR_SESSION_CLOSED',
                message: 'the last session with market ended as soon as it was open',
              },
            ],
          ],
        },
        {
          on: refusedLate,
          to: 'opening',
          when: 'of one that was refused after a while',
          does: [['openSession']],
        },
        { on: stop, to: 'stopping', does: [['closeSession']] },
      ],
    },
    stopping: {
      by: [opened, stop],
      rows: [
        { on: lost, to: 'stopped' },
        { on: failedAt(100), by: [stop], to: 'stopped', when: 'of a session that was not open yet' },
        { on: elapsed('stopTimeout', 'clientProcess.stopping'), to: 'stopped' },
      ],
    },
    stopped: { by: [failedAt(100), stop], rows: [] },
    failed: { by: [failedAt(100)], input: withReconnect({ giveUpAfterMs: 0 }), rows: [] },
  },
};

describe('clientProcessMachine', () => {
  describeBeginning(clientProcessMachine, table, 'opening', [['openSession']]);
  describeStates(clientProcessMachine, table);
  describeCompleteness(clientProcessMachine, table);

  describe('reconnect', () => {
    it('waits longer each time, up to its maximum', () => {
      const client = simulate(clientProcessMachine, clientProcessInput);
      const pauses = [250, 500, 1_000, 1_000].map((pause) => {
        client.send(failedAt(client.clock.now())).pass(pause - 1);
        assert.equal(client.state, 'waiting');
        client.pass(1);
        assert.equal(client.state, 'opening');
        return pause;
      });
      assert.lengthOf(client.times('openSession'), pauses.length + 1);
    });

    it('says in short what it waits for, until it has it', () => {
      const failures: [error: ErrorData, short: string][] = [
        [{ code: 'ERR_NO_SERVER', message: 'no server for app market: none is running' }, 'no server'],
        [{ code: 'ERR_LOGIN_TIMEOUT', message: 'market did not complete the log-in' }, 'no server'],
        [
          { code: 'ERR_APP_NOT_ALLOWED', message: 'app market does not allow app trader' },
          'rejected: app market does not allow app trader',
        ],
      ];
      const client = simulate(clientProcessMachine, clientProcessInput);
      for (const [why, short] of failures) {
        client.send({ type: 'session.failed', error: why, atMs: client.clock.now() });
        assert.equal(client.snapshot.context.waitsFor, short);
        client.pass(10_000);
      }
      client.send(opened);
      assert.isNull(client.snapshot.context.waitsFor);
      assert.equal(client.send(refused).snapshot.context.waitsFor, 'refused');
    });

    it('tries at once when a session is lost that was open', () => {
      const client = simulate(clientProcessMachine, clientProcessInput, opened).pass(5_000).send(lost);
      assert.deepEqual(client.times('openSession'), [0, 5_000]);
    });

    it('begins with the shortest pause again after a session that was lost', () => {
      const client = simulate(clientProcessMachine, clientProcessInput, failedAt(0)).pass(250);
      client.send(failedAt(250)).pass(500).send(opened).pass(5_000).send(lost).send(failedAt(5_750));
      assert.equal(client.snapshot.context.delayMs, 250);
    });

    it('goes on with longer pauses while sessions are refused as soon as they are open', () => {
      const client = simulate(clientProcessMachine, clientProcessInput);
      const delays = [1, 2, 3].map(() => {
        client.send(opened).send(refused);
        const { delayMs } = client.snapshot.context;
        client.pass(delayMs);
        return delayMs;
      });
      assert.deepEqual(delays, [250, 500, 1_000]);
    });

    it('has its jitter from the seed', () => {
      const delays = (seed: number) => {
        const client = simulate(clientProcessMachine, { ...withReconnect({ jitter: 0.5 }), seed });
        return [0, 1, 2].map(() => {
          const { delayMs } = client.send(failedAt(client.clock.now())).snapshot.context;
          client.pass(delayMs);
          return delayMs;
        });
      };
      assert.deepEqual(delays(1), delays(1));
      assert.notDeepEqual(delays(1), delays(2));
      for (const [i, delay] of delays(3).entries())
        assert.isTrue(delay >= [250, 500, 1_000][i]! && delay <= 1.5 * [250, 500, 1_000][i]!);
    });

    it('gives up once it has been without a session for its time, and says why', () => {
      const client = simulate(clientProcessMachine, withReconnect({ giveUpAfterMs: 700 }), failedAt(0));
      client.pass(250).send(failedAt(250)).pass(500);
      assert.equal(client.state, 'opening');
      client.send(failedAt(750));
      assert.equal(client.state, 'failed');
      assert.deepEqual(client.snapshot.output, { error });
      assert.equal(client.clock.pending, 0);
    });

    it('counts that time anew after each session', () => {
      const client = simulate(clientProcessMachine, withReconnect({ giveUpAfterMs: 700 }), failedAt(0));
      client
        .pass(250)
        .send(opened)
        .pass(60_000)
        .send({ ...lost, atMs: 60_250 })
        .send(failedAt(60_900));
      assert.equal(client.state, 'waiting');
    });

    it('never gives up if it is not to', () => {
      const client = simulate(clientProcessMachine, clientProcessInput);
      for (let i = 0; i < 100; i++) client.send(failedAt(client.clock.now())).pass(60_000);
      assert.lengthOf(client.times('openSession'), 101);
    });
  });

  describe('stop', () => {
    it('waits for the session no longer than its deadline', () => {
      const stopping = simulate(clientProcessMachine, clientProcessInput, opened, stop).pass(1_999);
      assert.equal(stopping.state, 'stopping');
      assert.equal(stopping.pass(1).state, 'stopped');
    });

    it('is not prolonged by a second one', () => {
      const stopping = simulate(clientProcessMachine, clientProcessInput, opened, stop).pass(1_000);
      assert.equal(stopping.send(stop).pass(1_000).state, 'stopped');
    });

    it('cancels the next try', () => {
      const stopped = simulate(clientProcessMachine, clientProcessInput, failedAt(0), stop);
      assert.equal(stopped.clock.pending, 0);
      assert.deepEqual(stopped.pass(60_000).times('openSession'), [0]);
    });

    it('waits for the end of a session that opens meanwhile', () => {
      const stopping = simulate(clientProcessMachine, clientProcessInput, stop, opened);
      assert.equal(stopping.state, 'stopping');
      assert.equal(stopping.send(lost).state, 'stopped');
      assert.deepEqual(stopping.times('reportOpen'), []);
    });

    it('is no failure, whatever went wrong before it', () => {
      for (const events of [
        [failedAt(0), stop],
        [failedAt(0), again, stop, failedAt(300)],
        [failedAt(0), again, opened, stop, lost],
        [opened, refused, stop],
      ]) {
        const { output } = after(clientProcessMachine, clientProcessInput, events);
        assert.deepEqual(output, { error: null });
      }
    });
  });
});
