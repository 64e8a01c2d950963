// Supervisor: the supervisor machine with real units. Starts an actor for the supervisor and one for each child, and carries
// orders down and reports up between them.
import type { ActorRefFrom, SnapshotFrom } from 'xstate';
import type { RunEnd, SupervisorOutput } from '../machines/exit.ts';
import type { ChildRules } from '../machines/spec-change.ts';
import { type GateReport, type SupervisorReport, supervisorMachine } from '../machines/supervisor.ts';
import { willRestart } from '../machines/supervisor-context.ts';
import { type UnitEvent, type UnitPhase, unitMachine } from '../machines/unit.ts';
import type { UnitView } from '../machines/unit-view.ts';
import { type Address, addressOf } from '../names.ts';
import type { ChildPolicy, NodeChild, SupervisorSpec } from '../spec/child.ts';
import { addChild, dropChild, takeOver } from '../spec/difference.ts';
import { Handles, type Hosted } from './hosting.ts';
import { incarnationOf, type StartNested } from './incarnation.ts';
import { drainAll, StandbyPool, standbyPools } from './standby.ts';
import type { Tree } from './tree.ts';

export interface SupervisorOptions {
  readonly address: Address;
  /** Where its units stand: unit `x` is at `path/x`. */
  readonly path: Address;
  readonly endsWhenIdle: boolean;
  /** Units of other hosts, of which nothing has been heard yet. */
  readonly remotes?: Readonly<Record<string, UnitView>>;
  /** For the one above; whoever watches the tree hears of it anyway. */
  readonly onReport?: (report: SupervisorReport) => void;
  /** Without an output, it crashed. */
  readonly onEnd: (output: SupervisorOutput | undefined) => void;
}

/** Nobody stands by for a unit that is not to come up again. */
const atRest: ReadonlySet<UnitPhase> = new Set<UnitPhase>([
  'idle',
  'completed',
  'failed',
  'skipped',
  'removed',
]);

interface SupervisorHandle {
  readonly units: Map<string, Hosted<typeof unitMachine>>;
  readonly report: (report: SupervisorReport) => void;
  /** Units whose gates are not open. */
  readonly waiting: Set<string>;
}
const supervisors = new Handles<SupervisorHandle>('units');
/** Undefined while the tree is put together: then every unit is idle, which the supervisor takes for granted. */
const superiors = new Handles<() => Hosted<typeof supervisorMachine> | undefined>('supervisor');

const supervisorLogic = supervisorMachine.provide({
  actions: {
    tell: ({ self }, orders) => {
      const { units, report, waiting } = supervisors.of(self);
      for (const { unit, event } of orders) units.get(unit)?.post(event);
      const gates = orders.flatMap(({ unit, event }) => gateReport(waiting, unit, event));
      if (gates.length > 0) report({ type: 'gates.changed', gates });
    },
    inform: ({ self }, report) => supervisors.of(self).report(report),
  },
});

