// Child specs: what a supervisor is told about each of its children, as plain data, with every default filled in.
import type { CacheSpec } from './cache.ts';
import type { HostSpec, HostsRelay } from './host.ts';
import type { ProcessRules } from './probe.ts';
import type { EnvValue, JsonValue } from './value.ts';

/** Which children are stopped and started together when one must restart. */
export type Strategy = 'one-for-one' | 'one-for-all' | 'rest-for-one';

/** When the end of a significant child, which is not restarted, ends its supervisor: that of any, or of the last one up. */
export type AutoShutdown = 'never' | 'any-significant' | 'all-significant';

/** Milliseconds from the request to SIGKILL; `kill` asks nothing first, `infinity` waits as long as it takes. */
export type Shutdown = number | 'kill' | 'infinity';

/**
 * What an edge to another unit means beyond the order of starts. `requires`: stopped and restarted with it on request; `bind`:
 * up only while it is in its state; `hold`: told when it leaves its state and comes back; `wants`: started without it if it
 * fails; `after`: only the order; `partOf`: no order, stopped and restarted with it; `conflicts`: never up together.
 */
export const edgeModes = ['after', 'wants', 'requires', 'bind', 'hold', 'partOf', 'conflicts'] as const;
export type EdgeMode = (typeof edgeModes)[number];

export interface Edge {
  readonly state: string;
  readonly mode: EdgeMode;
}

/** A state alone is one that is required. */
export type Wanted = string | Edge;

export function edgeOf(wanted: Wanted): Edge {
  return typeof wanted === 'string' ? { state: wanted, mode: 'requires' } : wanted;
}

/** Whether the edge says who starts first, and who stops last. */
export function orders(wanted: Wanted | undefined): boolean {
  if (wanted === undefined) return false;
  const { mode } = edgeOf(wanted);
  return mode !== 'partOf' && mode !== 'conflicts';
}

/** An edge in a few words. */
export function describeEdge(wanted: Wanted): string {
  const { state, mode } = edgeOf(wanted);
  if (mode === 'requires') return state;
  return orders(wanted) ? `${state} (${mode})` : `(${mode})`;
}

/** What decides over starts, restarts and stops of a child, whatever its kind. */
export interface ChildPolicy {
  readonly restart: 'permanent' | 'transient' | 'temporary';
  readonly shutdown: Shutdown;
  /** Other children of the same supervisor, and the state in which each must be before this one starts. */
  readonly dependsOn: Readonly<Record<string, Wanted>>;
  /** A start that takes longer is given up and counts as a crash. */
  readonly startTimeoutMs: number;
  readonly backoff: {
    readonly minMs: number;
    readonly maxMs: number;
    readonly factor: number;
    readonly jitter: number;
  };
  /** Up for this long, the next crash counts as the first again. */
  readonly stableMs: number;
  /** More restarts than this within the period, and the child stays down as failed. */
  readonly giveUp: { readonly restarts: number; readonly periodMs: number };
  /** Its end can end its supervisor, as `autoShutdown` of that says. */
  readonly significant: boolean;
  /** The host on which it runs, with all that is below it; only of the root's own children, where the topology names hosts. */
  readonly host?: string | undefined;
  /**
   * What becomes of it when the host of a unit that it requires, or is bound to, is silent: `keep` (default) leaves it up, `stop`
   * takes it down until that host is heard again.
   */
  readonly onPartition?: OnPartition | undefined;
}

export const partitionPolicies = ['keep', 'stop'] as const;
export type OnPartition = (typeof partitionPolicies)[number];

/** What a supervisor of actors looks at. */
export type ActorPolicy = Pick<
  ChildPolicy,
  'restart' | 'significant' | 'shutdown' | 'startTimeoutMs' | 'backoff' | 'stableMs'
> & { readonly kind: 'actor' | 'supervisor' };

/** The logic of an actor: a machine, a promise, a callback, as XState makes them. */
export interface ActorLogic {
  /** The next snapshot. */
  readonly transition: (...parameters: never[]) => unknown;
  /** The first snapshot. */
  readonly getInitialSnapshot: (...parameters: never[]) => unknown;
}

/** What a start function gives: whom to start, with which input if not that of the spec, and what to tell who asked. */
export type ActorStart =
  | ActorLogic
  | { readonly logic: ActorLogic; readonly input?: unknown; readonly info?: unknown }
  | 'ignore';

/** A logic, or a function that is called at each start. What it throws is why the start failed. */
export type ActorSource = ActorLogic | ((input: unknown) => ActorStart | Promise<ActorStart>);

/** An actor in the process of its supervisor. */
export interface ActorSpec extends ChildPolicy {
  readonly kind: 'actor';
  readonly source: ActorSource;
  readonly input?: unknown;
}

/** A supervisor below which there are only actors and such supervisors; OTP's rules hold in it. */
export interface ActorsSpec {
  readonly strategy: Strategy | 'dynamic';
  readonly intensity: number | 'infinity';
  readonly periodMs: number;
  readonly autoShutdown: AutoShutdown;
  readonly children: Readonly<Record<string, ActorChildSpec>>;
  /** What every child of a dynamic supervisor is made from; null for other strategies. */
  readonly template: ActorChildSpec | null;
}

export interface ActorsChild extends ChildPolicy, ActorsSpec {
  readonly kind: 'supervisor';
}

export type ActorChildSpec = ActorSpec | ActorsChild;

