// Unit process: one operating-system process of a unit under its minder, from its start to the end of the last that descends
// from it, with its control socket, its output and its probes.
import { closeSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import type { DependencyNews } from '../machines/incarnation.ts';
import { type Address, addressOf } from '../names.ts';
import type { ExecChild, NodeChild } from '../spec/child.ts';
import { notifyFdOf } from '../spec/probe.ts';
import { type FlightRecord, readFlight } from '../transport/flight-recorder.ts';
import { native } from '../transport/native.ts';
import { ChildControl, type ChildServices } from './child-control.ts';
import { commandOf, envOf, probeEnvOf, startsNever, whyNotStarted } from './launch.ts';
import { Minder } from './minder.ts';
import { Observation } from './observation.ts';
import { FloodLimit, type OutputStream, readLines } from './output.ts';
import type { Tree, WatchedProcess } from './tree.ts';

/** What becomes of a process; `emptied` is the last that is told. */
export interface ProcessObserver {
  spawned(pid: number): void;
  ready(): void;
  state(state: string): void;
  /** `permanent`: trying again is of no use. */
  refused(why: string, permanent: boolean): void;
  unhealthy(why: string): void;
  /** Of one that stands by: everything is loaded. */
  warm(): void;
  exited(code: number | null, signal: string | null): void;
  /** Nothing that it started is left. */
  emptied(): void;
}

/** A process that a unit has in hand, by whatever way it came to it. */
export interface SupervisedProcess {
  readonly pid: number;
  /** What is known of it. */
  readonly observation: Observation;
  ask(): void;
  /** Sends a signal to its group. */
  signal(number: number): void;
  /** Tells it what has become of a unit that it holds on to. */
  dependency(news: DependencyNews): void;
  kill(): void;
}

export interface Run {
  readonly tree: Tree;
  readonly unit: Address;
  readonly epoch: number;
  readonly shutdownMs: number;
}

/** Records of a dead process that are worth keeping with its exit. */
const flightRecordsMax = 256;

export class UnitProcess implements SupervisedProcess {
  pid = 0;
  readonly #run: Run;
  readonly #child: NodeChild | ExecChild;
  readonly #control: Control | undefined;
  readonly #minder: Minder;
  readonly observation: Observation;
  #observer: ProcessObserver;
  /** Waits for its activation; nobody may take it for the unit's own process. */
  #standby: boolean;
  #epoch: number;

  constructor(run: Run, child: NodeChild | ExecChild, observer: ProcessObserver, standby = false) {
    const { tree, unit } = run;
    this.#run = run;
    this.#child = child;
    this.#observer = observer;
    this.#standby = standby;
    this.#epoch = run.epoch;
    this.#control = child.kind === 'node' ? this.#openControl() : undefined;
    this.observation = new Observation(tree, child, {
      address: addressOf(unit, standby ? 'standby' : 'probe', run.epoch),
      ask: (answer) => this.#control!.ping(answer),
      env: () => probeEnvOf(run, child),
      ready: () => this.#observer.ready(),
      state: (state) => this.#observer.state(state),
      unhealthy: (why) => this.#observer.unhealthy(why),
      doubt: (why) => tree.watch.log(unit, 'warn', {}, why),
    });
    const outputFds = child.survive ? openOutput(tree, unit) : undefined;
    try {
      this.#minder = new Minder(
        {
          unit,
          ...commandOf(tree, child),
          env: envOf(run, child, standby),
          cwd: child.cwd,
          notifyFd: notifyFdOf(child),
          outputFds,
          ...(this.#control && { controlFd: this.#control.theirs }),
        },
        {
          spawned: (pid) => this.#spawned(pid),
          failed: (errno) => this.#failed(errno),
          exited: (_, code, signal) => this.#exited(code, signal),
          emptied: () => this.#emptied(),
        },
      );
    } finally {
      this.#control?.handedOver();
      for (const fd of outputFds ?? []) closeSync(fd);
    }
    this.#read('out');
    this.#read('err');
    this.#minder.notify?.on('data', (bytes: Buffer) => {
      if (bytes.includes(10)) this.observation.notified();
    });
    this.#minder.notify?.on('error', () => {});
  }

  /** Whether it runs, as the kernel says now. */
  get runs(): boolean {
    return this.#minder.runs;
  }

  /** From now on it does the unit's work, as that epoch. Who is told of that, and when, is `present`'s matter. */
  activate(epoch: number, observer: ProcessObserver): void {
    this.#standby = false;
    this.#epoch = epoch;
    this.#observer = observer;
    this.#control?.activate(epoch);
    this.#observe();
  }

  /** Somebody else hears of it from now on. */
  observe(observer: ProcessObserver): void {
    this.#observer = observer;
  }

  /** It is the unit's own process: its observer and whoever watches the tree are told so. */
  present(): void {
    this.#observer.spawned(this.pid);
    this.#tellSpawned();
  }

  ask(): void {
    this.#control?.stop(this.#run.shutdownMs / 2);
  }

  signal(number: number): void {
    this.#minder.signal(number);
  }

  /** A plain program has nobody to be told. */
  dependency(news: DependencyNews): void {
    this.#control?.dependency(news);
  }

  kill(): void {
    this.#minder.killAll();
  }

  #spawned(pid: number): void {
    this.pid = pid;
    // First, so that there is a record of it before anybody takes it for up.
    this.#tellSpawned();
    if (this.#standby) return;
    this.#observer.spawned(pid);
    this.#observe();
  }

  #observe(): void {
    const { pid: minder } = this.#minder;
    this.observation.begin({ pid: this.pid, ...(minder !== undefined && { minder }) });
  }

  #tellSpawned(): void {
    const { tree, unit } = this.#run;
    tree.watch.spawned(unit, {
      pid: this.pid,
      epoch: this.#epoch,
      app: this.#child.kind === 'node' ? this.#child.app : null,
      survive: this.#child.survive,
      standby: this.#standby,
      adopted: false,
    });
  }

  #failed(errno: number): void {
    const why = `${this.#child.file} could not be started: ${whyNotStarted(errno, this.#child.file)}`;
    this.#observer.refused(why, startsNever.has(errno));
    this.#observer.exited(startsNever.get(errno) ?? null, null);
  }

  #exited(code: number | null, signal: string | null): void {
    const { tree, unit } = this.#run;
    this.observation.end();
    this.#control?.takeRest();
    this.#observer.exited(code, signal);
    tree.watch.ended(unit, {
      pid: this.pid,
      epoch: this.#epoch,
      standby: this.#standby,
      flight: this.#control?.lastFlight(flightRecordsMax) ?? [],
    });
  }

  #emptied(): void {
    this.observation.end();
    this.#control?.close();
    this.#observer.emptied();
  }

  #read(stream: OutputStream): void {
    const { tree, unit } = this.#run;
    const source = stream === 'out' ? this.#minder.stdout : this.#minder.stderr;
    if (!source) return;
    const limit = new FloodLimit(this.#child.log.maxBytesPerSecond, () => tree.host.clock.now());
    const hears = this.observation.hearsLines;
    readLines(
      source,
      limit,
      (lines, dropped) => tree.watch.lines(unit, stream, lines, dropped),
      hears ? (line) => this.observation.line(line) : undefined,
    );
  }

  #openControl(): Control {
    const { tree, unit } = this.#run;
    const own = {
      pid: () => this.pid,
      epoch: () => (this.#standby ? null : this.#epoch),
    };
    return new Control(this.#run, own, {
      ready: () => this.observation.reported(),
      state: (state, implied) => this.observation.says(state, implied),
      refused: (why) => this.#observer.refused(why, true),
      warm: () => this.#observer.warm(),
      log: (level, facts, message) => tree.watch.log(unit, level, facts, message),
      counted: (counts) => {
        if (!this.#standby) tree.watch.counted(unit, this.#epoch, counts);
      },
      records: (records) => tree.watch.records(unit, this.#epoch, records),
    });
  }
}

