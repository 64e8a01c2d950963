// Requests: which questions of ours are unanswered, which of the peer's we still owe a reply, and who answers them.
import { IpcError, messageOf } from '../errors.ts';
import type { Descriptor } from '../spec/native-handle.ts';
import type {
  ConversationOptions,
  Dialog,
  Peer,
  Replies,
  RequestContext,
  RequestOptions,
  WaitOptions,
} from '../spec/session.ts';
import type { ChannelOptions } from '../spec/universe.ts';
import { aheadDefault, creditMax, Exchange, type ExchangeRole, endOfExchange } from './exchange.ts';
import type { MessageCheck } from './message-check.ts';
import { monotonicMs, timerMaxMs } from './monotonic.ts';
import { OwedRequest } from './owed-request.ts';
import { type RequestMode, recordFlag, recordKind, requestMode } from './record.ts';
import type { Sender } from './sender.ts';
import type { Strays } from './strays.ts';
import { type Call, waiting, waitingMax } from './waiting.ts';

/** A question without a limit of its own is given up after this time. */
const requestTimeoutMs = 30_000;
const numberMax = 0x7fffffff;

/** Gets a request as an event; replies with the number later. */
export type RequestHandler = (
  name: string,
  value: unknown,
  requestId: number,
  handle: Descriptor | undefined,
) => void;
export type ReplyHandler = (value: unknown, context: RequestContext) => unknown;
export type DialogHandler = (value: unknown, dialog: Dialog, context: RequestContext) => void | Promise<void>;

/** A question of ours: for one reply, or for an exchange of values. */
type Asked = (Call<unknown> | { readonly exchange: Exchange }) & { readonly name: string };

type Handler = { readonly reply: ReplyHandler } | { readonly dialog: DialogHandler };

/** What requests need of their channel. */
export interface RequestSettings {
  readonly channel: string;
  readonly options: Pick<ChannelOptions, 'unexpectedMax' | 'unexpectedTimeoutMs'>;
  readonly sender: Sender;
  readonly strays: Strays;
  readonly check: MessageCheck | undefined;
  readonly peerOf: () => Peer;
}

export class Requests {
  /** Requests whose deadline had passed before anybody saw them. */
  expired = 0;

  readonly #settings: RequestSettings;
  readonly #channel: string;
  readonly #sender: Sender;
  readonly #strays: Strays;
  readonly #check: MessageCheck | undefined;
  #nextId = 1;
  /** Whether all numbers were given out once. */
  #wrapped = false;
  readonly #asked = new Map<number, Asked>();
  /** The last number of the peer's. */
  #lastOwed = 0;
  readonly #owed = new Map<number, OwedRequest>();
  /** Answers that wait for room in the ring. */
  #unsent = 0;
  readonly #handlers = new Map<string, Handler>();
  /** Requests that nobody has taken yet, by name, oldest first. */
  readonly #unexpected = new Map<string, Map<OwedRequest, unknown>>();
  #onRequest: RequestHandler | undefined;
  #finished: IpcError | undefined;

  constructor(settings: RequestSettings) {
    this.#settings = settings;
    this.#channel = settings.channel;
    this.#sender = settings.sender;
    this.#strays = settings.strays;
    this.#check = settings.check;
  }

  get asked(): number {
    return this.#asked.size;
  }

  get owed(): number {
    return this.#owed.size;
  }

  /** Whether an answer to us, or a request that somebody here answers, may be on its way. */
  get expectsAny(): boolean {
    return (
      this.#asked.size > 0 || this.#owed.size > 0 || this.#handlers.size > 0 || this.#onRequest !== undefined
    );
  }

