// ChannelEnd: the data plane of one channel. A message goes from the caller through `open` and the encoder into the ring,
// and from the ring through the decoder to whoever receives; no machine, registry or session is asked.
//
// Whether bytes may flow is decided elsewhere (src/machines/channel.ts) and told here by openForUse, drain and finish.
import { IpcError } from '../errors.ts';
import type { BorrowOptions, Channel, ChannelStats } from '../spec/channel.ts';
import type { ChannelSpec } from '../spec/channel-spec.ts';
import type { ConversationOptions, Dialog, Replies, RequestOptions, Stray } from '../spec/conversation.ts';
import type { Borrowed, Handle, InPlaceCodec, Loan, SharedValue } from '../spec/memory.ts';
import type { Descriptor, HandleOptions, Received, SendOptions } from '../spec/native-handle.ts';
import type { Peer, Side } from '../spec/peer.ts';
import type { Breach } from '../spec/session.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import type { DialogHandler, ReplyHandler } from './answers.ts';
import { IncomingHandles } from './handles.ts';
import type { LaneReader } from './lane.ts';
import type { Link, LinkMember } from './link.ts';
import { ChannelLoan, type LoanOwner } from './loan.ts';
import { MessageCheck } from './message-check.ts';
import { NumberedSender } from './numbered-sender.ts';
import { Receiver } from './receiver.ts';
import { recordKind } from './record.ts';
import { Requests } from './requests.ts';
import { Sender } from './sender.ts';
import type { SessionMemory } from './session-memory.ts';
import { Strays } from './strays.ts';

/** What the channel's lifecycle learns from its lanes. */
export interface ChannelObserver {
  /** The peer will send nothing more. */
  peerEnded(): void;
  /** The peer's memory, or what it sent, makes no sense. */
  broken(why: string, breach: Breach): void;
  /** Something came and was not used. */
  stray?(stray: Stray): void;
  /** Sends a copy of a descriptor to the peer's end of this channel; without it none can be sent. @throws {IpcError}. */
  sendHandle?(number: number, fd: number): void;
}

/** Which end of a session a channel belongs to. */
export interface ChannelPlace {
  readonly side: Side;
  readonly peerOf: () => Peer;
}

export class ChannelEnd implements Channel, LinkMember {
  readonly name: string;
  /** Byte offset in the peer's segment of the word that moves when the peer sends. */
  readonly tailBytes: number;
  open = false;

  readonly #sender: Sender;
  readonly #numbered: NumberedSender;
  readonly #receiver: Receiver;
  readonly #reader: LaneReader;
  readonly #requests: Requests;
  readonly #strays: Strays;
  readonly #handles = new IncomingHandles();
  readonly #check: MessageCheck | undefined;
  readonly #memory: SessionMemory | undefined;
  readonly #loanOwner: LoanOwner;
  #finished: IpcError | undefined;
  /** Ends this channel alone; then `finish` is called. */
  onClose: (() => void) | undefined;
  #closed: { promise: Promise<void>; resolve: () => void } | undefined;

