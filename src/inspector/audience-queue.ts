// Audience queue: records of all processes on their way to one page or one recording, which may take them slowly or never. The
// bounds are those of the record queue; whose last transition was left out is told anew once everything else has been taken.
import { RecordQueue } from '../runtime/record-queue.ts';
import type { ActorPlace, ProcessId, RecordBatch, ViewRecord } from './protocol.ts';

interface Waiting {
  readonly k: string;
  readonly process: ProcessId;
  readonly record: ViewRecord;
}

export interface AudienceQueueOptions {
  readonly droppableMax?: number;
  readonly keptMax?: number;
  /** What is known of an actor now, to be told instead of what was left out. */
  readonly actorNow: (place: ActorPlace) => ViewRecord | undefined;
}

export class AudienceQueue {
  readonly #queue: RecordQueue<Waiting>;
  readonly #actorNow: AudienceQueueOptions['actorNow'];
  /** Actors of which a transition was left out. */
  readonly #outdated = new Map<string, ActorPlace>();

  constructor({ actorNow, ...limits }: AudienceQueueOptions) {
    this.#actorNow = actorNow;
    this.#queue = new RecordQueue<Waiting>({
      ...limits,
      onDropped: ({ process, record }) => {
        if (record.k !== 'transition') return;
        const { actor } = record;
        this.#outdated.set(`${process} ${actor}`, { process, actor });
      },
    });
  }

  get length(): number {
    return this.#queue.length;
  }

  /** More waits that must not be missed than there is room for: clear it, and begin with all that there is. */
  get overrun(): boolean {
    return this.#queue.overrun;
  }

  push(process: ProcessId, record: ViewRecord): void {
    this.#queue.push({ k: record.k, process, record });
  }

  /** The oldest, as batches. What replaces records that were left out follows when nothing else waits. */
  take(max: number): RecordBatch[] {
    const batches: { process: ProcessId; records: ViewRecord[] }[] = [];
    for (const { process, record } of this.#queue.take(max)) {
      const last = batches.at(-1);
      if (last?.process === process) last.records.push(record);
      else batches.push({ process, records: [record] });
    }
    if (this.#queue.length === 0) this.#tellOutdated();
    return batches;
  }

  /** How many were left out since the last call. */
  takeDropped(): number {
    return this.#queue.takeDropped();
  }

  /** Leaves out everything, and counts it. */
  clear(): void {
    this.#queue.clear();
    this.#outdated.clear();
  }

  #tellOutdated(): void {
    if (this.#outdated.size === 0) return;
    const places = [...this.#outdated.values()];
    this.#outdated.clear();
    for (const place of places) {
      const record = this.#actorNow(place);
      if (record) this.push(place.process, record);
    }
  }
}
