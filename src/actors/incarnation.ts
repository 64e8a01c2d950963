// Incarnation: one run of what a unit manages, as the actor that the unit machine invokes. A process under its minder, or
// a supervisor one level down.
import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { fromCallback } from 'xstate';
import { messageOf } from '../errors.ts';
import type { ActorReport } from '../machines/actor-report.ts';
import type { SupervisorOutput } from '../machines/exit.ts';
import type { SupervisorReport, supervisorMachine } from '../machines/supervisor.ts';
import type { IncarnationEvent, IncarnationOrder } from '../machines/unit.ts';
import { type Address, addressOf } from '../names.ts';
import {
  type ChildSpec,
  type ExecChild,
  isOfActors,
  type NodeChild,
  type SupervisorChild,
  type SupervisorSpec,
} from '../spec/child.ts';
import { type FlightRecord, readFlight } from '../transport/flight-recorder.ts';
import { native } from '../transport/native.ts';
import { runActor, runActors } from './actor-incarnation.ts';
import type { ActorSupervision } from './actor-supervision.ts';
import { ChildControl, type ChildServices } from './child-control.ts';
import type { Host, Hosted, LogLevel } from './hosting.ts';
import { controlFdInChild, Minder } from './minder.ts';
import { type OutputStream, readLines } from './output.ts';

/** What the units of a tree have in common. */
export interface Tree {
  readonly host: Host;
  /** The arguments of Node that run a node child's file, up to that file. */
  readonly nodeArgs: (file: string) => readonly string[];
  /** Given to every program, below what its own spec says. */
  readonly env: NodeJS.ProcessEnv;
  readonly services: ServicesFor;
  readonly watch: TreeObserver;
  readonly watching: Watching;
  /** The supervisor of actors at a unit, while it runs. */
  readonly onSupervision: (unit: Address, supervision: ActorSupervision | null) => void;
}

/** Whether anybody watches the children's feeds, and who wants to know when that changes. */
export class Watching {
  #on = false;
  readonly #listeners = new Set<(on: boolean) => void>();

