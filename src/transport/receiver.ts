// Receiver: the receiving direction of a channel. Reads the lane in bounded portions and hands messages to whoever takes
// them: the events of a machine, a batch handler, or calls of receive. Messages that nobody takes stay in the ring, so the
// sender feels it.
import { IpcError } from '../errors.ts';
import type { ChannelOptions } from '../spec/channel-spec.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { Borrow } from './borrow.ts';
import { Borrows } from './borrows.ts';
import type { OwnedDescriptor } from './descriptor.ts';
import type { IncomingHandles } from './handles.ts';
import { Handled, Inbox } from './inbox.ts';
import { isNumbered, type MessageHandler } from './incoming-records.ts';
import { Intake, type IntakeObserver } from './intake.ts';
import type { LaneReader } from './lane.ts';
import type { Link } from './link.ts';
import type { MessageCheck } from './message-check.ts';
import type { SessionMemory } from './session-memory.ts';
import { type Call, WaitingLine, waiting } from './waiting.ts';

/** Messages handled in one turn as events of a machine, which cost some microseconds each. */
const turnEventsMax = 64;

/** A call of receive; what it takes is copied, borrowed, or copied into the caller's memory. */
interface Receiving extends Call<unknown> {
  readonly borrow?: boolean;
  readonly into?: Uint8Array;
  readonly handles?: boolean;
}

/** What a receiver tells its channel. */
export interface ReceiverObserver extends IntakeObserver {
  /** Whether something that the channel waits for may stand behind messages that nobody takes. */
  looksAhead(): boolean;
  /** A message was dropped because nobody takes any. */
  unexpected(): void;
}

export class Receiver {
  readonly borrows: Borrows;

  readonly #name: string;
  readonly #link: Link;
  readonly #observer: ReceiverObserver;
  readonly #options: ChannelOptions;
  readonly #intake: Intake;
  readonly #check: MessageCheck | undefined;
  readonly #receiving = new WaitingLine<Receiving>();
  readonly #inbox: Inbox;
  #onBatch: ((messages: unknown[]) => void) | undefined;
  #onMessage: MessageHandler | undefined;
  /** Whether the handler of batches takes borrows. */
  #batchBorrows = false;
  #batchHandles = false;
  #finishing = false;

  constructor(
    name: string,
    options: ChannelOptions,
    link: Link,
    reader: LaneReader,
    memory: SessionMemory | undefined,
    handles: IncomingHandles,
    check: MessageCheck | undefined,
    observer: ReceiverObserver,
  ) {
    this.#name = name;
    this.#link = link;
    this.#options = options;
    this.#check = check;
    this.#observer = observer;
    this.#inbox = new Inbox(options.unexpectedMax, (borrow) => this.#intake.copyOf(borrow));
    this.#intake = new Intake(
      name,
      options,
      link,
      reader,
      memory?.borrowed,
      handles,
      check,
      this.#inbox,
      observer,
    );
    this.borrows = new Borrows(name, options, () => {
      if (!this.#intake.finished) link.again();
    });
  }

  get received(): number {
    return this.#intake.received;
  }