/** The end of a program's output that outlives us. */
function openOutput(tree: Tree, unit: Address): [number, number] {
  const out = openSync(tree.outputFile(unit, 'out'), 'a', 0o600);
  try {
    return [out, openSync(tree.outputFile(unit, 'err'), 'a', 0o600)];
  } catch (error) {
    closeSync(out);
    throw error;
  }
}

type Heard = Omit<ConstructorParameters<typeof ChildControl>[1], 'pong'>;

/** What is known of it by now. */
interface Own {
  pid(): number;
  epoch(): number | null;
}

/** The control socket of a node child, from before its start to after its end. */
class Control {
  theirs: number;
  readonly #control: ChildControl;
  readonly #unfollow: () => void;
  readonly #uncount: () => void;
  /** Who waits for a sign of life. */
  #answer: (() => void) | undefined;

  constructor({ tree, unit }: Run, own: Own, heard: Heard) {
    const [ours, theirs] = native().socketPair();
    const services: ChildServices = {
      claim: (universe, app) => tree.services.claim(unit, own.pid(), universe, app),
      keep: (region, generation) => tree.services.keep(region, generation),
      runs: (app, pid) => tree.services.runs(app, pid),
      running: () => tree.services.running(),
      arena: (asked, frame, fds) => tree.services.arena(asked, frame, fds),
    };
    this.theirs = theirs;
    this.#control = new ChildControl(ours, { ...heard, pong: () => this.#pong() }, services);
    this.#unfollow = tree.watching.follow(this.#watched(unit, own));
    this.#uncount = tree.counting.follow(unit, () => this.#control.count());
  }

  #watched(unit: Address, own: Own): WatchedProcess {
    return {
      unit,
      get epoch() {
        return own.epoch();
      },
      get pid() {
        return own.pid();
      },
      watch: (on) => this.#control.watch(on),
      look: (actors, anew) => this.#control.look(actors, anew),
      post: (actor, event) => this.#control.post(actor, event),
      flight: (max) => this.lastFlight(max),
    };
  }

  handedOver(): void {
    native().closeFd(this.theirs);
  }

  stop(timeoutMs: number): void {
    this.#control.stop(timeoutMs);
  }

  activate(epoch: number): void {
    this.#control.activate(epoch);
  }

  dependency(news: DependencyNews): void {
    this.#control.dependency(news);
  }

  ping(answer: () => void): () => void {
    this.#answer = answer;
    this.#control.ping();
    return () => {
      this.#answer = undefined;
    };
  }

  takeRest(): void {
    this.#control.takeRest();
  }

  lastFlight(max: number): readonly FlightRecord[] {
    const { recorder } = this.#control;
    return recorder ? readFlight(recorder.fd, recorder.bytes, recorder.timeOriginMs, max).records : [];
  }

  close(): void {
    this.#unfollow();
    this.#uncount();
    this.#control.close();
  }

  #pong(): void {
    const answer = this.#answer;
    this.#answer = undefined;
    answer?.();
  }
}

/** The number of SIGTERM, with which every process is told to end. */
export const endSignal = constants.signals.SIGTERM;
