// NATS table: one bucket of the engine. Its configuration is read back and compared, since servers leave out silently what they
// don't know. Writes compare revisions; an answer that was lost is told from a conflict by the write's own id. Who wants to hear of
// changes follows it: nats-feed.ts.
import { randomUUID } from 'node:crypto';
import type { StreamConfig } from '@nats-io/jetstream';
import { IpcError, messageOf } from '../errors.ts';
import { natsBucket } from '../spec/relay-nats.ts';
import type { WaitOptions } from '../spec/waiting.ts';
import { packPlain } from './codec.ts';
import { type NatsConnection, NotThereYet, violationOf } from './nats-connection.ts';
import { NatsFeed, type NatsRow, operation, rowOf } from './nats-feed.ts';
import { differencesOf, otherBucket, type TableWant, tableConfig, tableStream } from './nats-table-config.ts';

/** The engine's own numbers for its errors. */
const codes = {
  streamMissing: 10059,
  wrongRevision: 10071,
  tooManyBytes: 10077,
  messageMissing: 10037,
} as const;
const messageId = 'Nats-Msg-Id';
/** Rows that are read at once. */
const wide = 32;

/** Thrown for a write that expected another revision. */
export class WrongRevision extends Error {}

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
    this.#stream = tableStream(want);
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

  /** When the present state of a row was written, by the clock of the engine. */
  async writtenAtMs(key: string, options: WaitOptions = {}): Promise<number | undefined> {
    const found = await this.#asked(`a look into ${this.#stream}`, options, () => this.#last(key));
    return found ? Date.parse(found.timestamp) : undefined;
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
    const { replicas } = this.#want;
    const wanted = tableConfig(this.#want);
    const what = `bucket ${this.#stream}`;
    try {
      const { config } = await this.#link.ask(
        what,
        () => this.#found(wanted as unknown as StreamConfig),
        options,
      );
      const lines = differencesOf(config as unknown as Record<string, unknown>, wanted);
      if (lines.length === 0) return;
      throw IpcError.of('ERR_RELAY_CONFIG', what, [...lines, otherBucket].join('\n  '));
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
    }
    try {
      return await this.#link.streams.add(wanted);
    } catch (error) {
      // A user of little rights waits for a relay to make it.
      if (!violationOf(error)) throw error;
      throw new NotThereYet(
        `${messageOf(error)}; the bucket is not there yet, and a node that may make it must come first: start one of role relay`,
      );
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
