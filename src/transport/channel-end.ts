// ChannelEnd: the data plane of one channel. A message goes from the caller through `open` and the encoder into the ring,
// and from the ring through the decoder to whoever receives; no machine, registry or session is asked.
//
// Whether bytes may flow is decided elsewhere (src/machines/channel.ts) and told here by openForUse, drain and finish.
import { IpcError } from '../errors.ts';
import type { Borrowed, Handle, InPlaceCodec, Loan, SharedValue } from '../spec/memory.ts';
import type { BorrowOptions, Breach, Channel, ChannelStats, WaitOptions } from '../spec/session.ts';
import type { ChannelOptions } from '../spec/universe.ts';
import type { Link, LinkMember } from './link.ts';
import { ChannelLoan, type LoanOwner } from './loan.ts';
import { Receiver } from './receiver.ts';
import { Requests } from './requests.ts';
import { Sender } from './sender.ts';
import type { SessionMemory } from './session-memory.ts';

/** What the channel's lifecycle learns from its lanes. */
export interface ChannelObserver {
  /** The peer will send nothing more. */
  peerEnded(): void;
  /** The peer's memory, or what it sent, makes no sense. */
  broken(why: string, breach: Breach): void;
}

export class ChannelEnd implements Channel, LinkMember {
  readonly name: string;
  /** Byte offset in the peer's segment of the word that moves when the peer sends. */
  readonly tailBytes: number;
  open = false;

  readonly #sender: Sender;
  readonly #receiver: Receiver;
  readonly #requests: Requests;
  readonly #memory: SessionMemory | undefined;
  readonly #loanOwner: LoanOwner;
  #finished: IpcError | undefined;
  /** Ends this channel alone; then `finish` is called. */
  onClose: (() => void) | undefined;
  #closed: { promise: Promise<void>; resolve: () => void } | undefined;

