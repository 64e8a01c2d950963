// NATS connection: one connection to the engine, and what every use of it needs: opening it with clear errors, whether it is there,
// asking again what an election or a lost socket has left without an answer. The client drops what is published while it has no
// socket; nothing here relies on it to keep anything.
import { setTimeout as pause } from 'node:timers/promises';
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection as Client, Msg, MsgHdrs } from '@nats-io/transport-node';
import { IpcError, messageOf } from '../errors.ts';
import { type RelayRole, requestTimeoutMs } from '../spec/relay.ts';
import { type NatsOptions, natsDefaults, natsRoot } from '../spec/relay-nats.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { encodeFrame, type Frame } from './frame.ts';
import { dialNats, jetStreamOff, tooOld } from './nats-dial.ts';

/** An answer of a healthy engine takes a millisecond; one that was sent to a dead server never comes. */
const attemptMs = 500;
const againMs = 50;

/** What somebody else has to make first; it is waited for. */
export class NotThereYet extends Error {}

export class NatsConnection {
  readonly client: Client;
  /** What we may say is said as that. */
  readonly role: RelayRole;
  readonly streams: JetStreamManager['streams'];
  readonly js: JetStreamClient;
  readonly root: string;
  /** What the engine has refused to let us say or hear, since the start. */
  readonly violations: string[] = [];
  readonly #headers: () => MsgHdrs;
  readonly #onStatus = new Set<(there: boolean) => void>();
  #there = true;
  #heardAtMs = performance.now();

  /** @throws {IpcError} ERR_RELAY_UNAVAILABLE, ERR_RELAY_REFUSED, ERR_RELAY_CONFIG. */
  static async open(options: NatsOptions): Promise<NatsConnection> {
    // Only who uses the engine loads its client.
    const core = await import('@nats-io/transport-node');
    const { jetstream, jetstreamManager } = await import('@nats-io/jetstream');
    const { cluster = natsDefaults.cluster, role = 'front' } = options;
    const where = options.servers.join(', ');
    const client = await dialNats(options);
    try {
      const { version = '0', jetstream: on } = client.info!;
      const old = tooOld(version);
      if (old !== undefined) throw IpcError.of('ERR_RELAY_REFUSED', where, old);
      const manager = await jetstreamManager(client, { checkAPI: false, timeout: attemptMs });
      const connection = new NatsConnection(
        client,
        manager,
        jetstream(client, { timeout: attemptMs }),
        natsRoot(cluster),
        role,
        core.headers,
      );
      await connection.#engineIsThere(manager, where, on === true, options.timeoutMs);
      return connection;
    } catch (error) {
      await client.close();
      throw error;
    }
  }

  private constructor(
    client: Client,
    manager: JetStreamManager,
    js: JetStreamClient,
    root: string,
    role: RelayRole,
    headers: () => MsgHdrs,
  ) {
    this.client = client;
    this.streams = manager.streams;
    this.js = js;
    this.root = root;
    this.role = role;
    this.#headers = headers;
    void this.#follow();
  }

  get there(): boolean {
    return this.#there;
  }

  get silenceMs(): number {
    return performance.now() - this.#heardAtMs;
  }

  headers(): MsgHdrs {
    return this.#headers();
  }

  onStatus(listener: (there: boolean) => void): void {
    this.#onStatus.add(listener);
  }

  /** @returns how to stop. */
  subscribe(subject: string, listener: (message: Msg) => void): () => void {
    const subscription = this.client.subscribe(`${this.root}.${subject}`, {
      callback: (error, message) => {
        if (error) return void this.violations.push(messageOf(error));
        this.#heardAtMs = performance.now();
        listener(message);
      },
    });
    return () => subscription.unsubscribe();
  }

  /** Sends once, if there is a socket. */
  send(subject: string, bytes: Uint8Array, reply?: string): void {
    if (this.client.isClosed()) return;
    this.client.publish(`${this.root}.${subject}`, bytes, {
      ...(reply !== undefined && { reply: `${this.root}.${reply}` }),
    });
  }

