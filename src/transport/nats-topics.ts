// NATS topics: publish and subscribe above the engine's core: who hears what, and how senders and receivers get to know each other.
import { IpcError } from '../errors.ts';
import type { RelayHold, RelayListener, SubscribeOptions } from '../spec/relay.ts';
import { natsKey } from '../spec/relay-nats.ts';
import { decodeFrame, type Frame, textOf, wholeOf } from './frame.ts';
import { idOf, senderOf } from './nats-address.ts';
import type { NatsConnection } from './nats-connection.ts';
import { NatsOutgoing, type TopicRow, topicsMax } from './nats-outgoing.ts';
import { NatsSubscription } from './nats-subscription.ts';

const beatMs = 1_000;
const introductionMs = 500;

interface Subscribed {
  readonly subscription: NatsSubscription;
  readonly stop: () => void;
  readonly ready: Promise<void>;
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
  readonly #outgoing: NatsOutgoing;
  readonly #subscribed = new Map<string, Subscribed>();
  readonly #introductions = new Map<number, { waiting: Set<string>; done: () => void }>();
  readonly #beat: NodeJS.Timeout;
  readonly #stops: (() => void)[];
  #number = 0;

  constructor(options: TopicsOptions) {
    this.#options = options;
    const { link, id } = options;
    this.#link = link;
    this.#outgoing = new NatsOutgoing(link, options);
    const skip = `${link.root}.all.`.length;
    this.#stops = [
      link.subscribe('all.*', ({ subject, data }) => this.#onAll(subject.slice(skip), data)),
      // What was missed comes by the topic's own subject: nobody sends again what he may not publish.
      link.subscribe(`evt.*.${id}`, ({ subject, data }) => this.#onAgain(subject, data)),
    ];
    this.#beat = setInterval(() => this.#onBeat(), beatMs);
    this.#beat.unref();
    link.onStatus((there) => this.#outgoing.onStatus(there));
  }

  /** @throws {IpcError} ERR_RELAY_FULL, ERR_MESSAGE_TOO_LARGE. */
  publish(topic: string, body: unknown): void {
    this.#outgoing.publish(topic, body);
  }

  /** @returns once messages published from now on will come. */
  async subscribe(topic: string, listener: RelayListener, { onGap }: SubscribeOptions): Promise<RelayHold> {
    const one = { listener, onGap };
    const subscribed = this.#subscribed.get(topic) ?? this.#begin(topic);
    const { listeners } = subscribed.subscription;
    listeners.add(one);
    const release = () => {
      if (!listeners.delete(one) || listeners.size > 0) return;
      if (this.#subscribed.get(topic) !== subscribed) return;
      this.#subscribed.delete(topic);
      subscribed.subscription.end();
      if (this.#link.client.isClosed()) return;
      subscribed.stop();
      this.#link.sayAll({ t: 'left', id: this.#options.id, topic });
    };
    try {
      await subscribed.ready;
    } catch (error) {
      release();
      throw error;
    }
    return { release, [Symbol.dispose]: release };
  }

  /** What another node says to this one alone, by its id. Throws if it makes no sense. */
  take(frame: Frame): boolean {
    switch (frame.t) {
      case 'got':
        this.#outgoing.onGot(frame);
        return true;
      case 'again':
        this.#outgoing.onAgain(frame);
        return true;
      case 'gone':
        this.#subscribed.get(textOf(frame, 'topic', 255))?.subscription.onGone(frame);
        return true;
      case 'sync':
        this.#onSync(idOf(frame), frame);
        return true;
      case 'synced':
        this.#onSynced(frame);
        return true;
      default:
        return false;
    }
  }

  /** A node has come: it must know who waits for what it says. */
  came(id: string): void {
    for (const [topic, { subscription }] of this.#subscribed) {
      subscription.came(id);
      this.#link.say(id, { t: 'sync', id: this.#options.id, n: 0, topic });
    }
  }

  /** A node has gone; it holds up nobody any more, and nobody sends again what it has said. */
  gone(id: string): void {
    this.#outgoing.gone(id);
    for (const { subscription } of this.#subscribed.values()) subscription.gone(id);
  }

  /** Tries to hand over what waits, for at most a moment. */
  async close(): Promise<void> {
    await this.#outgoing.close();
    clearInterval(this.#beat);
    for (const { subscription } of this.#subscribed.values()) subscription.end();
    if (!this.#link.client.isClosed()) {
      for (const stop of this.#stops) stop();
      for (const { stop } of this.#subscribed.values()) stop();
    }
    this.#subscribed.clear();
  }

  #begin(topic: string): Subscribed {
    const { node, id, guarded } = this.#options;
    if (this.#subscribed.size >= topicsMax)
      throw IpcError.of('ERR_REFUSED', 'subscribe', `${node} has ${topicsMax} subscriptions already`);
    const subscription = new NatsSubscription({ link: this.#link, id, topic, guarded });
    const stop = this.#link.subscribe(`evt.${natsKey(topic)}`, ({ data }) =>
      this.#onMessage(subscription, data),
    );
    const subscribed = { subscription, stop, ready: this.#introduce(topic) };
    this.#subscribed.set(topic, subscribed);
    return subscribed;
  }

  #onMessage(subscription: NatsSubscription, data: Uint8Array): void {
    try {
      const frame = decodeFrame(data);
      if (frame.t === 'm' && frame.id !== this.#options.id) subscription.onMessage(frame, data.length);
    } catch {
      // Whoever may publish here may publish nonsense; there is nobody to cut off.
    }
  }

  #onAgain(subject: string, data: Uint8Array): void {
    try {
      const frame = decodeFrame(data);
      const topic = textOf(frame, 'topic', 255);
      const subscribed = this.#subscribed.get(topic);
      if (subscribed && subject.startsWith(`${this.#link.root}.evt.${natsKey(topic)}.`))
        this.#onMessage(subscribed.subscription, data);
    } catch {
      // As above.
    }
  }

  #onBeat(): void {
    if (!this.#link.there) return;
    this.#outgoing.beat();
    // Its answer says that the engine is there.
    this.#link.flush().catch(() => undefined);
  }

  // ---- acquaintance

  #onAll(role: string, data: Uint8Array): void {
    try {
      const frame = decodeFrame(data);
      const id = senderOf(frame, role);
      if (id === this.#options.id) return;
      if (frame.t === 'beat') this.#onTopics(id, frame);
      if (frame.t === 'sync') this.#onSync(id, frame);
      if (frame.t === 'left') this.#outgoing.left(id, textOf(frame, 'topic', 255));
    } catch {
      // As above.
    }
  }

  #onSync(id: string, frame: Frame): void {
    const topics = [this.#outgoing.onSync(id, textOf(frame, 'topic', 255))];
    this.#link.say(id, { t: 'synced', id: this.#options.id, n: wholeOf(frame, 'n'), topics });
  }

  #onTopics(id: string, frame: Frame): void {
    const { topics } = frame;
    if (!Array.isArray(topics)) throw new Error('topics that are none');
    for (const each of topics as unknown[][]) {
      const fields = { t: frame.t, topic: each[0], e: each[1], sent: each[2] } as Frame;
      const row: TopicRow = [textOf(fields, 'topic', 255), wholeOf(fields, 'e'), wholeOf(fields, 'sent')];
      this.#subscribed.get(row[0])?.subscription.onRow(id, row);
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
      this.#link.sayAll({ t: 'sync', id: this.#options.id, n: number, topic });
    });
  }

  #onSynced(frame: Frame): void {
    const id = idOf(frame);
    this.#onTopics(id, frame);
    const introduction = this.#introductions.get(wholeOf(frame, 'n'));
    if (introduction?.waiting.delete(id) && introduction.waiting.size === 0) introduction.done();
  }
}
