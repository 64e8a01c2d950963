// RegionAttachment: the lifecycle of our use of one region of shared memory. Packets and values never pass here; the machine
// says that we look for the region, use it, or are done with it.
// When another user dies, even the one that created the region, the attachment stays: what the dead had comes back to all, and
// nobody hears of it here. When this process dies, the others take back what it had. Only a creation anew, or memory that makes
// no sense, ends an attachment from outside.
import { assign, setup } from 'xstate';
import type { ErrorData } from '../errors.ts';
import { effect } from './effect.ts';

export interface RegionAttachmentInput {
  readonly region: string;
}

export interface RegionAttachmentContext extends RegionAttachmentInput {
  /** Which creation of the region it is, how large, and who of its users we are; null before we are one. */
  readonly attached: Attached | null;
  /** Why it ended, unless we have closed it. */
  readonly error: ErrorData | null;
}

export interface Attached {
  readonly generation: string;
  readonly bytes: number;
  readonly slot: number;
}

export type RegionAttachmentEvent =
  | { type: 'region.attached'; attached: Attached }
  | { type: 'attach.failed'; error: ErrorData }
  /** We have closed it, or nothing can be done with it any more. */
  | { type: 'region.ended'; error: ErrorData | null };

type Facts = { context: RegionAttachmentContext };

export const regionAttachmentMachine = setup({
  types: {
    input: {} as RegionAttachmentInput,
    context: {} as RegionAttachmentContext,
    events: {} as RegionAttachmentEvent,
    output: {} as { error: ErrorData | null },
  },
  actions: {
    /** Looks for the region or creates it, and becomes a user; then `region.attached` or `attach.failed`. */
    attach: effect('regionAttachment', 'attach'),
    logAttached: effect('regionAttachment', 'logAttached') as (
      _: unknown,
      facts: RegionAttachmentContext,
    ) => void,
    logEnded: effect('regionAttachment', 'logEnded') as (_: unknown, facts: RegionAttachmentContext) => void,
    keepAttached: assign(({ event }) =>
      event.type === 'region.attached' ? { attached: event.attached } : {},
    ),
    keepError: assign(({ event }) => ('error' in event ? { error: event.error } : {})),
  },
}).createMachine({
  id: 'regionAttachment',
  context: ({ input }) => ({ ...input, attached: null, error: null }),
  output: ({ context }) => ({ error: context.error }),
  initial: 'attaching',
  states: {
    attaching: {
      description: 'Looking for somebody who hands the region on, or creating it.',
      entry: 'attach',
      on: {
        'region.attached': { target: 'attached', actions: 'keepAttached' },
        'attach.failed': { target: 'ended', actions: 'keepError' },
      },
    },
    attached: {
      description: 'We are a user: calls go to the memory, and we hand the region on to whoever comes.',
      entry: { type: 'logAttached', params: ({ context }: Facts) => context },
      on: { 'region.ended': { target: 'ended', actions: 'keepError' } },
    },
    ended: {
      description: 'Closed by us, replaced, broken, or never found. What we had is given back.',
      type: 'final',
      entry: { type: 'logEnded', params: ({ context }: Facts) => context },
    },
  },
});
