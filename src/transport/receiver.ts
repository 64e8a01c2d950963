// Receiver: the receiving direction of a channel. Reads the lane in bounded portions and hands messages to whoever takes
// them: the events of a machine, a batch handler, or calls of receive. Messages that nobody takes stay in the ring, so the
// sender feels it.
import { IpcError, messageOf } from '../errors.ts';
import type { WaitOptions } from '../spec/session.ts';
import { type CodecName, codecs, type Decoder, unpackPlain } from './codec.ts';
import type { LaneReader, RecordPlace } from './lane.ts';
import type { Link } from './link.ts';
import { recordKind } from './record.ts';
import { type Call, WaitingLine, waiting } from './waiting.ts';

/** Records handled in one turn of the event loop, so that a flood on one channel starves nobody. */
const turnRecordsMax = 256;
/** The same for messages that become events of a machine, which cost some microseconds each. */
const turnEventsMax = 64;
/** Messages taken from the ring before anybody asked for them, so that a reply behind them can be reached. */
const inboxMax = 1024;

export type MessageHandler = (message: unknown) => void;

/** What a receiver tells its channel. */
export interface ReceiverObserver {
  /** A request, reply, failure or cancel. Throws if it makes no sense. */
  numbered(kind: number, number: number, value: unknown): void;
  /** Whether something that the channel waits for may stand behind messages that nobody takes. */
  looksAhead(): boolean;
  peerEnded(): void;
  broken(why: string): void;
}

export class Receiver {
  received = 0;

  readonly #name: string;
  readonly #link: Link;
  readonly #reader: LaneReader;
  readonly #decoder: Decoder;
  readonly #observer: ReceiverObserver;
  readonly #place: RecordPlace = { kind: 0, flags: 0, at: 0, bytes: 0 };
  readonly #receiving = new WaitingLine<Call<unknown>>();
  #inbox: unknown[] = [];
  #onBatch: ((messages: unknown[]) => void) | undefined;
  #onMessage: MessageHandler | undefined;
  #peerEnded = false;
  #finished: IpcError | undefined;

  constructor(name: string, codec: CodecName, link: Link, reader: LaneReader, observer: ReceiverObserver) {
    this.#name = name;
    this.#link = link;
    this.#reader = reader;
    this.#decoder = codecs[codec].decoder();
    this.#observer = observer;
  }

