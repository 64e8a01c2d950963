// NATS member: one node's use of a relay that an engine carries. There is no hub: nodes speak to each other through the engine, and
// its tables hold what all must see alike.
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
  clockAdvice,
  type NatsOptions,
  type NatsTableName,
  natsClockSkewMaxMs,
  natsDefaults,
} from '../spec/relay-nats.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { decodeFrame, encodeFrame, wholeOf } from './frame.ts';
import { newNodeId, senderOf } from './nats-address.ts';
import { NatsBlobs } from './nats-blobs.ts';
import { NatsConnection } from './nats-connection.ts';
import { NatsKeys } from './nats-keys.ts';
import { NatsLeases } from './nats-leases.ts';
import { NatsRegistry } from './nats-registry.ts';
import { NatsRequests } from './nats-requests.ts';
import { NatsSessions, type SessionsWant } from './nats-sessions.ts';
import { NatsTable } from './nats-table.ts';
import { tableWants } from './nats-table-config.ts';
import { NatsTopics } from './nats-topics.ts';
import { checkName, guarded } from './relay-member.ts';
import { waiting } from './waiting.ts';

/** Those that every node uses. */
type TableName = Exclude<NatsTableName, 'sessions'>;
const servicesMax = 1_024;

export interface PresentNode {
  readonly node: string;
  readonly role: RelayRole;
  /** Of this run of it. */
  readonly id: string;
  /** When its row was renewed last, as it came in here, by performance.now(); each 3 s if all is well. */
  readonly atMs: number;
}

export class NatsMember implements Relay {
  readonly mode: RelayMode = 'nats';
  readonly node: string;
  readonly role: RelayRole;
  /** Of this run of the node. */
  readonly id: string;
  readonly blobs: NatsBlobs;
  readonly #link: NatsConnection;
  readonly #bounds: { readonly cluster: string; readonly replicas: number; readonly timeoutMs: number };
  readonly #tables: Readonly<Record<TableName, NatsTable>>;
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
   * @param wallMs the time of day.
   * @throws {IpcError} ERR_RELAY_UNAVAILABLE, ERR_RELAY_REFUSED, ERR_RELAY_CONFIG.
   */
  static async open(options: NatsOptions, wallMs: () => number = Date.now): Promise<NatsMember> {
    const { cluster = natsDefaults.cluster, replicas = natsDefaults.replicas } = options;
    const link = await NatsConnection.open(options);
    let member: NatsMember | undefined;
    try {
      const timeoutMs = options.timeoutMs ?? natsDefaults.openTimeoutMs;
      const [nodes, leases, kv] = (await eachInTurn(tableWants(cluster, replicas), (want) =>
        NatsTable.open(link, want, { timeoutMs }),
      )) as [NatsTable, NatsTable, NatsTable];
      // What was refused on the way to these has been waited for.
      link.violations.length = 0;
      member = new NatsMember(options, link, { nodes, leases, kv }, { cluster, replicas, timeoutMs });
      await member.#join(options.servers.join(', '), wallMs);
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
    tables: Readonly<Record<TableName, NatsTable>>,
    bounds: { cluster: string; replicas: number; timeoutMs: number },
  ) {
    this.#bounds = bounds;
    const { node, role = 'front', expected = [] } = options;
    const id = newNodeId(role);
    const self = { node, role, id };
    const refuseIfClosed = () => this.#refuseIfClosed();
    this.node = node;
    this.role = role;
    this.id = id;
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
    link.subscribe(`n.${id}.*`, ({ data, subject }) => this.#take(data, subject.slice(skip)));
    link.subscribe(`a.${id}.>`, ({ data, subject, headers }) => {
      const [number, sender] = subject.slice(skip).split('.');
      swallow(() => this.#requests.takeAnswer(Number(number), sender, data, headers?.code ?? 0));
    });
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

  /** The nodes of that role that are there now and serve it, as far as this one knows. */
  serving(service: string, role: RelayRole): PresentNode[] {
    return this.#registry
      .present()
      .filter((each) => each.role === role && Object.hasOwn(each.services, service));
  }

  /** Whether a run of a node listens: false as soon as the engine has seen its socket end. */
  answers(id: string): Promise<boolean> {
    return this.#requests.answers(id);
  }

  /** How long ago a majority of the engine has last taken a word of ours, in ms. */
  get quorumSilenceMs(): number {
    return this.#registry.quorumSilenceMs;
  }

  /** The sessions that outlive all nodes. @throws {IpcError} ERR_RELAY_CONFIG, ERR_RELAY_REFUSED, ERR_RELAY_UNAVAILABLE. */
  sessions(
    want: Pick<SessionsWant, 'maxAgeMs' | 'maxBytes'>,
    wallMs: () => number = Date.now,
  ): Promise<NatsSessions> {
    this.#refuseIfClosed();
    const { timeoutMs, ...bounds } = this.#bounds;
    return NatsSessions.open(this.#link, { ...want, ...bounds }, wallMs, { timeoutMs });
  }

  /** The engine's server that orders the writes of a table now; undefined during an election, or of one that stands alone. */
  leaderOf(table: TableName): Promise<string | undefined> {
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

  async #join(where: string, wallMs: () => number): Promise<void> {
    // What may be said and heard is known once the server has answered.
    this.#link.send(`probe.${this.role}`, new Uint8Array());
    await this.#link.flush();
    await new Promise((resolve) => setImmediate(resolve));
    const [violation] = this.#link.violations;
    if (violation !== undefined) throw this.#link.denied(where, violation);
    await this.#leases.start();
    await this.#registry.join();
    const skewMs = await this.#registry.clockSkewMs(wallMs);
    if (Math.abs(skewMs) > natsClockSkewMaxMs)
      throw IpcError.of('ERR_RELAY_CONFIG', 'the clock of this machine', clockAdvice(skewMs));
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

  /** What comes to this node alone, from one of that role. */
  #take(data: Uint8Array, role: string): void {
    swallow(() => {
      const frame = decodeFrame(data);
      const id = senderOf(frame, role);
      if (frame.t === 'ping') {
        const number = wholeOf(frame, 'n');
        // What is thrown later has nobody else who takes it.
        void this.#registry.known(wholeOf(frame, 'revision')).then(() =>
          swallow(() => {
            if (!this.#closed) this.#link.send(`a.${id}.${number}.${this.role}`, encodeFrame({ t: 'pong' }));
          }),
        );
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

async function eachInTurn<T, R>(all: readonly T[], one: (each: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const each of all) results.push(await one(each));
  return results;
}

/** Whoever may publish here may publish nonsense; there is nobody to cut off. */
function swallow(call: () => void): void {
  try {
    call();
  } catch {
    // As said.
  }
}
