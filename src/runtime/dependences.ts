// Dependences: the edges between the units of a running tree, and whether each lets its unit start now.
import { gateOf } from '../machines/gate.ts';
import type { SupervisorContext } from '../machines/supervisor.ts';
import { seen } from '../machines/supervisor-context.ts';
import { type Address, addressOf } from '../names.ts';
import { type EdgeMode, edgeOf, isOfActors, type SupervisorSpec } from '../spec/child.ts';

export interface Dependence {
  /** Paths below the root. */
  readonly unit: string;
  readonly on: string;
  readonly state: string;
  readonly mode: EdgeMode;
  readonly gate: 'open' | 'closed' | 'barred';
}

const words = { 'gate.opened': 'open', 'gate.closed': 'closed', 'gate.barred': 'barred' } as const;

/** @param contextOf the context of the supervisor machine at an address. */
export function dependencesOf(
  topology: SupervisorSpec & { readonly name: string },
  contextOf: (address: Address) => SupervisorContext | undefined,
): Dependence[] {
  return edgesIn(topology, addressOf(topology.name), addressOf('supervisor'), '', contextOf);
}

function edgesIn(
  spec: SupervisorSpec,
  path: Address,
  supervisor: Address,
  prefix: string,
  contextOf: (address: Address) => SupervisorContext | undefined,
): Dependence[] {
  const context = contextOf(supervisor);
  const units = context ? seen(context) : {};
  return Object.entries(spec.children).flatMap(([id, child]) => {
    const view = units[id];
    const edges = Object.entries(child.dependsOn).map(([on, wanted]) => {
      const { state, mode } = edgeOf(wanted);
      const alone = view && { ...view, policy: { ...view.policy, dependsOn: { [on]: wanted } } };
      const gate = alone ? words[gateOf(alone, units).type] : 'closed';
      return { unit: `${prefix}${id}`, on: `${prefix}${on}`, state, mode, gate };
    });
    if (child.kind !== 'supervisor' || isOfActors(child)) return edges;
    const below = addressOf(path, id);
    return [...edges, ...edgesIn(child, below, addressOf(below, 'supervisor'), `${prefix}${id}/`, contextOf)];
  });
}
