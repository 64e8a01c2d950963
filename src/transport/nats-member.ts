// NATS member: one node's use of a relay that an engine carries. There is no hub: nodes speak to each other through the engine, and
// its tables hold what all must see alike.
import { randomUUID } from 'node:crypto';
import { IpcError } from '../errors.ts';
import type {
  KeyValue,
  Lease,
  LeaseOptions,
  Relay,
  RelayEvents,
  RelayHandler,
  RelayHold,
  RelayListener,
  RelayMode,
  RelayNode,
  RelayRequestOptions,
  RelayRole,
  RelayStatus,
  ServeOptions,
  SubscribeOptions,
} from '../spec/relay.ts';
import {
  type NatsOptions,
  type NatsTableName,
  natsDefaults,
  natsLeaseTtlMs,
  nodeTtlMs,
} from '../spec/relay-nats.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { decodeFrame, wholeOf } from './frame.ts';
import { NatsBlobs } from './nats-blobs.ts';
import { NatsConnection } from './nats-connection.ts';
import { NatsKeys } from './nats-keys.ts';
import { NatsLeases } from './nats-leases.ts';
import { NatsRegistry } from './nats-registry.ts';
import { NatsRequests } from './nats-requests.ts';
import { NatsTable } from './nats-table.ts';
import { NatsTopics } from './nats-topics.ts';
import { checkName, guarded } from './relay-member.ts';
import { waiting } from './waiting.ts';

/** What the tables may take of the engine's disk. */
const tableBytes: Readonly<Record<NatsTableName, number>> = {
  nodes: 16 * 1024 * 1024,
  leases: 16 * 1024 * 1024,
  kv: 64 * 1024 * 1024,
};
const servicesMax = 1_024;

export class NatsMember implements Relay {
  readonly mode: RelayMode = 'nats';
  readonly node: string;
  readonly role: RelayRole;
  readonly blobs: NatsBlobs;
  readonly #link: NatsConnection;
  readonly #tables: Readonly<Record<NatsTableName, NatsTable>>;
  readonly #topics: NatsTopics;
  readonly #requests: NatsRequests;
  readonly #registry: NatsRegistry;
  readonly #leases: NatsLeases;
  readonly #keys: NatsKeys;
  readonly #expected: NonNullable<NatsOptions['expected']>;
  readonly #onStatus = new Set<RelayEvents['status']>();
  #closed: Promise<void> | undefined;

  /**
   * Joins the cluster. Whatever the engine lacks is told here, once.
   * @throws {IpcError} ERR_RELAY_UNAVAILABLE, ERR_RELAY_REFUSED, ERR_RELAY_CONFIG.
   */
  static async open(options: NatsOptions): Promise<NatsMember> {
    const { cluster = natsDefaults.cluster, replicas = natsDefaults.replicas } = options;
    const link = await NatsConnection.open(options);
    let member: NatsMember | undefined;
    try {
      const timeoutMs = options.timeoutMs ?? natsDefaults.openTimeoutMs;
      const table = (name: NatsTableName, maxAgeMs: number) =>
        NatsTable.open(
          link,
          { cluster, table: name, replicas, maxAgeMs, maxBytes: tableBytes[name] },
          { timeoutMs },
        );
      const nodes = await table('nodes', nodeTtlMs);
      const leases = await table('leases', natsLeaseTtlMs.max);
      const kv = await table('kv', 0);
      member = new NatsMember(options, link, { nodes, leases, kv }, { cluster, replicas });
      await member.#join(options.servers.join(', '));
      return member;
    } catch (error) {
      await member?.close();
      await link.close();
      throw error;
    }
  }

