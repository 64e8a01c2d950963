import { assert } from 'chai';
import { type ChannelEvent, type ChannelInput, channelMachine } from '../../src/machines/channel.ts';
import { leafStates } from '../support/machines/chart.ts';
import {
  channelEvents,
  channelInput,
  error,
  offeredChannelInput,
  offeringChannelInput,
} from '../support/machines/samples.ts';
import { simulate } from '../support/machines/simulation.ts';
import { after, type Effect } from '../support/machines/step.ts';
import { describeBeginning, describeStates, type Row, type Table } from '../support/machines/table.ts';

const open: ChannelEvent = { type: 'open' };
const close: ChannelEvent = { type: 'close' };
const drained: ChannelEvent = { type: 'lane.drained' };
const drainFailed: ChannelEvent = { type: 'drain.failed' };
const peerEnded: ChannelEvent = { type: 'peer.ended' };
const hose: ChannelEvent = { type: 'hose', reason: 'peer.reset', why: 'its process was killed' };

const closeAlone: ChannelEvent = { type: 'close', alone: true };
const noticed: ChannelEvent = { type: 'offer.noticed' };
const accepted: ChannelEvent = { type: 'offer.accepted' };
const rejected: ChannelEvent = { type: 'offer.rejected', error };
const withdraw: ChannelEvent = { type: 'withdraw', error };
const accept: ChannelEvent = { type: 'accept' };
const reject: ChannelEvent = { type: 'reject', error };
const withdrawn: ChannelEvent = { type: 'offer.withdrawn' };
const parted: ChannelEvent = { type: 'peer.parted' };

const told = (type: string): Effect => ['report', { type, name: 'prices' }];
const refused: Effect = ['report', { type: 'channel.refused', name: 'prices', error }];
const isOpen: readonly Effect[] = [['openForUse'], told('channel.opened')];
const parts: readonly Effect[] = [['finish', { how: 'closed' }], told('channel.ended'), ['part']];
const partsWithPeer: Row<ChannelEvent, ChannelInput>[] = [
  { on: parted, to: 'parted', does: [told('channel.peer-ended'), ...parts] },
];
const closed: readonly Effect[] = [['finish', { how: 'closed' }], told('channel.ended')];
const hosed: Row<ChannelEvent, ChannelInput> = {
  on: hose,
  to: 'ended',
  does: [
    ['finish', { how: 'hosed', reason: 'peer.reset', why: 'its process was killed' }],
    told('channel.ended'),
  ],
};

/** While we offer it, whether the peer has looked at it or not. */
const offering = (state: string): Row<ChannelEvent, ChannelInput>[] => [
  { on: accepted, to: 'alive.tx.open + rx.open', does: isOpen },
  { on: rejected, to: 'refused', does: [refused] },
  { on: withdraw, to: 'withdrawn', does: [['sendWithdrawal']] },
  { on: close, to: 'refused' },
  { on: hose, to: 'refused' },
  ...(state === 'sent' ? [{ on: noticed, to: 'offering.noticed' }] : []),
];

