// Session bell: what each side is woken by. An eventfd can be read by all who hold it, so one goes only to a peer of the same
// user. Another peer gets none, and rings by a byte on the session's socket, which nobody else can take out of it.
import { takeFds } from '../transport/packet-socket.ts';

/** What a peer of that user gets of a link's offer. */
export function descriptorsFor(peerUid: number, [segment, bell]: [segment: number, bell: number]): number[] {
  return peerUid === process.getuid!() ? [segment, bell] : [segment];
}

/** Takes the segment of a server of that user, and its bell if it is ours. @throws if there are other descriptors. */
export function takeOffer(fds: number[], what: string, peerUid: number): number[] {
  return takeFds(fds, peerUid === process.getuid!() ? 2 : 1, what);
}

/** The same of a client, who can't know yet whether we are who it takes us for. */
export function takeClientOffer(fds: number[], what: string): number[] {
  return takeFds(fds, fds.length === 1 ? 1 : 2, what);
}
