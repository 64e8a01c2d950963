// Tree: a supervisor with its units, real machines on a real host in simulated time; only what the units run is scripted.
// Wired as src/actors/supervisor.ts does it.
import { fromCallback } from 'xstate';
import { Handles, type Hosted, type Log } from '../../../src/actors/hosting.ts';
import { incarnationOf, type StartNested } from '../../../src/actors/incarnation.ts';
import type { Tree } from '../../../src/actors/tree.ts';
import { SimulatedClock } from '../../../src/machines/clock.ts';
import type { SupervisorOutput } from '../../../src/machines/exit.ts';
import type {
  IncarnationEvent,
  IncarnationInput,
  IncarnationOrder,
} from '../../../src/machines/incarnation.ts';
import {
  type SupervisorContext,
  type SupervisorInput,
  type SupervisorReport,
  supervisorMachine,
} from '../../../src/machines/supervisor.ts';
import { type UnitEvent, type UnitPhase, unitMachine } from '../../../src/machines/unit.ts';
import type { UnitView } from '../../../src/machines/unit-view.ts';
import { type Address, addressOf } from '../../../src/names.ts';
import { Host } from '../../../src/runtime/host.ts';
import type { ChildPolicy, ChildSpec } from '../../../src/spec/child.ts';
import { policy } from './samples.ts';
import { pathOf } from './step.ts';

/** What a scripted program does; whatever is not said here, a test does by hand. */
export interface Script {
  /** How far it comes by itself. */
  readonly reaches: 'nothing' | 'spawned' | 'ready';
  /** The state that it reports before it is ready. */
  readonly state: string;
  /** The first order at which it ends, at once; `nothing`: not even SIGKILL moves it. */
  readonly obeys: 'ask' | 'terminate' | 'kill' | 'nothing';
}

const severity = { ask: 0, terminate: 1, kill: 2, nothing: 3 } as const;

export type Child = Partial<ChildPolicy> & (Partial<Script> | SupervisorOptions);

type Settings = Partial<
  Pick<
    SupervisorInput,
    'strategy' | 'intensity' | 'periodMs' | 'autoShutdown' | 'endsWhenIdle' | 'seed' | 'remotes'
  >
>;

export interface SupervisorOptions extends Settings {
  readonly children: Readonly<Record<string, Child>>;
}

/** One run of what a unit manages, as the test plays it. */
export class Run {
  readonly epoch: number;
  readonly orders: IncarnationOrder['type'][] = [];
  /** Whether its program has ended; something that it started may be left. */
  programEnded = false;
  over = false;
  readonly #tree: SimulatedTree;
  readonly #id: string;
  readonly #send: (event: IncarnationEvent) => void;

  constructor(tree: SimulatedTree, id: string, epoch: number, send: (event: IncarnationEvent) => void) {
    this.#tree = tree;
    this.#id = id;
    this.epoch = epoch;
    this.#send = send;
  }

  spawned(): this {
    return this.#tell({
      type: 'incarnation.spawned',
      epoch: this.epoch,
      pid: 100 + this.epoch,
      atMs: this.#now,
    });
  }

  reported(state: string): this {
    return this.#tell({ type: 'incarnation.reported', epoch: this.epoch, state });
  }

  ready(): this {
    return this.#tell({ type: 'incarnation.ready', epoch: this.epoch, atMs: this.#now });
  }

  refused(why: string, permanent: boolean): this {
    return this.#tell({ type: 'incarnation.refused', epoch: this.epoch, why, permanent });
  }

  exited(code: number | null, signal: string | null = null): this {
    this.programEnded = true;
    return this.#tell({ type: 'incarnation.exited', epoch: this.epoch, code, signal, atMs: this.#now });
  }

  emptied(): this {
    this.over = true;
    this.#tree.note(`${this.#id} ends`);
    return this.#tell({ type: 'incarnation.emptied', epoch: this.epoch, atMs: this.#now });
  }

  /** Ends, and leaves nothing behind. */
  ends(code: number | null, signal: string | null = null): this {
    return this.exited(code, signal).emptied();
  }

  crashes(): this {
    return this.ends(1);
  }

  get #now(): number {
    return this.#tree.clock.now();
  }

  #tell(event: IncarnationEvent): this {
    this.#tree.host.later(() => this.#send(event));
    return this;
  }
}

const silent = { debug() {}, info() {}, warn() {}, error() {} } satisfies Log;
const root = 'tree';

type Supervisor = Hosted<typeof supervisorMachine>;
type Exited = Extract<SupervisorReport, { type: 'child.exited' }>;

/** What the actor of a supervisor finds: its units, and who hears its reports. */
interface Branch {
  readonly units: Map<string, Hosted<typeof unitMachine>>;
  report(report: SupervisorReport): void;
}
const branches = new Handles<Branch>('units');

