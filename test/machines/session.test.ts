import { assert } from 'chai';
import type { ErrorCode, ErrorData } from '../../src/errors.ts';
import { type SessionEvent, type SessionInput, sessionMachine } from '../../src/machines/session.ts';
import { type HoseReason, hoseReasons } from '../../src/spec/session.ts';
import { clientSessionInput, error, serverSessionInput, sessionEvents } from '../support/machines/samples.ts';
import { type Simulation, simulate } from '../support/machines/simulation.ts';
import { after, begin, type Effect, elapsed, stateOf, take } from '../support/machines/step.ts';
import {
  describeBeginning,
  describeCompleteness,
  describeStates,
  type Row,
  type Table,
} from '../support/machines/table.ts';

type Session = Simulation<typeof sessionMachine>;
type Rows = Row<SessionEvent, SessionInput>[];

const connected: SessionEvent = { type: 'dial.connected' };
const dialFailed: SessionEvent = { type: 'dial.failed', error };
const accepted: SessionEvent = { type: 'login.accepted' };
const rejected: SessionEvent = { type: 'login.rejected', error };
const attach: SessionEvent = { type: 'attach' };
const close: SessionEvent = { type: 'close', reason: 'lunch' };
const release: SessionEvent = { type: 'release' };
const ended = (name: string): SessionEvent => ({ type: 'channel.ended', name });
const quotesOpened: SessionEvent = { type: 'channel.opened', name: 'quotes' };
const peerEnded: SessionEvent = { type: 'channel.peer-ended', name: 'prices' };

/** What makes a session unusable, and the reason that it is given. */
const causes: [event: Extract<SessionEvent, { why: string }>, reason: HoseReason][] = [
  [{ type: 'peer.goodbye', why: 'dinner' }, 'peer.goodbye'],
  [{ type: 'peer.closed', why: 'its process ended' }, 'peer.closed'],
  [{ type: 'peer.reset', why: 'its process was killed' }, 'peer.reset'],
  [{ type: 'peer.idle', why: 'it gave no sign of life for 5000 ms' }, 'peer.idle'],
  [{ type: 'protocol.violated', why: 'a frame of unknown type' }, 'protocol'],
  [{ type: 'memory.violated', why: 'the tail is outside the ring' }, 'memory'],
];
const stalled: SessionEvent = { type: 'peer.stalled', ms: 1_200 };
const resumed: SessionEvent = { type: 'peer.resumed' };
const stallOver = elapsed('stallTimeout', 'session.open.stalled');
const stallFacts = { reason: 'peer.stalled', why: 'its event loop has not turned for 30000 ms' } as const;

const report = (type: string, facts: object = {}): Effect => ['report', { type, ...facts }];
const fails = (why: ErrorData): readonly Effect[] => [['tearDown'], report('session.failed', { error: why })];
const failure = (code: ErrorCode, message: string): ErrorData => ({ code, message });
const goodbye = (reason: string): readonly Effect[] => [
  ['sendGoodbye', { reason }],
  report('session.closed', { reason }),
];

const hosings: Rows = causes.map(([on, reason]) => ({
  on,
  to: 'hosed',
  does: [['hoseChannels', { reason, why: on.why }], report('session.hosed', { reason, why: on.why })],
}));

const toAlmostOpen = [connected, accepted];
const toOpen = [...toAlmostOpen, attach];
const toClosing = [...toOpen, close];
const toClosed = [...toClosing, ended('prices'), ended('orders')];
const toHosed = [...toOpen, causes[2]![0]];
const closesAtOnce: readonly Effect[] = [['closeChannels'], ...goodbye('lunch')];

/** What a client's log-in can't survive. */
const lossesWhileOpening: Rows = [
  {
    on: close,
    to: 'failed',
    does: fails(failure('ERR_SESSION_CLOSED', 'the session with market was closed before it opened')),
  },
  ...causes.slice(0, 4).map(([on]): Rows[number] => ({
    on,
    to: 'failed',
    does: fails(failure('ERR_NO_SERVER', `app market: ${on.why} during the log-in`)),
  })),
  { on: causes[4]![0], to: 'failed', does: 'elsewhere' },
  { on: causes[5]![0], to: 'failed', does: 'elsewhere' },
  {
    on: elapsed('loginTimeout', 'session.opening'),
    to: 'failed',
    does: fails(failure('ERR_LOGIN_TIMEOUT', 'app market did not complete the log-in within 5000 ms')),
  },
];

