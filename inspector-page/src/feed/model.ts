// Model: what the page knows of the tree, as the server's messages have told it. Plain data, changed in place; what is drawn
// reads it once per frame. Everything in it is bounded, except actors: those are there in truth.
import type {
  ActorPlace,
  ContextOf,
  DependenceView,
  Hello,
  LogLine,
  Playing,
  ProcessId,
  Records,
  ResourceView,
  ServerMessage,
  UnitView,
  ViewRecord,
} from '../../../src/inspector/protocol.ts';
import type { StateValue } from '../../../src/runtime/feed.ts';
import { describeValue } from '../chart/active-states.ts';
import { readStatechart, type Statechart } from '../chart/statechart.ts';
import type { Topics } from '../frame/topics.ts';
import { MetricsHistory } from './metrics-history.ts';
import { Ring } from './ring.ts';

/** One actor in one life of its process. */
export interface ActorEntry extends ActorPlace {
  chart: string | null;
  value: StateValue | null;
  /** The value in one line; made when it changes, since rows show it sixty times a second. */
  words: string;
  status: string;
  waitsFor: string | null;
  crash: { readonly message: string; readonly stack: string | null; readonly at: number } | null;
  ended: 'done' | 'crashed' | 'stopped' | null;
  /** The last transition. */
  last: Extract<ViewRecord, { k: 'transition' }> | null;
  transitions: number;
  /** Transitions within the last second. */
  rate: number;
  /** `transitions` a second ago. */
  counted: number;
}

/** A record as the event log shows it. */
export interface EventEntry {
  readonly process: ProcessId;
  readonly record: EventRecord;
}

export type EventRecord = Exclude<ViewRecord, { k: 'chart' } | { k: 'actor' } | { k: 'reset' }>;

export type ConnectionState = 'connecting' | 'open' | 'lost' | 'refused';

export interface Notice {
  readonly text: string;
  readonly level: 'info' | 'bad';
}

/** At 10,000 events a second the last five seconds; at a usual pace hours. */
const eventsMax = 50_000;
const logMax = 10_000;
/** Lives whose last actors are kept, for all units together. */
const deadProcessesMax = 50;

export class Model {
  readonly topics: Topics;
  hello: Hello | null = null;
  connection: ConnectionState = 'connecting';
  /** Why the server would not have us, or when it is tried again. */
  connectionNote = '';
  /** Path of a unit to the unit; supervisors before those below them. */
  units = new Map<string, UnitView>();
  /** Unit of each process, present or dead. */
  readonly unitOf = new Map<ProcessId, string>();
  readonly actors = new Map<ProcessId, Map<string, ActorEntry>>();
  readonly #charts = new Map<string, { readonly source: unknown; parsed?: Statechart | null }>();
  resources: readonly ResourceView[] = [];
  dependences: readonly DependenceView[] = [];
  readonly events = new Ring<EventEntry>(eventsMax);
  readonly log = new Ring<LogLine>(logMax);
  readonly metrics = new MetricsHistory();
  context: ContextOf | null = null;
  playing: Playing | null = null;
  /** Records that came too fast to be sent or kept, here or there. */
  dropped = 0;
  notice: Notice | null = null;
  /** Whether the first dump has come. */
  filled = false;

  constructor(topics: Topics) {
    this.topics = topics;
  }

  actor({ process, actor }: ActorPlace): ActorEntry | undefined {
    return this.actors.get(process)?.get(actor);
  }

  /** The chart of that hash; read when it is first looked at. */
  chart(hash: string | null): Statechart | null {
    const known = hash === null ? undefined : this.#charts.get(hash);
    if (!known) return null;
    if (known.parsed === undefined) known.parsed = readStatechart(known.source);
    return known.parsed;
  }

  /** How many actors run now. */
  get actorsTotal(): number {
    let total = 0;
    for (const [process, actors] of this.actors) if (this.isAlive(process)) total += actors.size;
    return total;
  }

  /** Whether the process is the one that its unit has now. */
  isAlive(process: ProcessId): boolean {
    const unit = this.units.get(this.unitOf.get(process) ?? unitPathOf(process));
    return (
      unit === undefined || unit.process === process || !unit.dead.some((dead) => dead.process === process)
    );
  }

  setConnection(state: ConnectionState, note = ''): void {
    this.connection = state;
    this.connectionNote = note;
    this.topics.changed('connection');
  }

  setNotice(notice: Notice | null): void {
    this.notice = notice;
    this.topics.changed('notice');
  }

  take(message: ServerMessage): void {
    switch (message.type) {
      case 'hello':
        this.hello = message;
        this.topics.changed('connection');
        return;
      case 'processes':
        return this.#takeUnits(message.units);
      case 'resources':
        this.resources = message.resources;
        this.topics.changed('resources');
        return;
      case 'dependences':
        this.dependences = message.edges;
        this.topics.changed('dependences');
        return;
      case 'records':
        return this.#takeRecords(message);
      case 'metrics':
        this.metrics.take(message);
        this.#countRates();
        this.topics.changed('metrics');
        return;
      case 'context':
        this.context = message;
        this.topics.changed('context');
        return;
      case 'log':
        for (const line of message.lines) this.log.push(line);
        this.topics.changed('log');
        return;
      case 'dropped':
        this.dropped += message.count;
        this.topics.changed('events');
        return;
      case 'playing':
        this.playing = message;
        this.topics.changed('playing');
        return;
      case 'refused':
        this.setNotice({ text: `${message.what} was refused: ${message.why}`, level: 'bad' });
        return;
    }
  }

