// Channel: the lifecycle of one channel within a session. Messages never pass here; the machine says whether they may.
// When the other side dies, the session hoses all its channels: what had arrived is still handed over, everything else
// fails with the session's cause.
import { assign, setup } from 'xstate';
import type { HoseReason } from '../spec/session.ts';
import { effect } from './effect.ts';

export interface ChannelInput {
  readonly name: string;
  /** How long a close may take to send what was accepted. */
  readonly drainTimeoutMs: number;
}

export interface ChannelContext extends ChannelInput {
  readonly cause: ChannelEnd | null;
}

/** How a channel ended. */
export type ChannelEnd =
  | { readonly how: 'closed' }
  | { readonly how: 'hosed'; readonly reason: HoseReason; readonly why: string };

export type ChannelEvent =
  | { type: 'open' }
  | { type: 'close' }
  /** The peer has taken everything, or the time for that is over. */
  | { type: 'lane.drained' }
  | { type: 'drain.failed' }
  | { type: 'peer.ended' }
  | { type: 'hose'; reason: HoseReason; why: string };

/** What a channel tells its session. */
export type ChannelReport =
  | { readonly type: 'channel.peer-ended'; readonly name: string }
  | { readonly type: 'channel.ended'; readonly name: string };

type Facts = { context: ChannelContext };
const tell = (type: ChannelReport['type']) => ({
  type: 'report' as const,
  params: ({ context: { name } }: Facts): ChannelReport => ({ type, name }),
});

export const channelMachine = setup({
  types: {
    input: {} as ChannelInput,
    context: {} as ChannelContext,
    events: {} as ChannelEvent,
    output: {} as ChannelEnd,
  },
  actions: {
    report: effect('channel', 'report') as (_: unknown, report: ChannelReport) => void,
    /** Sends what waits and the end mark; then `lane.drained`, or `drain.failed` at the deadline. */
    drain: effect('channel', 'drain') as (_: unknown, limit: { timeoutMs: number }) => void,
    /** Lets messages flow. */
    openForUse: effect('channel', 'openForUse'),
    /** Hands over what has arrived and fails everything that waits. */
    finish: effect('channel', 'finish') as (_: unknown, end: ChannelEnd) => void,
    noteHosed: assign(({ event }) =>
      event.type === 'hose' ? { cause: { how: 'hosed' as const, reason: event.reason, why: event.why } } : {},
    ),
  },
}).createMachine({
  id: 'channel',
  context: ({ input }) => ({ ...input, cause: null }),
  output: ({ context }) => context.cause ?? { how: 'closed' },
  initial: 'alive',
  states: {
    alive: {
      type: 'parallel',
      on: { hose: { target: 'ended', actions: 'noteHosed' } },
      onDone: 'ended',
      states: {
        tx: {
          description: 'From us to the peer.',
          initial: 'opening',
          states: {
            opening: {
              description: 'The lanes are there; the session is not open yet.',
              on: {
                open: { target: 'open', actions: 'openForUse' },
                close: 'ended',
              },
            },
            open: { description: 'Messages may be sent.', on: { close: 'draining' } },
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
