// Pipe: a bounded queue of packets in a region, seen from one user. Calls that can't be done now stand in two lines, first
// come first served, and are tried again whenever the region says so.
import { IpcError } from '../errors.ts';
import type { DequeueOptions, Packet, PacketCodec, PipeStats, RegionValue } from '../spec/region.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { doneRingsDue, type NativeAnswer, type NativePacket, tookRingsDue } from './native.ts';
import { packetCodecs } from './packet-codec.ts';
import { type RegionUse, SharedValue } from './region-value.ts';
import { type Call, WaitingLine, waiting, waitingMax } from './waiting.ts';

/** Packets handed to onPacket in one turn of the event loop, so that a full pipe starves nobody. */
const turnPacketsMax = 256;

/** What a consumer wants of a packet. */
type Taking = 'value' | 'ack' | 'borrow';

interface WaitingEnqueue extends Call<boolean> {
  readonly payload: Uint8Array | number;
}

interface WaitingDequeue extends Call<unknown> {
  readonly taking: Taking;
}

/** Where small packets come to before they are decoded, all within one turn. */
const scratch = new Uint8Array(4096);

/** The addon's answers. */
const done = 0;
const held = 2;

export class Pipe<T> {
  readonly name: string;
  /** For messages: region and pipe. */
  readonly path: string;
  readonly codec: PacketCodec;

  readonly #packets: (typeof packetCodecs)[PacketCodec];
  readonly #region: RegionUse;
  readonly #index: number;
  readonly #packet: NativePacket = { block: 0, bytes: null, deliveries: 0 };
  readonly #enqueuing = new WaitingLine<WaitingEnqueue>();
  readonly #dequeuing = new WaitingLine<WaitingDequeue>();
  #onPacket: ((packet: T) => void) | undefined;
  /** Whether the region has us on its list of those who wait for room, or for packets, unless it has told us already. */
  #wantsRoom = false;
  #wantsPackets = false;
  #ended: IpcError | undefined;
  /** What the last successful #take has taken. */
  #taken: unknown;

  constructor(
    region: RegionUse & { forget(pipe: Pipe<unknown>): void },
    name: string,
    index: number,
    codec: PacketCodec,
  ) {
    this.name = name;
    this.path = `pipe ${region.name}/${name}`;
    this.codec = codec;
    this.#packets = packetCodecs[codec];
    this.#region = region;
    this.#index = index;
    this.#forget = () => region.forget(this as unknown as Pipe<unknown>);
  }

  readonly #forget: () => void;

  tryEnqueue(packet: T | RegionValue<T>): boolean {
    this.#check();
    const payload = this.#payloadOf(packet);
    return this.#enqueuing.length === 0 && this.#put(payload, false) === done;
  }

