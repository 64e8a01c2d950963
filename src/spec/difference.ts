// Difference: what distinguishes a topology from the one that runs, as the steps that lead from one to the other.
import { type ActorsChild, type ChildSpec, isOfActors, type SupervisorSpec } from './child.ts';

/** What is done about a unit; its name is its path below the root, and empty for the root itself. */
export interface Change {
  /**
   * `change`: other rules, while it runs on. `restart`: another command. `replace`: another kind of child, so the present one is
   * stopped and forgotten first.
   */
  readonly do: 'add' | 'remove' | 'replace' | 'restart' | 'change';
  readonly unit: string;
  /** What is different. */
  readonly keys: readonly string[];
}

/** What a process gets when it starts, and never later. */
const startKeys: ReadonlySet<string> = new Set([
  'file',
  'args',
  'env',
  'cwd',
  'app',
  'survive',
  'input',
  'secrets',
  'source',
]);
/** A supervisor of actors gets these when it starts, too. */
const actorsKeys: ReadonlySet<string> = new Set([
  'strategy',
  'intensity',
  'periodMs',
  'autoShutdown',
  'children',
  'template',
]);
const supervisionKeys = ['strategy', 'intensity', 'periodMs', 'autoShutdown'] as const;
type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** The steps from one spec to another, in the order in which their units are declared; removals come first. */
export function changesBetween(now: SupervisorSpec, next: SupervisorSpec, path = ''): Change[] {
  const at = (id: string) => (path === '' ? id : `${path}/${id}`);
  const own = supervisionKeys.filter((key) => now[key] !== next[key]);
  const removed = Object.keys(now.children).filter(
    (id) => !Object.hasOwn(next.children, id) && !now.added?.includes(id),
  );
  return [
    ...(own.length > 0 && path === '' ? [{ do: 'change', unit: path, keys: own } as const] : []),
    ...removed.reverse().map((id) => ({ do: 'remove', unit: at(id), keys: [] }) as const),
    ...Object.entries(next.children).flatMap(([id, child]): Change[] => {
      const known = Object.hasOwn(now.children, id) ? now.children[id]! : undefined;
      if (!known) return [{ do: 'add', unit: at(id), keys: [] }];
      return changesOf(known, child, at(id));
    }),
  ];
}

function changesOf(now: ChildSpec, next: ChildSpec, unit: string): Change[] {
  const pools = [now, next].filter((each) => 'pool' in each).length;
  const ofActors = [now, next].filter(isOfActors).length;
  if (now.kind !== next.kind || pools === 1 || ofActors === 1)
    return [{ do: 'replace', unit, keys: ['kind'] }];
  if (ofActors === 2) return changesOfActors(now as ActorsChild, next as ActorsChild, unit);
  const keys = differentKeys(now, next);
  const how = keys.some((key) => startKeys.has(key)) ? 'restart' : 'change';
  const own: Change[] = keys.length > 0 ? [{ do: how, unit, keys }] : [];
  if (now.kind !== 'supervisor' || next.kind !== 'supervisor') return own;
  // The children of a pool are none of the file's business.
  if (pools === 2) return own;
  return [...own, ...changesBetween(now as SupervisorSpec, next as SupervisorSpec, unit)];
}

/** What is below it is none of the tree's units: it starts anew with other children. */
function changesOfActors(now: ActorsChild, next: ActorsChild, unit: string): Change[] {
  const children = textOf(now.children) === textOf(next.children) ? [] : ['children'];
  const keys = [...differentKeys(now, next), ...children];
  if (keys.length === 0) return [];
  return [{ do: keys.some((key) => actorsKeys.has(key)) ? 'restart' : 'change', unit, keys }];
}

function differentKeys(now: ChildSpec, next: ChildSpec): string[] {
  const keys = new Set([...Object.keys(now), ...Object.keys(next)]);
  keys.delete('children');
  keys.delete('added');
  const [one, other] = [now, next] as unknown as Record<string, unknown>[];
  return [...keys].filter((key) => textOf(one![key]) !== textOf(other![key]));
}

/** Machines and functions are the same if they are written the same: each loading of a file makes them anew. */
function textOf(value: unknown): string | undefined {
  return JSON.stringify(value, function (this: Record<string, unknown>, key, part) {
    if (typeof part === 'function') return String(part);
    // Before a machine has made plain data of itself, which leaves out what it does.
    const logic = this[key];
    if (typeof logic !== 'object' || logic === null || !('transition' in logic)) return part;
    const { config, implementations } = logic as { config?: unknown; implementations?: unknown };
    return { config, implementations };
  });
}

/**
 * Makes a spec in use what another one says. Supervisors below stay the objects that they are, with the children that they have.
 * @param keep children that stay as they are; those that `next` does not know stay in any case.
 */
export function takeOver(spec: SupervisorSpec, next: SupervisorSpec, keep: ReadonlySet<string>): void {
  const { children, ...rules } = next;
  const mine = spec.children as Record<string, ChildSpec>;
  const after = new Map<string, ChildSpec>();
  for (const [id, child] of Object.entries(children)) {
    const known = Object.hasOwn(mine, id) ? mine[id] : undefined;
    if (known && keep.has(id)) after.set(id, known);
    else if (known?.kind === 'supervisor' && child.kind === 'supervisor' && !isOfActors(child))
      after.set(id, Object.assign(known as Mutable<ChildSpec>, { ...child, children: known.children }));
    else after.set(id, child);
  }
  for (const [id, child] of Object.entries(mine)) {
    if (!after.has(id)) after.set(id, child);
    delete mine[id];
  }
  for (const [id, child] of after) mine[id] = child;
  const own = Object.fromEntries(supervisionKeys.map((key) => [key, rules[key]]));
  const added = spec.added?.filter((id) => !Object.hasOwn(children, id)) ?? [];
  Object.assign(spec as Mutable<SupervisorSpec>, own, { added });
}

/** A program has added a child. */
export function addChild(spec: SupervisorSpec, id: string, child: ChildSpec): void {
  (spec.children as Record<string, ChildSpec>)[id] = child;
  (spec as Mutable<SupervisorSpec>).added = [...(spec.added ?? []), id];
}

/** The spec knows that child no more. */
export function dropChild(spec: SupervisorSpec, id: string): void {
  delete (spec.children as Record<string, ChildSpec>)[id];
  if (spec.added) (spec as Mutable<SupervisorSpec>).added = spec.added.filter((other) => other !== id);
}
