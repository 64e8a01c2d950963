// Session broadcasts: the reading ends at the client, and at the server who reads.
import { IpcError } from '../errors.ts';
import type { BroadcastPublisher } from '../transport/broadcast-publisher.ts';
import { BroadcastSubscription } from '../transport/broadcast-subscription.ts';
import type { Frame } from '../transport/frame.ts';
import { native } from '../transport/native.ts';
import type { Live } from './live-session.ts';
import {
  parseSubscribe,
  parseSubscribed,
  subscribedFrame,
  subscribeFrame,
  unsubscribeFrame,
} from './session-frame.ts';
import { broadcastLane } from './session-lanes.ts';

export function makeSubscriptions(live: Live): void {
  const { server } = live.options;
  for (const [name, spec] of Object.entries(server.broadcasts))
    live.subscriptions[name] = new BroadcastSubscription(
      name,
      spec,
      live.link!,
      broadcastLane(server, name),
      {
        ask: (number) => live.socket!.send(subscribeFrame(name, number)),
        leave: () => live.socket!.send(unsubscribeFrame(name)),
        broken: (why) => live.hosted!.post({ type: 'protocol.violated', why }),
      },
    );
}

/** At the server: lets the client read. */
export function onSubscribe(live: Live, frame: Frame): void {
  const { broadcast, number } = parseSubscribe(frame);
  const publisher = publisherOf(live, broadcast);
  // A session that has ended reads nothing; its memory may be gone.
  if (live.over) return;
  const lane = broadcastLane(live.options.server, broadcast);
  const { bytes, fd, place } = publisher.admit(live.link!, lane, number);
  live.socket!.send(subscribedFrame(broadcast, { number, bytes, place }), [fd]);
}

export function leaveBroadcast(live: Live, name: string): void {
  const publisher = publisherOf(live, name);
  if (!live.over) publisher.leave(live.link!);
}

function publisherOf({ publishers }: Live, name: string): BroadcastPublisher {
  if (!Object.hasOwn(publishers, name)) throw new Error(`there is no broadcast ${name} to read`);
  return publishers[name]!;
}

/** At the client: the server's answer. */
export function onSubscribed(live: Live, frame: Frame, fd: number): void {
  let taken = false;
  try {
    const { broadcast, ...accepted } = parseSubscribed(frame);
    if (!Object.hasOwn(live.subscriptions, broadcast)) throw new Error(`nobody reads broadcast ${broadcast}`);
    taken = true;
    live.subscriptions[broadcast]!.accept(accepted, fd);
  } finally {
    if (!taken) native().closeFd(fd);
  }
}

export function closeSubscription(subscription: BroadcastSubscription): void {
  subscription.unsubscribe();
  subscription.finish(IpcError.of('ERR_CHANNEL_CLOSED', subscription.name));
}

/** At the server: this session holds up no broadcast from now on. */
export function leaveBroadcasts(live: Live): void {
  if (live.over || !live.link) return;
  live.over = true;
  for (const publisher of Object.values(live.publishers)) publisher.leave(live.link);
}