  tryReceive(handles = false): unknown {
    if (this.#inbox.length > 0) return this.#inbox.plainOf(this.#inbox.shift(), handles);
    let message: unknown;
    if (!this.#intake.finished)
      this.#intake.readWhile(
        () => message === undefined,
        (next) => {
          message = next;
        },
      );
    if (message === undefined && (this.#intake.finished || this.#intake.peerEnded)) throw this.#end();
    return handles || this.#inbox.handled > 0 ? this.#inbox.plainOf(message, handles) : message;
  }

  /** As tryReceive, with a hold on the message. @throws {IpcError} ERR_BORROW_LIMIT, ERR_CHANNEL_CODEC. */
  tryBorrow(): Borrow | undefined {
    this.borrows.need();
    let message = this.#inbox.shift();
    if (message === undefined && !this.#intake.finished)
      this.#readBlocks(
        () => message === undefined,
        (next) => {
          message = next;
        },
      );
    if (message !== undefined) return this.#borrowOf(message);
    if (this.#intake.finished || this.#intake.peerEnded) throw this.#end();
    return undefined;
  }

  receive(options?: WaitOptions, handles = false): Promise<unknown> {
    if (this.#receiving.full)
      return Promise.reject(IpcError.of('ERR_CHANNEL_BUSY', this.#name, this.#receiving.length));
    try {
      const message = this.#receiving.length === 0 ? this.tryReceive(handles) : undefined;
      if (message !== undefined) return Promise.resolve(message);
    } catch (error) {
      return Promise.reject(error);
    }
    return waiting<unknown>(`receive on channel ${this.#name}`, options, (call) =>
      this.#receiving.join(handles ? { ...call, handles } : call),
    );
  }

  receiveBorrow(options?: WaitOptions): Promise<Borrow> {
    if (this.#receiving.full)
      return Promise.reject(IpcError.of('ERR_CHANNEL_BUSY', this.#name, this.#receiving.length));
    try {
      this.borrows.need();
      const message = this.#receiving.length === 0 ? this.tryBorrow() : undefined;
      if (message !== undefined) return Promise.resolve(message);
    } catch (error) {
      return Promise.reject(error);
    }
    // Counted from now on, so that those who wait can't exceed the limit together.
    this.borrows.count++;
    const wait = waiting<unknown>(`receive on channel ${this.#name}`, options, (call) =>
      this.#receiving.join({ ...call, borrow: true }),
    );
    return wait.then(
      (message) => {
        this.borrows.count--;
        return this.#borrowOf(message);
      },
      (error) => {
        this.borrows.count--;
        throw error;
      },
    );
  }

  /** Copies the next message into memory of the caller. @returns its number of bytes. */
  async receiveInto(memory: Uint8Array, options?: WaitOptions): Promise<number> {
    if (this.#receiving.full) throw IpcError.of('ERR_CHANNEL_BUSY', this.#name, this.#receiving.length);
    this.borrows.needBytes();
    if (!(memory instanceof Uint8Array)) throw new TypeError('receiveInto takes a Uint8Array or a Buffer');
    let message = this.#receiving.length === 0 ? this.#inbox.shift() : undefined;
    if (message === undefined && this.#receiving.length === 0) {
      if (!this.#intake.finished) {
        if (this.#check === undefined) this.#intake.into = memory;
        this.#readBlocks(
          () => message === undefined,
          (next) => {
            message = next;
          },
        );
        this.#intake.into = undefined;
      }
      if (message === undefined && (this.#intake.finished || this.#intake.peerEnded)) throw this.#end();
    }
    message ??= await waiting<unknown>(`receive on channel ${this.#name}`, options, (call) =>
      this.#receiving.join({ ...call, borrow: true, into: memory }),
    );
    if (typeof message === 'number') return message;
    const bytes = message instanceof Borrow ? message.bytes : (this.#inbox.messageIn(message) as Uint8Array);
    const { byteLength } = bytes;
    if (byteLength > memory.byteLength) {
      this.#putBack(message);
      throw IpcError.of('ERR_MESSAGE_TOO_LARGE', this.#name, byteLength, memory.byteLength);
    }
    memory.set(bytes);
    if (message instanceof Borrow) message.release();
    else this.#inbox.plainOf(message);
    return byteLength;
  }

  /** Makes what was taken the next message again. */
  #putBack(message: unknown): void {
    const call = this.#receiving.shift();
    if (!call) this.#inbox.unshift(message);
    else call.resolve(call.borrow ? message : this.#inbox.plainOf(message, call.handles));
  }

  onBatch(handler: (messages: unknown[]) => void, borrow: boolean, handles: boolean): () => void {
    if (borrow) this.borrows.needBytes();
    this.#onBatch = handler;
    this.#batchBorrows = borrow;
    this.#batchHandles = handles;
    if (this.#inbox.length > 0)
      handler(
        this.#inbox
          .takeAll()
          .map((message) => (borrow ? this.#borrowOf(message) : this.#inbox.plainOf(message, handles))),
      );
    this.pollNow();
    return () => {
      if (this.#onBatch === handler) this.#onBatch = undefined;
    };
  }

  /** Each message by itself, as the events of a machine. */
  onMessage(handler: (message: unknown, handle: OwnedDescriptor | undefined) => void): void {
    this.#onMessage = (message) => {
      if (this.#inbox.handled === 0 || !(message instanceof Handled)) return handler(message, undefined);
      this.#inbox.handled--;
      handler(message.message, message.handle);
    };
    for (const message of this.#inbox.takeAll())
      this.#onMessage(message instanceof Handled ? message : this.#inbox.plainOf(message));
  }

  /** As `poll`, outside the turn that the doorbell gives; what is left gets a turn of its own. */
  pollNow(): void {
    if (this.poll()) this.#link.again();
  }

  /** Goes on if a record waited for a descriptor. */
  handleArrived(): void {
    if (this.#intake.awaitsDescriptor) this.pollNow();
  }

  /** Hands on what has come, up to a turn's portion. @returns whether something was left for another turn. */
  poll(): boolean {
    if (this.#intake.finished) return false;
    if (this.#onMessage) return this.#intake.readWhile(always, this.#onMessage, turnEventsMax);
    if (this.#onBatch) return this.#readBatch(this.#onBatch);
    return this.#readForCalls();
  }

  /**
   * The end: takes over everything that has arrived, because the peer's memory is about to go, or its lane to serve another.
   * @param copies whether messages in the peer's arena are copied now, or borrowed by whoever asks for them.
   */
  finish(cause: IpcError, copies: boolean): void {
    this.#finishing = true;
    while (this.poll()) {
      // The handlers get the rest in the same portions as ever.
    }
    // Kept for those who still ask, but not given back as read: nobody has taken them. Bounded by the size of the ring.
    this.#intake.takesBlocks = !copies;
    if (!this.#onMessage && !this.#onBatch) this.#intake.readRest((message) => this.#inbox.push(message));
    this.#intake.finished = cause;
    this.#receiving.rejectAll(cause);
    // Nobody may ever ask for those that are left; their descriptors must not stay open.
    this.#inbox.closeDescriptors();
  }

  #readBatch(onBatch: (messages: unknown[]) => void): boolean {
    const batch: unknown[] = [];
    let more: boolean;
    if (this.#batchBorrows) {
      // What is not released holds back what comes behind; the next release asks for another turn.
      more = this.#readBlocks(this.#mayBorrow, (message) => batch.push(this.#borrowOf(message)));
      this.borrows.heldBack = !this.#mayBorrow();
      more &&= !this.borrows.heldBack;
    } else more = this.#intake.readWhile(always, (message) => batch.push(message));
    if (batch.length > 0)
      onBatch(
        this.#batchHandles || this.#inbox.handled > 0
          ? batch.map((message) =>
              this.#batchBorrows ? message : this.#inbox.plainOf(message, this.#batchHandles),
            )
          : batch,
      );
    return more;
  }

  readonly #mayBorrow = () => this.#finishing || !this.borrows.full;

  #readBlocks(wanted: () => boolean, onMessage: MessageHandler): boolean {
    this.#intake.takesBlocks = true;
    const more = this.#intake.readWhile(wanted, onMessage);
    this.#intake.takesBlocks = false;
    return more;
  }

  #readForCalls(): boolean {
    const wanted = () => {
      const { first } = this.#receiving;
      // What nobody has asked for yet is kept as it is: the next call may want to borrow it.
      this.#intake.takesBlocks = first === undefined || first.borrow === true;
      // What has a schema is looked at before anybody gets it.
      this.#intake.into = this.#check === undefined ? first?.into : undefined;
      if (first !== undefined) return true;
      // A request finds its taker elsewhere, or waits there for one.
      if (isNumbered(this.#intake.nextKind())) return true;
      return (this.#inbox.hasRoom || this.#dropsUnexpected()) && this.#observer.looksAhead();
    };
    const more = this.#intake.readWhile(wanted, (message) => {
      const call = this.#receiving.shift();
      if (call) call.resolve(call.borrow ? message : this.#inbox.plainOf(message, call.handles));
      else if (!this.#inbox.full) this.#inbox.push(message);
      else this.#dropUnexpected(message);
    });
    if (this.#intake.peerEnded) this.#receiving.rejectAll(this.#end());
    const again = more && wanted();
    this.#intake.takesBlocks = false;
    this.#intake.into = undefined;
    return again;
  }

  #dropsUnexpected(): boolean {
    return this.#options.unexpected === 'drop-newest';
  }

  #dropUnexpected(message: unknown): void {
    // Only a peer that changes a record while we look at it gets here otherwise.
    if (!this.#dropsUnexpected()) this.#intake.refuse('a record changed while it was read');
    if (message instanceof Borrow) message.release();
    else this.#inbox.plainOf(message);
    this.#observer.unexpected();
  }

  #borrowOf(message: unknown): Borrow {
    return this.borrows.counted(
      message instanceof Borrow ? message : (this.#inbox.plainOf(message) as Uint8Array),
    );
  }

  #end(): IpcError {
    return this.#intake.finished ?? IpcError.of('ERR_CHANNEL_CLOSED', this.#name);
  }
}

const always = () => true;
