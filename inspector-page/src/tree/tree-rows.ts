// Tree rows: units, their lives, their actors and the shared memory between them, as the rows of one list.
import type { DeadIncarnation, ProcessId, ResourceView, UnitView } from '../../../src/inspector/protocol.ts';
import type { ActorEntry, Model } from '../feed/model.ts';
import type { Selection } from '../selection.ts';

export interface TreeRow {
  readonly key: string;
  readonly depth: number;
  readonly selection: Selection | null;
  readonly label: string;
  /** Null: nothing is below it. */
  readonly expanded: boolean | null;
  readonly of:
    | { readonly kind: 'unit'; readonly unit: UnitView }
    | { readonly kind: 'life'; readonly life: DeadIncarnation; readonly unit: UnitView }
    | { readonly kind: 'actor'; readonly actor: ActorEntry; readonly alive: boolean }
    | { readonly kind: 'resource'; readonly resource: ResourceView }
    | { readonly kind: 'heading'; readonly count: number };
}

export interface TreeChoice {
  /** What the reader has opened (true) or closed, by the row's key; all other rows are as they are made. */
  readonly opened: ReadonlyMap<string, boolean>;
  readonly search: string;
  /** As they were drawn last: what comes below a row neither opens nor closes it. */
  readonly before?: ReadonlyMap<string, boolean>;
}

/** An actor with more below it than this shows them when it is asked to. */
const openActorsMax = 6;
/** More than these, coming one by one, would push away all other rows. */
const staysOpenMax = 100;

interface Branch {
  readonly key: string;
  readonly label: string;
  readonly selection: Selection | null;
  readonly of: TreeRow['of'];
  readonly open: boolean;
  /** How many actors are right below it. */
  readonly count?: number;
  /** Made only when it is open: a process can have a hundred thousand actors. */
  readonly below: () => readonly Branch[];
  /** Of those below, what is seen while it is closed, too. */
  readonly pinned?: readonly Branch[];
  readonly leaf: boolean;
  readonly words: string;
}

export function treeRows(model: Model, { opened, search, before }: TreeChoice): TreeRow[] {
  const rows: TreeRow[] = [];
  const wanted = search.trim().toLowerCase();
  const put = (branch: Branch, depth: number): void => {
    const open = opened.get(branch.key) ?? isOpen(branch, before);
    rows.push({ ...branch, depth, expanded: branch.leaf ? null : open });
    if (branch.leaf) return;
    for (const below of open ? branch.below() : (branch.pinned ?? [])) put(below, depth + 1);
  };
  // What is searched for is shown with all that it stands below, and nothing else.
  const find = (branch: Branch, depth: number): boolean => {
    const at = rows.length;
    rows.push({ ...branch, depth, expanded: branch.leaf ? null : true });
    let found = branch.words.toLowerCase().includes(wanted);
    if (!branch.leaf) for (const below of branch.below()) if (find(below, depth + 1)) found = true;
    if (!found) rows.length = at;
    return found;
  };
  const visit = wanted === '' ? put : find;
  for (const branch of unitBranches(model)) visit(branch, 0);
  const { resources } = model;
  if (resources.length > 0) visit(resourcesBranch(resources), 0);
  return rows;
}

/** Of actors: how many are below it decides only once. */
function isOpen({ key, open, count = 0 }: Branch, before: TreeChoice['before']): boolean {
  return (before?.get(key) ?? open) && count <= staysOpenMax;
}

/** What a later call takes as `before`. */
export function drawnBefore(rows: readonly TreeRow[]): Map<string, boolean> {
  return new Map(rows.flatMap(({ key, expanded }) => (expanded === null ? [] : [[key, expanded]])));
}

function unitBranches(model: Model): Branch[] {
  const below = new Map<string, UnitView[]>();
  for (const unit of model.units.values()) {
    if (unit.path === '') continue;
    const parent = unit.path.slice(0, Math.max(0, unit.path.lastIndexOf('/')));
    // A parent that is not told is the root: nothing may be missing here.
    const key = model.units.has(parent) ? parent : '';
    const known = below.get(key);
    if (known) known.push(unit);
    else below.set(key, [unit]);
  }
  const root = model.units.get('');
  const branch = (unit: UnitView): Branch => {
    const units = below.get(unit.path) ?? [];
    const actors = unit.process === null ? undefined : model.actors.get(unit.process);
    const count = actors?.size ?? 0;
    const isRoot = unit.kind === 'root';
    return {
      key: `unit ${unit.path}`,
      label: labelOf(unit, model),
      selection: { kind: 'unit', path: unit.path },
      of: { kind: 'unit', unit },
      // Never by how much is below it: rows would move away from under the hand while a process starts.
      open: isRoot || unit.kind === 'supervisor',
      pinned: unit.dead.slice(0, 1).map((life) => lifeBranch(model, unit, life)),
      leaf: units.length === 0 && count === 0 && unit.dead.length === 0,
      words: `${unit.path} ${unit.phase} ${unit.state ?? ''} ${unit.app ?? ''} ${unit.pid ?? ''}`,
      below: () => [
        ...units.map(branch),
        ...unit.dead.map((life) => lifeBranch(model, unit, life)),
        ...(isRoot ? rootActors(actors) : actorBranches(actors, true, '')),
      ],
    };
  };
  return root ? [branch(root)] : [...(below.get('') ?? [])].map(branch);
}

