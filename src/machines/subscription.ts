// Subscription: the lifecycle of one reading end of a broadcast, at the client of a session. Messages never pass here; the
// machine says whether the server is asked for its memory, and whether somebody reads it.
// When the process that publishes dies, the session hoses all its subscriptions: what was published is still handed over,
// everything else fails with the session's cause. When the reader dies, nothing here is left to act: its session ends at the
// server, whose writer waits for it no more.
import { assign, setup } from 'xstate';
import type { HoseReason } from '../spec/session.ts';
import { effect } from './effect.ts';

export interface SubscriptionInput {
  readonly name: string;
}

export interface SubscriptionContext extends SubscriptionInput {
  /** Of the present subscription; an answer to an earlier one has another number. */
  readonly number: number;
  /** How often the writer has dropped this reader. */
  readonly drops: number;
  readonly cause: SubscriptionEnd | null;
}

/** How a subscription ended. */
export type SubscriptionEnd =
  | { readonly how: 'closed' }
  | { readonly how: 'hosed'; readonly reason: HoseReason; readonly why: string };

export type SubscriptionEvent =
  | { type: 'subscribe'; number: number }
  | { type: 'unsubscribe' }
  /** The server's memory is mapped. */
  | { type: 'server.admitted'; number: number }
  /** The writer waits for this reader no more. */
  | { type: 'reader.dropped'; number: number }
  | { type: 'close' }
  | { type: 'hose'; reason: HoseReason; why: string };

type Facts = { context: SubscriptionContext };

const subscribing = {
  target: 'asking',
  actions: ['noteNumber', { type: 'ask', params: ({ context }: Facts) => ({ number: context.number }) }],
} as const;
const unsubscribing = { target: 'resting', actions: 'leave' } as const;
const closing = { target: 'ended', actions: 'leave' } as const;

export const subscriptionMachine = setup({
  types: {
    input: {} as SubscriptionInput,
    context: {} as SubscriptionContext,
    events: {} as SubscriptionEvent,
    output: {} as SubscriptionEnd,
  },
  actions: {
    /** Asks the server for the memory of the broadcast; then `server.admitted`. */
    ask: effect('subscription', 'ask') as (_: unknown, subscription: { number: number }) => void,
    /** Tells the server that nothing is read any more. */
    leave: effect('subscription', 'leave'),
    /** Hands over what was published and fails everything that waits. */
    finish: effect('subscription', 'finish') as (_: unknown, end: SubscriptionEnd) => void,
    noteNumber: assign(({ event }) => (event.type === 'subscribe' ? { number: event.number } : {})),
    countDrop: assign({ drops: ({ context }) => context.drops + 1 }),
    noteHosed: assign(({ event }) =>
      event.type === 'hose' ? { cause: { how: 'hosed' as const, reason: event.reason, why: event.why } } : {},
    ),
  },
  guards: {
    isPresent: ({ context, event }) => 'number' in event && event.number === context.number,
  },
}).createMachine({
  id: 'subscription',
  context: ({ input }) => ({ ...input, number: 0, drops: 0, cause: null }),
  output: ({ context }) => context.cause ?? { how: 'closed' },
  on: { hose: { target: '.ended', actions: 'noteHosed' } },
  initial: 'resting',
  states: {
    resting: {
      description: 'Nobody here reads. The writer neither wakes us nor waits for us.',
      on: { subscribe: subscribing, close: 'ended' },
    },
    asking: {
      description: 'Somebody begins to read; the memory of the broadcast has not come yet.',
      on: {
        'server.admitted': { target: 'reading', guard: 'isPresent' },
        unsubscribe: unsubscribing,
        close: closing,
      },
    },
    reading: {
      description: 'The memory is mapped: messages are read in it, at our own pace.',
      on: {
        'reader.dropped': { target: 'dropped', guard: 'isPresent', actions: 'countDrop' },
        unsubscribe: unsubscribing,
        close: closing,
      },
    },
    dropped: {
      description: 'The writer has waited for us too long. Whoever wants to go on subscribes anew.',
      on: { subscribe: subscribing, close: 'ended' },
    },
    ended: {
      description: 'The session closes or is hosed; what was published before can still be received.',
      type: 'final',
      entry: {
        type: 'finish',
        params: ({ context }: Facts): SubscriptionEnd => context.cause ?? { how: 'closed' },
      },
    },
  },
});
