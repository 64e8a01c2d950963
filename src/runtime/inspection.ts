// Inspection: follows one actor, and those that XState runs inside it, while somebody watches, by XState's inspection, and
// tells them as records of the feed. That costs as much as the transitions themselves.
import type { Actor, ActorRefLike, AnyActorLogic, InspectionEvent } from 'xstate';
import { type Address, addressOf } from '../names.ts';
import { type FeedRecord, momentMs, type StateValue } from './feed.ts';

/** Who is told, and knows the charts. */
export interface Watch {
  tell(record: FeedRecord): void;
  /** The hash of the chart of that logic, told before; null for logic that is no machine. */
  chartOf(logic: AnyActorLogic): string | null;
}

/** An actor as XState has it. */
type Ref = ActorRefLike & { readonly id?: string; getSnapshot(): unknown };

/** What is known of one inside. */
interface Inner {
  readonly ref: Ref;
  readonly address: Address;
  steps: { event: string; from: string; to: string[] }[];
  actions: string[];
  told: boolean;
}

/** Deeper ones are not shown: who spawns without end would fill every watcher. */
const depthMax = 8;

/** Follows an actor. @returns how to stop. */
export function inspect(actor: Actor<AnyActorLogic>, address: Address, watch: Watch): () => void {
  const following = new Following(actor, address, watch);
  const { unsubscribe } = actor.system.inspect((inspected: InspectionEvent) => following.hear(inspected));
  return unsubscribe;
}

/** Records of all that XState runs inside an actor now. */
export function* insideOf(
  actor: Ref,
  address: Address,
  watch: Pick<Watch, 'chartOf'>,
  depth = 0,
): Iterable<FeedRecord> {
  if (depth === depthMax) return;
  for (const [id, ref] of Object.entries(childrenOf(actor))) {
    if (ref === undefined) continue;
    const inner = addressOf(address, id);
    yield innerRecord(ref, inner, watch.chartOf);
    yield* insideOf(ref, inner, watch, depth + 1);
  }
}

/** The one at an address below `actor`; undefined if there is none. */
export function innerAt(actor: Ref, path: readonly string[]): Ref | undefined {
  let at: Ref | undefined = actor;
  for (const id of path) {
    if (at === undefined) return undefined;
    const children = childrenOf(at);
    at = Object.hasOwn(children, id) ? children[id] : undefined;
  }
  return at;
}

class Following {
  readonly #actor: Actor<AnyActorLogic>;
  readonly #address: Address;
  readonly #watch: Watch;
  readonly #inner = new Map<object, Inner>();

  constructor(actor: Actor<AnyActorLogic>, address: Address, watch: Watch) {
    this.#actor = actor;
    this.#address = address;
    this.#watch = watch;
    this.#inner.set(actor, { ref: actor, address, steps: [], actions: [], told: true });
    this.#know(actor, address, 0);
  }

  hear(inspected: InspectionEvent): void {
    // Before it has a place in the tree; those that never start are never seen.
    if (inspected.type === '@xstate.actor') return;
    if (inspected.type === '@xstate.event') return this.#onEvent(inspected);
    const inner = this.#innerOf(inspected.actorRef as Ref);
    switch (inspected.type) {
      case '@xstate.action':
        inner.actions.push(inspected.action.type);
        return;
      case '@xstate.microstep':
        inner.steps.push(...stepsOf(inspected));
        return;
      case '@xstate.snapshot':
        return this.#onSnapshot(inner, inspected.event.type, inspected.snapshot);
    }
  }

