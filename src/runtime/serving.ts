// Serving: what a program says when it serves an app, and what is made of it.
import type { AnyActorLogic } from 'xstate';
import type { SessionTuning } from '../actors/live-session.ts';
import { IpcError } from '../errors.ts';
import type { AppSpec } from '../spec/universe.ts';
import { BroadcastPublisher } from '../transport/broadcast-publisher.ts';

/** One machine for each client app that the server allows. */
export type MachinesByClient<A extends AppSpec> = {
  readonly [Client in A['allow'][number]]: AnyActorLogic;
};

/** Options of `serve`; docs/sessions.md has their defaults. */
export interface ServeOptions<A extends AppSpec = AppSpec> extends SessionTuning {
  /** Log-ins that may be under way at once; default 64. */
  pendingMax?: number;
  /**
   * Actor logic for client apps: one actor for all sessions of that app, which have it as `session.app`. It begins with the
   * first of them and ends with the server. Its input is `{ client, arena }`.
   */
  appScope?: { readonly [Client in A['allow'][number]]?: AnyActorLogic };
  /** Any JSON value up to 64 KiB that each client gets as `session.peer.metadata`. */
  metadata?: unknown;
}

export function machinesByClient(
  app: AppSpec,
  machine: AnyActorLogic | Record<string, AnyActorLogic>,
): Record<string, AnyActorLogic> {
  if (typeof (machine as AnyActorLogic).getInitialSnapshot === 'function')
    return Object.fromEntries(app.allow.map((client) => [client, machine as AnyActorLogic]));
  const machines = machine as Record<string, AnyActorLogic>;
  for (const client of Object.keys(machines))
    if (!app.allow.includes(client)) throw IpcError.of('ERR_APP_UNKNOWN', client);
  for (const client of app.allow)
    if (!machines[client])
      throw IpcError.of('ERR_CONFIGURATION', `app ${app.name} allows ${client}, but has no machine for it`);
  return machines;
}

export function checkAppScope(
  { allow }: AppSpec,
  logics: Readonly<Record<string, AnyActorLogic | undefined>>,
): Readonly<Record<string, AnyActorLogic>> {
  for (const client of Object.keys(logics))
    if (!allow.includes(client)) throw IpcError.of('ERR_APP_UNKNOWN', client);
  return logics as Readonly<Record<string, AnyActorLogic>>;
}

/** One segment per broadcast, for as long as this process serves the app. */
export function openBroadcasts(app: AppSpec): Record<string, BroadcastPublisher> {
  const publishers: Record<string, BroadcastPublisher> = {};
  try {
    for (const [name, spec] of Object.entries(app.broadcasts))
      publishers[name] = new BroadcastPublisher(name, spec);
  } catch (error) {
    closeBroadcasts(publishers);
    throw error;
  }
  return publishers;
}

export function closeBroadcasts(publishers: Readonly<Record<string, BroadcastPublisher>>): void {
  for (const publisher of Object.values(publishers))
    publisher.finish(IpcError.of('ERR_CHANNEL_CLOSED', publisher.name));
}
