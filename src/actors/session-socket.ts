// Session socket: what an open session hears from its socket.
import { messageOf } from '../errors.ts';
import type { Frame } from '../transport/frame.ts';
import type { SegmentOffer } from '../transport/lent-memory.ts';
import type { SocketEnd } from '../transport/native.ts';
import { closeAll, takeFds } from '../transport/packet-socket.ts';
import type { SessionMemory } from '../transport/session-memory.ts';
import type { Live } from './live-session.ts';
import { leaveBroadcast, onSubscribe, onSubscribed } from './session-broadcasts.ts';
import {
  parseGoodbye,
  parseHandle,
  parseLost,
  parseMemory,
  parseSegmentReplaced,
  parseStalled,
  parseUnsubscribe,
  segmentRefusedFrame,
} from './session-frame.ts';

/** From now on frames are those of an open session. */
export function listenOpen(live: Live): void {
  live.socket!.listen({
    frame: (frame, fds) => onOpenFrame(live, frame, fds),
    // A flood of rings asks for one look at the lanes in each turn of the event loop.
    rung: () => live.link?.again(),
    ended: (end, why) => onSocketEnd(live, end, why),
  });
}

function onOpenFrame(live: Live, frame: Frame, fds: number[]): void {
  if (frame.t === 'memory' && live.memory) {
    const [fd] = takeFds(fds, 1, 'memory') as [number];
    return receiveMemory(live, live.memory, frame, fd);
  }
  if (frame.t === 'handle') return receiveHandle(live, frame, takeFds(fds, 1, frame.t)[0]!);
  if (frame.t === 'subscribed') return onSubscribed(live, frame, takeFds(fds, 1, frame.t)[0]!);
  if (frame.t === 'segment.replaced') return refuseSegment(live, frame, fds);
  closeAll(fds);
  if (frame.t === 'lost') return live.hosted!.post(parseLost(frame));
  if (frame.t === 'stalled') {
    const ms = parseStalled(frame);
    return live.hosted!.post(ms > 0 ? { type: 'peer.stalled', ms } : { type: 'peer.resumed' });
  }
  if (frame.t === 'subscribe') return onSubscribe(live, frame);
  if (frame.t === 'unsubscribe') return leaveBroadcast(live, parseUnsubscribe(frame));
  if (live.offers?.take(frame)) return;
  if (frame.t !== 'goodbye') throw new Error(`a frame of unknown type ${frame.t}`);
  goodbye(live, frame);
}

function refuseSegment(live: Live, frame: Frame, fds: number[]): void {
  closeAll(takeFds(fds, 2, frame.t));
  parseSegmentReplaced(frame);
  live.socket!.send(segmentRefusedFrame);
}

function receiveMemory(live: Live, memory: SessionMemory, frame: Frame, fd: number): void {
  let offer: SegmentOffer;
  try {
    offer = parseMemory(frame);
  } catch (error) {
    closeAll([fd]);
    throw error;
  }
  try {
    memory.receive(offer, fd);
  } catch (error) {
    live.hosted!.post({ type: 'memory.violated', why: messageOf(error) });
  }
}

/** A descriptor for a message, which may have come already or not. */
function receiveHandle({ byLane }: Live, frame: Frame, fd: number): void {
  let taken = false;
  try {
    const { lane, number } = parseHandle(frame);
    const end = byLane.get(lane);
    if (!end) throw new Error(`a handle for lane ${lane}, which no channel has`);
    taken = true;
    end.receiveHandle(number, fd);
  } finally {
    if (!taken) closeAll([fd]);
  }
}

export function goodbye(live: Live, frame: Frame): void {
  live.hosted!.post({ type: 'peer.goodbye', why: parseGoodbye(frame) });
}

export function onSocketEnd(live: Live, end: SocketEnd, why: string): void {
  const type = end === 'CLOSED' ? 'peer.closed' : end === 'BAD_PACKET' ? 'protocol.violated' : 'peer.reset';
  live.hosted!.post({ type, why });
}
