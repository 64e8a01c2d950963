// Program: a runtime, the actors of one process and its place among others. A process has one of its own,
// which a supervisor's child gets from its bootstrap and any other program makes for itself at first use.
import type { AnyActorLogic, OutputFrom } from 'xstate';
import { attachCache } from '../actors/cache-attachment.ts';
import type { Hosted, Log } from '../actors/hosting.ts';
import { type Handle, handleOfRoot } from '../actors/kinds/handle.ts';
import { Outcome } from '../actors/kinds/source.ts';
import { limitsOf, type SessionTuning } from '../actors/live-session.ts';
import { startMulticast } from '../actors/multicast.ts';
import { startClientProcess, startServerProcess } from '../actors/process.ts';
import { attachRegion } from '../actors/region-attachment.ts';
import {
  type ConnectRelayOptions,
  connectRelay,
  type RelayServing,
  type ServeRelayOptions,
  serveRelay,
} from '../actors/relay.ts';
import { RelayDownstream, type RelayDownstreamOptions } from '../actors/relay-downstream.ts';
import { startRelayNode } from '../actors/relay-node.ts';
import { type GatewayOptions, SessionGateway } from '../actors/session-gateway.ts';
import { ShardDownstream, type ShardDownstreamOptions } from '../actors/shard-downstream.ts';
import { type ClusterNode, ShardRelay } from '../actors/shard-relay.ts';
import { ShardRelief } from '../actors/shard-relief.ts';
import { type ErrorData, IpcError, messageOf } from '../errors.ts';
import type { DependencyNews } from '../machines/incarnation.ts';
import type { MulticastReport, SlowPolicy } from '../machines/multicast.ts';
import type { clientProcessMachine, Reconnect, serverProcessMachine } from '../machines/process.ts';
import { type Address, addressOf, isStatePath } from '../names.ts';
import { type ActorsInput, checkActors } from '../spec/actor-check.ts';
import type { CacheOptions } from '../spec/cache.ts';
import type { ArenaReader, ArenaWriter } from '../spec/published-arena.ts';
import type { Pipe, Region, RegionOptions } from '../spec/region.ts';
import type { Relay } from '../spec/relay.ts';
import { nameOfEndpoint } from '../spec/relay-link.ts';
import type { NatsOptions } from '../spec/relay-nats.ts';
import type { RelayHooks, RelayNodeSpec } from '../spec/relay-node.ts';
import type { ShardedNodeSpec } from '../spec/relay-sharded.ts';
import type { AllowedClient, AppSpec } from '../spec/universe.ts';
import { checkBorrows } from '../transport/borrow.ts';
import type { Cache } from '../transport/cache.ts';
import { FlightRecorder } from '../transport/flight-recorder.ts';
import { checkMemoryOrder } from '../transport/memory-order.ts';
import { native, requireKernel } from '../transport/native.ts';
import { NatsMember } from '../transport/nats-member.ts';
import type { RelayMember } from '../transport/relay-member.ts';
import {
  appSocketPath,
  type Claim,
  claimApp,
  ensureRunDirectory,
  openToGroup,
} from '../transport/run-directory.ts';
import { SharedArena } from '../transport/value-arena.ts';
import { ArenaClient } from './arena-client.ts';
import type { Exposure } from './exposure.ts';
import { Host } from './host.ts';
import { createLog } from './log.ts';
import {
  type Multicast,
  Part,
  type Participation,
  RelayNodePart,
  type Running,
  RunningPart,
  type RunOptions,
  type Serving,
  ServingPart,
} from './participation.ts';
import { defaultRunDirectory } from './place.ts';
import { placedEndpoint, placedNode } from './relay-place.ts';
import type { RootLink } from './root-link.ts';
import {
  checkAppScope,
  closeBroadcasts,
  type MachinesByClient,
  machinesByClient,
  openBroadcasts,
  type ServeOptions,
} from './serving.ts';
import { Supervised } from './supervised.ts';
import type { Redact } from './value-encoder.ts';

/** Options of `connect`; docs/sessions.md has their defaults. */
export interface ConnectOptions extends SessionTuning {
  metadata?: unknown;
  reconnect?: Partial<Reconnect>;
}

