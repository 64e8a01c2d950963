// LinkPeer: one node as its neighbour knows it, over all the sockets that carry the link between them. The side that dials
// opens the link again when it is lost; the side that was dialled keeps what is under way for a while, in case the peer comes
// back. When the other side dies here, beats stay out or the socket ends: the link is lost, messages wait, nothing is dropped
// until the peer comes back without its memory or does not come back at all.
import { assign, setup } from 'xstate';
import type { ErrorData } from '../errors.ts';
import { effect } from './effect.ts';
import { backoffMs, nextChance } from './restart.ts';

export interface LinkPeerInput {
  /** The peer as its configuration or its hello names it. */
  readonly peer: string;
  /** Who opens the link again. */
  readonly side: 'dials' | 'accepts';
  readonly beatMs: number;
  /** So many beats in a row without a word from the peer, and the link is lost. */
  readonly silentBeatsMax: number;
  /** For connecting, and again for the hello. */
  readonly dialTimeoutMs: number;
  readonly backoff: { readonly minMs: number; readonly maxMs: number; readonly jitter: number };
  /** How long what is under way is kept for a peer that is away. */
  readonly resumeMs: number;
  readonly drainTimeoutMs: number;
  readonly seed: number;
}

export interface LinkPeerContext extends LinkPeerInput {
  readonly attempt: number;
  readonly delayMs: number;
  readonly silentBeats: number;
  readonly linksTotal: number;
  /** Why there is no link. */
  readonly why: string | null;
  readonly refused: ErrorData | null;
}

export type LinkPeerEvent =
  | { type: 'dial.connected' }
  | { type: 'dial.failed'; why: string }
  | { type: 'peer.welcomed' }
  | { type: 'peer.refused'; error: ErrorData }
  /** It has come back by a socket that it has opened. */
  | { type: 'peer.arrived' }
  | { type: 'link.lost'; why: string }
  /** It ends in order. */
  | { type: 'peer.goodbye'; why: string }
  /** A beat has passed in which something was heard, or nothing. */
  | { type: 'beat.heard' }
  | { type: 'beat.missed' }
  | { type: 'line.drained' }
  | { type: 'close' };

export type LinkPeerReport =
  | { readonly type: 'link.open' }
  | { readonly type: 'link.lost'; readonly why: string }
  /** It could not be opened; it is tried again. */
  | { readonly type: 'link.failed'; readonly why: string }
  | { readonly type: 'link.refused'; readonly error: ErrorData }
  | { readonly type: 'link.closed'; readonly why: string };

type Facts = { context: LinkPeerContext };

const tellLost = {
  type: 'report' as const,
  params: ({ context }: Facts): LinkPeerReport => ({ type: 'link.lost', why: context.why ?? '' }),
};
const losing = [
  {
    guard: 'dials' as const,
    target: '#linkPeer.waiting',
    actions: ['noteWhy' as const, 'planRetry' as const, tellLost],
  },
  { target: '#linkPeer.away', actions: ['noteWhy' as const, tellLost] },
];
const tellFailed = {
  type: 'report' as const,
  params: ({ context }: Facts): LinkPeerReport => ({ type: 'link.failed', why: context.why ?? '' }),
};
const failing = {
  target: '#linkPeer.waiting',
  actions: ['noteWhy' as const, 'planRetry' as const, tellFailed],
};
const closing = { target: '#linkPeer.closed', actions: 'noteClosed' as const };

