// Tree: a whole running topology, from its workspace and run directory to the last process. One root supervisor, the app
// sockets that it holds, the logs, and the control socket that the command line asks.
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { ActorSupervision } from '../actors/actor-supervision.ts';
import type { Hosted, Log, ResourceFigures } from '../actors/hosting.ts';
import { Lookout } from '../actors/lookout.ts';
import type { OutputStream } from '../actors/output.ts';
import { policyOf, startSupervisor } from '../actors/supervisor.ts';
import { Counting, type Tree as SupervisedTree, type WatchedProcess, Watching } from '../actors/tree.ts';
import { IpcError } from '../errors.ts';
import type { SupervisorOutput } from '../machines/exit.ts';
import type { Identity } from '../machines/incarnation.ts';
import type { ProbeContext } from '../machines/probe.ts';
import type { SupervisorContext, supervisorMachine } from '../machines/supervisor.ts';
import type { UnitContext } from '../machines/unit.ts';
import type { UnitReport } from '../machines/unit-report.ts';
import { newView, type UnitView } from '../machines/unit-view.ts';
import { type Address, addressOf } from '../names.ts';
import type { Topology } from '../spec/child.ts';
import type { Fingerprint } from '../spec/fingerprint.ts';
import { placedOn, samePlaces } from '../spec/placement.ts';
import { processRulesDefaults } from '../spec/probe.ts';
import type { Supervision } from '../spec/supervision.ts';
import type { ChildInput } from '../spec/topology-schema.ts';
import { secretNames } from '../spec/value.ts';
import { type FlightRecord, FlightRecorder, readFlight } from '../transport/flight-recorder.ts';
import { checkMemoryOrder } from '../transport/memory-order.ts';
import { requireKernel } from '../transport/native.ts';
import { controlSocketPath, ensureRunDirectory, FileLock } from '../transport/run-directory.ts';
import { takeFingerprint } from '../workspace/fingerprint.ts';
import type { Workspace } from '../workspace/workspace.ts';
import { reportActors } from './actor-log.ts';
import { AppProcesses } from './app-processes.ts';
import { AppSockets } from './app-sockets.ts';
import { type Applied, Applier, type ApplyOptions } from './apply.ts';
import { ChannelFiguresByUnit } from './channel-figures.ts';
import { type ControlHandlers, ControlServer } from './control-server.ts';
import { Deaths } from './deaths.ts';
import { DeclaredArenas } from './declared-arenas.ts';
import { DeclaredCaches } from './declared-caches.ts';
import { type Dependence, dependencesOf } from './dependences.ts';
import { Exposure } from './exposure.ts';
import type { FeedRecord } from './feed.ts';
import { Host } from './host.ts';
import { type FarListener, FeedService, followHosts } from './host-feed.ts';
import { checkHostFiles, isPlaced } from './host-relay.ts';
import { wholeStatus } from './host-status.ts';
import { Hosts } from './hosts.ts';
import { KeptRegions } from './kept-regions.ts';
import { loaderArgs } from './loader.ts';
import { Operator, type UnitHandle } from './operator.ts';
import { defaultRunDirectory, treeRunDirectory } from './place.ts';
import { startTicksOf } from './process-identity.ts';
import { ProcessRecords } from './process-records.ts';
import { ProcessSupervision } from './process-supervision.ts';
import { RecentLog } from './recent-log.ts';
import { checkedRecord } from './record-check.ts';
import { type TreeStatus, treeStatus } from './status.ts';
import { pidsOf, survey } from './survey.ts';
import { controlHandlers, hostQuestions } from './tree-control.ts';
import { TreeReports } from './tree-reports.ts';
import { UnitLogs } from './unit-logs.ts';
import { childOf, nameOf } from './unit-place.ts';
import { type Usage, UsageMeter } from './usage.ts';

export type { Death } from './deaths.ts';

export type TreeEnd = SupervisorOutput;

