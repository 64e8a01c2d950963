// NATS registry: which nodes are there and what they serve, as rows of a table that every node refreshes and mirrors. A row that is
// not refreshed ends by itself; a node that closes takes its row away.
import { IpcError } from '../errors.ts';
import type { RelayNode, RelayRole } from '../spec/relay.ts';
import { natsKey, nodeRefreshMs, nodeTtlMs } from '../spec/relay-nats.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { mapOf, textOf } from './frame.ts';
import { idOf, roleOfId } from './nats-address.ts';
import type { NatsFeed, NatsRow } from './nats-feed.ts';
import { type NatsTable, WrongRevision } from './nats-table.ts';

export interface NatsNode {
  readonly node: string;
  readonly role: RelayRole;
  readonly id: string;
  /** Service to group. */
  readonly services: Readonly<Record<string, string>>;
}

/** A change comes to a mirror within a millisecond, unless an election holds it up. */
const knownMs = 400;

interface Seen extends NatsNode {
  atMs: number;
}

export interface RegistryOptions {
  readonly table: NatsTable;
  readonly self: { readonly node: string; readonly role: RelayRole; readonly id: string };
  /** Whether that run of a node still answers; with a revision, once it knows the table up to there. */
  readonly answers: (id: string, revision?: number) => Promise<boolean>;
  readonly onCame: (id: string) => void;
  readonly onGone: (id: string, node: string) => void;
  /** Another run has taken the name. */
  readonly onReplaced: () => void;
}

