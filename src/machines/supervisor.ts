// Supervisor: decides when its units start, stop and start again. It knows them only by their reports and commands them
// only by events, so the same chart serves processes, machines and supervisors below it, and a simulation of all of them.
//
// A unit ends -> judgement.ts decides by restart type, exit class, strategy and limits -> that unit alone, or the group
// that the strategy names, starts again. More restarts than the intensity allows end the supervisor: that is its parent's
// to judge.
import { assign, setup } from 'xstate';
import {
  type Orders,
  ordersOfFarRequests,
  ordersOfHosts,
  ordersOfLoss,
  ordersOfRequest,
  ordersOfStart,
  startOfAll,
} from './dependency.ts';
import { effect } from './effect.ts';
import type { SupervisorOutput } from './exit.ts';
import { type Judged, judge, outputOf } from './judgement.ts';
import { type ChildRules, isForgettable, ordersOfRules, unitsAfter, unitsWithout } from './spec-change.ts';
import {
  type ChangeReport,
  type ExitReport,
  endingOutput,
  finalOutput,
  gateOrders,
  groupOf,
  groupStart,
  learn,
  nextToStop,
  planned,
  type SupervisorContext,
  type SupervisorInput,
  seen,
  settlement,
  withGates,
} from './supervisor-context.ts';
import type { SupervisorReport, SupervisorState } from './supervisor-report.ts';
import { censusOf, dependentsOf, leaving } from './unit-census.ts';
import type { UnitReport } from './unit-report.ts';
import { newView, type UnitView } from './unit-view.ts';

export type { SupervisorContext, SupervisorInput } from './supervisor-context.ts';
export type { GateReport, SupervisorReport, SupervisorState } from './supervisor-report.ts';

export type SupervisorEvent =
  | UnitReport
  | { type: 'shutdown' }
  /** The second request: kill what still stands. */
  | { type: 'force' }
  /** Other rules and children, in their order. Who is not among them stays until it is forgotten. */
  | {
      type: 'spec.changed';
      supervision: Pick<Judged, 'strategy' | 'intensity' | 'periodMs' | 'autoShutdown'>;
      children: readonly ChildRules[];
    }
  /** Nobody needs to know that child any more. It must be down. */
  | { type: 'child.forgotten'; id: string }
  /** Another host has told of its units, or is not heard any more. */
  | { type: 'remotes.changed'; views: readonly UnitView[] };

type Facts = { context: SupervisorContext };
type FactsOf<E> = Facts & { event: E };

const tell = (orders: (context: SupervisorContext) => Orders) => ({
  type: 'tell' as const,
  params: ({ context }: Facts): Orders => orders(context),
});

/** Orders that follow from the report of a unit. */
const tellBy = <E>(orders: (context: SupervisorContext, report: E) => Orders) => ({
  type: 'tell' as const,
  params: ({ context, event }: FactsOf<unknown>): Orders => orders(context, event as E),
});

const becomes = (state: SupervisorState) => ({
  type: 'inform' as const,
  params: { type: 'supervisor.changed', state } satisfies SupervisorReport,
});

/** Reports an exit with what was decided about it, or with what all who leave have in common. */
const informOfExit = (common?: string) => ({
  type: 'inform' as const,
  params: ({ context, event }: FactsOf<unknown>): SupervisorReport => {
    const { id, epoch, exit } = event as ExitReport;
    const { intensity, restarts, decision } = context;
    const [verdict, delayMs] = common === undefined ? [decision!.verdict, decision!.delayMs] : [common, 0];
    const restartsLeft = intensity === 'infinity' ? null : Math.max(0, intensity - restarts.length);
    return { type: 'child.exited', id, epoch, exit, verdict, delayMs, restartsLeft };
  },
});

/** A unit is somewhere else now; that can open or close gates of those whose edges name it. */
const tellGates = [
  tellBy<UnitReport>((context, { id }) => gateOrders(context, [id])),
  { type: 'noteGates' as const, params: ({ event }: FactsOf<unknown>) => [(event as UnitReport).id] },
];
/** So can what concerns all. */
const tellAllGates = [
  tell((context) => gateOrders(context)),
  { type: 'noteGates' as const, params: (): undefined => undefined },
];
const learnReport = [
  'learn' as const,
  tellBy<UnitReport>((context, { id }) =>
    context.before ? ordersOfLoss(context.before, context.units, dependentsOf(context, id)) : [],
  ),
];
const learnChange = [
  tellBy<ChangeReport>(({ units }, { id, phase }) => ordersOfStart(units, id, phase)),
  ...learnReport,
  ...tellGates,
];

const stopAll = [tell((context) => stops(nextToStop(context))), 'noteTold' as const];
/** Who can be told to stop now that a unit has gone down. */
const stopNext = [
  tellBy<UnitReport>((context, { id }) => stops(nextToStop(context, id))),
  { type: 'noteTold' as const, params: ({ event }: FactsOf<unknown>) => (event as UnitReport).id },
];