/** Starts a supervisor with all its units. */
export function startSupervisor(
  tree: Tree,
  spec: SupervisorSpec,
  options: SupervisorOptions,
): Hosted<typeof supervisorMachine> {
  const { host } = tree;
  const { address, path } = options;
  const units = new Map<string, Hosted<typeof unitMachine>>();
  let supervisor: Hosted<typeof supervisorMachine> | undefined;
  const startNested: StartNested = (nested, below) =>
    startSupervisor(tree, nested, { ...below, endsWhenIdle: false });
  const up = new Set<string>();
  let ending = false;
  // As in OTP: a pool that restarts begins anew.
  if (spec.pool) for (const id of Object.keys(spec.children)) dropChild(spec, id);
  const onWarm = (id: string) => (warm: number) => units.get(id)?.post({ type: 'standby.changed', warm });
  const pools = standbyPools(tree, path, spec.children, onWarm);
  let snapshotNow: () => SnapshotFrom<typeof supervisorMachine> | undefined = () => undefined;
  const willBegin = (id: string, end: RunEnd): boolean => {
    const now = snapshotNow();
    if (!now?.matches('running') && !now?.matches('booting')) return false;
    return willRestart(now.context, id, end, host.clock.now());
  };
  const unitLogic = unitMachine.provide({
    actors: { incarnation: incarnationOf(tree, spec.children, startNested, pools, willBegin) },
    actions: {
      report: ({ self }, report) => {
        if (report.type === 'unit.changed') {
          if (report.phase === 'up') up.add(report.id);
          else up.delete(report.id);
          if (atRest.has(report.phase)) pools.get(report.id)?.drain();
        }
        superiors.of(self)()?.post(report);
        tree.watch.changed(addressOf(path, report.id), report);
      },
    },
  });
  const startUnit = ({ id, policy }: ChildRules): void => {
    const unit = addressOf(path, id);
    const hosted = host.start(unitLogic, {
      address: unit,
      input: {
        id,
        path: unit,
        policy,
        canAsk: spec.children[id]!.kind !== 'exec',
        adopt: tree.leftFor(unit),
      },
      bind: (actor) => superiors.bind(actor, () => supervisor),
    });
    units.set(id, hosted);
    tree.units.set(unit, hosted);
  };
  const children = rulesOf(spec);
  for (const each of children) startUnit(each);
  supervisor = host.start(supervisorLogic, {
    address,
    input: {
      path,
      ...supervisionOf(spec),
      children,
      endsWhenIdle: options.endsWhenIdle,
      ...(options.remotes && { remotes: options.remotes }),
      seed: (host.random() * 2 ** 32) | 0,
    },
    bind(actor, self) {
      supervisor = self;
      snapshotNow = () => (actor as ActorRefFrom<typeof supervisorMachine>).getSnapshot();
      supervisors.bind(actor, {
        units,
        waiting: new Set(),
        report(report) {
          if (report.type === 'supervisor.changed') ending = report.state === 'stopping';
          tree.watch.report(path, report);
          options.onReport?.(report);
        },
      });
    },
    onEnd(end) {
      for (const unit of units.values()) {
        unit.stop();
        tree.units.delete(unit.address);
      }
      tree.supervisors.delete(path);
      // After the units have stopped, so that nothing of the tree runs any more when its end is told.
      host.later(() => drainAll(pools, () => options.onEnd(end.how === 'done' ? end.output : undefined)));
    },
  });
  /** Who stands by has been started by the former spec. */
  const refill = (id: string, child: NodeChild): void => {
    pools.get(id)?.drain();
    if (!pools.has(id)) pools.set(id, new StandbyPool(tree, addressOf(path, id), child, onWarm(id)));
    if (up.has(id)) pools.get(id)!.fill(child);
  };
  const forget = (id: string): void => {
    const unit = units.get(id);
    if (!unit) return;
    supervisor!.post({ type: 'child.forgotten', id });
    units.delete(id);
    tree.units.delete(unit.address);
    pools.get(id)?.drain();
    unit.stop();
    dropChild(spec, id);
  };
  const change = (learn: () => void): void => {
    const before = { ...spec.children };
    learn();
    for (const [id, child] of Object.entries(spec.children)) {
      if (child === before[id]) continue;
      if (child.kind === 'node') refill(id, child);
      if ('states' in child) tree.observed.get(addressOf(path, id))?.()?.change(child);
    }
    // In the turn after those that have been forgotten are gone.
    host.later(() => {
      for (const each of rulesOf(spec)) if (!units.has(each.id)) startUnit(each);
      supervisor!.post({ type: 'spec.changed', supervision: supervisionOf(spec), children: rulesOf(spec) });
    });
  };
  tree.supervisors.set(path, {
    spec,
    get ending() {
      return ending;
    },
    change: (next, keep = new Set()) => change(() => takeOver(spec, next, keep)),
    add: (id, child) => change(() => addChild(spec, id, child)),
    forget,
  });
  return supervisor;
}

function rulesOf({ children }: SupervisorSpec): ChildRules[] {
  return Object.entries(children).map(([id, child]) => ({ id, policy: policyOf(child) }));
}

function supervisionOf({ strategy, intensity, periodMs, autoShutdown }: SupervisorSpec) {
  return { strategy, intensity, periodMs, autoShutdown };
}

/** A gate that has always been open is no news. */
function gateReport(waiting: Set<string>, id: string, event: UnitEvent): GateReport[] {
  switch (event.type) {
    case 'gate.opened':
      return waiting.delete(id) ? [{ id, gate: 'opened', why: null }] : [];
    case 'gate.closed':
      waiting.add(id);
      return [{ id, gate: 'closed', why: `waits for ${event.missing.join(', ')}` }];
    case 'gate.barred':
      waiting.add(id);
      return [{ id, gate: 'barred', why: event.why }];
    default:
      return [];
  }
}

/** Only what decides over starts and stops; commands and environments are none of a machine's business. */
export function policyOf({
  restart,
  shutdown,
  dependsOn,
  startTimeoutMs,
  backoff,
  stableMs,
  giveUp,
  significant,
  onPartition,
}: SupervisorSpec['children'][string]): ChildPolicy {
  const policy = { restart, shutdown, dependsOn, startTimeoutMs, backoff, stableMs, giveUp, significant };
  return onPartition === undefined ? policy : { ...policy, onPartition };
}
