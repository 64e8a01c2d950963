// Multicast: one pipe in, several out, each packet to each reader. Packets never pass here; the machine says whose turn it
// is and what happens to a reader that is too slow. When a reader's process dies its pipe fills up, and the policy decides.
// When the process that carries this out dies, the one packet that was being handed on may be missing at some readers.
import { assign, enqueueActions, setup } from 'xstate';
import type { ErrorData } from '../errors.ts';
import { effect } from './effect.ts';

/** What happens to a reader whose pipe has no room for as long as the limit: everybody waits for it, or it loses packets. */
export type SlowPolicy = 'block' | 'drop';

export interface MulticastInput {
  /** Names of the readers' pipes. */
  readonly readers: readonly string[];
  readonly policy: SlowPolicy;
  readonly slowAfterMs: number;
}

/** One reader of a multicast, and what it got: counts of packets. */
export interface ReaderView {
  readonly name: string;
  /** It had no room within the limit, and has not taken a packet since. */
  readonly slow: boolean;
  readonly delivered: number;
  readonly dropped: number;
}

export interface MulticastContext {
  readonly policy: SlowPolicy;
  readonly slowAfterMs: number;
  readonly readers: readonly ReaderView[];
  /** Readers, by place, that have not answered for the packet in hand. */
  readonly pending: readonly number[];
  readonly error: ErrorData | null;
}

export type MulticastEvent =
  | { type: 'packet.taken' }
  | { type: 'reader.took'; reader: number }
  /** It had no room within the limit of the offer. */
  | { type: 'reader.late'; reader: number }
  | { type: 'pipe.failed'; error: ErrorData }
  | { type: 'stop' };

/** What a multicast tells whoever started it. */
export interface MulticastReport {
  readonly type: 'reader.slow' | 'reader.recovered';
  readonly reader: string;
  readonly dropped: number;
}

/** One try to hand the packet to a reader; without a limit it waits. */
export interface Offer {
  readonly reader: number;
  readonly timeoutMs: number | null;
}

type Facts = { context: MulticastContext };

/** How long a reader may take: one that is known to be slow holds nobody up again under `drop`. */
function limitFor({ policy, slowAfterMs, readers }: MulticastContext, reader: number): number | null {
  if (!readers[reader]!.slow) return slowAfterMs;
  return policy === 'drop' ? 0 : null;
}

function changed(
  readers: readonly ReaderView[],
  reader: number,
  change: (view: ReaderView) => Partial<ReaderView>,
): readonly ReaderView[] {
  return readers.map((view, place) => (place === reader ? { ...view, ...change(view) } : view));
}

const awaits = ({ context, event }: Facts & { event: MulticastEvent }): boolean =>
  'reader' in event && context.pending.includes(event.reader);

export const multicastMachine = setup({
  types: {
    input: {} as MulticastInput,
    context: {} as MulticastContext,
    events: {} as MulticastEvent,
    output: {} as { error: ErrorData | null },
  },
  actions: {
    /** Takes a packet from the input: `packet.taken` or `pipe.failed`. */
    take: effect('multicast', 'take'),
    /** Puts the packet in hand into a reader's pipe: `reader.took`, `reader.late` or `pipe.failed`. */
    offer: effect('multicast', 'offer') as (_: unknown, offer: Offer) => void,
    /** Gives up whatever waits. */
    giveUp: effect('multicast', 'giveUp'),
    /** Gives our hold on the packet in hand back. */
    letGo: effect('multicast', 'letGo'),
    report: effect('multicast', 'report') as (_: unknown, report: MulticastReport) => void,
    noteError: assign(({ event }) => (event.type === 'pipe.failed' ? { error: event.error } : {})),
    offerToAll: enqueueActions(({ context, enqueue }) => {
      enqueue.assign({ pending: context.readers.map((_, place) => place) });
      for (const place of context.readers.keys())
        enqueue({ type: 'offer', params: { reader: place, timeoutMs: limitFor(context, place) } });
    }),
    noteTaken: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== 'reader.took') return;
      const { name, slow, dropped } = context.readers[event.reader]!;
      enqueue.assign({
        pending: context.pending.filter((place) => place !== event.reader),
        readers: changed(context.readers, event.reader, ({ delivered }) => ({
          slow: false,
          delivered: delivered + 1,
        })),
      });
      if (slow) enqueue({ type: 'report', params: { type: 'reader.recovered', reader: name, dropped } });
    }),
    noteLate: enqueueActions(({ context, event, enqueue }) => {
      if (event.type !== 'reader.late') return;
      const { name, slow, dropped } = context.readers[event.reader]!;
      const drops = context.policy === 'drop';
      enqueue.assign({
        pending: drops ? context.pending.filter((place) => place !== event.reader) : context.pending,
        readers: changed(context.readers, event.reader, () => ({
          slow: true,
          dropped: drops ? dropped + 1 : dropped,
        })),
      });
      if (!slow)
        enqueue({
          type: 'report',
          params: { type: 'reader.slow', reader: name, dropped: drops ? dropped + 1 : dropped },
        });
      if (!drops) enqueue({ type: 'offer', params: { reader: event.reader, timeoutMs: null } });
    }),
  },
  guards: {
    awaits,
    allServed: ({ context }) => context.pending.length === 0,
  },
}).createMachine({
  id: 'multicast',
  context: ({ input: { readers, policy, slowAfterMs } }) => ({
    policy,
    slowAfterMs,
    readers: readers.map((name) => ({ name, slow: false, delivered: 0, dropped: 0 })),
    pending: [],
    error: null,
  }),
  output: ({ context }) => ({ error: context.error }),
  on: { stop: '.ended', 'pipe.failed': { target: '.ended', actions: 'noteError' } },
  initial: 'taking',
  states: {
    taking: {
      description: 'Waiting for the next packet.',
      entry: 'take',
      on: { 'packet.taken': 'delivering' },
    },
    delivering: {
      description: 'Each reader is offered the packet; the slowest decides how long this takes.',
      entry: 'offerToAll',
      always: { guard: 'allServed', target: 'taking' },
      on: {
        'reader.took': { guard: 'awaits', actions: 'noteTaken' },
        'reader.late': { guard: 'awaits', actions: 'noteLate' },
      },
      exit: 'letGo',
    },
    ended: {
      description: 'Stopped, or a pipe failed; packets that nobody was offered are still in the input.',
      type: 'final',
      entry: 'giveUp',
    },
  },
});
