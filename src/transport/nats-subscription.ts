// NATS subscription: what this node hears of one topic. Messages of a sender have numbers: what comes too early is held, what is missing is
// asked for, and what can't be had any more is counted and told.
import type { RelayListener } from '../spec/relay.ts';
import { type Frame, textOf, wholeOf } from './frame.ts';
import { idOf } from './nats-address.ts';
import type { NatsConnection } from './nats-connection.ts';
import { keptMax, type TopicRow } from './nats-outgoing.ts';

const sendersMax = 1_024;
/** A receiver says how far it is after so many messages, or so much later. */
const confirmAfter = { messages: 64, ms: 50 } as const;
const askAgainMs = 250;
const asksMax = 4;

/** Who listens, and who wants to know of messages that are lost. */
export interface TopicListener {
  readonly listener: RelayListener;
  readonly onGap: ((messages: number) => void) | undefined;
}

interface Incoming {
  readonly sender: string;
  readonly epoch: number;
  got: number;
  confirmed: number;
  readonly held: Map<number, { body: unknown; from: string; bytes: number }>;
  heldBytes: number;
  asks: number;
  askTimer: NodeJS.Timeout | undefined;
  confirmTimer: NodeJS.Timeout | undefined;
  /** Not there now. What was heard of it is remembered: it may only have been cut off. */
  isAway: boolean;
}

export interface SubscriptionOptions {
  readonly link: NatsConnection;
  /** This run of the node. */
  readonly id: string;
  readonly topic: string;
  readonly guarded: (call: () => void) => void;
}

export class NatsSubscription {
  readonly listeners = new Set<TopicListener>();
  readonly #options: SubscriptionOptions;
  readonly #senders = new Map<string, Incoming>();
  #ended = false;

  constructor(options: SubscriptionOptions) {
    this.#options = options;
  }

  /** Throws if it makes no sense. */
  onMessage(frame: Frame, bytes: number): void {
    if (this.#ended || textOf(frame, 'topic', 255) !== this.#options.topic) return;
    const number = wholeOf(frame, 'n');
    const sender = this.#senderOf(idOf(frame), wholeOf(frame, 'e'), number - 1);
    const from = textOf(frame, 'from', 64);
    if (!sender || number <= sender.got) return;
    if (number > sender.got + 1) {
      if (
        sender.held.size < keptMax.messages &&
        sender.heldBytes < keptMax.bytes &&
        !sender.held.has(number)
      ) {
        sender.held.set(number, { body: frame.body, from, bytes });
        sender.heldBytes += bytes;
      }
      return this.#askAgain(sender);
    }
    // It answers: what is still missing may come, too.
    sender.asks = 0;
    this.#deliver(sender, frame.body, from);
    this.#deliverHeld(sender);
    this.#confirm(sender);
  }

  /** A node has come; whatever it says is news. */
  came(id: string): void {
    const known = this.#senders.get(id) ?? this.#senderOf(id, 0, 0);
    if (known) known.isAway = false;
  }

  /** A sender says how far the topic is there. */
  onRow(id: string, [, epoch, sent]: TopicRow): void {
    const sender = this.#senderOf(id, epoch, sent);
    if (!sender) return;
    if (sent > sender.got) this.#askAgain(sender, sent);
    else if (sender.confirmed < 0) this.#sayGot(sender);
  }

  /** What came before is not kept by its sender any more. */
  onGone(frame: Frame): void {
    const sender = this.#senders.get(idOf(frame));
    if (sender && sender.epoch === wholeOf(frame, 'e')) this.#give(sender, wholeOf(frame, 'to'));
  }

  /** Nobody sends again what it has said. */
  gone(id: string): void {
    const sender = this.#senders.get(id);
    if (!sender) return;
    forget(sender);
    sender.isAway = true;
  }

  end(): void {
    this.#ended = true;
    for (const sender of this.#senders.values()) forget(sender);
  }

  #senderOf(id: string, epoch: number, got: number): Incoming | undefined {
    const known = this.#senders.get(id);
    if (known?.epoch === epoch) return known;
    // Another epoch of the same sender began after this one.
    if (known && known.epoch > epoch) return undefined;
    if (known) forget(known);
    if (!known && this.#senders.size >= sendersMax) {
      const all = [...this.#senders.values()];
      const oldest = all.find(({ isAway }) => isAway) ?? all[0]!;
      forget(oldest);
      this.#senders.delete(oldest.sender);
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
      isAway: false,
    };
    this.#senders.set(id, fresh);
    return fresh;
  }

  #deliver(sender: Incoming, body: unknown, from: string): void {
    sender.got++;
    for (const { listener } of [...this.listeners]) {
      if (this.#ended) return;
      this.#options.guarded(() => listener(body, from));
    }
  }

  #deliverHeld(sender: Incoming): void {
    for (let next = sender.held.get(sender.got + 1); next; next = sender.held.get(sender.got + 1)) {
      sender.held.delete(sender.got + 1);
      sender.heldBytes -= next.bytes;
      this.#deliver(sender, next.body, next.from);
    }
    if (sender.held.size > 0) return;
    clearTimeout(sender.askTimer);
    sender.askTimer = undefined;
    sender.asks = 0;
  }

  #confirm(sender: Incoming): void {
    if (sender.confirmed < 0 || sender.got - sender.confirmed >= confirmAfter.messages)
      return this.#sayGot(sender);
    sender.confirmTimer ??= setTimeout(() => this.#sayGot(sender), confirmAfter.ms).unref();
  }

  #sayGot(sender: Incoming): void {
    clearTimeout(sender.confirmTimer);
    sender.confirmTimer = undefined;
    sender.confirmed = sender.got;
    const { link, id, topic } = this.#options;
    link.say(sender.sender, { t: 'got', id, topic, e: sender.epoch, got: sender.got });
  }

  /** Asks for what is missing up to the first one that is held, or up to `upTo`; after some tries it counts as lost. */
  #askAgain(sender: Incoming, upTo = 0): void {
    if (sender.askTimer) return;
    const { link, id, topic } = this.#options;
    const ask = () => {
      sender.askTimer = undefined;
      if (this.#ended) return;
      const to = sender.held.size > 0 ? Math.min(...sender.held.keys()) - 1 : upTo;
      if (to <= sender.got) return;
      // Without a link nobody can answer, so it does not count.
      if (link.there && ++sender.asks > asksMax) return this.#give(sender, to);
      link.say(sender.sender, { t: 'again', id, topic, e: sender.epoch, from: sender.got + 1, to });
      sender.askTimer = setTimeout(ask, askAgainMs).unref();
    };
    ask();
  }

  #give(sender: Incoming, upTo: number): void {
    const lost = upTo - sender.got;
    if (lost <= 0) return;
    sender.got = upTo;
    sender.asks = 0;
    for (const { onGap } of [...this.listeners]) if (onGap) this.#options.guarded(() => onGap(lost));
    this.#deliverHeld(sender);
    this.#sayGot(sender);
  }
}

function forget(sender: Incoming): void {
  clearTimeout(sender.askTimer);
  clearTimeout(sender.confirmTimer);
  sender.askTimer = undefined;
  sender.confirmTimer = undefined;
}