export class NatsRegistry {
  readonly #options: RegistryOptions;
  readonly #nodes = new Map<string, Seen>();
  readonly #services = new Map<string, string>();
  readonly #key: string;
  #feed: NatsFeed | undefined;
  #revision = 0;
  #writing: Promise<void> = Promise.resolve();
  #refresh: NodeJS.Timeout | undefined;
  #closed = false;
  /** When the last row was asked for that was acknowledged. */
  #ackedAtMs = performance.now();

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#key = keyOf(options.self);
  }

  /** @throws {IpcError} ERR_RELAY_REFUSED if the name is taken. */
  async join(): Promise<void> {
    const { table, self, answers } = this.#options;
    const present = await table.read(this.#key);
    this.#revision = present?.revision ?? 0;
    this.#feed = await table.follow((row) => this.#onRow(row));
    const other = this.#nodes.get(self.node);
    if (other && (await answers(other.id)))
      throw IpcError.of(
        'ERR_RELAY_REFUSED',
        'the cluster',
        `a node ${self.node} is there already; give this one another name`,
      );
    await this.#introduce();
    this.#refresh = setInterval(() => {
      this.#sweep();
      void this.announce().catch(() => undefined);
    }, nodeRefreshMs);
    this.#refresh.unref();
  }

  /** How far the clock of this machine is ahead of the engine's; 0 for what the time of a write can't tell. */
  async clockSkewMs(wallMs: () => number): Promise<number> {
    const askedMs = wallMs();
    await this.announce();
    const answeredMs = wallMs();
    return skewOf(askedMs, await this.#options.table.writtenAtMs(this.#key), answeredMs);
  }

  get quorumSilenceMs(): number {
    return performance.now() - this.#ackedAtMs;
  }

  /** Those that are there, this one among them. */
  present(): readonly (NatsNode & { readonly atMs: number })[] {
    this.#sweep();
    return [...this.#nodes.values()];
  }

  nodes(expected: readonly { node: string; role: RelayRole }[]): RelayNode[] {
    const there = this.present().map(({ node, role }) => ({ node, role, connected: true }));
    const missing = expected
      .filter(({ node }) => !there.some((other) => other.node === node))
      .map(({ node, role }) => ({ node, role, connected: false }));
    return [...there, ...missing];
  }

  /** @throws {IpcError} ERR_REFUSED if others serve it in another way. */
  async serve(service: string, group: string): Promise<void> {
    const refuse = (ours: boolean) => {
      const other = this.#mixed(service, group, ours);
      if (other)
        throw IpcError.of(
          'ERR_REFUSED',
          'serve',
          `${other.node} serves it ${other.services[service] === '' ? 'in a group' : 'in another group, or in none'}`,
        );
    };
    await this.upToDate();
    refuse(false);
    this.#services.set(service, group);
    try {
      await this.#introduce();
      // Of two that began at once, each has seen the other by now.
      refuse(true);
    } catch (error) {
      this.#services.delete(service);
      void this.announce().catch(() => undefined);
      throw error;
    }
  }

  unserve(service: string): void {
    if (this.#services.delete(service)) void this.announce().catch(() => undefined);
  }

  /** Writes our row, and waits until all rows that were written before it are known. One write at a time. */
  announce(): Promise<void> {
    this.#writing = this.#writing.catch(() => undefined).then(() => this.#announce());
    return this.#writing;
  }

  /** The mirror knows all that the engine has now. @throws {IpcError} ERR_RELAY_UNAVAILABLE. */
  async upToDate(options?: WaitOptions): Promise<void> {
    await this.known(await this.#options.table.lastRevision(options));
  }

  /** Waits, but not for ever, until the mirror has come so far. */
  async known(revision: number): Promise<void> {
    const untilMs = performance.now() + knownMs;
    while ((this.#feed?.revision ?? 0) < revision && performance.now() < untilMs && !this.#closed)
      await new Promise((resolve) => setTimeout(resolve, 1));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#refresh);
    this.#feed?.stop();
    await this.#writing.catch(() => undefined);
    if (this.#revision === 0) return;
    const { node, id } = this.#options.self;
    // What it expects may be gone; then there is nothing to take away.
    await this.#options.table
      .write(this.#key, { node, id }, { deleted: true, expect: this.#revision, timeoutMs: 1_000 })
      .catch(() => undefined);
  }

  async #announce(): Promise<void> {
    if (this.#closed) return;
    const { table, self } = this.#options;
    const askedAtMs = performance.now();
    const row = { ...self, services: Object.fromEntries(this.#services) };
    try {
      this.#revision = await table.write(this.#key, row, { expect: this.#revision });
    } catch (error) {
      if (!(error instanceof WrongRevision)) throw error;
      const present = await table.read(this.#key);
      const other = present && !present.deleted ? nodeOf(present) : undefined;
      if (other && other.id !== self.id) {
        this.#options.onReplaced();
        throw IpcError.from(error, 'ERR_RELAY_CLOSED', `relay of ${self.node}`);
      }
      // Our row has ended while we were away.
      this.#revision = await table.write(this.#key, row, { expect: present?.revision ?? 0 });
    }
    this.#ackedAtMs = askedAtMs;
    await this.known(this.#revision);
  }

  /** Announces, and waits until those who are there know of it. One that is stuck learns it later. */
  async #introduce(): Promise<void> {
    await this.announce();
    const others = this.present().filter(({ id }) => id !== this.#options.self.id);
    await Promise.all(others.map(({ id }) => this.#options.answers(id, this.#revision)));
  }

  /** The order of names decides between two that begin at once. */
  #mixed(service: string, group: string, ours: boolean): NatsNode | undefined {
    return this.present().find(
      ({ node, services }) =>
        node !== this.#options.self.node &&
        Object.hasOwn(services, service) &&
        services[service] !== group &&
        (!ours || node < this.#options.self.node),
    );
  }

  #onRow(row: NatsRow): void {
    let node: NatsNode;
    try {
      node = nodeOf(row);
    } catch {
      return;
    }
    // Who has a name keeps it: a node of another role, with other rights, can't put itself in its place.
    const known = this.#nodes.get(node.node);
    if (known && known.role !== node.role) return;
    if (row.deleted) {
      if (known?.id === node.id) this.#remove(known);
      return;
    }
    if (known && known.id !== node.id) this.#remove(known);
    this.#nodes.set(node.node, { ...node, atMs: performance.now() });
    if (known?.id !== node.id && node.id !== this.#options.self.id) this.#options.onCame(node.id);
  }

  #sweep(): void {
    const nowMs = performance.now();
    for (const node of this.#nodes.values()) {
      if (nowMs - node.atMs > nodeTtlMs && node.id !== this.#options.self.id) this.#remove(node);
    }
  }

  #remove(node: NatsNode): void {
    this.#nodes.delete(node.node);
    this.#options.onGone(node.id, node.node);
  }
}

/** @param writtenAtMs a moment between the other two, by another clock. */
export function skewOf(askedMs: number, writtenAtMs: number | undefined, answeredMs: number): number {
  if (writtenAtMs === undefined) return 0;
  if (writtenAtMs < askedMs - 1) return askedMs - writtenAtMs;
  return writtenAtMs > answeredMs + 1 ? answeredMs - writtenAtMs : 0;
}

/** The role in front: the engine lets nobody write a row of another one. */
function keyOf({ role, node }: Pick<NatsNode, 'role' | 'node'>): string {
  return `${role}.${natsKey(node)}`;
}

function nodeOf({ key, body, deleted }: NatsRow): NatsNode {
  const frame = { t: 'node', ...body };
  const services = deleted ? {} : mapOf(frame, 'services');
  const id = idOf(frame);
  const node = { node: textOf(frame, 'node', 64), role: roleOfId(id), id };
  if (key !== keyOf(node)) throw new Error(`a row of ${key} speaks for ${node.node}`);
  return {
    ...node,
    services: Object.fromEntries(
      Object.entries(services).filter(([, group]) => typeof group === 'string'),
    ) as Record<string, string>,
  };
}
