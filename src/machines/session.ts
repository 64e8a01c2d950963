// Session: one conversation between two processes, from either side. It ends exactly once: closed by us, or hosed by the
// first thing that makes it unusable. When the other side dies here, the socket's end hoses the session; the channels hand
// over what had arrived and fail with that cause; the owner is told once, and lets go of the memory when it is done.
import { assign, setup } from 'xstate';
import type { ErrorData } from '../errors.ts';
import type { Side } from '../spec/peer.ts';
import type { HoseReason } from '../spec/session.ts';
import { effect } from './effect.ts';

export interface SessionInput {
  readonly side: Side;
  /** The app at the other end. */
  readonly peerApp: string;
  readonly loginTimeoutMs: number;
  /** How long a close may take to send what was accepted. */
  readonly closeTimeoutMs: number;
  /** How long the peer's event loop may be stalled before the session is hosed. */
  readonly stallHoseMs: number | 'never';
  readonly channels: readonly string[];
}

export interface SessionContext extends SessionInput {
  readonly openChannels: readonly string[];
  readonly reason: string;
  /** How long the peer's event loop had been stalled when that was told. */
  readonly stalledMs: number;
  readonly hosed: { readonly reason: HoseReason; readonly why: string } | null;
  readonly error: ErrorData | null;
}

export type SessionEvent =
  // Opening, at the client.
  | { type: 'dial.connected' }
  | { type: 'dial.failed'; error: ErrorData }
  | { type: 'login.accepted' }
  | { type: 'login.rejected'; error: ErrorData }
  // Opening, at both.
  | { type: 'attach' }
  // Ending.
  | { type: 'close'; reason: string }
  | { type: 'peer.goodbye'; why: string }
  | { type: 'peer.closed'; why: string }
  | { type: 'peer.reset'; why: string }
  | { type: 'peer.idle'; why: string }
  /** Its event loop has not turned for that long. */
  | { type: 'peer.stalled'; ms: number }
  | { type: 'peer.resumed' }
  | { type: 'protocol.violated'; why: string }
  | { type: 'channel.opened'; name: string }
  | { type: 'memory.violated'; why: string }
  | { type: 'channel.peer-ended'; name: string }
  | { type: 'channel.ended'; name: string }
  | { type: 'release' };

/** What a session tells its owner. */
export type SessionReport =
  /** Both ends are ready. */
  | { readonly type: 'session.opened' }
  /** Its channels may be used. */
  | { readonly type: 'session.attached' }
  | { readonly type: 'session.failed'; readonly error: ErrorData }
  | { readonly type: 'session.closed'; readonly reason: string }
  | { readonly type: 'session.hosed'; readonly reason: HoseReason; readonly why: string }
  | { readonly type: 'peer.stalled'; readonly ms: number }
  | { readonly type: 'peer.resumed' }
  | { readonly type: 'channel.closed'; readonly channel: string };

/** A session whose owner does not let go of it in this time is torn down all the same. */
const releaseTimeoutMs = 5_000;
/** The longest that a timer can wait: what stands for "never" where a guard lets nothing happen then. */
const timerMaxMs = 2 ** 31 - 1;

type Facts = { context: SessionContext };

const hosedBy = (reason: HoseReason) => ({
  target: '#session.hosed',
  actions: {
    type: 'noteHosed' as const,
    params: ({ event }: { event: { why: string } }) => ({ reason, why: event.why }),
  },
});

/** How a session ends that has opened, from either side. */
const endings = {
  close: {
    target: '#session.closing',
    actions: {
      type: 'noteReason' as const,
      params: ({ event }: { event: { reason: string } }) => ({ reason: event.reason }),
    },
  },
  'peer.goodbye': hosedBy('peer.goodbye'),
  'peer.closed': hosedBy('peer.closed'),
  'peer.reset': hosedBy('peer.reset'),
  'peer.idle': hosedBy('peer.idle'),
  'protocol.violated': hosedBy('protocol'),
  'memory.violated': hosedBy('memory'),
};