  constructor(
    name: string,
    options: ChannelOptions,
    link: Link,
    lane: number,
    observer: ChannelObserver,
    memory?: SessionMemory,
  ) {
    const { writer, reader } = link.lane(lane);
    this.#memory = memory;
    this.name = name;
    this.tailBytes = reader.tailBytes;
    this.#sender = new Sender(name, options, link, writer, memory);
    this.#loanOwner = {
      name,
      sender: this.#sender,
      refusal: () => (this.open ? undefined : this.#refusal()),
    };
    this.#requests = new Requests(name, this.#sender);
    this.#receiver = new Receiver(name, options, link, reader, memory, {
      numbered: (kind, number, value) => this.#requests.receive(kind, number, value),
      looksAhead: () => this.#requests.expectsAny,
      peerEnded: () => observer.peerEnded(),
      broken: (why, breach) => observer.broken(why, breach),
    });
  }

  trySend(message: unknown): boolean {
    if (!this.open) throw this.#refusal();
    return this.#sender.trySend(message);
  }

  send(message: unknown, options?: WaitOptions): Promise<void> {
    try {
      if (!this.open) throw this.#refusal();
      return this.#sender.send(message, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  flush(options?: WaitOptions): Promise<void> {
    return this.#finished ? Promise.reject(this.#finished) : this.#sender.flush(options);
  }

  tryReceive(options: BorrowOptions): Borrowed<unknown> | undefined;
  tryReceive(): unknown;
  tryReceive(options?: BorrowOptions): unknown {
    return options?.borrow ? this.#receiver.tryBorrow() : this.#receiver.tryReceive();
  }

  receive(options: WaitOptions & BorrowOptions): Promise<Borrowed<unknown>>;
  receive(options?: WaitOptions): Promise<unknown>;
  receive(options?: WaitOptions & Partial<BorrowOptions>): Promise<unknown> {
    return options?.borrow ? this.#receiver.receiveBorrow(options) : this.#receiver.receive(options);
  }

  receiveInto(memory: Uint8Array, options?: WaitOptions): Promise<number> {
    return this.#receiver.receiveInto(memory, options);
  }

  onBatch(handler: (messages: unknown[]) => void): () => void;
  onBatch(handler: (messages: Borrowed<unknown>[]) => void, options: BorrowOptions): () => void;
  onBatch(
    handler: ((messages: unknown[]) => void) | ((messages: Borrowed<unknown>[]) => void),
    options?: BorrowOptions,
  ): () => void {
    return this.#receiver.onBatch(handler as (messages: unknown[]) => void, options?.borrow ?? false);
  }

  loan(bytes: number): Loan {
    if (!this.open) throw this.#refusal();
    const block = this.#sender.loan(bytes);
    return new ChannelLoan(this.#loanOwner, block, this.#sender.bytesOf(block, bytes));
  }

  lend<T>(value: SharedValue<T>): Handle<T> {
    if (!this.open) throw this.#refusal();
    return this.#sender.lend(this.#memory, value) as Handle<T>;
  }

  async borrow<T>(
    handle: Handle<T>,
    codec: InPlaceCodec<T, never>,
    options?: WaitOptions,
  ): Promise<Borrowed<T>> {
    if (this.#finished) throw this.#finished;
    if (!this.#memory)
      throw IpcError.of('ERR_NO_ARENA', `borrowing on channel ${this.name}`, 'arenaBytes or sharedBytes');
    return this.#receiver.borrowValue(this.#memory, handle, codec, options);
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown, undefined> {
    // By hand: a generator adds turns of the microtask queue to each message.
    return { next: () => this.#receiver.receive().then(iterated, endOfIteration) };
  }

  request(name: string, value: unknown, options?: WaitOptions): Promise<unknown> {
    if (!this.open) return Promise.reject(this.#refusal());
    const answer = this.#requests.ask(name, value, options);
    // The answer may stand behind messages that nobody takes.
    this.#receiver.pollNow();
    return answer;
  }

  onRequest(name: string, handler: (value: unknown) => unknown): () => void {
    const end = this.#requests.handle(name, handler);
    this.#receiver.pollNow();
    return end;
  }

  reply(event: { readonly requestId?: number | undefined }, value: unknown): void {
    if (!this.open) throw this.#refusal();
    this.#requests.reply(event.requestId, value);
  }

  stats(): ChannelStats {
    const { sent, dropped, full } = this.#sender;
    const unreadBytes = this.#finished ? 0 : this.#sender.unreadBytes;
    const { received, borrows } = this.#receiver;
    return { sent, received, dropped, full, unreadBytes, loans: this.#sender.loans, borrows };
  }

  /** Messages and requests become calls of `onMessage`, as the events of a machine need it. */
  deliverTo(onMessage: (message: unknown, request?: string, requestId?: number) => void): void {
    this.#requests.onRequest((name, value, id) => onMessage(value, name, id));
    this.#receiver.onMessage((message) => onMessage(message));
  }

  poll(): boolean {
    if (this.#finished) return false;
    this.#sender.poll();
    return this.#receiver.poll();
  }

  openForUse(): void {
    this.open = true;
  }

  /**
   * Refuses new messages and resolves when the peer has taken all that was accepted. The end mark follows, for a peer that
   * goes on reading.
   */
  async drain(options: WaitOptions): Promise<void> {
    this.open = false;
    await this.#sender.flush(options);
    this.#sender.sendEnd();
  }

  close(): Promise<void> {
    if (this.#finished) return Promise.resolve();
    if (!this.#closed) {
      let resolve = () => {};
      const promise = new Promise<void>((settle) => {
        resolve = settle;
      });
      this.#closed = { promise, resolve };
      this.onClose?.();
    }
    return this.#closed.promise;
  }

  /** Messages in our ring that the peer never took. */
  unread(): number {
    return this.#sender.unread();
  }

  /**
   * Ends all use; `cause` is ERR_CHANNEL_CLOSED or ERR_CHANNEL_HOSED. What has arrived is handed on first: handlers get
   * it now, receive and tryReceive get it later.
   * @param copies whether what nobody has taken is kept as a copy, because the session goes on and needs its memory.
   */
  finish(cause: IpcError, copies = false): void {
    if (this.#finished) return;
    try {
      this.#receiver.finish(cause, copies);
    } catch (error) {
      // A handler's own mistake must not stop the teardown; it is thrown where any handler's would be.
      queueMicrotask(() => {
        throw error;
      });
    }
    this.open = false;
    this.#finished = cause;
    this.#requests.finish(cause);
    this.#sender.finish(cause);
    this.#closed?.resolve();
  }

  #refusal(): IpcError {
    return this.#finished ?? IpcError.of('ERR_CHANNEL_CLOSED', this.name);
  }
}

const iterated = (value: unknown) => ({ value, done: false as const });

function endOfIteration(error: unknown): { value: undefined; done: true } {
  if (error instanceof IpcError && error.code === 'ERR_CHANNEL_CLOSED')
    return { value: undefined, done: true };
  throw error;
}
