// What a person writes to describe a tree of processes. The entry `actor-ipc/topology`; a file's default export is checked
// by src/spec/topology-check.ts when it is loaded.
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { IpcError } from '../errors.ts';
import type { ActorsInput } from './actor-check.ts';
import type { ActorSource } from './child.ts';
import { checkRelayConfig, readRelayConfig } from './relay-config.ts';
import { engineCommand, isEngineConfig } from './relay-engine.ts';
import { appOf, relayProgram } from './relay-unit.ts';
import type {
  ActorInput,
  ActorOptions,
  ArenaInput,
  CacheInput,
  ChildInput,
  ExecOptions,
  NodeOptions,
  SupervisorInput,
  TopologyInput,
} from './topology-schema.ts';

export type { ActorLogic, ActorSource, ActorStart } from './child.ts';
export type {
  ActorOptions,
  ArenaInput,
  CacheInput,
  ExecOptions,
  HostInput,
  HostsRelayInput,
  NodeOptions,
  TopologyInput,
} from './topology-schema.ts';
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
 * A node of the relay tier as a process: a relay, a sibling, pressure relief or a gateway; or, with `mode: 'nats'` and
 * `managed: true`, the engine itself, with `address`, `port`, `store_dir` and `name`.
 * @param config what stands in a configuration file of such a node (docs/relay.md), whose files are relative to the topology;
 * or the URL of that file, `new URL('./gateway.conf', import.meta.url)`, whose files are relative to it.
 * @throws {IpcError} ERR_RELAY_CONFIG with one line for each mistake.
 */
export function relay(
  config: Readonly<Record<string, unknown>> | URL,
  options: NodeOptions = {},
): ChildInput {
  if (!(config instanceof URL) && isEngineConfig(config)) {
    const { file, args, port } = engineCommand(config);
    return exec(file, { ready: { tcp: port }, ...(options as ExecOptions), args: [...args] });
  }
  const file = config instanceof URL ? fileURLToPath(config) : undefined;
  const { sibling, spec, notes } = file
    ? readRelayConfig(file)
    : checkRelayConfig(config, resolve('relay()'));
  if (sibling)
    throw IpcError.of(
      'ERR_RELAY_CONFIG',
      'relay()',
      'proc_name: in a topology the sibling is a child of its own; give the relay "local": true in its place',
    );
  const app = appOf(spec);
  // Plain JSON has no keys without a value.
  const input = file ? JSON.parse(JSON.stringify({ spec, notes })) : { config };
  return { kind: 'node', file: relayProgram, ...(app !== undefined && { app }), ...options, input };
}

/**
 * An arena of the tree: what is published in it stays when its writer dies, until the whole tree ends.
 * @param options `bytes`: the most that it may take, 256 KiB to 1 TiB; memory is taken as it is needed.
 */
export function arena(options: { bytes: number }): ArenaInput {
  return { kind: 'arena', ...options };
}

/**
 * A cache of the tree: what is in it stays when its users end, until the whole tree does. Its defaults are those of
 * `cache(name, { capacity })` of the entry `actor-ipc/cache`, by which the processes of the tree open it.
 */
export function cache(options: Omit<CacheInput, 'kind'> = {}): CacheInput {
  return { kind: 'cache', ...options };
}