const table: Table<SessionEvent, SessionInput> = {
  input: clientSessionInput,
  events: sessionEvents,
  states: {
    'opening.dialling': {
      by: [],
      rows: [
        { on: connected, to: 'opening.loggingIn', does: [['logIn']] },
        { on: dialFailed, to: 'failed', does: fails(error) },
        ...lossesWhileOpening,
        { on: ended('prices'), to: 'opening.dialling' },
      ],
    },
    'opening.loggingIn': {
      by: [connected],
      rows: [
        { on: accepted, to: 'almostOpen', does: [['sendReady'], report('session.opened')] },
        { on: rejected, to: 'failed', does: fails(error) },
        ...lossesWhileOpening,
        { on: ended('prices'), to: 'opening.loggingIn' },
      ],
    },
    almostOpen: {
      by: toAlmostOpen,
      rows: [
        {
          on: attach,
          to: 'open.answering',
          does: [['openChannels'], ['watchPeer'], report('session.attached')],
        },
        { on: close, to: 'closed', does: closesAtOnce },
        ...hosings,
        { on: ended('prices'), to: 'almostOpen' },
      ],
    },
    'open.answering': {
      by: toOpen,
      rows: [
        { on: stalled, to: 'open.stalled', does: [report('peer.stalled', { ms: 1_200 })] },
        { on: peerEnded, to: 'open.answering', does: [report('channel.closed', { channel: 'prices' })] },
        { on: close, to: 'closing', does: [['closeChannels']] },
        ...hosings,
        { on: ended('prices'), to: 'open.answering' },
        { on: quotesOpened, to: 'open.answering' },
      ],
    },
    'open.stalled': {
      by: [...toOpen, stalled],
      rows: [
        { on: resumed, to: 'open.answering', does: [report('peer.resumed')] },
        {
          on: stallOver,
          to: 'hosed',
          does: [['hoseChannels', stallFacts], report('session.hosed', stallFacts)],
        },
        {
          on: stallOver,
          when: 'that may last for ever',
          input: { ...clientSessionInput, stallHoseMs: 'never' },
          to: 'open.stalled',
        },
        { on: peerEnded, to: 'open.stalled', does: [report('channel.closed', { channel: 'prices' })] },
        { on: close, to: 'closing', does: [['closeChannels']] },
        ...hosings,
        { on: ended('prices'), to: 'open.stalled' },
        { on: quotesOpened, to: 'open.stalled' },
      ],
    },
    closing: {
      by: toClosing,
      rows: [
        { on: ended('prices'), to: 'closing', when: 'of one of two channels' },
        { on: quotesOpened, to: 'closing' },
        {
          on: ended('orders'),
          by: [...toClosing, quotesOpened, ended('prices')],
          when: 'while one of those that were opened on demand is left',
          to: 'closing',
        },
        {
          on: ended('orders'),
          by: [...toClosing, ended('prices')],
          when: 'of the last channel',
          to: 'closed',
          does: goodbye('lunch'),
        },
        ...causes.map(([on]): Rows[number] => ({ on, to: 'closed', does: goodbye('lunch') })),
        { on: elapsed('closeTimeout', 'session.closing'), to: 'closed', does: goodbye('lunch') },
      ],
    },
    closed: {
      by: toClosed,
      rows: [
        { on: release, to: 'released', does: [['tearDown']] },
        { on: elapsed('releaseTimeout', 'session.closed'), to: 'released', does: [['tearDown']] },
        { on: ended('prices'), to: 'closed' },
      ],
    },
    hosed: {
      by: toHosed,
      rows: [
        { on: release, to: 'released', does: [['tearDown']] },
        { on: elapsed('releaseTimeout', 'session.hosed'), to: 'released', does: [['tearDown']] },
        { on: ended('prices'), to: 'hosed' },
      ],
    },
    failed: { by: [dialFailed], rows: [] },
    released: { by: [...toClosed, release], rows: [] },
  },
};