/** A program may try for as long as it lives; a few tries a second load nobody. */
export const reconnectDefaults: Reconnect = { minMs: 250, maxMs: 5_000, jitter: 0.2, giveUpAfterMs: 'never' };
/** Sessions have a deadline of their own for closing; this is for those that miss it. */
const stopTimeoutMs = 2_000;
const pendingMaxDefault = 64;
/** Long for a process that runs, short for one that has stopped. */
const slowAfterDefaultMs = 1_000;

/** Options of `multicast`. */
export interface MulticastOptions {
  /** What a reader gets that has no room for `slowAfterMs`: `block` (default) waits for it, `drop` lets it lose packets. */
  slow?: SlowPolicy;
  /** Default 1000. */
  slowAfterMs?: number;
  /** Called when a reader becomes too slow, and when it takes packets again. Without it, the log is told. */
  onReport?: (report: MulticastReport) => void;
}

/** Options of `createRuntime`. Without any, it is a runtime of no tree. */
export interface RuntimeOptions {
  readonly log?: Log;
  /** The folder in which sockets and locks stand. */
  readonly runDirectory?: string;
  /** The control socket to a supervisor. */
  readonly root?: RootLink;
  readonly recorder?: FlightRecorder;
  /** What those who look on may see. */
  readonly exposure?: Exposure;
}

/** Options of `createArena`. */
export interface ArenaOptions {
  /** The most that its values may take, 256 KiB and more; memory is taken as it is needed. */
  bytes: number;
}

/** The actors of one process, and its place among others. */
export class Runtime {
  readonly host: Host;
  readonly runDirectory: string;
  readonly #root: RootLink | undefined;
  readonly #recorder: FlightRecorder;
  /** By name: the number that the next actor of it gets, if the name itself is taken. */
  readonly #numbers = new Map<string, number>();
  readonly #parts = new Set<Participation>();
  readonly #arenas: SharedArena[] = [];
  readonly #declared: ArenaClient | undefined;
  readonly #regions = new Set<Region>();
  readonly #relays = new Set<{ close(): Promise<void> }>();
  readonly #caches = new Set<Cache<unknown>>();
  readonly #gateways = new Set<SessionGateway>();
  #stopping: Promise<void> | undefined;

  /** @throws {IpcError} ERR_ADDON_MISSING, ERR_KERNEL_UNSUPPORTED, ERR_RUN_DIRECTORY. */
  constructor({ log, runDirectory, root, recorder, exposure }: RuntimeOptions = {}) {
    requireKernel();
    checkMemoryOrder();
    // A handler of signals is a matter of the whole process: taken only where a supervisor started it, or on request.
    const checked = process.env.ACTOR_IPC_CHECKED === '1';
    if (root || checked) native().installLastWord();
    if (checked) checkBorrows();
    this.runDirectory = runDirectory ?? defaultRunDirectory(process.env);
    this.#root = root;
    this.#declared = root && new ArenaClient(root);
    this.#recorder = recorder ?? new FlightRecorder();
    this.host = new Host({
      log: log ?? root?.log ?? createLog(),
      recorder: this.#recorder,
      ...(exposure && { exposure }),
    });
  }

  /**
   * Serves an app: accepts sessions and runs a machine for each. A process that stands by has all of it ready, and accepts
   * nobody before its activation.
   * @param machine for all clients, or one for each client app.
   * @returns once clients can connect.
   * @throws {IpcError} ERR_APP_ALREADY_SERVED, ERR_STOPPING, ERR_SYSTEM, ERR_OPTIONS_INVALID, ERR_APP_UNKNOWN for a machine
   *   of an unknown client app.
   */
  async serve<A extends AppSpec>(
    app: A,
    machine: AnyActorLogic | MachinesByClient<A>,
    options: ServeOptions<A> = {},
  ): Promise<Serving<A>> {
    this.#refuseIfStopping(`app ${app.name}`);
    const machines = machinesByClient(app, machine as AnyActorLogic | Record<string, AnyActorLogic>);
    const limits = limitsOf(`serving app ${app.name}`, options);
    const publishers = openBroadcasts(app);
    let hosted: Hosted<typeof serverProcessMachine> | undefined;
    const part = new ServingPart<A>(publishers as never, () => hosted?.post({ type: 'stop' }));
    await new Promise<void>((resolve, reject) => {
      hosted = startServerProcess(this.host, {
        address: this.#addressFor(app.name),
        app,
        machineFor: (client) => machines[client]!,
        appScope: checkAppScope(app, options.appScope ?? {}),
        limits,
        pendingMax: options.pendingMax ?? pendingMaxDefault,
        metadata: options.metadata ?? null,
        stopTimeoutMs,
        claim: () => this.#claim(app),
        runs: async (client, pid, startTicks) => this.#root?.runs(client, pid, startTicks),
        publishers,
        onServing: () => {
          this.#reportDefault();
          resolve();
        },
        onEnd: (error) => {
          closeBroadcasts(publishers);
          this.#settle(part, error);
          if (error) reject(IpcError.received(error));
          // Stopped before it could serve.
          else resolve();
        },
      });
      this.#parts.add(part);
    });
    return part;
  }

