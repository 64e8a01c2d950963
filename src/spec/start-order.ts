// Start order: what the gates between siblings mean for the order in which they can start.
import { DepGraph, DepGraphCycleError } from 'dependency-graph';
import { orders, type SupervisorSpec } from './child.ts';

/** Children by the order in which they can start: those that nothing holds back first. REQUIRES: no circle. */
export function startOrder(spec: SupervisorSpec): string[] {
  return graphOf(spec).overallOrder();
}

/** Children that wait for each other for ever, as a path that ends where it begins; undefined if there are none. */
export function circleIn(spec: SupervisorSpec): string[] | undefined {
  try {
    graphOf(spec).overallOrder();
    return undefined;
  } catch (error) {
    if (error instanceof DepGraphCycleError) return error.cyclePath;
    throw error;
  }
}

function graphOf(spec: SupervisorSpec): DepGraph<undefined> {
  const graph = new DepGraph<undefined>();
  for (const id of Object.keys(spec.children)) graph.addNode(id);
  for (const [id, { dependsOn }] of Object.entries(spec.children))
    for (const [parent, edge] of Object.entries(dependsOn))
      if (parent !== id && orders(edge) && graph.hasNode(parent)) graph.addDependency(id, parent);
  return graph;
}
