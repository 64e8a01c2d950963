// NATS table: one bucket of the engine. Its configuration is read back and compared, since servers leave out silently what they
// don't know. Writes compare revisions; an answer that was lost is told from a conflict by the write's own id. Who wants to hear of
// changes follows the bucket's republished subject: sequence numbers tell what is missing, and that is read again.
import { randomUUID } from 'node:crypto';
import type { StreamConfig } from '@nats-io/jetstream';
import { IpcError, messageOf } from '../errors.ts';
import { type NatsTableName, natsBucket } from '../spec/relay-nats.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { packPlain, unpackPlain } from './codec.ts';
import { type NatsConnection, violationOf } from './nats-connection.ts';

/** What a bucket gives for one key. A deleted one keeps its last body as long as the engine keeps the mark. */
export interface NatsRow {
  readonly key: string;
  readonly revision: number;
  readonly deleted: boolean;
  readonly body: Record<string, unknown>;
}

/** The engine's own numbers for its errors. */
const codes = {
  streamMissing: 10059,
  wrongRevision: 10071,
  tooManyBytes: 10077,
  messageMissing: 10037,
} as const;
const nano = 1_000_000;
const operation = 'KV-Operation';
const messageId = 'Nats-Msg-Id';
/** Rows that are read at once. */
const wide = 32;
/** How often the end of a feed is compared, for a last change that never came. */
const compareMs = 5_000;
const heldMax = 10_000;

/** Thrown for a write that expected another revision. */
export class WrongRevision extends Error {}

export interface TableWant {
  readonly cluster: string;
  readonly table: NatsTableName;
  readonly replicas: number;
  /** 0: for ever. */
  readonly maxAgeMs: number;
  readonly maxBytes: number;
}

export class NatsTable {
  readonly #link: NatsConnection;
  readonly #want: TableWant;
  readonly #stream: string;
  readonly #prefix: string;

  /** Creates it, or compares the one that is there. @throws {IpcError} ERR_RELAY_CONFIG, ERR_RELAY_REFUSED, ERR_RELAY_UNAVAILABLE. */
  static async open(link: NatsConnection, want: TableWant, options: WaitOptions): Promise<NatsTable> {
    const table = new NatsTable(link, want);
    await table.#ensure(options);
    return table;
  }

  private constructor(link: NatsConnection, want: TableWant) {
    this.#link = link;
    this.#want = want;
    const bucket = natsBucket(want.cluster, want.table);
    this.#stream = `KV_${bucket}`;
    this.#prefix = `$KV.${bucket}.`;
  }

