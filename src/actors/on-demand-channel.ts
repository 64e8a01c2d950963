// On-demand channel: one channel from its offer to the moment when both sides have let go of its lanes.
import { type ErrorData, IpcError, messageOf } from '../errors.ts';
import type { ChannelReport, channelMachine } from '../machines/channel.ts';
import { type Address, addressOf } from '../names.ts';
import type { Side } from '../spec/peer.ts';
import type { Offer } from '../spec/session.ts';
import type { AppSpec } from '../spec/universe.ts';
import type { ChannelEnd } from '../transport/channel-end.ts';
import type { Frame } from '../transport/frame.ts';
import type { Link } from '../transport/link.ts';
import type { Call } from '../transport/waiting.ts';
import { type RunningChannel, startChannel } from './channel.ts';
import type { Host, Hosted } from './hosting.ts';
import { acceptedFrame, offerFrame, partedFrame, rejectedFrame, withdrawnFrame } from './offer-frame.ts';
import { firstLaneOf } from './session-lanes.ts';

/** What the session gives its on-demand channels. */
export interface OfferSettings {
  readonly host: Host;
  readonly address: Address;
  readonly side: Side;
  readonly server: AppSpec;
  readonly link: Link;
  /** Our end of a channel in that lane. */
  readonly makeEnd: (name: string, lane: number, hosted: Hosted<typeof channelMachine>) => ChannelEnd;
  readonly peer: { readonly app: string; readonly pid: number };
  readonly drainTimeoutMs: number;
  readonly send: (frame: Frame) => void;
  /** For the session's machine, which waits for the end of each open channel. */
  readonly onReport: (report: Extract<ChannelReport, { type: 'channel.opened' | 'channel.ended' }>) => void;
  readonly onBroken: (why: string) => void;
  readonly errorOf: () => IpcError | undefined;
  /** All open channels of the session; those of its beginning come first, and stay. */
  readonly channels: RunningChannel[];
}

/** What the program does with channels that are opened on demand. */
export interface OfferTaker {
  /** What the program's machine does with offers that no handler takes, if it takes them. */
  readonly offered: ((offer: Offer<ChannelEnd>) => void) | undefined;
  opened(end: ChannelEnd): void;
  closed(end: ChannelEnd): void;
}

/** Those to whom one channel belongs. */
interface Owner {
  readonly taker: () => OfferTaker | undefined;
  /** Nothing of it is left; its lanes are free. */
  readonly gone: (channel: OnDemandChannel) => void;
}

export class OnDemandChannel {
  readonly number: number;
  readonly name: string;
  readonly ours: boolean;
  /** Which of its channel's lanes it has; of an offer of a client, once the server has said so. */
  slot: number | undefined;
  /** Whoever waits for the answer to our offer. */
  call: Call<ChannelEnd> | undefined;
  noticed = false;
  /** Why it can't be answered any more; empty as long as it can. */
  answered = '';
  /** We offered it, and wait no longer. */
  withdrawn = false;
  end: ChannelEnd | undefined;

  readonly #settings: OfferSettings;
  readonly #owner: Owner;
  readonly #hosted: Hosted<typeof channelMachine>;
  #leave: (() => void) | undefined;
  /** We have let go of its lanes. */
  #parted = false;
  /** Where the peer's direction has ended, once it has let go of its lanes. */
  #peerTail: number | undefined;