/** Units are named by their paths below the root: `a`, or `inner/a` below the nested supervisor `inner`. */
export class SimulatedTree {
  readonly clock = new SimulatedClock();
  readonly host = new Host({ log: silent, clock: this.clock });
  /** What the programs and the supervisor did, in order; each with its time. */
  readonly happened: string[] = [];
  output: SupervisorOutput | undefined;
  readonly #told: { path: string; report: SupervisorReport }[] = [];
  readonly #runs = new Map<string, Run[]>();
  readonly #scripts = new Map<string, Script>();
  readonly #units = new Map<string, Hosted<typeof unitMachine>>();
  #add!: (id: string, child: Child) => void;
  readonly #broken = new Set<string>();
  readonly #supervisor: Supervisor;

  constructor(options: SupervisorOptions) {
    this.#supervisor = this.#start(options, {
      address: addressOf('supervisor'),
      path: addressOf(root),
      onReport: () => {},
      onEnd: (output) => {
        this.output = output;
        this.note('the supervisor ends');
      },
    });
    // What an actor posts in its first step is heard in a turn of its own; a test does not wait for that.
    this.host.later(() => {});
  }

  // ---- what it shows

  /** Where a supervisor is; `gone` if it has ended. */
  stateOf(path = ''): string {
    const snapshot = this.host.snapshotOf(supervisorAt(path));
    return snapshot ? pathOf(snapshot.value as string) : 'gone';
  }

  contextOf(path = ''): SupervisorContext {
    return this.host.snapshotOf(supervisorAt(path))!.context as SupervisorContext;
  }

  /** Where its units are, as it knows them. */
  phases(path = ''): Record<string, UnitPhase> {
    return Object.fromEntries(Object.values(this.contextOf(path).units).map(({ id, phase }) => [id, phase]));
  }

  view(name: string): UnitView {
    const { above, id } = partsOf(name);
    return this.contextOf(above).units[id]!;
  }

  /** All runs of a unit. */
  runs(name: string): readonly Run[] {
    return this.#runs.get(name) ?? [];
  }

  /** The present run of a unit. */
  run(name: string): Run {
    const run = this.runs(name).at(-1);
    if (!run || run.over) throw new Error(`${name} does not run`);
    return run;
  }

  /** Whose programs run. */
  get running(): string[] {
    return [...this.#runs].filter(([, runs]) => runs.some(({ over }) => !over)).map(([name]) => name);
  }

  /** The ends that were reported, of one unit or of all. */
  exits(name?: string): Exited[] {
    return this.#told.flatMap(({ path, report }) =>
      report.type === 'child.exited' && (name === undefined || nameOf(`${path}/${report.id}`) === name)
        ? [report]
        : [],
    );
  }

  /** The states that a supervisor has told, in order. */
  states(path = ''): string[] {
    return this.#told.flatMap(({ path: at, report }) =>
      report.type === 'supervisor.changed' && nameOf(at) === path ? [report.state] : [],
    );
  }

  // ---- what may be done to it

  pass(ms: number): this {
    this.clock.advance(ms);
    return this;
  }

  /** Forgets what happened so far. */
  forget(): this {
    this.happened.length = 0;
    this.#told.length = 0;
    return this;
  }

  shutdown(): this {
    this.#supervisor.post({ type: 'shutdown' });
    return this;
  }

  force(): this {
    this.#supervisor.post({ type: 'force' });
    return this;
  }

  /** Sends an event to a unit, as an operator would. */
  order(name: string, event: UnitEvent): this {
    this.#units.get(name)!.post(event);
    return this;
  }

  /** Gives the root other rules and children; new ones are down. */
  change({ children, ...settings }: SupervisorOptions): this {
    for (const [id, child] of Object.entries(children)) this.#add(id, child);
    const { strategy, intensity, periodMs } = { ...defaults, ...settings };
    this.#supervisor.post({
      type: 'spec.changed',
      supervision: { strategy, intensity, periodMs, autoShutdown: settings.autoShutdown ?? 'never' },
      children: Object.entries(children).map(([id, child]) => ({ id, policy: policyOf(child) })),
    });
    return this;
  }

  /** Another host tells of its units, or falls silent. */
  hears(...views: readonly UnitView[]): this {
    this.#supervisor.post({ type: 'remotes.changed', views });
    return this;
  }

  /** The root forgets a child. */
  drop(id: string): this {
    this.#supervisor.post({ type: 'child.forgotten', id });
    return this;
  }

  /** From now on, that program behaves so. */
  script(name: string, change: Partial<Script>): this {
    this.#scripts.set(name, { ...this.#scripts.get(name)!, ...change });
    return this;
  }

  /** From now on, starting that nested supervisor fails in our own hands. */
  breaks(name: string): this {
    this.#broken.add(name);
    return this;
  }

  note(what: string): void {
    this.happened.push(`${this.clock.now()} ${what}`);
  }

  // ---- how it is put together

  #start(
    options: SupervisorOptions,
    { address, path, onReport, onEnd }: Parameters<StartNested>[1],
  ): Supervisor {
    const { children, ...settings } = options;
    const units: Branch['units'] = new Map();
    let supervisor: Supervisor | undefined;
    const rules = Object.entries(children).map(([id, child]) => ({ id, policy: policyOf(child) }));
    const begin = (each: (typeof rules)[number], child: Child) => {
      const at = addressOf(path, each.id);
      const logic = unitMachine.provide({
        actors: { incarnation: this.#incarnationOf(at, child) },
        actions: { report: (_, report) => supervisor?.post(report) },
      });
      const unit = this.host.start(logic, {
        address: at,
        input: { ...each, path: at, canAsk: true, adopt: null },
      });
      units.set(each.id, unit);
      this.#units.set(nameOf(at), unit);
    };
    for (const each of rules) begin(each, children[each.id]!);
    if (path === root)
      this.#add = (id, child) => {
        if (!units.has(id)) begin({ id, policy: policyOf(child) }, child);
      };
    supervisor = this.host.start(supervisorLogic, {
      address,
      input: { path, ...defaults, ...settings, children: rules },
      bind: (actor, self) => {
        supervisor = self;
        branches.bind(actor, {
          units,
          report: (report) => {
            this.#told.push({ path, report });
            onReport(report);
          },
        });
      },
      onEnd: (end) => {
        for (const unit of units.values()) unit.stop();
        this.host.later(() => onEnd(end.how === 'done' ? end.output : undefined));
      },
    });
    return supervisor;
  }

  /** What that unit runs: a script, or a supervisor one level down, started as the product does it. */
  #incarnationOf(path: Address, child: Child) {
    const name = nameOf(path);
    if ('children' in child) {
      const spec = { kind: 'supervisor', ...policyOf(child) } as ChildSpec;
      const startNested: StartNested = (_, below) => {
        if (this.#broken.has(name)) throw new Error('no descriptors left');
        return this.#start(child, below);
      };
      return incarnationOf(
        { host: this.host, supervisors: new Map() } as Partial<Tree> as Tree,
        { [partsOf(name).id]: spec },
        startNested,
      );
    }
    const { reaches = 'ready', state = 'operative', obeys = 'ask' }: Partial<Script> = child;
    this.#scripts.set(name, { reaches, state, obeys });
    return fromCallback<IncarnationOrder, IncarnationInput>(({ input, sendBack, receive }) => {
      const run = new Run(this, name, input.epoch, sendBack);
      this.#runs.set(name, [...this.runs(name), run]);
      this.note(`${name} begins`);
      receive(({ type }) => {
        if (type === 'ask' || type === 'terminate' || type === 'kill') this.#obey(name, run, type);
        else run.orders.push(type);
      });
      const script = this.#scripts.get(name)!;
      if (script.reaches === 'nothing') return;
      run.spawned();
      if (script.reaches === 'ready') run.reported(script.state).ready();
    });
  }

  #obey(name: string, run: Run, order: 'ask' | 'terminate' | 'kill'): void {
    run.orders.push(order);
    this.note(`${order} ${name}`);
    const { obeys } = this.#scripts.get(name)!;
    if (run.over || severity[order] < severity[obeys]) return;
    if (run.programEnded) run.emptied();
    else run.ends(order === 'ask' ? 0 : null, order === 'ask' ? null : signals[order]);
  }
}

const defaults = {
  strategy: 'one-for-one',
  intensity: 'infinity',
  periodMs: 5_000,
  endsWhenIdle: false,
  seed: 1,
} as const;
const signals = { terminate: 'SIGTERM', kill: 'SIGKILL' } as const;

const supervisorLogic = supervisorMachine.provide({
  actions: {
    tell: ({ self }, orders) => {
      for (const { unit, event } of orders) branches.of(self).units.get(unit)?.post(event);
    },
    inform: ({ self }, report) => branches.of(self).report(report),
  },
});

function policyOf(child: Child): ChildPolicy {
  const known = [...Object.keys(policy), 'onPartition'];
  return {
    ...policy,
    ...Object.fromEntries(Object.entries(child).filter(([key]) => known.includes(key))),
  };
}

/** The path of a unit below the root. */
function nameOf(path: string): string {
  return path.slice(root.length + 1);
}

function partsOf(name: string): { above: string; id: string } {
  const at = name.lastIndexOf('/');
  return { above: name.slice(0, Math.max(0, at)), id: name.slice(at + 1) };
}

function supervisorAt(path: string): Address {
  return path === '' ? addressOf('supervisor') : addressOf(root, path, 'supervisor');
}