  /**
   * Writes a row; `expect` is its present revision, 0 for none.
   * @returns the new revision.
   * @throws WrongRevision; {IpcError} ERR_RELAY_UNAVAILABLE, ERR_RELAY_FULL, ERR_RELAY_REFUSED.
   */
  async write(
    key: string,
    body: Record<string, unknown>,
    { expect, deleted = false, ...options }: { expect?: number; deleted?: boolean } & WaitOptions = {},
  ): Promise<number> {
    const bytes = packPlain(body).slice();
    const id = randomUUID();
    const headers = this.#link.headers();
    headers.set(messageId, id);
    if (deleted) headers.set(operation, 'DEL');
    if (expect !== undefined) headers.set('Nats-Expected-Last-Subject-Sequence', String(expect));
    const what = `a write to ${this.#stream}`;
    return this.#asked(what, options, async (tries) => {
      try {
        const { seq } = await this.#link.js.publish(`${this.#prefix}${key}`, bytes, { headers });
        return seq;
      } catch (error) {
        if (codeOf(error) === codes.tooManyBytes)
          throw IpcError.from(error, 'ERR_RELAY_FULL', what, messageOf(error));
        if (codeOf(error) !== codes.wrongRevision) throw error;
        // An earlier try may have been taken, and only its answer lost.
        const last = tries > 1 ? await this.#last(key) : null;
        if (last?.header?.get(messageId) === id) return last.seq;
        throw new WrongRevision(messageOf(error));
      }
    });
  }

  /** As the leader has it. @throws {IpcError} ERR_RELAY_UNAVAILABLE. */
  async read(key: string, options: WaitOptions = {}): Promise<NatsRow | undefined> {
    const found = await this.#asked(`a look into ${this.#stream}`, options, () => this.#last(key));
    if (!found) return undefined;
    return rowOf(key, found.seq, found.header?.get(operation) ?? '', found.data);
  }

  /** All rows below a prefix, which is a whole part of the keys or ''. Deleted ones, too. */
  async rows(prefix: string, options: WaitOptions = {}): Promise<NatsRow[]> {
    const filter = `${this.#prefix}${prefix === '' ? '' : `${prefix}.`}>`;
    const { state } = await this.#info(filter, options);
    const keys = Object.keys(state.subjects ?? {}).map((subject) => subject.slice(this.#prefix.length));
    const rows: NatsRow[] = [];
    for (let at = 0; at < keys.length; at += wide) {
      const some = await Promise.all(keys.slice(at, at + wide).map((key) => this.read(key, options)));
      for (const row of some) if (row) rows.push(row);
    }
    return rows.sort((a, b) => a.revision - b.revision);
  }

  async lastRevision(options: WaitOptions = {}): Promise<number> {
    return (await this.#info(undefined, options)).state.last_seq;
  }

  async leader(options: WaitOptions = {}): Promise<string | undefined> {
    return (await this.#info(undefined, options)).cluster?.leader;
  }

  /**
   * Follows all changes, in the order of their revisions. `from` undefined: all that is there first.
   * @param onChange also called for what was missed and is read later: only the last state of each row then.
   */
  async follow(onChange: (row: NatsRow) => void, from?: 'now'): Promise<NatsFeed> {
    const feed = new NatsFeed(this.#link, this, this.#want.table, onChange);
    await feed.start(from === 'now');
    return feed;
  }

  #info(filter: string | undefined, options: WaitOptions) {
    return this.#asked(`a look at ${this.#stream}`, options, () =>
      this.#link.streams.info(this.#stream, filter === undefined ? undefined : { subjects_filter: filter }),
    );
  }

  async #last(key: string) {
    try {
      return await this.#link.streams.getMessage(this.#stream, { last_by_subj: `${this.#prefix}${key}` });
    } catch (error) {
      if (codeOf(error) === codes.messageMissing) return null;
      throw error;
    }
  }

  async #asked<T>(what: string, options: WaitOptions, attempt: (tries: number) => Promise<T>): Promise<T> {
    try {
      return await this.#link.ask(
        what,
        async (tries) => {
          try {
            return await attempt(tries);
          } catch (error) {
            // Somebody has removed it, or its only server has lost its disk.
            if (codeOf(error) !== codes.streamMissing) throw error;
            await this.#ensure({});
            return attempt(tries);
          }
        },
        options,
      );
    } catch (error) {
      throw this.#denied(error);
    }
  }

  #denied(error: unknown): unknown {
    const violation = violationOf(error);
    return violation ? this.#link.denied(`bucket ${this.#stream}`, violation.message) : error;
  }

  async #ensure(options: WaitOptions): Promise<void> {
    const { replicas, maxAgeMs, maxBytes, table } = this.#want;
    const wanted = {
      name: this.#stream,
      subjects: [`${this.#prefix}>`],
      retention: 'limits',
      storage: 'file',
      num_replicas: replicas,
      max_age: maxAgeMs * nano,
      max_bytes: maxBytes,
      max_msgs_per_subject: 1,
      discard: 'new',
      deny_delete: true,
      allow_rollup_hdrs: true,
      republish: { src: `${this.#prefix}>`, dest: `${this.#link.root}.table.${table}.>` },
    } as const;
    const what = `bucket ${this.#stream}`;
    try {
      const { config } = await this.#link.ask(
        what,
        () => this.#found(wanted as unknown as StreamConfig),
        options,
      );
      const different = Object.entries(wanted).filter(
        ([field, value]) => !equal(config[field as 'name'], value),
      );
      if (different.length === 0) return;
      const lines = different.map(
        ([field, value]) =>
          `${field} is ${JSON.stringify(config[field as 'name'])}, and ${JSON.stringify(value)} is needed`,
      );
      throw IpcError.of(
        'ERR_RELAY_CONFIG',
        what,
        [...lines, 'give all nodes the same "replicas", or remove the bucket so that it is made anew'].join(
          '\n  ',
        ),
      );
    } catch (error) {
      if (error instanceof IpcError) throw error;
      const denied = this.#denied(error);
      if (denied !== error) throw denied;
      const why = messageOf(error);
      const remedy = /replicas|peers|resources/i.test(why)
        ? `; ${replicas} replicas need as many servers with JetStream: add some, or lower "replicas"`
        : '';
      throw IpcError.from(error, 'ERR_RELAY_CONFIG', what, `${why}${remedy}`);
    }
  }

  async #found(wanted: StreamConfig) {
    try {
      return await this.#link.streams.info(this.#stream);
    } catch (error) {
      if (codeOf(error) !== codes.streamMissing) throw error;
      return this.#link.streams.add(wanted);
    }
  }
}

