// Process: what one program does for an app, from its start to its end. A server listens and has any number of sessions; a
// client has one session at a time and opens the next when it has lost one. When the other side dies, a server has one
// session fewer; a client is `opening` again at once.
import { assign, setup } from 'xstate';
import type { ErrorData } from '../errors.ts';
import { effect } from './effect.ts';
import { backoffMs, nextChance } from './restart.ts';

// ---- server

export interface ServerProcessInput {
  readonly app: string;
  readonly stopTimeoutMs: number;
}

export interface ServerProcessContext extends ServerProcessInput {
  readonly sessions: number;
  readonly sessionsTotal: number;
  readonly error: ErrorData | null;
}

export type ServerProcessEvent =
  | { type: 'server.listening' }
  | { type: 'server.failed'; error: ErrorData }
  | { type: 'session.opened' }
  | { type: 'session.ended' }
  | { type: 'stop' };

export const serverProcessMachine = setup({
  types: {
    input: {} as ServerProcessInput,
    context: {} as ServerProcessContext,
    events: {} as ServerProcessEvent,
    output: {} as { error: ErrorData | null },
  },
  actions: {
    startServer: effect('serverProcess', 'startServer'),
    /** Sessions may come: the app is operative. */
    reportServing: effect('serverProcess', 'reportServing'),
    stopServer: effect('serverProcess', 'stopServer'),
    /** Closes all sessions, the newest first. */
    closeSessions: effect('serverProcess', 'closeSessions'),
    countOpened: assign(({ context }) => ({
      sessions: context.sessions + 1,
      sessionsTotal: context.sessionsTotal + 1,
    })),
    countEnded: assign(({ context }) => ({ sessions: context.sessions - 1 })),
    noteError: assign(({ event }) => ('error' in event ? { error: event.error } : {})),
  },
  guards: { noSessions: ({ context }) => context.sessions === 0 },
  delays: { stopTimeout: ({ context }) => context.stopTimeoutMs },
}).createMachine({
  id: 'serverProcess',
  context: ({ input }) => ({ ...input, sessions: 0, sessionsTotal: 0, error: null }),
  output: ({ context: { error } }) => ({ error }),
  initial: 'starting',
  on: {
    'session.opened': { actions: 'countOpened' },
    'session.ended': { actions: 'countEnded' },
    'server.failed': { target: '.stopping', actions: 'noteError' },
    stop: '.stopping',
  },
  states: {
    starting: {
      description: 'Claims its app and begins to listen.',
      entry: 'startServer',
      on: { 'server.listening': 'serving' },
    },
    serving: { description: 'Clients may open sessions.', entry: 'reportServing' },
    stopping: {
      description: 'Accepts nobody; its sessions close, the newest first.',
      entry: ['stopServer', 'closeSessions'],
      on: { stop: {}, 'server.failed': {} },
      always: { guard: 'noSessions', target: 'stopped' },
      after: { stopTimeout: 'stopped' },
    },
    stopped: { description: 'Serves no more.', type: 'final' },
  },
});

// ---- client

/** How a lost or refused session is opened again. The first try is at once. */
export interface Reconnect {
  readonly minMs: number;
  readonly maxMs: number;
  readonly jitter: number;
  /** Give up after being without a session for this long. */
  readonly giveUpAfterMs: number | 'never';
}

export interface ClientProcessInput {
  readonly app: string;
  readonly server: string;
  readonly reconnect: Reconnect;
  readonly stopTimeoutMs: number;
  readonly seed: number;
}

export interface ClientProcessContext extends ClientProcessInput {
  readonly attempt: number;
  readonly delayMs: number;
  /** Since when there is no session. */
  readonly lostAtMs: number | null;
  /** Why there is none. */
  readonly waitingFor: ErrorData | null;
  /** The same in short, for whoever watches: `no server`, `refused`, `rejected: ...`. */
  readonly waitsFor: string | null;
  /** Why it gave up. */
  readonly error: ErrorData | null;
  readonly sessionsTotal: number;
}

export type ClientProcessEvent =
  | { type: 'session.opened' }
  | { type: 'session.failed'; error: ErrorData; atMs: number }
  /** `refused`: it was not lost with the peer's process; we, or the peer, did not want it. */
  | { type: 'session.ended'; atMs: number; refused: boolean; lastedMs: number }
  | { type: 'stop' };

/** Whoever answered the log-in with an error has rejected it; everything else is a server that is not there. */
function shortReason({ code, message }: ErrorData): string {
  return code === 'ERR_NO_SERVER' || code === 'ERR_LOGIN_TIMEOUT' ? 'no server' : `rejected: ${message}`;
}

