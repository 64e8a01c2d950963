// Session server: claims an app, listens, and gives every connection a log-in of its own. A failed log-in never harms it.
import { assign, setup } from 'xstate';
import type { ErrorData } from '../errors.ts';
import { effect } from './effect.ts';

export interface SessionServerInput {
  readonly app: string;
  /** Log-ins that may be under way at once; a client beyond them is told to come back. */
  readonly pendingMax: number;
}

export interface SessionServerContext extends SessionServerInput {
  readonly pending: number;
  readonly accepted: number;
  readonly rejected: number;
  readonly nextNumber: number;
  readonly error: ErrorData | null;
}

export type SessionServerEvent =
  | { type: 'claim.granted' }
  | { type: 'claim.refused'; error: ErrorData }
  | { type: 'connection.accepted'; connection: number }
  | { type: 'login.accepted' }
  | { type: 'login.refused' }
  | { type: 'listener.failed'; error: ErrorData }
  | { type: 'stop' };

/** What a session server tells the process it belongs to. */
export type SessionServerReport =
  | { readonly type: 'server.listening' }
  | { readonly type: 'server.failed'; readonly error: ErrorData };

export const sessionServerMachine = setup({
  types: {
    input: {} as SessionServerInput,
    context: {} as SessionServerContext,
    events: {} as SessionServerEvent,
    output: {} as { error: ErrorData | null },
  },
  actions: {
    report: effect('sessionServer', 'report') as (_: unknown, report: SessionServerReport) => void,
    /** Asks for the app: of the root, or by the lock of the run directory. Then `claim.granted` or `claim.refused`. */
    claim: effect('sessionServer', 'claim'),
    listen: effect('sessionServer', 'listen'),
    /** Begins the log-in of a connection. */
    beginLogin: effect('sessionServer', 'beginLogin') as (
      _: unknown,
      login: { connection: number; number: number },
    ) => void,
    /** Tells a connection that too many are before it, and closes it. */
    refuseConnection: effect('sessionServer', 'refuseConnection') as (
      _: unknown,
      refused: { connection: number },
    ) => void,
    /** Stops listening; log-ins under way are refused; the app is free again. */
    release: effect('sessionServer', 'release'),
    countLogin: assign(({ context }) => ({
      pending: context.pending + 1,
      nextNumber: context.nextNumber + 1,
    })),
    countAccepted: assign(({ context }) => ({
      pending: context.pending - 1,
      accepted: context.accepted + 1,
    })),
    countRejected: assign(({ context }) => ({
      pending: context.pending - 1,
      rejected: context.rejected + 1,
    })),
    noteError: assign(({ event }) => ('error' in event ? { error: event.error } : {})),
  },
  guards: { hasRoom: ({ context: { pending, pendingMax } }) => pending < pendingMax },
}).createMachine({
  id: 'sessionServer',
  context: ({ input }) => ({ ...input, pending: 0, accepted: 0, rejected: 0, nextNumber: 1, error: null }),
  output: ({ context: { error } }) => ({ error }),
  initial: 'claiming',
  on: {
    'login.accepted': { actions: 'countAccepted' },
    'login.refused': { actions: 'countRejected' },
    stop: '.stopped',
  },
  states: {
    claiming: {
      description: 'One process at a time serves an app; asks for the right to.',
      entry: 'claim',
      on: {
        'claim.granted': 'listening',
        'claim.refused': { target: 'failed', actions: 'noteError' },
      },
    },
    listening: {
      description: 'Accepts connections.',
      entry: ['listen', { type: 'report', params: { type: 'server.listening' } }],
      on: {
        'connection.accepted': [
          {
            guard: 'hasRoom',
            actions: [
              {
                type: 'beginLogin',
                params: ({ context, event }) => ({
                  connection: event.connection,
                  number: context.nextNumber,
                }),
              },
              'countLogin',
            ],
          },
          {
            actions: { type: 'refuseConnection', params: ({ event }) => ({ connection: event.connection }) },
          },
        ],
        'listener.failed': { target: 'failed', actions: 'noteError' },
      },
    },
    failed: {
      description: 'Can not listen, or no longer.',
      type: 'final',
      entry: [
        'release',
        { type: 'report', params: ({ context }) => ({ type: 'server.failed', error: context.error! }) },
      ],
    },
    stopped: { description: 'Listens no more.', type: 'final', entry: 'release' },
  },
});
