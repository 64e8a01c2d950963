// Channel target: a channel as the target of a machine's `sendTo`.
import type { ActorRef, EventObject, Snapshot } from 'xstate';
import { IpcError } from '../errors.ts';
import type { Channel } from '../spec/channel.ts';
import type { ChannelEnd } from '../transport/channel-end.ts';

type MessageOf<C> = C extends Channel<infer Out, infer _In, infer _R> ? Out : never;
type EventsOf<C> = Extract<MessageOf<C>, EventObject>;

/**
 * The channel as a target of XState's `sendTo`: the event is the message. What finds no room follows as soon as there is
 * some; a channel that has ended takes nothing, its session tells of the end. A message that can't be sent at all is an error
 * of the machine.
 */
export function channelTarget<C extends Pick<Channel<never>, 'name'>>(
  channel: C,
): ActorRef<Snapshot<unknown>, EventsOf<C>> {
  const end = channel as unknown as ChannelEnd;
  const send = (event: EventObject) => {
    try {
      end.post(event);
    } catch (error) {
      const ended = error instanceof IpcError && error.fatalTo === 'channel';
      if (!ended) throw error;
    }
  };
  // What sendTo asks of its target, and what inspectors show of it.
  const target = { id: end.name, sessionId: `channel:${end.name}`, send, _send: send };
  return target as unknown as ActorRef<Snapshot<unknown>, EventsOf<C>>;
}
