// Feed source: a child's records on their way to the root, for as long as somebody watches there. They travel in shared
// memory beside the control socket. What finds no room waits here, bounded; what must not be missed is told anew if too much
// of it has piled up.
import type { Address } from '../names.ts';
import { ChannelEnd } from '../transport/channel-end.ts';
import { type FeedLinkOffer, feedLane, openFeedLink } from '../transport/feed-link.ts';
import type { Link } from '../transport/link.ts';
import { type Feed, type FeedRecord, momentMs } from './feed.ts';
import { droppedRecord, RecordQueue } from './record-queue.ts';

/** Records are sent together this often; a page that shows them is not drawn more often either. */
const flushMs = 50;
const batchMax = 100;
/** So many don't wait for the next round: a turn that makes thousands of them would lose those that the ring has room for. */
const flushAt = 1_000;
/** Finding out where actors are means to go through all of them. */
const anewMs = 1_000;

export class FeedSource {
  readonly #feed: Feed;
  readonly #link: Link;
  readonly #channel: ChannelEnd;
  readonly #timer: NodeJS.Timeout;
  readonly #queue = new RecordQueue({
    onDropped: (record) => {
      if (record.k === 'transition') this.#outdated.add(record.actor);
    },
  });
  /** Actors of which a transition was left out: it may have been their last for a long time. */
  readonly #outdated = new Set<Address>();
  #anewAtMs = 0;
  #unwatch: () => void = () => {};
  /** The root reads what stands in shared memory after our end. */
  readonly #last = () => this.#flush();

  /** Takes over the root's descriptors. @throws {IpcError} ERR_MEMORY, ERR_SYSTEM. */
  constructor(feed: Feed, theirs: FeedLinkOffer) {
    this.#feed = feed;
    this.#link = openFeedLink();
    this.#link.attach(theirs.segmentBytes, theirs.segmentFd, theirs.bellFd);
    this.#channel = new ChannelEnd('feed', feedLane, this.#link, 0, { peerEnded() {}, broken() {} });
    this.#channel.openForUse();
    this.#begin();
    this.#timer = setInterval(() => this.#flush(), flushMs);
    this.#timer.unref();
    process.on('exit', this.#last);
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
    this.#flush();
    process.off('exit', this.#last);
    clearInterval(this.#timer);
    this.#unwatch();
    this.#link.close();
  }

  /** All that there is, then all that happens. */
  #begin(): void {
    this.#queue.push({ k: 'reset', at: momentMs() });
    this.#unwatch = this.#feed.watch((record) => {
      this.#queue.push(record);
      // After a crash the process may end at once.
      if ((record.k === 'crash' || this.#queue.length === flushAt) && !this.#queue.overrun) this.#flush();
    });
    this.#outdated.clear();
    // However many actors there are: they are not what has piled up.
    this.#queue.allow(this.#queue.length);
  }

  #flush(): void {
    if (this.#queue.overrun) {
      this.#queue.clear();
      this.#unwatch();
      this.#begin();
    }
    const dropped = this.#queue.takeDropped();
    if (dropped > 0 && !this.#channel.trySend([droppedRecord(dropped)]))
      return this.#queue.countDropped(dropped);
    while (this.#queue.length > 0) {
      const batch = this.#queue.take(batchMax);
      const sent = this.#send(batch);
      if (sent < batch.length) return this.#queue.putBack(batch.slice(sent));
    }
    this.#tellOutdated();
  }

  /** Nobody may take for the present what was only the last that found room. */
  #tellOutdated(): void {
    if (this.#outdated.size === 0 || performance.now() < this.#anewAtMs) return;
    this.#anewAtMs = performance.now() + anewMs;
    for (const record of this.#feed.stateOf(this.#outdated)) this.#queue.push(record);
    this.#outdated.clear();
  }

  /** Answers how many are done with: fewer than all if there is no room now. */
  #send(batch: FeedRecord[]): number {
    try {
      return this.#channel.trySend(batch) ? batch.length : 0;
    } catch {
      // One of them can't be sent: it is larger than the ring.
      for (let i = 0; i < batch.length; i++) if (!this.#sendAlone(batch[i]!)) return i;
      return batch.length;
    }
  }

  #sendAlone(record: FeedRecord): boolean {
    try {
      return this.#channel.trySend([record]);
    } catch {
      this.#queue.countDropped(1);
      return true;
    }
  }
}
