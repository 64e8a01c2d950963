// Retirement: a process that another one has replaced, from the request to its end. As the unit machine ends a process: by words,
// then by SIGTERM, then by force. Its unit is up all the while, with the other one.
// When it dies by itself meanwhile, it has done what was wanted. When its successor dies, it goes on its way out all the same.
import { setup } from 'xstate';
import type { Shutdown } from '../spec/child.ts';
import { effect } from './effect.ts';

export interface RetirementInput {
  readonly shutdown: Shutdown;
  /** Whether a polite request can be made before SIGTERM. */
  readonly canAsk: boolean;
}

export type RetirementEvent =
  /** Nothing of it is left. */
  | { type: 'process.emptied' }
  /** It may take no more time: another one is on its way out, or the unit ends. */
  | { type: 'hurry' };

/** setTimeout takes at most 2^31 - 1; 24 days. */
const longestMs = 2 ** 31 - 1;
const limitMs = ({ shutdown }: RetirementInput): number =>
  typeof shutdown === 'number' ? shutdown : longestMs;

export const retirementMachine = setup({
  types: {
    input: {} as RetirementInput,
    context: {} as RetirementInput,
    events: {} as RetirementEvent,
  },
  actions: {
    ask: effect('retirement', 'ask'),
    terminate: effect('retirement', 'terminate'),
    kill: effect('retirement', 'kill'),
  },
  guards: {
    killsAtOnce: ({ context }) => context.shutdown === 'kill',
    asksFirst: ({ context }) => context.canAsk,
  },
  delays: {
    /** Half of the time is for the polite request, the rest for SIGTERM. */
    askTimeout: ({ context }) => limitMs(context) / 2,
    shutdownTimeout: ({ context }) => limitMs(context),
  },
}).createMachine({
  id: 'retirement',
  context: ({ input }) => input,
  initial: 'leaving',
  on: { 'process.emptied': '.gone' },
  states: {
    leaving: {
      description: 'Asked to end, by words first and then by SIGTERM.',
      initial: 'choosing',
      after: { shutdownTimeout: 'killing' },
      on: { hurry: 'killing' },
      states: {
        choosing: {
          description: 'How it is told first, as its spec says.',
          always: [
            { guard: 'killsAtOnce', target: '#retirement.killing' },
            { guard: 'asksFirst', target: 'asking' },
            { target: 'terminating' },
          ],
        },
        asking: {
          description: 'Asked over its control socket.',
          entry: 'ask',
          after: { askTimeout: 'terminating' },
        },
        terminating: { description: 'SIGTERM was sent to its group.', entry: 'terminate' },
      },
    },
    killing: {
      description: 'SIGKILL was sent to all of it; only the kernel can still hold it.',
      entry: 'kill',
    },
    gone: { description: 'Nothing of it is left.', type: 'final' },
  },
});
