// Live source: a tree that runs. It is watched for as long as there is an audience, once for all of them.
import pidusage from 'pidusage';
import { IpcError } from '../errors.ts';
import { addressOf } from '../names.ts';
import type { FeedRecord, MetricsRecord, ResourceFigures } from '../runtime/feed.ts';
import type { Tree } from '../runtime/tree.ts';
import { Mirror } from './mirror.ts';
import {
  type ActorPlace,
  type ContextOf,
  type Flow,
  type Hello,
  type LogLine,
  type Metrics,
  type ProcessId,
  type ProcessMetrics,
  protocolVersion,
  type ResourceView,
  type UnitView,
} from './protocol.ts';
import { RemoteHosts } from './remote-hosts.ts';
import type { Audience, Dump, Showing, Source } from './source.ts';
import { processId, rootProcess, unitOf, unitViews } from './units.ts';

/** How often it is looked whether the tree has changed. */
const lookMs = 200;
const metricsMs = 1_000;
/** Log lines for who comes late. */
const linesMax = 500;
const eventBytesMax = 32 * 1024;

/** Actors that are not in any process of the tree. */
export interface Guests {
  units(): readonly UnitView[];
  /** Of all their actors. */
  records(): Iterable<[ProcessId, FeedRecord]>;
  send(place: ActorPlace, event: { readonly type: string }): string | undefined;
}

interface Shown {
  readonly audience: Audience;
  watched: ActorPlace | null;
}

export class LiveSource implements Source {
  readonly #tree: Tree;
  readonly #mirror = new Mirror();
  readonly #audiences = new Set<Shown>();
  readonly #metrics = new Map<ProcessId, { record: MetricsRecord; arrivedMs: number }>();
  #lines: LogLine[] = [];
  #units: UnitView[] = [];
  /** What was told last, to tell only what is new. */
  #told = { units: '', edges: '', resources: '' };
  #resources: ResourceView[] = [];
  #lastMetrics: Metrics | undefined;
  #stop: (() => void) | undefined;
  /** Processes on other hosts of the topology. */
  readonly #far: RemoteHosts;
  guests: Guests | undefined;

