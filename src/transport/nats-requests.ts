// NATS requests: who is asked is chosen here, in turn, among those that the registry knows; the engine says at once when nobody
// listens there any more. A request is sent again after its socket was lost, and whoever has it already does not begin it twice.
import { IpcError, messageOf } from '../errors.ts';
import { type RelayHandler, type RelayRole, requestTimeoutMs } from '../spec/relay.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { decodeFrame, encodeFrame, type Frame, textOf, wholeOf } from './frame.ts';
import { idOf, roleOfId } from './nats-address.ts';
import type { NatsConnection } from './nats-connection.ts';
import type { NatsNode } from './nats-registry.ts';
import { type Call, waiting } from './waiting.ts';

/** That may be under way, each way. */
const requestsMax = 1_024;
/** Answers that are kept for those who ask again; larger ones are not. */
const answersMax = 1_024;
const answerBytesMax = 64 * 1024;
/** How often the one who is asked is looked for. */
const lookMs = 1_000;
const pingMs = 500;

interface Asked extends Call<unknown> {
  readonly what: string;
  readonly service: string;
  readonly bytes: Uint8Array;
  server: string;
  readonly to: string | undefined;
  readonly look: NodeJS.Timeout;
  refusals: number;
}

export interface RequestsOptions {
  readonly link: NatsConnection;
  readonly self: { readonly node: string; readonly role: RelayRole; readonly id: string };
  readonly present: () => readonly NatsNode[];
}

export class NatsRequests {
  readonly #options: RequestsOptions;
  readonly #link: NatsConnection;
  readonly #asked = new Map<number, Asked>();
  /** Runs of nodes that are asked whether they are there. */
  readonly #pinged = new Map<number, { readonly id: string; readonly answer: (there: boolean) => void }>();
  readonly #services = new Map<string, RelayHandler>();
  readonly #answering = new Map<string, AbortController>();
  readonly #answers = new Map<string, Uint8Array>();
  readonly #turns = new Map<string, string[]>();
  #number = 0;

