// Actor incarnation: one run of a unit that is an actor of the root's own process, or a supervisor of such actors. What the
// unit tells processes by signals is told here by events.
import type { AnyMachineSnapshot } from 'xstate';
import type { End, Run } from '../machines/actor-child.ts';
import type { ActorReport } from '../machines/actor-report.ts';
import { classOfEnd, reasonOfEnd } from '../machines/actor-report.ts';
import type { IncarnationEvent, IncarnationOrder } from '../machines/incarnation.ts';
import { type Address, addressOf, isStatePath } from '../names.ts';
import type { ActorSpec, ActorsChild } from '../spec/child.ts';
import { startActor, type Told } from './actor-run.ts';
import { ActorSupervision } from './actor-supervision.ts';
import type { Host } from './hosting.ts';

export interface ActorPlace {
  readonly host: Host;
  readonly unit: Address;
  readonly epoch: number;
  readonly send: (event: IncarnationEvent) => void;
  readonly onReport: (supervisor: Address, report: ActorReport) => void;
  /** The supervisor of actors at that unit, while it runs. */
  readonly onSupervision: (unit: Address, supervision: ActorSupervision | null) => void;
}

type Obey = (order: IncarnationOrder) => void;

export function runActor(place: ActorPlace, { source, input }: ActorSpec): Obey {
  const { host, unit, epoch, send } = place;
  const atMs = () => host.clock.now();
  let running: Run | undefined;
  const up = (run: Run) => {
    running = run;
    send({ type: 'incarnation.reported', epoch, state: stateOf(run.snapshot()) });
    send({ type: 'incarnation.ready', epoch, atMs: atMs() });
  };
  const told: Told<null> = {
    started: () => up(running!),
    ignored: () => ignore(place),
    ended: (_, __, end) => tellEnd(place, end),
    changed: (snapshot) => running && send({ type: 'incarnation.reported', epoch, state: stateOf(snapshot) }),
  };
  const address = addressOf(unit, 'actor');
  const start = startActor(source, { host, address, input, told, about: null, epoch });
  send({ type: 'incarnation.spawned', epoch, pid: null, atMs: atMs() });
  if (start.how === 'failed') tellEnd(place, { how: 'crashed', why: start.why });
  else if (start.how === 'ignored') ignore(place);
  else {
    running = start.run;
    if (start.how === 'up') up(start.run);
  }
  return (order) => {
    if (order.type === 'dependency.lost' || order.type === 'dependency.back') return running?.send(order);
    if (isOfProcesses(order)) return refuse(place, order);
    if (order.type === 'ask' && running?.ask()) return;
    // SIGTERM means nothing to an actor; a machine that was asked has its whole time.
    if (order.type !== 'terminate') running?.kill();
  };
}

export function runActors(place: ActorPlace, spec: ActorsChild): Obey {
  const { host, unit, epoch, send } = place;
  const supervision = new ActorSupervision(host, spec, {
    address: unit,
    onReport(supervisor, report) {
      place.onReport(supervisor, report);
      if (supervisor !== unit || report.type !== 'supervisor.changed' || report.state === 'stopping') return;
      send({ type: 'incarnation.reported', epoch, state: report.state });
    },
    onBooted: () => send({ type: 'incarnation.ready', epoch, atMs: host.clock.now() }),
    onEnd(output) {
      place.onSupervision(unit, null);
      tellEnd(place, { how: 'gave-up', output });
    },
  });
  place.onSupervision(unit, supervision);
  send({ type: 'incarnation.spawned', epoch, pid: null, atMs: host.clock.now() });
  supervision.boot();
  return (order) => {
    if (order.type === 'dependency.lost' || order.type === 'dependency.back') return;
    if (isOfProcesses(order)) return refuse(place, order);
    supervision.shutdown();
    if (order.type === 'kill') supervision.force();
  };
}

type ProcessOrder = Extract<IncarnationOrder, { type: 'signal' | 'replace' | 'unreplace' }>;

/** There is no process that a signal could go to, or that another could stand beside. */
function isOfProcesses(order: IncarnationOrder): order is ProcessOrder {
  return order.type === 'signal' || order.type === 'replace' || order.type === 'unreplace';
}

function refuse({ epoch, send }: ActorPlace, { type }: ProcessOrder): void {
  const why = 'an actor is not replaced; restart it';
  if (type === 'replace') send({ type: 'incarnation.unreplaced', epoch, why });
}

/** There is nothing to run now: the same as work that is done. */
function ignore(place: ActorPlace): void {
  tellEnd(place, { how: 'done', output: undefined });
}

function tellEnd({ host, epoch, send }: ActorPlace, end: End): void {
  const atMs = host.clock.now();
  const supervisor = end.how === 'gave-up' ? { supervisor: end.output } : {};
  const account = { class: classOfEnd(end), reason: reasonOfEnd(end) };
  const code = account.class === 'abnormal' ? 1 : 0;
  send({ type: 'incarnation.exited', epoch, code, signal: null, atMs, account, ...supervisor });
  send({ type: 'incarnation.emptied', epoch, atMs });
}

/** The named state of an actor: its tag, else where its machine is; of what is neither: that it works. */
function stateOf(snapshot: unknown): string {
  const { tags, value } = (snapshot ?? {}) as Partial<AnyMachineSnapshot>;
  const [tag] = tags ?? [];
  const named = tag ?? pathOf(value);
  return isStatePath(named) ? named : 'operative';
}

function pathOf(value: unknown): string {
  if (typeof value === 'string') return value;
  const regions = Object.entries(value ?? {});
  return regions.length === 1 ? `${regions[0]![0]}.${pathOf(regions[0]![1])}` : '';
}
