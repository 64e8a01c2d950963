// The checks of gates: what each child waits for must be there, and must be able to come about.
import { nearest } from '../names.ts';
import { type ChildSpec, edgeOf, hostConditions, isOfActors, orders, type SupervisorSpec } from './child.ts';
import { circleIn } from './start-order.ts';

export function checkGates(spec: SupervisorSpec, path: string, mistakes: string[]): void {
  const ids = Object.keys(spec.children);
  for (const [id, child] of Object.entries(spec.children)) {
    for (const [parent, edge] of Object.entries(child.dependsOn)) {
      const { state: wanted } = edgeOf(edge);
      const at = `${path}.${id}.dependsOn.${parent}`;
      const other = Object.hasOwn(spec.children, parent) ? spec.children[parent] : undefined;
      if (parent === id) mistakes.push(`${at}: a child can't depend on itself`);
      else if (!other)
        mistakes.push(`${at}: no sibling has that name${hint(parent, ids)}; there are ${ids.join(', ')}`);
      else if (!orders(edge)) continue;
      else if (wanted === 'completed' && other.restart === 'permanent')
        mistakes.push(
          `${at}: ${parent} never completes, since its restart type is permanent; make it transient or temporary`,
        );
      else if (!isReported(other, wanted))
        mistakes.push(
          other.kind === 'exec'
            ? `${at}: ${parent} is a plain program and reports no state ${wanted}; use started, ready or completed`
            : `${at}: ${parent} is a supervisor and reports no state ${wanted}; use operative, degraded, started, ready or completed`,
        );
    }
    if (child.kind === 'supervisor' && !isOfActors(child))
      checkGates(child, `${path}.${id}.children`, mistakes);
  }
  const circle = circleIn(spec);
  if (circle) mistakes.push(`${path}: children depend on each other in a circle: ${circle.join(' -> ')}`);
}

/** Whether a child of that kind can ever be in that state. */
function isReported({ kind }: ChildSpec, wanted: string): boolean {
  const known: readonly string[] =
    kind === 'exec' ? ['operative'] : kind === 'supervisor' ? ['operative', 'degraded'] : [wanted];
  return known.includes(wanted) || (hostConditions as readonly string[]).includes(wanted);
}

function hint(word: string, known: Iterable<string>): string {
  const near = nearest(word, known);
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}
