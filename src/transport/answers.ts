// Answers: what the peer asks on one channel, who answers it, and what we still owe.
import { IpcError, messageOf } from '../errors.ts';
import type { Dialog, RequestContext } from '../spec/conversation.ts';
import type { Descriptor } from '../spec/native-handle.ts';
import { aheadDefault, Exchange, type ExchangeRole } from './exchange.ts';
import type { MessageCheck } from './message-check.ts';
import type { NumberedSender } from './numbered-sender.ts';
import { OwedRequest } from './owed-request.ts';
import type { RequestSettings } from './questions.ts';
import { recordKind, requestMode } from './record.ts';
import { requestIn } from './request-record.ts';
import type { Strays } from './strays.ts';
import { waitingMax } from './waiting.ts';

/** Gets a request as an event; replies with the number later. */
export type RequestHandler = (
  name: string,
  value: unknown,
  requestId: number,
  handle: Descriptor | undefined,
) => void;
export type ReplyHandler = (value: unknown, context: RequestContext) => unknown;
export type DialogHandler = (value: unknown, dialog: Dialog, context: RequestContext) => void | Promise<void>;

type Handler = { readonly reply: ReplyHandler } | { readonly dialog: DialogHandler };

export class Answers {
  /** Requests whose deadline had passed before anybody saw them. */
  expired = 0;

  readonly #settings: RequestSettings;
  readonly #channel: string;
  readonly #sender: NumberedSender;
  readonly #strays: Strays;
  readonly #check: MessageCheck | undefined;
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

  /** How many we owe an answer. */
  get size(): number {
    return this.#owed.size;
  }

  /** Whether somebody here answers, or is at it. */
  get expectsAny(): boolean {
    return this.#owed.size > 0 || this.#handlers.size > 0 || this.#onRequest !== undefined;
  }

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

  finish(cause: IpcError): void {
    this.#finished = cause;
    for (const request of [...this.#owed.values()]) request.settled(cause);
    this.#owed.clear();
    this.#unexpected.clear();
  }

  /** A request. Throws if it makes no sense. */
  receiveRequest(id: number, body: unknown, handle: Descriptor | undefined): void {
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
  receiveMore(kind: number, id: number, value: unknown): void {
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
        send: (kind, value, limits) => this.#sender.sendNumbered(kind, requestId, value, limits),
        post: (kind, value) => this.#sender.postNumbered(kind, requestId, value),
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
}

function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value;
}
