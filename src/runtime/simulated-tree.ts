// Simulated tree: a topology with its real charts, supervisors and units, in simulated time. Only what the units run is played.
// Everything that the charts promise is looked at from outside, by what the programs see.
import type { Hosted, Log } from '../actors/hosting.ts';
import { Lookout } from '../actors/lookout.ts';
import { startSupervisor } from '../actors/supervisor.ts';
import { Counting, type Play, type Tree, Watching } from '../actors/tree.ts';
import { SimulatedClock } from '../machines/clock.ts';
import type { SupervisorOutput } from '../machines/exit.ts';
import type { supervisorMachine } from '../machines/supervisor.ts';
import type { UnitEvent } from '../machines/unit.ts';
import type { UnitPhase } from '../machines/unit-report.ts';
import { type Address, addressOf, stateMatches } from '../names.ts';
import {
  type ChildSpec,
  edgeOf,
  hostConditions,
  isOfActors,
  orders,
  type SupervisorSpec,
} from '../spec/child.ts';
import { Chance } from './chance.ts';
import { Host } from './host.ts';
import { type Behavior, type Fault, SimulatedProgram, type Surroundings } from './simulated-program.ts';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
const root = addressOf('tree');
/** Of what has happened, so much is kept for a person to read. */
const happeningsMax = 400;

/** Where a unit is at its end, or where it can stay. */
const settledPhases: ReadonlySet<UnitPhase> = new Set<UnitPhase>([
  'up',
  'completed',
  'failed',
  'skipped',
  'removed',
  'idle',
]);

/** What a unit of a simulation is, beside its chart. */
interface Played {
  readonly path: Address;
  readonly name: string;
  readonly child: ChildSpec;
  readonly behavior: Omit<Behavior, 'fault'>;
}

export class SimulatedTree implements Surroundings {
  readonly chance: Chance;
  /** What broke a promise, in words. */
  readonly violations: string[] = [];
  /** The units whose programs are played, by their names below the root. */
  readonly leaves: ReadonlyMap<string, Played>;
  output: SupervisorOutput | undefined;
  starts = 0;
  /** Of each unit, when it last came up. */
  readonly upSince = new Map<string, number>();
  readonly #clock = new SimulatedClock();
  readonly #host: Host;
  readonly #spec: SupervisorSpec;
  readonly #supervisor: Hosted<typeof supervisorMachine>;
  readonly #units: Tree['units'] = new Map();
  readonly #phases = new Map<Address, { phase: UnitPhase; note: string | null }>();
  readonly #programs = new Map<Address, SimulatedProgram>();
  /** When the program of a unit was last not in the state that it is in now. */
  readonly #changedAt = new Map<Address, number>();
  readonly #faults = new Map<string, Fault[]>();
  #happened: string[] = [];
  #stopping = false;

