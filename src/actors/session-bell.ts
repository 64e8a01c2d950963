// Session bell: what each side is woken by. An eventfd can be read by all who hold it, so one goes only to a peer of the same
// user. Another peer gets none, and rings by a byte on the session's socket, which nobody else can take out of it.
import { takeFds } from '../transport/packet-socket.ts';

/** What a peer of that user gets of a link's offer. */
export function descriptorsFor(peerUid: number, [segment, bell]: [segment: number, bell: number]): number[] {
  return peerUid === process.getuid!() ? [segment, bell] : [segment];
}

/** Takes the peer's segment, and its bell if it hands one over. @throws if there are other descriptors. */
export function takeOffer(fds: number[], what: string): number[] {
  return takeFds(fds, fds.length === 1 ? 1 : 2, what);
}
