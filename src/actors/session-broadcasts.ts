// Session broadcasts: the reading ends at the client, and at the server who reads.
import { IpcError } from '../errors.ts';
import { addressOf } from '../names.ts';
import type { BroadcastPublisher } from '../transport/broadcast-publisher.ts';
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
import { startSubscription } from './subscription.ts';

export function makeSubscriptions(live: Live): void {
  const { host, options } = live;
  const { server } = options;
  for (const [name, spec] of Object.entries(server.broadcasts)) {
    const running = startSubscription(host, {
      // A channel may have the same name.
      address: addressOf(options.address, 'broadcast', name),
      name,
      options: spec,
      link: live.link!,
      lane: broadcastLane(server, name),
      ask: (number) => tell(live, subscribeFrame(name, number)),
      leave: () => tell(live, unsubscribeFrame(name)),
      onBroken: (why) => live.hosted!.post({ type: 'protocol.violated', why }),
      errorOf: () => live.error,
    });
    live.readings.push(running);
    live.subscriptions[name] = running.end;
    if (live.peer?.host !== undefined)
      running.end.finish(IpcError.of('ERR_NOT_ACROSS', `broadcast ${name}`, live.peer.host));
  }
}

/** To a server that is still there. */
function tell(live: Live, frame: Frame): void {
  if (!live.over && live.peer?.host === undefined) live.socket!.send(frame);
}

/** At the server: lets the client read. */
export function onSubscribe(live: Live, frame: Frame): void {
  const { broadcast, number } = parseSubscribe(frame);
  const publisher = publisherOf(live, broadcast);
  // A session that has ended reads nothing; its memory may be gone.
  if (live.over) return;
  const lane = broadcastLane(live.options.server, broadcast);
  const { bytes, fd, place } = publisher.admit(live.link!, lane, number, () => warnOfDrop(live, broadcast));
  live.socket!.send(subscribedFrame(broadcast, { number, bytes, place }), [fd]);
}

function warnOfDrop({ host, options, peer }: Live, broadcast: string): void {
  const { name, broadcasts } = options.server;
  const { slowAfterMs } = broadcasts[broadcast]!;
  host.log.warn(
    { app: name, broadcast, reader: peer!.app, pid: peer!.pid, slowAfterMs },
    `broadcast ${broadcast} dropped its reader ${peer!.app} (process ${peer!.pid}), which held it up for ${slowAfterMs} ms`,
  );
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

/** At the server: this session holds up no broadcast from now on. */
export function leaveBroadcasts(live: Live): void {
  if (live.over || !live.link) return;
  live.over = true;
  for (const publisher of Object.values(live.publishers)) publisher.leave(live.link);
}