interface ProcessChild extends ChildPolicy, ProcessRules {
  /** An absolute path; for `exec` also a name that is looked up in PATH. */
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, EnvValue>>;
  readonly cwd: string;
  /** A YAML file of texts by key, which a start puts in place of `***` in arguments `key=***` and in values of the input. */
  readonly secrets?: string | undefined;
}

/** A Node process that hosts app sessions. */
export interface NodeChild extends ProcessChild {
  readonly kind: 'node';
  /** The app of a universe that this process may serve or connect as. */
  readonly app: string;
  /** What the program gets by `processInput()`. */
  readonly input?: JsonValue | undefined;
}

/** Signals that a plain program gets when a unit that it holds on to has left its state, or is back in it. */
export interface DependencySignals {
  readonly lost?: NodeJS.Signals | undefined;
  readonly back?: NodeJS.Signals | undefined;
}

/** Any program. */
export interface ExecChild extends ProcessChild {
  readonly kind: 'exec';
  readonly onDependency?: DependencySignals | undefined;
  /** Its named state while it is up and no other one is recognised. */
  readonly otherwise?: string | undefined;
}

/** A nested supervisor. */
export interface SupervisorChild extends ChildPolicy, SupervisorSpec {
  readonly kind: 'supervisor';
}

export type ChildSpec = NodeChild | ExecChild | SupervisorChild | ActorChildSpec;
export type ProcessSpec = NodeChild | ExecChild;
export type ChildKind = ChildSpec['kind'];

export interface SupervisorSpec {
  readonly strategy: Strategy;
  /** More than this many restarts of all children together within `periodMs` end the supervisor; 0: the first one does. */
  readonly intensity: number | 'infinity';
  readonly periodMs: number;
  readonly autoShutdown: AutoShutdown;
  readonly children: Readonly<Record<string, ChildSpec>>;
  /** Children that no file names: a program has added them while the tree runs. */
  readonly added?: readonly string[];
  /** What every child of a dynamic supervisor is made from; it has none at first. */
  readonly pool?: ProcessSpec;
}

/** Whether OTP's rules hold in it: there are only actors below. */
export function isOfActors(spec: ChildSpec): spec is ActorsChild {
  return spec.kind === 'supervisor' && 'template' in spec;
}

/** Whether there are actors in it, which run in the root's own process. */
export function hasActors({ children }: SupervisorSpec): boolean {
  return Object.values(children).some(
    (child) =>
      child.kind === 'actor' || (child.kind === 'supervisor' && (isOfActors(child) || hasActors(child))),
  );
}

/** An arena that outlives its writers. */
export interface ArenaSpec {
  /** The most that all its segments may take together. */
  readonly bytes: number;
}

/** A unit of another host. */
export interface PlacedElsewhere {
  readonly host: string;
  readonly child: ChildSpec;
}

/** A whole tree, as a topology file describes it. */
export interface Topology extends SupervisorSpec {
  readonly name: string;
  /** Arenas that the root holds, by name. */
  readonly arenas?: Readonly<Record<string, ArenaSpec>> | undefined;
  /** Caches that the root holds, by name. */
  readonly caches?: Readonly<Record<string, CacheSpec>> | undefined;
  /** The machines that it runs on, by name; undefined: this one alone. */
  readonly hosts?: Readonly<Record<string, HostSpec>> | undefined;
  readonly relay?: HostsRelay | undefined;
  /** Of the part that one root runs: its host, and the units of the others. */
  readonly host?: string | undefined;
  readonly elsewhere?: Readonly<Record<string, PlacedElsewhere>> | undefined;
  /** Names of all units, as they stand in the file. */
  readonly order?: readonly string[] | undefined;
  /** The file it was read from. */
  readonly file: string;
}

/** Operating-system processes take a moment to start and fail for reasons that a moment may cure, so they back off. */
export const processDefaults = {
  restart: 'permanent',
  shutdown: 5_000,
  startTimeoutMs: 30_000,
  backoff: { minMs: 100, maxMs: 30_000, factor: 2, jitter: 0.2 },
  stableMs: 10_000,
  giveUp: { restarts: 10, periodMs: 300_000 },
  significant: false,
} as const;

/** A supervisor waits for its children, whatever they take, and is restarted at once. */
export const supervisorDefaults = {
  restart: 'permanent',
  shutdown: 'infinity',
  startTimeoutMs: 300_000,
  backoff: { minMs: 0, maxMs: 0, factor: 1, jitter: 0 },
  stableMs: 10_000,
  giveUp: { restarts: 3, periodMs: 5_000 },
  significant: false,
  strategy: 'one-for-one',
  autoShutdown: 'never',
  intensity: 'infinity',
  periodMs: 5_000,
} as const;

/** As in OTP: no delay, and a worker has 5 s to end. Beside processes an actor that keeps crashing stays down as failed. */
export const actorDefaults = {
  restart: 'permanent',
  shutdown: 5_000,
  startTimeoutMs: 30_000,
  backoff: { minMs: 0, maxMs: 0, factor: 1, jitter: 0 },
  stableMs: 10_000,
  giveUp: { restarts: 3, periodMs: 5_000 },
  significant: false,
} as const;

/** Of a supervisor of actors; OTP itself has 1 in 5 s, Elixir 3. */
export const actorsIntensity = 3;

/** What a child must be in for a gate that does not name an application state. */
export const hostConditions = ['started', 'ready', 'completed'] as const;
