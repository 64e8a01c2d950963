// Process runtime: the one runtime of this process, and the functions that use it.
import type { AnyActorLogic, AnyActorRef, AnyMachineSnapshot, StateValue } from 'xstate';
import type { ConnectRelayOptions, RelayServing, ServeRelayOptions } from '../actors/relay.ts';
import type { RelayDownstream, RelayDownstreamOptions } from '../actors/relay-downstream.ts';
import type { GatewayOptions, SessionGateway } from '../actors/session-gateway.ts';
import type { ShardDownstream, ShardDownstreamOptions } from '../actors/shard-downstream.ts';
import type { ClusterNode } from '../actors/shard-relay.ts';
import type { DependencyNews } from '../machines/incarnation.ts';
import { isStatePath } from '../names.ts';
import type { ActorsInput } from '../spec/actor-check.ts';
import type { ArenaReader, ArenaWriter } from '../spec/published-arena.ts';
import type { Pipe, Region, RegionOptions } from '../spec/region.ts';
import type { Relay } from '../spec/relay.ts';
import type { NatsOptions } from '../spec/relay-nats.ts';
import type { RelayHooks, RelayNodeSpec } from '../spec/relay-node.ts';
import type { ShardedNodeSpec } from '../spec/relay-sharded.ts';
import type { AllowedClient, AppSpec } from '../spec/universe.ts';
import type { SharedArena } from '../transport/value-arena.ts';
import type {
  Multicast,
  Participation,
  RelayNodePart,
  Running,
  RunOptions,
  Serving,
} from './participation.ts';
import {
  type ArenaOptions,
  type ConnectOptions,
  type MulticastOptions,
  Runtime,
  type RuntimeOptions,
} from './program.ts';
import type { MachinesByClient, ServeOptions } from './serving.ts';
import { onStopSignals } from './signals.ts';
import type { Supervised } from './supervised.ts';
import type { Redact } from './value-encoder.ts';

const key = Symbol.for('actor-ipc.runtime');

const shared = globalThis as { [key]?: Runtime };

/** Makes `runtime` the one that `serve`, `connect` and `reportState` use in this process. */
export function adoptRuntime(runtime: Runtime): void {
  shared[key] = runtime;
}

/**
 * The runtime of this process, made at the first call. A first SIGTERM or SIGINT then ends all sessions in order and the
 * process after them, a second one ends it at once.
 */
export function currentRuntime(): Runtime {
  if (!shared[key]) {
    const runtime = new Runtime();
    shared[key] = runtime;
    onStopSignals((signal) => void runtime.stop().then(() => process.exit(128 + signal)));
  }
  return shared[key];
}

/** As `Runtime.serve`, by the runtime of this process. */
export async function serve<A extends AppSpec>(
  app: A,
  machine: AnyActorLogic | MachinesByClient<A>,
  options?: ServeOptions<A>,
): Promise<Serving<A>> {
  return currentRuntime().serve(app, machine, options);
}

/** As `Runtime.connect`, by the runtime of this process. */
export async function connect<C extends AppSpec, S extends AppSpec>(
  client: AllowedClient<C, S>,
  server: S,
  machine: AnyActorLogic,
  options?: ConnectOptions,
): Promise<Participation> {
  const runtime = currentRuntime();
  if (runtime.standby) await runtime.activated();
  return runtime.connect<C, S>(client, server, machine, options);
}

/** As `Runtime.createArena`, by the runtime of this process. */
export function createArena(options: ArenaOptions): SharedArena {
  return currentRuntime().createArena(options);
}

/** As `Runtime.openArena`, by the runtime of this process. */
export async function openArena(name: string): Promise<ArenaReader> {
  return currentRuntime().openArena(name);
}

/** As `Runtime.writeArena`, by the runtime of this process. */
export async function writeArena(name: string): Promise<ArenaWriter> {
  return currentRuntime().writeArena(name);
}

/** As `Runtime.region`, by the runtime of this process. */
export async function region(name: string, options?: RegionOptions): Promise<Region> {
  return currentRuntime().region(name, options);
}

/** As `Runtime.multicast`, by the runtime of this process. */
export function multicast<T>(
  input: Pipe<T>,
  readers: readonly Pipe<T>[],
  options?: MulticastOptions,
): Multicast {
  return currentRuntime().multicast(input, readers, options);
}

