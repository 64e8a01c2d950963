// Incarnation: one run of what a unit manages, as the actor that the unit machine invokes. A process under its minder, or
// a supervisor one level down.
import { fromCallback } from 'xstate';
import { messageOf } from '../errors.ts';
import type { RunEnd, SupervisorOutput } from '../machines/exit.ts';
import type { IncarnationInput, IncarnationOrder } from '../machines/incarnation.ts';
import type { SupervisorReport, supervisorMachine } from '../machines/supervisor.ts';
import { type Address, addressOf } from '../names.ts';
import { type ChildSpec, isOfActors, type SupervisorChild, type SupervisorSpec } from '../spec/child.ts';
import { runActor, runActors } from './actor-incarnation.ts';
import type { Hosted } from './hosting.ts';
import { type Obey, type Origin, runProcess, type Send } from './process-run.ts';
import type { StandbyPool } from './standby.ts';
import type { Tree } from './tree.ts';
import type { Run } from './unit-process.ts';

export type { Tree } from './tree.ts';

/** Starts a supervisor one level down. */
export type StartNested = (
  spec: SupervisorSpec,
  options: {
    address: Address;
    path: Address;
    onReport: (report: SupervisorReport) => void;
    onEnd: (output: SupervisorOutput | undefined) => void;
  },
) => Hosted<typeof supervisorMachine>;

/** What an incarnation can be made from. */
interface Means extends Origin {
  readonly startNested: StartNested;
  /** How the next process is to be started. */
  readonly childNow: () => ChildSpec;
}

/** The incarnations of the units below one supervisor, by the last part of their path. */
export function incarnationOf(
  tree: Tree,
  children: Readonly<Record<string, ChildSpec>>,
  startNested: StartNested,
  pools: ReadonlyMap<string, StandbyPool> = new Map(),
  willRestart: (id: string, end: RunEnd) => boolean = () => false,
) {
  return fromCallback<IncarnationOrder, IncarnationInput>(({ input, sendBack, receive }) => {
    const unit = input.path as Address;
    const id = unit.slice(unit.lastIndexOf('/') + 1);
    const child = children[id]!;
    const shutdownMs = typeof child.shutdown === 'number' ? child.shutdown : 5_000;
    const run = { tree, unit, epoch: input.epoch, shutdownMs };
    // What we are told comes in the middle of our own turn at times; the unit hears it in its next one.
    const send: Send = (event) => tree.host.later(() => sendBack(event));
    const means = {
      startNested,
      childNow: () => children[id]!,
      adopt: input.adopt,
      pool: pools.get(id),
      willRestart: (end: RunEnd) => willRestart(id, end),
    };
    try {
      receive(begin(run, child, send, means));
    } catch (error) {
      // Not even its start was ours to make: no descriptors, no memory. That may pass.
      const why = `it could not be started: ${messageOf(error)}`;
      send({ type: 'incarnation.refused', epoch: input.epoch, why, permanent: false });
      send({ type: 'incarnation.emptied', epoch: input.epoch, atMs: tree.host.clock.now() });
    }
  });
}

function begin(run: Run, child: ChildSpec, send: Send, means: Means): Obey {
  const { play } = run.tree;
  if (play && (child.kind !== 'supervisor' || isOfActors(child))) return play({ ...run, child }, send);
  if (child.kind === 'actor' || isOfActors(child)) {
    const { host, watch, onSupervision } = run.tree;
    const { unit, epoch } = run;
    const place = { host, unit, epoch, send, onReport: watch.actorReport, onSupervision };
    return child.kind === 'actor' ? runActor(place, child) : runActors(place, child);
  }
  if (child.kind === 'supervisor') return runSupervisor(run, child, send, means.startNested);
  return runProcess(run, () => means.childNow() as typeof child, send, means);
}

function runSupervisor(
  { tree, unit, epoch }: Run,
  child: SupervisorChild,
  send: Send,
  startNested: StartNested,
): Obey {
  const { clock } = tree.host;
  // First: one without children is ready at once.
  send({ type: 'incarnation.spawned', epoch, pid: null, atMs: clock.now() });
  const supervisor = startNested(child, {
    address: addressOf(unit, 'supervisor'),
    path: unit,
    onReport(report) {
      if (report.type !== 'supervisor.changed') return;
      const { state } = report;
      if (state !== 'operative' && state !== 'degraded') return;
      send({ type: 'incarnation.reported', epoch, state });
      if (state === 'operative') send({ type: 'incarnation.ready', epoch, atMs: clock.now() });
    },
    onEnd(output) {
      const exited = { type: 'incarnation.exited', epoch, signal: null, atMs: clock.now() } as const;
      if (output) send({ ...exited, code: hasFailed(output) ? 1 : 0, supervisor: output });
      else send({ type: 'incarnation.refused', epoch, why: 'its supervisor failed', permanent: false });
      send({ type: 'incarnation.emptied', epoch, atMs: clock.now() });
    },
  });
  return ({ type }) => {
    // It has no process that a signal could go to, or that another could stand beside.
    if (type === 'signal' || type === 'unreplace') return;
    if (type === 'dependency.lost' || type === 'dependency.back') return;
    if (type === 'replace') {
      const why = 'a supervisor is not replaced; reload its units';
      return send({ type: 'incarnation.unreplaced', epoch, why });
    }
    supervisor.post({ type: 'shutdown' });
    if (type === 'kill') supervisor.post({ type: 'force' });
  };
}

function hasFailed({ why }: SupervisorOutput): boolean {
  return why === 'intensity' || why === 'boot';
}
