import { assert } from 'chai';
import {
  type LinkPeerEvent,
  type LinkPeerInput,
  type LinkPeerReport,
  linkPeerMachine,
} from '../../src/machines/link-peer.ts';
import { linkPeerEvents, linkPeerInput } from '../support/machines/samples.ts';
import { simulate } from '../support/machines/simulation.ts';
import { elapsed } from '../support/machines/step.ts';
import {
  describeBeginning,
  describeCompleteness,
  describeStates,
  type Row,
  type Table,
} from '../support/machines/table.ts';

type Lines = readonly Row<LinkPeerEvent, LinkPeerInput>[];
const event = Object.fromEntries(linkPeerEvents.map((each) => [each.type, each])) as Record<
  LinkPeerEvent['type'],
  LinkPeerEvent
>;
const accepts: LinkPeerInput = { ...linkPeerInput, side: 'accepts' };
const closed = (why: string) => [
  ['hangUp'] as const,
  ['tearDown'] as const,
  ['report', { type: 'link.closed', why }] as const,
];
const byUs = 'it was closed here';
const lost = (why: string): LinkPeerReport => ({ type: 'link.lost', why });
const opened = [['resume'], ['report', { type: 'link.open' }]] as const;
const toGreeting = [event['dial.connected']];
const toOpen = [...toGreeting, event['peer.welcomed']];
const closing: Lines = [{ on: event.close, to: 'closed', does: closed(byUs) }];
const failed = (why: string) => [['report', { type: 'link.failed', why }] as const, ['hangUp'] as const];
const failing: Lines = [{ on: event['link.lost'], to: 'waiting', does: failed('cut') }, ...closing];

const table: Table<LinkPeerEvent, LinkPeerInput> = {
  input: linkPeerInput,
  events: linkPeerEvents,
  // A beat that was heard is only remembered.
  remembered: ['beat.heard'],
  states: {
    dialling: {
      by: [],
      rows: [
        { on: event['dial.connected'], to: 'greeting', does: [['greet']] },
        { on: event['dial.failed'], to: 'waiting', does: failed('nobody is there') },
        {
          on: elapsed('dialTimeout', 'linkPeer.dialling'),
          to: 'waiting',
          does: failed('no connection within 5000 ms'),
        },
        ...failing,
      ],
    },
    greeting: {
      by: toGreeting,
      rows: [
        { on: event['peer.welcomed'], to: 'open.beating', does: opened },
        {
          on: event['peer.refused'],
          to: 'waiting',
          does: [
            ['report', { type: 'link.refused', error: { code: 'ERR_RELAY_REFUSED', message: 'it refused' } }],
            ['hangUp'],
          ],
        },
        {
          on: event['peer.refused'],
          when: 'for the same reason as before',
          by: [
            ...toGreeting,
            event['peer.refused'],
            elapsed('retryDelay', 'linkPeer.waiting'),
            ...toGreeting,
          ],
          to: 'waiting',
          does: [['hangUp']],
        },
        { on: event['peer.goodbye'], to: 'waiting', does: failed('it stops') },
        {
          on: elapsed('dialTimeout', 'linkPeer.greeting'),
          to: 'waiting',
          does: failed('no welcome within 5000 ms'),
        },
        ...failing,
      ],
    },
    'open.beating': {
      by: toOpen,
      rows: [
        { on: elapsed('beatInterval', 'linkPeer.open.beating'), to: 'open.beating', does: [['beat']] },
        { on: event['beat.heard'], to: 'open.beating', does: [] },
        { on: event['beat.missed'], to: 'open.beating', does: [] },
        {
          on: event['beat.missed'],
          when: 'for the third time in a row',
          by: [...toOpen, event['beat.missed'], event['beat.missed']],
          to: 'waiting',
          does: [['report', lost('nothing was heard for 3 beats of 1000 ms')], ['hangUp']],
        },
        {
          on: event['beat.missed'],
          when: 'for the third time in a row, of a peer that dials',
          input: accepts,
          by: [event['peer.arrived'], event['beat.missed'], event['beat.missed']],
          to: 'away',
          does: [['report', lost('nothing was heard for 3 beats of 1000 ms')], ['hangUp']],
        },
        { on: event['peer.arrived'], to: 'open.beating', does: opened },
        { on: event['link.lost'], to: 'waiting', does: [['report', lost('cut')], ['hangUp']] },
        {
          on: event['link.lost'],
          when: 'with a peer that dials',
          input: accepts,
          by: [event['peer.arrived']],
          to: 'away',
          does: [['report', lost('cut')], ['hangUp']],
        },
        { on: event['peer.goodbye'], to: 'waiting', does: [['report', lost('it stops')], ['hangUp']] },
        {
          on: event['peer.goodbye'],
          when: 'of a peer that dials',
          input: accepts,
          by: [event['peer.arrived']],
          to: 'closed',
          does: closed('it stops'),
        },
        { on: event.close, to: 'draining', does: [['drain']] },
      ],
    },
    waiting: {
      by: [event['dial.failed']],
      rows: [{ on: elapsed('retryDelay', 'linkPeer.waiting'), to: 'dialling', does: [['dial']] }, ...closing],
    },
    away: {
      by: [],
      input: accepts,
      rows: [
        { on: event['peer.arrived'], to: 'open.beating', does: opened },
        {
          on: elapsed('resumeTimeout', 'linkPeer.away'),
          to: 'closed',
          does: closed('it has not come back within 30000 ms'),
        },
        ...closing,
      ],
    },
    draining: {
      by: [...toOpen, event.close],
      rows: [
        { on: event['line.drained'], to: 'closed', does: closed(byUs) },
        { on: event['link.lost'], to: 'closed', does: closed(byUs) },
        { on: event['peer.goodbye'], to: 'closed', does: closed(byUs) },
        { on: elapsed('drainTimeout', 'linkPeer.draining'), to: 'closed', does: closed(byUs) },
      ],
    },
    closed: { by: [event.close], rows: [] },
  },
};

