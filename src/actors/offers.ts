// Offers: the on-demand channels of one session, and what the two sides say to each other about them.
//
// The server says which of the reserved lanes a channel gets, whoever offers it, so the two never choose the same one. Lanes
// serve another channel only after both sides have said `parted`: then nobody reads or writes them, and each side has left
// out what it had not read up to the other's last place.
// Offers that come before our program is there are kept, as its first messages are.
import { IpcError, messageOf } from '../errors.ts';
import type { ChannelEvent } from '../machines/channel.ts';
import type { ChannelSpec } from '../spec/channel-spec.ts';
import type { Offer, OpenChannelOptions } from '../spec/session.ts';
import type { ChannelEnd } from '../transport/channel-end.ts';
import { type Frame, metadataBytesMax } from '../transport/frame.ts';
import { activityOf } from '../transport/peer-process.ts';
import { waiting } from '../transport/waiting.ts';
import {
  firstOfferNumber,
  noticedFrame,
  numberOf,
  parseAccepted,
  parseOffer,
  parseParted,
  parseRejected,
  rejectedFrame,
} from './offer-frame.ts';
import { type OfferSettings, type OfferTaker, OnDemandChannel } from './on-demand-channel.ts';

/** Offers of one side that may wait for an answer at once. */
const offersMax = 64;
/** Long for a program that answers by itself, short for a person who waits. */
const openTimeoutDefaultMs = 10_000;

export class Offers {
  readonly #settings: OfferSettings;
  readonly #initCount: number;
  readonly #all = new Map<number, OnDemandChannel>();
  readonly #handlers = new Map<string, (offer: Offer<ChannelEnd>) => void>();
  /** Offers of the peer that came before our program, with their metadata. */
  readonly #kept: [OnDemandChannel, unknown][] = [];
  #taker: OfferTaker | undefined;
  #nextNumber: number;
  #lastOfPeer = firstOfferNumber - 1;
  #over: IpcError | undefined;

  /** REQUIRES: the channels of the session's beginning are among `settings.channels`. */
  constructor(settings: OfferSettings) {
    this.#settings = settings;
    this.#initCount = settings.channels.length;
    this.#nextNumber = firstOfferNumber + (settings.side === 'server' ? 0 : 1);
  }

  // ---- the program

