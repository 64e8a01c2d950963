// Chart: what a machine's configuration says about itself, for tests that hold all machines to the same rules.
import type { AnyStateMachine, AnyStateNode } from 'xstate';

/** All state nodes below the root, in document order. */
export function stateNodes(machine: AnyStateMachine): AnyStateNode[] {
  const below = (node: AnyStateNode): AnyStateNode[] =>
    Object.values(node.states).flatMap((child) => [child, ...below(child)]);
  return below(machine.root);
}

/** The path of a state within its machine, or within a region of it: names joined by dots. */
export function pathWithin(node: AnyStateNode, region = ''): string {
  const path = node.path.join('.');
  return region === '' ? path : path.slice(region.length + 1);
}

/** The paths of all states in which a machine can rest: no children, and not left at once. */
export function leafStates(machine: AnyStateMachine, region = ''): string[] {
  return stateNodes(machine)
    .filter((node) => region === '' || node.path[0] === region)
    .filter((node) => Object.keys(node.states).length === 0 && node.path.join('.') !== region)
    .filter((node) => !isChooser(node))
    .map((node) => pathWithin(node, region));
}

/** Whether a state is left as soon as it is entered, whatever the guards say. */
export function isChooser(node: AnyStateNode): boolean {
  return node.always?.some(({ guard }) => guard === undefined) ?? false;
}

/** The types of the events that come from outside. */
export function ownEvents(machine: AnyStateMachine): string[] {
  return machine.events.filter((type) => !type.startsWith('xstate.'));
}

/** The effects that are only placeholders: those that throw until they are provided. */
export function placeholders(machine: AnyStateMachine): { actions: string[]; actors: string[] } {
  const { actions, actors } = machine.implementations;
  return {
    actions: Object.keys(actions).filter((name) => isPlaceholder(machine, name, actions[name])),
    // A callback's logic keeps the callback as its configuration.
    actors: Object.keys(actors).filter((name) =>
      isPlaceholder(machine, name, (actors[name] as { config?: unknown }).config),
    ),
  };
}

/** The message of the error with which a placeholder answers. */
export function placeholderMessage(machine: AnyStateMachine, name: string): string {
  return `machine ${machine.id} needs its effect ${name}`;
}

function isPlaceholder(machine: AnyStateMachine, name: string, implementation: unknown): boolean {
  // XState's own actions (assign, sendTo) are functions with a type.
  if (typeof implementation !== 'function' || 'type' in implementation) return false;
  try {
    implementation();
    return false;
  } catch (error) {
    return error instanceof Error && error.message === placeholderMessage(machine, name);
  }
}
