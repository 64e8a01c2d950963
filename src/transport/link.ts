// Link: the shared memory of one session seen from one side: our segment and the peer's, the doorbell between them, and
// the channels whose lanes stand in them. The data plane of a session; machines decide when it opens and ends.
import { IpcError, messageOf } from '../errors.ts';
import { Cursor } from './cursor.ts';
import { headOf, LaneReader, LaneWriter, skipTo, tailOf } from './lane.ts';
import { LaneMirror, type OnBlock } from './lane-mirror.ts';
import { type NativeDoorbell, type NativePulse, type NativeSegment, native } from './native.ts';

/** As in cpp/shm/layout.h. */
export const segmentKind = { session: 1, channel: 2, recorder: 3, arena: 4, broadcast: 5 } as const;

/** Awake for this long after the last message, if messages come that fast; 0 never spins. */
export const spinDefaultUs = 20;

/** A peer's segment is refused above this, since even reading its holes would allocate memory. */
export const peerSegmentBytesMax = 2 ** 32 - 1;

/** What has lanes in a link and is called when the peer has written or read. */
export interface LinkMember {
  /** Byte offset in the peer's segment of the word that moves when the peer writes. */
  readonly tailBytes: number;
  /** Handles what there is, up to a bounded amount. @returns whether something was left for another turn. */
  poll(): boolean;
}

/** Whom a peer's segment is named by. */
export interface SegmentOwner {
  readonly app: string;
  readonly channels: readonly string[];
}

/** When a peer counts as gone, and its event loop as stalled. In milliseconds; Infinity: never. */
export interface LifeLimits {
  readonly beatMs: number;
  readonly idleMs: number;
  readonly reportMs: number;
}

/** What stands for "never" in the addon. */
const neverMs = 2 ** 32 - 1;

export class Link {
  readonly #own: NativeSegment;
  readonly #doorbell: NativeDoorbell;
  readonly #parkAt = native().layout.parkOffset >> 2;
  #peer: NativeSegment | undefined;
  #peerWords: Int32Array = new Int32Array(0);
  #rung = 0;
  #ringPeer: () => void;
  #pulse: NativePulse | undefined;
  #members: LinkMember[] = [];
  /** Who comes and goes while the session lasts: the readers and the writer of its broadcasts. */
  #guests: Pick<LinkMember, 'poll'>[] = [];
  #closed = false;
  #polling = false;
  #afterPoll: (() => void) | undefined;

  /**
   * Creates our segment with one lane per capacity (bytes, powers of two).
   * @throws {IpcError} ERR_SYSTEM.
   */
  constructor(capacities: number[], spinUs: number = spinDefaultUs) {
    try {
      this.#own = new (native().Segment)(segmentKind.session, capacities, 0);
      this.#doorbell = new (native().Doorbell)(this.#own, spinUs);
      this.#ringPeer = () => this.#doorbell.ring();
    } catch (error) {
      throw IpcError.from(error, 'ERR_SYSTEM', 'creating shared memory', messageOf(error));
    }
  }

