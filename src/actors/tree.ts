// Tree: what the incarnations of a tree have in common: who runs their actors, what they may ask of the root, and who hears
// what happens to them.
import type { ActorReport } from '../machines/actor-report.ts';
import type { Identity, IncarnationEvent, IncarnationOrder } from '../machines/incarnation.ts';
import type { SupervisorReport } from '../machines/supervisor.ts';
import type { unitMachine } from '../machines/unit.ts';
import type { UnitReport } from '../machines/unit-report.ts';
import type { Address } from '../names.ts';
import type { ChildSpec, SupervisorSpec } from '../spec/child.ts';
import type { FlightRecord } from '../transport/flight-recorder.ts';
import type { ActorSupervision } from './actor-supervision.ts';
import type { ChildServices } from './child-control.ts';
import type { Host, Hosted, LogLevel } from './hosting.ts';
import type { Lookout } from './lookout.ts';
import type { Observation } from './observation.ts';
import type { OutputStream } from './output.ts';

/** What the units of a tree have in common. */
export interface Tree {
  readonly host: Host;
  /** All units by their paths, for those who give orders. */
  readonly units: Map<Address, Hosted<typeof unitMachine>>;
  /** Who looks at what processes have open. */
  readonly lookout: Lookout;
  /** What is known of the present process of each unit that has one. */
  readonly observed: Map<Address, () => Observation | undefined>;
  /** All supervisors of units that run, by the path below which their units stand. */
  readonly supervisors: Map<Address, SupervisorControl>;
  /** The process that an earlier root has left for a unit. */
  readonly leftFor: (unit: Address) => Identity | null;
  /** Where the output of what survives the root goes to, since nobody may read a pipe's end then. */
  readonly outputFile: (unit: Address, stream: OutputStream) => string;
  /** The arguments of Node that run a node child's file, up to that file. */
  readonly nodeArgs: (file: string) => readonly string[];
  /** Given to every program, below what its own spec says. */
  readonly env: NodeJS.ProcessEnv;
  /** Names of variables that only those get whose spec names them. */
  readonly withheld: () => ReadonlySet<string>;
  readonly services: ServicesFor;
  readonly watch: TreeObserver;
  readonly watching: Watching;
  /** Plays what a unit would run, in a simulation; left out where programs run. */
  readonly play?: Play;
  readonly counting: Counting;
  /** The supervisor of actors at a unit, while it runs. */
  readonly onSupervision: (unit: Address, supervision: ActorSupervision | null) => void;
}

/** Plays one run of a program or an actor. @returns how to carry out what is asked of it. */
export type Play = (
  run: { readonly unit: Address; readonly epoch: number; readonly child: ChildSpec },
  tell: (event: IncarnationEvent) => void,
) => (order: IncarnationOrder) => void;

/** A running supervisor, for those who change what it supervises. */
export interface SupervisorControl {
  /** It takes no more orders. */
  readonly ending: boolean;
  readonly spec: SupervisorSpec;
  /**
   * Gives it another spec. New units are down until somebody starts them; what runs goes on, by the new rules.
   * @param keep children that stay as they are for now.
   */
  change(next: SupervisorSpec, keep?: ReadonlySet<string>): void;
  /** Gives it one more child, which no file names. It is down until somebody starts it. */
  add(id: string, child: ChildSpec): void;
  /** Forgets a child. REQUIRES: it is down. */
  forget(id: string): void;
}

/** A process of the tree for those who look on. */
export interface WatchedProcess {
  readonly unit: Address;
  /** Null while it stands by. */
  readonly epoch: number | null;
  readonly pid: number;
  watch(on: boolean): void;
  /** Shows the contexts of these actors. @param anew one that somebody new looks at. */
  look(actors: readonly string[], anew: string | undefined): void;
  /** @param event as JSON. @throws an Error if it takes nothing now. */
  post(actor: string, event: string): void;
  /** What its machines did last, at most so many transitions. */
  flight(max: number): readonly FlightRecord[];
}

/** Whether anybody watches the children's feeds, and the processes that it concerns. */
export class Watching {
  #on = false;
  readonly #processes = new Set<WatchedProcess>();

  set(on: boolean): void {
    this.#on = on;
    for (const each of this.#processes) each.watch(on);
  }

  /** Those that have a control socket, from their start to the end of all that they have started. */
  get processes(): Iterable<WatchedProcess> {
    return this.#processes;
  }

  /** Tells it now and at each change whether it is watched. @returns how to stop. */
  follow(process: WatchedProcess): () => void {
    this.#processes.add(process);
    process.watch(this.#on);
    return () => void this.#processes.delete(process);
  }
}

/** Those children that can be asked how much has gone through their channels. */
export class Counting {
  readonly #asks = new Map<() => void, Address>();

  /** @returns whom it has asked. */
  ask(): Address[] {
    for (const ask of this.#asks.keys()) ask();
    return [...this.#asks.values()];
  }

  /** @returns how to be asked no longer. */
  follow(unit: Address, ask: () => void): () => void {
    this.#asks.set(ask, unit);
    return () => void this.#asks.delete(ask);
  }
}

/** Services know which unit asks. */
export interface ServicesFor {
  /** @param pid the process of that unit that asks. */
  claim(unit: Address, pid: number, universe: string, app: string): number;
  /** Keeps a region for when all its users are gone. */
  keep(region: string, generation: string): Promise<void>;
  runs(app: string, pid: number): boolean | undefined;
  running: ChildServices['running'];
  arena: ChildServices['arena'];
}

export interface SpawnFacts {
  readonly pid: number;
  readonly epoch: number;
  readonly app: string | null;
  /** It outlives its supervisor. */
  readonly survive: boolean;
  /** Waits for its activation. */
  readonly standby: boolean;
  /** It ran before and was taken over. */
  readonly adopted: boolean;
}

/** What happens in the tree, for logs and for those who watch. */
export interface TreeObserver {
  spawned(unit: Address, facts: SpawnFacts): void;
  /** `flight`: what its machines did last. */
  ended(
    unit: Address,
    facts: { pid: number; epoch: number; standby: boolean; flight: readonly FlightRecord[] },
  ): void;
  /** A reload did not lead to a new process; the present one goes on. */
  unreplaced(unit: Address, why: string): void;
  /** A supervisor's report; `path` is where its units stand. */
  report(path: Address, report: SupervisorReport): void;
  /** A report of a supervisor of actors. */
  actorReport(supervisor: Address, report: ActorReport): void;
  /** What a unit wrote. `dropped`: so many lines after these were not kept, because they came too fast. */
  lines(unit: Address, stream: OutputStream, lines: readonly string[], dropped: number): void;
  /** Something about a unit has changed; for those who wait for it. */
  changed(unit: Address, report: UnitReport): void;
  log(unit: Address, level: LogLevel, facts: object, message: string): void;
  /** What a child says of its channels, as it was asked to; input like everything that comes from it. */
  counted(unit: Address, epoch: number, counts: readonly unknown[]): void;
  /** Records of the feed of a child, while somebody watches. */
  records(unit: Address, epoch: number, records: readonly unknown[]): void;
}