  tryReceive(): unknown {
    if (this.#inbox.length > 0) return this.#inbox.shift();
    let message: unknown;
    if (!this.#finished)
      this.#readWhile(
        () => message === undefined,
        (next) => {
          message = next;
        },
      );
    if (message === undefined && (this.#finished || this.#peerEnded)) throw this.#end();
    return message;
  }

  receive(options?: WaitOptions): Promise<unknown> {
    if (this.#receiving.full)
      return Promise.reject(IpcError.of('ERR_CHANNEL_BUSY', this.#name, this.#receiving.length));
    try {
      const message = this.#receiving.length === 0 ? this.tryReceive() : undefined;
      if (message !== undefined) return Promise.resolve(message);
    } catch (error) {
      return Promise.reject(error);
    }
    return waiting<unknown>(`receive on channel ${this.#name}`, options, (call) =>
      this.#receiving.join(call),
    );
  }

  onBatch(handler: (messages: unknown[]) => void): () => void {
    this.#onBatch = handler;
    if (this.#inbox.length > 0) handler(this.#inbox.splice(0));
    this.pollNow();
    return () => {
      if (this.#onBatch === handler) this.#onBatch = undefined;
    };
  }

  /** Each message by itself, as the events of a machine. */
  onMessage(handler: MessageHandler): void {
    this.#onMessage = handler;
    for (const message of this.#inbox.splice(0)) handler(message);
  }

  /** As `poll`, outside the turn that the doorbell gives; what is left gets a turn of its own. */
  pollNow(): void {
    if (this.poll()) this.#link.again();
  }

  /** Hands on what has come, up to a turn's portion. @returns whether something was left for another turn. */
  poll(): boolean {
    if (this.#finished) return false;
    if (this.#onMessage) return this.#readWhile(always, this.#onMessage, turnEventsMax);
    if (this.#onBatch) return this.#readBatch(this.#onBatch);
    return this.#readForCalls();
  }

  /** The end: takes over everything that has arrived, because the peer's memory is about to go. */
  finish(cause: IpcError): void {
    while (this.poll()) {
      // The handlers get the rest in the same portions as ever.
    }
    // Kept for those who still ask, but not given back as read: nobody has taken them. Bounded by the size of the ring.
    if (!this.#onMessage && !this.#onBatch)
      while (this.#reader.read(this.#place))
        this.#handle(this.#place, (message) => this.#inbox.push(message));
    this.#finished = cause;
    this.#receiving.rejectAll(cause);
  }

  #readBatch(onBatch: (messages: unknown[]) => void): boolean {
    const batch: unknown[] = [];
    const more = this.#readWhile(always, (message) => batch.push(message));
    if (batch.length > 0) onBatch(batch);
    return more;
  }

  #readForCalls(): boolean {
    const wanted = () =>
      this.#receiving.length > 0 || (this.#inbox.length < inboxMax && this.#observer.looksAhead());
    const more = this.#readWhile(wanted, (message) => {
      const call = this.#receiving.shift();
      if (call) call.resolve(message);
      else this.#inbox.push(message);
    });
    if (this.#peerEnded) this.#receiving.rejectAll(this.#end());
    return more && wanted();
  }

  /**
   * Handles records within a turn while `wanted`; gives their room back and wakes a writer that waits for it.
   * @returns whether records are left.
   */
  #readWhile(wanted: () => boolean, onMessage: MessageHandler, max = turnRecordsMax): boolean {
    const place = this.#place;
    let left = max;
    // A handler may end the channel while we are here.
    while (left > 0 && !this.#finished && wanted() && this.#reader.read(place)) {
      left--;
      this.#handle(place, onMessage);
    }
    if (this.#finished) return false;
    if (this.#reader.release()) this.#link.notify();
    if (this.#reader.broken === undefined) return left === 0 && this.#reader.available();
    this.#observer.broken(`channel ${this.#name}: ${this.#reader.broken}`);
    return false;
  }

  #handle(place: RecordPlace, onMessage: MessageHandler): void {
    let message: unknown;
    try {
      if (this.#peerEnded) throw new Error('a record after the end');
      if (place.kind !== recordKind.message) return this.#handleOther(place);
      message = this.#decoder.decode(this.#reader.ring, place.at, place.bytes);
    } catch (error) {
      this.#reader.refuse(messageOf(error));
      return;
    }
    this.received++;
    onMessage(message);
  }

  #handleOther({ kind, at, bytes }: RecordPlace): void {
    if (kind === recordKind.structure) {
      const told = this.#plain(at, bytes);
      if (!Array.isArray(told) || !this.#decoder.learn(told[0], told[1]))
        throw new Error('a shape of objects out of order');
    } else if (kind === recordKind.end) {
      this.#peerEnded = true;
      this.#observer.peerEnded();
    } else if (kind >= recordKind.request && kind <= recordKind.cancel) {
      if (bytes < 4) throw new Error('a record without its number');
      this.received++;
      this.#observer.numbered(kind, this.#reader.ringWords[at >> 2]!, this.#plain(at + 4, bytes - 4));
    } else {
      throw new Error(`a record of unknown kind ${kind}`);
    }
  }

  #plain(at: number, bytes: number): unknown {
    // A copy first: the peer may change its memory while we decode.
    return bytes === 0 ? undefined : unpackPlain(this.#reader.ring.slice(at, at + bytes));
  }

  #end(): IpcError {
    return this.#finished ?? IpcError.of('ERR_CHANNEL_CLOSED', this.#name);
  }
}

const always = () => true;