export class NatsFeed {
  readonly #link: NatsConnection;
  readonly #table: NatsTable;
  readonly #subject: string;
  readonly #onChange: (row: NatsRow) => void;
  #stop: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #last = 0;
  /** What comes while the table is read. */
  #held: NatsRow[] | undefined;
  #ended = false;

  constructor(link: NatsConnection, table: NatsTable, name: string, onChange: (row: NatsRow) => void) {
    this.#link = link;
    this.#table = table;
    this.#subject = `table.${name}`;
    this.#onChange = onChange;
  }

  /** Up to here every change has been handed on. */
  get revision(): number {
    return this.#last;
  }

  async start(fromNow: boolean): Promise<void> {
    const skip = this.#link.root.length + this.#subject.length + 2;
    this.#stop = this.#link.subscribe(`${this.#subject}.>`, (message) => {
      const revision = Number(message.headers?.get('Nats-Sequence'));
      const row = rowOf(
        message.subject.slice(skip),
        revision,
        message.headers?.get(operation) ?? '',
        message.data,
      );
      if (row) this.#take(row);
    });
    await this.#link.flush();
    if (fromNow) this.#last = await this.#table.lastRevision();
    else await this.#catchUp();
    this.#link.onStatus((there) => {
      if (there) void this.#catchUp();
    });
    this.#timer = setInterval(() => void this.#compare(), compareMs);
    this.#timer.unref();
  }

  stop(): void {
    this.#ended = true;
    clearInterval(this.#timer);
    if (!this.#link.client.isClosed()) this.#stop();
  }

  #take(row: NatsRow): void {
    if (this.#held) {
      if (this.#held.length < heldMax) this.#held.push(row);
      return;
    }
    if (row.revision <= this.#last) return;
    if (row.revision > this.#last + 1) return void this.#catchUp();
    this.#last = row.revision;
    this.#onChange(row);
  }

  async #compare(): Promise<void> {
    try {
      const last = await this.#table.lastRevision();
      // A table that was made anew counts from the start.
      if (last < this.#last) this.#last = 0;
      if (last > this.#last) await this.#catchUp();
    } catch {
      // Without an answer there is nothing to compare; the next time comes.
    }
  }

  async #catchUp(): Promise<void> {
    if (this.#held || this.#ended) return;
    this.#held = [];
    const newest = new Map<string, number>();
    let last = this.#last;
    try {
      last = await this.#table.lastRevision();
      const rows = await this.#table.rows('');
      for (const row of rows) {
        if (row.revision <= this.#last || this.#ended) continue;
        newest.set(row.key, row.revision);
        this.#onChange(row);
      }
    } catch {
      // The comparison or the next change tries again.
      last = this.#last;
    }
    const held = this.#held;
    this.#held = undefined;
    this.#last = last;
    for (const row of held) {
      const known = newest.get(row.key) ?? 0;
      if (row.revision === this.#last + 1 && row.revision <= known) this.#last = row.revision;
      else if (row.revision > known || row.revision > this.#last) this.#take(row);
    }
  }
}

function codeOf(error: unknown): number | undefined {
  for (const each of [error, (error as Error | undefined)?.cause]) {
    const code = (each as { code?: unknown } | undefined)?.code;
    if (typeof code === 'number') return code;
  }
  return undefined;
}

function rowOf(key: string, revision: number, kind: string, data: Uint8Array): NatsRow | undefined {
  const deleted = kind === 'DEL' || kind === 'PURGE';
  let body: unknown = {};
  try {
    if (data.length > 0) body = unpackPlain(data);
  } catch {
    return undefined;
  }
  if (!Number.isSafeInteger(revision) || typeof body !== 'object' || body === null) return undefined;
  return { key, revision, deleted, body: body as Record<string, unknown> };
}

function equal(found: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null) return found === wanted;
  if (typeof found !== 'object' || found === null) return false;
  return Object.entries(wanted).every(([field, value]) =>
    equal((found as Record<string, unknown>)[field], value),
  );
}
