// Status: what a running tree looks like from outside, as plain data.
import type { ListedActor } from '../actors/actor-supervision.ts';
import type { Exit } from '../machines/exit.ts';
import type { SupervisorContext } from '../machines/supervisor.ts';
import type { HeardOfHost } from '../machines/unit-view.ts';
import { type Address, addressOf } from '../names.ts';
import { type ChildSpec, describeEdge, isOfActors, type SupervisorSpec } from '../spec/child.ts';
import type { FlightRecord } from '../transport/flight-recorder.ts';
import type { ChannelFigures } from './channel-figures.ts';
import type { Usage } from './usage.ts';

export interface UnitStatus {
  /** Path below the root. */
  readonly name: string;
  readonly kind: 'node' | 'exec' | 'supervisor' | 'actor';
  /** Where its life is: `up`, `backoff`, `failed`... */
  readonly phase: string;
  /** The named application state, while one is reported. */
  readonly state: string | null;
  readonly pid: number | null;
  /** How often it has been started. */
  readonly starts: number;
  readonly lastExit: string | null;
  /** What it waits for, or why it was given up. */
  readonly note: string | null;
  /** Starts that came after an end. */
  readonly restarts: number;
  /** Of its present process; null while there is none. */
  readonly uptimeMs: number | null;
  /** By its liveness probe, while it is up; null if it has none. */
  readonly health: Health | null;
  /** Of its processes; null while there are none, and where nobody asked for it. */
  readonly usage: Usage | null;
  /** Channels of its sessions, where somebody asked for them. */
  readonly channels: readonly ChannelFigures[];
  readonly app: string | null;
  readonly dependsOn: Readonly<Record<string, string>>;
  /** Of a supervisor of actors: those below it, as many as are shown. */
  readonly actors?: ActorListing;
  /** Where the topology names hosts: the one on which it runs. Its `phase` is `unknown` while that is not heard. */
  readonly host?: string;
}

export interface Health {
  readonly good: boolean;
  /** Looks in a row that failed, of those that it may have. */
  readonly failures: number;
  /** Why the last of them did. */
  readonly why: string | null;
}

export interface ActorListing {
  readonly shown: readonly ListedActor[];
  /** Whether there are more than these. */
  readonly more: boolean;
}

/** A dynamic supervisor can have a hundred thousand. */
const listedMax = 100;

export function listActors(actors: Iterable<ListedActor>): ActorListing {
  const shown: ListedActor[] = [];
  for (const each of actors) {
    if (shown.length === listedMax) return { shown, more: true };
    shown.push(each);
  }
  return { shown, more: false };
}

export interface TreeStatus {
  readonly name: string;
  readonly file: string;
  readonly pid: number;
  readonly workspace: string;
  readonly startedAtMs: number;
  readonly uptimeMs: number;
  /** State of the root supervisor: `starting`, `operative`, `degraded`, `stopping`. */
  readonly state: string;
  /** Of the root's own process. */
  readonly usage: Usage | null;
  readonly units: readonly UnitStatus[];
  readonly caches: readonly CacheStatus[];
  /** Where the topology names hosts: all of them, the one that answers first. */
  readonly hosts?: readonly HostStatus[];
}

/** A host of the topology, as the root that answers hears it. */
export interface HostStatus {
  readonly name: string;
  /** `silent`: nothing was heard for long, so nobody knows what its units do. `left`: its root was taken down in order. */
  readonly heard: 'here' | HeardOfHost;
  /** How long ago it was heard; null: never. */
  readonly silenceMs: number | null;
  /** Of its root. */
  readonly pid: number | null;
  readonly startedAtMs: number | null;
  readonly state: string | null;
}

/** A cache that the root holds. */
export interface CacheStatus {
  readonly name: string;
  /** Processes that use it. */
  readonly users: number;
  readonly entries: number;
  readonly capacity: number;
  readonly hits: number;
  readonly misses: number;
  readonly evictions: number;
}