  enqueue(packet: T | RegionValue<T>, options?: WaitOptions): Promise<boolean> {
    try {
      this.#check();
      options?.signal?.throwIfAborted();
      const payload = this.#payloadOf(packet);
      if (this.#enqueuing.length === 0) {
        const answer = this.#put(payload, options?.timeoutMs !== 0);
        if (answer === done) return yes;
        if (options?.timeoutMs === 0 && answer !== held) return no;
      }
      if (this.#enqueuing.full) throw IpcError.of('ERR_PIPE_BUSY', this.name, waitingMax);
      // A copy: the caller may use his memory again before there is room.
      const kept = typeof payload === 'number' ? payload : Uint8Array.from(payload);
      return waiting<boolean>(
        '',
        options,
        (call) => this.#stand(this.#enqueuing, { ...call, payload: kept }),
        (timeoutMs) =>
          this.#lastTry(this.#enqueuing, () => this.#put(kept, false)) || this.#late(timeoutMs, false),
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  tryDequeue(): T | undefined {
    this.#check();
    if (this.#dequeuing.length > 0 || this.#take('value', false) !== done) return undefined;
    return this.#taken as T;
  }

  dequeue(options: DequeueOptions & { ack: true }): Promise<Packet<T> | undefined>;
  dequeue(options: DequeueOptions & { borrow: true }): Promise<RegionValue<T> | undefined>;
  dequeue(options?: WaitOptions): Promise<T | undefined>;
  dequeue(options?: DequeueOptions): Promise<unknown> {
    try {
      this.#check();
      options?.signal?.throwIfAborted();
      const taking: Taking = options?.ack ? 'ack' : options?.borrow ? 'borrow' : 'value';
      if (this.#dequeuing.length === 0) {
        const answer = this.#take(taking, options?.timeoutMs !== 0);
        if (answer === done) return Promise.resolve(this.#taken);
        if (options?.timeoutMs === 0 && answer !== held) return Promise.resolve(undefined);
      }
      if (this.#dequeuing.full) throw IpcError.of('ERR_PIPE_BUSY', this.name, waitingMax);
      return waiting<unknown>(
        '',
        options,
        (call) => this.#stand(this.#dequeuing, { ...call, taking }),
        (timeoutMs) =>
          this.#lastTry(this.#dequeuing, () => this.#take(taking, false))
            ? this.#taken
            : this.#late(timeoutMs, undefined),
      );
    } catch (error) {
      return Promise.reject(error);
    }
  }

  onPacket(handler: (packet: T) => void): () => void {
    this.#check();
    if (!this.#onPacket) this.#region.waits(1);
    this.#onPacket = handler;
    this.#region.lookSoon();
    return () => {
      if (this.#onPacket !== handler) return;
      this.#onPacket = undefined;
      this.#region.waits(-1);
      this.#leave();
    };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void> {
    for (;;) {
      let packet: T | undefined;
      try {
        packet = await this.dequeue();
      } catch (error) {
        if (error instanceof IpcError && error.code === 'ERR_REGION_CLOSED') return;
        throw error;
      }
      yield packet as T;
    }
  }

  stats(): Promise<PipeStats> {
    return this.#region.whenUnlocked(() => this.#region.native.pipeStats(this.#index), this.path);
  }

  close(): void {
    if (this.#ended) return;
    this.end(IpcError.of('ERR_REGION_CLOSED', this.path));
    this.#forget();
    this.#leave();
  }

  // ---- for the region

  /** Nothing more can be done: those who wait hear why. */
  end(why: IpcError): void {
    if (this.#ended) return;
    this.#ended = why;
    if (this.#onPacket) this.#region.waits(-1);
    this.#onPacket = undefined;
    this.rejectAll(why);
  }

  rejectAll(error: IpcError): void {
    this.#enqueuing.rejectAll(error);
    this.#dequeuing.rejectAll(error);
  }

  /** Tries what waits here, as far as it goes now. */
  look(): void {
    for (let first = this.#enqueuing.first; first; first = this.#enqueuing.first) {
      if (
        !this.#settle(
          this.#enqueuing,
          first,
          () => this.#put(first!.payload, true) === done,
          () => true,
        )
      )
        break;
    }
    for (let first = this.#dequeuing.first; first; first = this.#dequeuing.first) {
      if (
        !this.#settle(
          this.#dequeuing,
          first,
          () => this.#take(first!.taking, true) === done,
          () => this.#taken,
        )
      )
        break;
    }
    this.#handOn();
    this.#leave();
  }

  /** Serves the first of a line. @returns whether the next one may be tried. */
  #settle<V, C extends Call<V>>(
    line: WaitingLine<C>,
    first: C,
    attempt: () => boolean,
    answer: () => V,
  ): boolean {
    try {
      if (!attempt()) return false;
      line.shift();
      first.resolve(answer());
    } catch (error) {
      line.shift();
      first.reject(error);
    }
    return true;
  }

  /** Hands packets to the handler, after the calls that wait. */
  #handOn(): void {
    if (this.#dequeuing.length > 0) return;
    for (let count = 0; this.#onPacket && count < turnPacketsMax; count++) {
      try {
        if (this.#take('value', true) !== done) return;
        this.#onPacket(this.#taken as T);
      } catch (error) {
        // An uncaught exception, as in any event handler; the next packet follows all the same.
        this.#region.lookSoon();
        throw error;
      }
    }
    if (this.#onPacket) this.#region.lookSoon();
  }

  /** Stands in a line. @returns how to leave it. */
  #stand<V, C extends Call<V>>(line: WaitingLine<C>, one: C): () => void {
    let stands = true;
    const leave = () => {
      if (!stands) return;
      stands = false;
      this.#region.waits(-1);
    };
    // However the call is answered, it waits no longer.
    const { resolve, reject } = one;
    one.resolve = (value: V) => {
      leave();
      resolve(value);
    };
    one.reject = (error: unknown) => {
      leave();
      reject(error);
    };
    this.#region.waits(1);
    const giveUp = line.join(one);
    return () => {
      giveUp();
      leave();
      this.#leave();
    };
  }

  /** At the limit of a call: somebody else may have been rung for what is there, and be stopped. */
  #lastTry(line: { readonly length: number }, attempt: () => NativeAnswer): boolean {
    return line.length === 0 && !this.#ended && !this.#region.ended && attempt() === done;
  }

  #late<V>(timeoutMs: number, answer: V): V {
    this.#region.checkLock(timeoutMs);
    return answer;
  }

  /** Takes us off the region's lists once nobody waits here: what we were told of goes to somebody else. */
  #leave(): void {
    const room = this.#enqueuing.length > 0;
    const packets = this.#dequeuing.length > 0 || this.#onPacket !== undefined;
    if ((!this.#wantsRoom || room) && (!this.#wantsPackets || packets)) return;
    this.#wantsRoom = false;
    this.#wantsPackets = false;
    if (this.#region.ended) return;
    this.#region.doSometime(() => this.#region.native.unwait(this.#index));
    // That took us off both lists.
    if (room || packets) this.#region.lookSoon();
  }

  #payloadOf(packet: T | RegionValue<T>): Uint8Array | number {
    return packet instanceof SharedValue
      ? packet.blockFor(this.#region, this.codec, this.path)
      : this.#packets.encode(packet, this.path);
  }

  #put(payload: Uint8Array | number, wait: boolean): NativeAnswer {
    const { native } = this.#region;
    try {
      if (typeof payload === 'number') {
        const answer = native.enqueueBlock(this.#index, payload, wait);
        this.#notePut(answer, wait);
        if (answer === done) this.#region.ringOthers();
        return answer;
      }
      const answer = native.enqueue(this.#index, payload, wait);
      if (answer !== doneRingsDue) {
        this.#notePut(answer, wait);
        return answer;
      }
      this.#notePut(done, wait);
      this.#region.ringOthers();
      return done;
    } catch (error) {
      throw this.#region.refusal(
        error,
        `a packet of ${typeof payload === 'number' ? 0 : payload.length} bytes`,
      );
    }
  }

  #notePut(answer: NativeAnswer, wait: boolean): void {
    if (answer === done) this.#wantsRoom = false;
    else if (answer === 1 && wait) this.#wantsRoom = true;
    this.#note(answer, wait);
  }

  /** Takes a packet into `#taken`. */
  #take(taking: Taking, wait: boolean): NativeAnswer {
    const { native } = this.#region;
    const packet = this.#packet;
    let answer: NativeAnswer = done;
    let taken: number | Uint8Array = 0;
    let ringsDue = true;
    try {
      if (taking === 'value') {
        taken = native.take(this.#index, scratch, wait);
        if (typeof taken === 'number') {
          ringsDue = taken >= tookRingsDue;
          if (ringsDue) taken -= tookRingsDue;
          if (taken < 0) answer = -taken as NativeAnswer;
        }
      } else if (taking === 'borrow') answer = native.dequeueBlock(this.#index, packet, wait);
      else answer = native.dequeue(this.#index, packet, true, wait);
      if (answer === done) this.#wantsPackets = false;
      else if (answer === 1 && wait) this.#wantsPackets = true;
      this.#note(answer, wait);
      if (answer === done && ringsDue) this.#region.ringOthers();
    } catch (error) {
      throw this.#region.refusal(error, `a packet of ${this.path}`);
    }
    if (answer !== done) return answer;
    const codec = this.#packets;
    if (taking !== 'value') this.#taken = this.#opened(taking, packet);
    else if (typeof taken === 'number') this.#taken = codec.decodeFrom(scratch, taken, this.path);
    else this.#taken = codec.decode(taken, this.path);
    return done;
  }

  #note(answer: NativeAnswer, wait: boolean): void {
    if (answer !== held || wait) this.#region.noteAnswer(answer);
  }

  #opened(taking: 'ack' | 'borrow', { block, bytes, deliveries }: NativePacket): unknown {
    if (taking === 'borrow') return new SharedValue<T>(this.#region, block, this.codec);
    this.#packet.bytes = null;
    try {
      return new HeldPacket(this.#region, block, deliveries, this.#packets.decode(bytes!, this.path));
    } catch (error) {
      // It would come back for ever.
      this.#region.doSometime(() => this.#region.native.ack(block));
      throw error;
    }
  }

  #check(): void {
    if (this.#ended) throw this.#ended;
    this.#region.check();
  }
}

const yes = Promise.resolve(true);
const no = Promise.resolve(false);

/** A packet that is ours until it is acknowledged or rejected. */
class HeldPacket<T> implements Packet<T> {
  readonly value: T;
  readonly deliveries: number;
  readonly #region: RegionUse;
  readonly #block: number;
  #settled = false;

  constructor(region: RegionUse, block: number, deliveries: number, value: T) {
    this.#region = region;
    this.#block = block;
    this.deliveries = deliveries;
    this.value = value;
  }

  ack(): void {
    this.#settle(() => this.#region.native.ack(this.#block));
  }

  reject(): void {
    this.#settle(() => this.#region.native.reject(this.#block));
  }

  [Symbol.dispose](): void {
    this.reject();
  }

  #settle(change: () => 0 | 2): void {
    if (this.#settled) return;
    this.#settled = true;
    // With the region everything that we held goes back.
    if (!this.#region.ended) this.#region.doSometime(change);
  }
}