/** A refused session that lasted less than this is no success: the next try waits. */
const shortSessionMs = 1_000;

export const clientProcessMachine = setup({
  types: {
    input: {} as ClientProcessInput,
    context: {} as ClientProcessContext,
    events: {} as ClientProcessEvent,
    output: {} as { error: ErrorData | null },
  },
  actions: {
    /** Opens a session by an actor of its own; then `session.opened` or `session.failed`. */
    openSession: effect('clientProcess', 'openSession'),
    /** The first session is open: the app is operative. */
    reportOpen: effect('clientProcess', 'reportOpen'),
    reportWaiting: effect('clientProcess', 'reportWaiting') as (_: unknown, error: ErrorData) => void,
    closeSession: effect('clientProcess', 'closeSession'),
    noteOpen: assign(({ context }) => ({
      lostAtMs: null,
      waitingFor: null,
      waitsFor: null,
      sessionsTotal: context.sessionsTotal + 1,
    })),
    noteFailed: assign(({ event }) =>
      event.type === 'session.failed' ? { waitingFor: event.error, waitsFor: shortReason(event.error) } : {},
    ),
    noteGivenUp: assign(({ event }) => (event.type === 'session.failed' ? { error: event.error } : {})),
    noteRefused: assign(({ context: { server } }) => ({
      waitingFor: {
        code: 'ERR_SESSION_CLOSED' as const,
        message: `the last session with ${server} ended as soon as it was open`,
      },
      waitsFor: 'refused',
    })),
    noteLost: assign(({ context, event }) =>
      'atMs' in event ? { lostAtMs: context.lostAtMs ?? event.atMs } : {},
    ),
    noteSuccess: assign({ attempt: 0 }),
    planRetry: assign(({ context }) => {
      const { minMs, maxMs, jitter } = context.reconnect;
      const attempt = context.attempt + 1;
      const { chance, seed } = nextChance(context.seed);
      return { attempt, seed, delayMs: backoffMs({ minMs, maxMs, jitter, factor: 2 }, attempt, chance) };
    }),
  },
  guards: {
    wasRefused: ({ event }) =>
      event.type === 'session.ended' && event.refused && event.lastedMs < shortSessionMs,
    waitedTooLong: ({ context: { reconnect, lostAtMs }, event }) =>
      event.type === 'session.failed' &&
      reconnect.giveUpAfterMs !== 'never' &&
      event.atMs - (lostAtMs ?? event.atMs) >= reconnect.giveUpAfterMs,
  },
  delays: {
    reconnectDelay: ({ context }) => context.delayMs,
    stopTimeout: ({ context }) => context.stopTimeoutMs,
  },
}).createMachine({
  id: 'clientProcess',
  context: ({ input }) => ({
    ...input,
    attempt: 0,
    delayMs: 0,
    lostAtMs: null,
    waitingFor: null,
    waitsFor: null,
    error: null,
    sessionsTotal: 0,
  }),
  output: ({ context: { error } }) => ({ error }),
  initial: 'opening',
  states: {
    opening: {
      description: 'A session is being opened.',
      entry: 'openSession',
      on: {
        'session.opened': 'active',
        'session.failed': [
          { guard: 'waitedTooLong', target: 'failed', actions: 'noteGivenUp' },
          { target: 'waiting', actions: ['noteFailed', 'noteLost', 'planRetry'] },
        ],
        stop: 'stopping',
      },
    },
    waiting: {
      description: 'No session; tries again after a moment.',
      entry: { type: 'reportWaiting', params: ({ context }) => context.waitingFor! },
      after: { reconnectDelay: 'opening' },
      on: { stop: 'stopped' },
    },
    active: {
      description: 'A session is open.',
      entry: ['noteOpen', 'reportOpen'],
      on: {
        'session.ended': [
          { guard: 'wasRefused', target: 'waiting', actions: ['noteRefused', 'noteLost', 'planRetry'] },
          { target: 'opening', actions: ['noteSuccess', 'noteLost'] },
        ],
        stop: 'stopping',
      },
    },
    stopping: {
      description: 'Its session closes.',
      entry: 'closeSession',
      on: { 'session.ended': 'stopped', 'session.failed': 'stopped' },
      after: { stopTimeout: 'stopped' },
    },
    stopped: { description: 'Connects no more.', type: 'final' },
    failed: { description: 'Was without a session for too long and gave up.', type: 'final' },
  },
});