  /**
   * Connects to a server's app as a client app: one session at a time, opened again when it is lost.
   * @returns at once; sessions come and go.
   * @throws {IpcError} ERR_STOPPING, ERR_OPTIONS_INVALID.
   */
  connect<C extends AppSpec, S extends AppSpec>(
    client: AllowedClient<C, S>,
    server: S,
    machine: AnyActorLogic,
    options: ConnectOptions = {},
  ): Participation {
    this.#refuseIfStopping(`app ${client.name}`);
    let hosted: Hosted<typeof clientProcessMachine> | undefined;
    const part = new Part(() => hosted?.post({ type: 'stop' }));
    hosted = startClientProcess(this.host, {
      address: this.#addressFor(`${client.name}-${server.name}`),
      client,
      server,
      machine,
      limits: limitsOf(`connecting to app ${server.name}`, options),
      metadata: options.metadata ?? null,
      reconnect: { ...reconnectDefaults, ...options.reconnect },
      stopTimeoutMs,
      socketPath: appSocketPath(this.runDirectory, server.universe, server.name),
      onOpen: () => this.#reportDefault(),
      onEnd: (error) => this.#settle(part, error),
    });
    this.#parts.add(part);
    this.#root?.reportReady();
    return part;
  }

  /**
   * Makes an arena whose values can be lent in every session of this process, as far as `sharedBytes` of its app allows.
   * It lives until it is closed, or this runtime is stopped.
   */
  createArena({ bytes }: ArenaOptions): SharedArena {
    this.#refuseIfStopping('an arena');
    const arena = new SharedArena(bytes);
    this.#arenas.push(arena);
    return arena;
  }

  /**
   * Opens an arena that the topology declares, to borrow what is published in it.
   * @throws {IpcError} ERR_NO_ROOT, ERR_ARENA_UNKNOWN, ERR_STOPPING.
   */
  async openArena(name: string): Promise<ArenaReader> {
    return this.#arenaClient(name).read(name);
  }

  /**
   * Opens an arena that the topology declares, to publish values in it: one process at a time can.
   * @throws {IpcError} ERR_NO_ROOT, ERR_ARENA_UNKNOWN, ERR_ARENA_WRITTEN, ERR_STOPPING.
   */
  async writeArena(name: string): Promise<ArenaWriter> {
    return this.#arenaClient(name).write(name);
  }

  #arenaClient(name: string): ArenaClient {
    this.#refuseIfStopping(`arena ${name}`);
    if (!this.#declared) throw IpcError.of('ERR_NO_ROOT', `arena ${name}`);
    return this.#declared;
  }

  /**
   * Opens a region of shared memory: attaches to it, or creates it if `bytes` is given and it is not there.
   * @throws {IpcError} ERR_REGION_MISSING once `timeoutMs` is over, ERR_REGION_MISMATCH, ERR_REGION_REFUSED,
   * ERR_REGION_REPLACED, ERR_REGION_FULL, ERR_LOCK_TIMEOUT, ERR_STOPPING.
   */
  async region(name: string, options?: RegionOptions): Promise<Region> {
    this.#refuseIfStopping(`region ${name}`);
    const region = await attachRegion(this.host, {
      address: this.#addressFor(`region-${name}`),
      runDirectory: this.runDirectory,
      name,
      options,
      onClosed: (closed) => this.#regions.delete(closed),
    });
    this.#regions.add(region);
    try {
      if (options?.persistent) await this.#root?.keep(name, region.generation);
    } catch (error) {
      await region.close();
      throw error;
    }
    return region;
  }