/** Gets what happens in a tree. The record of a child has been checked to be one, but not what it says. */
export type TreeWatcher = (unit: string | null, epoch: number, record: FeedRecord) => void;

export interface TreeOptions {
  readonly workspace: Workspace;
  readonly log: Log;
  /** Gets each line that a unit writes. */
  readonly onLine: (unit: string, stream: OutputStream, line: string) => void;
  /** Ends by itself once no unit is up or will come up again. Default: true. */
  readonly endsWhenIdle?: boolean;
  /** Whether that unit, by its name, takes over the process that an earlier run has left. Default: a program does. */
  readonly adopts?: (unit: string) => boolean;
  /** Hears of every change of a unit, after its supervisor. */
  readonly onUnit?: (unit: string, report: UnitReport) => void;
  /** What can be asked on the control socket beside what every tree answers. */
  readonly questions?: ControlHandlers;
  /** Gets each state that the root supervisor enters. */
  readonly onState?: (state: string) => void;
}

const crashed: TreeEnd = {
  why: 'boot',
  reason: 'the supervisor itself crashed',
  exit: null,
  failed: [],
  unkillable: [],
};

/** The bootstrap stands beside this file, in the same language. */
const bootstrapPath = fileURLToPath(new URL(`./bootstrap${import.meta.url.slice(-3)}`, import.meta.url));

