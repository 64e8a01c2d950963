// RelayNode: one node of the relay tier, from its start to its end. When a neighbour dies, the node is degraded: it answers from
// what it has, and what would have gone there is counted. Links are opened again by themselves; nothing here waits for them.
import { assign, setup } from 'xstate';
import type { ErrorData } from '../errors.ts';
import type { RelayRole } from '../spec/relay.ts';
import { effect } from './effect.ts';

export interface RelayNodeInput {
  readonly node: string;
  readonly role: RelayRole;
  /** Roles of the neighbours without which it is degraded. */
  readonly needs: readonly RelayRole[];
  readonly stopTimeoutMs: number;
}

export interface RelayNodeContext extends RelayNodeInput {
  /** Names of the nodes that are connected, by role. */
  readonly neighbours: Readonly<Partial<Record<RelayRole, readonly string[]>>>;
  readonly error: ErrorData | null;
}

export type RelayNodeEvent =
  | { type: 'node.opened' }
  | { type: 'node.failed'; error: ErrorData }
  | { type: 'neighbour.found'; node: string; role: RelayRole }
  | { type: 'neighbour.lost'; node: string; role: RelayRole }
  | { type: 'table.ended'; error: ErrorData }
  | { type: 'node.closed' }
  | { type: 'stop' };

type Facts = { context: RelayNodeContext };

/** What a node that is `whole` or `degraded` says of itself: a state that others may depend on. */
export type RelayNodeState = 'operative.whole' | 'operative.degraded';

const isWhole = ({ needs, neighbours }: RelayNodeContext) =>
  needs.every((role) => (neighbours[role] ?? []).length > 0);

export const relayNodeMachine = setup({
  types: {
    input: {} as RelayNodeInput,
    context: {} as RelayNodeContext,
    events: {} as RelayNodeEvent,
    output: {} as { error: ErrorData | null },
  },
  actions: {
    /** Listens, connects and serves; then `node.opened` or `node.failed`. */
    open: effect('relayNode', 'open'),
    reportState: effect('relayNode', 'reportState') as (_: unknown, state: { state: RelayNodeState }) => void,
    /** Closes all links; then `node.closed`. */
    close: effect('relayNode', 'close'),
    noteFound: assign(({ context: { neighbours }, event }) => {
      if (event.type !== 'neighbour.found') return {};
      const { node, role } = event;
      const others = (neighbours[role] ?? []).filter((other) => other !== node);
      return { neighbours: { ...neighbours, [role]: [...others, node] } };
    }),
    noteLost: assign(({ context: { neighbours }, event }) => {
      if (event.type !== 'neighbour.lost') return {};
      const { node, role } = event;
      return {
        neighbours: { ...neighbours, [role]: (neighbours[role] ?? []).filter((other) => other !== node) },
      };
    }),
    noteError: assign(({ event }) => ('error' in event ? { error: event.error } : {})),
  },
  guards: {
    isWhole: ({ context }: Facts) => isWhole(context),
    isDegraded: ({ context }: Facts) => !isWhole(context),
  },
  delays: { stopTimeout: ({ context }) => context.stopTimeoutMs },
}).createMachine({
  id: 'relayNode',
  context: ({ input }) => ({ ...input, neighbours: {}, error: null }),
  output: ({ context: { error } }) => ({ error }),
  initial: 'starting',
  on: {
    'neighbour.found': { actions: 'noteFound' },
    'neighbour.lost': { actions: 'noteLost' },
  },
  states: {
    starting: {
      description: 'Opens its table, listens and connects.',
      entry: 'open',
      on: {
        'node.opened': 'serving',
        'node.failed': { target: 'failed', actions: 'noteError' },
        'table.ended': { target: 'stopping', actions: 'noteError' },
        stop: 'stopping',
      },
    },
    serving: {
      description: 'Answers whoever asks.',
      initial: 'choosing',
      states: {
        choosing: { always: [{ guard: 'isWhole', target: 'whole' }, { target: 'degraded' }] },
        whole: {
          description: 'All that it needs is connected.',
          entry: { type: 'reportState', params: { state: 'operative.whole' } },
          always: { guard: 'isDegraded', target: 'degraded' },
        },
        degraded: {
          description: 'A neighbour is missing: it answers from what it has.',
          entry: { type: 'reportState', params: { state: 'operative.degraded' } },
          always: { guard: 'isWhole', target: 'whole' },
        },
      },
      on: { stop: 'stopping', 'table.ended': { target: 'stopping', actions: 'noteError' } },
    },
    stopping: {
      description: 'Says goodbye to all its neighbours.',
      entry: 'close',
      on: { 'node.closed': 'stopped', 'node.failed': { target: 'failed', actions: 'noteError' } },
      after: { stopTimeout: 'stopped' },
    },
    stopped: { description: 'Serves no more.', type: 'final' },
    failed: { description: 'Could not start.', type: 'final' },
  },
});
