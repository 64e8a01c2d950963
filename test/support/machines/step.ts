// Step: one event taken by a machine as a pure function, with what it would do, in words that a table can hold.
import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  type EventFromLogic,
  type InputFrom,
  initialTransition,
  type SnapshotFrom,
  type StateValue,
  transition,
} from 'xstate';

/** An action of the machine's own by its name, `send <child>`, `invoke <child>` or `stop <child>`; then what it is given. */
export type Effect = readonly [name: string, params?: unknown];

export interface Step<M extends AnyStateMachine> {
  readonly state: SnapshotFrom<M>;
  readonly effects: readonly Effect[];
}

/** The machine's first step. */
export function begin<M extends AnyStateMachine>(machine: M, input: InputFrom<M>): Step<M> {
  const [state, actions] = initialTransition<AnyStateMachine>(machine, input);
  return { state: state as SnapshotFrom<M>, effects: effectsOf(actions) };
}

export function take<M extends AnyStateMachine>(
  machine: M,
  state: SnapshotFrom<M>,
  event: EventFromLogic<M> | AfterEvent,
): Step<M> {
  const [next, actions] = transition<AnyStateMachine>(machine, state, event);
  return { state: next as SnapshotFrom<M>, effects: effectsOf(actions) };
}

/** The state after those events. */
export function after<M extends AnyStateMachine>(
  machine: M,
  input: InputFrom<M>,
  events: readonly (EventFromLogic<M> | AfterEvent)[],
): SnapshotFrom<M> {
  let { state } = begin(machine, input);
  for (const event of events) ({ state } = take(machine, state, event));
  return state;
}

/** What XState sends itself when a delay has passed. */
export interface AfterEvent {
  readonly type: `xstate.after.${string}`;
}

/** That delay has passed for that state. */
export function elapsed(delay: string, stateId: string): AfterEvent {
  return { type: `xstate.after.${delay}.${stateId}` };
}

/** The innermost active state, as names joined by dots; for parallel states, each region's, joined by ` + `. */
export function pathOf(value: StateValue): string {
  if (typeof value === 'string') return value;
  const regions = Object.entries(value).map(([name, inner]) => join(name, pathOf(inner!)));
  return regions.join(' + ');
}

/** The same of a snapshot. */
export function stateOf(snapshot: AnyMachineSnapshot): string {
  return pathOf(snapshot.value);
}

function join(name: string, inner: string): string {
  return inner === '' ? name : `${name}.${inner}`;
}

interface Action {
  readonly type: string;
  readonly params?: unknown;
}

function effectsOf(actions: readonly Action[]): Effect[] {
  return actions.flatMap(({ type, params }): Effect[] => {
    const facts = params as Record<string, unknown> | undefined;
    switch (type) {
      // Timers: what they do is seen in simulated time.
      case 'xstate.raise':
      case 'xstate.cancel':
        return [];
      case 'xstate.sendTo':
        return [[`send ${String(facts!.targetId)}`, facts!.event]];
      case 'xstate.spawnChild':
        return [[`invoke ${String(facts!.id)}`, facts!.input]];
      case 'xstate.stopChild':
        return [['stop child']];
      default:
        return [params === undefined ? [type] : [type, params]];
    }
  });
}
