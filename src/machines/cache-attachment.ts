// CacheAttachment: the lifecycle of our use of one cache of shared memory. Keys and values never pass here; the machine says that
// we look for the cache, use it, or are done with it.
// When another user dies, even the one that created the cache, the attachment stays: what it had half done the next one completes
// or undoes. When this process dies, what it has set stays. Only a creation anew, or memory that makes no sense, ends an
// attachment from outside.
import { assign, setup } from 'xstate';
import type { ErrorData } from '../errors.ts';
import { effect } from './effect.ts';

export interface CacheAttachmentInput {
  readonly cache: string;
}

export interface CacheAttachmentContext extends CacheAttachmentInput {
  /** Which creation of the cache it is, how many records it has room for, and who of its users we are; null before we are one. */
  readonly attached: Attached | null;
  /** Why it ended, unless we have closed it. */
  readonly error: ErrorData | null;
}

export interface Attached {
  readonly generation: string;
  readonly capacity: number;
  readonly slot: number;
}

export type CacheAttachmentEvent =
  | { type: 'cache.attached'; attached: Attached }
  | { type: 'attach.failed'; error: ErrorData }
  /** We have closed it, or nothing can be done with it any more. */
  | { type: 'cache.ended'; error: ErrorData | null };

type Facts = { context: CacheAttachmentContext };

export const cacheAttachmentMachine = setup({
  types: {
    input: {} as CacheAttachmentInput,
    context: {} as CacheAttachmentContext,
    events: {} as CacheAttachmentEvent,
    output: {} as { error: ErrorData | null },
  },
  actions: {
    /** Looks for the cache or creates it, and becomes a user; then `cache.attached` or `attach.failed`. */
    attach: effect('cacheAttachment', 'attach'),
    logAttached: effect('cacheAttachment', 'logAttached') as (
      _: unknown,
      facts: CacheAttachmentContext,
    ) => void,
    logEnded: effect('cacheAttachment', 'logEnded') as (_: unknown, facts: CacheAttachmentContext) => void,
    keepAttached: assign(({ event }) =>
      event.type === 'cache.attached' ? { attached: event.attached } : {},
    ),
    keepError: assign(({ event }) => ('error' in event ? { error: event.error } : {})),
  },
}).createMachine({
  id: 'cacheAttachment',
  context: ({ input }) => ({ ...input, attached: null, error: null }),
  output: ({ context }) => ({ error: context.error }),
  initial: 'attaching',
  states: {
    attaching: {
      description: 'Looking for somebody who hands the cache on, or creating it.',
      entry: 'attach',
      on: {
        'cache.attached': { target: 'attached', actions: 'keepAttached' },
        'attach.failed': { target: 'ended', actions: 'keepError' },
      },
    },
    attached: {
      description:
        'We are a user: reads and calls go to the memory, and we hand the cache on to whoever comes.',
      entry: { type: 'logAttached', params: ({ context }: Facts) => context },
      on: { 'cache.ended': { target: 'ended', actions: 'keepError' } },
    },
    ended: {
      description: 'Closed by us, replaced, broken, or never found. Our place among its users is free again.',
      type: 'final',
      entry: { type: 'logEnded', params: ({ context }: Facts) => context },
    },
  },
});
