// RemoteHost: another host of the topology, as this root knows it by what the other root publishes. When that root dies, or the network
// between them, nothing is heard any more: after a while the host is silent, and what its units do is unknown; they are never taken
// for dead. Silence ends with the next word, whoever of the two was cut off. A root that ends in order says so.
import { assign, setup } from 'xstate';
import { effect } from './effect.ts';
import type { Exit } from './exit.ts';
import type { UnitPhase } from './unit-report.ts';
import type { HeardOfHost } from './unit-view.ts';

/** A unit, as its root tells it. */
export interface ToldUnit {
  readonly id: string;
  readonly phase: UnitPhase;
  readonly epoch: number;
  readonly pid: number | null;
  readonly state: string | null;
  readonly note: string | null;
  readonly exit: Exit | null;
}

/** What a root tells of itself. */
export interface ToldRoot {
  /** New with each start of the root. */
  readonly root: string;
  readonly pid: number;
  readonly startedAtMs: number;
  /** Of its supervisor: booting, operative, degraded, stopping. */
  readonly state: string;
}

export interface RemoteHostInput {
  readonly host: string;
  readonly silentAfterMs: number;
}

export interface RemoteHostContext extends RemoteHostInput {
  readonly told: ToldRoot | null;
  readonly units: readonly ToldUnit[];
}

export type RemoteHostEvent =
  /** Of two roots that take themselves for that host, the relay lets only the holder of the lease be heard. */
  | { type: 'host.heard'; told: ToldRoot; units: readonly ToldUnit[] }
  /** Its root has ended in order. */
  | { type: 'host.left' };

export interface RemoteHostReport {
  readonly heard: HeardOfHost;
  readonly told: ToldRoot | null;
  readonly units: readonly ToldUnit[];
}

type Facts = { context: RemoteHostContext };

const reports = (heard: HeardOfHost) => ({
  type: 'report' as const,
  params: ({ context: { told, units } }: Facts): RemoteHostReport => ({ heard, told, units }),
});

const hearing = { target: 'present', actions: 'note' as const };

export const remoteHostMachine = setup({
  types: {
    input: {} as RemoteHostInput,
    context: {} as RemoteHostContext,
    events: {} as RemoteHostEvent,
  },
  actions: {
    /** Tells the supervisor of this host what is known of the other one's units. */
    report: effect('remoteHost', 'report') as (_: unknown, report: RemoteHostReport) => void,
    note: assign(({ event }) =>
      event.type === 'host.heard' ? { told: event.told, units: event.units } : {},
    ),
  },
  guards: {
    isNews: ({ context, event }) =>
      event.type === 'host.heard' &&
      JSON.stringify([event.told, event.units]) !== JSON.stringify([context.told, context.units]),
  },
  delays: { silentTimeout: ({ context }) => context.silentAfterMs },
}).createMachine({
  id: 'remoteHost',
  context: ({ input }) => ({ ...input, told: null, units: [] }),
  initial: 'unheard',
  states: {
    unheard: {
      description: 'Nothing was heard since this root began; it may still be starting.',
      entry: reports('never'),
      on: { 'host.heard': hearing, 'host.left': 'left' },
      after: { silentTimeout: 'silent' },
    },
    present: {
      description: 'Its root tells what its units do, and that it lives.',
      initial: 'telling',
      on: { 'host.left': '#remoteHost.left' },
      states: {
        telling: {
          description: 'There was news.',
          entry: reports('present'),
          always: 'listening',
        },
        listening: {
          description: 'Nothing has changed since the last word.',
          after: { silentTimeout: '#remoteHost.silent' },
          on: {
            'host.heard': [
              { guard: 'isNews', target: 'telling', actions: 'note' },
              { target: 'listening', reenter: true },
            ],
          },
        },
      },
    },
    silent: {
      description:
        'Nothing was heard for long: its root is dead, cut off, or stopped. Its units are as they are.',
      entry: reports('silent'),
      on: { 'host.heard': hearing, 'host.left': 'left' },
    },
    left: {
      description: 'Its root has ended in order, and all its units before it.',
      entry: reports('left'),
      on: { 'host.heard': hearing },
    },
  },
});
