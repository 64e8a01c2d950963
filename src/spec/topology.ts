// What a person writes to describe a tree of processes. The entry `actor-ipc/topology`; a file's default export is checked
// by src/spec/topology-check.ts when it is loaded.
import type { ActorsInput } from './actor-check.ts';
import type { ActorSource } from './child.ts';
import type {
  ActorInput,
  ActorOptions,
  ArenaInput,
  ChildInput,
  ExecOptions,
  NodeOptions,
  SupervisorInput,
  TopologyInput,
} from './topology-schema.ts';

export type { ActorLogic, ActorSource, ActorStart } from './child.ts';
export type { ActorOptions, ArenaInput, ExecOptions, NodeOptions, TopologyInput } from './topology-schema.ts';
export { type EnvValue, env, type SecretRef, secret } from './value.ts';

/** Describes a tree of processes; export it as the default of a topology file. */
export function defineTopology(topology: TopologyInput): TopologyInput {
  return topology;
}

/** A Node process that runs `file`, a path relative to the topology file. Its app is the child's own name by default. */
export function node(file: string, options: NodeOptions = {}): ChildInput {
  return { kind: 'node', file, ...options };
}

/** Any program: an absolute path, one relative to the topology file (`./x`), or a name in PATH. */
export function exec(file: string, options: ExecOptions = {}): ChildInput {
  return { kind: 'exec', file, ...options };
}

/**
 * An actor in the process of its supervisor: the logic of XState, or a function that gives one at each start.
 * @param input what the logic, or that function, is given.
 */
export function actor(
  source: ActorSource,
  input?: unknown,
  options: ActorOptions = {},
): ActorInput & ChildInput {
  return { kind: 'actor', source, input, ...options };
}

/** A supervisor within a supervisor. */
export function supervisor(options: ActorsInput): ActorsInput & { kind: 'supervisor' };
export function supervisor(options: Omit<SupervisorInput, 'kind'>): ChildInput;
export function supervisor(options: Omit<SupervisorInput, 'kind'>): ChildInput {
  return { kind: 'supervisor', ...options };
}

/**
 * An arena of the tree: what is published in it stays when its writer dies, until the whole tree ends.
 * @param options `bytes`: the most that it may take, 256 KiB to 1 TiB; memory is taken as it is needed.
 */
export function arena(options: { bytes: number }): ArenaInput {
  return { kind: 'arena', ...options };
}
