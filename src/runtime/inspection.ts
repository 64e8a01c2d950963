// Inspection: follows one actor while somebody watches, by XState's inspection, and tells it as records of the feed. That costs as
// much as the transitions themselves.
import type { Actor, AnyActorLogic, InspectionEvent } from 'xstate';
import type { Address } from '../names.ts';
import type { FeedRecord, StateValue } from './feed.ts';

/** @param isMachine whether it has states, so that an event which changes nothing was ignored. @returns how to stop. */
export function inspect(
  actor: Actor<AnyActorLogic>,
  address: Address,
  isMachine: boolean,
  tell: (record: FeedRecord) => void,
): () => void {
  const addressIn = (ref: object) => (ref === actor ? address : `${address}/${idOf(ref)}`) as Address;
  let actions: string[] = [];
  let steps: { event: string; from: string; to: string[] }[] = [];
  const { unsubscribe } = actor.system.inspect((inspected: InspectionEvent) => {
    if (inspected.type === '@xstate.event') {
      const to = addressIn(inspected.actorRef);
      const from = inspected.sourceRef ? addressIn(inspected.sourceRef) : null;
      tell({ k: 'send', at: Date.now(), from, to, event: inspected.event.type });
    }
    if (inspected.actorRef !== actor) return;
    if (inspected.type === '@xstate.action') actions.push(inspected.action.type);
    else if (inspected.type === '@xstate.microstep') steps.push(...stepsOf(inspected));
    else if (inspected.type === '@xstate.snapshot') {
      const event = inspected.event.type;
      const idle = steps.length === 0 && actions.length === 0;
      // That it is there, and where it began, has been told.
      if (idle && event === 'xstate.init') return;
      if (idle && isMachine) tell({ k: 'ignored', at: Date.now(), actor: address, event });
      else
        tell({
          k: 'transition',
          at: Date.now(),
          actor: address,
          event,
          ...stateOf(inspected.snapshot),
          steps,
          actions,
        });
      actions = [];
      steps = [];
    }
  });
  return unsubscribe;
}

/** By convention, a machine that waits says for what in `waitsFor` of its context. */
export function stateOf(snapshot: { status?: string; value?: unknown; context?: { waitsFor?: unknown } }): {
  value: StateValue | null;
  status: string;
  waitsFor?: string;
} {
  const waitsFor = snapshot?.context?.waitsFor;
  return {
    value: (snapshot?.value as StateValue) ?? null,
    status: snapshot?.status ?? 'active',
    ...(typeof waitsFor === 'string' && { waitsFor }),
  };
}

function idOf(actor: object): string {
  return 'id' in actor ? String(actor.id) : '?';
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