function labelOf({ kind, path, app }: UnitView, model: Model): string {
  if (kind === 'root') return model.hello?.topology.name ?? 'root';
  const name = path.slice(path.lastIndexOf('/') + 1);
  // Its path is only a number: who it is, it has said itself.
  return kind === 'guest' ? `${app ?? 'app'} (guest ${name})` : name;
}

/** In the root there is an actor for each unit and more; they are the machinery behind the rows of units. */
function rootActors(actors: ReadonlyMap<string, ActorEntry> | undefined): Branch[] {
  if (!actors || actors.size === 0) return [];
  return [
    {
      key: 'machinery',
      label: 'machinery of the root',
      selection: null,
      of: { kind: 'heading', count: actors.size },
      open: false,
      leaf: false,
      words: '',
      below: () => actorBranches(actors, true, ''),
    },
  ];
}

function lifeBranch(model: Model, unit: UnitView, life: DeadIncarnation): Branch {
  const actors = model.actors.get(life.process);
  return {
    key: `life ${life.process}`,
    label: `life ${life.incarnation}`,
    selection: { kind: 'life', process: life.process },
    of: { kind: 'life', life, unit },
    open: false,
    leaf: !actors || actors.size === 0,
    words: `${life.process} ${life.exit.reason}`,
    below: () => actorBranches(actors, false, ''),
  };
}

/** Actors below each other by their addresses: `shop/session/3` stands below `shop`, if there is one. */
function actorBranches(
  actors: ReadonlyMap<string, ActorEntry> | undefined,
  alive: boolean,
  within: string,
): Branch[] {
  if (!actors) return [];
  const below = new Map<string, ActorEntry[]>();
  for (const entry of actors.values()) {
    const parent = parentOf(entry.actor, actors);
    const known = below.get(parent);
    if (known) known.push(entry);
    else below.set(parent, [entry]);
  }
  const branch =
    (prefix: string) =>
    (entry: ActorEntry): Branch => {
      const inner = below.get(entry.actor) ?? [];
      return {
        key: actorKey(entry.process, entry.actor),
        label: prefix === '' ? entry.actor : entry.actor.slice(prefix.length + 1),
        selection: { kind: 'actor', process: entry.process, actor: entry.actor },
        of: { kind: 'actor', actor: entry, alive },
        open: inner.length <= openActorsMax,
        count: inner.length,
        leaf: inner.length === 0,
        words: `${entry.actor} ${entry.words} ${entry.status}`,
        below: () => inner.map(branch(entry.actor)),
      };
    };
  return (below.get(within) ?? []).map(branch(within));
}

function parentOf(actor: string, actors: ReadonlyMap<string, ActorEntry>): string {
  for (let at = actor.lastIndexOf('/'); at > 0; at = actor.lastIndexOf('/', at - 1)) {
    const above = actor.slice(0, at);
    if (actors.has(above)) return above;
  }
  return '';
}

function resourcesBranch(resources: readonly ResourceView[]): Branch {
  return {
    key: 'resources',
    label: 'shared memory',
    selection: null,
    of: { kind: 'heading', count: resources.length },
    open: true,
    leaf: false,
    words: '',
    below: () =>
      resources.map((resource) => ({
        key: `resource ${resource.kind} ${fullName(resource)}`,
        label: fullName(resource),
        selection: { kind: 'resource', of: resource.kind, name: fullName(resource) },
        of: { kind: 'resource', resource },
        open: false,
        leaf: true,
        words: `${resource.kind} ${resource.name}`,
        below: () => [],
      })),
  };
}

export function actorKey(process: ProcessId, actor: string): string {
  return `actor ${process} ${actor}`;
}

/** A pipe is known by its region and its name. */
export function fullName({ region, name }: ResourceView): string {
  return region === null || region === name ? name : `${region}/${name}`;
}

export function keyOf(selection: Selection): string {
  switch (selection.kind) {
    case 'unit':
      return `unit ${selection.path}`;
    case 'life':
      return `life ${selection.process}`;
    case 'actor':
      return actorKey(selection.process, selection.actor);
    case 'resource':
      return `resource ${selection.of} ${selection.name}`;
  }
}

/** Where the selected row stands; -1 if it is not shown. */
export function rowOf(rows: readonly TreeRow[], selection: Selection | null): number {
  if (selection === null) return -1;
  const wanted = keyOf(selection);
  return rows.findIndex(({ key }) => key === wanted);
}

/** The keys of what must be open for that row to be seen. */
export function keysAbove(model: Model, selection: Selection): string[] {
  if (selection.kind === 'resource') return ['resources'];
  const path = selection.kind === 'unit' ? selection.path : (model.unitOf.get(selection.process) ?? '');
  const parts = path === '' ? [] : path.split('/');
  const keys = ['unit ', ...parts.map((_, index) => `unit ${parts.slice(0, index + 1).join('/')}`)];
  if (selection.kind === 'unit') return keys.slice(0, -1);
  if (selection.kind === 'life') return keys;
  if (selection.process === model.units.get('')?.process) keys.push('machinery');
  if (!model.isAlive(selection.process)) keys.push(`life ${selection.process}`);
  const actors = model.actors.get(selection.process) ?? new Map<string, ActorEntry>();
  for (let at = parentOf(selection.actor, actors); at !== ''; at = parentOf(at, actors))
    keys.push(actorKey(selection.process, at));
  return keys;
}
