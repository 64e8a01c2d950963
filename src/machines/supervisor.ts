// Supervisor: decides when its units start, stop and start again. It knows them only by their reports and commands them
// only by events, so the same chart serves processes, machines and supervisors below it, and a simulation of all of them.
//
// A unit ends -> judgement.ts decides by restart type, exit class, strategy and limits -> that unit alone, or the group
// that the strategy names, starts again. More restarts than the intensity allows end the supervisor: that is its parent's
// to judge.
import { assign, setup } from 'xstate';
import {
  changedGates,
  type Orders,
  ordersOfLoss,
  ordersOfRequest,
  ordersOfStart,
  startOfAll,
} from './dependency.ts';
import { effect } from './effect.ts';
import type { Exit, SupervisorOutput } from './exit.ts';
import { gateOf } from './gate.ts';
import { isDown, readyToStop } from './group.ts';
import { type Decision, type Judged, judge, outputOf } from './judgement.ts';
import { type ChildRules, isForgettable, ordersOfRules, unitsAfter, unitsWithout } from './spec-change.ts';
import type { UnitEvent, UnitPhase, UnitReport } from './unit.ts';
import { newView, type UnitView } from './unit-view.ts';

export interface SupervisorInput
  extends Pick<Judged, 'strategy' | 'intensity' | 'periodMs' | 'autoShutdown'> {
  readonly path: string;
  /** In the order in which they are declared. */
  readonly children: readonly ChildRules[];
  /** Ends by itself once no child is up or will come up again. */
  readonly endsWhenIdle: boolean;
  /** Determines the jitter of all delays. */
  readonly seed: number;
}

export interface SupervisorContext extends Omit<SupervisorInput, 'children'>, Judged {
  /** Its units as they were before the last report. */
  readonly before: Judged['units'] | null;
  /** Who is to go down, and who of them has been told. */
  readonly leaving: readonly string[];
  readonly told: readonly string[];
  readonly decision: Decision | null;
  /** Whose crashes the group restarts for, and after which delay each. */
  readonly causes: Readonly<Record<string, number>>;
  readonly output: SupervisorOutput | null;
}

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
  | { type: 'child.forgotten'; id: string };

/** What people and machines outside want to know, told once. */
export type SupervisorReport =
  | {
      readonly type: 'child.exited';
      readonly id: string;
      readonly epoch: number;
      readonly exit: Exit;
      readonly verdict: string;
      readonly delayMs: number;
      /** How many restarts the supervisor's intensity still allows; null: no limit. */
      readonly restartsLeft: number | null;
    }
  /** Gates that have opened, closed, or can't open any more. */
  | { readonly type: 'gates.changed'; readonly gates: readonly GateReport[] }
  | { readonly type: 'supervisor.changed'; readonly state: SupervisorState };

export interface GateReport {
  readonly id: string;
  readonly gate: 'opened' | 'closed' | 'barred';
  /** What it waits for, or why it is barred. */
  readonly why: string | null;
}

export type SupervisorState = 'booting' | 'operative' | 'degraded' | 'restarting' | 'stopping';

type Facts = { context: SupervisorContext };
type ExitReport = Extract<UnitReport, { type: 'unit.exited' }>;

const tell = (orders: (context: SupervisorContext) => Orders) => ({
  type: 'tell' as const,
  params: ({ context }: Facts): Orders => orders(context),
});

const becomes = (state: SupervisorState) => ({
  type: 'inform' as const,
  params: { type: 'supervisor.changed', state } satisfies SupervisorReport,
});

/** Reports an exit with what was decided about it, or with what all who leave have in common. */
const informOfExit = (common?: string) => ({
  type: 'inform' as const,
  params: ({ context, event }: Facts & { event: unknown }): SupervisorReport => {
    const { id, epoch, exit } = event as ExitReport;
    const { intensity, restarts, decision } = context;
    const [verdict, delayMs] = common === undefined ? [decision!.verdict, decision!.delayMs] : [common, 0];
    const restartsLeft = intensity === 'infinity' ? null : Math.max(0, intensity - restarts.length);
    return { type: 'child.exited', id, epoch, exit, verdict, delayMs, restartsLeft };
  },
});

/** A unit is somewhere else now; that can open or close gates. */
const tellGates = [tell(gateOrders), 'noteGates' as const];
const learnReport = [
  'learn' as const,
  tell(({ before, units }) => (before ? ordersOfLoss(before, units) : [])),
];
const learnChange = [
  {
    type: 'tell' as const,
    params: ({ context, event }: Facts & { event: unknown }): Orders => {
      const { id, phase } = event as Extract<UnitReport, { type: 'unit.changed' }>;
      return ordersOfStart(context.units, id, phase);
    },
  },
  ...learnReport,
  ...tellGates,
];

/** Who was bound to what an edge names now goes down until that is there. */
const learnSpec = [
  'learnSpec' as const,
  tell(({ before, units }) =>
    before ? [...ordersOfRules(before, units), ...ordersOfLoss(before, units)] : [],
  ),
  ...tellGates,
];