  /**
   * Opens a cache: attaches to it, or creates it if `capacity` is given and it is not there.
   * @throws {IpcError} ERR_CACHE_MISSING once `timeoutMs` is over, ERR_CACHE_MISMATCH, ERR_CACHE_REFUSED, ERR_CACHE_REPLACED,
   * ERR_CACHE_FULL, ERR_LOCK_TIMEOUT, ERR_OPTIONS_INVALID, ERR_STOPPING.
   */
  async cache<V = unknown>(name: string, options?: CacheOptions): Promise<Cache<V>> {
    this.#refuseIfStopping(`cache ${name}`);
    const cache = await attachCache(this.host, {
      address: this.#addressFor(`cache-${name}`),
      runDirectory: this.runDirectory,
      name,
      options,
      onClosed: (closed) => this.#caches.delete(closed),
    });
    this.#caches.add(cache);
    return cache as Cache<V>;
  }

  /** Hands each packet of a pipe to each of the readers' pipes, all of one region and codec. */
  multicast<T>(input: Pipe<T>, readers: readonly Pipe<T>[], options: MulticastOptions = {}): Multicast {
    this.#refuseIfStopping(`a multicast of pipe ${input.name}`);
    const { slow = 'block', slowAfterMs = slowAfterDefaultMs } = options;
    const address = this.#addressFor(`multicast-${input.name}`);
    const part = new Part(() => running.hosted.post({ type: 'stop' }));
    const running = startMulticast(this.host, {
      address,
      input: input as Pipe,
      readers: readers as readonly Pipe[],
      policy: slow,
      slowAfterMs,
      onReport: options.onReport ?? ((report) => this.#logReader(address, report)),
      onEnd: (end) => this.#settle(part, end.how === 'done' ? end.output.error : null),
    });
    this.#parts.add(part);
    return Object.assign(part, { readers: running.readers });
  }

  /** Runs a session kind, or any other logic, as an actor of its own. */
  run<L extends AnyActorLogic>(logic: L, options: RunOptions<L> = {}): Running<L> {
    const { kindName, id } = logic as { kindName?: string; id?: string };
    const name = options.name ?? kindName ?? id ?? 'actor';
    this.#refuseIfStopping(name);
    const outcome = new Outcome<OutputFrom<L>>(`join ${name}`);
    let handle: Handle<L> | undefined;
    const part = new RunningPart<L>(outcome, () => handle!.stop());
    this.host.start(logic, {
      address: this.#addressFor(name),
      ...(options.input !== undefined && { input: options.input }),
      bind: (actor, hosted) => {
        handle = handleOfRoot(actor, hosted, this.host.clock, outcome);
        part.handle = handle;
      },
      onEnd: (end) => {
        this.#parts.delete(part);
        if (end.how === 'done') outcome.resolve(end.output);
        else if (end.how === 'crashed') outcome.reject(end.error);
        else outcome.reject(IpcError.of('ERR_KIND_ENDED', name, 'it was stopped'));
        part.settle(end.how === 'crashed' ? errorData(name, end.error) : null);
      },
    });
    this.#parts.add(part);
    this.#reportDefault();
    return part;
  }

  /**
   * Starts a supervisor of actors in this process, and its children in their order; OTP's rules hold in it.
   * @param name its address, which no other part of this process may have.
   * @returns once all children have started.
   * @throws {IpcError} ERR_TOPOLOGY_INVALID for what is wrong with the description, ERR_CHILD_START, ERR_STOPPING.
   */
  async supervise(name: string, supervisor: ActorsInput): Promise<Supervised> {
    this.#refuseIfStopping(`supervisor ${name}`);
    const address = this.#addressFor(name);
    const part = new Supervised(this.host, address, checkActors(name, supervisor), () =>
      this.#parts.delete(part),
    );
    this.#parts.add(part);
    part.boot();
    await part.booted;
    return part;
  }

  /**
   * Runs a node of the relay tier: a relay, a sibling, or pressure relief. It stays, and opens its links again, until it is
   * stopped.
   * @returns once it listens.
   * @throws {IpcError} ERR_SYSTEM if it can't listen, ERR_RELAY_CONFIG for certificates that are none, ERR_STOPPING.
   */
  async relayNode(spec: RelayNodeSpec, hooks: RelayHooks = {}): Promise<RelayNodePart> {
    this.#refuseIfStopping(`relay node ${spec.node}`);
    const placed = placedNode(spec, this.runDirectory);
    let part: RelayNodePart | undefined;
    await new Promise<void>((resolve, reject) => {
      const running = startRelayNode(this.host, {
        address: this.#addressFor(spec.node),
        runDirectory: this.runDirectory,
        spec: placed,
        hooks,
        onState: (state) => {
          this.reportState(state);
          resolve();
        },
        onEnd: (error) => {
          this.#settle(part!, error);
          if (error) reject(IpcError.received(error));
          else resolve();
        },
      });
      part = new RelayNodePart(running);
      this.#parts.add(part);
    });
    return part!;
  }

  /**
   * Joins a relay: the link is opened in the background, and again whenever it is lost. Closed with this runtime.
   * @throws {IpcError} ERR_RELAY_CONFIG for certificates that are none, ERR_STOPPING.
   */
  connectRelay(options: ConnectRelayOptions): Relay {
    return this.#relayMember(options);
  }

  /**
   * Joins a relay that an engine carries, NATS with JetStream. Closed with this runtime.
   * @throws {IpcError} ERR_RELAY_UNAVAILABLE, ERR_RELAY_REFUSED or ERR_RELAY_CONFIG for what the engine lacks, ERR_STOPPING.
   */
  async connectNats(options: NatsOptions): Promise<Relay> {
    return this.#natsMember(options);
  }

  /**
   * Runs a node of a session tier over an engine: a relay, of which there may be any number, or pressure relief. Closed with this runtime.
   * @throws {IpcError} ERR_RELAY_UNAVAILABLE, ERR_RELAY_REFUSED or ERR_RELAY_CONFIG for what the engine lacks, ERR_STOPPING.
   */
  async clusterNode(spec: ShardedNodeSpec): Promise<ClusterNode> {
    const { seed: _, shards: __, table: ___, ...options } = spec;
    const member = await this.#natsMember(options);
    return spec.role === 'relay'
      ? ShardRelay.open(this.host, member, spec, this.runDirectory)
      : ShardRelief.open(this.host, member, spec, this.runDirectory);
  }

  async #natsMember(options: NatsOptions): Promise<NatsMember> {
    this.#refuseIfStopping(`relay ${options.node}`);
    const member = await NatsMember.open(options);
    this.#relays.add(member);
    member.onStatus((status) => {
      if (status === 'closed') this.#relays.delete(member);
    });
    return member;
  }