  /** To one run of a node, by its id. */
  say(id: string, frame: Frame, reply?: string): void {
    if (this.#there) this.send(`n.${id}.${this.role}`, encodeFrame(frame), reply);
  }

  /** To all nodes that are there. */
  sayAll(frame: Frame): void {
    if (this.#there) this.send(`all.${this.role}`, encodeFrame(frame));
  }

  /** Resolves once the server has taken all that was sent before. */
  async flush(): Promise<void> {
    await this.client.flush();
    this.#heardAtMs = performance.now();
  }

  /**
   * Asks the engine, and asks again what gets no answer: an election, a server that has died.
   * @throws {IpcError} ERR_RELAY_UNAVAILABLE when the time is over; what the engine itself answers is thrown as it is.
   */
  async ask<T>(what: string, attempt: (tries: number) => Promise<T>, options: WaitOptions = {}): Promise<T> {
    const { timeoutMs = requestTimeoutMs, signal } = options;
    const untilMs = performance.now() + timeoutMs;
    for (let tries = 1; ; tries++) {
      signal?.throwIfAborted();
      if (this.client.isClosed()) throw IpcError.of('ERR_RELAY_CLOSED', what);
      try {
        const answer = await attempt(tries);
        this.#heardAtMs = performance.now();
        return answer;
      } catch (error) {
        const yet = error instanceof NotThereYet;
        if (!yet && !isNoAnswer(error)) throw error;
        if (performance.now() + againMs >= untilMs)
          throw IpcError.from(
            error,
            'ERR_RELAY_UNAVAILABLE',
            what,
            yet
              ? error.message
              : this.#there
                ? 'the engine has no leader now, or too few of its servers are there'
                : 'there is no link',
          );
        await pause(againMs, undefined, signal && { signal });
      }
    }
  }

  async close(): Promise<void> {
    await this.client.close();
  }

  async #engineIsThere(
    manager: JetStreamManager,
    where: string,
    on: boolean,
    timeoutMs: number = natsDefaults.openTimeoutMs,
  ): Promise<void> {
    try {
      // A server without JetStream says so; one with it has no answer while it elects a leader.
      await this.ask('the engine', () => manager.getAccountInfo(), {
        timeoutMs: on ? timeoutMs : 2 * attemptMs,
      });
    } catch (error) {
      const violation = violationOf(error);
      if (violation) throw this.denied(where, violation.message);
      if (on) throw error;
      throw IpcError.from(error, 'ERR_RELAY_REFUSED', where, jetStreamOff);
    }
  }

  denied(where: string, what: string): IpcError {
    return IpcError.of(
      'ERR_RELAY_REFUSED',
      where,
      `${what}; give the user the permissions that docs/relay.md lists`,
    );
  }

  async #follow(): Promise<void> {
    for await (const status of this.client.status()) {
      if (status.type === 'error') this.violations.push(messageOf(status.error));
      if (this.violations.length > 100) this.violations.shift();
      const there = status.type === 'reconnect' ? true : status.type === 'disconnect' ? false : this.#there;
      if (there === this.#there) continue;
      this.#there = there;
      for (const listener of [...this.#onStatus]) listener(there);
    }
  }
}

/** What a user may not do, if that is what an error is about. */
export function violationOf(error: unknown): Error | undefined {
  const found = [error, (error as Error | undefined)?.cause].find(
    (each) => nameOf(each) === 'PermissionViolationError',
  );
  return found as Error | undefined;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : '';
}

/** By name: what a request throws may wrap what it has met. */
function isNoAnswer(error: unknown): boolean {
  const silent = [
    'TimeoutError',
    'NoRespondersError',
    'JetStreamNotEnabled',
    'ConnectionError',
    'RequestError',
  ];
  if (violationOf(error)) return false;
  // 10008: the engine has no leader now.
  if (nameOf(error) === 'JetStreamApiError') return (error as unknown as { code: number }).code === 10008;
  return silent.includes(nameOf(error)) || /disconnect|timeout/i.test(messageOf(error));
}