  constructor(
    name: string,
    spec: ChannelSpec,
    link: Link,
    lane: number,
    observer: ChannelObserver,
    memory?: SessionMemory,
    { side, peerOf }: ChannelPlace = noPlace,
  ) {
    const { writer, reader } = link.lane(lane);
    this.#memory = memory;
    this.#reader = reader;
    this.name = name;
    this.tailBytes = reader.tailBytes;
    this.#check = MessageCheck.of(name, spec.schema, side);
    this.#sender = new Sender(name, spec, link, writer, memory);
    this.#numbered = new NumberedSender(name, spec, this.#sender, writer, (number, fd) => {
      if (!observer.sendHandle) throw IpcError.of('ERR_HANDLE_INVALID', `channel ${name} carries none`);
      observer.sendHandle(number, fd);
    });
    this.#loanOwner = {
      name,
      loans: this.#sender.loans,
      refusal: () => (this.open ? undefined : this.#refusal()),
    };
    this.#strays = new Strays(
      (number, counts) => this.#numbered.sendNumbered(recordKind.stray, number, counts),
      (stray) => observer.stray?.(stray),
    );
    this.#requests = new Requests({
      channel: name,
      options: spec,
      sender: this.#numbered,
      strays: this.#strays,
      check: this.#check,
      peerOf,
    });
    this.#receiver = new Receiver(name, spec, link, reader, memory, this.#handles, this.#check, {
      numbered: (kind, flags, number, value, handle) =>
        this.#requests.receive(kind, flags, number, value, handle),
      looksAhead: () => this.#requests.expectsAny,
      rejected: (error) => this.#strays.reject(error),
      unexpected: () => this.#strays.drop(),
      peerEnded: () => observer.peerEnded(),
      broken: (why, breach) => observer.broken(why, breach),
    });
  }

  trySend(message: unknown, options?: SendOptions): boolean {
    if (!this.open) throw this.#refusal();
    if (this.#check !== undefined) this.#check.outgoing(message);
    if (options?.handle !== undefined) return this.#numbered.trySendHandle(message, options.handle);
    return this.#sender.trySend(message);
  }

  send(message: unknown, options?: WaitOptions & SendOptions): Promise<void> {
    try {
      if (!this.open) throw this.#refusal();
      if (this.#check !== undefined) this.#check.outgoing(message);
      if (options?.handle !== undefined) return this.#numbered.sendHandle(message, options.handle, options);
      return this.#sender.send(message, options);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * As send, for those who can't wait: what can't be sent at all is thrown now, what finds no room follows as soon as there
   * is some. @throws {IpcError} those of trySend, ERR_CHANNEL_BUSY.
   */
  post(message: unknown): void {
    if (!this.open) throw this.#refusal();
    if (this.#check !== undefined) this.#check.outgoing(message);
    this.#sender.post(message);
  }

  flush(options?: WaitOptions): Promise<void> {
    return this.#finished ? Promise.reject(this.#finished) : this.#sender.line.flush(options);
  }

  tryReceive(options: HandleOptions): Received<unknown> | undefined;
  tryReceive(options: BorrowOptions): Borrowed<unknown> | undefined;
  tryReceive(): unknown;
  tryReceive(options?: Partial<BorrowOptions & HandleOptions>): unknown {
    return options?.borrow ? this.#receiver.tryBorrow() : this.#receiver.tryReceive(options?.handles);
  }

  receive(options: WaitOptions & HandleOptions): Promise<Received<unknown>>;
  receive(options: WaitOptions & BorrowOptions): Promise<Borrowed<unknown>>;
  receive(options?: WaitOptions): Promise<unknown>;
  receive(options?: WaitOptions & Partial<BorrowOptions & HandleOptions>): Promise<unknown> {
    return options?.borrow
      ? this.#receiver.receiveBorrow(options)
      : this.#receiver.receive(options, options?.handles);
  }

  receiveInto(memory: Uint8Array, options?: WaitOptions): Promise<number> {
    return this.#receiver.receiveInto(memory, options);
  }

  onBatch(handler: (messages: unknown[]) => void): () => void;
  onBatch(handler: (messages: Received<unknown>[]) => void, options: HandleOptions): () => void;
  onBatch(handler: (messages: Borrowed<unknown>[]) => void, options: BorrowOptions): () => void;
  onBatch(
    handler:
      | ((messages: unknown[]) => void)
      | ((messages: Received<unknown>[]) => void)
      | ((messages: Borrowed<unknown>[]) => void),
    { borrow = false, handles = false }: { borrow?: boolean; handles?: boolean } = {},
  ): () => void {
    return this.#receiver.onBatch(handler as (messages: unknown[]) => void, borrow, handles);
  }

  loan(bytes: number): Loan {
    if (!this.open) throw this.#refusal();
    const { loans } = this.#sender;
    const block = loans.loan(bytes);
    return new ChannelLoan(this.#loanOwner, block, loans.bytesOf(block, bytes));
  }

  lend<T>(value: SharedValue<T>): Handle<T> {
    if (!this.open) throw this.#refusal();
    return this.#sender.loans.lend(this.#memory?.lent, value) as Handle<T>;
  }

  async borrow<T>(
    handle: Handle<T>,
    codec: InPlaceCodec<T, never>,
    options?: WaitOptions,
  ): Promise<Borrowed<T>> {
    if (this.#finished) throw this.#finished;
    if (!this.#memory)
      throw IpcError.of('ERR_NO_ARENA', `borrowing on channel ${this.name}`, 'arenaBytes or sharedBytes');
    return this.#receiver.borrows.ofValue(this.#memory.borrowed, handle, codec, options);
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown, undefined> {
    // By hand: a generator adds turns of the microtask queue to each message.
    return { next: () => this.#receiver.receive().then(iterated, endOfIteration) };
  }

  request(name: string, value: unknown, options?: RequestOptions): Promise<unknown> {
    if (!this.open) return Promise.reject(this.#refusal());
    const answer = this.#requests.questions.ask(name, value, options);
    // The answer may stand behind messages that nobody takes.
    this.#receiver.pollNow();
    return answer;
  }

  requestMany(name: string, value: unknown, options?: ConversationOptions): Replies<unknown> {
    if (!this.open) throw this.#refusal();
    const replies = this.#requests.questions.askMany(name, value, options);
    this.#receiver.pollNow();
    return replies;
  }

  dialog(name: string, value: unknown, options?: ConversationOptions): Dialog {
    if (!this.open) throw this.#refusal();
    const dialog = this.#requests.questions.dialog(name, value, options);
    this.#receiver.pollNow();
    return dialog;
  }

  onRequest(name: string, handler: ReplyHandler): () => void {
    const end = this.#requests.answers.handle(name, handler);
    this.#receiver.pollNow();
    return end;
  }

  onDialog(name: string, handler: DialogHandler): () => void {
    const end = this.#requests.answers.handleDialog(name, handler);
    this.#receiver.pollNow();
    return end;
  }

  onStray(handler: (stray: Stray) => void): () => void {
    return this.#strays.onStray(handler);
  }

  reply(event: { readonly requestId?: number | undefined }, value: unknown): void {
    if (!this.open) throw this.#refusal();
    this.#requests.answers.reply(event.requestId, value);
  }

  stats(): ChannelStats {
    const { sent, dropped, full, loans: lent } = this.#sender;
    const loans = lent.out;
    const unreadBytes = this.#finished ? 0 : this.#sender.unreadBytes;
    const { received } = this.#receiver;
    const borrows = this.#receiver.borrows.count;
    const { questions, answers } = this.#requests;
    const requests = { asked: questions.size, owed: answers.size, expired: answers.expired };
    const { rejected, unexpected, unhandled, lateReplies, unknownReplies, refusedReplies } = this.#strays;
    return {
      ...{ sent, received, dropped, full, unreadBytes, loans, borrows, ...requests },
      ...{ rejected, unexpected, unhandled, lateReplies, unknownReplies, refusedReplies },
    };
  }

  /** Messages and requests become calls of `onMessage`, as the events of a machine need it. */
  deliverTo(
    onMessage: (
      message: unknown,
      request: string | undefined,
      requestId: number | undefined,
      handle: Descriptor | undefined,
    ) => void,
  ): void {
    this.#requests.answers.onRequest((name, value, id, handle) => onMessage(value, name, id, handle));
    this.#receiver.onMessage((message, handle) => onMessage(message, undefined, undefined, handle));
  }

  /** A descriptor has come for a message of this channel. Throws if it makes no sense; it is closed then. */
  receiveHandle(number: number, fd: number): void {
    this.#handles.arrive(number, fd);
    this.#receiver.handleArrived();
  }

  poll(): boolean {
    if (this.#finished) return false;
    this.#sender.line.poll();
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
    await this.#sender.line.flush(options);
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

  /** How far we have come in the peer's ring; null once the channel has ended. */
  progress(): { readonly taken: number; readonly unreadBytes: number } | null {
    return this.#finished ? null : this.#reader.progress();
  }

  /** Messages in our ring that the peer never took. */
  unread(): number {
    return this.#sender.unread();
  }

  /** How large the oldest of those are, for whoever looks into a death. */
  unreadLengths(max: number): number[] {
    return this.#sender.unreadLengths(max);
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
    this.#handles.finish();
    this.#closed?.resolve();
  }

  #refusal(): IpcError {
    return this.#finished ?? IpcError.of('ERR_CHANNEL_CLOSED', this.name);
  }
}

/** For a channel outside any session. */
const noPlace: ChannelPlace = {
  side: 'server',
  peerOf() {
    throw IpcError.of('ERR_SESSION_CLOSED', 'that there is not');
  },
};

const iterated = (value: unknown) => ({ value, done: false as const });

function endOfIteration(error: unknown): { value: undefined; done: true } {
  if (error instanceof IpcError && error.code === 'ERR_CHANNEL_CLOSED')
    return { value: undefined, done: true };
  throw error;
}