export const linkPeerMachine = setup({
  types: {
    input: {} as LinkPeerInput,
    context: {} as LinkPeerContext,
    events: {} as LinkPeerEvent,
    output: {} as { why: string },
  },
  actions: {
    report: effect('linkPeer', 'report') as (_: unknown, report: LinkPeerReport) => void,
    /** Opens a socket, with TLS if that is asked for; then `dial.connected` or `dial.failed`. */
    dial: effect('linkPeer', 'dial'),
    /** Says hello; then `peer.welcomed` or `peer.refused`. */
    greet: effect('linkPeer', 'greet'),
    /** Sends what the peer has not got, and lets messages flow. */
    resume: effect('linkPeer', 'resume'),
    /** Sends a sign of life; then `beat.heard` or `beat.missed`. */
    beat: effect('linkPeer', 'beat'),
    /** Closes the socket; the line stays. */
    hangUp: effect('linkPeer', 'hangUp'),
    /** Waits until the peer has everything; then `line.drained`. */
    drain: effect('linkPeer', 'drain'),
    /** Forgets the line. */
    tearDown: effect('linkPeer', 'tearDown'),
    noteOpen: assign(({ context }) => ({
      attempt: 0,
      silentBeats: 0,
      why: null,
      refused: null,
      linksTotal: context.linksTotal + 1,
    })),
    noteWhy: assign(({ event }) => ('why' in event ? { why: event.why } : {})),
    noteRefused: assign(({ event }) =>
      event.type === 'peer.refused' ? { why: event.error.message, refused: event.error } : {},
    ),
    noteNoConnection: assign(({ context }) => ({ why: `no connection within ${context.dialTimeoutMs} ms` })),
    noteNoWelcome: assign(({ context }) => ({ why: `no welcome within ${context.dialTimeoutMs} ms` })),
    noteSilence: assign(({ context }) => ({
      why: `nothing was heard for ${context.silentBeatsMax} beats of ${context.beatMs} ms`,
    })),
    noteAbsence: assign(({ context }) => ({ why: `it has not come back within ${context.resumeMs} ms` })),
    noteClosed: assign({ why: 'it was closed here' }),
    countSilence: assign(({ context }) => ({ silentBeats: context.silentBeats + 1 })),
    forgetSilence: assign({ silentBeats: 0 }),
    planRetry: assign(({ context }) => {
      const attempt = context.attempt + 1;
      const { chance, seed } = nextChance(context.seed);
      return { attempt, seed, delayMs: backoffMs({ ...context.backoff, factor: 2 }, attempt, chance) };
    }),
    // What is refused is not mended in a moment.
    planLateRetry: assign(({ context }) => ({
      attempt: context.attempt + 1,
      delayMs: context.backoff.maxMs,
    })),
  },
  guards: {
    dials: ({ context }) => context.side === 'dials',
    isSilent: ({ context }) => context.silentBeats + 1 >= context.silentBeatsMax,
    isSilentAndDials: ({ context }) =>
      context.side === 'dials' && context.silentBeats + 1 >= context.silentBeatsMax,
    isNews: ({ context, event }) =>
      event.type === 'peer.refused' && context.refused?.message !== event.error.message,
  },
  delays: {
    dialTimeout: ({ context }) => context.dialTimeoutMs,
    beatInterval: ({ context }) => context.beatMs,
    retryDelay: ({ context }) => context.delayMs,
    resumeTimeout: ({ context }) => context.resumeMs,
    drainTimeout: ({ context }) => context.drainTimeoutMs,
  },
}).createMachine({
  id: 'linkPeer',
  context: ({ input }) => ({
    ...input,
    attempt: 0,
    delayMs: 0,
    silentBeats: 0,
    linksTotal: 0,
    why: null,
    refused: null,
  }),
  output: ({ context }) => ({ why: context.why ?? '' }),
  initial: 'choosing',
  states: {
    choosing: { always: [{ guard: 'dials', target: 'dialling' }, { target: 'away' }] },
    dialling: {
      description: 'A socket is being opened.',
      entry: 'dial',
      on: {
        'dial.connected': 'greeting',
        'dial.failed': failing,
        'link.lost': failing,
        close: closing,
      },
      after: { dialTimeout: { target: 'waiting', actions: ['noteNoConnection', 'planRetry', tellFailed] } },
    },
    greeting: {
      description: 'Has said hello; the peer looks at it.',
      entry: 'greet',
      on: {
        'peer.welcomed': 'open',
        'peer.refused': [
          {
            guard: 'isNews',
            target: 'waiting',
            actions: [
              'noteRefused',
              'planLateRetry',
              { type: 'report', params: ({ event }) => ({ type: 'link.refused', error: event.error }) },
            ],
          },
          { target: 'waiting', actions: ['noteRefused', 'planLateRetry'] },
        ],
        'link.lost': failing,
        'peer.goodbye': failing,
        close: closing,
      },
      after: { dialTimeout: { target: 'waiting', actions: ['noteNoWelcome', 'planRetry', tellFailed] } },
    },
    open: {
      description: 'Messages flow; both sides send beats.',
      entry: ['noteOpen', 'resume', { type: 'report', params: { type: 'link.open' } }],
      initial: 'beating',
      states: {
        beating: {
          description: 'Until the next beat.',
          after: { beatInterval: { target: 'beating', reenter: true, actions: 'beat' } },
        },
      },
      on: {
        'beat.heard': { actions: 'forgetSilence' },
        'beat.missed': [
          {
            guard: 'isSilentAndDials',
            target: '#linkPeer.waiting',
            actions: ['noteSilence', 'planRetry', tellLost],
          },
          { guard: 'isSilent', target: '#linkPeer.away', actions: ['noteSilence', tellLost] },
          { actions: 'countSilence' },
        ],
        'peer.arrived': { target: 'open', reenter: true },
        'link.lost': losing,
        'peer.goodbye': [losing[0], { target: 'closed', actions: 'noteWhy' }],
        close: 'draining',
      },
    },
    waiting: {
      description: 'No link; the next try comes after a moment. Messages wait for it.',
      entry: 'hangUp',
      after: { retryDelay: 'dialling' },
      on: { close: closing },
    },
    away: {
      description: 'The peer opens the link again, or is forgotten with all that waits for it.',
      entry: 'hangUp',
      on: { 'peer.arrived': 'open', close: closing },
      after: { resumeTimeout: { target: 'closed', actions: 'noteAbsence' } },
    },
    draining: {
      description: 'Closed here: what was accepted is still sent, within a deadline.',
      entry: ['noteClosed', 'drain'],
      on: { 'line.drained': 'closed', 'link.lost': 'closed', 'peer.goodbye': 'closed' },
      after: { drainTimeout: 'closed' },
    },
    closed: {
      description: 'Nothing of it is left.',
      type: 'final',
      entry: [
        'hangUp',
        'tearDown',
        {
          type: 'report',
          params: ({ context }: Facts): LinkPeerReport => ({ type: 'link.closed', why: context.why ?? '' }),
        },
      ],
    },
  },
});
