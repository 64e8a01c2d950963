// Actor supervision: a supervisor of actors on the host of this process, with those below it, and what programs can ask of it.
import { IpcError } from '../errors.ts';
import { ActorCalls } from '../machines/actor-calls.ts';
import type { ActorChild, Run, Start } from '../machines/actor-child.ts';
import type { ActorReport } from '../machines/actor-report.ts';
import { ActorSupervisor } from '../machines/actor-supervisor.ts';
import type { SupervisorOutput } from '../machines/exit.ts';
import type { Address } from '../names.ts';
import type { ActorChildInput } from '../spec/actor-check.ts';
import { checkActorChild } from '../spec/actor-check.ts';
import type { ActorChildSpec, ActorsSpec } from '../spec/child.ts';
import type {
  CallAnswer,
  ChildCounts,
  ChildEntry,
  ChildRef,
  StartAnswer,
  Supervision,
} from '../spec/supervision.ts';
import { startActor } from './actor-run.ts';
import type { Host } from './hosting.ts';

export interface ActorSupervisionOptions {
  readonly address: Address;
  /** What happens in it and below. */
  readonly onReport: (supervisor: Address, report: ActorReport) => void;
  readonly onBooted: () => void;
  readonly onEnd: (output: SupervisorOutput) => void;
}

/** A child as a listing shows it. */
export interface ListedActor {
  /** Path below the supervisor that was asked. */
  readonly name: string;
  readonly kind: 'actor' | 'supervisor';
  readonly phase: string;
  readonly starts: number;
}

export class ActorSupervision implements Supervision {
  readonly address: Address;
  readonly #host: Host;
  readonly #options: ActorSupervisionOptions;
  readonly #supervisor: ActorSupervisor<ActorChildSpec>;
  readonly #calls: ActorCalls<ActorChildSpec>;