const table: Table<ChannelEvent, ChannelInput> = {
  input: channelInput,
  events: channelEvents,
  states: {
    'offering.sent': { by: [], input: offeringChannelInput, rows: offering('sent') },
    'offering.noticed': { by: [noticed], input: offeringChannelInput, rows: offering('noticed') },
    withdrawn: {
      by: [withdraw],
      input: offeringChannelInput,
      rows: [
        { on: rejected, to: 'refused' },
        { on: parted, to: 'refused' },
        { on: close, to: 'refused' },
        { on: hose, to: 'refused' },
      ],
    },
    offered: {
      by: [],
      input: offeredChannelInput,
      rows: [
        { on: accept, to: 'alive.tx.open + rx.open', does: isOpen },
        { on: reject, to: 'refused', does: [['sendRejection', error]] },
        {
          on: withdrawn,
          to: 'refused',
          does: [['sendRejection', { code: 'ERR_STOPPING', message: 'the session is stopping' }]],
        },
        { on: close, to: 'refused' },
        { on: hose, to: 'refused' },
      ],
    },
    'alive.tx.opening + rx.open': {
      by: [],
      rows: [
        ...partsWithPeer,
        { on: open, to: 'alive.tx.open + rx.open', does: [['openForUse']] },
        { on: close, to: 'ended', does: closed },
        { on: peerEnded, to: 'alive.tx.opening + rx.ended', does: [told('channel.peer-ended')] },
        hosed,
      ],
    },
    'alive.tx.opening + rx.ended': {
      by: [peerEnded],
      rows: [
        { on: parted, to: 'parted', does: parts },
        { on: open, to: 'alive.tx.open + rx.ended', does: [['openForUse']] },
        { on: close, to: 'ended', does: closed },
        hosed,
      ],
    },
    'alive.tx.open + rx.open': {
      by: [open],
      rows: [
        ...partsWithPeer,
        { on: close, to: 'alive.tx.draining + rx.ended', does: [['drain', { timeoutMs: 1_000 }]] },
        { on: peerEnded, to: 'alive.tx.open + rx.ended', does: [told('channel.peer-ended')] },
        hosed,
      ],
    },
    'alive.tx.open + rx.ended': {
      by: [open, peerEnded],
      rows: [
        { on: parted, to: 'parted', does: parts },
        { on: close, to: 'alive.tx.draining + rx.ended', does: [['drain', { timeoutMs: 1_000 }]] },
        hosed,
      ],
    },
    'alive.tx.draining + rx.ended': {
      by: [open, close],
      rows: [
        { on: drained, to: 'ended', does: closed },
        { on: drainFailed, to: 'ended', does: closed },
        { on: drained, by: [open, closeAlone], when: 'if it ends alone', to: 'parting', does: parts },
        { on: parted, to: 'parted', does: parts },
        hosed,
      ],
    },
    parting: {
      by: [open, closeAlone, drained],
      rows: [
        { on: parted, to: 'parted' },
        { on: close, to: 'parted' },
        { on: hose, to: 'parted' },
      ],
    },
    parted: { by: [open, parted], rows: [] },
    refused: { by: [rejected], input: offeringChannelInput, rows: [] },
    ended: { by: [hose], rows: [] },
  },
};

describe('channelMachine', () => {
  describeBeginning(channelMachine, table, 'alive.tx.opening + rx.open', []);
  describeStates(channelMachine, table);

  it('has every event in its table', () => {
    assert.sameMembers(
      table.events.map(({ type }) => type),
      channelMachine.events.filter((type) => !type.startsWith('xstate.')),
    );
  });

  it('has every state in its table but the end of sending, which is the end of all', () => {
    const resting = Object.keys(table.states).flatMap((path) =>
      !path.startsWith('alive')
        ? [path]
        : path.split(' + ').map((part) => (part.startsWith('alive.') ? part : `alive.${part}`)),
    );
    assert.sameMembers([...new Set(resting), 'alive.tx.ended'], leafStates(channelMachine));
  });

  describe('output', () => {
    const outputs: [title: string, events: ChannelEvent[], output: object][] = [
      ['is that it was closed before it opened', [close], { how: 'closed' }],
      ['is that it was closed, and all was taken', [open, close, drained], { how: 'closed' }],
      [
        'is that it was closed, also if not all was taken in time',
        [open, close, drainFailed],
        { how: 'closed' },
      ],
      [
        'is the cause with which its session ended it',
        [open, hose],
        { how: 'hosed', reason: 'peer.reset', why: 'its process was killed' },
      ],
      [
        'is that cause also while it drains',
        [open, close, hose, drained],
        { how: 'hosed', reason: 'peer.reset', why: 'its process was killed' },
      ],
    ];
    for (const [title, events, output] of outputs)
      it(title, () => assert.deepEqual(after(channelMachine, channelInput, events).output, output));
  });

  it('finishes once, whatever comes afterwards', () => {
    for (const first of [[open, hose], [open, close, drained], [close]]) {
      const channel = simulate(channelMachine, channelInput, ...first, hose, close, drained, drainFailed);
      assert.lengthOf(channel.times('finish'), 1);
      assert.lengthOf(
        channel.given('report').filter((each) => (each as { type: string }).type === 'channel.ended'),
        1,
      );
    }
  });

  it('ends at once if its session closes before it was accepted', () => {
    for (const input of [offeringChannelInput, offeredChannelInput]) {
      const channel = simulate(channelMachine, input, close, accepted, accept);
      assert.deepEqual(channel.given('report'), []);
      assert.isEmpty(channel.times('finish'));
    }
  });

  it('drains once, however often it is closed', () => {
    assert.lengthOf(simulate(channelMachine, channelInput, open, close, close).times('drain'), 1);
  });

  it('says nothing of a peer that ends after us', () => {
    const channel = simulate(channelMachine, channelInput, open, close, peerEnded);
    assert.deepEqual(channel.given('report'), []);
  });
});
