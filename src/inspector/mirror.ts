// Mirror: all actors of all processes as their records tell it, so that whoever comes late sees everything at once, and those
// of a life that has ended as it left them.
import type { ChartRecord, FeedRecord, SessionRecord } from '../runtime/feed.ts';
import type { ActorPlace, ProcessId, RecordBatch, ViewRecord } from './protocol.ts';

type ActorRecord = Extract<FeedRecord, { k: 'actor' }>;

interface Life {
  readonly actors: Map<string, ActorRecord>;
  ended: boolean;
}

/** What has been told lately, for the event log of who comes late. */
const pastMax = 2_000;
/** Lives that have ended, of all units together. */
const endedMax = 100;
/** Actors that are kept of one of those. */
const endedActorsMax = 500;
/** Charts of all versions of all programs: more come only from a program that makes charts by the dozen. */
const chartsMax = 5_000;

export class Mirror {
  readonly #charts = new Map<string, ChartRecord>();
  readonly #lives = new Map<ProcessId, Life>();
  /** Both ends of each session, by its link. */
  readonly #links = new Map<string, { process: ProcessId; actor: string }[]>();
  readonly #linkOf = new Map<string, string>();
  #past: { process: ProcessId; record: ViewRecord }[] = [];

  /** Takes over a record. @returns what those get who watch already. */
  apply(process: ProcessId, record: FeedRecord | ViewRecord): ViewRecord[] {
    switch (record.k) {
      case 'chart':
        return this.#onChart(record) ? [record] : [];
      case 'session':
        this.#onSession(process, record);
        return [];
      case 'context':
      case 'metrics':
      case 'log':
        return [];
      case 'reset':
        this.#lifeOf(process).actors.clear();
        return [record];
      case 'actor':
        this.#lifeOf(process).actors.set(record.actor, record);
        return [record];
      case 'transition':
        this.#onTransition(process, record);
        return this.#keep(process, [record]);
      case 'crash':
        this.#change(process, record.actor, { status: 'error' });
        return this.#keep(process, [record]);
      case 'stop':
        this.#lifeOf(process).actors.delete(record.actor);
        return this.#keep(process, [record]);
      case 'send':
        return this.#keep(process, this.#withMessage(process, record));
      default:
        return this.#keep(process, [record]);
    }
  }

  /** A life is over: its actors stay as they were. @returns processes whose actors are forgotten with that. */
  end(process: ProcessId): void {
    const life = this.#lives.get(process);
    if (!life) return;
    life.ended = true;
    for (const actor of [...life.actors.keys()].slice(endedActorsMax)) life.actors.delete(actor);
    this.#forgetLinks(process);
    const ended = [...this.#lives].filter(([, each]) => each.ended);
    for (const [oldest] of ended.slice(0, Math.max(0, ended.length - endedMax))) this.#lives.delete(oldest);
  }

  /** Everything there is: charts first. */
  *dump(): Iterable<RecordBatch> {
    const [first] = this.#lives.keys();
    if (this.#charts.size > 0) yield { process: first ?? '#0', records: [...this.#charts.values()] };
    for (const [process, { actors }] of this.#lives)
      if (actors.size > 0) yield { process, records: [...actors.values()] };
  }

  /** What was told before. */
  *past(): Iterable<RecordBatch> {
    let batch: { process: ProcessId; records: ViewRecord[] } | undefined;
    for (const { process, record } of this.#past) {
      if (batch?.process !== process) {
        if (batch) yield batch;
        batch = { process, records: [] };
      }
      batch.records.push(record);
    }
    if (batch) yield batch;
  }

  actor({ process, actor }: ActorPlace): ActorRecord | undefined {
    return this.#lives.get(process)?.actors.get(actor);
  }

  actors(process: ProcessId): number {
    return this.#lives.get(process)?.actors.size ?? 0;
  }

  /** The other end of a session. */
  peerOf(link: string, process: ProcessId, actor: string): ActorPlace | undefined {
    return this.#links.get(link)?.find((end) => end.process !== process || end.actor !== actor);
  }

  clear(): void {
    this.#lives.clear();
    this.#links.clear();
    this.#linkOf.clear();
    this.#past = [];
  }

  #lifeOf(process: ProcessId): Life {
    let life = this.#lives.get(process);
    if (!life) {
      life = { actors: new Map(), ended: false };
      this.#lives.set(process, life);
    }
    return life;
  }

  #onChart(record: ChartRecord): boolean {
    if (this.#charts.has(record.hash) || this.#charts.size >= chartsMax) return false;
    this.#charts.set(record.hash, record);
    return true;
  }

  #onTransition(
    process: ProcessId,
    { at, actor, value, status, waitsFor }: Extract<FeedRecord, { k: 'transition' }>,
  ): void {
    this.#change(process, actor, { at, value, status, ...(waitsFor !== undefined && { waitsFor }) });
  }

  #change(process: ProcessId, actor: string, change: Partial<ActorRecord>): void {
    const { actors } = this.#lifeOf(process);
    const known = actors.get(actor);
    if (!known) return;
    const { waitsFor: _, ...before } = known;
    actors.set(actor, { ...before, ...change });
  }

  #onSession(process: ProcessId, { link, actor }: SessionRecord): void {
    const ends = this.#links.get(link) ?? [];
    // More than two would be a lie.
    if (ends.length >= 2 || ends.some((end) => end.process === process && end.actor === actor)) return;
    this.#links.set(link, [...ends, { process, actor }]);
    this.#linkOf.set(`${process} ${actor}`, link);
  }

  #forgetLinks(process: ProcessId): void {
    for (const [link, ends] of [...this.#links])
      if (ends.some((end) => end.process === process)) {
        this.#links.delete(link);
        for (const end of ends) this.#linkOf.delete(`${end.process} ${end.actor}`);
      }
  }

  /** A message of a session is an event from nobody to its machine: the link says from whom. */
  #withMessage(process: ProcessId, record: Extract<FeedRecord, { k: 'send' }>): ViewRecord[] {
    const { at, from, to, event } = record;
    if (from !== null || !/^(message|broadcast)\./.test(event)) return [record];
    const link = this.#linkOf.get(`${process} ${to}`);
    const peer = link === undefined ? undefined : this.peerOf(link, process, to);
    return peer ? [record, { k: 'message', at, from: peer, to, event }] : [record];
  }

  #keep(process: ProcessId, records: ViewRecord[]): ViewRecord[] {
    for (const record of records) this.#past.push({ process, record });
    if (this.#past.length > 2 * pastMax) this.#past = this.#past.slice(-pastMax);
    return records;
  }
}
