// Requests: which questions of ours are unanswered, which of the peer's we still owe a reply, and who answers them.
import { IpcError, messageOf } from '../errors.ts';
import type { WaitOptions } from '../spec/session.ts';
import { recordKind } from './record.ts';
import type { Sender } from './sender.ts';
import { type Call, waiting, waitingMax } from './waiting.ts';

/** A question without a limit of its own is given up after this time. */
const requestTimeoutMs = 30_000;

/** Gets a request as an event; replies with the number later. */
export type RequestHandler = (name: string, value: unknown, requestId: number) => void;

export class Requests {
  readonly #channel: string;
  readonly #sender: Sender;
  #nextId = 1;
  readonly #asked = new Map<number, Call<unknown> & { name: string }>();
  readonly #owed = new Set<number>();
  readonly #handlers = new Map<string, (value: unknown) => unknown>();
  #onRequest: RequestHandler | undefined;
  #finished = false;

  constructor(channel: string, sender: Sender) {
    this.#channel = channel;
    this.#sender = sender;
  }

  /** Whether an answer to us, or a request that somebody here answers, may be on its way. */
  get expectsAny(): boolean {
    return this.#asked.size > 0 || this.#handlers.size > 0 || this.#onRequest !== undefined;
  }

  ask(name: string, value: unknown, options: WaitOptions = {}): Promise<unknown> {
    if (this.#asked.size >= waitingMax)
      return Promise.reject(IpcError.of('ERR_CHANNEL_BUSY', this.#channel, this.#asked.size));
    const id = this.#nextId;
    this.#nextId = (id % 0x7fffffff) + 1;
    const limits = { timeoutMs: requestTimeoutMs, ...options };
    return waiting<unknown>(`request ${name} on channel ${this.#channel}`, limits, (call) => {
      this.#asked.set(id, { ...call, name });
      this.#sender.sendNumbered(recordKind.request, id, [name, value], limits).catch((error: unknown) => {
        if (this.#asked.delete(id)) call.reject(error);
      });
      return () => {
        if (this.#asked.delete(id)) this.#post(recordKind.cancel, id, undefined);
      };
    });
  }

  handle(name: string, handler: (value: unknown) => unknown): () => void {
    this.#handlers.set(name, handler);
    return () => {
      if (this.#handlers.get(name) === handler) this.#handlers.delete(name);
    };
  }

  /** Requests that no handler takes. */
  onRequest(handler: RequestHandler): void {
    this.#onRequest = handler;
  }

  reply(id: number | undefined, value: unknown): void {
    if (id === undefined) throw IpcError.of('ERR_REQUEST_UNKNOWN', 'the event was a message, not a request');
    if (!this.#owed.delete(id))
      throw IpcError.of('ERR_REQUEST_UNKNOWN', `number ${id} was answered or cancelled already`);
    this.#post(recordKind.reply, id, value);
  }

  /** A record of one of the four kinds has come. Throws if it makes no sense. */
  receive(kind: number, id: number, value: unknown): void {
    switch (kind) {
      case recordKind.request:
        return this.#receiveRequest(id, value);
      case recordKind.reply:
        return this.#answered(id, (call) => call.resolve(value));
      case recordKind.failure: {
        const why = (value as { message?: unknown } | null | undefined)?.message;
        if (typeof why !== 'string') throw new Error('a failure without its reason');
        return this.#answered(id, (call) => call.reject(IpcError.of('ERR_REQUEST_FAILED', call.name, why)));
      }
      case recordKind.cancel:
        this.#owed.delete(id);
    }
  }

  finish(cause: IpcError): void {
    this.#finished = true;
    for (const call of this.#asked.values()) call.reject(cause);
    this.#asked.clear();
    this.#owed.clear();
  }

  #answered(id: number, settle: (call: Call<unknown> & { name: string }) => void): void {
    const call = this.#asked.get(id);
    // A reply after the asker gave up: dropped.
    if (!call) return;
    this.#asked.delete(id);
    settle(call);
  }

  #receiveRequest(id: number, body: unknown): void {
    if (!Array.isArray(body) || typeof body[0] !== 'string') throw new Error('a request without a name');
    const [name, value] = body as [string, unknown];
    const handler = this.#handlers.get(name);
    if (this.#owed.size >= waitingMax) this.#fail(id, 'too many requests are unanswered');
    else if (handler) {
      this.#owed.add(id);
      void this.#run(handler, id, value);
    } else if (this.#onRequest) {
      this.#owed.add(id);
      this.#onRequest(name, value, id);
    } else this.#fail(id, `nobody here answers ${name}`);
  }

  async #run(handler: (value: unknown) => unknown, id: number, value: unknown): Promise<void> {
    try {
      const answer = await handler(value);
      if (this.#owed.delete(id)) this.#post(recordKind.reply, id, answer);
    } catch (error) {
      if (this.#owed.delete(id)) this.#fail(id, messageOf(error));
    }
  }

  #fail(id: number, message: string): void {
    this.#post(recordKind.failure, id, { message });
  }

  #post(kind: number, id: number, value: unknown): void {
    if (this.#finished) return;
    this.#sender.sendNumbered(kind, id, value).catch((error: unknown) => {
      // A reply that can't be encoded must not leave the asker waiting; the other kinds always can.
      if (kind === recordKind.reply) this.#fail(id, messageOf(error));
    });
  }
}
