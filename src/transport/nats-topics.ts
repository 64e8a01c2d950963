// NATS topics: publish and subscribe above the engine's core, which loses whatever is said while a socket is away and cuts whoever
// reads too slowly. So every message has a number of its sender and topic; receivers say how far they are, and the sender stays
// within a window of the slowest that still answers; what is missing is asked for and sent again as long as it is kept. What can't
// be had any more is counted and told.
import { IpcError } from '../errors.ts';
import type { RelayHold, RelayListener, SubscribeOptions } from '../spec/relay.ts';
import { decodeFrame, encodeFrame, type Frame, textOf, wholeOf } from './frame.ts';
import { type NatsConnection, natsKey } from './nats-connection.ts';

/** What may be on the way to a receiver, as on a link. */
const windowMax = { messages: 512, bytes: 4 * 1024 * 1024 } as const;
/** What is kept to be sent again, of a topic. */
const keptMax = { messages: 1_024, bytes: 8 * 1024 * 1024 } as const;
/** What may wait for its turn, of all topics. */
const waitingMax = { messages: 8_192, bytes: 32 * 1024 * 1024 } as const;
const topicsMax = 1_024;
const sendersMax = 1_024;
/** A receiver says how far it is after so many messages, or so much later. */
const confirmAfter = { messages: 64, ms: 50 } as const;
/** A receiver that says nothing for so long holds up nobody any more. */
const stuckMs = 3_000;
const beatMs = 1_000;
/** How long after its last message a topic is in the beats: whoever was away for less misses nothing. */
const beatForMs = 30_000;
const beatTopicsMax = 200;
const askAgainMs = 250;
const asksMax = 4;
const introductionMs = 500;

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

interface Incoming {
  readonly sender: string;
  readonly epoch: number;
  got: number;
  confirmed: number;
  readonly held: Map<number, { body: unknown; from: string }>;
  heldBytes: number;
  asks: number;
  askTimer: NodeJS.Timeout | undefined;
  confirmTimer: NodeJS.Timeout | undefined;
}

interface Subscribed {
  readonly listeners: Set<{ listener: RelayListener; onGap: ((messages: number) => void) | undefined }>;
  readonly senders: Map<string, Incoming>;
  readonly stop: () => void;
  ready: Promise<void>;
}

export interface TopicsOptions {
  readonly link: NatsConnection;
  readonly node: string;
  /** This run of the node. */
  readonly id: string;
  /** The other nodes that are there now, by their ids. */
  readonly others: () => string[];
  readonly guarded: (call: () => void) => void;
}

export class NatsTopics {
  readonly #options: TopicsOptions;
  readonly #link: NatsConnection;
  readonly #outgoing = new Map<string, Outgoing>();
  readonly #subscribed = new Map<string, Subscribed>();
  readonly #introductions = new Map<number, { waiting: Set<string>; done: () => void }>();
  readonly #beat: NodeJS.Timeout;
  readonly #stopAll: () => void;
  #waiting = 0;
  #waitingBytes = 0;
  #unflushed = 0;
  #unflushedBytes = 0;
  #flushing = false;
  #number = 0;
  #closed = false;

  constructor(options: TopicsOptions) {
    this.#options = options;
    this.#link = options.link;
    this.#stopAll = this.#link.subscribe('all', ({ data }) => this.#onAll(data));
    this.#beat = setInterval(() => this.#onBeat(), beatMs);
    this.#beat.unref();
    this.#link.onStatus((there) => this.#onStatus(there));
  }