  // ---- asking

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
        ...this.#ways(id, recordFlag.asker),
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
    if (id === numberMax) this.#wrapped = true;
    this.#nextId = (id % numberMax) + 1;
    return id;
  }

  // ---- answering

  handle(name: string, handler: ReplyHandler): () => void {
    return this.#setHandler(name, { reply: handler });
  }

  handleDialog(name: string, handler: DialogHandler): () => void {
    return this.#setHandler(name, { dialog: handler });
  }

  /** Requests that no handler takes. */
  onRequest(handler: RequestHandler): void {
    this.#onRequest = handler;
    for (const name of this.#unexpected.keys()) this.#takeUnexpected(name);
  }

  reply(id: number | undefined, value: unknown): void {
    if (id === undefined) throw IpcError.of('ERR_REQUEST_UNKNOWN', 'the event was a message, not a request');
    const request = this.#owed.get(id);
    if (!request) throw IpcError.of('ERR_REQUEST_UNKNOWN', `number ${id} was answered or cancelled already`);
    this.#check?.reply(request.name, value);
    this.#answer(request, value);
  }

  /**
   * A record of a request has come. Throws if it makes no sense.
   * @param handle what came with it; ours to close.
   */
  receive(kind: number, flags: number, id: number, value: unknown, handle?: Descriptor): void {
    if (id < 1) throw new Error('a request number out of range');
    switch (kind) {
      case recordKind.request:
        return this.#receiveRequest(id, value, handle);
      case recordKind.reply:
        return this.#receiveReply(id, value);
      case recordKind.failure:
        return this.#receiveFailure(id, value);
      case recordKind.part:
      case recordKind.credit:
        if ((flags & recordFlag.asker) !== 0) return this.#receiveFromAsker(kind, id, value);
        return this.#receiveFromAnswerer(kind, id, value);
      case recordKind.stray:
        return this.#strays.refused(id, value);
      default:
        return this.#receiveFromAsker(kind, id, value);
    }
  }

  finish(cause: IpcError): void {
    this.#finished = cause;
    for (const asked of [...this.#asked.values()]) {
      if ('exchange' in asked) asked.exchange.fail(cause);
      else asked.reject(cause);
    }
    this.#asked.clear();
    for (const request of [...this.#owed.values()]) request.settled(cause);
    this.#owed.clear();
    this.#unexpected.clear();
  }

  // ---- what the peer answers

  #receiveReply(id: number, value: unknown): void {
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

  #receiveFailure(id: number, body: unknown): void {
    const { message, code } = (body ?? {}) as { message?: unknown; code?: unknown };
    if (typeof message !== 'string' || !(code === undefined || typeof code === 'string'))
      throw new Error('a failure without its reason');
    const asked = this.#asked.get(id);
    if (!asked) return this.#strays.reply(id, this.#wasAsked(id) ? 'late' : 'unknown');
    this.#asked.delete(id);
    const error = failureOf(asked.name, message, code);
    if ('exchange' in asked) asked.exchange.fail(error);
    else asked.reject(error);
  }

  #receiveFromAnswerer(kind: number, id: number, value: unknown): void {
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

  // ---- what the peer asks

  #receiveRequest(id: number, body: unknown, handle: Descriptor | undefined): void {
    // Numbers go up, and start anew at their end.
    if ((id - this.#lastOwed) << 1 <= 0) throw new Error('a request number that does not go up');
    this.#lastOwed = id;
    const { name, value, ...terms } = requestIn(body);
    const request = new OwedRequest(name, id, terms, handle, this.#settings.peerOf);
    if (this.#finished) return request.settled(this.#finished);
    if (this.#owed.size + this.#unsent >= waitingMax)
      return this.#refuse(request, 'ERR_REQUEST_UNHANDLED', 'too many requests are unanswered');
    if (request.remainingMs === 0) return this.#expire(request);
    let checked: unknown;
    try {
      checked = this.#check ? this.#check.request(name, value) : value;
    } catch (error) {
      this.#strays.reject(error, name);
      return this.#refuse(request, 'ERR_MESSAGE_REJECTED', messageOf(error));
    }
    this.#owed.set(id, request);
    if (!this.#dispatch(request, checked)) this.#setAside(request, checked);
  }

  /** Something about a request of the peer's, which may be over by now. Throws if there never was one. */
  #receiveFromAsker(kind: number, id: number, value: unknown): void {
    if ((id - this.#lastOwed) << 1 > 0) throw new Error('a record of a request that there never was');
    const request = this.#owed.get(id);
    if (!request) return;
    if (kind === recordKind.cancel) {
      this.#settle(request, IpcError.of('ERR_REQUEST_CANCELLED', request.name));
      return;
    }
    if (request.mode === requestMode.one)
      throw new Error('a value, credit or end for a request for one reply');
    const { exchange } = request;
    if (kind === recordKind.credit) {
      if (exchange) exchange.receiveCredit(value);
      else throw new Error('a credit for what did not begin');
    } else if (request.mode !== requestMode.dialog)
      throw new Error('a value or end for a request for replies');
    else if (kind === recordKind.close) {
      request.peerClosed = true;
      exchange?.peerClosed();
    } else if (exchange) exchange.receiveValue(value);
    else throw new Error('a value that was not allowed');
  }

  #setHandler(name: string, handler: Handler): () => void {
    this.#handlers.set(name, handler);
    this.#takeUnexpected(name);
    return () => {
      if (this.#handlers.get(name) === handler) this.#handlers.delete(name);
    };
  }

  /** @returns whether somebody takes it. */
  #dispatch(request: OwedRequest, value: unknown): boolean {
    const handler = this.#handlers.get(request.name);
    if (!handler && !this.#onRequest) return false;
    request.taken();
    if (!handler) this.#onRequest!(request.name, value, request.requestId, request.handle);
    else if ('reply' in handler && request.mode !== requestMode.dialog)
      void this.#run(handler.reply, request, value);
    else if ('dialog' in handler && request.mode === requestMode.dialog)
      void this.#converseWith(handler.dialog, request, value);
    else
      this.#failed(
        request,
        new Error('dialog' in handler ? 'it is a dialog; begin it with dialog()' : 'it is no dialog'),
      );
    return true;
  }

  /** Keeps a request for a handler that may come. */
  #setAside(request: OwedRequest, value: unknown): void {
    const { unexpectedMax, unexpectedTimeoutMs } = this.#settings.options;
    const waitingHere = this.#unexpected.get(request.name) ?? new Map<OwedRequest, unknown>();
    const give = (why: string) => {
      this.#unanswer(request);
      this.#owed.delete(request.requestId);
      if (request.remainingMs === 0) return this.#expire(request);
      this.#strays.unanswered(request.name);
      this.#refuse(request, 'ERR_REQUEST_UNHANDLED', why);
    };
    if (waitingHere.size >= unexpectedMax) return give(`${unexpectedMax} of them wait for a handler already`);
    this.#unexpected.set(request.name, waitingHere.set(request, value));
    request.waitForHandler(unexpectedTimeoutMs, () =>
      give(`no handler came within ${unexpectedTimeoutMs} ms`),
    );
  }

  #takeUnexpected(name: string): void {
    const waitingHere = this.#unexpected.get(name);
    this.#unexpected.delete(name);
    for (const [request, value] of waitingHere ?? []) this.#dispatch(request, value);
  }

  #unanswer(request: OwedRequest): void {
    const waitingHere = this.#unexpected.get(request.name);
    if (waitingHere?.delete(request) && waitingHere.size === 0) this.#unexpected.delete(request.name);
  }

  async #run(handler: ReplyHandler, request: OwedRequest, value: unknown): Promise<void> {
    try {
      const answer = await handler(value, request);
      if (isAsyncIterable(answer)) await this.#stream(request, answer);
      else {
        this.#check?.reply(request.name, answer);
        this.#answer(request, answer);
      }
    } catch (error) {
      this.#failed(request, error);
    }
  }

  /** Sends what an iterable gives, as fast as the asker takes it. */
  async #stream(request: OwedRequest, answers: AsyncIterable<unknown>): Promise<void> {
    const iterator = answers[Symbol.asyncIterator]();
    const stop = () => void Promise.resolve(iterator.return?.()).catch(() => undefined);
    if (request.mode !== requestMode.many) {
      stop();
      throw new Error('it has many replies; ask with requestMany()');
    }
    if (!this.#owed.has(request.requestId)) return stop();
    request.onAbandoned(stop);
    const exchange = this.#exchangeOf(request);
    try {
      for (let next = await iterator.next(); !next.done; next = await iterator.next())
        await exchange.send(next.value);
    } catch (error) {
      stop();
      throw error;
    }
    exchange.close();
  }

  async #converseWith(handler: DialogHandler, request: OwedRequest, value: unknown): Promise<void> {
    const exchange = this.#exchangeOf(request);
    // From now on the asker may speak.
    exchange.allow();
    try {
      await handler(value, exchange, request);
      exchange.close();
    } catch (error) {
      this.#failed(request, error);
    }
  }

  /** The answering end of a request's exchange. */
  #exchangeOf(request: OwedRequest): Exchange {
    const { name, requestId, mode } = request;
    const dialog = mode === requestMode.dialog;
    request.exchange = new Exchange(
      {
        what: `${dialog ? 'dialog' : 'replies to'} ${name} on channel ${this.#channel}`,
        name,
        timeoutMs: Number.POSITIVE_INFINITY,
        ...this.#ways(requestId, 0),
        outgoing: (value) => void this.#check?.reply(name, value),
        incoming: (value) => {
          try {
            return this.#check ? this.#check.request(name, value) : value;
          } catch (error) {
            this.#strays.reject(error, name);
            throw error;
          }
        },
        closed: () => {
          if (!this.#settle(request)) return;
          request.exchange?.ended();
          this.#final(request, recordKind.reply, undefined);
        },
        cancelled: () => this.#failed(request, request.exchange?.failure),
        over: () => undefined,
      } satisfies ExchangeRole,
      request.credit,
      aheadDefault,
      0,
    );
    if (request.peerClosed) request.exchange.peerClosed();
    return request.exchange;
  }

  /** One reply, which is also how a request for many may be answered. */
  #answer(request: OwedRequest, value: unknown): void {
    if (request.mode === requestMode.one) {
      if (this.#settle(request)) this.#final(request, recordKind.reply, value);
      return;
    }
    if (!this.#owed.has(request.requestId)) return;
    const exchange = request.exchange ?? this.#exchangeOf(request);
    exchange.send(value).catch((error: unknown) => this.#failed(request, error));
    exchange.close();
  }

  #failed(request: OwedRequest, error: unknown): void {
    if (!this.#settle(request, error)) return;
    const code = error instanceof IpcError ? { code: error.code } : {};
    this.#final(request, recordKind.failure, { message: messageOf(error), ...code });
  }

  /** The asker has given up by now: nobody needs to be told. */
  #expire(request: OwedRequest): void {
    this.expired++;
    request.settled();
  }

  /** A request that nobody sees. */
  #refuse(request: OwedRequest, code: string, message: string): void {
    request.settled();
    this.#sender
      .sendNumbered(recordKind.failure, request.requestId, { message, code })
      .catch(() => undefined);
  }

  /** @returns false if it is over already. */
  #settle(request: OwedRequest, failure?: unknown): boolean {
    if (!this.#owed.delete(request.requestId)) return false;
    this.#unanswer(request);
    request.settled(failure);
    return true;
  }

  #final(request: OwedRequest, kind: number, value: unknown): void {
    if (this.#finished) return;
    const sending = this.#sender.postNumbered(kind, request.requestId, value);
    if (this.#sender.isSent(sending)) return;
    this.#unsent++;
    sending.then(
      () => this.#unsent--,
      (error: unknown) => {
        this.#unsent--;
        // A reply that can't be encoded must not leave the asker waiting; a failure always can.
        if (kind !== recordKind.failure)
          this.#final(request, recordKind.failure, { message: messageOf(error) });
      },
    );
  }

  #ways(id: number, flags: number): Pick<ExchangeRole, 'send' | 'post'> {
    return {
      send: (kind, value, options?: WaitOptions) =>
        this.#sender.sendNumbered(kind, id, value, options, flags),
      post: (kind, value) => this.#sender.postNumbered(kind, id, value, flags),
    };
  }

  #postLater(kind: number, id: number, value: unknown): void {
    if (!this.#finished) this.#sender.postNumbered(kind, id, value).catch(() => undefined);
  }
}

/** A request as the peer wrote it. Throws if it makes no sense. */
function requestIn(body: unknown) {
  if (!Array.isArray(body) || typeof body[0] !== 'string') throw new Error('a request without a name');
  const [name, value, mode = requestMode.one, credit = 0, deadline = Number.POSITIVE_INFINITY] =
    body as unknown[];
  if (mode !== requestMode.one && mode !== requestMode.many && mode !== requestMode.dialog)
    throw new Error('a request for something unknown');
  const creditMin = mode === requestMode.one ? 0 : 1;
  if (!Number.isInteger(credit) || (credit as number) < creditMin || (credit as number) > creditMax)
    throw new Error('a request with a credit out of range');
  if (typeof deadline !== 'number' || Number.isNaN(deadline))
    throw new Error('a request with a deadline that is none');
  return { name: name as string, value, mode: mode as RequestMode, credit: credit as number, deadline };
}

function failureOf(name: string, why: string, code: string | undefined): IpcError {
  if (code === 'ERR_REQUEST_UNHANDLED') return IpcError.of(code, name, why);
  const cause = code === undefined ? undefined : IpcError.received({ code, message: why });
  return IpcError.from(cause, 'ERR_REQUEST_FAILED', name, why);
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
