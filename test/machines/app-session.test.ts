import { assert } from 'chai';
import {
  type AppSessionEvent,
  type AppSessionInput,
  appSessionMachine,
} from '../../src/machines/app-session.ts';
import { appSessionEvents, appSessionInput, error } from '../support/machines/samples.ts';
import { simulate } from '../support/machines/simulation.ts';
import { after, type Effect } from '../support/machines/step.ts';
import {
  describeBeginning,
  describeCompleteness,
  describeStates,
  type Row,
  type Table,
} from '../support/machines/table.ts';

type Rows = Row<AppSessionEvent, AppSessionInput>[];

const attached: AppSessionEvent = { type: 'session.attached' };
const done: AppSessionEvent = { type: 'user.done' };
const crashed: AppSessionEvent = { type: 'user.crashed', error };
const channelClosed: AppSessionEvent = { type: 'channel.closed', channel: 'prices' };
const stalled: AppSessionEvent = { type: 'peer.stalled', ms: 1_200 };
const resumed: AppSessionEvent = { type: 'peer.resumed' };
const closed: AppSessionEvent = { type: 'session.closed', reason: 'dinner' };
const hosed: AppSessionEvent = { type: 'session.hosed', reason: 'peer.reset', why: 'its process was killed' };
const close: AppSessionEvent = { type: 'close', reason: 'lunch' };

const byThem = { how: 'closed', reason: 'dinner' } as const;
const byLoss = { how: 'hosed', reason: 'peer.reset', why: 'its process was killed' } as const;
const byUs = (reason: string) => ({ how: 'closed', reason }) as const;

/** We end it: the user's machine first, then the session. */
const ends = (reason: string): readonly Effect[] => [
  ['tellUser', byUs(reason)],
  ['stopUser'],
  ['closeSession', { reason }],
];

/** The session has ended by itself. */
const losses: Rows = [
  { on: closed, to: 'ended', does: [['tellUser', byThem], ['stopUser'], ['releaseSession']] },
  { on: hosed, to: 'ended', does: [['tellUser', byLoss], ['stopUser'], ['releaseSession']] },
];

const table: Table<AppSessionEvent, AppSessionInput> = {
  input: appSessionInput,
  events: appSessionEvents,
  states: {
    attaching: {
      by: [],
      rows: [
        { on: attached, to: 'running', does: [['begin']] },
        { on: close, to: 'closing', does: ends('lunch') },
        ...losses,
      ],
    },
    running: {
      by: [attached],
      rows: [
        { on: channelClosed, to: 'running', does: [['tellChannelClosed', { channel: 'prices' }]] },
        { on: stalled, to: 'running', does: [['tellLife', stalled]] },
        { on: resumed, to: 'running', does: [['tellLife', resumed]] },
        { on: done, to: 'closing', does: ends('its machine reached a final state') },
        { on: crashed, to: 'closing', does: ends('it failed') },
        { on: close, to: 'closing', does: ends('lunch') },
        ...losses,
      ],
    },
    closing: {
      by: [attached, close],
      rows: [
        { on: closed, to: 'ended', does: [['releaseSession']] },
        { on: hosed, to: 'ended', does: [['releaseSession']] },
      ],
    },
    ended: { by: [attached, hosed], rows: [] },
  },
};

describe('appSessionMachine', () => {
  describeBeginning(appSessionMachine, table, 'attaching', [['attach']]);
  describeStates(appSessionMachine, table);
  describeCompleteness(appSessionMachine, table);

  describe('output', () => {
    const outputs: [title: string, events: AppSessionEvent[], output: object][] = [
      ['is how the session ended', [attached, hosed], { end: byLoss, crash: null }],
      ['is how it ended before it was attached', [closed], { end: byThem, crash: null }],
      ['is our own reason if we ended it', [attached, close, closed], { end: byUs('lunch'), crash: null }],
      [
        'is our own reason also if the peer was lost meanwhile',
        [attached, close, hosed],
        { end: byUs('lunch'), crash: null },
      ],
      [
        "is the crash of the user's machine, if that ended it",
        [attached, crashed, closed],
        { end: byUs('it failed'), crash: error },
      ],
    ];
    for (const [title, events, output] of outputs)
      it(title, () => assert.deepEqual(after(appSessionMachine, appSessionInput, events).output, output));
  });

  it("tells the user's machine its end once and lets the session go once, whatever ends first", () => {
    const orders: AppSessionEvent[][] = [
      [close, closed, hosed],
      [hosed, close, closed],
      [done, crashed, hosed],
      [crashed, close, closed],
      [closed, hosed, close],
    ];
    for (const events of orders) {
      const session = simulate(appSessionMachine, appSessionInput, attached, ...events);
      assert.equal(session.state, 'ended');
      for (const effect of ['tellUser', 'stopUser', 'releaseSession'])
        assert.lengthOf(session.times(effect), 1, `${effect} after ${events.map(({ type }) => type)}`);
    }
  });

  it("never starts the user's machine of a session that ended before it was attached", () => {
    for (const events of [
      [close, attached, closed],
      [hosed, attached],
    ])
      assert.deepEqual(simulate(appSessionMachine, appSessionInput, ...events).times('begin'), []);
  });
});
