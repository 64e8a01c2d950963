// Questions: what we have asked the peer on one channel and what has not been answered yet.
import { IpcError } from '../errors.ts';
import type { ChannelOptions } from '../spec/channel-spec.ts';
import type { ConversationOptions, Dialog, Replies, RequestOptions } from '../spec/conversation.ts';
import type { Peer } from '../spec/peer.ts';
import { aheadDefault, creditMax, Exchange, type ExchangeRole, endOfExchange } from './exchange.ts';
import type { MessageCheck } from './message-check.ts';
import { monotonicMs, timerMaxMs } from './monotonic.ts';
import type { NumberedSender } from './numbered-sender.ts';
import { type RequestMode, recordFlag, recordKind, requestMode } from './record.ts';
import { failureIn, requestNumberMax } from './request-record.ts';
import type { Strays } from './strays.ts';
import { type Call, waiting, waitingMax } from './waiting.ts';

/** A question without a limit of its own is given up after this time. */
const requestTimeoutMs = 30_000;

/** A question of ours: for one reply, or for an exchange of values. */
type Asked = (Call<unknown> | { readonly exchange: Exchange }) & { readonly name: string };

/** What requests need of their channel. */
export interface RequestSettings {
  readonly channel: string;
  readonly options: Pick<ChannelOptions, 'unexpectedMax' | 'unexpectedTimeoutMs'>;
  readonly sender: NumberedSender;
  readonly strays: Strays;
  readonly check: MessageCheck | undefined;
  readonly peerOf: () => Peer;
}

export class Questions {
  readonly #channel: string;
  readonly #sender: NumberedSender;
  readonly #strays: Strays;
  readonly #check: MessageCheck | undefined;
  #nextId = 1;
  /** Whether all numbers were given out once. */
  #wrapped = false;
  readonly #asked = new Map<number, Asked>();
  #finished: IpcError | undefined;

  constructor({ channel, sender, strays, check }: RequestSettings) {
    this.#channel = channel;
    this.#sender = sender;
    this.#strays = strays;
    this.#check = check;
  }

  /** How many are unanswered. */
  get size(): number {
    return this.#asked.size;
  }

  ask(name: string, value: unknown, options: RequestOptions = {}): Promise<unknown> {
    try {
      this.#check?.request(name, value);
      this.#needRoom();
    } catch (error) {
      return Promise.reject(error);
    }
    const id = this.#number();
    const limits = { timeoutMs: requestTimeoutMs, ...options };
    return waiting<unknown>(`request ${name} on channel ${this.#channel}`, limits, (call) => {
      this.#asked.set(id, { ...call, name });
      const unsent = this.#begin(id, [name, value], limits.timeoutMs, limits, (error) => {
        if (this.#asked.delete(id)) call.reject(error);
      });
      return () => {
        // What never left needs no cancel.
        if (this.#asked.delete(id) && !unsent()) this.#postLater(recordKind.cancel, id, undefined);
      };
    });
  }

  askMany(name: string, value: unknown, options: ConversationOptions = {}): Replies<unknown> {
    const { timeoutMs = requestTimeoutMs } = options;
    const exchange = this.#converse(`replies to ${name}`, name, value, requestMode.many, options);
    const cancel = () => exchange.cancel();
    const end = () => {
      cancel();
      return Promise.resolve({ value: undefined, done: true as const });
    };
    const replies: Replies<unknown> = {
      next: () =>
        exchange.receive({ timeoutMs }).then(
          (reply) => ({ value: reply, done: false as const }),
          (error) => {
            // A loop that fails does not say so to its iterator.
            cancel();
            return endOfExchange(error);
          },
        ),
      return: end,
      throw(error) {
        cancel();
        return Promise.reject(error);
      },
      cancel,
      [Symbol.asyncIterator]: () => replies,
      [Symbol.asyncDispose]: async () => cancel(),
    };
    return replies;
  }

  dialog(name: string, value: unknown, options: ConversationOptions = {}): Dialog {
    return this.#converse(`dialog ${name}`, name, value, requestMode.dialog, options);
  }