  constructor(tree: Tree) {
    this.#tree = tree;
    this.#far = new RemoteHosts(tree, {
      record: (process, record) => this.#onRecord(process, record),
      ended: (process) => {
        this.#mirror.end(process);
        this.#metrics.delete(process);
      },
    });
  }

  hello(write: boolean): Hello {
    const { name, file, pid, startedAtMs } = this.#tree.status();
    return {
      type: 'hello',
      protocol: protocolVersion,
      topology: { name, file, pid, startedAtMs },
      mode: 'live',
      write,
    };
  }

  show(audience: Audience): Showing {
    const shown: Shown = { audience, watched: null };
    if (this.#audiences.size === 0) this.#begin();
    this.#audiences.add(shown);
    return {
      dump: () => this.#dump(),
      actor: (place) => this.#mirror.actor(place),
      watch: (place) => {
        shown.watched = place;
        this.#look(place ?? undefined);
      },
      send: (place, event) => this.#send(place, event),
      seek() {},
      step() {},
      play() {},
      pause() {},
      close: () => {
        if (!this.#audiences.delete(shown)) return;
        this.#look();
        if (this.#audiences.size === 0) this.#end();
      },
    };
  }

  /** Takes over a record of an actor that is in no process of the tree. */
  takeGuest(process: ProcessId, record: FeedRecord): void {
    this.#onRecord(process, record);
  }

  guestEnded(process: ProcessId): void {
    this.#mirror.end(process);
  }

  get watched(): boolean {
    return this.#audiences.size > 0;
  }

  #begin(): void {
    this.#units = this.#unitsNow();
    this.#lines = this.#tree.recentLog.records.map(({ atMs, unit, level, message }) => ({
      ...{ atMs, unit, stream: 'log' as const, level, text: message },
    }));
    const unwatch = this.#tree.watch((unit, epoch, record) => this.#onRecord(processId(unit, epoch), record));
    for (const [process, record] of this.guests?.records() ?? []) this.#onRecord(process, record);
    const unfollowLines = this.#tree.logs.follow(({ atMs, unit, stream, line }) =>
      this.#addLine({ atMs: atMs ?? Date.now(), unit, stream, level: null, text: line }),
    );
    const unfollowLog = this.#tree.recentLog.follow(({ atMs, unit, level, message }) =>
      this.#addLine({ atMs, unit, stream: 'log', level, text: message }),
    );
    const unfollowDeaths = this.#tree.deaths.follow(({ unit, incarnation }) => {
      const process = processId(unit, incarnation);
      this.#mirror.end(process);
      this.#metrics.delete(process);
      this.#tellChanges();
    });
    const unfollowHosts = this.#far.follow();
    const looking = setInterval(() => this.#tellChanges(), lookMs).unref();
    const measuring = setInterval(() => void this.#tellMetrics(), metricsMs).unref();
    this.#stop = () => {
      unwatch();
      unfollowLines();
      unfollowLog();
      unfollowDeaths();
      unfollowHosts();
      clearInterval(looking);
      clearInterval(measuring);
      pidusage.clear();
    };
  }

  #end(): void {
    this.#stop?.();
    this.#stop = undefined;
    this.#mirror.clear();
    this.#metrics.clear();
    this.#told = { units: '', edges: '', resources: '' };
    this.#lastMetrics = undefined;
  }

  #dump(): Dump {
    const metrics = this.#lastMetrics;
    return {
      messages: [
        { type: 'processes', units: this.#unitsNow() },
        { type: 'dependences', edges: this.#edgesNow() },
        { type: 'resources', resources: this.#resources },
        ...(metrics ? [metrics] : []),
        { type: 'log', lines: [...this.#lines] },
      ],
      actors: this.#mirror.dump(),
      past: this.#mirror.past(),
    };
  }

  #unitsNow(): UnitView[] {
    const own = unitViews(this.#tree.status(), this.#tree.deaths);
    return [...own, ...this.#far.units(), ...(this.guests?.units() ?? [])];
  }

  #edgesNow() {
    return [...this.#tree.dependences(), ...this.#far.edges()];
  }

  #onRecord(process: ProcessId, record: FeedRecord): void {
    if (record.k === 'context') return this.#onContext(process, record);
    if (record.k === 'metrics') {
      this.#metrics.set(process, { record, arrivedMs: Date.now() });
      return;
    }
    for (const shown of this.#mirror.apply(process, record))
      for (const { audience } of this.#audiences) audience.record(process, shown);
  }

  #onContext(process: ProcessId, record: Extract<FeedRecord, { k: 'context' }>): void {
    const { k: _, actor, ...rest } = record;
    const message: ContextOf = { type: 'context', place: { process, actor }, ...rest };
    for (const { audience, watched } of this.#audiences)
      if (watched?.process === process && watched.actor === actor) audience.tell(message);
  }

  #addLine(line: LogLine): void {
    this.#lines.push(line);
    if (this.#lines.length > 2 * linesMax) this.#lines = this.#lines.slice(-linesMax);
    for (const { audience } of this.#audiences) audience.tell({ type: 'log', lines: [line] });
  }

  #tellChanges(): void {
    this.#units = this.#unitsNow();
    const units = JSON.stringify(this.#units);
    if (units !== this.#told.units) {
      this.#told.units = units;
      for (const { audience } of this.#audiences) audience.tell({ type: 'processes', units: this.#units });
    }
    const dependences = this.#edgesNow();
    const edges = JSON.stringify(dependences);
    if (edges !== this.#told.edges) {
      this.#told.edges = edges;
      for (const { audience } of this.#audiences) audience.tell({ type: 'dependences', edges: dependences });
    }
  }

  /** Has all processes show what somebody watches. */
  #look(anew?: ActorPlace): void {
    const wanted = new Map<ProcessId, string[]>();
    for (const { watched } of this.#audiences)
      if (watched) {
        const actors = wanted.get(watched.process) ?? [];
        if (!actors.includes(watched.actor)) actors.push(watched.actor);
        wanted.set(watched.process, actors);
      }
    const anewIn = (process: ProcessId) => (anew?.process === process ? addressOf(anew.actor) : undefined);
    this.#tree.host.look(
      (wanted.get(rootProcess) ?? []).map((actor) => addressOf(actor)),
      anewIn(rootProcess),
    );
    for (const child of this.#tree.watched) {
      if (child.epoch === null) continue;
      const process = processId(pathOf(child.unit), child.epoch);
      try {
        child.look(wanted.get(process) ?? [], anewIn(process));
      } catch {
        // It reads nothing now; it is asked again with the next change.
      }
    }
  }

  #send(place: ActorPlace, event: { readonly type: string }): string | undefined {
    const text = JSON.stringify(event);
    if (text.length > eventBytesMax) return `the event has more than ${eventBytesMax} bytes`;
    if (place.process === rootProcess) {
      this.#tree.host.send(addressOf(place.actor), event);
      return undefined;
    }
    const wanted = unitOf(place.process);
    if (wanted?.unit.startsWith('guest/') && this.guests) return this.guests.send(place, event);
    const host = this.#far.hostOf(place.process);
    if (host !== undefined) return `it runs on host ${host}; open the inspector there to send it events`;
    for (const child of this.#tree.watched)
      if (pathOf(child.unit) === wanted?.unit && child.epoch === wanted.epoch)
        try {
          child.post(place.actor, text);
          return undefined;
        } catch (error) {
          return IpcError.from(error, 'ERR_REFUSED', 'send', `${place.process} takes nothing now`).message;
        }
    return `there is no process ${place.process}`;
  }

  async #tellMetrics(): Promise<void> {
    const processes = this.#units.flatMap(({ kind, process, path, pid, incarnation, starts, host }) =>
      // The number of a process says nothing on another machine.
      pid === null || kind === 'guest' || host !== undefined
        ? []
        : [{ process: process ?? processId(path, incarnation), pid, restarts: Math.max(0, starts - 1) }],
    );
    const usage = await usageOf(processes.map(({ pid }) => pid));
    if (!this.#stop) return;
    this.#tellResources();
    const metrics: Metrics = {
      type: 'metrics',
      at: Date.now(),
      processes: processes.map(({ process, pid, restarts }) => ({
        process,
        restarts,
        cpu: usage.get(pid)?.cpu ?? null,
        memoryBytes: usage.get(pid)?.memory ?? null,
        inner: this.#innerOf(process),
      })),
      flows: this.#flows(),
    };
    this.#lastMetrics = metrics;
    for (const { audience } of this.#audiences) audience.tell(metrics);
  }

  #innerOf(process: ProcessId): ProcessMetrics['inner'] {
    const known = this.#metrics.get(process);
    if (!known) return null;
    const { record, arrivedMs } = known;
    const { heapBytes, actors, transitionsPerS, loopDelayMs, handlingUs, channels } = record;
    const sum = (of: (channel: (typeof channels)[number]) => number) =>
      channels.reduce((total, channel) => total + of(channel), 0);
    return {
      ...{ heapBytes, actors, transitionsPerS, loopDelayMs, handlingUs },
      sentPerS: sum(({ sentPerS }) => sentPerS),
      receivedPerS: sum(({ receivedPerS }) => receivedPerS),
      depth: sum(({ unread }) => unread),
      latencyMs: Math.max(0, arrivedMs - record.at),
    };
  }

  #flows(): Flow[] {
    const flows: Flow[] = [];
    // How long messages wait, whoever takes them knows.
    const waits = new Map<string, number | null>();
    const keyOf = ({ process, actor }: ActorPlace, channel: string) => `${process} ${actor} ${channel}`;
    for (const [process, { record }] of this.#metrics)
      for (const { actor, channel, waitMs } of record.channels)
        waits.set(keyOf({ process, actor }, channel), waitMs);
    for (const [process, { record }] of this.#metrics)
      for (const { actor, link, channel, sentPerS, unread } of record.channels) {
        const to = this.#mirror.peerOf(link, process, actor);
        if (!to || (sentPerS === 0 && unread === 0)) continue;
        const waitMs = waits.get(keyOf(to, channel)) ?? null;
        flows.push({
          from: { process, actor },
          to,
          channel,
          messagesPerS: sentPerS,
          depth: unread,
          waitMs,
        });
      }
    return flows;
  }

  #tellResources(): void {
    const unitOfPid = new Map(
      this.#units.flatMap(({ pid, path, host }) => (pid === null || host !== undefined ? [] : [[pid, path]])),
    );
    const found = new Map<string, ResourceFigures>();
    const all = [
      ...this.#tree.resources(),
      ...[...this.#metrics.values()].flatMap(({ record }) => record.resources),
    ];
    // Several processes tell of one region; the last that has looked knows best.
    for (const figures of all) found.set(`${figures.kind} ${figures.region} ${figures.name}`, figures);
    this.#resources = [...found.values()].map(({ pids, ...figures }) => ({
      ...figures,
      users: pids.map((pid) => ({ unit: unitOfPid.get(pid) ?? null, pid })),
    }));
    const text = JSON.stringify(this.#resources);
    if (text === this.#told.resources) return;
    this.#told.resources = text;
    for (const { audience } of this.#audiences)
      audience.tell({ type: 'resources', resources: this.#resources });
  }
}

/** A unit's path below the root. */
function pathOf(unit: string): string {
  return unit.slice(unit.indexOf('/') + 1);
}

/** Of those that are there. One that has just ended must not keep back the others. */
async function usageOf(pids: readonly number[]): Promise<Map<number, { cpu: number; memory: number }>> {
  const found = new Map<number, { cpu: number; memory: number }>();
  await Promise.all(
    pids.map(async (pid) => {
      try {
        const { cpu, memory } = await pidusage(pid);
        found.set(pid, { cpu: Math.round(cpu * 10) / 1_000, memory });
      } catch {
        // Gone.
      }
    }),
  );
  return found;
}