  /** The size of our segment, and the descriptors of it and of our bell, for the peer. */
  get offer(): { bytes: number; fds: [segment: number, bell: number] } {
    return { bytes: this.#own.bytes, fds: [this.#own.fd, this.#doorbell.fd] };
  }

  /**
   * Maps the peer's segment and takes its bell; both descriptors are ours from now on, also if this throws.
   * @param bell the descriptor of its bell, or what wakes a peer that has handed over none.
   * @param owner whose memory it is, and the channels of its lanes in order: for the last word of a process that writes there.
   * @throws {IpcError} ERR_MEMORY.
   */
  attach(bytes: number, segmentFd: number, bell: number | (() => void), owner?: SegmentOwner): void {
    let bellTaken = false;
    try {
      this.#peer = new (native().Segment)(segmentKind.session, segmentFd, bytes, peerSegmentBytesMax);
      if (!sameRings(this.#own, this.#peer)) throw new Error('its lanes are not those of the session');
      bellTaken = true;
      if (typeof bell === 'number') this.#doorbell.adoptPeer(bell);
      else this.#ringPeer = bell;
    } catch (error) {
      if (!bellTaken && typeof bell === 'number') native().closeFd(bell);
      throw IpcError.from(error, 'ERR_MEMORY', messageOf(error));
    }
    this.#peer.closeFile();
    if (owner) {
      const whole = `the session with app ${owner.app}`;
      this.#peer.name(
        whole,
        owner.channels.map((channel) => `channel ${channel} of ${whole}`),
      );
    }
    this.#peerWords = new Int32Array(this.#peer.buffer);
  }

  /**
   * Has the keep-alive thread give signs of life to the peer, and look for the peer's. REQUIRES: attached.
   * @throws {IpcError} ERR_SYSTEM.
   */
  beat({ beatMs, idleMs, reportMs }: LifeLimits): void {
    const limits = [beatMs, idleMs, reportMs].map((ms) => Math.min(ms, neverMs)) as [number, number, number];
    try {
      this.#pulse = new (native().Pulse)(this.#own, this.#peer!, ...limits);
    } catch (error) {
      throw IpcError.from(error, 'ERR_SYSTEM', 'starting the keep-alive thread', messageOf(error));
    }
  }

  /** Calls back when the peer falls silent, and when its event loop stalls (for how long) or turns again (0). REQUIRES: beats. */
  onLife(callback: (stalledMs: number, silent: boolean) => void): void {
    this.#pulse!.listen(callback);
  }

  /** Whether the peer gives no sign of life now. */
  get silent(): boolean {
    return this.#pulse?.idle ?? false;
  }

  /** The two ends of that lane. REQUIRES: attached. */
  lane(index: number): { writer: LaneWriter; reader: LaneReader } {
    const peer = this.#peer!;
    return { writer: new LaneWriter(this.#own, peer, index), reader: new LaneReader(this.#own, peer, index) };
  }

  /** All lanes as a gateway to another machine sees them. REQUIRES: attached. */
  mirrors(onBlockOf: (lane: number) => OnBlock | undefined): LaneMirror[] {
    return Array.from(
      { length: this.#own.rings.length / 2 },
      (_, lane) => new LaneMirror(this.#own, this.#peer!, lane, onBlockOf(lane)),
    );
  }

  /** Where our direction of that lane has ended, when nothing is written into it any more. */
  finalTail(lane: number): number {
    return this.#closed ? 0 : tailOf(this.#own, lane);
  }

  /** How far we have read the peer's direction of that lane. */
  ownHead(lane: number): number {
    return this.#closed ? 0 : headOf(this.#own, lane);
  }

  /** Lets go of the peer's direction of that lane, which has ended there. @throws an Error for a place that makes no sense. */
  settle(lane: number, tail: number): void {
    if (!this.#closed) skipTo(this.#own, this.#peer!, lane, tail);
  }

  /** The words of that lane as those of a broadcast. REQUIRES: attached. */
  cursor(index: number): Cursor {
    return new Cursor(this.#own, this.#peer!, index);
  }

  /** Begins to listen for the peer. REQUIRES: attached. */
  start(members: LinkMember[]): void {
    // The descriptor has been handed over; the mapping stays.
    this.#own.closeFile();
    const peer = this.#peer!;
    this.#members = members;
    for (const { tailBytes } of members)
      this.#doorbell.watch(peer, tailBytes, Atomics.load(this.#peerWords, tailBytes >> 2) >>> 0);
    this.#doorbell.listen(() => this.poll());
    // What came before we listened counts too.
    if (this.poll()) this.again();
  }

  /** Calls back when the peer's head at that place moves. @returns a function that ends it. */
  watchHead(headBytes: number, seen: number): () => void {
    return this.watch(this.#peer!, headBytes, seen);
  }

  /** Calls back when that word is another than `seen`. @returns a function that ends it. */
  watch(segment: NativeSegment, wordBytes: number, seen: number): () => void {
    const slot = this.#doorbell.watch(segment, wordBytes, seen >>> 0);
    return () => {
      if (!this.#closed) this.#doorbell.unwatch(slot);
    };
  }

  /** The same for a word of the peer's segment. */
  watchPeer(wordBytes: number): () => void {
    return this.watch(this.#peer!, wordBytes, Atomics.load(this.#peerWords, wordBytes >> 2));
  }

  /** Adds one who is called with the members while the session lasts. @returns a function that ends it. */
  join(guest: Pick<LinkMember, 'poll'>): () => void {
    this.#guests.push(guest);
    return () => {
      this.#guests = this.#guests.filter((other) => other !== guest);
    };
  }

  /** SYNC park-or-ring: wakes the peer if it sleeps. Call it after each publish, and after a release that is wanted. */
  notify(): void {
    const word = Atomics.load(this.#peerWords, this.#parkAt);
    if ((word & 1) !== 0 && word !== this.#rung) {
      this.#rung = word;
      this.#ringPeer();
    }
  }

  /** Has all channels looked at in the next turn of the event loop: something was left for it. */
  again(): void {
    if (!this.#closed) this.#doorbell.again();
  }

  /** Looks at all channels. Also called once more when the peer has died, who may have died between store and ring. */
  poll(): boolean {
    let more = false;
    this.#polling = true;
    try {
      for (const member of this.#members) if (member.poll()) more = true;
      for (const guest of this.#guests) if (guest.poll()) more = true;
    } finally {
      // Also after a handler that threw.
      this.#polling = false;
      const after = this.#afterPoll;
      this.#afterPoll = undefined;
      after?.();
    }
    return more;
  }

  /** Has that one call made at the end of this `poll`, if one goes on. @returns whether it will be made. */
  afterPoll(call: () => void): boolean {
    if (this.#polling) this.#afterPoll = call;
    return this.#polling;
  }

  /** Unmaps everything; channels must not touch their lanes any more. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#members = [];
    this.#guests = [];
    this.#pulse?.close();
    this.#doorbell.close();
    this.#peer?.close();
    this.#own.close();
  }
}

function sameRings(own: NativeSegment, peer: NativeSegment): boolean {
  const mine = own.rings;
  const theirs = peer.rings;
  return mine.length === theirs.length && mine.every((value, i) => value === theirs[i]);
}