  constructor(host: Host, spec: ActorsSpec, options: ActorSupervisionOptions) {
    this.address = options.address;
    this.#host = host;
    this.#options = options;
    this.#supervisor = new ActorSupervisor<ActorChildSpec>(
      { ...spec, seed: (Math.random() * 2 ** 32) | 0 },
      {
        clock: host.clock,
        start: (child) => this.#start(child),
        report: (report) => options.onReport(options.address, report),
        booted: options.onBooted,
        ended: (output) => options.onEnd(output),
      },
    );
    this.#calls = new ActorCalls(this.#supervisor, {
      template: spec.template,
      refOf: (child) => this.#refOf(child),
      check: (id, input) => checkActorChild(id, input, spec.autoShutdown),
    });
  }

  get state(): string {
    return this.#supervisor.state;
  }

  /** Starts all children; what comes of it is told by the options' functions. */
  boot(): void {
    this.#supervisor.boot();
  }

  /** Asks all children to stop, in the opposite order of their start, and ends with them. */
  shutdown(): void {
    this.#supervisor.shutdown();
  }

  /** Once it is stopping: ends the children that are left at once. */
  force(): void {
    this.#supervisor.force();
  }

  startChild(...parameters: [input?: unknown] | [id: string, child: ActorChildInput]): Promise<StartAnswer> {
    return this.#call((answer) => this.#calls.start(parameters, answer));
  }

  terminateChild(child: string | ChildRef): Promise<CallAnswer> {
    return this.#call((answer) => this.#calls.terminate(child, answer));
  }

  restartChild(child: string | ChildRef): Promise<StartAnswer> {
    return this.#call((answer) => this.#calls.restart(child, answer));
  }

  deleteChild(child: string | ChildRef): Promise<CallAnswer> {
    return this.#call((answer) => this.#calls.delete(child, answer));
  }

  /** The child of that name or ref. */
  async whichChildren(): Promise<ChildEntry[]> {
    this.#refuseIfOver();
    return this.#calls.which();
  }

  /** The child of that name or ref. */
  async whichChild(child: string | ChildRef) {
    this.#refuseIfOver();
    return this.#calls.whichOne(child);
  }

  /** How many children there are, by kind and by whether they run. */
  async countChildren(): Promise<ChildCounts> {
    this.#refuseIfOver();
    return this.#calls.count();
  }

  /** The rules of that child. */
  async getChildSpec(child: string | ChildRef) {
    this.#refuseIfOver();
    return this.#calls.spec(child);
  }

  /** The children that are known longest, down to the last grandchild, each behind its supervisor. */
  *list(prefix = ''): Generator<ListedActor> {
    for (const child of this.#supervisor.roster.children.values()) {
      const { key, phase, epoch, run, spec } = child;
      const name = `${prefix}${typeof key === 'string' ? key : `#${key}`}`;
      yield { name, kind: spec.kind, phase, starts: epoch };
      if (run instanceof SupervisorRun) yield* run.supervision.list(`${name}/`);
    }
  }

  /** What changes something waits for its turn. */
  #call<T>(ask: (answer: (given: T) => void) => void): Promise<T> {
    // Most calls wait for nobody, and need nothing that could.
    if (!this.#supervisor.busy && !this.#isOver) return new Promise(ask);
    return new Promise((resolve, reject) => {
      const stopping = () => reject(IpcError.of('ERR_STOPPING', `supervisor ${this.address}`));
      if (this.#isOver) return stopping();
      this.#supervisor.whenFree(() => (this.#isOver ? stopping() : ask(resolve)));
    });
  }

  get #isOver(): boolean {
    const { state } = this.#supervisor;
    return state === 'stopping' || state === 'done';
  }

  #refuseIfOver(): void {
    if (this.#isOver) throw IpcError.of('ERR_STOPPING', `supervisor ${this.address}`);
  }

  #start(child: ActorChild<ActorChildSpec>): Start {
    const { spec, epoch } = child;
    if (spec.kind === 'supervisor') return this.#startBelow(child, spec);
    return startActor(spec.source, {
      host: this.#host,
      address: childAddress(this.address, child),
      input: child.input === undefined ? spec.input : child.input,
      told: this.#supervisor,
      about: child,
      epoch,
    });
  }

  #startBelow(child: ActorChild<ActorChildSpec>, spec: ActorsSpec): Start {
    const { epoch } = child;
    let output: SupervisorOutput | undefined;
    let begun = false;
    const below = new ActorSupervision(this.#host, spec, {
      address: childAddress(this.address, child),
      onReport: this.#options.onReport,
      onBooted: () => {
        if (begun) this.#supervisor.started(child, epoch);
      },
      onEnd: (ended) => {
        output = ended;
        if (begun) this.#supervisor.ended(child, epoch, { how: 'gave-up', output: ended });
      },
    });
    below.boot();
    begun = true;
    if (output) return { how: 'failed', why: output.reason };
    return { how: below.state === 'running' ? 'up' : 'starting', run: new SupervisorRun(below) };
  }

  #refOf(child: ActorChild<ActorChildSpec>): ChildRef {
    child.ref ??= new Ref(child, this.address);
    return child.ref as ChildRef;
  }
}

function childAddress(above: Address, { key }: ActorChild): Address {
  // Joining a list takes several times as long.
  return (typeof key === 'string' ? `${above}/${key}` : `${above}/#${key}`) as Address;
}

class SupervisorRun implements Run {
  readonly supervision: ActorSupervision;

  constructor(supervision: ActorSupervision) {
    this.supervision = supervision;
  }

  ask(): boolean {
    this.supervision.shutdown();
    return true;
  }

  kill(): void {
    this.supervision.force();
  }

  /** A supervisor takes calls only. */
  send(): void {}

  snapshot(): undefined {
    return undefined;
  }
}

/** Its address is made when asked for: few are, and each kept string is 32 bytes of every child. */
class Ref implements ChildRef {
  readonly #child: ActorChild;
  readonly #above: Address;

  constructor(child: ActorChild, above: Address) {
    this.#child = child;
    this.#above = above;
  }

  get address(): Address {
    return childAddress(this.#above, this.#child);
  }

  get id(): string | null {
    return this.#child.id;
  }

  get phase(): string {
    return this.#child.phase;
  }

  get epoch(): number {
    return this.#child.epoch;
  }

  send(event: { type: string }): boolean {
    const { run } = this.#child;
    run?.send(event);
    return run !== null;
  }

  getSnapshot(): unknown {
    return this.#child.run?.snapshot();
  }

  get supervisor(): Supervision | null {
    const { run } = this.#child;
    return run instanceof SupervisorRun ? run.supervision : null;
  }
}
