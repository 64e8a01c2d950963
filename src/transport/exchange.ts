// Exchange: values that go to and fro after a request, until one side ends it: the replies to a request for many, or a
// dialog. Each side says how many more values it has room for, so that neither holds more than that.
import { IpcError } from '../errors.ts';
import type { Dialog } from '../spec/conversation.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { recordKind } from './record.ts';
import { type Call, WaitingLine, waiting } from './waiting.ts';

/** Values that one side may have allowed the other at once. */
export const creditMax = 1024;
export const aheadDefault = 16;

/** What an exchange does at its end of the channel, different for who asked and who answers. */
export interface ExchangeRole {
  /** What it is, for errors. */
  readonly what: string;
  readonly name: string;
  /** Without a limit of its own, `receive` waits so long. */
  readonly timeoutMs: number;
  /** Sends a record; resolves when it stands in the ring. */
  send(kind: number, value: unknown, options?: WaitOptions): Promise<void>;
  /** The same for a record of which each exchange has few, so that it may always wait for room. */
  post(kind: number, value: unknown): Promise<void>;
  /** @throws {IpcError} ERR_MESSAGE_REJECTED. */
  outgoing(value: unknown): void;
  incoming(value: unknown): unknown;
  /** We have said everything. */
  closed(): void;
  /** We have ended it at once. */
  cancelled(): void;
  /** It is over, however it came to that. */
  over(): void;
}

interface WaitingValue extends Call<void> {
  readonly value: unknown;
}

export class Exchange implements Dialog {
  readonly #role: ExchangeRole;
  /** Values that we may still send, and those that the peer may. */
  #credit: number;
  #allowed: number;
  readonly #ahead: number;
  /** Received since the last grant; whether a grant waits for room in the ring. */
  #taken = 0;
  #granting = false;
  readonly #sending = new WaitingLine<WaitingValue>();
  readonly #receiving = new WaitingLine<Call<unknown>>();
  #arrived: unknown[] = [];
  #closing = false;
  /** Whether the end of our values was told; whether the peer's was. */
  #closed = false;
  #peerClosed = false;
  #over = false;
  /** Why it is over, if that was no close. */
  #failure: unknown;

  /**
   * @param credit values that we may send at once.
   * @param ahead values of the peer that may wait here.
   * @param allowed how many of them it knows to be allowed.
   */
  constructor(role: ExchangeRole, credit: number, ahead: number, allowed: number) {
    this.#role = role;
    this.#credit = credit;
    this.#allowed = allowed;
    this.#ahead = ahead;
  }

  get name(): string {
    return this.#role.name;
  }

  get open(): boolean {
    return !this.#closing && !this.#over;
  }

