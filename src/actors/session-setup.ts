// Session setup: XState's `setup` with the events of a session, and the session itself for invoked actors.
import {
  type ActionFunction,
  type ActorLogic,
  type AnyActorLogic,
  type DelayConfig,
  type EventObject,
  type MachineContext,
  type MetaObject,
  type NonReducibleUnknown,
  type ParameterizedObject,
  type SetupReturn,
  setup,
  type UnknownActorLogic,
  type Values,
} from 'xstate';
import type { GuardPredicate } from 'xstate/guards';
import { IpcError } from '../errors.ts';
import type { Side } from '../spec/peer.ts';
import type { Session } from '../spec/session.ts';
import type { SessionEvent, SessionInput } from '../spec/session-event.ts';
import type { AppSpec } from '../spec/universe.ts';
import { sessionOfActor } from './app-session.ts';

type ParamsMap = Record<string, ParameterizedObject['params'] | undefined>;
type ToParameterized<M extends ParamsMap> = Values<{
  [K in keyof M as K & string]: { type: K & string; params: M[K] };
}>;
type ToProvided<A extends Record<string, UnknownActorLogic>> = Values<{
  [K in keyof A as K & string]: { src: K & string; logic: A[K]; id: string | undefined };
}>;

/** What an actor that is invoked by a session's machine finds in its input, besides what the machine gives it. */
export interface WithSession<A extends AppSpec, S extends Side> {
  readonly session: Session<A, S>;
}

/** Any logic that takes the session in its input. ActorLogic is invariant in the rest, so only `any` stands for "any". */
// biome-ignore lint/suspicious/noExplicitAny: as in XState's own AnyActorLogic, of which this is the one with a known input
type SessionActor<A extends AppSpec, S extends Side> = ActorLogic<any, any, WithSession<A, S>, any, any>;

/** The same logic as the machine that invokes it sees it: the session is not its to give. */
type Given<L> =
  L extends ActorLogic<infer Snapshot, infer Event, infer Input, infer System, infer Emitted>
    ? ActorLogic<
        Snapshot,
        Event,
        keyof Omit<Input, 'session'> extends never ? NonReducibleUnknown : Omit<Input, 'session'>,
        System,
        Emitted
      >
    : never;
type AllGiven<T> = { [K in keyof T]: Given<T[K]> };

/** The options of `sessionSetup`: those of XState's `setup`, but for the events and the input, which a session decides. */
export interface SessionSetup<
  A extends AppSpec,
  S extends Side,
  Context extends MachineContext,
  Actors extends Record<string, SessionActor<A, S>>,
  Actions extends ParamsMap,
  Guards extends ParamsMap,
  Delay extends string,
  Tag extends string,
  Output,
  Emitted extends EventObject,
> {
  types?: { context?: Context; tags?: Tag; output?: Output; emitted?: Emitted };
  actors?: Actors;
  actions?: {
    [K in keyof Actions]: ActionFunction<
      Context,
      SessionEvent<A, S>,
      SessionEvent<A, S>,
      Actions[K],
      ToProvided<AllGiven<Actors>>,
      ToParameterized<Actions>,
      ToParameterized<Guards>,
      Delay,
      Emitted
    >;
  };
  guards?: {
    [K in keyof Guards]: GuardPredicate<Context, SessionEvent<A, S>, Guards[K], ToParameterized<Guards>>;
  };
  delays?: {
    [K in Delay]: DelayConfig<
      Context,
      SessionEvent<A, S>,
      ToParameterized<Actions>['params'],
      SessionEvent<A, S>
    >;
  };
}

/**
 * Prepares a machine for the sessions of an app, seen from one side. Its events are typed by the universe; an invoked actor
 * finds the session as `input.session`, an action by `sessionOf(app, self)`. The machine's input is `{ peer }`.
 */
export function sessionSetup<
  A extends AppSpec,
  S extends Side,
  Context extends MachineContext = Record<never, never>,
  Actors extends Record<string, SessionActor<A, S>> = Record<never, never>,
  Actions extends ParamsMap = Record<never, never>,
  Guards extends ParamsMap = Record<never, never>,
  Delay extends string = never,
  Tag extends string = string,
  Output extends NonReducibleUnknown = NonReducibleUnknown,
  Emitted extends EventObject = EventObject,
>(
  _app: A,
  _side: S,
  options: SessionSetup<A, S, Context, Actors, Actions, Guards, Delay, Tag, Output, Emitted> = {},
): SetupReturn<
  Context,
  SessionEvent<A, S>,
  AllGiven<Actors>,
  Record<never, never>,
  Actions,
  Guards,
  Delay,
  Tag,
  SessionInput,
  Output,
  Emitted,
  MetaObject
> {
  const { types: _, actors = {}, ...rest } = options;
  const given = Object.fromEntries(
    Object.entries(actors).map(([name, logic]) => [name, withSession(logic as AnyActorLogic)]),
  );
  return setup({ ...rest, actors: given } as never) as never;
}

/** The logic as it is, with the session of whoever starts it in its input. */
function withSession(logic: AnyActorLogic): AnyActorLogic {
  return {
    ...logic,
    getInitialSnapshot(scope, input) {
      const given = { ...input };
      // Looked up when it is used: XState makes the actors of an initial state before its machine is known to anybody.
      // Not enumerable: what is shown, logged or persisted of the input stays plain data.
      Object.defineProperty(given, 'session', { get: () => sessionOfActor(scope.self), enumerable: false });
      return logic.getInitialSnapshot(scope, given);
    },
  };
}

/** The side that a session's machine is on, as its events tell. */
type SideOf<Self> = Self extends { send(event: infer E): void }
  ? Extract<E, { type: 'session.closed' }> extends { side: infer S extends Side }
    ? S
    : Side
  : Side;

/**
 * The session of an actor: of a session's machine (`self` in its actions), or of what that has invoked.
 * @throws {IpcError} ERR_SESSION_CLOSED if the actor belongs to no session.
 */
export function sessionOf<A extends AppSpec, Self extends object>(
  app: A,
  self: Self,
): Session<A, SideOf<Self>> {
  const session = sessionOfActor(self);
  if (!session) throw IpcError.of('ERR_SESSION_CLOSED', app.name);
  return session as never;
}
