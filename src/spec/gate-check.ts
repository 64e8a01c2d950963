// The checks of gates: what each child waits for must be there, and must be able to come about.
import { nearest, stateMatches } from '../names.ts';
import {
  type ActorSource,
  type ActorSpec,
  type ChildSpec,
  type Edge,
  edgeOf,
  hostConditions,
  isOfActors,
  orders,
  type SupervisorSpec,
  type Wanted,
} from './child.ts';
import { circleIn } from './start-order.ts';

/** Also completes what one edge means for the other unit, or for an actor that has no state of that name. */
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
      else if (edgeOf(edge).mode === 'conflicts') makeMutual(id, other, at, mistakes);
      else if (!orders(edge)) continue;
      else if (other.kind === 'actor' && wanted === 'operative' && !statesOf(other.source).includes(wanted))
        setEdge(child, parent, { ...edgeOf(edge), state: 'ready' });
      else if (wanted === 'completed' && other.restart === 'permanent')
        mistakes.push(
          `${at}: ${parent} never completes, since its restart type is permanent; make it transient or temporary`,
        );
      else if (other.kind === 'actor' && !isStateOf(other, wanted))
        mistakes.push(
          `${at}: the machine of ${parent} has no state or tag ${wanted}${hint(wanted, statesOf(other.source))}; use ${[...statesOf(other.source), ...hostConditions].join(', ')}`,
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

/** Two units that can't stand each other, whoever of them says so. */
function makeMutual(id: string, other: ChildSpec, at: string, mistakes: string[]): void {
  const back = Object.hasOwn(other.dependsOn, id) ? edgeOf(other.dependsOn[id]!) : undefined;
  if (!back) setEdge(other, id, { state: 'ready', mode: 'conflicts' });
  else if (back.mode !== 'conflicts')
    mistakes.push(`${at}: that one depends on ${id}, so they can't conflict`);
}

function setEdge({ dependsOn }: ChildSpec, id: string, edge: Edge): void {
  (dependsOn as Record<string, Wanted>)[id] = edge.mode === 'requires' ? edge.state : edge;
}

/** Whether a child of that kind can ever be in that state. */
function isReported(child: ChildSpec, wanted: string): boolean {
  const { kind } = child;
  const known: readonly string[] =
    kind === 'exec'
      ? ['operative', ...Object.keys(child.states)]
      : kind === 'supervisor'
        ? ['operative', 'degraded']
        : [wanted];
  return (
    known.some((state) => stateMatches(state, wanted)) ||
    (hostConditions as readonly string[]).includes(wanted)
  );
}

/** An actor of which nothing is known before it runs may have any state. */
function isStateOf({ source }: ActorSpec, wanted: string): boolean {
  const known = statesOf(source);
  return known.length === 0 || [...hostConditions, 'operative', ...known].includes(wanted);
}

interface StateNode {
  readonly states?: Readonly<Record<string, StateNode>>;
  readonly tags?: readonly string[];
}

/** The paths and tags of all states of a machine; none of what is not one. */
function statesOf(source: ActorSource): string[] {
  const { root } = source as { root?: StateNode };
  const found = new Set<string>();
  const visit = (node: StateNode, path: string): void => {
    for (const tag of node.tags ?? []) found.add(tag);
    for (const [key, below] of Object.entries(node.states ?? {})) {
      const at = path === '' ? key : `${path}.${key}`;
      found.add(at);
      visit(below, at);
    }
  };
  if (root) visit(root, '');
  return [...found];
}

function hint(word: string, known: Iterable<string>): string {
  const near = nearest(word, known);
  return near === undefined ? '' : ` (did you mean ${near}?)`;
}