export const sessionMachine = setup({
  types: {
    input: {} as SessionInput,
    context: {} as SessionContext,
    events: {} as SessionEvent,
  },
  actions: {
    report: effect('session', 'report') as (_: unknown, report: SessionReport) => void,
    /** Connects to the server's socket; then `dial.connected` or `dial.failed`. */
    dial: effect('session', 'dial'),
    /** Sends the hello with our memory; then `login.accepted` or `login.rejected`. */
    logIn: effect('session', 'logIn'),
    /** Says that we are ready. */
    sendReady: effect('session', 'sendReady'),
    /** Lets messages flow on all channels. */
    openChannels: effect('session', 'openChannels'),
    /** Looks for the peer's signs of life: `peer.idle`, `peer.stalled`, `peer.resumed`. */
    watchPeer: effect('session', 'watchPeer'),
    /** Drains all channels. */
    closeChannels: effect('session', 'closeChannels'),
    sendGoodbye: effect('session', 'sendGoodbye') as (_: unknown, goodbye: { reason: string }) => void,
    /** Ends all channels with the one cause. */
    hoseChannels: effect('session', 'hoseChannels') as (
      _: unknown,
      cause: { reason: HoseReason; why: string },
    ) => void,
    /** Closes the socket and unmaps everything. */
    tearDown: effect('session', 'tearDown'),
    noteReason: assign((_, { reason }: { reason: string }) => ({ reason })),
    noteHosed: assign((_, hosed: { reason: HoseReason; why: string }) => ({ hosed })),
    noteStall: assign(({ event }) => (event.type === 'peer.stalled' ? { stalledMs: event.ms } : {})),
    noteStalledTooLong: assign(({ context: { stallHoseMs } }) => ({
      hosed: { reason: 'peer.stalled' as const, why: `its event loop has not turned for ${stallHoseMs} ms` },
    })),
    noteError: assign(({ event }) => ('error' in event ? { error: event.error } : {})),
    noteLoginTimeout: assign(({ context: { loginTimeoutMs, peerApp } }) => ({
      error: {
        code: 'ERR_LOGIN_TIMEOUT' as const,
        message: `app ${peerApp} did not complete the log-in within ${loginTimeoutMs} ms`,
      },
    })),
    noteStopped: assign(({ context: { peerApp } }) => ({
      error: {
        code: 'ERR_SESSION_CLOSED' as const,
        message: `the session with ${peerApp} was closed before it opened`,
      },
    })),
    noteLost: assign(({ context: { peerApp }, event }) => ({
      error: {
        code: 'ERR_NO_SERVER' as const,
        message: `app ${peerApp}: ${'why' in event ? event.why : 'it went away'} during the log-in`,
      },
    })),
    noteNonsense: assign(({ context: { peerApp }, event }) => ({
      error: {
        code: 'ERR_PROTOCOL' as const,
        message: `app ${peerApp}: ${'why' in event ? event.why : 'a frame that makes no sense'} during the log-in`,
      },
    })),
    noteChannelsOpen: assign(({ context: { channels } }) => ({ openChannels: channels })),
    noteChannelOpen: assign(({ context, event }) =>
      'name' in event && !context.openChannels.includes(event.name)
        ? { openChannels: [...context.openChannels, event.name] }
        : {},
    ),
    noteChannelEnd: assign(({ context, event }) =>
      'name' in event ? { openChannels: context.openChannels.filter((name) => name !== event.name) } : {},
    ),
  },
  guards: {
    isClient: ({ context }) => context.side === 'client',
    allChannelsEnded: ({ context }) => context.openChannels.length === 0,
    stallEnds: ({ context }) => context.stallHoseMs !== 'never',
  },
  delays: {
    loginTimeout: ({ context }) => context.loginTimeoutMs,
    // A little more than the channels have for themselves.
    closeTimeout: ({ context }) => context.closeTimeoutMs + 100,
    releaseTimeout: releaseTimeoutMs,
    stallTimeout: ({ context: { stallHoseMs, stalledMs } }) =>
      stallHoseMs === 'never' ? timerMaxMs : Math.min(timerMaxMs, Math.max(0, stallHoseMs - stalledMs)),
  },
}).createMachine({
  id: 'session',
  context: ({ input }) => ({
    ...input,
    openChannels: [],
    reason: '',
    stalledMs: 0,
    hosed: null,
    error: null,
  }),
  initial: 'choosing',
  on: {
    'channel.ended': { actions: 'noteChannelEnd' },
  },
  states: {
    choosing: { always: [{ guard: 'isClient', target: 'opening' }, { target: 'almostOpen' }] },
    opening: {
      initial: 'dialling',
      after: { loginTimeout: { target: 'failed', actions: 'noteLoginTimeout' } },
      on: {
        close: { target: 'failed', actions: 'noteStopped' },
        'peer.closed': { target: 'failed', actions: 'noteLost' },
        'peer.reset': { target: 'failed', actions: 'noteLost' },
        'peer.goodbye': { target: 'failed', actions: 'noteLost' },
        'peer.idle': { target: 'failed', actions: 'noteLost' },
        'memory.violated': { target: 'failed', actions: 'noteNonsense' },
        'protocol.violated': { target: 'failed', actions: 'noteNonsense' },
      },
      states: {
        dialling: {
          description: "Connects to the server's socket.",
          entry: 'dial',
          on: {
            'dial.connected': 'loggingIn',
            'dial.failed': { target: '#session.failed', actions: 'noteError' },
          },
        },
        loggingIn: {
          description: 'Has said hello; the server checks it.',
          entry: 'logIn',
          on: {
            'login.accepted': { target: '#session.almostOpen', actions: 'sendReady' },
            'login.rejected': { target: '#session.failed', actions: 'noteError' },
          },
        },
      },
    },
    almostOpen: {
      description: 'Both ends are ready; what comes is kept until the owner has attached itself.',
      entry: { type: 'report', params: { type: 'session.opened' } },
      on: {
        attach: 'open',
        ...endings,
      },
    },
    open: {
      description: 'Equal sides; messages flow.',
      entry: [
        'noteChannelsOpen',
        'openChannels',
        'watchPeer',
        { type: 'report', params: { type: 'session.attached' } },
      ],
      initial: 'answering',
      states: {
        answering: {
          description: "The peer's event loop turns, as far as anybody knows.",
          on: {
            'peer.stalled': {
              target: 'stalled',
              actions: [
                'noteStall',
                { type: 'report', params: ({ event }) => ({ type: 'peer.stalled', ms: event.ms }) },
              ],
            },
          },
        },
        stalled: {
          description: "The peer's process lives, but its event loop does not turn; messages wait.",
          on: {
            'peer.resumed': {
              target: 'answering',
              actions: { type: 'report', params: { type: 'peer.resumed' } },
            },
          },
          after: {
            stallTimeout: { guard: 'stallEnds', target: '#session.hosed', actions: 'noteStalledTooLong' },
          },
        },
      },
      on: {
        'channel.opened': { actions: 'noteChannelOpen' },
        'channel.peer-ended': {
          actions: {
            type: 'report',
            params: ({ event }) => ({ type: 'channel.closed', channel: event.name }),
          },
        },
        ...endings,
      },
    },
    closing: {
      description: 'Closed by us: what was accepted is sent, within a deadline.',
      entry: 'closeChannels',
      after: { closeTimeout: 'closed' },
      always: { guard: 'allChannelsEnded', target: 'closed' },
      // Whatever the peer does now, we had decided to end.
      on: {
        // It was accepted before it heard that.
        'channel.opened': { actions: 'noteChannelOpen' },
        'peer.goodbye': 'closed',
        'peer.closed': 'closed',
        'peer.reset': 'closed',
        'peer.idle': 'closed',
        'protocol.violated': 'closed',
        'memory.violated': 'closed',
      },
    },
    closed: {
      description: 'Ended by us; the peer has been told why.',
      entry: [
        { type: 'sendGoodbye', params: ({ context }: Facts) => ({ reason: context.reason }) },
        {
          type: 'report',
          params: ({ context }: Facts): SessionReport => ({ type: 'session.closed', reason: context.reason }),
        },
      ],
      on: { release: 'released' },
      after: { releaseTimeout: 'released' },
    },
    hosed: {
      description: 'Unusable for good; the first cause is kept.',
      entry: [
        { type: 'hoseChannels', params: ({ context }: Facts) => context.hosed! },
        {
          type: 'report',
          params: ({ context }: Facts): SessionReport => ({ type: 'session.hosed', ...context.hosed! }),
        },
      ],
      on: { release: 'released' },
      after: { releaseTimeout: 'released' },
    },
    failed: {
      description: 'Never opened.',
      type: 'final',
      entry: [
        'tearDown',
        {
          type: 'report',
          params: ({ context }: Facts): SessionReport => ({ type: 'session.failed', error: context.error! }),
        },
      ],
    },
    released: { description: 'Nothing of it is left.', type: 'final', entry: 'tearDown' },
  },
});
