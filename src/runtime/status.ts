// Status: what a running tree looks like from outside, as plain data.
import type { ListedActor } from '../actors/actor-supervision.ts';
import type { Exit } from '../machines/exit.ts';
import type { SupervisorContext } from '../machines/supervisor.ts';
import { type Address, addressOf } from '../names.ts';
import { describeEdge, isOfActors, type SupervisorSpec } from '../spec/child.ts';
import type { FlightRecord } from '../transport/flight-recorder.ts';

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
  readonly app: string | null;
  readonly dependsOn: Readonly<Record<string, string>>;
  /** Of a supervisor of actors: those below it, as many as are shown. */
  readonly actors?: ActorListing;
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
  readonly units: readonly UnitStatus[];
}

/**
 * @param contextOf the context of the supervisor machine at an address.
 * @param actorsOf the children of the supervisor of actors at a unit, while it runs.
 */
export function treeStatus(
  head: Pick<TreeStatus, 'name' | 'file' | 'pid' | 'workspace' | 'startedAtMs'>,
  topology: SupervisorSpec,
  contextOf: ContextOf,
  actorsOf: ActorsOf = () => undefined,
): TreeStatus {
  const root = addressOf(head.name);
  const units = unitsOf(topology, root, addressOf('supervisor'), '', contextOf, actorsOf);
  return { ...head, uptimeMs: Date.now() - head.startedAtMs, units };
}

type ContextOf = (address: Address) => SupervisorContext | undefined;
type ActorsOf = (unit: Address) => Iterable<ListedActor> | undefined;

function unitsOf(
  spec: SupervisorSpec,
  path: Address,
  supervisor: Address,
  prefix: string,
  contextOf: ContextOf,
  actorsOf: ActorsOf,
): UnitStatus[] {
  const views = contextOf(supervisor)?.units ?? {};
  return Object.entries(spec.children).flatMap(([id, child]) => {
    const view = views[id];
    const name = `${prefix}${id}`;
    const unit: UnitStatus = {
      name,
      kind: child.kind,
      phase: view?.phase ?? 'idle',
      state: view?.state ?? null,
      pid: view?.pid ?? null,
      starts: view?.epoch ?? 0,
      lastExit: view?.exit ? describeExit(view.exit) : null,
      note: view?.note ?? null,
      app: child.kind === 'node' ? child.app : null,
      dependsOn: Object.fromEntries(
        Object.entries(child.dependsOn).map(([parent, edge]) => [parent, describeEdge(edge)]),
      ),
    };
    if (child.kind !== 'supervisor') return [unit];
    if (isOfActors(child)) {
      const actors = actorsOf(addressOf(path, id));
      return [actors ? { ...unit, actors: listActors(actors) } : unit];
    }
    const below = addressOf(path, id);
    return [unit, ...unitsOf(child, below, addressOf(below, 'supervisor'), `${name}/`, contextOf, actorsOf)];
  });
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