  #converse(
    what: string,
    name: string,
    value: unknown,
    mode: RequestMode,
    options: ConversationOptions,
  ): Exchange {
    const { ahead = aheadDefault, deadlineMs = Number.POSITIVE_INFINITY, signal } = options;
    if (!Number.isInteger(ahead) || ahead < 1 || ahead > creditMax)
      throw new RangeError(`ahead is ${ahead}; it must be 1 to ${creditMax}`);
    const id = this.#number();
    const place = `${what} on channel ${this.#channel}`;
    let timer: NodeJS.Timeout | undefined;
    let unsent = () => true;
    // Ends the wait for room in the ring.
    const gone = new AbortController();
    const onAbort = () => exchange.abort(signal?.reason);
    const check = this.#check;
    const exchange: Exchange = new Exchange(
      {
        what: place,
        name,
        timeoutMs: options.timeoutMs ?? requestTimeoutMs,
        send: (kind, out, limits) => this.#sender.sendNumbered(kind, id, out, limits, recordFlag.asker),
        post: (kind, out) => this.#sender.postNumbered(kind, id, out, recordFlag.asker),
        outgoing: (out) => void check?.request(name, out),
        incoming: (reply) => this.#checkedReply(name, reply),
        closed: () => this.#postLater(recordKind.close, id, undefined),
        cancelled: () => {
          if (!unsent()) this.#postLater(recordKind.cancel, id, undefined);
        },
        over: () => {
          this.#asked.delete(id);
          clearTimeout(timer);
          signal?.removeEventListener('abort', onAbort);
          gone.abort();
        },
      } satisfies ExchangeRole,
      0,
      ahead,
      ahead,
    );
    try {
      if (this.#finished) throw this.#finished;
      if (signal?.aborted) throw signal.reason;
      check?.request(name, value);
      this.#needRoom();
    } catch (error) {
      exchange.fail(error);
      return exchange;
    }
    this.#asked.set(id, { exchange, name });
    signal?.addEventListener('abort', onAbort, { once: true });
    if (deadlineMs <= timerMaxMs)
      timer = setTimeout(() => exchange.abort(IpcError.of('ERR_TIMEOUT', place, deadlineMs)), deadlineMs);
    const sendOptions: RequestOptions = {
      timeoutMs: Math.min(deadlineMs, requestTimeoutMs),
      signal: gone.signal,
      ...(options.handle !== undefined && { handle: options.handle }),
    };
    const body = [name, value, mode, ahead];
    unsent = this.#begin(id, body, deadlineMs, sendOptions, (error) => exchange.fail(error));
    return exchange;
  }

  /** Sends the request itself. @returns whether it still waits for room. */
  #begin(
    id: number,
    body: unknown[],
    limitMs: number,
    options: RequestOptions,
    onFailure: (error: unknown) => void,
  ): () => boolean {
    if (Number.isFinite(limitMs)) {
      body[2] ??= requestMode.one;
      body[3] ??= 0;
      body[4] = Math.ceil(monotonicMs() + limitMs);
    }
    let unsent = true;
    const sending = this.#sender.sendNumbered(recordKind.request, id, body, options);
    if (this.#sender.isSent(sending)) return () => false;
    sending.then(() => {
      unsent = false;
    }, onFailure);
    return () => unsent;
  }

  #needRoom(): void {
    if (this.#asked.size >= waitingMax)
      throw IpcError.of('ERR_CHANNEL_BUSY', this.#channel, this.#asked.size);
  }

  #number(): number {
    const id = this.#nextId;
    if (id === requestNumberMax) this.#wrapped = true;
    this.#nextId = (id % requestNumberMax) + 1;
    return id;
  }

  /** The last word about one of them. */
  receiveReply(id: number, value: unknown): void {
    const asked = this.#asked.get(id);
    if (!asked) return this.#strays.reply(id, this.#wasAsked(id) ? 'late' : 'unknown');
    this.#asked.delete(id);
    if ('exchange' in asked) return asked.exchange.ended();
    try {
      asked.resolve(this.#checkedReply(asked.name, value));
    } catch (error) {
      asked.reject(error);
    }
  }

  /** As receiveReply. Throws if it makes no sense. */
  receiveFailure(id: number, body: unknown): void {
    const failure = failureIn(body);
    const asked = this.#asked.get(id);
    if (!asked) return this.#strays.reply(id, this.#wasAsked(id) ? 'late' : 'unknown');
    this.#asked.delete(id);
    const error = failure(asked.name);
    if ('exchange' in asked) asked.exchange.fail(error);
    else asked.reject(error);
  }

  /** A value, or room for values. Throws if it makes no sense. */
  receiveMore(kind: number, id: number, value: unknown): void {
    const asked = this.#asked.get(id);
    if (asked && !('exchange' in asked)) throw new Error('one of many replies to a request for one');
    if (asked && kind === recordKind.part) asked.exchange.receiveValue(value);
    else if (asked) asked.exchange.receiveCredit(value);
    else if (kind === recordKind.part) this.#strays.reply(id, this.#wasAsked(id) ? 'late' : 'unknown');
    else if (!this.#wasAsked(id)) throw new Error('a credit for what was never asked');
  }

  #wasAsked(id: number): boolean {
    return this.#wrapped || id < this.#nextId;
  }

  /** @throws {IpcError} ERR_MESSAGE_REJECTED, counted. */
  #checkedReply(name: string, value: unknown): unknown {
    if (!this.#check) return value;
    try {
      return this.#check.reply(name, value);
    } catch (error) {
      this.#strays.reject(error, name);
      throw error;
    }
  }

  finish(cause: IpcError): void {
    this.#finished = cause;
    for (const asked of [...this.#asked.values()]) {
      if ('exchange' in asked) asked.exchange.fail(cause);
      else asked.reject(cause);
    }
    this.#asked.clear();
  }

  #postLater(kind: number, id: number, value: unknown): void {
    if (!this.#finished) this.#sender.postNumbered(kind, id, value).catch(() => undefined);
  }
}
