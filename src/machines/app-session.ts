// App session: runs the user's machine for one open session and owns the order in which both end: the user's machine is
// told, then stopped, and only then the session lets go of its channels and memory. Nothing is destroyed from within its
// own callback.
import { assign, setup } from 'xstate';
import type { ErrorData } from '../errors.ts';
import type { HoseReason } from '../spec/session.ts';
import { effect } from './effect.ts';

export interface AppSessionInput {
  readonly number: number;
  readonly peerApp: string;
}

/** How the session ended, as far as the user's machine is told. */
export type SessionEnd =
  | { readonly how: 'closed'; readonly reason: string }
  | { readonly how: 'hosed'; readonly reason: HoseReason; readonly why: string };

export interface AppSessionContext extends AppSessionInput {
  readonly end: SessionEnd | null;
  readonly crash: ErrorData | null;
}

export type AppSessionEvent =
  | { type: 'session.attached' }
  | { type: 'user.done' }
  | { type: 'user.crashed'; error: ErrorData }
  | { type: 'channel.closed'; channel: string }
  | { type: 'peer.stalled'; ms: number }
  | { type: 'peer.resumed' }
  | { type: 'session.closed'; reason: string }
  | { type: 'session.hosed'; reason: HoseReason; why: string }
  | { type: 'close'; reason: string };

export const appSessionMachine = setup({
  types: {
    input: {} as AppSessionInput,
    context: {} as AppSessionContext,
    events: {} as AppSessionEvent,
    output: {} as { readonly end: SessionEnd; readonly crash: ErrorData | null },
  },
  actions: {
    /** Has the session open its channels; then `session.attached`. */
    attach: effect('appSession', 'attach'),
    /** Starts the user's machine and lets messages come. */
    begin: effect('appSession', 'begin'),
    closeSession: effect('appSession', 'closeSession') as (_: unknown, close: { reason: string }) => void,
    /** Sends the user's machine its last event. */
    tellUser: effect('appSession', 'tellUser') as (_: unknown, end: SessionEnd) => void,
    tellChannelClosed: effect('appSession', 'tellChannelClosed') as (
      _: unknown,
      closed: { channel: string },
    ) => void,
    /** Sends the user's machine what its peer's event loop does. */
    tellLife: effect('appSession', 'tellLife') as (
      _: unknown,
      life: { type: 'peer.stalled'; ms: number } | { type: 'peer.resumed' },
    ) => void,
    stopUser: effect('appSession', 'stopUser'),
    /** Lets the session tear down its channels and memory. */
    releaseSession: effect('appSession', 'releaseSession'),
    noteOwnEnd: assign((_, { reason }: { reason: string }) => ({ end: { how: 'closed' as const, reason } })),
    noteClosed: assign(({ event }) =>
      event.type === 'session.closed' ? { end: { how: 'closed' as const, reason: event.reason } } : {},
    ),
    noteHosed: assign(({ event }) =>
      event.type === 'session.hosed'
        ? { end: { how: 'hosed' as const, reason: event.reason, why: event.why } }
        : {},
    ),
    noteCrash: assign(({ event }) => (event.type === 'user.crashed' ? { crash: event.error } : {})),
  },
}).createMachine({
  id: 'appSession',
  context: ({ input }) => ({ ...input, end: null, crash: null }),
  output: ({ context: { end, crash } }) => ({ end: end!, crash }),
  initial: 'attaching',
  states: {
    attaching: {
      description: 'The session opens its channels; what the peer sends meanwhile is kept.',
      entry: 'attach',
      on: {
        'session.attached': 'running',
        'session.closed': { target: 'ending', actions: 'noteClosed' },
        'session.hosed': { target: 'ending', actions: 'noteHosed' },
        close: {
          target: 'closing',
          actions: { type: 'noteOwnEnd', params: ({ event }) => ({ reason: event.reason }) },
        },
      },
    },
    running: {
      description: "The user's machine runs.",
      entry: 'begin',
      on: {
        'channel.closed': {
          actions: { type: 'tellChannelClosed', params: ({ event }) => ({ channel: event.channel }) },
        },
        'peer.stalled': { actions: { type: 'tellLife', params: ({ event }) => event } },
        'peer.resumed': { actions: { type: 'tellLife', params: ({ event }) => event } },
        'user.done': {
          target: 'closing',
          actions: { type: 'noteOwnEnd', params: { reason: 'its machine reached a final state' } },
        },
        'user.crashed': {
          target: 'closing',
          actions: [
            'noteCrash',
            { type: 'noteOwnEnd', params: ({ event }) => ({ reason: event.error.message }) },
          ],
        },
        close: {
          target: 'closing',
          actions: { type: 'noteOwnEnd', params: ({ event }) => ({ reason: event.reason }) },
        },
        'session.closed': { target: 'ending', actions: 'noteClosed' },
        'session.hosed': { target: 'ending', actions: 'noteHosed' },
      },
    },
    closing: {
      description:
        "We end it: the user's machine is told and stopped; then what it had sent is flushed, within the session's deadline.",
      entry: [
        { type: 'tellUser', params: ({ context }) => context.end! },
        'stopUser',
        { type: 'closeSession', params: ({ context }) => ({ reason: reasonOf(context.end!) }) },
      ],
      on: { 'session.closed': 'released', 'session.hosed': 'released' },
    },
    ending: {
      description: "The session has ended: the user's machine is told and stopped.",
      entry: [{ type: 'tellUser', params: ({ context }) => context.end! }, 'stopUser'],
      always: 'released',
    },
    released: {
      description: 'Nobody uses the session any more; it tears down its channels and memory.',
      entry: 'releaseSession',
      always: 'ended',
    },
    ended: { description: 'Nothing is left but the result.', type: 'final' },
  },
});

function reasonOf(end: SessionEnd): string {
  return end.how === 'closed' ? end.reason : end.why;
}