  open(name: string, options: OpenChannelOptions = {}): Promise<ChannelEnd> {
    const refusal = this.#refusal(name, options.metadata);
    if (refusal) return Promise.reject(refusal);
    const metadata = JSON.parse(JSON.stringify(options.metadata ?? null));
    let one: OnDemandChannel | undefined;
    return waiting<ChannelEnd>(
      `opening channel ${name}`,
      { timeoutMs: openTimeoutDefaultMs, ...options },
      (call) => {
        const number = this.#nextNumber;
        this.#nextNumber += 2;
        const slot = this.#settings.side === 'server' ? this.#freeSlot(name) : undefined;
        const started = this.#start({ number, name, ours: true, metadata, slot });
        one = started;
        started.call = call;
        return () => started.withdraw();
      },
      (ms) => {
        throw IpcError.of('ERR_OFFER_TIMEOUT', name, ms, this.#doing(one!));
      },
    );
  }

  handle(name: string, handler: (offer: Offer<ChannelEnd>) => void): () => void {
    if (!this.#spec(name)) throw IpcError.of('ERR_CHANNEL_UNKNOWN', name);
    this.#handlers.set(name, handler);
    return () => {
      if (this.#handlers.get(name) === handler) this.#handlers.delete(name);
    };
  }

  /** The program is there: it gets the offers that came before it. */
  begin(taker: OfferTaker): void {
    this.#taker = taker;
    for (const [one, metadata] of this.#kept.splice(0)) this.#show(one, metadata);
  }

  // ---- the peer

  /** @returns whether the frame was one of ours. @throws an Error if it makes no sense. */
  take(frame: Frame): boolean {
    if (!Object.hasOwn(this.#takes, frame.t)) return false;
    if (!this.#over) this.#takes[frame.t]!(frame);
    return true;
  }

  readonly #takes: Readonly<Record<string, (frame: Frame) => void>> = {
    offer: (frame) => this.#onOffer(frame),
    noticed: (frame) => this.#waitingFor(numberOf(frame)).noticedByPeer(),
    opened: (frame) => this.#onAccepted(frame),
    declined: (frame) => {
      const { number, error } = parseRejected(frame);
      this.#waitingFor(number).rejectedByPeer(error);
    },
    withdrawn: (frame) => {
      const number = numberOf(frame);
      if (this.#isOwnNumber(number) || number > this.#lastOfPeer) throw new Error('no offer to withdraw');
      // If it is unknown, we have rejected it in the meantime.
      this.#all.get(number)?.withdrawnByPeer();
    },
    parted: (frame) => this.#onParted(frame),
  };

  #onOffer(frame: Frame): void {
    const { number, channel: name, metadata, slot } = parseOffer(frame);
    const { side, send } = this.#settings;
    if (this.#isOwnNumber(number) || number <= this.#lastOfPeer) throw new Error('an offer out of order');
    this.#lastOfPeer = number;
    const spec = this.#spec(name);
    if (!spec) throw new Error(`an offer of channel ${name}`);
    if (this.#pending(false) >= offersMax) throw new Error('more offers than may wait');
    this.#checkSlot(name, slot);
    const own = side === 'client' ? slot : this.#freeSlot(name);
    if (own === undefined)
      return send(rejectedFrame(number, IpcError.of('ERR_CHANNEL_LIMIT', name, spec.maxOpen).toJSON()));
    const one = this.#start({ number, name, ours: false, metadata, slot: own });
    if (this.#taker) this.#show(one, metadata);
    else this.#kept.push([one, metadata]);
  }

  #onAccepted(frame: Frame): void {
    const { number, slot } = parseAccepted(frame);
    const one = this.#waitingFor(number);
    this.#checkSlot(one.name, slot);
    one.slot ??= slot;
    one.acceptedByPeer();
  }

  #onParted(frame: Frame): void {
    const { number, tail } = parseParted(frame);
    if (number < this.#initCount) {
      this.#settings.channels[number]!.hosted.post({ type: 'peer.parted' });
      return;
    }
    const one = this.#all.get(number);
    if (!one?.mayPart) throw new Error('the end of a channel that is not open');
    one.partedByPeer(tail);
  }

  // ---- ending

  /** The session ends: nothing is offered or accepted any more. */
  end(error: IpcError, event: ChannelEvent): void {
    if (this.#over) return;
    this.#over = error;
    for (const one of this.#all.values()) one.sessionEnds(error, event);
  }

  tearDown(error: IpcError): void {
    this.#over ??= error;
    for (const one of this.#all.values()) one.tearDown(error);
    this.#all.clear();
  }

  // ---- one offer

  #start(facts: ConstructorParameters<typeof OnDemandChannel>[0]): OnDemandChannel {
    const one = new OnDemandChannel(facts, this.#settings, {
      taker: () => (this.#over ? undefined : this.#taker),
      gone: ({ number }) => this.#all.delete(number),
    });
    this.#all.set(facts.number, one);
    return one;
  }

  #show(one: OnDemandChannel, metadata: unknown): void {
    if (one.answered !== '') return;
    const { host, send } = this.#settings;
    const handler = this.#handlers.get(one.name) ?? this.#taker?.offered;
    if (!handler) return one.reject('its program takes no offers of this channel');
    send(noticedFrame(one.number));
    try {
      handler({
        channel: one.name,
        metadata,
        accept: () => one.accept(),
        reject: (reason = 'its program gave no reason') => one.reject(reason),
      });
    } catch (error) {
      const why = `its handler failed: ${messageOf(error)}`;
      host.log.error({ channel: one.name }, `an offer of channel ${one.name} is rejected: ${why}`);
      one.reject(why);
    }
  }

  // ---- facts

  #refusal(name: string, metadata: unknown): IpcError | undefined {
    const spec = this.#spec(name);
    if (!spec) return IpcError.of('ERR_CHANNEL_UNKNOWN', name);
    if (this.#over) return this.#over;
    const why = unfitness(metadata);
    if (why) return IpcError.of('ERR_MESSAGE_INVALID', name, why);
    if (this.#pending(true) >= offersMax) return IpcError.of('ERR_CHANNEL_BUSY', name, offersMax);
    const count = this.#count((one) => one.name === name);
    return count >= spec.maxOpen ? IpcError.of('ERR_CHANNEL_LIMIT', name, spec.maxOpen) : undefined;
  }

  #spec(name: string): ChannelSpec | undefined {
    const { channels } = this.#settings.server;
    const spec = Object.hasOwn(channels, name) ? channels[name] : undefined;
    return spec?.open === 'on-demand' ? spec : undefined;
  }

  #isOwnNumber(number: number): boolean {
    if (number < firstOfferNumber) return true;
    return (number % 2 === 0) === (this.#settings.side === 'server');
  }

  #waitingFor(number: number): OnDemandChannel {
    const one = this.#all.get(number);
    if (!one?.ours || one.answered !== '') throw new Error('an answer to no offer');
    return one;
  }

  /** The server alone chooses lanes, and never those of another channel. @throws an Error. */
  #checkSlot(name: string, slot: number | undefined): void {
    if (this.#settings.side === 'server') {
      if (slot !== undefined) throw new Error('a client that chooses lanes');
    } else if (slot === undefined || slot >= this.#spec(name)!.maxOpen || this.#uses(name, slot))
      throw new Error('a channel without lanes of its own');
  }

  #freeSlot(name: string): number | undefined {
    const { maxOpen } = this.#spec(name)!;
    for (let slot = 0; slot < maxOpen; slot++) if (!this.#uses(name, slot)) return slot;
    return undefined;
  }

  #uses(name: string, slot: number): boolean {
    return this.#count((one) => one.name === name && one.slot === slot) > 0;
  }

  #pending(ours: boolean): number {
    return this.#count((one) => one.ours === ours && one.answered === '');
  }

  #count(test: (one: OnDemandChannel) => boolean): number {
    let count = 0;
    for (const one of this.#all.values()) if (test(one)) count++;
    return count;
  }

  #doing({ noticed }: OnDemandChannel): string {
    const { app, pid } = this.#settings.peer;
    return noticed
      ? `the program of app ${app} (process ${pid}) has it before it and has neither accepted nor rejected it`
      : `process ${pid} of app ${app} has not looked at it; it ${activityOf(pid)}`;
  }
}

/** Why that can't travel as metadata. */
function unfitness(metadata: unknown): string | undefined {
  try {
    const text = JSON.stringify(metadata ?? null);
    if (text === undefined) return 'its metadata is no JSON value';
    return text.length > metadataBytesMax
      ? `its metadata has more than ${metadataBytesMax} bytes`
      : undefined;
  } catch (error) {
    return messageOf(error);
  }
}
