// NATS feed: follows a table by the subject on which the engine publishes its changes again. The subject can lose some: sequence numbers
// tell what is missing, and that is read from the table.
import type { WaitOptions } from '../spec/waiting.ts';
import { unpackPlain } from './codec.ts';
import type { NatsConnection } from './nats-connection.ts';

export const operation = 'KV-Operation';
/** How often the end of a feed is compared, for a last change that never came. */
const compareMs = 5_000;
const heldMax = 10_000;

/** What a bucket gives for one key. A deleted one keeps its last body as long as the engine keeps the mark. */
export interface NatsRow {
  readonly key: string;
  readonly revision: number;
  readonly deleted: boolean;
  readonly body: Record<string, unknown>;
}

/** What a feed reads of its table. */
interface Followed {
  rows(prefix: string, options?: WaitOptions): Promise<NatsRow[]>;
  lastRevision(options?: WaitOptions): Promise<number>;
}

export class NatsFeed {
  readonly #link: NatsConnection;
  readonly #table: Followed;
  readonly #subject: string;
  readonly #onChange: (row: NatsRow) => void;
  #stop: () => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #last = 0;
  /** What comes while the table is read. */
  #held: NatsRow[] | undefined;
  #ended = false;

  constructor(link: NatsConnection, table: Followed, name: string, onChange: (row: NatsRow) => void) {
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

/** A row as it came, if it is one. */
export function rowOf(key: string, revision: number, kind: string, data: Uint8Array): NatsRow | undefined {
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