  #takeUnits(units: readonly UnitView[]): void {
    this.units = new Map(units.map((unit) => [unit.path, unit]));
    for (const { path, process, dead } of units) {
      if (process !== null) this.unitOf.set(process, path);
      for (const life of dead) this.unitOf.set(life.process, path);
    }
    this.#forgetOldLives();
    this.topics.changed('units');
    this.topics.changed('actors');
  }

  /** What a unit no longer lists is gone here, too. */
  #forgetOldLives(): void {
    const listed = new Set<ProcessId>();
    for (const { process, dead } of this.units.values()) {
      if (process !== null) listed.add(process);
      for (const life of dead) listed.add(life.process);
    }
    const gone = [...this.actors.keys()].filter(
      (process) => !listed.has(process) && this.unitOf.has(process),
    );
    for (const process of gone) this.#forget(process);
    const dead = [...this.actors.keys()].filter((process) => !this.isAlive(process));
    for (const process of dead.slice(0, Math.max(0, dead.length - deadProcessesMax))) this.#forget(process);
  }

  #forget(process: ProcessId): void {
    this.actors.delete(process);
    this.unitOf.delete(process);
  }

  #takeRecords({ dump, past, batches }: Records): void {
    if (past) {
      // They are told for the lists; where the actors are now, the dump has said. Who has been here before has most of them.
      const newest = this.events.at(this.events.end - 1)?.record.at ?? Number.NEGATIVE_INFINITY;
      const known = batches.flatMap(({ process, records }) =>
        records.filter(isEvent).flatMap((record) => (record.at > newest ? [{ process, record }] : [])),
      );
      this.#keep(known);
      return;
    }
    if (dump) {
      // What died before we came is told by `processes`; what died while we watched, only we still know.
      for (const process of [...this.actors.keys()]) if (this.isAlive(process)) this.actors.delete(process);
      if (this.hello?.mode === 'recording') {
        this.actors.clear();
        this.events.clear();
      }
      this.filled = true;
    }
    const happened: EventEntry[] = [];
    for (const { process, records } of batches)
      for (const record of records) this.#takeRecord(process, record, dump === true, happened);
    this.#keep(happened);
    this.topics.changed('values');
    if (dump) this.topics.changed('actors');
  }

  /** Each process tells in its own order; what came together is put into that of the clock. */
  #keep(happened: EventEntry[]): void {
    for (const entry of happened.sort((one, other) => one.record.at - other.record.at))
      this.events.push(entry);
    this.topics.changed('events');
  }

  #takeRecord(process: ProcessId, record: ViewRecord, dump: boolean, happened: EventEntry[]): void {
    switch (record.k) {
      case 'chart':
        this.#charts.set(record.hash, { source: record.chart });
        this.topics.changed('charts');
        return;
      case 'actor':
        return this.#takeActor(process, record, dump);
      case 'reset':
        // What was told of this process holds no more; all that there is follows.
        this.actors.delete(process);
        this.topics.changed('actors');
        return;
      case 'transition': {
        const entry = this.#entry(process, record.actor);
        entry.value = record.value;
        entry.words = describeValue(record.value);
        entry.status = record.status;
        entry.waitsFor = record.waitsFor ?? null;
        entry.last = record;
        entry.transitions++;
        break;
      }
      case 'crash': {
        const entry = this.#entry(process, record.actor);
        entry.crash = { message: record.message, stack: record.stack, at: record.at };
        entry.status = 'error';
        break;
      }
      case 'stop':
        this.#takeStop(process, record.actor, record.how);
        break;
      case 'dropped':
        this.dropped += record.count;
        break;
    }
    happened.push({ process, record });
  }

  #takeActor(process: ProcessId, record: Extract<ViewRecord, { k: 'actor' }>, dump: boolean): void {
    const { actor, chart, value, status, waitsFor } = record;
    const entry = this.#entry(process, actor);
    Object.assign(entry, {
      chart,
      value,
      words: describeValue(value),
      status,
      waitsFor: waitsFor ?? null,
      // What is told anew of one that has crashed is not its next life.
      ...(status !== 'error' && { crash: null, ended: null }),
      ...(!dump && { last: null }),
    });
    this.topics.changed('actors');
  }

  /** Who has ended is gone, but a crash stays until its address lives again: that is what somebody will look for. */
  #takeStop(process: ProcessId, actor: string, how: 'done' | 'crashed' | 'stopped'): void {
    const entry = this.actors.get(process)?.get(actor);
    if (!entry) return;
    entry.ended = how;
    entry.rate = 0;
    if (how !== 'crashed') this.actors.get(process)?.delete(actor);
    this.topics.changed('actors');
  }

  #entry(process: ProcessId, actor: string): ActorEntry {
    let actors = this.actors.get(process);
    if (!actors) {
      actors = new Map();
      this.actors.set(process, actors);
    }
    let entry = actors.get(actor);
    if (!entry) {
      entry = newEntry(process, actor);
      actors.set(actor, entry);
      this.topics.changed('actors');
    }
    return entry;
  }

  #countRates(): void {
    for (const actors of this.actors.values())
      for (const entry of actors.values()) {
        entry.rate = entry.transitions - entry.counted;
        entry.counted = entry.transitions;
      }
    this.topics.changed('values');
  }
}

function isEvent(record: ViewRecord): record is EventRecord {
  return record.k !== 'chart' && record.k !== 'actor' && record.k !== 'reset';
}

function newEntry(process: ProcessId, actor: string): ActorEntry {
  return {
    process,
    actor,
    chart: null,
    value: null,
    words: '',
    status: 'active',
    waitsFor: null,
    crash: null,
    ended: null,
    last: null,
    transitions: 0,
    rate: 0,
    counted: 0,
  };
}

/** `gateway#2` is a life of the unit `gateway`. */
export function unitPathOf(process: ProcessId): string {
  const at = process.lastIndexOf('#');
  return at < 0 ? process : process.slice(0, at);
}
