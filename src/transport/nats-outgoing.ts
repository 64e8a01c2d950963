// NATS outgoing: what this node publishes. The engine's core loses whatever is said while a socket is away and cuts whoever reads too
// slowly. So every message has a number of its topic; receivers say how far they are, the sender stays within a window of the slowest
// that still answers, and keeps what it has sent for those who miss it.
import { IpcError } from '../errors.ts';
import { natsKey } from '../spec/relay-nats.ts';
import { encodeFrame, type Frame, textOf, wholeOf } from './frame.ts';
import { idOf } from './nats-address.ts';
import type { NatsConnection } from './nats-connection.ts';

/** What may be on the way to a receiver, as on a link. */
const windowMax = { messages: 512, bytes: 4 * 1024 * 1024 } as const;
/** What is kept to be sent again, of a topic. */
export const keptMax = { messages: 1_024, bytes: 8 * 1024 * 1024 } as const;
/** What may wait for its turn, of all topics. */
const waitingMax = { messages: 8_192, bytes: 32 * 1024 * 1024 } as const;
export const topicsMax = 1_024;
const receiversMax = 1_024;
/** A receiver that says nothing for so long holds up nobody any more. */
const stuckMs = 3_000;
/** How long after its last message a topic is in the beats: whoever was away for less misses nothing. */
const beatForMs = 30_000;
const beatTopicsMax = 200;

/** How far a topic is: its name, the epoch of its numbers, the last number that was sent. */
export type TopicRow = readonly [topic: string, epoch: number, sent: number];

interface Kept {
  readonly bytes: Uint8Array;
  /** Bytes of the topic up to the end of this one. */
  readonly end: number;
}

interface Outgoing {
  readonly topic: string;
  readonly subject: string;
  /** Another one after the topic was forgotten, so that its numbers may start again. */
  readonly epoch: number;
  /** Messages `first` and following. */
  readonly kept: Kept[];
  first: number;
  end: number;
  sent: number;
  /** The server has taken all up to here. */
  flushed: number;
  lastAtMs: number;
  readonly receivers: Map<string, { got: number; atMs: number }>;
}

export class NatsOutgoing {
  readonly #link: NatsConnection;
  readonly #self: { readonly node: string; readonly id: string };
  readonly #topics = new Map<string, Outgoing>();
  #waiting = 0;
  #waitingBytes = 0;
  #unflushed = 0;
  #unflushedBytes = 0;
  #flushing = false;
  #epoch = 0;
  #closed = false;

  constructor(link: NatsConnection, self: { node: string; id: string }) {
    this.#link = link;
    this.#self = self;
  }

