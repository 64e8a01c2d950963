// Unit: one child of a supervisor for as long as the supervisor knows it. Each run of what it manages is an incarnation,
// entered and left as the state `alive`; a restart leaves that state and enters it again, so references to the unit stay
// valid. The supervisor decides (verdict.*), the unit carries out and reports.
import { assign, sendTo, setup, stateIn } from 'xstate';
import { effect, effectActor } from './effect.ts';
import type { DependencyNews, IncarnationInput, IncarnationOrder } from './incarnation.ts';
import {
  changed,
  exited,
  shutdownMs,
  stable,
  type UnitContext,
  type UnitInput,
  unbegun,
} from './unit-context.ts';
import type { UnitEvent } from './unit-event.ts';
import type { UnitReport } from './unit-report.ts';

export type { DependencyNews, IncarnationEvent, IncarnationOrder } from './incarnation.ts';
export type { UnitContext, UnitInput } from './unit-context.ts';
export type { UnitEvent } from './unit-event.ts';
export type { UnitPhase, UnitReport } from './unit-report.ts';

/** A process that does not vanish within this time after SIGKILL is stuck in the kernel; the tree goes on without it. */
const reapTimeoutMs = 5_000;

const want = (requested: 'stop' | 'restart') => ({ type: 'want' as const, params: { requested } });
const miss = (missed: string) => ({ type: 'miss' as const, params: { missed } });
const kill = (how: 'asked' | 'late') => ({ type: 'markKilled' as const, params: { how } });

/** What a running program is told by a request for its end. */
const endsOnRequest = {
  stop: { target: 'stopping', actions: want('stop') },
  restart: { target: 'stopping', actions: want('restart') },
} as const;

/** The gate is looked at before every start, also after a crash. */
const upAgain = [
  { guard: 'gateOpen' as const, target: 'alive' },
  { guard: 'gateBarred' as const, target: 'skipped' },
  { target: 'blocked' },
];

/** What runs already needs no gate to start. */
const adoption = { target: 'alive', actions: 'noteAdoption' } as const;