  /** @throws {IpcError} ERR_RELAY_FULL, ERR_MESSAGE_TOO_LARGE. */
  publish(topic: string, body: unknown): void {
    const outgoing = this.#outgoingOf(topic);
    const number = outgoing.first + outgoing.kept.length;
    const { id, node } = this.#options;
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

  /** @returns once messages published from now on will come. */
  async subscribe(topic: string, listener: RelayListener, { onGap }: SubscribeOptions): Promise<RelayHold> {
    const one = { listener, onGap };
    let known = this.#subscribed.get(topic);
    if (!known) {
      if (this.#subscribed.size >= topicsMax)
        throw IpcError.of(
          'ERR_REFUSED',
          'subscribe',
          `${this.#options.node} has ${topicsMax} subscriptions already`,
        );
      const stop = this.#link.subscribe(`evt.${natsKey(topic)}`, ({ data }) => this.#onEvent(data));
      known = { listeners: new Set(), senders: new Map(), stop, ready: this.#introduce(topic) };
      this.#subscribed.set(topic, known);
    }
    const subscribed = known;
    subscribed.listeners.add(one);
    const release = () => {
      if (!subscribed.listeners.delete(one) || subscribed.listeners.size > 0) return;
      if (this.#subscribed.get(topic) !== subscribed) return;
      this.#subscribed.delete(topic);
      for (const sender of subscribed.senders.values()) forget(sender);
      if (this.#link.client.isClosed()) return;
      subscribed.stop();
      this.#link.send('all', encodeFrame({ t: 'left', id: this.#options.id, topic }));
    };
    try {
      await subscribed.ready;
    } catch (error) {
      release();
      throw error;
    }
    return { release, [Symbol.dispose]: release };
  }

  /** What nodes say to this one alone. Throws if it makes no sense. */
  take(frame: Frame): boolean {
    switch (frame.t) {
      case 'm':
        this.#onMessage(frame, 0);
        return true;
      case 'got':
        this.#onGot(frame);
        return true;
      case 'again':
        this.#sendAgain(frame);
        return true;
      case 'gone':
        this.#onGone(frame);
        return true;
      case 'sync':
        this.#onSync(textOf(frame, 'id', 64), frame);
        return true;
      case 'synced':
        this.#onSynced(frame);
        return true;
      default:
        return false;
    }
  }

  /** A node has come; whatever it says is news to those who have subscribed. */
  came(id: string): void {
    for (const subscribed of this.#subscribed.values())
      if (!subscribed.senders.has(id)) this.#senderOf(subscribed, id, 0, 0);
    // It must know who waits for what it says.
    for (const topic of this.#subscribed.keys())
      this.#say(id, { t: 'sync', id: this.#options.id, n: 0, topic });
  }

  /** A node has gone; it holds up nobody any more, and nobody sends again what it has said. */
  gone(id: string): void {
    for (const outgoing of this.#outgoing.values()) {
      if (outgoing.receivers.delete(id)) this.#pump(outgoing);
    }
    for (const { senders } of this.#subscribed.values()) {
      const sender = senders.get(id);
      if (!sender) continue;
      forget(sender);
      senders.delete(id);
    }
  }

  /** Tries to hand over what waits, for at most a moment. */
  async close(): Promise<void> {
    const untilMs = performance.now() + 1_000;
    while (this.#waiting > 0 && this.#link.there && performance.now() < untilMs) {
      for (const outgoing of this.#outgoing.values()) this.#pump(outgoing);
      await this.#link.flush().catch(() => undefined);
    }
    this.#closed = true;
    clearInterval(this.#beat);
    for (const { senders } of this.#subscribed.values())
      for (const sender of senders.values()) forget(sender);
    if (!this.#link.client.isClosed()) {
      this.#stopAll();
      for (const { stop } of this.#subscribed.values()) stop();
    }
    this.#subscribed.clear();
  }

  // ---- the sender

  #outgoingOf(topic: string): Outgoing {
    let outgoing = this.#outgoing.get(topic);
    if (outgoing) return outgoing;
    if (this.#outgoing.size >= topicsMax) {
      // The one that has been quiet longest and has nothing waiting.
      const quiet = [...this.#outgoing.values()]
        .filter((each) => each.flushed === lastOf(each))
        .sort((a, b) => a.lastAtMs - b.lastAtMs)[0];
      if (!quiet)
        throw IpcError.of('ERR_RELAY_FULL', `topic ${topic}`, `${topicsMax} topics wait to be sent`);
      this.#outgoing.delete(quiet.topic);
    }
    outgoing = {
      topic,
      subject: `evt.${natsKey(topic)}`,
      epoch: ++this.#number,
      kept: [],
      first: 1,
      end: 0,
      sent: 0,
      flushed: 0,
      lastAtMs: 0,
      receivers: new Map(),
    };
    this.#outgoing.set(topic, outgoing);
    return outgoing;
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
    this.#trim(outgoing);
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
    const sent = [...this.#outgoing.values()].map((outgoing) => [outgoing, outgoing.sent] as const);
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
    if (!this.#closed && this.#link.there)
      for (const outgoing of this.#outgoing.values()) this.#pump(outgoing);
  }

  #rewind(): void {
    for (const outgoing of this.#outgoing.values()) {
      for (; outgoing.sent > outgoing.flushed; outgoing.sent--) {
        this.#waiting++;
        this.#waitingBytes += outgoing.kept[outgoing.sent - outgoing.first]!.bytes.length;
      }
    }
    this.#unflushed = 0;
    this.#unflushedBytes = 0;
  }

  #trim(outgoing: Outgoing): void {
    const { kept } = outgoing;
    let drop = 0;
    const total = kept.length > 0 ? kept.at(-1)!.end : 0;
    while (
      outgoing.first + drop <= outgoing.flushed &&
      (outgoing.flushed - outgoing.first - drop >= keptMax.messages ||
        total - kept[drop]!.end > keptMax.bytes)
    )
      drop++;
    if (drop < 64 && drop < kept.length) return;
    kept.splice(0, drop);
    outgoing.first += drop;
  }

  #onGot(frame: Frame): void {
    const outgoing = this.#of(frame);
    const got = wholeOf(frame, 'got');
    if (!outgoing || got > outgoing.sent) return;
    const id = textOf(frame, 'id', 64);
    if (!outgoing.receivers.has(id) && outgoing.receivers.size >= sendersMax) return;
    const known = outgoing.receivers.get(id)?.got ?? 0;
    outgoing.receivers.set(id, { got: Math.max(known, got), atMs: performance.now() });
    this.#pump(outgoing);
  }

  #sendAgain(frame: Frame): void {
    const outgoing = this.#of(frame);
    const id = textOf(frame, 'id', 64);
    const from = wholeOf(frame, 'from');
    const to = wholeOf(frame, 'to');
    if (!outgoing) return;
    const { topic, epoch, first, kept, sent } = outgoing;
    if (from < first)
      this.#say(id, { t: 'gone', id: this.#options.id, topic, e: epoch, to: Math.min(first - 1, to) });
    const last = Math.min(to, sent, from + windowMax.messages - 1);
    for (let n = Math.max(from, first); n <= last; n++) this.#link.send(`n.${id}`, kept[n - first]!.bytes);
  }

  #of(frame: Frame): Outgoing | undefined {
    const outgoing = this.#outgoing.get(textOf(frame, 'topic', 255));
    return outgoing?.epoch === wholeOf(frame, 'e') ? outgoing : undefined;
  }

  #onBeat(): void {
    const nowMs = performance.now();
    const recent = [...this.#outgoing.values()].filter(({ lastAtMs }) => nowMs - lastAtMs < beatForMs);
    for (const outgoing of recent) this.#pump(outgoing);
    for (let at = 0; at < recent.length && this.#link.there; at += beatTopicsMax) {
      const topics = recent
        .slice(at, at + beatTopicsMax)
        .map(({ topic, epoch, sent }) => [topic, epoch, sent]);
      this.#link.send('all', encodeFrame({ t: 'beat', id: this.#options.id, topics }));
    }
    // Its answer says that the engine is there.
    if (this.#link.there) this.#link.flush().catch(() => undefined);
  }

  #onStatus(there: boolean): void {
    if (!there) return this.#rewind();
    for (const outgoing of this.#outgoing.values()) {
      for (const receiver of outgoing.receivers.values()) receiver.atMs = performance.now();
      this.#pump(outgoing);
    }
  }

  // ---- the receiver

  #onEvent(data: Uint8Array): void {
    try {
      const frame = decodeFrame(data);
      if (frame.t === 'm' && frame.id !== this.#options.id) this.#onMessage(frame, data.length);
    } catch {
      // Whoever may publish here may publish nonsense; there is nobody to cut off.
    }
  }

  #onMessage(frame: Frame, bytes: number): void {
    const topic = textOf(frame, 'topic', 255);
    const subscribed = this.#subscribed.get(topic);
    if (!subscribed) return;
    const number = wholeOf(frame, 'n');
    const sender = this.#senderOf(subscribed, textOf(frame, 'id', 64), wholeOf(frame, 'e'), number - 1);
    const from = textOf(frame, 'from', 64);
    if (!sender || number <= sender.got) return;
    if (number > sender.got + 1) {
      if (
        sender.held.size < keptMax.messages &&
        sender.heldBytes < keptMax.bytes &&
        !sender.held.has(number)
      ) {
        sender.held.set(number, { body: frame.body, from });
        sender.heldBytes += bytes;
      }
      return this.#askAgain(topic, subscribed, sender);
    }
    this.#deliver(topic, subscribed, sender, frame.body, from);
    this.#deliverHeld(topic, subscribed, sender);
    this.#confirm(topic, sender);
  }

  #senderOf(subscribed: Subscribed, id: string, epoch: number, got: number): Incoming | undefined {
    const known = subscribed.senders.get(id);
    if (known?.epoch === epoch) return known;
    // Another epoch of the same sender began after this one.
    if (known && known.epoch > epoch) return undefined;
    if (known) forget(known);
    if (!known && subscribed.senders.size >= sendersMax) {
      const [oldest, sender] = subscribed.senders.entries().next().value!;
      forget(sender);
      subscribed.senders.delete(oldest);
    }
    const fresh: Incoming = {
      sender: id,
      epoch,
      got: known ? 0 : got,
      confirmed: -1,
      held: new Map(),
      heldBytes: 0,
      asks: 0,
      askTimer: undefined,
      confirmTimer: undefined,
    };
    subscribed.senders.set(id, fresh);
    return fresh;
  }

  #deliver(topic: string, subscribed: Subscribed, sender: Incoming, body: unknown, from: string): void {
    sender.got++;
    for (const { listener } of [...subscribed.listeners]) {
      if (this.#subscribed.get(topic) !== subscribed) return;
      this.#options.guarded(() => listener(body, from));
    }
  }

  #deliverHeld(topic: string, subscribed: Subscribed, sender: Incoming): void {
    for (let next = sender.held.get(sender.got + 1); next; next = sender.held.get(sender.got + 1)) {
      sender.held.delete(sender.got + 1);
      this.#deliver(topic, subscribed, sender, next.body, next.from);
    }
    if (sender.held.size > 0) return;
    sender.heldBytes = 0;
    clearTimeout(sender.askTimer);
    sender.askTimer = undefined;
    sender.asks = 0;
  }

  #confirm(topic: string, sender: Incoming): void {
    if (sender.confirmed < 0 || sender.got - sender.confirmed >= confirmAfter.messages)
      return this.#sayGot(topic, sender);
    sender.confirmTimer ??= setTimeout(() => this.#sayGot(topic, sender), confirmAfter.ms).unref();
  }

  #sayGot(topic: string, sender: Incoming): void {
    clearTimeout(sender.confirmTimer);
    sender.confirmTimer = undefined;
    sender.confirmed = sender.got;
    this.#say(sender.sender, { t: 'got', id: this.#options.id, topic, e: sender.epoch, got: sender.got });
  }

  /** Asks for what is missing up to the first one that is held, or up to `upTo`; after some tries it counts as lost. */
  #askAgain(topic: string, subscribed: Subscribed, sender: Incoming, upTo = 0): void {
    if (sender.askTimer) return;
    const ask = () => {
      sender.askTimer = undefined;
      if (this.#subscribed.get(topic) !== subscribed || this.#closed) return;
      const to = sender.held.size > 0 ? Math.min(...sender.held.keys()) - 1 : upTo;
      if (to <= sender.got) return;
      // Without a link nobody can answer, so it does not count.
      if (this.#link.there && ++sender.asks > asksMax) return this.#give(topic, subscribed, sender, to);
      const from = sender.got + 1;
      this.#say(sender.sender, { t: 'again', id: this.#options.id, topic, e: sender.epoch, from, to });
      sender.askTimer = setTimeout(ask, askAgainMs).unref();
    };
    ask();
  }

  #give(topic: string, subscribed: Subscribed, sender: Incoming, upTo: number): void {
    const lost = upTo - sender.got;
    if (lost <= 0) return;
    sender.got = upTo;
    sender.asks = 0;
    for (const { onGap } of [...subscribed.listeners]) if (onGap) this.#options.guarded(() => onGap(lost));
    this.#deliverHeld(topic, subscribed, sender);
    this.#sayGot(topic, sender);
  }

  #onGone(frame: Frame): void {
    const topic = textOf(frame, 'topic', 255);
    const subscribed = this.#subscribed.get(topic);
    const sender = subscribed?.senders.get(textOf(frame, 'id', 64));
    const to = wholeOf(frame, 'to');
    if (subscribed && sender && sender.epoch === wholeOf(frame, 'e'))
      this.#give(topic, subscribed, sender, to);
  }

  // ---- acquaintance

  #onAll(data: Uint8Array): void {
    try {
      const frame = decodeFrame(data);
      const id = textOf(frame, 'id', 64);
      if (id === this.#options.id) return;
      if (frame.t === 'beat') this.#onTopics(id, frame);
      if (frame.t === 'sync') this.#onSync(id, frame);
      if (frame.t === 'left') this.#outgoing.get(textOf(frame, 'topic', 255))?.receivers.delete(id);
    } catch {
      // As above.
    }
  }

  /** Somebody has subscribed: it counts for the window from now on. */
  #onSync(id: string, frame: Frame): void {
    const topic = textOf(frame, 'topic', 255);
    const known = this.#outgoing.get(topic);
    const outgoing = known ?? (this.#outgoing.size < topicsMax ? this.#outgoingOf(topic) : undefined);
    if (outgoing && outgoing.receivers.size < sendersMax && !outgoing.receivers.has(id))
      outgoing.receivers.set(id, { got: outgoing.sent, atMs: performance.now() });
    const topics = [[topic, outgoing?.epoch ?? this.#number, outgoing?.sent ?? 0]];
    this.#say(id, { t: 'synced', id: this.#options.id, n: wholeOf(frame, 'n'), topics });
  }

  #onTopics(id: string, frame: Frame): void {
    const { topics } = frame;
    if (!Array.isArray(topics)) throw new Error('topics that are none');
    for (const each of topics as unknown[][]) {
      const row = { t: frame.t, topic: each[0], e: each[1], sent: each[2] } as Frame;
      const topic = textOf(row, 'topic', 255);
      const sent = wholeOf(row, 'sent');
      const subscribed = this.#subscribed.get(topic);
      const sender = subscribed && this.#senderOf(subscribed, id, wholeOf(row, 'e'), sent);
      if (!sender) continue;
      if (sent > sender.got) this.#askAgain(topic, subscribed, sender, sent);
      else if (sender.confirmed < 0) this.#sayGot(topic, sender);
    }
  }

  /**
   * All who are there say how far they are with the topic. Their servers have heard of our interest before they hear the question,
   * so nothing that they say from now on passes us by.
   */
  async #introduce(topic: string): Promise<void> {
    const number = ++this.#number;
    const waiting = new Set(this.#options.others());
    if (waiting.size === 0) return this.#link.flush();
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#introductions.delete(number);
        resolve();
      };
      // One that does not answer is stuck or dead; its beats will tell.
      const timer = setTimeout(done, introductionMs);
      this.#introductions.set(number, { waiting, done });
      this.#link.send('all', encodeFrame({ t: 'sync', id: this.#options.id, n: number, topic }));
    });
  }

  #onSynced(frame: Frame): void {
    const id = textOf(frame, 'id', 64);
    this.#onTopics(id, frame);
    const introduction = this.#introductions.get(wholeOf(frame, 'n'));
    if (introduction?.waiting.delete(id) && introduction.waiting.size === 0) introduction.done();
  }

  #say(id: string, frame: Frame): void {
    if (this.#link.there) this.#link.send(`n.${id}`, encodeFrame(frame));
  }
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

function forget(sender: Incoming): void {
  clearTimeout(sender.askTimer);
  clearTimeout(sender.confirmTimer);
  sender.askTimer = undefined;
  sender.confirmTimer = undefined;
}