/**
 * Reports the named state of this process to its supervisor.
 * @param state a name, or several joined by dots; or an actor whose state is reported from now on: its first tag, else the
 *   path of its state value.
 */
export function reportState(state: string | AnyActorRef): void {
  if (typeof state === 'string') return currentRuntime().reportState(state);
  const runtime = currentRuntime();
  const report = () => {
    const path = statePathOf(state.getSnapshot() as AnyMachineSnapshot);
    if (path !== undefined) runtime.reportState(path);
  };
  report();
  state.subscribe({ next: report, error() {} });
}

/** As `Runtime.onDependency`, by the runtime of this process. */
export function onDependency(listener: (news: DependencyNews) => void): () => void {
  return currentRuntime().onDependency(listener);
}

/** As `Runtime.relayNode`, by the runtime of this process. */
export async function relayNode(spec: RelayNodeSpec, hooks?: RelayHooks): Promise<RelayNodePart> {
  return currentRuntime().relayNode(spec, hooks);
}

/** As `Runtime.connectRelay`, by the runtime of this process. */
export function connectRelay(options: ConnectRelayOptions): Relay {
  return currentRuntime().connectRelay(options);
}

/** As `Runtime.connectNats`, by the runtime of this process. */
export async function connectNats(options: NatsOptions): Promise<Relay> {
  return currentRuntime().connectNats(options);
}

/** As `Runtime.carrySessions`, by the runtime of this process. */
export async function carrySessions(options: GatewayOptions): Promise<SessionGateway> {
  return currentRuntime().carrySessions(options);
}

/** As `Runtime.serveRelay`, by the runtime of this process. */
export async function serveRelay(options: ServeRelayOptions): Promise<RelayServing> {
  return currentRuntime().serveRelay(options);
}

/** As `Runtime.downstream`, by the runtime of this process. */
export async function connectDownstream(
  options: ConnectRelayOptions & RelayDownstreamOptions,
): Promise<RelayDownstream>;
/** The same where an engine joins any number of relays. */
export async function connectDownstream(
  options: NatsOptions & ShardDownstreamOptions,
): Promise<ShardDownstream>;
export async function connectDownstream(
  options: (ConnectRelayOptions & RelayDownstreamOptions) | (NatsOptions & ShardDownstreamOptions),
): Promise<RelayDownstream | ShardDownstream> {
  const runtime = currentRuntime();
  return 'servers' in options ? runtime.downstream(options) : runtime.downstream(options);
}

/** As `Runtime.clusterNode`, by the runtime of this process. */
export async function clusterNode(spec: ShardedNodeSpec): Promise<ClusterNode> {
  return currentRuntime().clusterNode(spec);
}

/** As `Runtime.redact`, by the runtime of this process. */
export function redact(hook: Redact): void {
  currentRuntime().redact(hook);
}

/** As `Runtime.activated`, by the runtime of this process. */
export function activated(): Promise<void> {
  return currentRuntime().activated();
}

/** The named state that a machine is in; undefined if it has no name that could be reported. */
function statePathOf({ tags, value }: Partial<AnyMachineSnapshot>): string | undefined {
  const path = tags && tags.size > 0 ? [...tags][0]! : pathIn(value);
  return path !== undefined && isStatePath(path) ? path : undefined;
}

/** Of parallel states the first one counts. */
function pathIn(value: StateValue | undefined): string | undefined {
  if (value === undefined || typeof value === 'string') return value;
  const [name, inner] = Object.entries(value)[0] ?? [];
  const rest = pathIn(inner);
  return rest === undefined ? name : `${name}.${rest}`;
}

/** As `Runtime.supervise`, by the runtime of this process. */
export async function supervise(name: string, supervisor: ActorsInput): Promise<Supervised> {
  return currentRuntime().supervise(name, supervisor);
}

/** A runtime of one's own, for programs that keep several apart. */
export function createRuntime(options: RuntimeOptions = {}): Runtime {
  return new Runtime(options);
}

/** As `Runtime.run`, by the runtime of this process. */
export function run<L extends AnyActorLogic>(logic: L, options?: RunOptions<L>): Running<L> {
  return currentRuntime().run(logic, options);
}
