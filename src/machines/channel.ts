// Channel: the lifecycle of one channel within a session. Messages never pass here; the machine says whether they may.
// An init-channel is there from the beginning; an on-demand channel is offered by one side and accepted by the other. When
// the other side dies, the session hoses all its channels: what had arrived is still handed over, everything else fails with
// the session's cause.
import { assign, setup, stateIn } from 'xstate';
import type { ErrorData } from '../errors.ts';
import type { HoseReason } from '../spec/session.ts';
import { effect } from './effect.ts';

export interface ChannelInput {
  readonly name: string;
  /** How long a close may take to send what was accepted. */
  readonly drainTimeoutMs: number;
  /** `init`: of the session's beginning. On demand: whether we offer it to the peer, or the peer has offered it to us. */
  readonly opening: 'init' | 'offering' | 'offered';
}

export interface ChannelContext extends ChannelInput {
  readonly cause: ChannelEnd | null;
  /** It ends alone: its session goes on, so the peer has to be told. */
  readonly alone: boolean;
  /** The peer has let go of it. */
  readonly peerParted: boolean;
}

/** How a channel ended. */
export type ChannelEnd =
  | { readonly how: 'closed' }
  /** It was offered and never opened. */
  | { readonly how: 'refused'; readonly error: ErrorData }
  | { readonly how: 'hosed'; readonly reason: HoseReason; readonly why: string };

export type ChannelEvent =
  | { type: 'open' }
  /** `alone`: its session goes on. */
  | { type: 'close'; alone?: boolean }
  // An offer of ours.
  | { type: 'offer.noticed' }
  | { type: 'offer.accepted' }
  | { type: 'offer.rejected'; error: ErrorData }
  /** Our program waits for it no longer. */
  | { type: 'withdraw'; error: ErrorData }
  // An offer of the peer.
  | { type: 'accept' }
  | { type: 'reject'; error: ErrorData }
  | { type: 'offer.withdrawn' }
  /** The peer has taken everything, or the time for that is over. */
  | { type: 'lane.drained' }
  | { type: 'drain.failed' }
  | { type: 'peer.ended' }
  /** The peer has ended this channel, and neither reads nor writes its lanes any more. */
  | { type: 'peer.parted' }
  | { type: 'hose'; reason: HoseReason; why: string };

/** What a channel tells its session. */
export type ChannelReport =
  | { readonly type: 'channel.opened'; readonly name: string }
  | { readonly type: 'channel.refused'; readonly name: string; readonly error: ErrorData }
  | { readonly type: 'channel.peer-ended'; readonly name: string }
  | { readonly type: 'channel.ended'; readonly name: string };

type Facts = { context: ChannelContext };
const tell = (type: Exclude<ChannelReport['type'], 'channel.refused'>) => ({
  type: 'report' as const,
  params: ({ context: { name } }: Facts): ChannelReport => ({ type, name }),
});
const refused = {
  type: 'report' as const,
  params: ({ context: { name }, event }: Facts & { event: { error: ErrorData } }): ChannelReport => ({
    type: 'channel.refused',
    name,
    error: event.error,
  }),
};
const stopping: ErrorData = { code: 'ERR_STOPPING', message: 'the session is stopping' };