describe('linkPeerMachine', () => {
  describeBeginning(linkPeerMachine, table, 'dialling', [['dial']]);
  describeStates(linkPeerMachine, table);
  describeCompleteness(linkPeerMachine, table, { covers: (path) => path !== 'choosing' });

  it('tries at once, then after 50, 100, 200 ms and so on up to two seconds', () => {
    const link = simulate(linkPeerMachine, linkPeerInput);
    for (let i = 0; i < 9; i++) link.send({ type: 'dial.failed', why: 'no' }).pass(2_000);
    const times = link.times('dial');
    assert.deepEqual(times.slice(0, 2), [0, 50]);
    const delays = simulate(linkPeerMachine, linkPeerInput);
    const seen: number[] = [];
    for (let i = 0; i < 9; i++) {
      delays.send({ type: 'dial.failed', why: 'no' });
      seen.push((delays.snapshot.context as { delayMs: number }).delayMs);
      delays.pass(2_000);
    }
    assert.deepEqual(seen, [50, 100, 200, 400, 800, 1_600, 2_000, 2_000, 2_000]);
  });

  it('spreads its tries by chance, the same for the same seed', () => {
    const jittery = { ...linkPeerInput, backoff: { ...linkPeerInput.backoff, jitter: 0.5 } };
    const delayOf = (seed: number) =>
      (
        simulate(linkPeerMachine, { ...jittery, seed }, { type: 'dial.failed', why: 'no' }).snapshot
          .context as { delayMs: number }
      ).delayMs;
    assert.equal(delayOf(7), delayOf(7));
    assert.isAbove(new Set([1, 2, 3, 4, 5].map(delayOf)).size, 1);
    for (const seed of [1, 2, 3]) assert.isTrue(delayOf(seed) >= 50 && delayOf(seed) <= 75);
  });

  it('begins with short delays again after a link', () => {
    const link = simulate(linkPeerMachine, linkPeerInput);
    for (let i = 0; i < 5; i++) link.send({ type: 'dial.failed', why: 'no' }).pass(2_000);
    link
      .send({ type: 'dial.connected' })
      .send({ type: 'peer.welcomed' })
      .send({ type: 'link.lost', why: 'cut' });
    assert.equal((link.snapshot.context as { delayMs: number }).delayMs, 50);
  });

  it('takes a link for lost after three silent beats, not after three in all', () => {
    const link = simulate(
      linkPeerMachine,
      linkPeerInput,
      { type: 'dial.connected' },
      { type: 'peer.welcomed' },
    );
    for (const type of ['beat.missed', 'beat.missed', 'beat.heard', 'beat.missed', 'beat.missed'] as const)
      link.pass(1_000).send({ type });
    assert.equal(link.state, 'open.beating');
    link.pass(1_000).send({ type: 'beat.missed' });
    assert.equal(link.state, 'waiting');
    assert.deepEqual(link.times('beat'), [1_000, 2_000, 3_000, 4_000, 5_000, 6_000]);
  });

  it('counts its own beats, so that a process that was stopped does not take its peer for dead', () => {
    const link = simulate(
      linkPeerMachine,
      linkPeerInput,
      { type: 'dial.connected' },
      { type: 'peer.welcomed' },
    );
    // One timer comes ten seconds late; one beat was missed, no more.
    link.pass(1_000).send({ type: 'beat.missed' });
    assert.equal(link.state, 'open.beating');
    assert.lengthOf(link.times('beat'), 1);
  });

  it('keeps the line of a peer that is away for its time, and no longer', () => {
    const link = simulate(
      linkPeerMachine,
      accepts,
      { type: 'peer.arrived' },
      { type: 'link.lost', why: 'cut' },
    );
    link.pass(29_999);
    assert.equal(link.state, 'away');
    assert.isEmpty(link.times('tearDown'));
    link.pass(1);
    assert.equal(link.state, 'closed');
    assert.deepEqual(link.times('tearDown'), [30_000]);
  });

  it('tells of a refusal once, and of another reason again', () => {
    const link = simulate(linkPeerMachine, linkPeerInput);
    for (const message of ['version', 'version', 'role', 'role'])
      link
        .send({ type: 'dial.connected' })
        .send({ type: 'peer.refused', error: { code: 'ERR_RELAY_REFUSED', message } })
        .pass(2_000);
    assert.lengthOf(link.given('report'), 2);
    assert.lengthOf(link.times('dial'), 5);
  });
});