  constructor(spec: SupervisorSpec, seed: number) {
    this.#spec = spec;
    this.chance = new Chance(seed);
    this.#host = new Host({ log: silent, clock: this.#clock, random: this.chance.next });
    this.leaves = new Map(leavesOf(spec, root).map((leaf) => [leaf.name, leaf]));
    this.#supervisor = startSupervisor(this.#tree(), spec, {
      address: addressOf('supervisor'),
      path: root,
      endsWhenIdle: false,
      onEnd: (output) => {
        this.output = output;
        this.#note(`the tree ends: ${output?.reason ?? 'its supervisor crashed'}`);
        if (!output) this.violations.push('the supervisor of the tree crashed');
      },
    });
    this.#host.later(() => {});
  }

  now(): number {
    return this.#clock.now();
  }

  after(ms: number, what: () => void): void {
    this.#clock.setTimeout(() => this.#host.later(what), ms);
  }

  /** What happened last, each with its time in milliseconds. */
  get happened(): readonly string[] {
    return this.#happened;
  }

  /** Names of units whose programs do their work now. */
  get running(): string[] {
    return [...this.leaves.values()]
      .filter(({ path }) => this.#programs.get(path)?.ready)
      .map(({ name }) => name);
  }

  /** Where a unit is; below a supervisor that is down, where that is. */
  phaseOf(name: string): UnitPhase {
    let path = root;
    let phase: UnitPhase = 'idle';
    for (const id of name.split('/')) {
      path = addressOf(path, id);
      phase = this.#phases.get(path)?.phase ?? 'idle';
      if (phase !== 'up') return phase;
    }
    return phase;
  }

  /** What a unit waits for, or why it is where it is. */
  noteOf(name: string): string | null {
    return this.#phases.get(addressOf(root, name))?.note ?? null;
  }

  /** Whether every unit is up, or where only a person's order leads on. */
  get settled(): boolean {
    if (this.output) return true;
    return [...this.#phases.values()].every(({ phase }) => settledPhases.has(phase)) && this.#quiet();
  }

  /** The next run of that unit has this fault; if there are several, one after another. */
  plant(name: string, fault: Fault): void {
    const faults = this.#faults.get(name);
    if (faults) faults.push(fault);
    else this.#faults.set(name, [fault]);
  }

  /** Nothing that was planted happens any more. */
  heal(): void {
    this.#faults.clear();
  }

  /** The program of that unit dies now. @returns whether it ran. */
  crash(name: string): boolean {
    const program = this.#programs.get(addressOf(root, name));
    if (!program || program.over) return false;
    program.crash();
    return true;
  }

  /** An order, as an operator gives it. */
  order(name: string, event: UnitEvent): void {
    this.#note(`${event.type} ${name}, asked by somebody`);
    this.#units.get(addressOf(root, name))?.post(event);
  }

  pass(ms: number): void {
    this.#clock.advance(ms);
  }

  /** Lets time pass until all is settled, at most so much. @returns whether it is. */
  settle(limitMs: number): boolean {
    const until = this.now() + limitMs;
    for (let step = 50; !this.settled && this.now() < until; step = Math.min(1_000, step * 1.1))
      this.pass(step);
    return this.settled;
  }

  /** Stops it in order. @returns how long that took in milliseconds; undefined if it has not come to its end. */
  stop(limitMs: number): number | undefined {
    const from = this.now();
    if (this.output) return 0;
    this.#stopping = true;
    this.#supervisor.post({ type: 'shutdown' });
    for (let step = 5; !this.output && this.now() - from < limitMs; step = Math.min(1_000, step * 1.1))
      this.pass(step);
    const left = [...this.#programs.values()].filter(({ over }) => !over);
    if (left.length > 0)
      this.violations.push(`left after the end: ${left.map(({ unit }) => nameOf(unit)).join(', ')}`);
    return this.output ? this.now() - from : undefined;
  }

  seen(program: SimulatedProgram, what: string): void {
    this.#changedAt.set(program.unit, this.now());
    this.#note(`${nameOf(program.unit)} ${what}`);
    if (what === 'is told to stop' && this.#stopping) this.#checkStop(program.unit);
  }

  #note(what: string): void {
    this.#happened.push(`${this.now().toFixed(0).padStart(8)} ms  ${what}`);
    if (this.#happened.length > 2 * happeningsMax) this.#happened = this.#happened.slice(-happeningsMax);
  }

  #forgetBelow(unit: Address): void {
    for (const each of this.#phases.keys()) if (each.startsWith(`${unit}/`)) this.#phases.delete(each);
  }

  #quiet(): boolean {
    return [...this.#programs].every(
      ([unit, { over, ready, doomed }]) =>
        over || (ready && !doomed && this.#phases.get(unit)?.phase === 'up'),
    );
  }

  readonly #play: Play = ({ unit, epoch }, tell) => {
    const name = nameOf(unit);
    const leaf = this.leaves.get(name)!;
    const former = this.#programs.get(unit);
    if (former && !former.over) this.violations.push(`${name} runs twice at once`);
    this.#checkStart(unit);
    const fault = this.#faults.get(name)?.shift();
    const program = new SimulatedProgram(this, unit, epoch, { ...leaf.behavior, fault }, tell);
    this.#programs.set(unit, program);
    this.starts++;
    program.begin(100 + this.starts);
    return (order) => program.obey(order);
  };

  /** Whom it needs is there, and whom it can't stand is not. What changes in this very instant is not known to anybody yet. */
  #checkStart(unit: Address): void {
    // The gates of the supervisors above were looked at when those started.
    const { spec, id, path } = this.#placesOf(unit).at(-1)!;
    for (const [other, wanted] of Object.entries(spec.children[id]!.dependsOn)) {
      const { mode, state } = edgeOf(wanted);
      const at = addressOf(path, other);
      if ((this.#changedAt.get(at) ?? 0) >= this.now()) continue;
      const program = this.#programs.get(at);
      if (mode === 'conflicts' && program && !program.over)
        this.violations.push(`${nameOf(unit)} starts while ${nameOf(at)} runs, which it conflicts with`);
      const needs = mode === 'requires' || mode === 'bind' || mode === 'hold';
      if (!needs || !program || (hostConditions as readonly string[]).includes(state)) continue;
      if (!stateMatches(program.state ?? undefined, state))
        this.violations.push(`${nameOf(unit)} starts although ${nameOf(at)} is not ${state}`);
    }
  }

  /** Nobody is stopped who is still needed. */
  #checkStop(unit: Address): void {
    for (const { spec, id, path } of this.#placesOf(unit))
      for (const [other, { dependsOn }] of Object.entries(spec.children)) {
        if (!orders(dependsOn[id])) continue;
        const needs = this.#runsBelow(addressOf(path, other));
        if (needs)
          this.violations.push(`${nameOf(unit)} is stopped before ${nameOf(needs)}, which depends on it`);
      }
  }

  #runsBelow(path: Address): Address | undefined {
    for (const [unit, { over }] of this.#programs)
      if (!over && (unit === path || unit.startsWith(`${path}/`))) return unit;
    return undefined;
  }

  /** A unit, and the supervisors that it stands below, each as a child of the one above. */
  #placesOf(unit: Address): { spec: SupervisorSpec; id: string; path: Address }[] {
    const places: { spec: SupervisorSpec; id: string; path: Address }[] = [];
    let spec: SupervisorSpec = this.#spec;
    let path = root;
    for (const id of nameOf(unit).split('/')) {
      places.push({ spec, id, path });
      spec = spec.children[id] as unknown as SupervisorSpec;
      path = addressOf(path, id);
    }
    return places;
  }

  #tree(): Tree {
    const unused = (): never => {
      throw new Error('a simulation starts no process');
    };
    return {
      host: this.#host,
      units: this.#units,
      supervisors: new Map(),
      leftFor: () => null,
      outputFile: unused,
      nodeArgs: unused,
      env: {},
      withheld: () => new Set(),
      services: { claim: unused, keep: unused, runs: unused, running: unused, arena: unused },
      watching: new Watching(),
      counting: new Counting(),
      lookout: new Lookout(this.#host),
      observed: new Map(),
      onSupervision() {},
      play: this.#play,
      watch: {
        spawned() {},
        ended() {},
        unreplaced() {},
        report() {},
        actorReport() {},
        lines() {},
        log() {},
        counted() {},
        records() {},
        changed: (unit, report) => {
          if (report.type === 'unit.stable') return;
          const phase = report.type === 'unit.exited' ? 'exited' : report.phase;
          if (phase === 'up') this.upSince.set(nameOf(unit), this.now());
          if (phase === 'exited') this.#forgetBelow(unit);
          this.#phases.set(unit, { phase, note: report.type === 'unit.exited' ? null : report.note });
        },
      },
    };
  }
}

/** The path of a unit below the root. */
function nameOf(unit: Address): string {
  return unit.slice(root.length + 1);
}

function leavesOf(spec: SupervisorSpec, path: Address): Played[] {
  return Object.entries(spec.children).flatMap(([id, child]) => {
    const at = addressOf(path, id);
    if (child.kind === 'supervisor' && !isOfActors(child)) return leavesOf(child, at);
    const wanted = Object.values(spec.children).flatMap(({ dependsOn }) =>
      id in dependsOn ? [edgeOf(dependsOn[id]!).state] : [],
    );
    const named = [...new Set(wanted)].filter(
      (state) => !(hostConditions as readonly string[]).includes(state),
    );
    const states =
      named.includes('operative') || named.length === 0
        ? [...named.filter((s) => s !== 'operative'), 'operative']
        : named;
    const behavior = { states, completes: wanted.includes('completed') };
    return [{ path: at, name: nameOf(at), child, behavior }];
  });
}
