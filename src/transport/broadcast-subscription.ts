// BroadcastSubscription: the reading end of a broadcast at a session's client. Asks for the memory at its first use, reads
// it at its own pace, and hands messages to whoever takes them, each with the count of those that were missed before it.
import { IpcError, messageOf } from '../errors.ts';
import type { Broadcast, BroadcastMessage, SubscriptionStats } from '../spec/broadcast.ts';
import type { BroadcastOptions } from '../spec/broadcast-spec.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { type BroadcastPlace, BroadcastRingReader } from './broadcast-ring.ts';
import { broadcastCodecs } from './codec.ts';
import type { Cursor } from './cursor.ts';
import { type Link, peerSegmentBytesMax, segmentKind } from './link.ts';
import { type NativeSegment, native } from './native.ts';
import { recordKind } from './record.ts';
import { type Call, WaitingLine, waiting } from './waiting.ts';

/** As for channels: records handled in one turn of the event loop, and fewer where each becomes an event. */
const turnRecordsMax = 256;
const turnEventsMax = 64;

/** What a subscription needs from its session. */
export interface SubscriptionObserver {
  /** Asks the server for the memory; `accept` follows. */
  ask(number: number): void;
  /** The memory is there. */
  admitted(number: number): void;
  /** The writer has dropped that subscription for being slow. */
  dropped(number: number): void;
  /** Tells the server that nothing is read any more. */
  leave(): void;
  broken(why: string): void;
}

/** The server's answer: its memory and where to begin. */
export interface Accepted {
  readonly number: number;
  readonly bytes: number;
  readonly place: BroadcastPlace;
}

/** What is there while it reads. */
interface Reading {
  readonly segment: NativeSegment;
  readonly ring: BroadcastRingReader;
  readonly leave: () => void;
}

type Deliver = (message: unknown, gap: number) => void;

export class BroadcastSubscription implements Broadcast {
  readonly name: string;

  readonly #options: BroadcastOptions;
  readonly #link: Link;
  readonly #lane: number;
  readonly #observer: SubscriptionObserver;
  readonly #decode: (bytes: Uint8Array, length: number) => unknown;
  readonly #receiving = new WaitingLine<Call<BroadcastMessage>>();
  readonly #subscribing = new WaitingLine<Call<void>>();
  /** Of the present subscription. A late answer to an earlier one has another number. */
  #number = 0;
  #asked = false;
  #reading: Reading | undefined;
  #cursor: Cursor | undefined;
  #toldPosition = 0;
  #inbox: BroadcastMessage[] = [];
  #onBatch: ((messages: unknown[], gap: number) => void) | undefined;
  #onMessage: Deliver | undefined;
  #onDropped: ((error: IpcError) => void) | undefined;
  #received = 0;
  #missed = 0;
  #dropped: IpcError | undefined;
  #finished: IpcError | undefined;

  constructor(
    name: string,
    options: BroadcastOptions,
    link: Link,
    lane: number,
    observer: SubscriptionObserver,
  ) {
    this.name = name;
    this.#options = options;
    this.#link = link;
    this.#lane = lane;
    this.#observer = observer;
    this.#decode = broadcastCodecs[options.codec].decode;
  }

  get subscribed(): boolean {
    return this.#reading !== undefined;
  }

