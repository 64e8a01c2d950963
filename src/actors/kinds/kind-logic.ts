// Kind logic: a session kind as XState runs it. Each event is a message for the inbox, but for `stop`, `close` and those
// that begin with `kind.`.
import type { ActorLogic, AnyActorLogic, AnyEventObject, EmittedFrom, EventObject, OutputFrom } from 'xstate';
import { type AnySystem, KindRun, type KindSpec } from './kind-run.ts';
import type { KindSnapshot } from './kind-snapshot.ts';

/** What a kind's function says about itself in the type of its `io`. */
export interface KindTypes {
  messages?: EventObject;
  input?: unknown;
  emitted?: EventObject;
  /** A Session; of any app and side, which no one type can say. */
  session?: object;
}

export type MessagesOf<T extends KindTypes> = T extends { messages: infer M extends EventObject }
  ? M
  : AnyEventObject;
export type InputOf<T extends KindTypes> = T extends { input: infer I } ? I : unknown;
export type EmittedOf<T extends KindTypes> = T extends { emitted: infer E extends EventObject }
  ? E
  : EventObject;

/** What every kind takes besides its messages: `stop` asks it to end, `close` says that nothing more will come. */
export type KindEvent = { type: 'stop' } | { type: 'close' };

/** What a service takes and gives. */
export interface Served<Request = never, Reply = never, Item = never> {
  readonly request: Request;
  readonly reply: Reply;
  readonly item: Item;
}

declare const types: unique symbol;

/** Logic of a session kind. */
export interface KindLogic<M extends EventObject, I, O, E extends EventObject = EventObject, S = Served>
  extends ActorLogic<KindSnapshot<O>, M | KindEvent, I, AnySystem, E> {
  /** The events of a session that go to its inbox. */
  readonly events: readonly string[];
  readonly kindName: string;
  readonly [types]?: { readonly message: M; readonly served: S };
}

type TypesOf<L> = L extends { readonly [types]?: infer T } ? NonNullable<T> : never;
/** The messages that a kind takes; of other logic its events. */
export type MessageOf<L extends AnyActorLogic> = [TypesOf<L>] extends [never]
  ? AnyEventObject
  : TypesOf<L> extends { readonly message: infer M extends EventObject }
    ? M
    : never;
type ServedOf<L> = TypesOf<L> extends { readonly served: infer S } ? S : never;
export type RequestOf<L> = ServedOf<L> extends Served<infer Q, infer _R, infer _I> ? Q : never;
export type ReplyOf<L> = ServedOf<L> extends Served<infer _Q, infer R, infer _I> ? R : never;
export type ItemOf<L> = ServedOf<L> extends Served<infer _Q, infer _R, infer I> ? I : never;
export type ResultOf<L extends AnyActorLogic> = OutputFrom<L>;
export type EmissionOf<L extends AnyActorLogic> = EmittedFrom<L>;

/** The logic that runs a kind's function. */
export function kindLogic(spec: KindSpec): AnyActorLogic {
  const logic: ActorLogic<KindSnapshot<unknown>, AnyEventObject, unknown, AnySystem, EventObject> = {
    getInitialSnapshot: (scope, input) => new KindRun(spec, scope as never, input).snapshot,
    start: (_, scope) => runOf(scope).start(),
    transition(_, event, scope) {
      const run = runOf(scope);
      if (event.type === 'xstate.stop') run.stopped();
      else if (event.type === 'stop') run.stop();
      else if (event.type === 'close') run.closeInput();
      else if (event.type === 'session.closed' || event.type === 'session.hosed') run.sessionEnded(event);
      // Of its own life: there to be seen by those who watch.
      else if (!event.type.startsWith('kind.')) run.deliver(event);
      return run.snapshot;
    },
    // What waits can't be taken up elsewhere; what is kept is for people.
    getPersistedSnapshot: ({ status, output, error, input, value, context }) =>
      ({ status, output, error, input, value, context: { ...context } }) as never,
  };
  return Object.assign(logic, { events: spec.options.events ?? [], kindName: spec.name }) as AnyActorLogic;
}

function runOf({ self }: { self: object }): KindRun {
  return KindRun.of(self);
}