  /** @throws {IpcError} ERR_RELAY_FULL, ERR_MESSAGE_TOO_LARGE. */
  publish(topic: string, body: unknown): void {
    const outgoing = this.#topicOf(topic);
    const number = outgoing.first + outgoing.kept.length;
    const { id, node } = this.#self;
    // packPlain's result is the caller's own.
    const bytes = encodeFrame({ t: 'm', id, from: node, topic, e: outgoing.epoch, n: number, body });
    const max = this.#link.client.info?.max_payload ?? 1024 * 1024;
    if (bytes.length > max)
      throw IpcError.of('ERR_MESSAGE_TOO_LARGE', `a message of ${topic}`, bytes.length, max);
    if (this.#waiting >= waitingMax.messages || this.#waitingBytes + bytes.length > waitingMax.bytes)
      throw IpcError.of('ERR_RELAY_FULL', `a message of ${topic}`, 'what was sent before has not been taken');
    outgoing.end += bytes.length;
    outgoing.kept.push({ bytes, end: outgoing.end });
    outgoing.lastAtMs = performance.now();
    this.#waiting++;
    this.#waitingBytes += bytes.length;
    this.#pump(outgoing);
  }

  // ---- what receivers say

  /** Somebody has subscribed: it counts for the window from now on. @returns how far the topic is. */
  onSync(id: string, topic: string): TopicRow {
    const known = this.#topics.get(topic);
    const outgoing = known ?? (this.#topics.size < topicsMax ? this.#topicOf(topic) : undefined);
    if (outgoing && outgoing.receivers.size < receiversMax && !outgoing.receivers.has(id))
      outgoing.receivers.set(id, { got: outgoing.sent, atMs: performance.now() });
    return [topic, outgoing?.epoch ?? this.#epoch, outgoing?.sent ?? 0];
  }

  onGot(frame: Frame): void {
    const outgoing = this.#of(frame);
    const got = wholeOf(frame, 'got');
    if (!outgoing || got > outgoing.sent) return;
    const id = idOf(frame);
    if (!outgoing.receivers.has(id) && outgoing.receivers.size >= receiversMax) return;
    const known = outgoing.receivers.get(id)?.got ?? 0;
    outgoing.receivers.set(id, { got: Math.max(known, got), atMs: performance.now() });
    this.#pump(outgoing);
  }

  /** Sends again what a receiver misses, to it alone; what is not kept any more, it is told. */
  onAgain(frame: Frame): void {
    const outgoing = this.#of(frame);
    const id = idOf(frame);
    const from = wholeOf(frame, 'from');
    const to = wholeOf(frame, 'to');
    if (!outgoing) return;
    const { topic, subject, epoch, first, kept, sent } = outgoing;
    if (from < first)
      this.#link.say(id, {
        t: 'gone',
        id: this.#self.id,
        topic,
        e: epoch,
        to: Math.min(first - 1, to),
      });
    const last = Math.min(to, sent, from + windowMax.messages - 1);
    for (let n = Math.max(from, first); n <= last; n++)
      this.#link.send(`${subject}.${id}`, kept[n - first]!.bytes);
  }

  left(id: string, topic: string): void {
    this.#topics.get(topic)?.receivers.delete(id);
  }

  /** It holds up nobody any more. */
  gone(id: string): void {
    for (const outgoing of this.#topics.values()) if (outgoing.receivers.delete(id)) this.#pump(outgoing);
  }

  // ---- time

  /** Tries again, and says how far all topics are that were used lately. */
  beat(): void {
    const nowMs = performance.now();
    const recent = [...this.#topics.values()].filter(({ lastAtMs }) => nowMs - lastAtMs < beatForMs);
    for (const outgoing of recent) this.#pump(outgoing);
    for (let at = 0; at < recent.length; at += beatTopicsMax) {
      const topics = recent
        .slice(at, at + beatTopicsMax)
        .map(({ topic, epoch, sent }): TopicRow => [topic, epoch, sent]);
      this.#link.sayAll({ t: 'beat', id: this.#self.id, topics });
    }
  }

  onStatus(there: boolean): void {
    if (!there) return this.#rewind();
    for (const outgoing of this.#topics.values()) {
      for (const receiver of outgoing.receivers.values()) receiver.atMs = performance.now();
      this.#pump(outgoing);
    }
  }

  /** Tries to hand over what waits, for at most a moment. */
  async close(): Promise<void> {
    const untilMs = performance.now() + 1_000;
    while (this.#waiting > 0 && this.#link.there && performance.now() < untilMs) {
      for (const outgoing of this.#topics.values()) this.#pump(outgoing);
      await this.#link.flush().catch(() => undefined);
    }
    this.#closed = true;
  }

  // ---- the window

  #topicOf(topic: string): Outgoing {
    let outgoing = this.#topics.get(topic);
    if (outgoing) return outgoing;
    if (this.#topics.size >= topicsMax) {
      // The one that has been quiet longest and has nothing waiting.
      const quiet = [...this.#topics.values()]
        .filter((each) => each.flushed === lastOf(each))
        .sort((a, b) => a.lastAtMs - b.lastAtMs)[0];
      if (!quiet)
        throw IpcError.of('ERR_RELAY_FULL', `topic ${topic}`, `${topicsMax} topics wait to be sent`);
      this.#topics.delete(quiet.topic);
    }
    outgoing = {
      topic,
      subject: `evt.${natsKey(topic)}`,
      epoch: ++this.#epoch,
      kept: [],
      first: 1,
      end: 0,
      sent: 0,
      flushed: 0,
      lastAtMs: 0,
      receivers: new Map(),
    };
    this.#topics.set(topic, outgoing);
    return outgoing;
  }

  #of(frame: Frame): Outgoing | undefined {
    const outgoing = this.#topics.get(textOf(frame, 'topic', 255));
    return outgoing?.epoch === wholeOf(frame, 'e') ? outgoing : undefined;
  }

  #pump(outgoing: Outgoing): void {
    while (this.#link.there && !this.#closed && outgoing.sent < lastOf(outgoing) && this.#hasRoom(outgoing)) {
      const { bytes } = outgoing.kept[outgoing.sent + 1 - outgoing.first]!;
      this.#link.send(outgoing.subject, bytes);
      outgoing.sent++;
      this.#waiting--;
      this.#waitingBytes -= bytes.length;
      this.#unflushed++;
      this.#unflushedBytes += bytes.length;
    }
    trim(outgoing);
    void this.#flush();
  }

  #hasRoom(outgoing: Outgoing): boolean {
    if (this.#unflushed >= windowMax.messages || this.#unflushedBytes >= windowMax.bytes) return false;
    const nowMs = performance.now();
    let slowest = outgoing.sent;
    for (const [id, receiver] of outgoing.receivers) {
      if (receiver.got >= outgoing.sent) receiver.atMs = nowMs;
      else if (nowMs - receiver.atMs > stuckMs) outgoing.receivers.delete(id);
      else slowest = Math.min(slowest, receiver.got);
    }
    if (outgoing.sent - slowest >= windowMax.messages) return false;
    return endOf(outgoing, outgoing.sent) - endOf(outgoing, slowest) < windowMax.bytes;
  }

  /** The server's word that it has taken what was sent: without it, all of that is sent once more. */
  async #flush(): Promise<void> {
    if (this.#flushing || this.#unflushed === 0 || !this.#link.there) return;
    this.#flushing = true;
    const sent = [...this.#topics.values()].map((outgoing) => [outgoing, outgoing.sent] as const);
    const count = this.#unflushed;
    const bytes = this.#unflushedBytes;
    try {
      await this.#link.flush();
      for (const [outgoing, upTo] of sent)
        outgoing.flushed = Math.max(outgoing.flushed, Math.min(upTo, outgoing.sent));
      this.#unflushed = Math.max(0, this.#unflushed - count);
      this.#unflushedBytes = Math.max(0, this.#unflushedBytes - bytes);
    } catch {
      this.#rewind();
    } finally {
      this.#flushing = false;
    }
    if (!this.#closed && this.#link.there) for (const outgoing of this.#topics.values()) this.#pump(outgoing);
  }

  #rewind(): void {
    for (const outgoing of this.#topics.values()) {
      for (; outgoing.sent > outgoing.flushed; outgoing.sent--) {
        this.#waiting++;
        this.#waitingBytes += outgoing.kept[outgoing.sent - outgoing.first]!.bytes.length;
      }
    }
    this.#unflushed = 0;
    this.#unflushedBytes = 0;
  }
}

/** Lets go of what is kept beyond the bounds, some at once. */
function trim(outgoing: Outgoing): void {
  const { kept } = outgoing;
  let drop = 0;
  const total = kept.length > 0 ? kept.at(-1)!.end : 0;
  while (
    outgoing.first + drop <= outgoing.flushed &&
    (outgoing.flushed - outgoing.first - drop >= keptMax.messages || total - kept[drop]!.end > keptMax.bytes)
  )
    drop++;
  if (drop < 64 && drop < kept.length) return;
  kept.splice(0, drop);
  outgoing.first += drop;
}

function lastOf({ first, kept }: Outgoing): number {
  return first + kept.length - 1;
}

/** Bytes of the topic up to message `number`; of one that is no longer kept, up to the first that is. */
function endOf({ first, kept }: Outgoing, number: number): number {
  const one = kept[number - first];
  if (one) return one.end;
  return kept.length > 0 ? kept[0]!.end - kept[0]!.bytes.length : 0;
}
