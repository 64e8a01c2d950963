// Session figures: how much has gone through the channels of all sessions of a host, for whoever looks at the tree. Nothing
// is counted for it that is not counted anyway, and nothing is added up before somebody asks.
import type { ChannelEnd } from '../transport/channel-end.ts';
import type { Host } from './hosting.ts';

/** One channel of all sessions with one app. */
export interface ChannelCount {
  /** The app at the other side. */
  readonly peer: string;
  readonly channel: string;
  /** How many sessions with that app have it open. */
  readonly open: number;
  /** Messages since those sessions began. */
  readonly sent: number;
  readonly received: number;
  /** Messages that the overflow policy dropped. */
  readonly dropped: number;
  /** Bytes that the peers have not taken. */
  readonly unreadBytes: number;
}

/** A program has few apps and few channels; what has more is cut here. */
export const channelCountsMax = 200;

/** A session, as far as its figures go. */
interface Counted {
  readonly peer: { readonly app: string } | undefined;
  readonly channels: readonly { readonly end: Pick<ChannelEnd, 'name' | 'stats'> }[];
}

const sessions = new WeakMap<Host, Set<Counted>>();

/** Counts the session from now on. */
export function countSession(host: Host, session: Counted): void {
  const known = sessions.get(host) ?? new Set();
  known.add(session);
  sessions.set(host, known);
}

/** Its figures go with it. */
export function forgetSession(host: Host, session: Counted): void {
  sessions.get(host)?.delete(session);
}

/** The sums of all sessions that are open now, by app and channel. */
export function channelCounts(host: Host): ChannelCount[] {
  const sums = new Map<string, { -readonly [K in keyof ChannelCount]: ChannelCount[K] }>();
  for (const { peer, channels } of sessions.get(host) ?? [])
    for (const { end } of channels) {
      const app = peer?.app ?? '';
      const key = `${app} ${end.name}`;
      let sum = sums.get(key);
      if (!sum) {
        if (sums.size === channelCountsMax) continue;
        sum = { peer: app, channel: end.name, open: 0, sent: 0, received: 0, dropped: 0, unreadBytes: 0 };
        sums.set(key, sum);
      }
      const { sent, received, dropped, unreadBytes } = end.stats();
      sum.open++;
      sum.sent += sent;
      sum.received += received;
      sum.dropped += dropped;
      sum.unreadBytes += unreadBytes;
    }
  return [...sums.values()];
}