/** Who was bound to what an edge names now goes down until that is there. */
const learnSpec = [
  'learnSpec' as const,
  tell(({ before, units }) =>
    before ? [...ordersOfRules(before, units), ...ordersOfLoss(before, units, Object.keys(units))] : [],
  ),
  ...tellAllGates,
  // An edge less can be the last that kept somebody standing.
  ...stopAll,
];

/** What another host tells leads to orders for those alone whose edges name its units. */
const learnRemotes = [
  'learnRemotes' as const,
  tell((context) => {
    const { units, remotes, remotesBefore } = context;
    const before = seen({ units, remotes: remotesBefore });
    const concerned = [...new Set(Object.keys(remotes).flatMap((id) => dependentsOf(context, id)))];
    return [
      ...ordersOfHosts(before, seen(context), concerned),
      ...ordersOfFarRequests(remotesBefore, remotes, units, (id) => dependentsOf(context, id)),
    ];
  }),
  ...tellAllGates,
];

/** A unit has ended: the decision is made, told, and carried out where it concerns that unit alone. */
const judgeExit = [
  ...learnReport,
  'judge' as const,
  informOfExit(),
  tell(settlement),
  { type: 'plan' as const, params: ({ context }: Facts) => settlement(context) },
  tellBy<ExitReport>((context, { id, exit }) =>
    ordersOfRequest(context.units, dependentsOf(context, id), id, exit),
  ),
  ...tellGates,
];

/** What a decision means beyond the unit that ended. */
const carryOut = [
  {
    guard: 'endsIt' as const,
    target: '#supervisor.stopping',
    actions: { type: 'noteOutput' as const, params: ({ context }: Facts) => endingOutput(context) },
  },
  { guard: 'regroups' as const, target: '#supervisor.regrouping', reenter: true },
];