describe('sessionMachine', () => {
  describeBeginning(sessionMachine, table, 'opening.dialling', [['dial']]);
  describeStates(sessionMachine, table);
  describeCompleteness(sessionMachine, table);

  it('begins almost open at the server, where the log-in has been done', () => {
    const { state, effects } = begin(sessionMachine, serverSessionInput);
    assert.equal(stateOf(state), 'almostOpen');
    assert.deepEqual(effects, [report('session.opened')]);
  });

  it('does the same at both sides once it is open', () => {
    const atClient = after(sessionMachine, clientSessionInput, toOpen);
    const atServer = after(sessionMachine, serverSessionInput, [attach]);
    for (const event of sessionEvents) {
      const [client, server] = [take(sessionMachine, atClient, event), take(sessionMachine, atServer, event)];
      assert.deepEqual(server.state.value, client.state.value, event.type);
      assert.deepEqual(server.effects, client.effects, event.type);
    }
  });

  it('tells a server that breaks the protocol during the log-in from one that is not there', () => {
    const session = simulate(sessionMachine, clientSessionInput, connected, causes[4]![0]);
    const told = session.given('report').at(-1) as { error: ErrorData };
    assert.equal(told.error.code, 'ERR_PROTOCOL');
    assert.include(told.error.message, 'a frame of unknown type');
  });

  describe('the end of a session', () => {
    const ends = ['session.closed', 'session.hosed', 'session.failed'];
    const tellings = (events: SessionEvent[], input = clientSessionInput) =>
      simulate(sessionMachine, input, ...events)
        .pass(60_000)
        .given('report')
        .map((each) => each as { type: string; reason?: string; why?: string })
        .filter(({ type }) => ends.includes(type));

    for (const [first, reason] of causes)
      it(`is told once, with the first cause, when it begins with ${first.type}`, () => {
        const others = causes.map(([event]) => event);
        const told = tellings([...toOpen, first, ...others, close, release]);
        assert.lengthOf(told, 1);
        assert.deepEqual(told[0], { type: 'session.hosed', reason, why: first.why });
      });

    it('has every reason of the list', () =>
      assert.sameMembers([...causes.map(([, reason]) => reason), 'peer.stalled'], [...hoseReasons]));

    /** Each trigger as what brings it about; how its end is told. */
    const triggers: [title: string, bring: (session: Session) => void, told: object][] = [
      ['close', (session) => session.send(close), { type: 'session.closed', reason: 'lunch' }],
      ...causes.map(([event, reason]): (typeof triggers)[number] => [
        event.type,
        (session) => session.send(event),
        { type: 'session.hosed', reason, why: event.why },
      ]),
      [
        'a stall that lasts',
        (session) => session.send(stalled).pass(30_000),
        { type: 'session.hosed', ...stallFacts },
      ],
    ];
    for (const [first, bringFirst, told] of triggers)
      for (const [second, bringSecond] of triggers)
        it(`is told once, by the first, when ${second} follows ${first}`, () => {
          for (const input of [clientSessionInput, serverSessionInput]) {
            const opening = input.side === 'client' ? toOpen : [attach];
            const session = simulate(sessionMachine, input, ...opening);
            bringFirst(session);
            bringSecond(session);
            session.send(release).pass(60_000);
            const given = session.given('report') as { type: string }[];
            assert.deepEqual(
              given.filter(({ type }) => ends.includes(type)),
              [told as { type: string }],
            );
            assert.isAtMost(session.times('hoseChannels').length, 1);
            assert.lengthOf(session.times('tearDown'), 1);
            assert.equal(session.state, 'released');
          }
        });

    it('is told once, as ours, when we began it', () => {
      const told = tellings([...toClosing, ...causes.map(([event]) => event), close, release]);
      assert.deepEqual(told, [{ type: 'session.closed', reason: 'lunch' }]);
    });

    it('keeps the reason of the first close', () => {
      const told = tellings([...toOpen, close, { type: 'close', reason: 'dinner' }, causes[0]![0]]);
      assert.deepEqual(told, [{ type: 'session.closed', reason: 'lunch' }]);
    });

    it('is told once for a log-in that fails twice', () =>
      assert.lengthOf(tellings([connected, rejected, dialFailed, causes[1]![0], close]), 1));

    it('begins at the server also before its owner has attached itself', () => {
      const told = tellings([causes[2]![0], attach], serverSessionInput);
      assert.lengthOf(told, 1);
      assert.deepInclude(told[0]!, { type: 'session.hosed', reason: 'peer.reset' });
    });
  });

  describe('memory', () => {
    for (const events of [[dialFailed], [...toHosed, release], [...toClosed, release]])
      it(`is let go of once after ${events.map(({ type }) => type).join(', ')}`, () => {
        const session = simulate(sessionMachine, clientSessionInput, ...events).pass(60_000);
        assert.lengthOf(session.times('tearDown'), 1);
      });

    for (const [title, events] of [
      ['hosed', toHosed],
      ['closed', toClosed],
    ] as const)
      it(`is let go of after 5 s by a ${title} session whose owner does not`, () => {
        const session = simulate(sessionMachine, clientSessionInput, ...events).pass(4_999);
        assert.lengthOf(session.times('tearDown'), 0);
        assert.lengthOf(session.pass(1).times('tearDown'), 1);
        assert.equal(session.state, 'released');
      });
  });

  describe('a stalled peer', () => {
    const open = (stallHoseMs: number | 'never' = 30_000) =>
      simulate(sessionMachine, { ...clientSessionInput, stallHoseMs }, ...toOpen);

    it('is given the time from when its loop stopped, not from when that was told', () => {
      const session = open().send(stalled).pass(28_799);
      assert.equal(session.state, 'open.stalled');
      assert.equal(session.pass(1).state, 'hosed');
    });

    it('is given all of the time again after it has resumed', () => {
      const session = open().send(stalled).pass(28_000).send(resumed).send(stalled).pass(28_799);
      assert.equal(session.state, 'open.stalled');
    });

    it('is lost at once when that time is over already', () =>
      assert.equal(open(1_000).send(stalled).pass(0).state, 'hosed'));

    it('is never lost by that if it may be stalled for ever', () =>
      assert.equal(
        open('never')
          .send(stalled)
          .pass(2 ** 31).state,
        'open.stalled',
      ));

    it('can be closed like any other', () => assert.equal(open().send(stalled).send(close).state, 'closing'));

    it('leaves no timer behind once it has resumed', () =>
      assert.equal(open().send(stalled).send(resumed).clock.pending, 0));
  });

  describe('loginTimeout', () => {
    it('is for dialling and log-in together', () => {
      const session = simulate(sessionMachine, clientSessionInput).pass(3_000).send(connected).pass(1_999);
      assert.equal(session.state, 'opening.loggingIn');
      assert.equal(session.pass(1).state, 'failed');
    });

    it('is over once the session is almost open', () => {
      const session = simulate(sessionMachine, clientSessionInput, ...toAlmostOpen);
      assert.equal(session.clock.pending, 0);
    });
  });

  describe('closeTimeout', () => {
    it('gives the channels their own deadline, and a little more', () => {
      const session = simulate(sessionMachine, clientSessionInput, ...toClosing).pass(1_000);
      assert.equal(session.state, 'closing');
      assert.equal(session.pass(100).state, 'closed');
    });

    it('is not prolonged by a second close', () => {
      const session = simulate(sessionMachine, clientSessionInput, ...toClosing)
        .pass(1_000)
        .send(close);
      assert.equal(session.pass(100).state, 'closed');
    });

    it('is not needed by a session without channels', () => {
      const session = simulate(sessionMachine, { ...clientSessionInput, channels: [] }, ...toClosing);
      assert.equal(session.state, 'closed');
    });
  });

  it('leaves no timer behind', () => {
    for (const events of [
      [dialFailed],
      [connected, rejected],
      [close],
      [...toHosed, release],
      [...toClosed, release],
    ])
      assert.equal(simulate(sessionMachine, clientSessionInput, ...events).clock.pending, 0);
  });
});