  private constructor(
    options: NatsOptions,
    link: NatsConnection,
    tables: Readonly<Record<NatsTableName, NatsTable>>,
    bounds: { cluster: string; replicas: number },
  ) {
    const { node, role = 'front', expected = [] } = options;
    const id = randomUUID();
    const self = { node, role, id };
    const refuseIfClosed = () => this.#refuseIfClosed();
    this.node = node;
    this.role = role;
    this.#expected = expected;
    this.#link = link;
    this.#tables = tables;
    this.#requests = new NatsRequests({ link, self, present: () => this.#registry.present() });
    this.#registry = new NatsRegistry({
      table: tables.nodes,
      self,
      answers: (other, revision) => this.#requests.answers(other, revision),
      onCame: (other) => this.#topics.came(other),
      onGone: (other, name) => {
        this.#topics.gone(other);
        this.#requests.gone(other, name);
      },
      onReplaced: () => void this.close(),
    });
    this.#topics = new NatsTopics({
      link,
      node,
      id,
      guarded,
      others: () => this.#registry.present().flatMap((each) => (each.id === id ? [] : [each.id])),
    });
    this.#leases = new NatsLeases(tables.leases, { node, id });
    this.#keys = new NatsKeys(tables.kv, this.#leases, guarded);
    this.blobs = new NatsBlobs(link, bounds, refuseIfClosed);
    const skip = `${link.root}.n.${id}.`.length;
    link.subscribe(`n.${id}`, ({ data, reply }) => this.#take(data, reply));
    link.subscribe(`n.${id}.*`, ({ data, subject, headers }) =>
      swallow(() => this.#requests.takeAnswer(Number(subject.slice(skip)), data, headers?.code ?? 0)),
    );
    link.onStatus((there) => {
      if (there) void this.#registry.announce().catch(() => undefined);
      this.#tell(there ? 'connected' : 'lost');
    });
  }

  get status(): RelayStatus {
    if (this.#closed) return 'closed';
    return this.#link.there ? 'connected' : 'lost';
  }

  get silenceMs(): number {
    return this.#link.silenceMs;
  }

  publish(topic: string, message: unknown): void {
    this.#refuseIfClosed();
    checkName('a topic', topic);
    this.#topics.publish(topic, message);
  }

  async subscribe(
    topic: string,
    listener: RelayListener,
    options: SubscribeOptions = {},
  ): Promise<RelayHold> {
    this.#refuseIfClosed();
    checkName('a topic', topic);
    return this.#topics.subscribe(topic, listener, options);
  }

  async request(
    service: string,
    body?: unknown,
    { to, ...wait }: RelayRequestOptions = {},
  ): Promise<unknown> {
    this.#refuseIfClosed();
    checkName('a service', service);
    return this.#requests.request(service, body, wait, to);
  }

  async serve(
    service: string,
    handler: RelayHandler,
    { group = '' }: ServeOptions & WaitOptions = {},
  ): Promise<RelayHold> {
    this.#refuseIfClosed();
    checkName('a service', service);
    if (this.#requests.serves(service))
      throw IpcError.of('ERR_REFUSED', `serving ${service}`, 'this node serves it already');
    if (this.#requests.services >= servicesMax)
      throw IpcError.of('ERR_REFUSED', `serving ${service}`, `${this.node} serves ${servicesMax} already`);
    this.#requests.serve(service, handler);
    let held = true;
    const release = () => {
      if (!held) return;
      held = false;
      this.#requests.unserve(service);
      this.#registry.unserve(service);
    };
    try {
      await this.#registry.serve(service, group);
    } catch (error) {
      release();
      throw error;
    }
    return { release, [Symbol.dispose]: release };
  }

  async lease(name: string, options: LeaseOptions = {}): Promise<Lease> {
    this.#refuseIfClosed();
    checkName('a lease', name);
    return this.#leases.take(name, options);
  }

  async nodes(options?: WaitOptions): Promise<RelayNode[]> {
    this.#refuseIfClosed();
    await this.#registry.upToDate(options);
    return this.#registry.nodes(this.#expected);
  }

  kv(bucket: string): KeyValue {
    checkName('a bucket', bucket);
    return this.#keys.bucket(bucket, () => this.#refuseIfClosed());
  }

  connected(options?: WaitOptions): Promise<void> {
    if (this.status === 'connected') return Promise.resolve();
    if (this.status === 'closed')
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

  /** The engine's server that orders the writes of a table now; undefined during an election, or of one that stands alone. */
  leaderOf(table: NatsTableName): Promise<string | undefined> {
    return this.#tables[table].leader();
  }

  close(): Promise<void> {
    if (this.#closed) return this.#closed;
    this.#closed = this.#close();
    return this.#closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #join(where: string): Promise<void> {
    // What may be said and heard is known once the server has answered.
    this.#link.send('probe', new Uint8Array());
    await this.#link.flush();
    await new Promise((resolve) => setImmediate(resolve));
    const [violation] = this.#link.violations;
    if (violation !== undefined) throw this.#link.denied(where, violation);
    await this.#leases.start();
    await this.#registry.join();
  }

  async #close(): Promise<void> {
    this.#requests.close(this.node);
    await Promise.all([
      this.#topics.close(),
      this.#leases.close('the relay is closed'),
      this.#keys.close(),
      this.#registry.close(),
    ]);
    await this.#link.close();
    this.#tell('closed');
  }

  #take(data: Uint8Array, reply: string | undefined): void {
    swallow(() => {
      const frame = decodeFrame(data);
      if (frame.t === 'ping') {
        if (reply === undefined) return;
        void this.#registry.known(wholeOf(frame, 'revision')).then(() => {
          if (!this.#closed) this.#link.client.publish(reply, data);
        });
        return;
      }
      if (!this.#closed && !this.#topics.take(frame)) this.#requests.take(frame);
    });
  }

  #tell(status: RelayStatus): void {
    for (const listener of [...this.#onStatus]) guarded(() => listener(status, 0));
  }

  #refuseIfClosed(): void {
    if (this.#closed) throw IpcError.of('ERR_RELAY_CLOSED', `relay of ${this.node}`);
  }
}

/** Whoever may publish here may publish nonsense; there is nobody to cut off. */
function swallow(call: () => void): void {
  try {
    call();
  } catch {
    // As said.
  }
}
