// Unit place: where a unit stands in its topology, by its address.
import type { Address } from '../names.ts';
import type { ChildSpec, SupervisorSpec } from '../spec/child.ts';

/** What the topology says about a unit. */
export function childOf(topology: SupervisorSpec, unit: Address): ChildSpec | undefined {
  const [, ...path] = unit.split('/');
  let child: ChildSpec | undefined;
  let { children } = topology;
  for (const id of path) {
    child = Object.hasOwn(children, id) ? children[id] : undefined;
    if (!child) return undefined;
    children = child.kind === 'supervisor' ? child.children : {};
  }
  return child;
}

/** A unit's path below the root. */
export function nameOf(unit: string): string {
  return unit.slice(unit.indexOf('/') + 1);
}