export type StatusHead = Pick<
  TreeStatus,
  'name' | 'file' | 'pid' | 'workspace' | 'startedAtMs' | 'state' | 'caches'
>;

/** Where what is shown of a tree comes from. */
export interface StatusSource {
  readonly nowMs: number;
  /** The context of the supervisor machine at an address. */
  contextOf(address: Address): SupervisorContext | undefined;
  /** The children of the supervisor of actors at a unit, while it runs. */
  actorsOf(unit: Address): Iterable<ListedActor> | undefined;
  /** When the present process of a unit was started, by the same clock as `nowMs`. */
  spawnedAtMs(unit: Address): number | null;
  /** What the liveness probe of a unit's process has found. */
  probed(unit: Address, epoch: number): { failed: number; why: string } | undefined;
}

export function treeStatus(head: StatusHead, topology: SupervisorSpec, source: StatusSource): TreeStatus {
  const units = unitsOf(topology, addressOf(head.name), addressOf('supervisor'), '', source);
  return { ...head, uptimeMs: Date.now() - head.startedAtMs, usage: null, units };
}

function unitsOf(
  spec: SupervisorSpec,
  path: Address,
  supervisor: Address,
  prefix: string,
  source: StatusSource,
): UnitStatus[] {
  const views = source.contextOf(supervisor)?.units ?? {};
  return Object.entries(spec.children).flatMap(([id, child]) => {
    const view = views[id];
    const name = `${prefix}${id}`;
    const address = addressOf(path, id);
    const spawnedAtMs = view?.pid ? source.spawnedAtMs(address) : null;
    const unit: UnitStatus = {
      name,
      kind: child.kind,
      phase: view?.phase ?? 'idle',
      state: view?.state ?? null,
      pid: view?.pid ?? null,
      starts: view?.epoch ?? 0,
      lastExit: view?.exit ? describeExit(view.exit) : null,
      note: view?.note ?? null,
      restarts: Math.max(0, (view?.epoch ?? 0) - 1),
      uptimeMs: spawnedAtMs === null ? null : Math.max(0, source.nowMs - spawnedAtMs),
      health: view?.phase === 'up' ? healthOf(child, source.probed(address, view.epoch)) : null,
      usage: null,
      channels: [],
      app: child.kind === 'node' ? child.app : null,
      dependsOn: Object.fromEntries(
        Object.entries(child.dependsOn).map(([parent, edge]) => [parent, describeEdge(edge)]),
      ),
    };
    if (child.kind !== 'supervisor') return [unit];
    if (isOfActors(child)) {
      const actors = source.actorsOf(address);
      return [actors ? { ...unit, actors: listActors(actors) } : unit];
    }
    return [unit, ...unitsOf(child, address, addressOf(address, 'supervisor'), `${name}/`, source)];
  });
}

function healthOf(child: ChildSpec, found: { failed: number; why: string } | undefined): Health | null {
  if (!('liveness' in child) || child.liveness.by.kind === 'spawned') return null;
  const { failed = 0, why = '' } = found ?? {};
  return { good: failed === 0, failures: failed, why: failed === 0 ? null : why };
}

/** An exit in a few words. */
export function describeExit({ reason, uptimeMs }: Exit): string {
  return `${reason} (after ${describeMs(uptimeMs)})`;
}

export function describeMs(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000)
    return `${Math.floor(ms / 60_000)}m${String(Math.floor((ms % 60_000) / 1000)).padStart(2, '0')}s`;
  return `${Math.floor(ms / 3_600_000)}h${String(Math.floor((ms % 3_600_000) / 60_000)).padStart(2, '0')}m`;
}

/** Flight records as lines, oldest first. */
export function describeFlight(records: readonly FlightRecord[]): string[] {
  return records.map(
    ({ atMs, actor, event, state }) => `${new Date(atMs).toISOString()} ${actor}: ${event} -> ${state}`,
  );
}
