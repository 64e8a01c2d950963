// Child specs: what a supervisor is told about each of its children, as plain data, with every default filled in.
import type { ProcessRules } from './probe.ts';

/** Which children are stopped and started together when one must restart. */
export type Strategy = 'one-for-one' | 'one-for-all' | 'rest-for-one';

/** Milliseconds from the request to SIGKILL; `kill` asks nothing first, `infinity` waits as long as it takes. */
export type Shutdown = number | 'kill' | 'infinity';

/** What decides over starts, restarts and stops of a child, whatever its kind. */
export interface ChildPolicy {
  readonly restart: 'permanent' | 'transient' | 'temporary';
  readonly shutdown: Shutdown;
  /** Other children of the same supervisor, and the state in which each must be before this one starts. */
  readonly dependsOn: Readonly<Record<string, string>>;
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
}

interface ProcessChild extends ChildPolicy, ProcessRules {
  /** An absolute path; for `exec` also a name that is looked up in PATH. */
  readonly file: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/** A Node process that hosts app sessions. */
export interface NodeChild extends ProcessChild {
  readonly kind: 'node';
  /** The app of a universe that this process may serve or connect as. */
  readonly app: string;
}

/** Any program. */
export interface ExecChild extends ProcessChild {
  readonly kind: 'exec';
}

/** A nested supervisor. */
export interface SupervisorChild extends ChildPolicy, SupervisorSpec {
  readonly kind: 'supervisor';
}

export type ChildSpec = NodeChild | ExecChild | SupervisorChild;
export type ChildKind = ChildSpec['kind'];

export interface SupervisorSpec {
  readonly strategy: Strategy;
  /** More than this many restarts of all children together within `periodMs` end the supervisor; 0: the first one does. */
  readonly intensity: number | 'infinity';
  readonly periodMs: number;
  readonly children: Readonly<Record<string, ChildSpec>>;
}

/** A whole tree, as a topology file describes it. */
export interface Topology extends SupervisorSpec {
  readonly name: string;
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
} as const;

/** A supervisor waits for its children, whatever they take, and is restarted at once. */
export const supervisorDefaults = {
  restart: 'permanent',
  shutdown: 'infinity',
  startTimeoutMs: 300_000,
  backoff: { minMs: 0, maxMs: 0, factor: 1, jitter: 0 },
  stableMs: 10_000,
  giveUp: { restarts: 3, periodMs: 5_000 },
  strategy: 'one-for-one',
  intensity: 'infinity',
  periodMs: 5_000,
} as const;

/** What a child must be in for a gate that does not name an application state. */
export const hostConditions = ['started', 'ready', 'completed'] as const;
