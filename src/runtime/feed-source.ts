// Feed source: a child's records on their way to the root, for as long as somebody watches there. They travel in shared
// memory beside the control socket. What finds no room waits here, bounded: the oldest of what can be missed goes first, and
// how much is gone is told.
import { ChannelEnd } from '../transport/channel-end.ts';
import { type FeedLinkOffer, feedLane, openFeedLink } from '../transport/feed-link.ts';
import type { Link } from '../transport/link.ts';
import type { Feed, FeedRecord } from './feed.ts';

/** Records are sent together this often; a page that shows them is not drawn more often either. */
const flushMs = 50;
const waitingMax = 2_000;
const batchMax = 100;

/** Without these a watcher could not draw what it sees. */
const kept: ReadonlySet<FeedRecord['k']> = new Set(['chart', 'actor', 'crash', 'stop', 'report', 'dropped']);

export class FeedSource {
  readonly #link: Link;
  readonly #channel: ChannelEnd;
  readonly #timer: NodeJS.Timeout;
  readonly #unwatch: () => void;
  #waiting: FeedRecord[] = [];
  #dropped = 0;

  /** Takes over the root's descriptors. @throws {IpcError} ERR_MEMORY, ERR_SYSTEM. */
  constructor(feed: Feed, theirs: FeedLinkOffer) {
    this.#link = openFeedLink();
    this.#link.attach(theirs.segmentBytes, theirs.segmentFd, theirs.bellFd);
    this.#channel = new ChannelEnd('feed', feedLane, this.#link, 0, { peerEnded() {}, broken() {} });
    this.#channel.openForUse();
    this.#unwatch = feed.watch((record) => this.#take(record));
    this.#timer = setInterval(() => this.#flush(), flushMs);
    this.#timer.unref();
    this.#flush();
  }

  /** For the root. */
  get offer(): { bytes: number; fds: [segment: number, bell: number] } {
    return this.#link.offer;
  }

  /** Begins to listen, once the root has our descriptors. */
  start(): void {
    this.#link.start([this.#channel]);
  }

  close(): void {
    clearInterval(this.#timer);
    this.#unwatch();
    this.#link.close();
  }

  #take(record: FeedRecord): void {
    this.#waiting.push(record);
    if (this.#waiting.length <= waitingMax) return;
    const at = this.#waiting.findIndex(({ k }) => !kept.has(k));
    this.#waiting.splice(Math.max(0, at), 1);
    this.#dropped++;
  }

  #flush(): void {
    if (this.#dropped > 0) {
      this.#waiting.push({ k: 'dropped', at: Date.now(), count: this.#dropped });
      this.#dropped = 0;
    }
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, batchMax);
      if (!this.#send(batch)) return;
      this.#waiting.splice(0, batch.length);
    }
  }

  /** Answers false if there is no room now. A record that can't be sent at all (larger than the ring) is left out. */
  #send(batch: FeedRecord[]): boolean {
    try {
      return this.#channel.trySend(batch);
    } catch {
      if (batch.length > 1) return batch.every((record) => this.#send([record]));
      this.#dropped++;
      return true;
    }
  }
}
