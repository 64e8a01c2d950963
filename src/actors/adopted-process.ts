// Adopted process: one that was there before us and is no child of ours. Its handle proves its end; how it ended nobody tells
// us, and what it started is known only as far as it stays in its group.
import { constants } from 'node:os';
import type { Identity } from '../machines/incarnation.ts';
import { addressOf } from '../names.ts';
import type { ExecChild, NodeChild } from '../spec/child.ts';
import { type NativeProcess, native } from '../transport/native.ts';
import { probeEnvOf } from './launch.ts';
import { Observation } from './observation.ts';
import { listens } from './probe.ts';
import { groupOf, isGroupAlive } from './process-group.ts';
import type { ProcessObserver, Run, SupervisedProcess } from './unit-process.ts';

/** How soon a group whose leader has ended is looked at again; doubled up to the second. */
const groupLookMinMs = 10;
const groupLookMaxMs = 200;

export class AdoptedProcess implements SupervisedProcess {
  readonly pid: number;
  readonly #run: Run;
  readonly #observer: ProcessObserver;
  readonly #handle: NativeProcess;
  readonly observation: Observation;
  /** Whether it leads a group of its own, which then goes down with it. */
  readonly #leads: boolean;
  #over = false;

  /** @throws an error of the addon: code GONE if that process is no more. */
  constructor(
    run: Run,
    child: NodeChild | ExecChild,
    { pid, startTicks }: Identity,
    observer: ProcessObserver,
  ) {
    this.pid = pid;
    this.#run = run;
    this.#observer = observer;
    this.#handle = new (native().Process)(pid, startTicks);
    this.#leads = groupOf(pid) === pid;
    // Neither its output nor its descriptors are ours.
    const spawned = { by: { kind: 'spawned' }, periodMs: 0, timeoutMs: 0, failures: 1 } as const;
    const unheard = ({ kind }: { kind: string }) =>
      kind === 'reported' || kind === 'log' || kind === 'notify-fd';
    const rules = {
      ...child,
      ready: unheard(child.ready.by) ? spawned : child.ready,
      liveness: unheard(child.liveness.by) ? spawned : child.liveness,
      states: Object.fromEntries(Object.entries(child.states).filter(([, { by }]) => !listens(by))),
    };
    this.observation = new Observation(run.tree, rules, {
      address: addressOf(run.unit, 'probe', run.epoch),
      ask: () => () => {},
      env: () => probeEnvOf(run, child),
      ready: () => observer.ready(),
      state: (state) => observer.state(state),
      unhealthy: (why) => observer.unhealthy(why),
      doubt: (why) => run.tree.watch.log(run.unit, 'warn', {}, why),
    });
    this.#handle.listen(() => this.#onEnd());
  }

  /** Tells what there is. */
  begin(): void {
    const { tree, unit, epoch } = this.#run;
    tree.watch.spawned(unit, {
      pid: this.pid,
      epoch,
      app: null,
      survive: true,
      standby: false,
      adopted: true,
    });
    this.#observer.spawned(this.pid);
    this.observation.begin({ pid: this.pid, ...(this.#leads && { group: this.pid }) });
  }

  /** There is no other way to ask it. */
  ask(): void {
    this.signal(constants.signals.SIGTERM);
  }

  signal(number: number): void {
    if (!this.#leads) {
      if (!this.#over) this.#handle.signal(number);
      return;
    }
    this.#signalGroup(number);
    if (number === constants.signals.SIGTERM) this.#signalGroup(constants.signals.SIGCONT);
  }

  /** It has nobody to be told. */
  dependency(): void {}

  kill(): void {
    if (this.#over) return;
    this.#handle.signal(constants.signals.SIGKILL);
    this.#signalGroup(constants.signals.SIGKILL);
  }

  /** The number of a group stays taken while anybody is in it, so that it can't be a stranger's. */
  #signalGroup(number: number): boolean {
    if (!this.#leads || this.#over) return false;
    try {
      process.kill(-this.pid, number);
      return true;
    } catch {
      return false;
    }
  }

  #onEnd(): void {
    const { tree, unit, epoch } = this.#run;
    this.observation.end();
    this.#observer.exited(null, null);
    tree.watch.ended(unit, { pid: this.pid, epoch, standby: false, flight: [] });
    this.#awaitGroup(groupLookMinMs);
  }

  #awaitGroup(ms: number): void {
    if (this.#leads && this.#signalGroup(0) && isGroupAlive(this.pid)) {
      this.#run.tree.host.clock.setTimeout(() => this.#awaitGroup(Math.min(2 * ms, groupLookMaxMs)), ms);
      return;
    }
    this.#over = true;
    this.#handle.close();
    this.#observer.emptied();
  }
}
