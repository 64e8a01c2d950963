// Relay member: one node's use of a relay, over a port that leads to its hub. The same for a hub in this process and for one on
// another machine.
import { IpcError, messageOf } from '../errors.ts';
import {
  type Blobs,
  type KeyValue,
  type KeyValueEntry,
  type Lease,
  type LeaseOptions,
  type Relay,
  type RelayEvents,
  type RelayHandler,
  type RelayHold,
  type RelayListener,
  type RelayMode,
  type RelayNode,
  type RelayRequestOptions,
  type RelayRole,
  type RelayStatus,
  requestTimeoutMs,
  type ServeOptions,
  type SubscribeOptions,
} from '../spec/relay.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { type Frame, textOf, wholeOf } from './frame.ts';
import { RelayLease } from './relay-lease.ts';
import type { RelayPort } from './relay-port.ts';
import { type Call, waiting } from './waiting.ts';

/** Requests that may be under way, each way. */
const requestsMax = 1_024;
/** Of a topic or a service. */
export const relayNameMax = 255;
/** A piece of a blob: with it, a message stays far below its limit. */
const pieceBytes = 256 * 1024;
const leaseTtlMs = 15_000;

interface Asked extends Call<unknown> {
  readonly what: string;
  /** Which of the messages that we have posted it is, from 1. */
  readonly posted: number;
  /** Said again to a hub that was started anew, as this; undefined: it fails then. */
  readonly again: string | undefined;
}

interface Topic {
  readonly listeners: Set<{ listener: RelayListener; onGap: ((messages: number) => void) | undefined }>;
  readonly ready: Promise<unknown>;
}

interface Service {
  readonly handler: RelayHandler;
  readonly group: string;
}

export class RelayMember implements Relay {
  readonly mode: RelayMode;
  readonly node: string;
  readonly role: RelayRole;
  readonly #port: RelayPort;
  readonly #asked = new Map<number, Asked>();
  readonly #topics = new Map<string, Topic>();
  readonly #services = new Map<string, Service>();
  readonly #answering = new Map<number, AbortController>();
  readonly #leases = new Set<RelayLease>();
  readonly #onStatus = new Set<RelayEvents['status']>();
  #status: RelayStatus = 'lost';
  #number = 0;
  #posted = 0;
  /** The greatest token of a lease that was ever seen here: a hub that has forgotten everything goes on above it. */
  #tokenMax = 0;
  readonly blobs: Blobs = {
    put: (name, bytes, options) => this.#putBlob(name, bytes, options),
    get: (name, options) => this.#getBlob(name, options),
    delete: async (name, options) => {
      await this.#ask('$blob.delete', { name }, options);
    },
  };

  constructor(port: RelayPort, self: { mode: RelayMode; node: string; role: RelayRole }) {
    this.mode = self.mode;
    this.node = self.node;
    this.role = self.role;
    this.#port = port;
    port.listen({
      message: (message) => this.#onMessage(message),
      opened: (fresh, lost, waiting) => this.#onOpened(fresh, lost, waiting),
      lost: () => this.#tell('lost', 0),
      closed: (why) => this.#onClosed(why),
    });
  }

  get status(): RelayStatus {
    return this.#status;
  }

  get silenceMs(): number {
    return this.#port.silenceMs;
  }

