// Statechart: a machine's configuration, as a record brings it, as a tree of states and a list of arrows. Ids and targets are
// resolved as XState does, so that the ids of a transition record are the ids here. What a peer wrote is input: what is not
// understood is left out.

export type StateKind = 'atomic' | 'compound' | 'parallel' | 'final' | 'history';

export interface ChartState {
  readonly id: string;
  readonly key: string;
  readonly kind: StateKind;
  readonly depth: number;
  readonly parent: ChartState | null;
  readonly children: readonly ChartState[];
  /** The id of the state that is entered first; of a compound state only. */
  readonly initial: string | null;
  readonly description: string | null;
  readonly tags: readonly string[];
  /** What the state does, one line each: `entry / x`, `invoke y`, and events that are taken without leaving it. */
  readonly lines: readonly StateLine[];
}

export interface StateLine {
  readonly what: 'entry' | 'exit' | 'invoke' | 'event';
  readonly text: string;
  /** Of an event: its type, so that the line can be marked when it was taken. */
  readonly event: string | null;
}

export interface ChartTransition {
  /** As XState names it: `xstate.after.stopTimeout.unit.stopping` is `after stopTimeout` for a reader. */
  readonly event: string;
  readonly label: string;
  readonly guard: string | null;
  readonly actions: readonly string[];
}

/** All transitions that lead from one state to the same other. */
export interface ChartArrow {
  readonly id: string;
  readonly from: ChartState;
  readonly to: ChartState;
  readonly transitions: readonly ChartTransition[];
}

export interface Statechart {
  readonly root: ChartState;
  readonly states: ReadonlyMap<string, ChartState>;
  readonly arrows: readonly ChartArrow[];
}

type Plain = Record<string, unknown>;

interface Draft extends ChartState {
  readonly children: Draft[];
  readonly lines: StateLine[];
  readonly parent: Draft | null;
  readonly config: Plain;
}

/** A chart nobody can read is not worth more. */
const statesMax = 2_000;
const depthMax = 24;

/** @returns null if that is no machine. */
export function readStatechart(chart: unknown): Statechart | null {
  if (!isPlain(chart)) return null;
  const states = new Map<string, Draft>();
  const machine = typeof chart.id === 'string' ? chart.id : '(machine)';
  const root = draft(chart, machine, [], null, states, machine);
  const arrows = new Map<string, ChartArrow & { transitions: ChartTransition[] }>();
  for (const state of states.values()) readTransitions(state, machine, states, arrows);
  return { root, states, arrows: [...arrows.values()] };
}

function draft(
  config: Plain,
  key: string,
  path: readonly string[],
  parent: Draft | null,
  states: Map<string, Draft>,
  machine: string,
): Draft {
  const inner = isPlain(config.states) ? Object.entries(config.states) : [];
  const id = typeof config.id === 'string' ? config.id : [machine, ...path].join('.');
  const state: Draft = {
    id,
    key,
    kind: kindOf(config, inner.length > 0),
    depth: path.length,
    parent,
    children: [],
    initial: null,
    description: typeof config.description === 'string' ? config.description : null,
    tags: listOf(config.tags).filter((tag) => typeof tag === 'string'),
    lines: linesOf(config),
    config,
  };
  states.set(id, state);
  for (const [name, child] of inner)
    if (isPlain(child) && states.size < statesMax && path.length < depthMax)
      state.children.push(draft(child, name, [...path, name], state, states, machine));
  if (state.kind === 'compound') {
    const initial = isPlain(config.initial) ? listOf(config.initial.target)[0] : config.initial;
    const first = state.children.find(({ key: name }) => name === initial) ?? state.children[0];
    (state as { initial: string | null }).initial = first?.id ?? null;
  }
  return state;
}

function kindOf(config: Plain, hasStates: boolean): StateKind {
  const { type } = config;
  if (type === 'parallel' || type === 'final' || type === 'history') return type;
  return hasStates ? 'compound' : 'atomic';
}

function linesOf(config: Plain): StateLine[] {
  const line = (what: StateLine['what'], text: string): StateLine => ({ what, text, event: null });
  return [
    ...listOf(config.invoke)
      .filter(isPlain)
      .map((each) => line('invoke', nameOf(each.src) ?? nameOf(each.id) ?? 'actor')),
    ...actionsOf(config.entry).map((name) => line('entry', name)),
    ...actionsOf(config.exit).map((name) => line('exit', name)),
  ];
}