export class Tree {
  readonly host: Host;
  /** How the tree ended. */
  readonly ended: Promise<SupervisorOutput>;
  readonly #topology: Topology;
  readonly #options: TreeOptions;
  readonly #workspace: Workspace;
  readonly #lock: FileLock;
  readonly #directory: string;
  readonly #sockets: AppSockets;
  readonly #regions: KeptRegions;
  readonly #arenas: DeclaredArenas;
  readonly #caches: DeclaredCaches;
  readonly #lookout: Lookout;
  readonly #control: ControlServer;
  readonly #supervisor: Hosted<typeof supervisorMachine>;
  readonly #recorder: FlightRecorder;
  readonly #processes = new AppProcesses();
  readonly #records: ProcessRecords;
  readonly #units: SupervisedTree['units'] = new Map();
  readonly #supervisors: SupervisedTree['supervisors'] = new Map();
  readonly #observed: SupervisedTree['observed'] = new Map();
  readonly logs: UnitLogs;
  /** What is left of lives that have ended. */
  readonly deaths = new Deaths();
  readonly recentLog = new RecentLog();
  readonly operator = new Operator({
    names: () => this.status().units.map(({ name }) => name),
    unit: (name) => this.#unitOf(name),
  });
  readonly #applier = new Applier({
    topology: () => this.#topology,
    operator: this.operator,
    supervisor: (path) => this.#supervisors.get(path),
    unit: (name) => this.#unitOf(name),
    log: () => this.#options.log,
  });
  readonly #watching = new Watching();
  readonly #counting = new Counting();
  readonly #usage = new UsageMeter();
  readonly #figures = new ChannelFiguresByUnit(() => this.#counting.ask());
  /** Of the root supervisor. */
  #state = 'starting';
  readonly #supervisions = new Map<Address, ActorSupervision>();
  readonly #ofProcesses = new Map<Address, ProcessSupervision>();
  readonly #watchers = new Set<TreeWatcher>();
  readonly #reports: TreeReports;
  readonly #startedAtMs = Date.now();
  readonly #awaitingEnd: ((end: TreeEnd) => void)[] = [];
  readonly #feeds = new FeedService(this);
  /** The other hosts of the topology, if it has any. */
  readonly hosts: Hosts | undefined;
  #end!: (output: SupervisorOutput) => void;

  /**
   * Starts everything.
   * @throws {IpcError} ERR_ADDON_MISSING, ERR_KERNEL_UNSUPPORTED, ERR_WORKSPACE_BUSY, ERR_RUN_DIRECTORY, ERR_SYSTEM; nothing
   * runs then.
   */
  constructor(topology: Topology, options: TreeOptions) {
    requireKernel();
    checkMemoryOrder();
    if (isPlaced(topology)) checkHostFiles(topology);
    this.#topology = topology;
    this.#options = { ...options, log: this.recentLog.through(options.log) };
    this.#workspace = options.workspace;
    this.#lock = lockWorkspace(this.#workspace);
    this.logs = new UnitLogs(this.#workspace, options.onLine);
    this.#records = new ProcessRecords(this.#workspace, options.log);
    const { adopts = (name) => childOf(topology, addressOf(topology.name, name))?.kind === 'exec' } = options;
    this.#records.sweep((unit) => adopts(nameOf(unit)));
    const directory = treeRunDirectory(options.workspace.folder);
    this.#directory = directory;
    ensureRunDirectory(defaultRunDirectory(process.env));
    ensureRunDirectory(directory);
    this.#workspace.writeRun(directory);
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#recorder = new FlightRecorder();
    this.host = new Host({
      log: this.#options.log,
      recorder: this.#recorder,
      exposure: new Exposure(secretValues(topology, process.env)),
    });
    this.#reports = new TreeReports(topology.name, {
      log: this.#options.log,
      feed: this.host.feed,
      logs: this.logs,
      deaths: this.deaths,
      specOf: (unit) => childOf(topology, unit),
    });
    this.#lookout = new Lookout(this.host);
    this.#regions = new KeptRegions(this.#directory);
    this.#arenas = new DeclaredArenas(topology.arenas ?? {});
    this.#caches = new DeclaredCaches(this.#directory, topology.caches ?? {}, options.log);
    this.#sockets = new AppSockets(directory, (unit) => {
      const child = childOf(topology, unit);
      return child?.kind === 'node' ? child.app : undefined;
    });
    const handlers = { ...controlHandlers(this), ...options.questions };
    this.#control = new ControlServer(controlSocketPath(directory), handlers);
    this.#supervisor = startSupervisor(this.#supervised(directory), topology, {
      address: addressOf('supervisor'),
      path: addressOf(topology.name),
      // A host without units of its own may still be the hub of the others.
      endsWhenIdle: options.endsWhenIdle ?? Object.keys(topology.children).length > 0,
      ...(topology.elsewhere && { remotes: unheard(topology.elsewhere) }),
      onEnd: (output) => this.#onEnd(output),
    });
    if (isPlaced(topology))
      this.hosts = new Hosts({
        ...{ host: this.host, log: this.#options.log, topology },
        runDirectory: defaultRunDirectory(process.env),
        questions: {
          ...hostQuestions(this),
          feed: (frame, asked) => this.#feeds.answer(frame, asked),
        },
        units: () => Object.values(this.#rootContext()?.units ?? {}),
        state: () => this.#state,
        onChange: (views) => this.#supervisor.post({ type: 'remotes.changed', views }),
      });
  }

  #rootContext(): SupervisorContext | undefined {
    return this.host.snapshotOf(addressOf('supervisor'))?.context as SupervisorContext | undefined;
  }

  /** Leads from the topology that runs to another one, and waits until it is done. @throws {IpcError} ERR_REFUSED, nothing has changed then. */
  async apply(next: Topology, options: ApplyOptions = {}): Promise<Applied> {
    const { host } = this.#topology;
    if (host === undefined) return this.#applier.apply(next, options);
    if (!next.hosts || !Object.hasOwn(next.hosts, host) || !samePlaces(this.#topology, placedOn(next, host)))
      throw IpcError.of(
        'ERR_REFUSED',
        `apply ${next.file}`,
        'hosts, their relay, or the units of another host are different; take this root down and run it again',
      );
    return this.#applier.apply(placedOn(next, host), options);
  }

  /** A unit of that name, when it comes into the tree, takes over a process that runs already. */
  expect(name: string, process: Identity): void {
    this.#records.expect(addressOf(this.#topology.name, name), process);
  }

  /**
   * Ends without a word to what survives its supervisor; the next one takes it over.
   * REQUIRES: nothing else is up, and this process exits now, whatever it still waits for.
   */
  leave(): void {
    this.#onEnd({ why: 'planned', reason: 'left', exit: null, failed: [], unkillable: [] });
  }

  get name(): string {
    return this.#topology.name;
  }

  /** What runs here now, with what has been applied to it. */
  get topology(): Topology {
    return this.#topology;
  }

  /** A unit, by its path below the root. */
  unit(name: string): UnitHandle | undefined {
    return this.#unitOf(name);
  }

  status(): TreeStatus {
    const { name, file } = this.#topology;
    const contextAt = <T>(address: Address) => this.host.snapshotOf(address)?.context as T | undefined;
    const head = {
      name,
      file,
      pid: process.pid,
      workspace: this.#workspace.folder,
      startedAtMs: this.#startedAtMs,
      state: this.#state,
      caches: this.#caches.status(),
    };
    return treeStatus(head, this.#topology, {
      nowMs: this.host.clock.now(),
      contextOf: (address) => contextAt(address),
      actorsOf: (unit) => this.#supervisions.get(unit)?.list(),
      spawnedAtMs: (unit) => contextAt<UnitContext>(unit)?.spawnedAtMs ?? null,
      probed: (unit, epoch) => contextAt<ProbeContext>(addressOf(unit, 'probe', epoch, 'liveness')),
    });
  }

  /** What the root and its units use now, by the numbers of their processes. */
  usage(): Promise<ReadonlyMap<number, Usage>> {
    return this.#usage.measure(pidsOf(this.status()));
  }

  /** What `status` shows: where the topology names hosts, the units of all of them. @param usage as in `survey`. */
  async wholeStatus(usage: boolean): Promise<TreeStatus> {
    const own = usage ? await this.survey() : this.status();
    const topology = this.#topology;
    return this.hosts && isPlaced(topology) ? wholeStatus(own, this.hosts, topology, usage) : own;
  }

  /** The same with what the units use, and what goes through their channels. */
  survey(): Promise<TreeStatus> {
    return survey(this.status(), this.#usage, this.#figures);
  }

  /**
   * Shows everything that happens in all processes of the tree, first what there is. Costs nothing while nobody watches.
   * @param watcher gets the unit (null: the root itself), its epoch and a record.
   * @returns how to stop.
   */
  watch(watcher: TreeWatcher): () => void {
    this.#watchers.add(watcher);
    const unwatch = this.host.feed.watch((record) => watcher(null, 0, record));
    // Also for a second watcher: each child tells all that there is to whoever comes.
    if (this.#watchers.size > 1) this.#watching.set(false);
    this.#watching.set(true);
    return () => {
      unwatch();
      this.#watchers.delete(watcher);
      if (this.#watchers.size === 0) this.#watching.set(false);
    };
  }

  /** Shows what happens on the other hosts of the topology, as far as they are heard. @returns how to stop. */
  followHosts(listener: FarListener): () => void {
    return this.hosts ? followHosts(this.hosts, listener) : () => {};
  }

  /** The child processes that can be looked into. */
  get watched(): Iterable<WatchedProcess> {
    return this.#watching.processes;
  }

  /** What the machines of the root itself did last. */
  flight(max: number): readonly FlightRecord[] {
    const { fd, bytes } = this.#recorder.offer;
    return readFlight(fd, bytes, Math.round(performance.timeOrigin), max).records;
  }

  /** The edges between units, and whether each lets its unit start. */
  dependences(): Dependence[] {
    return dependencesOf(
      this.#topology,
      (address) => this.host.snapshotOf(address)?.context as SupervisorContext | undefined,
    );
  }

  /** Figures of the arenas and the caches that the root holds. */
  resources(): ResourceFigures[] {
    return [...this.#arenas.figures(), ...this.#caches.figures()];
  }

  /** The supervisor of that name in the tree, or the root; undefined while none runs there. */
  supervision(name = ''): Supervision<ChildInput> | undefined {
    const { name: root, file } = this.#topology;
    const address = name === '' ? addressOf(root) : addressOf(root, name);
    const ofActors: Supervision | undefined = this.#supervisions.get(address);
    if (ofActors || !this.#supervisors.has(address)) return ofActors;
    const known = this.#ofProcesses.get(address);
    if (known) return known;
    const made = new ProcessSupervision(name, address, {
      operator: this.operator,
      file,
      control: () => this.#supervisors.get(address),
      unit: (unit) => this.#unitOf(unit),
      supervision: (unit) => this.supervision(unit),
      settled: () => new Promise((resolve) => this.host.later(resolve)),
    });
    this.#ofProcesses.set(address, made);
    return made;
  }

  /** What the process of a unit has open now. @throws {IpcError} ERR_UNIT_UNKNOWN; ERR_REFUSED if it has no process. */
  fingerprint(name: string): Fingerprint {
    const { phase, place } = this.operator.placeOf(name);
    if (!place) throw IpcError.of('ERR_REFUSED', `fingerprint ${name}`, `it is ${phase} and has no process`);
    return takeFingerprint(place);
  }

  /** Stops all in order. */
  stop(): void {
    this.#supervisor.post({ type: 'shutdown' });
  }

  /** Stops all in order. @returns how it ended, when it has. */
  down(): Promise<TreeEnd> {
    return new Promise((resolve) => {
      // First, since a tree in which nothing stands ends at once.
      this.#awaitingEnd.push(resolve);
      this.stop();
    });
  }

  /** Kills what still stands. */
  force(): void {
    this.#supervisor.post({ type: 'shutdown' });
    this.#supervisor.post({ type: 'force' });
  }

  #supervised(directory: string): SupervisedTree {
    const { log } = this.#options;
    return {
      host: this.host,
      units: this.#units,
      supervisors: this.#supervisors,
      lookout: this.#lookout,
      observed: this.#observed,
      leftFor: (unit) => this.#records.leftFor(unit),
      outputFile: (unit, stream) => this.#workspace.unitLogPath(unit, stream),
      nodeArgs: (file) => [...loaderArgs(file, bootstrapPath), bootstrapPath],
      env: { ACTOR_IPC_RUN_DIR: directory },
      withheld: () => secretNames(this.#topology),
      watching: this.#watching,
      counting: this.#counting,
      onSupervision: (unit, supervision) => {
        if (supervision) this.#supervisions.set(unit, supervision);
        else this.#supervisions.delete(unit);
      },
      services: {
        claim: (unit, pid, universe, app) => this.#sockets.lend(unit, pid, universe, app),
        keep: (region, generation) => this.#regions.keep(region, generation),
        runs: (app, pid) => this.#processes.runs(app, pid),
        running: () => this.#processes.running(),
        arena: (asked, frame, fds) => this.#arenas.handle(asked, frame, fds),
      },
      watch: {
        spawned: (unit, facts) => {
          const { pid, epoch, app, standby, adopted } = facts;
          this.#records.write(unit, facts);
          if (app !== null) this.#processes.add(app, pid, startTicksOf(pid));
          if (standby) {
            log.debug({ unit, pid }, `${nameOf(unit)} has process ${pid} standing by`);
            return;
          }
          log.info(
            { unit, pid, epoch },
            `${nameOf(unit)} ${adopted ? 'took over' : 'started as'} process ${pid}${epoch > 1 ? ` (start ${epoch})` : ''}`,
          );
        },
        ended: (unit, { pid, standby, flight }) => {
          this.#records.remove(unit, pid);
          if (!standby) this.#figures.forget(unit);
          this.#sockets.processEnded(pid);
          this.#processes.delete(pid);
          if (!standby) this.#reports.keepEnd(unit, { pid, flight });
        },
        unreplaced: (unit, why) => {
          log.error({ unit, why }, `${nameOf(unit)} was not reloaded: ${why}`);
          this.operator.unreplaced(nameOf(unit), why);
        },
        // Its supervisor hears of it first.
        changed: (unit, report) =>
          this.host.later(() => {
            if (report.type === 'unit.changed') this.deaths.noteState(nameOf(unit), report.state);
            this.operator.changed(nameOf(unit), report);
            this.hosts?.tell();
            this.#options.onUnit?.(nameOf(unit), report);
          }),
        report: (path, report) => {
          if (path === this.#topology.name && report.type === 'supervisor.changed') {
            this.#state = report.state;
            this.hosts?.tell();
            this.#options.onState?.(report.state);
          }
          this.#reports.ofSupervisor(path, report);
        },
        actorReport: reportActors(log, this.host.feed),
        lines: (unit, stream, lines, dropped) => {
          const child = childOf(this.#topology, unit);
          const rules = child && 'log' in child ? child.log : processRulesDefaults.log;
          this.logs.write(unit, nameOf(unit), stream, lines, dropped, rules);
        },
        counted: (unit, epoch, counts) => this.#figures.counted(unit, epoch, counts),
        records: (unit, epoch, records) => {
          for (const each of records) {
            const record = checkedRecord(each);
            if (record) for (const watcher of this.#watchers) watcher(nameOf(unit), epoch, record);
          }
        },
        log: (unit, level, facts, message) => this.#reports.ofUnit(unit, level, facts, message),
      },
    };
  }

  #onEnd(output: SupervisorOutput | undefined): void {
    const end = output ?? crashed;
    // Whoever asked for the end hears how it came.
    for (const tell of this.#awaitingEnd.splice(0)) tell(end);
    this.operator.close();
    this.#feeds.close();
    this.#control.close();
    this.#sockets.release();
    this.#regions.release();
    this.#arenas.release();
    this.#caches.release();
    // Nobody else has anything in there: the workspace is locked.
    rmSync(this.#directory, { recursive: true, force: true });
    this.#workspace.removeRun();
    this.#lock.release();
    const finish = () => {
      this.#recorder.close();
      this.#end(end);
    };
    if (this.hosts) void this.hosts.close().then(finish);
    else finish();
  }

  /** The view and the actor of a unit, by its path below the root. */
  #unitOf(name: string): UnitHandle | undefined {
    const path = addressOf(this.#topology.name, name);
    const at = path.lastIndexOf('/');
    const above = path.slice(0, at);
    const supervisor =
      above === this.#topology.name ? addressOf('supervisor') : addressOf(above, 'supervisor');
    const context = this.host.snapshotOf(supervisor)?.context as SupervisorContext | undefined;
    const view = context?.units[path.slice(at + 1)];
    const hosted = this.#units.get(path);
    const child = childOf(this.#topology, path);
    return (
      view &&
      hosted && {
        view,
        kind: child?.kind ?? 'unknown',
        observation: this.#observed.get(path)?.(),
        post: (event) => hosted.post(event),
      }
    );
  }
}

function unheard(elsewhere: NonNullable<Topology['elsewhere']>): Record<string, UnitView> {
  return Object.fromEntries(
    Object.entries(elsewhere).map(([id, { host, child }]) => [
      id,
      { ...newView(id, policyOf(child)), elsewhere: { host, heard: 'never', root: null } },
    ]),
  );
}

/** The secrets of a topology that are variables of this process. */
function secretValues(topology: Topology, env: NodeJS.ProcessEnv): string[] {
  return [...secretNames(topology)].flatMap((name) => env[name] ?? []);
}

function lockWorkspace(workspace: Workspace): FileLock {
  const lock = FileLock.take(workspace.lockPath);
  if (!(lock instanceof FileLock)) throw IpcError.of('ERR_WORKSPACE_BUSY', workspace.folder, lock.holder);
  return lock;
}
