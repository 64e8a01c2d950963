// Port: one end of a transport as driver and responder use it, the same for all transports that have an event loop.
import type { Message } from './payload.ts';

/** A promise if there is something to wait for, otherwise nothing: a promise per message would be a cost of its own. */
export type Awaitable = Promise<void> | undefined;

export interface Port {
  /** @returns what to wait for before sending again, if the transport is full. */
  send(message: Message): Awaitable;
  /** Hands on every message from now on; a port whose readers `await` waits for the handler too. */
  listen(handler: (message: unknown) => Awaitable): void;
}