export const channelMachine = setup({
  types: {
    input: {} as ChannelInput,
    context: {} as ChannelContext,
    events: {} as ChannelEvent,
    output: {} as ChannelEnd,
  },
  actions: {
    report: effect('channel', 'report') as (_: unknown, report: ChannelReport) => void,
    /** Asks the peer; then `offer.accepted` or `offer.rejected`. */
    sendOffer: effect('channel', 'sendOffer'),
    sendWithdrawal: effect('channel', 'sendWithdrawal'),
    sendRejection: effect('channel', 'sendRejection') as (_: unknown, error: ErrorData) => void,
    /** Sends what waits and the end mark; then `lane.drained`, or `drain.failed` at the deadline. */
    drain: effect('channel', 'drain') as (_: unknown, limit: { timeoutMs: number }) => void,
    /** Lets messages flow. */
    openForUse: effect('channel', 'openForUse'),
    /** Hands over what has arrived and fails everything that waits. */
    finish: effect('channel', 'finish') as (_: unknown, end: ChannelEnd) => void,
    /** Tells the peer that we neither read nor write its lanes any more. */
    part: effect('channel', 'part'),
    noteHosed: assign(({ event }) =>
      event.type === 'hose' ? { cause: { how: 'hosed' as const, reason: event.reason, why: event.why } } : {},
    ),
    noteRefused: assign(({ event }) =>
      'error' in event ? { cause: { how: 'refused' as const, error: event.error } } : {},
    ),
    noteStopping: assign({ cause: { how: 'refused' as const, error: stopping } }),
    noteAlone: assign(({ event }) => (event.type === 'close' && event.alone ? { alone: true } : {})),
    notePeerParted: assign({ peerParted: true }),
  },
  guards: {
    offers: ({ context }) => context.opening === 'offering',
    isOffered: ({ context }) => context.opening === 'offered',
    hears: stateIn({ alive: { rx: 'open' } }),
    endsAlone: ({ context }) => context.alone || context.peerParted,
    hasPeerParted: ({ context }) => context.peerParted,
  },
}).createMachine({
  id: 'channel',
  context: ({ input }) => ({ ...input, cause: null, alone: false, peerParted: false }),
  output: ({ context }) => context.cause ?? { how: 'closed' },
  initial: 'choosing',
  states: {
    choosing: {
      always: [
        { guard: 'offers', target: 'offering' },
        { guard: 'isOffered', target: 'offered' },
        { target: 'alive' },
      ],
    },
    offering: {
      initial: 'sent',
      entry: 'sendOffer',
      on: {
        'offer.accepted': {
          target: '#channel.alive.tx.open',
          actions: ['openForUse', tell('channel.opened')],
        },
        'offer.rejected': { target: 'refused', actions: ['noteRefused', refused] },
        withdraw: { target: 'withdrawn', actions: ['noteRefused', 'sendWithdrawal'] },
        close: { target: 'refused', actions: 'noteStopping' },
        hose: { target: 'refused', actions: 'noteHosed' },
      },
      states: {
        sent: { description: 'The peer has not looked at it yet.', on: { 'offer.noticed': 'noticed' } },
        noticed: { description: "The peer's program has it before it." },
      },
    },
    offered: {
      description: 'Our program has to accept or reject it.',
      on: {
        accept: { target: '#channel.alive.tx.open', actions: ['openForUse', tell('channel.opened')] },
        reject: {
          target: 'refused',
          actions: ['noteRefused', { type: 'sendRejection', params: ({ event }) => event.error }],
        },
        'offer.withdrawn': { target: 'refused', actions: { type: 'sendRejection', params: stopping } },
        close: { target: 'refused', actions: 'noteStopping' },
        hose: { target: 'refused', actions: 'noteHosed' },
      },
    },
    withdrawn: {
      description: 'Taken back. The peer may have accepted it before it heard that; it ends it then.',
      on: {
        'offer.rejected': 'refused',
        'peer.parted': 'refused',
        close: 'refused',
        hose: 'refused',
      },
    },
    alive: {
      type: 'parallel',
      on: {
        hose: { target: 'ended', actions: 'noteHosed' },
        'peer.parted': [
          { guard: 'hears', target: 'parting', actions: ['notePeerParted', tell('channel.peer-ended')] },
          { target: 'parting', actions: 'notePeerParted' },
        ],
      },
      onDone: [{ guard: 'endsAlone', target: 'parting' }, { target: 'ended' }],
      states: {
        tx: {
          description: 'From us to the peer.',
          initial: 'opening',
          states: {
            opening: {
              description: 'The lanes are there; the session is not open yet.',
              on: {
                open: { target: 'open', actions: 'openForUse' },
                close: { target: 'ended', actions: 'noteAlone' },
              },
            },
            open: {
              description: 'Messages may be sent.',
              on: { close: { target: 'draining', actions: 'noteAlone' } },
            },
            draining: {
              description: 'No new messages; those accepted are on their way.',
              entry: {
                type: 'drain',
                params: ({ context }: Facts) => ({ timeoutMs: context.drainTimeoutMs }),
              },
              on: { 'lane.drained': 'ended', 'drain.failed': 'ended' },
            },
            ended: { description: 'Nothing more will be sent.', type: 'final' },
          },
        },
        rx: {
          description: 'From the peer to us.',
          initial: 'open',
          states: {
            open: {
              description: 'Messages may come.',
              on: { 'peer.ended': { target: 'ended', actions: tell('channel.peer-ended') }, close: 'ended' },
            },
            ended: { description: 'Nothing more will come.', type: 'final' },
          },
        },
      },
    },
    parting: {
      description:
        'Ended by itself while its session goes on; its lanes are free once the peer has let go of them too.',
      entry: [{ type: 'finish', params: { how: 'closed' } }, tell('channel.ended'), 'part'],
      always: { guard: 'hasPeerParted', target: 'parted' },
      on: { 'peer.parted': 'parted', close: 'parted', hose: 'parted' },
    },
    parted: { description: 'Nothing of it is left; its lanes may serve another.', type: 'final' },
    refused: { description: 'Never opened.', type: 'final' },
    ended: {
      description: 'Over in both directions; what had arrived can still be received.',
      type: 'final',
      entry: [
        { type: 'finish', params: ({ context }: Facts): ChannelEnd => context.cause ?? { how: 'closed' } },
        tell('channel.ended'),
      ],
    },
  },
});