export const supervisorMachine = setup({
  types: {
    input: {} as SupervisorInput,
    context: {} as SupervisorContext,
    events: {} as SupervisorEvent,
    output: {} as SupervisorOutput,
  },
  actions: {
    /** Sends events to units. */
    tell: effect('supervisor', 'tell') as (_: unknown, orders: Orders) => void,
    /** Reports to whoever watches: logs, records, the parent. */
    inform: effect('supervisor', 'inform') as (_: unknown, report: SupervisorReport) => void,

    learn: assign(({ context, event }) =>
      'id' in event && event.type !== 'child.forgotten'
        ? { ...learn(context, event), before: context.units }
        : {},
    ),
    learnSpec: assign(({ context: { units, told }, event }) =>
      event.type === 'spec.changed'
        ? { ...event.supervision, ...censusOf(unitsAfter(units, event.children), told), before: units }
        : {},
    ),
    learnRemotes: assign(({ context: { remotes }, event }) =>
      event.type === 'remotes.changed'
        ? {
            remotes: { ...remotes, ...Object.fromEntries(event.views.map((view) => [view.id, view])) },
            remotesBefore: remotes,
          }
        : {},
    ),
    forget: assign(({ context, event }) => {
      if (event.type !== 'child.forgotten') return {};
      const { [event.id]: _, ...told } = context.told;
      return {
        ...censusOf(unitsWithout(context.units, event.id), told),
        leaving: context.leaving.filter((id) => id !== event.id),
      };
    }),
    judge: assign(({ context, event }) =>
      event.type === 'unit.exited' ? judge(context, event.id, event.exit) : {},
    ),
    /** Of those that depend on these units; of all, without an argument. */
    noteGates: assign(({ context }, ids: readonly string[] | undefined) => withGates(context, ids)),
    /** Until the units report, nothing may take them for down. */
    plan: assign(({ context }, orders: Orders) => planned(context, orders)),
    leave: assign(({ context }, { ids }: { ids: readonly string[] }) => ({
      leaving: ids,
      ...leaving(context, ids),
    })),
    noteTold: assign(({ context }, id: string | undefined) => {
      const now = nextToStop(context, id);
      return now.length === 0
        ? {}
        : { told: { ...context.told, ...Object.fromEntries(now.map((each) => [each, true])) } };
    }),
    /** The decision is carried out from here on. */
    noteCause: assign(({ context: { causes, decision } }) => ({
      causes: decision ? { ...causes, [decision.id]: decision.delayMs } : causes,
      decision: null,
    })),
    /** The group is on its way up again. */
    forgetGroup: assign({ causes: {}, told: {}, standing: 0 }),
    noteBooted: assign({ booted: true }),
    noteOutput: assign((_, output: SupervisorOutput) => ({ output })),
  },
  guards: {
    isKnown: ({ context, event }) => 'id' in event && Object.hasOwn(context.units, event.id),
    isForgettable: ({ context, event }) => 'id' in event && isForgettable(context.units[event.id]),
    endsIt: ({ context }) => context.decision?.do === 'end',
    regroups: ({ context }) => context.decision?.do === 'regroup',
    hasBooted: ({ context }) => context.booted,
    inGroup: ({ context, event }) => 'id' in event && Object.hasOwn(context.told, event.id),
    allLeft: ({ context }) => context.standing === 0,
    allReady: ({ context }) => context.unready === 0,
    someNotReady: ({ context }) => context.unready > 0,
    nobodyLeft: ({ context }) => context.endsWhenIdle && context.restless === 0,
  },
}).createMachine({
  id: 'supervisor',
  context: ({ input: { children, remotes = {}, ...input } }) => ({
    ...input,
    remotes,
    remotesBefore: remotes,
    ...censusOf(Object.fromEntries(children.map(({ id, policy }) => [id, newView(id, policy)]))),
    before: null,
    restarts: [],
    booted: false,
    leaving: [],
    decision: null,
    causes: {},
    output: null,
  }),
  output: ({ context }) => context.output!,
  initial: 'launching',
  on: {
    'unit.stable': { guard: 'isKnown', actions: 'learn' },
    'spec.changed': { actions: learnSpec },
    'child.forgotten': { guard: 'isForgettable', actions: ['forget', ...tellAllGates] },
    'remotes.changed': { actions: learnRemotes },
  },
  states: {
    launching: {
      description: 'Tells every child to start; their gates decide when they do.',
      entry: [
        becomes('booting'),
        // Before the gates: who is about to start is not one that nobody wants.
        { type: 'plan', params: ({ context }: Facts) => startOfAll(context.units) },
        ...tellAllGates,
        tell(({ units }) => startOfAll(units)),
      ],
      always: 'booting',
    },
    booting: {
      description: 'Not all children have been ready at the same time yet.',
      always: [
        ...carryOut,
        { guard: 'nobodyLeft', target: 'ending' },
        { guard: 'allReady', target: 'running' },
      ],
      on: {
        'unit.changed': { guard: 'isKnown', actions: learnChange },
        'unit.exited': { guard: 'isKnown', actions: judgeExit },
        shutdown: 'stopping',
      },
    },
    running: {
      entry: 'noteBooted',
      initial: 'operative',
      always: carryOut,
      on: {
        'unit.changed': { guard: 'isKnown', actions: learnChange },
        'unit.exited': { guard: 'isKnown', actions: judgeExit },
        shutdown: 'stopping',
      },
      states: {
        operative: {
          description: 'Every child is ready.',
          entry: becomes('operative'),
          always: { guard: 'someNotReady', target: 'degraded' },
        },
        degraded: {
          description: 'At least one child is not.',
          entry: becomes('degraded'),
          always: [
            { guard: 'nobodyLeft', target: '#supervisor.ending' },
            { guard: 'allReady', target: 'operative' },
          ],
        },
      },
    },
    regrouping: {
      description: 'The group that restarts together goes down, those first on whom nobody depends.',
      entry: [
        becomes('restarting'),
        { type: 'leave', params: ({ context }: Facts) => ({ ids: groupOf(context) }) },
        'noteCause',
        ...stopAll,
      ],
      always: [...carryOut, { guard: 'allLeft', target: 'restarting' }],
      on: {
        'unit.changed': { guard: 'isKnown', actions: [...learnChange, ...stopNext] },
        'unit.exited': [
          {
            guard: 'inGroup',
            actions: ['learn', informOfExit('restart with its group'), ...tellGates, ...stopNext],
          },
          { guard: 'isKnown', actions: judgeExit },
        ],
        shutdown: 'stopping',
      },
    },
    restarting: {
      description:
        'Tells the group to start: who crashed after its delay, the others when their gates allow it.',
      entry: [
        tell(groupStart),
        { type: 'plan', params: ({ context }: Facts) => groupStart(context) },
        tell((context) => gateOrders(context, context.leaving)),
        { type: 'noteGates', params: ({ context }: Facts) => context.leaving },
        'forgetGroup',
      ],
      always: [{ guard: 'hasBooted', target: 'running.degraded' }, { target: 'booting' }],
    },
    ending: {
      description: 'No child is up or will come up again.',
      entry: {
        type: 'noteOutput',
        params: ({ context }: Facts) =>
          outputOf(context.units, 'idle', 'no child is up or will come up again'),
      },
      always: 'stopping',
    },
    stopping: {
      description: 'All children go down, those first on whom nobody depends, independent ones side by side.',
      entry: [
        becomes('stopping'),
        { type: 'leave', params: ({ context }: Facts) => ({ ids: Object.keys(context.units) }) },
        ...stopAll,
      ],
      always: { guard: 'allLeft', target: 'done' },
      on: {
        'unit.changed': { guard: 'isKnown', actions: ['learn', ...stopNext] },
        'unit.exited': {
          guard: 'isKnown',
          actions: ['learn', informOfExit('stay down'), ...stopNext],
        },
        force: {
          actions: tell(({ units }) => Object.keys(units).map((unit) => ({ unit, event: { type: 'kill' } }))),
        },
      },
    },
    done: {
      description: 'Every child is down, or stuck in the kernel.',
      type: 'final',
      entry: { type: 'noteOutput', params: ({ context }: Facts) => finalOutput(context) },
    },
  },
});

function stops(ids: readonly string[]): Orders {
  return ids.map((unit) => ({ unit, event: { type: 'stop' } }));
}