  constructor(options: RequestsOptions) {
    this.#options = options;
    this.#link = options.link;
    this.#link.onStatus((there) => {
      if (there) for (const [number, asked] of this.#asked) this.#send(number, asked);
    });
  }

  /** How many are served here. */
  get services(): number {
    return this.#services.size;
  }

  serves(service: string): boolean {
    return this.#services.has(service);
  }

  serve(service: string, handler: RelayHandler): void {
    this.#services.set(service, handler);
  }

  unserve(service: string): void {
    this.#services.delete(service);
  }

  request(service: string, body: unknown, options: WaitOptions, to: string | undefined): Promise<unknown> {
    const what = `request ${service}`;
    if (this.#asked.size >= requestsMax)
      return Promise.reject(IpcError.of('ERR_RELAY_FULL', what, `${requestsMax} are under way`));
    const { timeoutMs = requestTimeoutMs } = options;
    const late = (): never => {
      if (!this.#link.there) throw IpcError.of('ERR_RELAY_UNAVAILABLE', what, 'there is no link');
      throw IpcError.of('ERR_TIMEOUT', what, timeoutMs);
    };
    const begin = (call: Call<unknown>) => {
      const number = ++this.#number;
      const server = this.#serverOf(service, to);
      const { id, node: from } = this.#options.self;
      let bytes: Uint8Array;
      try {
        if (!server)
          throw IpcError.of(
            'ERR_RELAY_UNAVAILABLE',
            what,
            `${to === undefined ? 'nobody' : `no node ${to}`} serves it now`,
          );
        bytes = this.#whole(encodeFrame({ t: 'request', id, n: number, service, from, body }), what);
      } catch (error) {
        call.reject(error);
        return () => {};
      }
      const look = setInterval(() => void this.#look(number), lookMs);
      look.unref();
      const asked = { ...call, what, service, bytes, server, to, look, refusals: 0 };
      this.#asked.set(number, asked);
      this.#send(number, asked);
      return () => {
        if (this.#end(number)) this.#link.say(asked.server, { t: 'cancel', id, n: number });
      };
    };
    return waiting(what, { ...options, timeoutMs }, begin, late);
  }

  /** Whether that run of a node is there; with a revision, once it knows the registry up to there, or a moment later. */
  answers(id: string, revision = 0): Promise<boolean> {
    const number = ++this.#number;
    return new Promise((resolve) => {
      const answer = (there: boolean) => {
        clearTimeout(timer);
        this.#pinged.delete(number);
        resolve(there);
      };
      // A node that is stopped still has its socket: nobody can tell it from one that is slow.
      const timer = setTimeout(() => answer(true), pingMs);
      this.#pinged.set(number, { id, answer });
      const self = this.#options.self.id;
      this.#link.say(id, { t: 'ping', id: self, n: number, revision }, `a.${self}.${number}`);
    });
  }

  gone(id: string, node: string): void {
    for (const [number, asked] of [...this.#asked]) {
      if (asked.server !== id || !this.#end(number)) continue;
      asked.reject(IpcError.of('ERR_RELAY_UNAVAILABLE', asked.what, `${node} is gone`));
    }
  }

  /** What comes to this node alone. Throws if it makes no sense. */
  take(frame: Frame): boolean {
    switch (frame.t) {
      case 'request':
        this.#onRequest(frame);
        return true;
      case 'cancel':
        this.#answering
          .get(`${idOf(frame)}:${wholeOf(frame, 'n')}`)
          ?.abort(new Error('its asker has given up'));
        return true;
      default:
        return false;
    }
  }

  /**
   * What comes as the answer of one request, by a node of that role; without data and a role, the engine's word that nobody listens
   * there. Throws if it makes no sense.
   */
  takeAnswer(number: number, role: string | undefined, data: Uint8Array, code: number): void {
    const nobody = data.length === 0 && role === undefined && code === 503;
    const pinged = this.#pinged.get(number);
    if (pinged && (nobody || roleOfId(pinged.id) === role)) return pinged.answer(!nobody);
    const asked = this.#asked.get(number);
    if (!asked) return;
    if (nobody) return this.#next(number, asked);
    if (roleOfId(asked.server) !== role) throw new Error('an answer of somebody who was not asked');
    const frame = decodeFrame(data);
    if (frame.t !== 'answer' && frame.t !== 'failure')
      throw new Error(`an answer of unknown type ${frame.t}`);
    const failure = frame.t === 'failure' && {
      code: textOf(frame, 'code', 64),
      message: textOf(frame, 'why', 65_536),
    };
    if (!this.#end(number)) return;
    if (!failure) return asked.resolve(frame.body);
    asked.reject(
      failure.code === 'ERR_REQUEST_FAILED'
        ? IpcError.of('ERR_REQUEST_FAILED', asked.service, failure.message)
        : IpcError.received(failure),
    );
  }

  close(node: string): void {
    for (const [number, asked] of [...this.#asked]) {
      if (this.#end(number)) asked.reject(IpcError.of('ERR_RELAY_CLOSED', `relay of ${node}`));
    }
    for (const { answer } of [...this.#pinged.values()]) answer(true);
    for (const giveUp of this.#answering.values()) giveUp.abort(new Error('the relay is closed'));
    this.#answering.clear();
  }

  // ---- asking

  #send(number: number, asked: Asked): void {
    const { id, role } = this.#options.self;
    if (this.#link.there) this.#link.send(`n.${asked.server}.${role}`, asked.bytes, `a.${id}.${number}`);
  }

  /** Nobody listens where it was sent: once, another one is asked. */
  #next(number: number, asked: Asked): void {
    const others = this.#options.present().filter((each) => each.id !== asked.server);
    const server = asked.refusals++ === 0 ? this.#serverOf(asked.service, asked.to, others) : undefined;
    if (server !== undefined) {
      asked.server = server;
      return this.#send(number, asked);
    }
    if (this.#end(number))
      asked.reject(IpcError.of('ERR_RELAY_UNAVAILABLE', asked.what, 'the node that serves it is gone'));
  }

  async #look(number: number): Promise<void> {
    const asked = this.#asked.get(number);
    if (!asked || !this.#link.there) return;
    if (!(await this.answers(asked.server)) && this.#asked.get(number) === asked) this.#next(number, asked);
  }

  #end(number: number): boolean {
    clearInterval(this.#asked.get(number)?.look);
    return this.#asked.delete(number);
  }

  #serverOf(service: string, to: string | undefined, present = this.#options.present()): string | undefined {
    const servers = present.filter(({ services }) => Object.hasOwn(services, service));
    if (to !== undefined) return servers.find(({ node }) => node === to)?.id;
    if (servers.length === 0) return undefined;
    // Whoever was asked last stands at the end; those that are new, in front.
    const turn = (this.#turns.get(service) ?? []).filter((id) => servers.some((each) => each.id === id));
    const server = servers.map(({ id }) => id).find((id) => !turn.includes(id)) ?? turn[0]!;
    this.#turns.set(service, [...turn.filter((id) => id !== server), server]);
    if (this.#turns.size > requestsMax) this.#turns.delete(this.#turns.keys().next().value!);
    return server;
  }

  #whole(bytes: Uint8Array, what: string): Uint8Array {
    const max = this.#link.client.info?.max_payload ?? 1024 * 1024;
    if (bytes.length > max) throw IpcError.of('ERR_MESSAGE_TOO_LARGE', what, bytes.length, max);
    return bytes;
  }

  // ---- answering

  #onRequest(frame: Frame): void {
    const id = idOf(frame);
    const number = wholeOf(frame, 'n');
    const service = textOf(frame, 'service', 255);
    const key = `${id}:${number}`;
    const reply = (bytes: Uint8Array) => this.#link.send(`a.${id}.${number}.${this.#link.role}`, bytes);
    const known = this.#answers.get(key);
    if (known) return reply(known);
    if (this.#answering.has(key)) return;
    const answer = (body: Frame) => {
      const bytes = this.#whole(encodeFrame(body), `the answer of ${service}`);
      if (bytes.length <= answerBytesMax) this.#answers.set(key, bytes);
      if (this.#answers.size > answersMax) this.#answers.delete(this.#answers.keys().next().value!);
      reply(bytes);
    };
    const fail = (error: unknown) => {
      const { code, message } =
        error instanceof IpcError ? error : { code: 'ERR_REQUEST_FAILED', message: messageOf(error) };
      answer({ t: 'failure', code, why: message.slice(0, 65_000) });
    };
    const handler = this.#services.get(service);
    if (!handler)
      return fail(
        IpcError.of(
          'ERR_RELAY_UNAVAILABLE',
          `request ${service}`,
          `${this.#options.self.node} does not serve it`,
        ),
      );
    if (this.#answering.size >= requestsMax)
      return fail(IpcError.of('ERR_RELAY_FULL', `request ${service}`, `${requestsMax} are being answered`));
    const giveUp = new AbortController();
    this.#answering.set(key, giveUp);
    const role = roleOfId(id);
    // Its name, as the registry has it for that run of a node.
    const said = textOf(frame, 'from', 64);
    const from = this.#options.present().find((each) => each.id === id)?.node ?? said;
    new Promise((resolve) => resolve(handler(frame.body, { from, role, signal: giveUp.signal })))
      .then((body) => answer({ t: 'answer', body: body ?? null }))
      .catch(fail)
      .finally(() => this.#answering.delete(key));
  }
}