  /**
   * Joins a relay as a front end: what a session cache asks and tells, for `SessionCacheManager` or one's own.
   * @throws {IpcError} ERR_RELAY_CONFIG for certificates that are none, ERR_STOPPING.
   */
  downstream(options: ConnectRelayOptions & RelayDownstreamOptions): Promise<RelayDownstream>;
  /** The same where an engine joins any number of relays (`clusterNode`): with the options of `connectNats`. */
  downstream(options: NatsOptions & ShardDownstreamOptions): Promise<ShardDownstream>;
  async downstream(
    options: (ConnectRelayOptions & RelayDownstreamOptions) | (NatsOptions & ShardDownstreamOptions),
  ): Promise<RelayDownstream | ShardDownstream> {
    if ('servers' in options)
      return ShardDownstream.open(await this.#natsMember({ role: 'front', ...options }), options);
    const name = nameOfEndpoint(options.endpoint);
    return RelayDownstream.open(this.#relayMember({ role: 'front', ...options }), { name, ...options });
  }

  #relayMember(options: ConnectRelayOptions): RelayMember {
    this.#refuseIfStopping(`relay ${options.node}`);
    const endpoint = placedEndpoint(options.endpoint, this.runDirectory);
    const address = this.#addressFor(`relay-${options.node}`);
    const member = connectRelay(this.host, address, { ...options, endpoint });
    this.#relays.add(member);
    member.onStatus((status) => {
      if (status === 'closed') this.#relays.delete(member);
    });
    return member;
  }

  /** Opens a hub for nodes of this process, and listens for those of others. @throws {IpcError} ERR_SYSTEM, ERR_RELAY_CONFIG, ERR_STOPPING. */
  async serveRelay(options: ServeRelayOptions): Promise<RelayServing> {
    this.#refuseIfStopping(`relay ${options.node}`);
    const listen = options.listen?.map((place) => placedEndpoint(place, this.runDirectory)) ?? [];
    const address = this.#addressFor(`hub-${options.node}`);
    const serving = await serveRelay(this.host, address, { ...options, listen });
    this.#relays.add(serving);
    return serving;
  }

  /**
   * Carries sessions between programs of this machine and those behind other nodes of a relay. Closed with this runtime.
   * @returns once it stands in for the apps that are away, and the hub knows of it.
   * @throws {IpcError} ERR_APP_ALREADY_SERVED, ERR_RUN_DIRECTORY, ERR_OPTIONS_INVALID, ERR_RELAY_CLOSED, ERR_STOPPING.
   */
  async carrySessions(options: GatewayOptions): Promise<SessionGateway> {
    const { universe } = options;
    this.#refuseIfStopping(`sessions of universe ${universe}`);
    const gateway = await SessionGateway.open(this.host, {
      ...options,
      claim: (name) => this.#claim({ universe, name, permissions: 'user' }),
      socketOf: (app) => appSocketPath(this.runDirectory, universe, app),
    });
    this.#gateways.add(gateway);
    this.#reportDefault();
    return gateway;
  }

  #logReader(actor: Address, { type, reader, dropped }: MulticastReport): void {
    const slow = type === 'reader.slow';
    const message = slow ? `reader ${reader} is too slow` : `reader ${reader} takes packets again`;
    this.host.log[slow ? 'warn' : 'info']({ actor, reader, dropped }, message);
  }