  /** Whom it is for need not be an actor: it is not kept. */
  #onEvent({ actorRef, sourceRef, event }: Extract<InspectionEvent, { type: '@xstate.event' }>): void {
    this.#watch.tell({
      k: 'send',
      at: momentMs(),
      from: sourceRef ? this.#addressOf(sourceRef as Ref) : null,
      to: this.#addressOf(actorRef as Ref),
      event: event.type,
    });
  }

  #onSnapshot(inner: Inner, event: string, snapshot: object): void {
    const { steps, actions, ref, address } = inner;
    inner.steps = [];
    inner.actions = [];
    const at = momentMs();
    const state = stateOf(snapshot);
    this.#forgetGone(inner);
    if (!inner.told) {
      inner.told = true;
      this.#watch.tell({ ...innerRecord(ref, address, (logic) => this.#watch.chartOf(logic)), ...state });
    }
    const idle = steps.length === 0 && actions.length === 0;
    // That it is there, and where it began, has been told.
    if (!idle || event !== 'xstate.init') {
      if (idle && isMachine(ref)) this.#watch.tell({ k: 'ignored', at, actor: address, event });
      else this.#watch.tell({ k: 'transition', at, actor: address, event, ...state, steps, actions });
    }
    // The host tells of the end of its own.
    if (ref !== this.#actor && state.status !== 'active') this.#end(inner, state.status);
  }

  #end(inner: Inner, status: string): void {
    if (!this.#inner.delete(inner.ref) || !inner.told) return;
    const how = status === 'done' ? 'done' : status === 'error' ? 'crashed' : 'stopped';
    this.#watch.tell({ k: 'stop', at: momentMs(), actor: inner.address, how });
  }

  /** XState says nothing when it stops one; it is no child any more. */
  #forgetGone({ ref: parent }: Inner): void {
    if (this.#inner.size === 1) return;
    const present = new Set<unknown>(Object.values(childrenOf(parent)));
    for (const inner of [...this.#inner.values()])
      if ((inner.ref as { _parent?: unknown })._parent === parent && !present.has(inner.ref) && inner.told)
        this.#end(inner, 'stopped');
  }

  #innerOf(ref: Ref): Inner {
    const known = this.#inner.get(ref);
    if (known) return known;
    const inner = { ref, address: this.#addressOf(ref), steps: [], actions: [], told: false };
    this.#inner.set(ref, inner);
    return inner;
  }

  #addressOf(ref: Ref): Address {
    const known = this.#inner.get(ref);
    if (known) return known.address;
    const parent = (ref as { _parent?: Ref })._parent;
    const above = parent && this.#addressOf(parent);
    return addressOf(above ?? this.#address, 'id' in ref ? String(ref.id) : '?');
  }

  /** Those that are there already have been told in the dump. */
  #know(actor: Ref, address: Address, depth: number): void {
    if (depth === depthMax) return;
    for (const [id, ref] of Object.entries(childrenOf(actor))) {
      if (ref === undefined) continue;
      const inner = addressOf(address, id);
      this.#inner.set(ref, { ref, address: inner, steps: [], actions: [], told: true });
      this.#know(ref, inner, depth + 1);
    }
  }
}

function innerRecord(ref: Ref, actor: Address, chartOf: Watch['chartOf']): FeedRecord & { k: 'actor' } {
  const { logic } = ref as { logic?: AnyActorLogic };
  const chart = logic ? chartOf(logic) : null;
  return { k: 'actor', at: momentMs(), actor, chart, ...stateOf(ref.getSnapshot() as object) };
}

function childrenOf(actor: Ref): Record<string, Ref | undefined> {
  return (actor.getSnapshot() as { children?: Record<string, Ref> } | undefined)?.children ?? {};
}

function isMachine(ref: Ref): boolean {
  const { logic } = ref as { logic?: object };
  return logic !== undefined && 'config' in logic && 'root' in logic;
}

/** By convention, a machine that waits says for what in `waitsFor` of its context. */
export function stateOf(
  snapshot: { status?: string; value?: unknown; context?: { waitsFor?: unknown } } | undefined,
): { value: StateValue | null; status: string; waitsFor?: string } {
  const waitsFor = snapshot?.context?.waitsFor;
  return {
    value: (snapshot?.value as StateValue) ?? null,
    status: snapshot?.status ?? 'active',
    ...(typeof waitsFor === 'string' && { waitsFor }),
  };
}

function stepsOf(inspected: InspectionEvent): { event: string; from: string; to: string[] }[] {
  const { _transitions: taken, event } = inspected as unknown as {
    _transitions: { source: { id: string }; target?: { id: string }[] }[];
    event: { type: string };
  };
  return taken.map(({ source, target }) => ({
    event: event.type,
    from: source.id,
    to: (target ?? []).map(({ id }) => id),
  }));
}