function readTransitions(
  state: Draft,
  machine: string,
  states: Map<string, Draft>,
  arrows: Map<string, ChartArrow & { transitions: ChartTransition[] }>,
): void {
  for (const { event, label, config } of transitionsOf(state)) {
    const transition: ChartTransition = {
      event,
      label,
      guard: isPlain(config) ? nameOf(config.guard) : null,
      actions: isPlain(config) ? actionsOf(config.actions) : [],
    };
    const targets = isPlain(config) ? listOf(config.target) : [config];
    const found = targets.flatMap((target) =>
      typeof target === 'string' ? (resolve(target, state, machine, states) ?? []) : [],
    );
    if (found.length === 0) {
      // Taken without leaving the state. Without an action it says that the event is known and changes nothing.
      const what = transition.actions.length > 0 ? ` / ${transition.actions.join(', ')}` : '';
      const guard = transition.guard ? ` [${transition.guard}]` : '';
      state.lines.push({ what: 'event', text: `${label}${guard}${what}`, event });
      continue;
    }
    for (const to of found) {
      const id = `${state.id} -> ${to.id}`;
      const arrow = arrows.get(id);
      if (arrow) arrow.transitions.push(transition);
      else arrows.set(id, { id, from: state, to, transitions: [transition] });
    }
  }
}

interface RawTransition {
  readonly event: string;
  readonly label: string;
  readonly config: unknown;
}

function transitionsOf({ id, config, kind }: Draft): RawTransition[] {
  const each = (event: string, label: string, configs: unknown): RawTransition[] =>
    listOf(configs).map((one) => ({ event, label, config: one }));
  const found: RawTransition[] = [];
  if (isPlain(config.on))
    for (const [event, configs] of Object.entries(config.on)) found.push(...each(event, event, configs));
  found.push(...each('', 'always', config.always));
  if (isPlain(config.after))
    for (const [delay, configs] of Object.entries(config.after)) {
      const words = /^\d+$/.test(delay) ? `after ${delay} ms` : `after ${delay}`;
      found.push(...each(`xstate.after.${delay}.${id}`, words, configs));
    }
  found.push(...each(`xstate.done.state.${id}`, 'done', config.onDone));
  listOf(config.invoke).forEach((invoke, index) => {
    if (!isPlain(invoke)) return;
    const name = typeof invoke.id === 'string' ? invoke.id : `${index}.${id}`;
    const source = nameOf(invoke.src) ?? name;
    found.push(...each(`xstate.done.actor.${name}`, `${source} done`, invoke.onDone));
    found.push(...each(`xstate.error.actor.${name}`, `${source} failed`, invoke.onError));
    found.push(...each(`xstate.snapshot.${name}`, `${source} changed`, invoke.onSnapshot));
  });
  if (kind === 'history') found.push(...each('', 'default', config.target));
  return found;
}

/** `#id`, `#id.path`, `.child`, `sibling`, `sibling.child`. */
function resolve(
  target: string,
  from: Draft,
  machine: string,
  states: ReadonlyMap<string, Draft>,
): Draft | undefined {
  if (target.startsWith('#')) {
    const name = target.slice(1);
    const known = states.get(name);
    if (known) return known;
    const [first, ...path] = name.split('.');
    return descend(states.get(first === machine ? machine : (first ?? '')), path);
  }
  if (target.startsWith('.')) return descend(from, target.slice(1).split('.'));
  return descend(from.parent ?? from, target.split('.'));
}

function descend(from: Draft | undefined, path: readonly string[]): Draft | undefined {
  return path.reduce<Draft | undefined>((at, key) => at?.children.find((child) => child.key === key), from);
}

function actionsOf(actions: unknown): string[] {
  return listOf(actions).flatMap((action) => nameOf(action) ?? []);
}

/** A guard, an action or an actor: by its name, or as an object with a type. */
function nameOf(value: unknown): string | null {
  if (typeof value === 'string') return value === '' ? null : value;
  if (isPlain(value) && typeof value.type === 'string') return value.type;
  return null;
}

function listOf(value: unknown): unknown[] {
  if (value === undefined || value === null) return [];
  return Array.isArray(value) ? value : [value];
}

function isPlain(value: unknown): value is Plain {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
