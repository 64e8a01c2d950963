// Probe: looks again and again whether something holds of a process, or listens for it, and says when that changes. One
// failure says little, so several in a row count as one.
import { assign, setup } from 'xstate';
import { effect } from './effect.ts';

export interface ProbeInput {
  /** `look`: asks each time. `listen`: is told, and a silence of one period is a failure. */
  readonly how: 'look' | 'listen';
  readonly periodMs: number;
  readonly timeoutMs: number;
  readonly failures: number;
}

export interface ProbeContext extends ProbeInput {
  /** Number of the present look; the answer to an earlier one is dropped. */
  readonly look: number;
  readonly failed: number;
  /** What was told last; null: nothing yet. */
  readonly holds: boolean | null;
  readonly why: string;
}

export type ProbeEvent =
  | { type: 'look.passed'; look: number }
  | { type: 'look.failed'; look: number; why: string }
  | { type: 'heard' };

export type ProbeReport = { type: 'probe.passed' } | { type: 'probe.failed'; why: string };

type Facts = { context: ProbeContext };

const passed = [
  { type: 'report' as const, params: { type: 'probe.passed' } as ProbeReport },
  'notePass' as const,
];
const failed = [
  {
    type: 'report' as const,
    params: ({ context: { failures, why } }: Facts): ProbeReport => ({
      type: 'probe.failed',
      why: failures === 1 ? why : `${why} (${failures} times in a row)`,
    }),
  },
  'noteFall' as const,
];

export const probeMachine = setup({
  types: { input: {} as ProbeInput, context: {} as ProbeContext, events: {} as ProbeEvent },
  actions: {
    /** Begins a look; its answer carries the number. */
    beginLook: effect('probe', 'beginLook') as (_: unknown, params: { look: number }) => void,
    /** Ends a look that has not been answered. */
    endLook: effect('probe', 'endLook'),
    report: effect('probe', 'report') as (_: unknown, report: ProbeReport) => void,

    countLook: assign(({ context }) => ({ look: context.look + 1 })),
    noteFailure: assign(({ context, event }) => ({
      failed: context.failed + 1,
      why: event.type === 'look.failed' ? event.why : `no answer within ${context.timeoutMs} ms`,
    })),
    noteSilence: assign(({ context }) => ({
      failed: context.failed + 1,
      why: `nothing was heard for ${context.periodMs} ms`,
    })),
    forgive: assign({ failed: 0 }),
    notePass: assign({ holds: true }),
    noteFall: assign({ holds: false }),
  },
  guards: {
    ofThisLook: ({ context, event }) => 'look' in event && event.look === context.look,
    looks: ({ context }) => context.how === 'look',
    listens: ({ context }) => context.how === 'listen',
    isNews: ({ context }) => context.failed === 0 && context.holds !== true,
    hasFallen: ({ context }) => context.failed >= context.failures && context.holds !== false,
  },
  delays: {
    period: ({ context }) => context.periodMs,
    timeout: ({ context }) => context.timeoutMs,
  },
}).createMachine({
  id: 'probe',
  context: ({ input }) => ({ ...input, look: 0, failed: 0, holds: null, why: '' }),
  initial: 'choosing',
  states: {
    choosing: {
      description: 'Looks or listens, as it is told.',
      always: [
        { guard: 'listens', target: 'listening' },
        { guard: 'looks', target: 'looking' },
      ],
    },
    looking: {
      description: 'Has asked; an answer that takes too long is none.',
      entry: ['countLook', { type: 'beginLook', params: ({ context }) => ({ look: context.look }) }],
      exit: 'endLook',
      after: { timeout: { target: 'judging', actions: 'noteFailure' } },
      on: {
        'look.passed': { guard: 'ofThisLook', target: 'judging', actions: 'forgive' },
        'look.failed': { guard: 'ofThisLook', target: 'judging', actions: 'noteFailure' },
      },
    },
    judging: {
      description: 'Says what has changed by the last look.',
      always: [
        { guard: 'isNews', target: 'pausing', actions: passed },
        { guard: 'hasFallen', target: 'pausing', actions: failed },
        { target: 'pausing' },
      ],
    },
    pausing: { description: 'Until the next look.', after: { period: 'looking' } },
    listening: {
      description: 'Waits until it is told that it holds; a long silence is a failure.',
      after: { period: { target: 'weighing', actions: 'noteSilence' } },
      on: { heard: { target: 'weighing', actions: 'forgive' } },
    },
    weighing: {
      description: 'Says what has changed by what was heard, or was not.',
      always: [
        { guard: 'isNews', target: 'listening', actions: passed },
        { guard: 'hasFallen', target: 'listening', actions: failed },
        { target: 'listening' },
      ],
    },
  },
});