  set(on: boolean): void {
    this.#on = on;
    for (const listener of this.#listeners) listener(on);
  }

  /** Calls back now and at each change. @returns how to stop. */
  follow(listener: (on: boolean) => void): () => void {
    this.#listeners.add(listener);
    listener(this.#on);
    return () => void this.#listeners.delete(listener);
  }
}

/** Services know which unit asks. */
export interface ServicesFor {
  claim(unit: Address, universe: string, app: string): number;
  /** Keeps a region for when all its users are gone. */
  keep(region: string, generation: string): Promise<void>;
  runs(app: string, pid: number): boolean | undefined;
}

/** What happens in the tree, for logs and for those who watch. */
export interface TreeObserver {
  spawned(unit: Address, facts: { pid: number; epoch: number; app: string | null }): void;
  /** `flight`: what its machines did last. */
  ended(unit: Address, facts: { pid: number; epoch: number; flight: readonly FlightRecord[] }): void;
  /** A supervisor's report; `path` is where its units stand. */
  report(path: Address, report: SupervisorReport): void;
  /** A report of a supervisor of actors. */
  actorReport(supervisor: Address, report: ActorReport): void;
  line(unit: Address, stream: OutputStream, line: string): void;
  log(unit: Address, level: LogLevel, facts: object, message: string): void;
  /** Records of the feed of a child, while somebody watches. */
  records(unit: Address, epoch: number, records: readonly unknown[]): void;
}

/** Records of a dead process that are worth keeping with its exit. */
const flightRecordsMax = 32;

type Send = (event: IncarnationEvent) => void;
type Obey = (order: IncarnationOrder) => void;
interface Run {
  readonly tree: Tree;
  readonly unit: Address;
  readonly epoch: number;
  readonly shutdownMs: number;
}

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

/** The incarnations of the units below one supervisor, by the last part of their path. */
export function incarnationOf(
  tree: Tree,
  children: Readonly<Record<string, ChildSpec>>,
  startNested: StartNested,
) {
  return fromCallback<IncarnationOrder, { path: string; epoch: number }>(({ input, sendBack, receive }) => {
    const unit = input.path as Address;
    const child = children[unit.slice(unit.lastIndexOf('/') + 1)]!;
    const shutdownMs = typeof child.shutdown === 'number' ? child.shutdown : 5_000;
    const run = { tree, unit, epoch: input.epoch, shutdownMs };
    // What we are told comes in the middle of our own turn at times; the unit hears it in its next one.
    const send: Send = (event) => tree.host.later(() => sendBack(event));
    try {
      const obey = begin(run, child, send, startNested);
      receive((order) => obey(order));
    } catch (error) {
      // Not even its start was ours to make: no descriptors, no memory. That may pass.
      const why = `it could not be started: ${messageOf(error)}`;
      send({ type: 'incarnation.refused', epoch: input.epoch, why, permanent: false });
      send({ type: 'incarnation.emptied', epoch: input.epoch, atMs: tree.host.clock.now() });
    }
  });
}

function begin(run: Run, child: ChildSpec, send: Send, startNested: StartNested): Obey {
  if (child.kind === 'actor' || isOfActors(child)) {
    const { host, watch, onSupervision } = run.tree;
    const { unit, epoch } = run;
    const place = { host, unit, epoch, send, onReport: watch.actorReport, onSupervision };
    const obey = child.kind === 'actor' ? runActor(place, child) : runActors(place, child);
    return obey;
  }
  if (child.kind === 'supervisor') return runSupervisor(run, child, send, startNested);
  return runProcess(run, child, send);
}

function runProcess(run: Run, child: NodeChild | ExecChild, send: Send): Obey {
  const { tree, unit, epoch } = run;
  const { clock } = tree.host;
  let pid = 0;
  const control = child.kind === 'node' ? new Control(run, send) : undefined;
  const minder = new Minder(
    { unit, ...commandOf(tree, child), env: envOf(run, child), cwd: child.cwd, ...control?.handOver() },
    {
      spawned(leader) {
        pid = leader;
        tree.watch.spawned(unit, { pid, epoch, app: child.kind === 'node' ? child.app : null });
        send({ type: 'incarnation.spawned', epoch, pid, atMs: clock.now() });
        // Of a plain program nobody can say more than that it runs.
        if (child.kind === 'exec') {
          send({ type: 'incarnation.reported', epoch, state: 'operative' });
          send({ type: 'incarnation.ready', epoch, atMs: clock.now() });
        }
      },
      failed(errno) {
        const why = `${child.file} could not be started: ${whyNotStarted(errno)}`;
        send({ type: 'incarnation.refused', epoch, why, permanent: startsNever.has(errno) });
        send({
          type: 'incarnation.exited',
          epoch,
          code: startsNever.get(errno) ?? null,
          signal: null,
          atMs: clock.now(),
        });
      },
      exited(_, code, signal) {
        tree.watch.ended(unit, { pid, epoch, flight: control?.lastFlight() ?? [] });
        send({ type: 'incarnation.exited', epoch, code, signal, atMs: clock.now() });
      },
      emptied() {
        control?.close();
        send({ type: 'incarnation.emptied', epoch, atMs: clock.now() });
      },
    },
  );
  control?.handedOver();
  readLines(minder.stdout, (line) => tree.watch.line(unit, 'out', line));
  readLines(minder.stderr, (line) => tree.watch.line(unit, 'err', line));
  return ({ type }) => {
    if (type === 'ask') control?.stop();
    else if (type === 'terminate') minder.signal(constants.signals.SIGTERM);
    else if (type === 'kill') minder.killAll();
  };
}

/** What a start can never get over, with the exit code that a shell gives for it. */
const startsNever = new Map([
  [constants.errno.ENOENT, 127],
  [constants.errno.ENOTDIR, 127],
  [constants.errno.EACCES, 126],
  [constants.errno.ENOEXEC, 126],
]);

function whyNotStarted(errno: number): string {
  const name = errorName(errno);
  if (startsNever.get(errno) === 127)
    return `there is no such program (${name}); install it, or name it by its path`;
  if (startsNever.get(errno) === 126)
    return `it may not be executed (${name}); see its mode and its first line`;
  return name;
}

function errorName(errno: number): string {
  try {
    return getSystemErrorName(-errno);
  } catch {
    return `error ${errno}`;
  }
}

function commandOf(tree: Tree, child: NodeChild | ExecChild): { file: string; args: readonly string[] } {
  if (child.kind === 'exec') return { file: child.file, args: child.args };
  return { file: process.execPath, args: [...tree.nodeArgs(child.file), child.file, ...child.args] };
}

function envOf({ tree, unit, epoch }: Run, child: NodeChild | ExecChild): NodeJS.ProcessEnv {
  const env = {
    ...process.env,
    ...tree.env,
    ACTOR_IPC_UNIT: unit,
    ACTOR_IPC_EPOCH: String(epoch),
    ...child.env,
  };
  return child.kind === 'exec'
    ? env
    : { ...env, ACTOR_IPC_APP: child.app, ACTOR_IPC_CONTROL_FD: String(controlFdInChild) };
}

/** The control socket of a node child, from before its start to after its end. */
class Control {
  readonly #control: ChildControl;
  readonly #timeoutMs: number;
  readonly #unfollow: () => void;
  #theirs: number;

  constructor({ tree, unit, epoch, shutdownMs }: Run, send: Send) {
    const [ours, theirs] = native().socketPair();
    const services: ChildServices = {
      claim: (universe, app) => tree.services.claim(unit, universe, app),
      keep: (region, generation) => tree.services.keep(region, generation),
      runs: (app, pid) => tree.services.runs(app, pid),
    };
    this.#theirs = theirs;
    this.#timeoutMs = shutdownMs / 2;
    this.#control = new ChildControl(
      ours,
      {
        ready: () => send({ type: 'incarnation.ready', epoch, atMs: tree.host.clock.now() }),
        state: (state) => send({ type: 'incarnation.reported', epoch, state }),
        refused: (why) => send({ type: 'incarnation.refused', epoch, why, permanent: true }),
        log: (level, facts, message) => tree.watch.log(unit, level, facts, message),
        records: (records) => tree.watch.records(unit, epoch, records),
      },
      services,
    );
    this.#unfollow = tree.watching.follow((on) => this.#control.watch(on));
  }

  handOver(): { controlFd: number } {
    return { controlFd: this.#theirs };
  }

  handedOver(): void {
    native().closeFd(this.#theirs);
  }

  stop(): void {
    this.#control.stop(this.#timeoutMs);
  }

  lastFlight(): readonly FlightRecord[] {
    const { recorder } = this.#control;
    return recorder
      ? readFlight(recorder.fd, recorder.bytes, recorder.timeOriginMs, flightRecordsMax).records
      : [];
  }

  close(): void {
    this.#unfollow();
    this.#control.close();
  }
}

function runSupervisor(
  { tree, unit, epoch }: Run,
  child: SupervisorChild,
  send: Send,
  startNested: StartNested,
): Obey {
  const { clock } = tree.host;
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
  send({ type: 'incarnation.spawned', epoch, pid: null, atMs: clock.now() });
  return ({ type }) => {
    if (type === 'dependency.lost' || type === 'dependency.back') return;
    supervisor.post({ type: 'shutdown' });
    if (type === 'kill') supervisor.post({ type: 'force' });
  };
}

function hasFailed({ why }: SupervisorOutput): boolean {
  return why === 'intensity' || why === 'boot';
}
