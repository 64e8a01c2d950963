// Host feed: what happens in the processes of one host, for the inspector of another. It is asked for again and again, so who reads
// slowly, or is cut off, costs no more than a bounded queue for a moment; nobody asks, and nothing is made.
import { z } from 'zod';
import { IpcError } from '../errors.ts';
import { edgeModes } from '../spec/child.ts';
import type { RelayRequest } from '../spec/relay.ts';
import { type Frame, textOf } from '../transport/frame.ts';
import type { Dependence } from './dependences.ts';
import type { FeedRecord } from './feed.ts';
import { checkedStatus } from './host-status.ts';
import type { Hosts } from './hosts.ts';
import { checkedRecord } from './record-check.ts';
import { RecordQueue } from './record-queue.ts';
import type { TreeStatus } from './status.ts';

/** A record, and the life of the unit that it is from; null: the root of that host. */
export type FarRecord = readonly [unit: string | null, epoch: number, record: FeedRecord];

export interface FeedPart {
  readonly status: TreeStatus;
  readonly edges: readonly Dependence[];
  readonly records: readonly FarRecord[];
  /** So many were left out since the last part. */
  readonly dropped: number;
}

interface WatchedTree {
  watch(watcher: (unit: string | null, epoch: number, record: FeedRecord) => void): () => void;
  status(): TreeStatus;
  dependences(): Dependence[];
}

interface Item {
  readonly k: string;
  readonly record: FarRecord;
}

interface Spectator {
  readonly id: string;
  readonly queue: RecordQueue<Item>;
  readonly unwatch: () => void;
  timer: NodeJS.Timeout;
}

/** A message of the relay takes 1 MiB. */
const partLength = 384 * 1024;
/** Who has not asked for so long looks on no more. */
const leftAfterMs = 5_000;
const askMs = 250;
const askTimeoutMs = 2_000;
const spectatorsMax = 16;

/** Answers those who look on from other hosts, one watch for each host. */
export class FeedService {
  readonly #tree: WatchedTree;
  readonly #spectators = new Map<string, Spectator>();

  constructor(tree: WatchedTree) {
    this.#tree = tree;
  }

  /** What has happened since that host asked last; first all that there is. @throws {IpcError} ERR_REFUSED. */
  answer(frame: Frame, { from }: Pick<RelayRequest, 'from'>): FeedPart {
    const id = textOf(frame, 'id', 64);
    let spectator = this.#spectators.get(from);
    if (spectator?.id !== id) {
      if (spectator) this.#forget(from, spectator);
      spectator = this.#admit(from, id);
    }
    clearTimeout(spectator.timer);
    if (spectator.queue.overrun) {
      this.#forget(from, spectator);
      throw IpcError.of('ERR_REFUSED', 'feed', 'more has happened than was asked for; begin anew');
    }
    spectator.timer = this.#timer(from, spectator);
    const records: FarRecord[] = [];
    const { queue } = spectator;
    for (let left = partLength; left > 0 && queue.length > 0; ) {
      const [item] = queue.take(1) as [Item];
      const length = JSON.stringify(item.record).length;
      // A chart of that size is not worth the whole link.
      if (length > partLength) queue.countDropped(1);
      else if (length > left && records.length > 0) {
        queue.putBack([item]);
        break;
      } else records.push(item.record);
      left -= length;
    }
    return {
      status: this.#tree.status(),
      edges: this.#tree.dependences(),
      records,
      dropped: queue.takeDropped(),
    };
  }

  /** Hosts that look on now. */
  get spectators(): number {
    return this.#spectators.size;
  }

  close(): void {
    for (const [from, spectator] of this.#spectators) this.#forget(from, spectator);
  }

  #admit(from: string, id: string): Spectator {
    if (this.#spectators.size >= spectatorsMax)
      throw IpcError.of('ERR_REFUSED', 'feed', `${spectatorsMax} hosts look on already`);
    const queue = new RecordQueue<Item>();
    const unwatch = this.#tree.watch((unit, epoch, record) => {
      queue.push({ k: record.k, record: [unit, epoch, record] });
    });
    // What is there already is no backlog.
    queue.allow(queue.length);
    const spectator: Spectator = { id, queue, unwatch, timer: setTimeout(() => {}, 0) };
    this.#spectators.set(from, spectator);
    return spectator;
  }

  #timer(from: string, spectator: Spectator): NodeJS.Timeout {
    return setTimeout(() => this.#forget(from, spectator), leftAfterMs).unref();
  }

  #forget(from: string, spectator: Spectator): void {
    clearTimeout(spectator.timer);
    spectator.unwatch();
    if (this.#spectators.get(from) === spectator) this.#spectators.delete(from);
  }
}

/** Who looks on at other hosts. */
export interface FarListener {
  /** All that was told of that host holds no more; what there is follows. */
  began(host: string): void;
  part(host: string, part: FeedPart): void;
}

/** Follows what happens on all other hosts that are heard. @returns how to stop. */
export function followHosts(hosts: Hosts, listener: FarListener): () => void {
  const over = new AbortController();
  const ids = new Map<string, string>();
  const asking = new Set<string>();
  let number = 0;
  const ask = async (host: string) => {
    let id = ids.get(host);
    if (id === undefined) {
      id = `${process.pid}.${Date.now()}.${++number}`;
      ids.set(host, id);
      listener.began(host);
    }
    try {
      const options = { timeoutMs: askTimeoutMs, signal: over.signal };
      const part = checkedPart(await hosts.ask(host, 'feed', { id }, options));
      if (part && !over.signal.aborted) listener.part(host, part);
    } catch {
      // What was on its way is lost: the next one begins with all that there is.
      ids.delete(host);
    }
  };
  const timer = setInterval(() => {
    for (const { name, heard } of hosts.heard()) {
      if (heard !== 'present' || asking.has(name)) continue;
      asking.add(name);
      void ask(name).finally(() => asking.delete(name));
    }
  }, askMs).unref();
  return () => {
    clearInterval(timer);
    over.abort(new Error('nobody looks on any more'));
  };
}

const name = z.string().max(1_024);
const edgesSchema = z
  .array(
    z.object({
      ...{ unit: name, on: name, state: name },
      mode: z.enum(edgeModes),
      gate: z.enum(['open', 'closed', 'barred']),
    }),
  )
  .max(10_000);

function checkedPart(value: unknown): FeedPart | undefined {
  const { records, dropped, edges, ...told } = (value ?? {}) as Partial<Record<keyof FeedPart, unknown>>;
  const status = checkedStatus(told.status);
  if (!status || !Array.isArray(records)) return undefined;
  const checked = records.flatMap((each: unknown): FarRecord[] => {
    const [unit, epoch, record] = Array.isArray(each) ? each : [];
    const found = checkedRecord(record);
    const named = unit === null || typeof unit === 'string';
    return found && named && Number.isSafeInteger(epoch) ? [[unit, epoch, found]] : [];
  });
  const missing = records.length - checked.length + (Number.isSafeInteger(dropped) ? (dropped as number) : 0);
  return { status, edges: edgesSchema.safeParse(edges).data ?? [], records: checked, dropped: missing };
}