  subscribe(options?: WaitOptions): Promise<void> {
    if (this.#finished) return Promise.reject(this.#finished);
    if (this.#reading) return Promise.resolve();
    if (this.#subscribing.full)
      return Promise.reject(IpcError.of('ERR_CHANNEL_BUSY', this.name, this.#subscribing.length));
    this.#dropped = undefined;
    this.#ask();
    return waiting<void>(`subscribe to broadcast ${this.name}`, options, (call) =>
      this.#subscribing.join(call),
    );
  }

  unsubscribe(): void {
    if (this.#finished || !this.#asked) return;
    this.#observer.leave();
    this.#stopReading();
    const error = IpcError.of('ERR_CHANNEL_CLOSED', this.name);
    this.#subscribing.rejectAll(error);
    this.#receiving.rejectAll(error);
  }

  tryReceive(): BroadcastMessage | undefined {
    if (this.#inbox.length > 0) return this.#inbox.shift();
    this.#begin();
    let found: BroadcastMessage | undefined;
    this.#readWhile(
      () => found === undefined,
      (message, gap) => {
        found = { message, gap };
      },
      turnRecordsMax,
    );
    if (!found && this.#end) throw this.#end;
    return found;
  }

  receive(options?: WaitOptions): Promise<BroadcastMessage> {
    if (this.#receiving.full)
      return Promise.reject(IpcError.of('ERR_CHANNEL_BUSY', this.name, this.#receiving.length));
    try {
      const found = this.#receiving.length === 0 ? this.tryReceive() : undefined;
      if (found) return Promise.resolve(found);
    } catch (error) {
      return Promise.reject(error);
    }
    return waiting<BroadcastMessage>(`receive on broadcast ${this.name}`, options, (call) =>
      this.#receiving.join(call),
    );
  }

  onBatch(handler: (messages: unknown[], gap: number) => void): () => void {
    this.#onBatch = handler;
    this.#begin();
    for (const { message, gap } of this.#inbox.splice(0)) handler([message], gap);
    this.#pollNow();
    return () => {
      if (this.#onBatch === handler) this.#onBatch = undefined;
    };
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<BroadcastMessage, void> {
    for (;;) {
      let found: BroadcastMessage;
      try {
        found = await this.receive();
      } catch (error) {
        if (error instanceof IpcError && error.code === 'ERR_CHANNEL_CLOSED') return;
        throw error;
      }
      yield found;
    }
  }

  stats(): SubscriptionStats {
    return { received: this.#received, missed: this.#missed };
  }

  /** Each message becomes a call, as the events of a machine need it. */
  deliverTo(onMessage: Deliver): void {
    this.#onMessage = onMessage;
    this.#begin();
    this.#pollNow();
  }

  /** Calls back when the writer has dropped this reader for being slow. */
  onDropped(handler: (error: IpcError) => void): void {
    this.#onDropped = handler;
  }

  /**
   * The server's answer, with the descriptor of its memory, which is ours from now on.
   * @throws {IpcError} ERR_MEMORY.
   */
  accept({ number, bytes, place }: Accepted, fd: number): void {
    if (this.#finished || this.#reading || !this.#asked || number !== this.#number) {
      native().closeFd(fd);
      return;
    }
    const segment = attach(fd, bytes, this.#options.capacityBytes);
    const ring = new BroadcastRingReader(segment, place);
    this.#cursor ??= this.#link.cursor(this.#lane);
    this.#cursor.begin(number, ring.position);
    this.#toldPosition = ring.position;
    const ends = [
      this.#link.watch(segment, ring.tailBytes, ring.position),
      this.#link.watchPeer(this.#cursor.droppedBytes),
      this.#link.join({ poll: () => this.poll() }),
    ];
    const leave = () => {
      for (const end of ends) end();
    };
    this.#reading = { segment, ring, leave };
    this.#observer.admitted(number);
    for (const call of this.#subscribing.take(() => true)) call.resolve();
    this.#pollNow();
  }

  /** Hands on what has come, up to a turn's portion. @returns whether something was left for another turn. */
  poll(): boolean {
    if (!this.#reading) return false;
    if (this.#onMessage) return this.#readWhile(always, this.#onMessage, turnEventsMax);
    if (this.#onBatch) return this.#readBatch(this.#onBatch);
    const wanted = () => this.#receiving.length > 0;
    const more = this.#readWhile(
      wanted,
      (message, gap) => this.#receiving.shift()!.resolve({ message, gap }),
      turnRecordsMax,
    );
    if (this.#dropped) this.#receiving.rejectAll(this.#dropped);
    return more && wanted();
  }

  /** The end of the session: hands on what was published, or keeps it for those who still ask. */
  finish(cause: IpcError): void {
    if (this.#finished) return;
    try {
      while (this.poll()) {
        // The handlers get the rest in the same portions as ever.
      }
      const keeps = !this.#onMessage && !this.#onBatch;
      if (keeps)
        while (
          this.#readWhile(always, (message, gap) => this.#inbox.push({ message, gap }), turnRecordsMax)
        ) {
          // Bounded by the size of the ring.
        }
    } catch (error) {
      // A handler's own mistake must not stop the teardown; it is thrown where any handler's would be.
      queueMicrotask(() => {
        throw error;
      });
    }
    this.#stopReading();
    this.#finished = cause;
    this.#subscribing.rejectAll(cause);
    this.#receiving.rejectAll(cause);
  }

  get #end(): IpcError | undefined {
    return this.#dropped ?? this.#finished;
  }

  /** Whoever begins to read has subscribed. One that was dropped has to say that it wants to go on. */
  #begin(): void {
    if (!this.#end) this.#ask();
  }

  #ask(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#number++;
    this.#observer.ask(this.#number);
  }

  #pollNow(): void {
    if (this.poll()) this.#link.again();
  }

  #readBatch(onBatch: (messages: unknown[], gap: number) => void): boolean {
    let batch: unknown[] = [];
    let before = 0;
    const more = this.#readWhile(
      always,
      (message, gap) => {
        if (gap > 0 && batch.length > 0) {
          onBatch(batch, before);
          batch = [];
          before = 0;
        }
        before += gap;
        batch.push(message);
      },
      turnRecordsMax,
    );
    if (batch.length > 0) onBatch(batch, before);
    return more;
  }

  /** Handles records within a turn while `wanted`, and tells the writer. @returns whether records are left. */
  #readWhile(wanted: () => boolean, deliver: Deliver, max: number): boolean {
    const reading = this.#reading;
    if (!reading) return false;
    const { ring } = reading;
    let left = max;
    // A handler may end the subscription while we are here.
    while (left > 0 && this.#reading === reading && wanted() && ring.read()) {
      left--;
      // Dropped, and behind what is there: a reader that blocks is told so rather than given what follows a gap.
      if (ring.gap > 0 && this.#cursor!.isDropped(this.#number)) this.#drop();
      else this.#handle(ring, deliver);
    }
    if (this.#reading !== reading) return false;
    this.#tellPosition(ring);
    if (ring.broken !== undefined) {
      this.#observer.broken(`broadcast ${this.name}: ${ring.broken}`);
      return false;
    }
    const more = ring.available();
    if (!more && this.#cursor!.isDropped(this.#number)) this.#drop();
    return more && left === 0;
  }

  #handle(ring: BroadcastRingReader, deliver: Deliver): void {
    let message: unknown;
    try {
      if (ring.kind !== recordKind.message) throw new Error(`a record of unknown kind ${ring.kind}`);
      message = this.#decode(ring.copy, ring.length);
    } catch (error) {
      ring.refuse(messageOf(error));
      return;
    }
    this.#received++;
    this.#missed += ring.gap;
    deliver(message, ring.gap);
  }

  /** Only a reader that blocks is waited for. */
  #tellPosition(ring: BroadcastRingReader): void {
    const { position } = ring;
    if (this.#options.reader !== 'block' || position === this.#toldPosition) return;
    this.#toldPosition = position;
    this.#cursor!.move(position);
    if (ring.writerWaits) this.#link.notify();
  }

  #drop(): void {
    const { slowAfterMs } = this.#options;
    this.#stopReading();
    this.#dropped = IpcError.of('ERR_BROADCAST_DROPPED', this.name, String(slowAfterMs));
    this.#receiving.rejectAll(this.#dropped);
    this.#observer.dropped(this.#number);
    this.#onDropped?.(this.#dropped);
  }

  #stopReading(): void {
    this.#asked = false;
    this.#reading?.leave();
    this.#reading?.segment.close();
    this.#reading = undefined;
  }
}

function attach(fd: number, bytes: number, capacity: number): NativeSegment {
  let segment: NativeSegment;
  try {
    segment = new (native().Segment)(segmentKind.broadcast, fd, bytes, peerSegmentBytesMax);
  } catch (error) {
    throw IpcError.from(error, 'ERR_MEMORY', messageOf(error));
  }
  segment.closeFile();
  if (segment.rings.length !== 2 || segment.rings[1] !== capacity) {
    segment.close();
    throw IpcError.of('ERR_MEMORY', 'its ring is not that of the broadcast');
  }
  return segment;
}

const always = () => true;