  constructor(
    facts: { number: number; name: string; ours: boolean; metadata: unknown; slot: number | undefined },
    settings: OfferSettings,
    owner: Owner,
  ) {
    const { number, name, ours, metadata, slot } = facts;
    this.number = number;
    this.name = name;
    this.ours = ours;
    this.slot = slot;
    this.#settings = settings;
    this.#owner = owner;
    const key = `${name}#${number}`;
    const { send } = settings;
    this.#hosted = startChannel(settings.host, {
      address: addressOf(settings.address, key),
      name: key,
      opening: ours ? 'offering' : 'offered',
      drainTimeoutMs: settings.drainTimeoutMs,
      endOf: () => this.end,
      errorOf: settings.errorOf,
      wire: {
        offer: () => send(offerFrame({ number, channel: name, metadata, slot })),
        withdraw: () => send(withdrawnFrame(number)),
        reject: (error) => {
          owner.gone(this);
          send(rejectedFrame(number, error));
        },
        part: () => this.#part(),
      },
      onReport: (report) => this.#onReport(report),
    });
  }

  /** Whether the peer may say that it has let go of it. */
  get mayPart(): boolean {
    return (
      this.#peerTail === undefined && (this.end !== undefined || (this.withdrawn && this.answered !== ''))
    );
  }

  // ---- our offer

  noticedByPeer(): void {
    this.noticed = true;
    this.#hosted.post({ type: 'offer.noticed' });
  }

  acceptedByPeer(): void {
    this.answered = 'it is open';
    // Whoever wanted it has gone; the peer hears that next, and ends it.
    if (this.withdrawn) return;
    const end = this.#open();
    this.#hosted.post({ type: 'offer.accepted' });
    this.call?.resolve(end);
  }

  rejectedByPeer(error: IpcError): void {
    this.#owner.gone(this);
    this.#hosted.post({ type: 'offer.rejected', error: error.toJSON() });
    this.call?.reject(error);
  }

  withdraw(): void {
    this.withdrawn = true;
    this.call = undefined;
    const error: ErrorData = IpcError.of('ERR_OFFER_WITHDRAWN', this.name, 'nobody waits for it').toJSON();
    this.#hosted.post({ type: 'withdraw', error });
  }

  // ---- the peer's offer

  /** @throws {IpcError} ERR_OFFER_WITHDRAWN. */
  accept(): ChannelEnd {
    if (this.answered !== '') throw IpcError.of('ERR_OFFER_WITHDRAWN', this.name, this.answered);
    this.answered = 'it was answered already';
    const { side, send } = this.#settings;
    send(acceptedFrame(this.number, side === 'server' ? this.slot : undefined));
    const end = this.#open();
    this.#hosted.post({ type: 'accept' });
    return end;
  }

  reject(reason: string): void {
    if (this.answered !== '') return;
    this.answered = 'it was answered already';
    const error: ErrorData = IpcError.of('ERR_OFFER_REJECTED', this.name, String(reason)).toJSON();
    this.#hosted.post({ type: 'reject', error });
  }

  withdrawnByPeer(): void {
    if (this.answered === '') {
      this.answered = 'the peer waits for it no longer';
      this.#hosted.post({ type: 'offer.withdrawn' });
      // It is open here and never was there: the peer has written nothing.
    } else if (this.mayPart) this.partedByPeer(this.#settings.link.ownHead(this.#lane));
  }

  // ---- its end

  /** @param tail where the peer's direction has ended. @throws an Error if that makes no sense. REQUIRES: mayPart. */
  partedByPeer(tail: number): void {
    this.#peerTail = tail;
    if (this.#parted || this.withdrawn) this.#settle();
    this.#hosted.post({ type: 'peer.parted' });
  }

  /** The session ends; an open channel is told so with the others. */
  sessionEnds(error: IpcError, event: Parameters<Hosted<typeof channelMachine>['post']>[0]): void {
    this.answered ||= 'the session has ended';
    if (!this.end) this.#hosted.post(event);
    this.call?.reject(error);
  }

  tearDown(error: IpcError): void {
    this.answered ||= 'the session has ended';
    this.call?.reject(error);
    this.#leave?.();
    this.#hosted.stop();
  }

  get #lane(): number {
    return firstLaneOf(this.#settings.server, this.name) + this.slot!;
  }

  /** Our end, ready to be used. REQUIRES: a slot. */
  #open(): ChannelEnd {
    const { link, makeEnd, channels } = this.#settings;
    const hosted = this.#hosted;
    const end = makeEnd(this.name, this.#lane, hosted);
    this.end = end;
    const running: RunningChannel = { hosted, end };
    channels.push(running);
    const unwatch = link.watchPeer(end.tailBytes);
    const leave = link.join(end);
    this.#leave = () => {
      this.#leave = undefined;
      unwatch();
      leave();
      channels.splice(channels.indexOf(running), 1);
    };
    end.openForUse();
    this.#owner.taker()?.opened(end);
    // What the peer has sent already.
    link.again();
    return end;
  }

  #onReport(report: ChannelReport): void {
    if (report.type === 'channel.opened' || report.type === 'channel.ended') this.#settings.onReport(report);
    if (report.type !== 'channel.peer-ended') return;
    const end = this.end!;
    // Messages before the news of the end.
    if (this.#peerTail !== undefined) end.finish(IpcError.of('ERR_CHANNEL_CLOSED', this.name), true);
    this.#owner.taker()?.closed(end);
  }

  #part(): void {
    const { link, send, onBroken } = this.#settings;
    this.#leave?.();
    this.#parted = true;
    send(partedFrame(this.number, link.finalTail(this.#lane)));
    try {
      if (this.#peerTail !== undefined) this.#settle();
    } catch (error) {
      onBroken(messageOf(error));
    }
  }

  /** Both have let go: its lanes may serve another. @throws an Error if the peer's last place makes no sense. */
  #settle(): void {
    this.#owner.gone(this);
    this.#settings.link.settle(this.#lane, this.#peerTail!);
  }
}
