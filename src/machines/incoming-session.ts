// Incoming session: the server's side of one log-in, from the accepted connection to a client that is ready. Whatever goes
// wrong here ends this log-in alone; the client is told why, and the server goes on serving the others.
import { assign, setup } from 'xstate';
import type { ErrorData } from '../errors.ts';
import { effect } from './effect.ts';
import type { Hello, PeerProcess } from './login.ts';

export interface IncomingSessionInput {
  readonly number: number;
  readonly app: string;
  readonly loginTimeoutMs: number;
}

export interface IncomingSessionContext extends IncomingSessionInput {
  readonly peer: PeerProcess | null;
  readonly hello: Hello | null;
  readonly refusal: ErrorData | null;
}

export type IncomingSessionEvent =
  | { type: 'peer.identified'; peer: PeerProcess }
  | { type: 'hello.received'; hello: Hello }
  | { type: 'login.passed' }
  | { type: 'login.failed'; error: ErrorData }
  | { type: 'memory.mapped' }
  | { type: 'ready.received' }
  /** The connection ended, or a frame made no sense. */
  | { type: 'socket.ended'; error: ErrorData }
  | { type: 'stop' };

/** How a log-in ended. */
export type IncomingSessionOutput =
  | { readonly how: 'accepted'; readonly peer: PeerProcess; readonly hello: Hello }
  | { readonly how: 'rejected' | 'aborted'; readonly error: ErrorData };

type Facts = { context: IncomingSessionContext };

export const incomingSessionMachine = setup({
  types: {
    input: {} as IncomingSessionInput,
    context: {} as IncomingSessionContext,
    events: {} as IncomingSessionEvent,
    output: {} as IncomingSessionOutput,
  },
  actions: {
    /** Asks the kernel who connected; then `peer.identified` or `login.failed`. */
    identify: effect('incomingSession', 'identify'),
    /** Measures the hello by the server's policy; then `login.passed` or `login.failed`. */
    validate: effect('incomingSession', 'validate'),
    /** Maps the client's memory and creates ours; then `memory.mapped` or `login.failed`. */
    mapMemory: effect('incomingSession', 'mapMemory'),
    sendAccepted: effect('incomingSession', 'sendAccepted'),
    sendRejected: effect('incomingSession', 'sendRejected') as (_: unknown, error: ErrorData) => void,
    /** Closes the connection and whatever was made for it. */
    discard: effect('incomingSession', 'discard'),
    notePeer: assign(({ event }) => (event.type === 'peer.identified' ? { peer: event.peer } : {})),
    noteHello: assign(({ event }) => (event.type === 'hello.received' ? { hello: event.hello } : {})),
    noteRefusal: assign(({ event }) => ('error' in event ? { refusal: event.error } : {})),
    noteTimeout: assign(({ context: { loginTimeoutMs } }) => ({
      refusal: timedOut(loginTimeoutMs),
    })),
    noteStopping: assign({ refusal: { code: 'ERR_STOPPING', message: 'the server is stopping' } as const }),
  },
  delays: { loginTimeout: ({ context }) => context.loginTimeoutMs },
}).createMachine({
  id: 'incomingSession',
  context: ({ input }) => ({ ...input, peer: null, hello: null, refusal: null }),
  output: ({ event }) => event.output as IncomingSessionOutput,
  initial: 'loggingIn',
  states: {
    loggingIn: {
      initial: 'checkingPeer',
      after: { loginTimeout: { target: 'rejected', actions: 'noteTimeout' } },
      on: {
        'login.failed': { target: 'rejected', actions: 'noteRefusal' },
        'socket.ended': { target: 'aborted', actions: 'noteRefusal' },
        stop: { target: 'rejected', actions: 'noteStopping' },
      },
      states: {
        checkingPeer: {
          description: 'Connected; the kernel is asked who it is.',
          entry: 'identify',
          on: { 'peer.identified': { target: 'awaitingHello', actions: 'notePeer' } },
        },
        awaitingHello: {
          description: 'The client has to say what it wants.',
          on: { 'hello.received': { target: 'validating', actions: 'noteHello' } },
        },
        validating: {
          description: 'Its hello is measured by the universe.',
          entry: 'validate',
          on: { 'login.passed': 'mappingMemory' },
        },
        mappingMemory: {
          description: 'Its shared memory is checked and mapped, ours is made.',
          entry: 'mapMemory',
          on: { 'memory.mapped': 'awaitingReady' },
        },
        awaitingReady: {
          description: 'Accepted; the client has to map our memory.',
          entry: 'sendAccepted',
          on: { 'ready.received': '#incomingSession.accepted' },
        },
      },
    },
    accepted: {
      description: 'Both sides are ready; a session goes on from here.',
      type: 'final',
      output: ({ context: { peer, hello } }: Facts) => ({ how: 'accepted', peer, hello }),
    },
    rejected: {
      description: 'Refused; the client has been told why.',
      type: 'final',
      entry: [{ type: 'sendRejected', params: ({ context }) => context.refusal! }, 'discard'],
      output: ({ context: { refusal } }: Facts) => ({ how: 'rejected', error: refusal }),
    },
    aborted: {
      description: 'The client went away, or what it said made no sense.',
      type: 'final',
      entry: 'discard',
      output: ({ context: { refusal } }: Facts) => ({ how: 'aborted', error: refusal }),
    },
  },
});

function timedOut(ms: number): ErrorData {
  return { code: 'ERR_LOGIN_TIMEOUT', message: `the client did not complete the log-in within ${ms} ms` };
}