  publish(topic: string, message: unknown): void {
    this.#refuseIfClosed();
    checkName('a topic', topic);
    if (!this.#post({ t: 'publish', topic, body: message }))
      throw IpcError.of('ERR_RELAY_FULL', `a message of ${topic}`, 'what was sent before has not been taken');
  }

  async subscribe(
    topic: string,
    listener: RelayListener,
    { onGap, ...options }: SubscribeOptions = {},
  ): Promise<RelayHold> {
    this.#refuseIfClosed();
    checkName('a topic', topic);
    const one = { listener, onGap };
    let known = this.#topics.get(topic);
    if (!known) {
      known = {
        listeners: new Set(),
        ready: this.#call({ t: 'subscribe', topic }, `subscribing ${topic}`, options),
      };
      this.#topics.set(topic, known);
    }
    const { listeners, ready } = known;
    listeners.add(one);
    const release = () => {
      if (!listeners.delete(one) || listeners.size > 0 || this.#topics.get(topic) !== known) return;
      this.#topics.delete(topic);
      this.#post({ t: 'unsubscribe', topic });
    };
    try {
      await ready;
    } catch (error) {
      release();
      throw error;
    }
    return holdOf(release);
  }

  request(service: string, body?: unknown, options: RelayRequestOptions = {}): Promise<unknown> {
    checkName('a service', service);
    const { to, ...wait } = options;
    return this.#ask(service, body, wait, to);
  }

  async serve(
    service: string,
    handler: RelayHandler,
    { group = '', ...options }: ServeOptions & WaitOptions = {},
  ): Promise<RelayHold> {
    this.#refuseIfClosed();
    checkName('a service', service);
    if (this.#services.has(service))
      throw IpcError.of('ERR_REFUSED', `serving ${service}`, 'this node serves it already');
    this.#services.set(service, { handler, group });
    const release = () => {
      if (this.#services.delete(service)) this.#post({ t: 'unserve', service });
    };
    try {
      await this.#call({ t: 'serve', service, group }, `serving ${service}`, options);
    } catch (error) {
      release();
      throw error;
    }
    return holdOf(release);
  }

  async lease(name: string, { ttlMs = leaseTtlMs, ...options }: LeaseOptions = {}): Promise<Lease> {
    checkName('a lease', name);
    const ask = async (of: number) => {
      const { token } = (await this.#ask(
        '$lease.take',
        { name, ttlMs, token: of, above: this.#tokenMax },
        {
          timeoutMs: requestTimeoutMs,
          ...(of === 0 && options),
        },
      )) as { token: number };
      this.#tokenMax = Math.max(this.#tokenMax, token);
      return token;
    };
    const askedAtMs = performance.now();
    const token = await ask(0);
    const lease: RelayLease = new RelayLease(name, token, ttlMs, askedAtMs, {
      renew: () => ask(token),
      release: async () => {
        this.#leases.delete(lease);
        if (this.#status !== 'closed') await this.#ask('$lease.give', { name, token });
      },
      ended: () => this.#leases.delete(lease),
    });
    this.#leases.add(lease);
    return lease;
  }

  async nodes(options?: WaitOptions): Promise<RelayNode[]> {
    return (await this.#ask('$nodes', null, options)) as RelayNode[];
  }

  kv(bucket: string): KeyValue {
    checkName('a bucket', bucket);
    const ask = (service: string, facts: object, options?: WaitOptions) =>
      this.#ask(`$kv.${service}`, { bucket, ...facts }, options);
    const write = async (
      kind: string,
      facts: object,
      { lease, ...options }: { lease?: unknown } & WaitOptions = {},
    ) => {
      const { name, token } = (lease ?? {}) as Partial<Lease>;
      return (await ask(
        'write',
        { kind, ...facts, ...(name !== undefined && { lease: { name, token } }) },
        options,
      )) as number;
    };
    return {
      get: async (key, options) =>
        ((await ask('get', { key }, options)) ?? undefined) as KeyValueEntry | undefined,
      put: (key, value, options) => write('put', { key, value }, options),
      create: (key, value, options) => write('create', { key, value }, options),
      update: (key, value, revision, options) => write('update', { key, value, revision }, options),
      delete: async (key, { revision, ...options } = {}) => {
        await write('delete', { key, ...(revision !== undefined && { revision }) }, options);
      },
      keys: async (options) => (await ask('keys', {}, options)) as string[],
      watch: (listener, options) =>
        this.subscribe(
          `$kv.${bucket}`,
          (change) => {
            const { key, entry } = change as { key: string; entry: KeyValueEntry | null };
            listener(key, entry ?? undefined);
          },
          options,
        ),
    };
  }

  connected(options?: WaitOptions): Promise<void> {
    if (this.#status === 'connected') return Promise.resolve();
    if (this.#status === 'closed')
      return Promise.reject(IpcError.of('ERR_RELAY_CLOSED', `relay of ${this.node}`));
    return waiting(`the link of ${this.node}`, options, (call) => {
      const stop = this.onStatus((status) => {
        if (status === 'lost') return;
        stop();
        if (status === 'connected') call.resolve();
        else call.reject(IpcError.of('ERR_RELAY_CLOSED', `relay of ${this.node}`));
      });
      return stop;
    });
  }

  onStatus(listener: RelayEvents['status']): () => void {
    this.#onStatus.add(listener);
    return () => void this.#onStatus.delete(listener);
  }

  async close(): Promise<void> {
    if (this.#status === 'closed') return;
    await Promise.all([...this.#leases].map((lease) => lease.release().catch(() => undefined)));
    await this.#port.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  // ---- what we ask

  #ask(service: string, body: unknown, options: WaitOptions = {}, to?: string): Promise<unknown> {
    const { timeoutMs = requestTimeoutMs } = options;
    const ms = Math.min(timeoutMs, 2 ** 31);
    const frame = { t: 'request', service, body, ms, ...(to !== undefined && { to }) };
    return this.#call(frame, `request ${service}`, { ...options, timeoutMs });
  }

  #call(frame: Frame, what: string, options: WaitOptions = {}): Promise<unknown> {
    if (this.#status === 'closed')
      return Promise.reject(IpcError.of('ERR_RELAY_CLOSED', `relay of ${this.node}`));
    if (this.#asked.size >= requestsMax)
      return Promise.reject(IpcError.of('ERR_RELAY_FULL', what, `${requestsMax} are under way`));
    const number = ++this.#number;
    const late = (): never => {
      if (this.#status === 'lost') throw IpcError.of('ERR_RELAY_UNAVAILABLE', what, 'there is no link');
      throw IpcError.of('ERR_TIMEOUT', what, options.timeoutMs ?? requestTimeoutMs);
    };
    const begin = (call: Call<unknown>) => {
      this.#asked.set(number, { ...call, what, posted: this.#posted + 1, again: againOf(frame) });
      let posted = false;
      try {
        posted = this.#post({ ...frame, n: number });
      } catch (error) {
        this.#asked.delete(number);
        call.reject(error);
        return () => {};
      }
      if (!posted) {
        this.#asked.delete(number);
        call.reject(IpcError.of('ERR_RELAY_FULL', what, 'what was sent before has not been taken'));
      }
      return () => {
        if (this.#asked.delete(number)) this.#post({ t: 'cancel', n: number });
      };
    };
    return waiting(what, { timeoutMs: requestTimeoutMs, ...options }, begin, late);
  }

  async #putBlob(name: string, bytes: Uint8Array, options?: WaitOptions): Promise<void> {
    const { id } = (await this.#ask('$blob.begin', { name, bytes: bytes.length }, options)) as { id: number };
    for (let at = 0; at < bytes.length; at += pieceBytes)
      await this.#ask('$blob.piece', { id, at, bytes: bytes.subarray(at, at + pieceBytes) }, options);
    await this.#ask('$blob.end', { id }, options);
  }

  async #getBlob(name: string, options?: WaitOptions): Promise<Uint8Array | undefined> {
    const found = (await this.#ask('$blob.look', { name }, options)) as {
      bytes: number;
      version: number;
    } | null;
    if (!found) return undefined;
    const bytes = new Uint8Array(found.bytes);
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = (await this.#ask(
        '$blob.read',
        { name, version: found.version, at, bytes: Math.min(pieceBytes, bytes.length - at) },
        options,
      )) as Uint8Array;
      bytes.set(piece, at);
    }
    return bytes;
  }

  // ---- what comes

  #onMessage(message: Frame): void {
    switch (message.t) {
      case 'message':
        return this.#onPublished(message);
      case 'request':
        return this.#onRequest(message);
      case 'answer':
      case 'failure':
        return this.#onAnswer(message);
      case 'cancel':
        return void this.#answering.get(wholeOf(message, 'n'))?.abort(new Error('its asker has given up'));
      case 'gap': {
        const count = wholeOf(message, 'count');
        for (const { listeners } of this.#topics.values()) for (const { onGap } of listeners) onGap?.(count);
        return;
      }
      default:
        throw new Error(`a message of unknown type ${message.t}`);
    }
  }

  #onPublished(message: Frame): void {
    const topic = this.#topics.get(textOf(message, 'topic', relayNameMax));
    const from = textOf(message, 'from', 64);
    // One that throws must not keep the message from the others.
    for (const { listener } of [...(topic?.listeners ?? [])]) guarded(() => listener(message.body, from));
  }

  #onRequest(message: Frame): void {
    const number = wholeOf(message, 'n');
    const service = textOf(message, 'service', relayNameMax);
    const found = this.#services.get(service);
    const fail = (error: unknown) => {
      const { code, message: why } =
        error instanceof IpcError ? error : { code: 'ERR_REQUEST_FAILED', message: messageOf(error) };
      this.#post({ t: 'failure', n: number, code, why });
    };
    if (!found)
      return fail(
        IpcError.of('ERR_RELAY_UNAVAILABLE', `request ${service}`, `${this.node} does not serve it`),
      );
    if (this.#answering.size >= requestsMax)
      return fail(IpcError.of('ERR_RELAY_FULL', `request ${service}`, `${requestsMax} are being answered`));
    const giveUp = new AbortController();
    this.#answering.set(number, giveUp);
    const request = {
      from: textOf(message, 'from', 64),
      role: textOf(message, 'role', 64) as RelayRole,
      signal: giveUp.signal,
    };
    new Promise((resolve) => resolve(found.handler(message.body, request)))
      .then((body) => {
        if (!this.#post({ t: 'answer', n: number, body: body ?? null }))
          throw IpcError.of(
            'ERR_RELAY_FULL',
            `the answer of ${service}`,
            'what was sent before has not been taken',
          );
      })
      .catch(fail)
      .finally(() => this.#answering.delete(number));
  }

  #onAnswer(message: Frame): void {
    const number = wholeOf(message, 'n');
    const asked = this.#asked.get(number);
    // Its asker has given up.
    if (!asked) return;
    this.#asked.delete(number);
    if (message.t === 'answer') return asked.resolve(message.body);
    const code = textOf(message, 'code', 64);
    const why = textOf(message, 'why', 65_536);
    asked.reject(
      code === 'ERR_REQUEST_FAILED'
        ? IpcError.of('ERR_REQUEST_FAILED', asked.what.replace(/^request /, ''), why)
        : IpcError.received({ code, message: why }),
    );
  }

  #onOpened(fresh: boolean, lost: number, waiting: number): void {
    if (fresh) {
      // Whoever was asked has forgotten it, or never heard of it; what waits in the line goes out all the same.
      const gone = [...this.#asked].filter(([, { posted }]) => posted <= this.#posted - waiting);
      for (const [number] of gone) this.#asked.delete(number);
      const said = new Map<string | undefined, Promise<unknown>>();
      for (const topic of this.#topics.keys()) {
        const frame = { t: 'subscribe', topic };
        said.set(againOf(frame), this.#again(frame));
      }
      for (const [service, { group }] of this.#services) {
        const frame = { t: 'serve', service, group };
        said.set(againOf(frame), this.#again(frame));
      }
      for (const [, { what, again, resolve, reject }] of gone) {
        const answer = again === undefined ? undefined : said.get(again);
        if (answer) answer.then(resolve, reject);
        else
          reject(
            IpcError.of(
              'ERR_RELAY_UNAVAILABLE',
              what,
              'the relay was started anew, or has forgotten this node, while it was under way',
            ),
          );
      }
      for (const giveUp of this.#answering.values()) giveUp.abort(new Error('the link is a new one'));
      this.#answering.clear();
    }
    this.#tell('connected', lost);
  }

  /** Said once more to a hub that has not heard it. */
  #again(frame: Frame): Promise<unknown> {
    const said = this.#call(frame, `${frame.t} again`, { timeoutMs: Number.POSITIVE_INFINITY });
    said.catch(() => undefined);
    return said;
  }

  #post(message: Frame): boolean {
    const posted = this.#port.post(message);
    if (posted) this.#posted++;
    return posted;
  }

  #onClosed(why: string): void {
    this.#tell('closed', 0);
    for (const { reject } of this.#asked.values())
      reject(IpcError.from(new Error(why), 'ERR_RELAY_CLOSED', `relay of ${this.node}`));
    this.#asked.clear();
    for (const giveUp of this.#answering.values()) giveUp.abort(new Error(why));
    for (const lease of this.#leases) lease.lose(why);
  }

  #tell(status: RelayStatus, lost: number): void {
    if (this.#status === status && lost === 0) return;
    this.#status = status;
    for (const listener of [...this.#onStatus]) guarded(() => listener(status, lost));
  }

  #refuseIfClosed(): void {
    if (this.#status === 'closed') throw IpcError.of('ERR_RELAY_CLOSED', `relay of ${this.node}`);
  }
}

/** What is true until it is taken back, and so is said to each new hub. */
function againOf(frame: Frame): string | undefined {
  if (frame.t === 'subscribe') return `subscribe ${frame.topic}`;
  return frame.t === 'serve' ? `serve ${frame.service}` : undefined;
}

export function checkName(what: string, name: string): void {
  if (typeof name !== 'string' || name.length === 0 || name.length > relayNameMax)
    throw IpcError.of('ERR_OPTIONS_INVALID', what, `it must be a text of 1 to ${relayNameMax} characters`);
}

function holdOf(release: () => void): RelayHold {
  return { release, [Symbol.dispose]: release };
}

/** A listener's mistake is its program's: told as an uncaught exception, after all others have been called. */
export function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