export const unitMachine = setup({
  types: {
    input: {} as UnitInput,
    context: {} as UnitContext,
    events: {} as UnitEvent,
    children: {} as { incarnation: 'incarnation' },
  },
  actors: {
    incarnation: effectActor<IncarnationOrder, IncarnationInput>('unit', 'incarnation'),
  },
  actions: {
    /** Sends a UnitReport to the supervisor. */
    report: effect('unit', 'report') as (_: unknown, report: UnitReport) => void,

    begin: assign(({ context }) => ({ ...unbegun, epoch: context.epoch + 1 })),
    want: assign((_, { requested }: { requested: 'stop' | 'restart' }) => ({ requested })),
    miss: assign((_, { missed }: { missed: string }) => ({ missed })),
    /** What the program left behind is killed for its own sake; that says nothing about the program. */
    markKilled: assign(({ context }, { how }: { how: 'asked' | 'late' }) =>
      context.end || context.killed ? {} : { killed: how },
    ),
    ask: sendTo('incarnation', { type: 'ask' }),
    terminate: sendTo('incarnation', { type: 'terminate' }),
    kill: sendTo('incarnation', { type: 'kill' }),
    replace: sendTo('incarnation', { type: 'replace' }),
    unreplace: sendTo('incarnation', { type: 'unreplace' }),
    signal: sendTo('incarnation', ({ event }) => ({
      type: 'signal',
      number: event.type === 'signal' ? event.number : 0,
    })),
    noteReplacement: assign(({ event }) =>
      event.type === 'incarnation.replaced'
        ? { epoch: event.next, pid: event.pid, spawnedAtMs: event.atMs, state: null }
        : {},
    ),
    noteHealth: assign(({ event }) => (event.type === 'incarnation.unhealthy' ? { missed: event.why } : {})),
    notePolicy: assign(({ event }) => (event.type === 'policy.changed' ? { policy: event.policy } : {})),
    noteStandby: assign(({ event }) => (event.type === 'standby.changed' ? { warm: event.warm } : {})),
    noteAdoption: assign(({ event }) =>
      event.type === 'adopt' ? { adopt: { pid: event.pid, startTicks: event.startTicks } } : {},
    ),
    /** The next incarnation is a process of our own again. */
    forgetAdoption: assign({ adopt: null }),
    passOn: sendTo('incarnation', ({ event }) => event as DependencyNews),
    noteSpawn: assign(({ event }) =>
      event.type === 'incarnation.spawned' ? { pid: event.pid, spawnedAtMs: event.atMs } : {},
    ),
    noteState: assign(({ event }) => (event.type === 'incarnation.reported' ? { state: event.state } : {})),
    noteReady: assign({ everReady: true }),
    noteRefusal: assign(({ event }) =>
      event.type === 'incarnation.refused' ? { refusal: { why: event.why, permanent: event.permanent } } : {},
    ),
    noteEnd: assign(({ event }) => {
      if (event.type !== 'incarnation.exited') return {};
      const { code, signal, supervisor, account } = event;
      return { end: { code, signal, ...(supervisor && { supervisor }), ...(account && { account }) } };
    }),
    noteCrash: assign(({ event }) => ({
      refusal: { why: String((event as unknown as { error?: unknown }).error), permanent: false },
    })),
    noteDelay: assign(({ event }) => (event.type === 'verdict.restart' ? { delayMs: event.delayMs } : {})),
    noteFailure: assign(({ event }) => (event.type === 'verdict.fail' ? { failure: event.why } : {})),
    noteGate: assign(({ event }) => {
      if (event.type === 'gate.closed') return { gateNote: `waits for ${event.missing.join(', ')}` };
      return { gateNote: event.type === 'gate.barred' ? event.why : null };
    }),
    forgetProcess: assign({ pid: null, state: null }),
  },
  guards: {
    gateOpen: stateIn({ gate: 'open' }),
    gateBarred: stateIn({ gate: 'barred' }),
    ofThisEpoch: ({ context, event }) => 'epoch' in event && event.epoch === context.epoch,
    changesState: ({ context, event }) =>
      event.type === 'incarnation.reported' && event.epoch === context.epoch && event.state !== context.state,
    stopWanted: ({ context, event }) =>
      event.type === 'incarnation.spawned' && event.epoch === context.epoch && context.requested !== 'none',
    goesDown: ({ context }) => context.requested === 'stop',
    /** What runs already needs no gate to start. */
    adopts: ({ context }) => context.adopt !== null,
    asksFirst: ({ context }) => context.canAsk,
    killsAtOnce: ({ context }) => context.policy.shutdown === 'kill',
    /** Whoever stands by has not crashed: there is nothing to wait for. */
    hasDelay: ({ context, event }) =>
      event.type === 'verdict.restart' && event.delayMs > 0 && context.warm === 0,
  },
  delays: {
    startTimeout: ({ context }) => context.policy.startTimeoutMs,
    /** Half of the time is for the polite request, the rest for SIGTERM. */
    askTimeout: ({ context }) => shutdownMs(context) / 2,
    shutdownTimeout: ({ context }) => shutdownMs(context),
    reapTimeout: reapTimeoutMs,
    stableAfter: ({ context }) => context.policy.stableMs,
    backoffDelay: ({ context }) => context.delayMs,
  },
}).createMachine({
  id: 'unit',
  context: ({ input }) => ({
    ...input,
    ...unbegun,
    epoch: 0,
    everReady: false,
    delayMs: 0,
    warm: 0,
    gateNote: null,
    failure: null,
  }),
  type: 'parallel',
  on: {
    'policy.changed': { actions: 'notePolicy' },
    'standby.changed': { actions: 'noteStandby' },
  },
  states: {
    gate: {
      description: 'Whether those that this unit depends on are in the states that it needs.',
      initial: 'closed',
      on: {
        'gate.opened': { target: '.open', actions: 'noteGate' },
        'gate.closed': { target: '.closed', actions: 'noteGate' },
        'gate.barred': { target: '.barred', actions: 'noteGate' },
      },
      states: {
        closed: { description: 'At least one of them is not there yet.' },
        open: { description: 'All are.' },
        barred: { description: 'One of them can never get there unless somebody steps in.' },
      },
    },
    life: {
      initial: 'idle',
      states: {
        idle: {
          description: 'Known, not wanted up.',
          entry: changed('idle'),
          on: {
            start: [{ guard: 'adopts', target: 'alive' }, ...upAgain],
            adopt: adoption,
            remove: 'removed',
          },
        },
        blocked: {
          description: 'Wanted up; waits for its gate.',
          entry: changed('blocked'),
          on: {
            'gate.opened': 'alive',
            'gate.barred': 'skipped',
            'gate.closed': { actions: changed('blocked') },
            stop: 'idle',
            kill: 'idle',
            remove: 'removed',
          },
        },
        alive: {
          description: 'An incarnation exists, or something of it.',
          entry: 'begin',
          exit: 'forgetAdoption',
          invoke: {
            id: 'incarnation',
            src: 'incarnation',
            input: ({ context: { path, epoch, adopt } }) => ({ path, epoch, adopt }),
            onError: { target: 'exited', actions: 'noteCrash' },
          },
          initial: 'spawning',
          on: {
            'incarnation.refused': { guard: 'ofThisEpoch', actions: 'noteRefusal' },
            'incarnation.exited': { guard: 'ofThisEpoch', target: '.draining', actions: 'noteEnd' },
            'incarnation.emptied': { guard: 'ofThisEpoch', target: 'exited' },
            'incarnation.reported': { guard: 'changesState', actions: 'noteState' },
            'dependency.lost': { actions: 'passOn' },
            'dependency.back': { actions: 'passOn' },
            kill: { target: '.killing', actions: [want('stop'), kill('asked')] },
            stop: { actions: want('stop') },
            restart: { actions: want('restart') },
            // Already on its way down: it comes up again afterwards.
            start: { guard: 'goesDown', actions: want('restart') },
            signal: { actions: 'signal' },
          },
          states: {
            spawning: {
              description: 'Being started; its process number is not known yet.',
              entry: changed('spawning'),
              after: { startTimeout: { target: 'killing', actions: miss('it did not start in time') } },
              on: {
                'incarnation.spawned': [
                  { guard: 'stopWanted', target: 'stopping', actions: 'noteSpawn' },
                  { guard: 'ofThisEpoch', target: 'starting', actions: 'noteSpawn' },
                ],
              },
            },
            starting: {
              description: 'Runs, but is not ready.',
              entry: changed('starting'),
              after: { startTimeout: { target: 'stopping', actions: miss('it was not ready in time') } },
              on: {
                'incarnation.ready': { guard: 'ofThisEpoch', target: 'up' },
                'incarnation.reported': {
                  guard: 'changesState',
                  actions: ['noteState', changed('starting')],
                },
                ...endsOnRequest,
              },
            },
            up: {
              description: 'Ready for its work.',
              entry: ['noteReady', changed('up')],
              after: { stableAfter: { actions: stable } },
              on: {
                'incarnation.reported': { guard: 'changesState', actions: ['noteState', changed('up')] },
                'incarnation.unhealthy': { guard: 'ofThisEpoch', target: 'stopping', actions: 'noteHealth' },
                reload: 'reloading',
                ...endsOnRequest,
              },
            },
            reloading: {
              description: 'Ready for its work, while the process that is to replace it comes up.',
              entry: ['replace', changed('up')],
              after: { startTimeout: { target: 'up', actions: 'unreplace' } },
              on: {
                'incarnation.reported': { guard: 'changesState', actions: ['noteState', changed('up')] },
                'incarnation.unhealthy': { guard: 'ofThisEpoch', target: 'stopping', actions: 'noteHealth' },
                'incarnation.replaced': { guard: 'ofThisEpoch', target: 'up', actions: 'noteReplacement' },
                'incarnation.unreplaced': { guard: 'ofThisEpoch', target: 'up' },
                ...endsOnRequest,
              },
            },
            stopping: {
              description: 'Asked to end, by words first and then by SIGTERM.',
              entry: changed('stopping'),
              initial: 'choosing',
              after: { shutdownTimeout: { target: 'killing', actions: kill('late') } },
              states: {
                choosing: {
                  always: [
                    { guard: 'killsAtOnce', target: '#unit.life.alive.killing', actions: kill('asked') },
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
              entry: ['kill', changed('stopping')],
              after: { reapTimeout: 'unkillable' },
              on: {
                // Neither puts off the moment at which it counts as stuck.
                'incarnation.exited': { guard: 'ofThisEpoch', actions: 'noteEnd' },
                kill: { actions: [want('stop'), 'kill'] },
              },
            },
            draining: {
              description: 'The program has ended, but not everything that it started.',
              entry: changed('draining'),
              after: { shutdownTimeout: 'killing' },
            },
            unkillable: {
              description: 'Still there after SIGKILL: stuck in the kernel. The tree goes on without it.',
              entry: changed('unkillable'),
            },
          },
        },
        exited: {
          description: 'Nothing is left of the incarnation; the supervisor decides what follows.',
          entry: ['forgetProcess', exited],
          on: {
            'verdict.restart': [{ guard: 'hasDelay', target: 'backoff', actions: 'noteDelay' }, ...upAgain],
            'verdict.down': 'idle',
            'verdict.done': 'completed',
            'verdict.fail': { target: 'failed', actions: 'noteFailure' },
            'verdict.remove': 'removed',
          },
        },
        backoff: {
          description: 'Waits before it is started again.',
          entry: changed('backoff'),
          after: {
            backoffDelay: upAgain,
          },
          on: {
            restart: upAgain,
            start: upAgain,
            stop: 'idle',
            kill: 'idle',
            remove: 'removed',
          },
        },
        completed: {
          description: 'Ended well and is not to be restarted.',
          entry: changed('completed'),
          on: { start: upAgain, adopt: adoption, remove: 'removed' },
        },
        failed: {
          description: 'Given up; stays down until somebody resets it.',
          entry: changed('failed'),
          on: {
            reset: 'idle',
            start: upAgain,
            adopt: adoption,
            remove: 'removed',
          },
        },
        skipped: {
          description: 'Not started, because one that it depends on can never get where it must be.',
          entry: changed('skipped'),
          on: {
            'gate.opened': 'alive',
            'gate.closed': 'blocked',
            stop: 'idle',
            reset: 'idle',
            adopt: adoption,
            remove: 'removed',
          },
        },
        removed: { description: 'No longer known.', entry: changed('removed'), type: 'final' },
      },
    },
  },
});