  send(value: unknown, options?: WaitOptions): Promise<void> {
    try {
      if (!this.open) throw this.#end();
      this.#role.outgoing(value);
      if (this.#credit > 0 && this.#sending.length === 0) return this.#put(value, options);
      if (this.#sending.full) throw IpcError.of('ERR_CHANNEL_BUSY', this.#role.what, this.#sending.length);
    } catch (error) {
      return Promise.reject(error);
    }
    return waiting<void>(`send in ${this.#role.what}`, options, (call) => {
      const leave = this.#sending.join({ ...call, value });
      return () => {
        leave();
        this.#closeIfSent();
      };
    });
  }

  receive(options?: WaitOptions): Promise<unknown> {
    if (this.#receiving.full)
      return Promise.reject(IpcError.of('ERR_CHANNEL_BUSY', this.#role.what, this.#receiving.length));
    if (this.#arrived.length > 0 && this.#receiving.length === 0) {
      const value = this.#arrived.shift();
      this.#took();
      return Promise.resolve(value);
    }
    if (this.#over || this.#peerClosed) return Promise.reject(this.#end());
    return waiting<unknown>(
      `a value in ${this.#role.what}`,
      { timeoutMs: this.#role.timeoutMs, ...options },
      (call) => this.#receiving.join(call),
    );
  }

  async ask(value: unknown, options?: WaitOptions): Promise<unknown> {
    await this.send(value, options);
    return this.receive(options);
  }

  close(): void {
    if (!this.open) return;
    this.#closing = true;
    this.#closeIfSent();
  }

  cancel(): void {
    this.abort(IpcError.of('ERR_DIALOG_CLOSED', this.#role.name));
  }

  [Symbol.dispose](): void {
    this.cancel();
  }

  [Symbol.asyncIterator](): AsyncIterator<unknown, undefined> {
    return {
      next: () => this.receive().then(iterated, endOfExchange),
      return: () => {
        this.cancel();
        return Promise.resolve({ value: undefined, done: true as const });
      },
    };
  }

  /** Ends it at once, with what our calls get from now on. Values that had arrived are dropped. */
  abort(failure: unknown): void {
    if (this.#over) return;
    this.#arrived = [];
    this.fail(failure);
    this.#role.cancelled();
  }

  /** What it failed with. */
  get failure(): unknown {
    return this.#failure;
  }

  /** Lets the peer begin to send. */
  allow(): void {
    this.#taken = this.#ahead;
    this.#grant();
  }

  /** The peer has ended it well; what had arrived can still be received. */
  ended(): void {
    this.fail(undefined);
  }

  /** The peer says nothing more; we may still. Throws if it said so before. */
  peerClosed(): void {
    if (this.#peerClosed) throw new Error('a second end of a dialog');
    this.#peerClosed = true;
    this.#receiving.rejectAll(this.#end());
  }

  /** It is over for a reason that did not come from us; what had arrived can still be received. */
  fail(failure: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#failure = failure;
    const end = this.#end();
    this.#sending.rejectAll(end);
    this.#receiving.rejectAll(end);
    this.#role.over();
  }

  /** A value of the peer. Throws if it was not allowed to send one. */
  receiveValue(value: unknown): void {
    if (this.#peerClosed) throw new Error('a value after the end of a dialog');
    if (this.#allowed === 0) throw new Error('more values than it was allowed to send');
    this.#allowed--;
    let checked: unknown;
    try {
      checked = this.#role.incoming(value);
    } catch (error) {
      this.abort(error);
      return;
    }
    const call = this.#receiving.shift();
    if (!call) {
      this.#arrived.push(checked);
      return;
    }
    call.resolve(checked);
    this.#took();
  }

  /** The peer has room for that many more. Throws if that makes no sense. */
  receiveCredit(more: unknown): void {
    if (!isCredit(more) || this.#credit + more > creditMax) throw new Error('a credit out of range');
    this.#credit += more;
    this.#pump();
  }

  #pump(): void {
    while (this.#credit > 0 && !this.#over) {
      const next = this.#sending.shift();
      if (!next) break;
      this.#put(next.value).then(next.resolve, next.reject);
    }
    this.#closeIfSent();
  }

  #put(value: unknown, options?: WaitOptions): Promise<void> {
    this.#credit--;
    return this.#role.send(recordKind.part, value, options).catch((error: unknown) => {
      this.#credit++;
      this.#pump();
      throw error;
    });
  }

  #closeIfSent(): void {
    if (!this.#closing || this.#closed || this.#over || this.#sending.length > 0) return;
    this.#closed = true;
    this.#role.closed();
  }

  #took(): void {
    this.#taken++;
    this.#grant();
  }

  /** Tells of half of the room that there was at once. One record at a time: a peer that reads nothing gets no more. */
  #grant(): void {
    if (this.#over || this.#peerClosed || this.#granting || this.#taken * 2 < this.#ahead) return;
    const more = this.#taken;
    this.#taken = 0;
    this.#allowed += more;
    this.#granting = true;
    this.#role.post(recordKind.credit, more).then(
      () => {
        this.#granting = false;
        this.#grant();
      },
      () => undefined,
    );
  }

  #end(): unknown {
    return this.#failure ?? IpcError.of('ERR_DIALOG_CLOSED', this.#role.name);
  }
}

/** A number of values that makes sense in a record. */
export function isCredit(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= creditMax;
}

const iterated = (value: unknown) => ({ value, done: false as const });

/** The end of an iteration if it is a close; throws what else it is. */
export function endOfExchange(error: unknown): { value: undefined; done: true } {
  if (error instanceof IpcError && error.code === 'ERR_DIALOG_CLOSED')
    return { value: undefined, done: true };
  throw error;
}