/** A unit has ended: the decision is made, told, and carried out where it concerns that unit alone. */
const judgeExit = [
  ...learnReport,
  'judge' as const,
  informOfExit(),
  tell(settlement),
  { type: 'plan' as const, params: ({ context }: Facts) => settlement(context) },
  {
    type: 'tell' as const,
    params: ({ context, event }: Facts & { event: unknown }): Orders => {
      const { id, exit } = event as ExitReport;
      return ordersOfRequest(context.units, id, exit);
    },
  },
  ...tellGates,
];

/** What a decision means beyond the unit that ended. */
const carryOut = [
  {
    guard: 'endsIt' as const,
    target: '#supervisor.stopping',
    actions: { type: 'noteOutput' as const, params: endingOutput },
  },
  { guard: 'regroups' as const, target: '#supervisor.regrouping', reenter: true },
];

const stopNext = tell((context) => nextToStop(context).map((unit) => ({ unit, event: { type: 'stop' } })));

/** Phases in which a unit does nothing and nothing is planned for it. One that somebody has stopped may be started again. */
const resting: ReadonlySet<UnitPhase> = new Set<UnitPhase>([
  'completed',
  'failed',
  'skipped',
  'removed',
  'unkillable',
]);
/** As it should be; a temporary child that has ended belongs to its supervisor no more. */
const ready: ReadonlySet<UnitPhase> = new Set<UnitPhase>(['up', 'completed', 'removed']);

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
    learnSpec: assign(({ context: { units }, event }) =>
      event.type === 'spec.changed'
        ? { ...event.supervision, units: unitsAfter(units, event.children), before: units }
        : {},
    ),
    forget: assign(({ context: { units, leaving }, event }) =>
      event.type === 'child.forgotten'
        ? { units: unitsWithout(units, event.id), leaving: leaving.filter((id) => id !== event.id) }
        : {},
    ),
    judge: assign(({ context, event }) =>
      event.type === 'unit.exited' ? judge(context, event.id, event.exit) : {},
    ),
    noteGates: assign(({ context: { units } }) => ({
      units: mapUnits(units, (view) => ({ ...view, gate: gateOf(view, units) })),
    })),
    /** Where the units will be once they have heard these orders. Until they report, nothing may take them for down. */
    plan: assign(({ context: { units } }, orders: Orders) => ({ units: planned(units, orders) })),
    leave: assign((_, { ids }: { ids: readonly string[] }) => ({ leaving: ids, told: [] })),
    noteTold: assign(({ context }) => ({ told: [...context.told, ...nextToStop(context)] })),
    /** The decision is carried out from here on. */
    noteCause: assign(({ context: { causes, decision } }) => ({
      causes: decision ? { ...causes, [decision.id]: decision.delayMs } : causes,
      decision: null,
    })),
    forgetCauses: assign({ causes: {} }),
    noteBooted: assign({ booted: true }),
    noteOutput: assign((_, output: SupervisorOutput) => ({ output })),
  },
  guards: {
    isKnown: ({ context, event }) => 'id' in event && Object.hasOwn(context.units, event.id),
    isForgettable: ({ context, event }) => 'id' in event && isForgettable(context.units[event.id]),
    endsIt: ({ context }) => context.decision?.do === 'end',
    regroups: ({ context }) => context.decision?.do === 'regroup',
    hasBooted: ({ context }) => context.booted,
    inGroup: ({ context, event }) => 'id' in event && context.leaving.includes(event.id),
    allLeft: ({ context: { leaving, units } }) => leaving.every((id) => isDown(units[id])),
    allReady: ({ context: { units } }) => Object.values(units).every(({ phase }) => ready.has(phase)),
    someNotReady: ({ context: { units } }) => Object.values(units).some(({ phase }) => !ready.has(phase)),
    nobodyLeft: ({ context: { endsWhenIdle, units } }) =>
      endsWhenIdle && Object.values(units).every(({ phase }) => resting.has(phase)),
  },
}).createMachine({
  id: 'supervisor',
  context: ({ input: { children, ...input } }) => ({
    ...input,
    units: Object.fromEntries(children.map(({ id, policy }) => [id, newView(id, policy)])),
    before: null,
    restarts: [],
    booted: false,
    leaving: [],
    told: [],
    decision: null,
    causes: {},
    output: null,
  }),
  output: ({ context }) => context.output!,
  initial: 'launching',
  on: {
    'unit.stable': { guard: 'isKnown', actions: 'learn' },
    'spec.changed': { actions: learnSpec },
    'child.forgotten': { guard: 'isForgettable', actions: ['forget', ...tellGates] },
  },
  states: {
    launching: {
      description: 'Tells every child to start; their gates decide when they do.',
      entry: [
        becomes('booting'),
        // Before the gates: who is about to start is not one that nobody wants.
        { type: 'plan', params: ({ context }: Facts) => startOfAll(context.units) },
        ...tellGates,
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
        stopNext,
        'noteTold',
      ],
      always: [...carryOut, { guard: 'allLeft', target: 'restarting' }],
      on: {
        'unit.changed': { guard: 'isKnown', actions: [...learnChange, stopNext, 'noteTold'] },
        'unit.exited': [
          {
            guard: 'inGroup',
            actions: ['learn', informOfExit('restart with its group'), ...tellGates, stopNext, 'noteTold'],
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
        'forgetCauses',
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
        stopNext,
        'noteTold',
      ],
      always: { guard: 'allLeft', target: 'done' },
      on: {
        'unit.changed': { guard: 'isKnown', actions: ['learn', stopNext, 'noteTold'] },
        'unit.exited': {
          guard: 'isKnown',
          actions: ['learn', informOfExit('stay down'), stopNext, 'noteTold'],
        },
        force: {
          actions: tell(({ units }) => Object.keys(units).map((unit) => ({ unit, event: { type: 'kill' } }))),
        },
      },
    },
    done: {
      description: 'Every child is down, or stuck in the kernel.',
      type: 'final',
      entry: { type: 'noteOutput', params: finalOutput },
    },
  },
});

function mapUnits(
  units: Readonly<Record<string, UnitView>>,
  change: (view: UnitView) => UnitView,
): Record<string, UnitView> {
  return Object.fromEntries(Object.entries(units).map(([id, view]) => [id, change(view)]));
}

function learn({ units }: SupervisorContext, report: UnitReport): Partial<SupervisorContext> {
  const view = units[report.id]!;
  const set = (change: Partial<UnitView>) => ({ units: { ...units, [report.id]: { ...view, ...change } } });
  switch (report.type) {
    case 'unit.changed': {
      const { phase, epoch, pid, state, note } = report;
      // Who starts again what had been given up gives it its whole allowance again.
      const pardon = view.phase === 'failed' && phase !== 'failed' ? { attempt: 0, restarts: [] } : {};
      return set({ phase, epoch, pid, state, note, ...pardon });
    }
    case 'unit.stable':
      return report.epoch === view.epoch ? set({ attempt: 0 }) : {};
    case 'unit.exited': {
      const { epoch, exit } = report;
      return set({ phase: 'exited', epoch, pid: null, state: null, note: null, exit });
    }
  }
}

function planned(units: SupervisorContext['units'], orders: Orders): SupervisorContext['units'] {
  const phases = new Map(orders.map(({ unit, event }) => [unit, phaseAfter(event, units[unit]!.phase)]));
  return mapUnits(units, (view) => ({ ...view, phase: phases.get(view.id) ?? view.phase }));
}

function phaseAfter(order: UnitEvent, phase: UnitPhase): UnitPhase {
  switch (order.type) {
    case 'start':
      return phase === 'idle' ? 'blocked' : phase;
    case 'verdict.restart':
      return order.delayMs > 0 ? 'backoff' : 'blocked';
    case 'verdict.down':
      return 'idle';
    case 'verdict.done':
      return 'completed';
    case 'verdict.fail':
      return 'failed';
    case 'verdict.remove':
      return 'removed';
    default:
      return phase;
  }
}

/** Who of those that leave can be told to stop now: nobody that still stands depends on them. */
function nextToStop({ units, leaving, told }: SupervisorContext): string[] {
  return readyToStop(units, leaving).filter((id) => !told.includes(id));
}

function settlement({ decision }: SupervisorContext): Orders {
  return decision?.do === 'settle' ? [{ unit: decision.id, event: decision.event }] : [];
}

function groupOf({ decision }: SupervisorContext): readonly string[] {
  return decision?.do === 'regroup' ? decision.ids : [];
}

function groupStart({ units, leaving, causes }: SupervisorContext): Orders {
  return leaving.map((unit) => {
    const { phase, policy } = units[unit]!;
    if (phase !== 'exited') return { unit, event: { type: 'start' } };
    // As in OTP: nobody asked for its end, but a temporary child is never restarted.
    if (policy.restart === 'temporary') return { unit, event: { type: 'verdict.remove' } };
    return { unit, event: { type: 'verdict.restart', delayMs: causes[unit] ?? 0 } };
  });
}

function endingOutput({ context: { decision, units } }: Facts): SupervisorOutput {
  return decision?.do === 'end' ? decision.output : outputOf(units, 'planned', 'asked to stop');
}

function finalOutput({ context: { output, units } }: Facts): SupervisorOutput {
  const now = outputOf(units, 'planned', 'asked to stop');
  return { ...(output ?? now), unkillable: now.unkillable };
}

/** What the units whose gates have changed are told. */
function gateOrders({ units }: SupervisorContext): Orders {
  return changedGates(units).map(({ id, gate }) => ({ unit: id, event: gate }));
}