  /** Resolves once this process is the one that does the work: at once, unless its supervisor has it stand by. */
  activated(): Promise<void> {
    return this.#root?.activated() ?? Promise.resolve();
  }

  /** Whether this process stands by. */
  get standby(): boolean {
    return this.#root?.standby ?? false;
  }

  /**
   * Hears of units that this one depends on in the mode `hold`: that one has left its state, or is back in it. What is lost
   * already is told at once. Nothing is told without a supervisor.
   * @returns how to stop.
   */
  onDependency(listener: (news: DependencyNews) => void): () => void {
    return this.#root?.onDependency(listener) ?? (() => {});
  }

  /**
   * Says what stands in place of a value that not everybody may see, in the inspector and in recordings. Called for each value
   * below a context, before it leaves this process; the last hook counts.
   * @param hook gets a path as `$.user.cards[3]` and the value; answers the value, another one, or undefined for none.
   */
  redact(hook: Redact): void {
    this.host.exposure.redact = hook;
  }

  /** Reports the named state of this process to its supervisor; without one, nobody asks. */
  reportState(state: string): void {
    if (!isStatePath(state)) throw new TypeError(`${state} is no state: names joined by dots are`);
    this.#root?.reportState(state);
    this.#root?.reportReady();
  }

  /** Ends everything, the newest first. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      for (const part of [...this.#parts].reverse()) await part.stop();
      for (const gateway of this.#gateways) await gateway.close();
      for (const relay of this.#relays) await relay.close();
      for (const arena of this.#arenas) arena.close();
      this.#declared?.close();
      for (const region of this.#regions) await region.close();
      for (const cache of this.#caches) await cache.close();
      this.#recorder.close();
    })();
    return this.#stopping;
  }

  #settle(part: Part, error: ErrorData | null): void {
    this.#parts.delete(part);
    part.settle(error);
  }

  #refuseIfStopping(what: string): void {
    if (this.#stopping) throw IpcError.of('ERR_STOPPING', what);
  }

  /** A process that says nothing else about itself is operative once it serves, or has its first session. */
  #reportDefault(): void {
    if (this.#root && !this.#root.hasState) this.#root.reportState('operative', true);
    this.#root?.reportReady();
  }

  async #claim({
    universe,
    name,
    permissions,
  }: Pick<AppSpec, 'universe' | 'name' | 'permissions'>): Promise<Claim> {
    if (!this.#root) ensureRunDirectory(this.runDirectory);
    const claim = this.#root
      ? await this.#root.claim(universe, name)
      : claimApp(this.runDirectory, universe, name);
    if (this.standby) await this.activated();
    if (permissions === 'user') return claim;
    try {
      openToGroup(this.runDirectory, universe, name);
    } catch (error) {
      claim.release();
      throw error;
    }
    return claim;
  }

  /** With a thousand others of the name, this must not look at each: numbers go on where they ended. */
  #addressFor(name: string): Address {
    const plain = addressOf(name);
    if (!this.host.has(plain)) return plain;
    for (let number = this.#numbers.get(name) ?? 2; ; number++) {
      const address = addressOf(`${name}#${number}`);
      if (this.host.has(address)) continue;
      this.#numbers.set(name, number + 1);
      return address;
    }
  }
}

function errorData(name: string, error: unknown): ErrorData {
  return error instanceof IpcError
    ? error.toJSON()
    : IpcError.from(error, 'ERR_KIND_FAILED', name, messageOf(error)).toJSON();
}
