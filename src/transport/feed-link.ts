// Feed link: the shared memory in which a child's records travel to the root. One lane; the root's own stays empty.
import { type ChannelOptions, channelDefaults } from '../spec/channel-spec.ts';
import { type Frame, wholeOf } from './frame.ts';
import { Link } from './link.ts';
import { takeFds } from './packet-socket.ts';

const capacityBytes = 512 * 1024;

export const feedLane: ChannelOptions = {
  ...channelDefaults,
  capacityBytes,
  maxMessageBytes: capacityBytes / 2 - 8,
  maxLoans: 0,
  maxBorrows: 0,
  open: 'init',
  maxOpen: 1,
};

/** What one side hands to the other: its memory and its bell. */
export interface FeedLinkOffer {
  readonly segmentBytes: number;
  readonly segmentFd: number;
  readonly bellFd: number;
}

/** Nobody waits for a record: the link never spins. */
export function openFeedLink(): Link {
  return new Link([capacityBytes], 0);
}

/** The offer in a frame. @throws an Error if it makes no sense; the descriptors are closed then. */
export function offerIn(frame: Frame, fds: number[]): FeedLinkOffer {
  const [segmentFd, bellFd] = takeFds(fds, 2, frame.t) as [number, number];
  return { segmentBytes: wholeOf(frame, 'segmentBytes'), segmentFd, bellFd };
}
