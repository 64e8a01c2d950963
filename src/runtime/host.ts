// Host: runs the actors of a process. The only place that creates them, so that every one of them is watched for its end,
// recorded, and reaped. Each is a root actor of its own; who belongs to whom is data of those who start them.
import { type Actor, type AnyActorLogic, createActor, type EventFromLogic } from 'xstate';
import {
  type ActorEnd,
  type Gauge,
  type Hosted,
  type HostOptions,
  type Host as HostPort,
  type Log,
  type OpenSession,
  type Residence,
  settleActor,
} from '../actors/hosting.ts';
import { messageOf } from '../errors.ts';
import { type Clock, systemClock } from '../machines/clock.ts';
import type { Address } from '../names.ts';
import type { FlightRecorder } from '../transport/flight-recorder.ts';
import { type Chart, Charts } from './charts.ts';
import { ContextWatch } from './context-watch.ts';
import { Exposure } from './exposure.ts';
import { Feed, type FeedRecord, momentMs, type StateValue } from './feed.ts';
import { innerAt, insideOf, inspect, stateOf } from './inspection.ts';
import { Meter } from './meter.ts';
import { Turns } from './turns.ts';

interface HostSettings {
  readonly log: Log;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Where the last transitions are kept for after a death. */
  readonly recorder?: FlightRecorder;
  readonly exposure?: Exposure;
}

/** What an entry asks of the host. */
interface Owner {
  readonly host: HostPort;
  readonly turns: Turns;
  ended(entry: Entry, end: ActorEnd<unknown>): void;
}

/** An actor that runs; what its owner holds, too. There can be very many. */
class Entry implements Hosted, Residence {
  readonly address: Address;
  readonly actor: Actor<AnyActorLogic>;
  readonly chart: Chart | undefined;
  /** Numbers in the flight recorder: its name, once it has done something, and where it was last. */
  flightName = 0;
  lastState = 0;
  lastValue: unknown = undefined;
  unwatch: (() => void) | undefined = undefined;
  /** Who wanted it; hears of its end. */
  readonly wanted: HostOptions<AnyActorLogic>;
  readonly #owner: Owner;

  constructor(
    owner: Owner,
    actor: Actor<AnyActorLogic>,
    wanted: HostOptions<AnyActorLogic>,
    chart: Chart | undefined,
  ) {
    this.#owner = owner;
    this.address = wanted.address;
    this.actor = actor;
    this.wanted = wanted;
    this.chart = chart;
  }

  get host(): HostPort {
    return this.#owner.host;
  }

  post(event: EventFromLogic<AnyActorLogic>): void {
    this.#owner.turns.send(this.actor, event);
  }

  stop(): void {
    this.#owner.turns.later(() => this.actor.stop());
  }

  /** As the observer of its actor: that failed. A function that is made when it is asked for: XState calls it by itself. */
  get error(): (error: unknown) => void {
    return (error) => this.#owner.ended(this, { how: 'crashed', error });
  }

  /** As the observer of its actor: that came to its end, or was stopped. */
  complete(): void {
    const { status, output } = this.actor.getSnapshot();
    this.#owner.ended(this, status === 'done' ? { how: 'done', output } : { how: 'stopped' });
  }
}

interface Timer {
  cancelled: boolean;
  running: unknown;
}

export class Host implements HostPort {
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly feed: Feed;
  readonly exposure: Exposure;
  readonly #recorder: FlightRecorder | undefined;
  readonly #entries = new Map<Address, Entry>();
  readonly #charts = new Charts();
  readonly #sessions = new Set<OpenSession>();
  readonly #gauges = new Set<Gauge>();
  readonly #contexts: ContextWatch;
  /** While somebody watches. */
  #meter: Meter | undefined;
  readonly #hostedLogics = new WeakMap<object, AnyActorLogic>();
  /** The address of the actor that is being made. */
  #starting = '' as Address;
  /** The clock of all actors: what a timer sends takes its turn like everything else. */
  readonly #timers: Pick<Clock, 'setTimeout' | 'clearTimeout'> = {
    setTimeout: (callback, delayMs): Timer => {
      const timer: Timer = { cancelled: false, running: undefined };
      // Its time may come, and its turn later: until then it can be cancelled.
      const fire = () => this.later(() => !timer.cancelled && callback());
      timer.running = this.clock.setTimeout(fire, delayMs);
      return timer;
    },
    clearTimeout: (timer) => {
      const { running } = timer as Timer;
      (timer as Timer).cancelled = true;
      this.clock.clearTimeout(running);
    },
  };
  /** Of actors without an input; the same for all, since XState takes its time to copy each option that it does not know. */
  readonly #actorOptions = { clock: this.#timers };
  readonly #turns = new Turns();
  readonly #owner: Owner = {
    host: this,
    turns: this.#turns,
    ended: (entry, end) => this.#ended(entry, end),
  };

  constructor({ log, clock = systemClock, random = Math.random, recorder, exposure }: HostSettings) {
    this.log = log;
    this.random = random;
    this.clock = clock;
    this.#recorder = recorder;
    this.exposure = exposure ?? new Exposure();
    this.#contexts = new ContextWatch(
      (address) => this.#actorAt(address)?.getSnapshot() as object | undefined,
      this.exposure,
      (record) => this.#tell(record),
    );
    this.feed = new Feed(
      () => this.#dump(),
      (watched) => this.#onWatched(watched),
    );
  }

  /** Addresses of all actors that run. */
  get addresses(): Address[] {
    return [...this.#entries.keys()];
  }

  has(address: Address): boolean {
    return this.#entries.has(address);
  }

  /** The state value and context of an actor, for whoever asks; undefined if there is none at that address. */
  snapshotOf(address: Address): { value: StateValue | null; status: string; context: unknown } | undefined {
    const snapshot = this.#entries.get(address)?.actor.getSnapshot();
    return snapshot && { ...stateOf(snapshot), context: snapshot.context };
  }

  /** Sends an event to the actor at an address, also to one inside another; nothing happens if there is none. */
  send(address: Address, event: { type: string }): void {
    this.later(() => this.#actorAt(address)?.send(event));
  }

  /** Shows the contexts of these actors to the watchers, and no others. @param anew one that somebody new looks at. */
  look(addresses: readonly Address[], anew?: Address): void {
    this.#contexts.look(addresses, anew);
  }

  showSession(session: OpenSession): () => void {
    this.#sessions.add(session);
    if (this.feed.watched) this.feed.tell(sessionRecord(session));
    return () => void this.#sessions.delete(session);
  }

  showResources(gauge: Gauge): () => void {
    this.#gauges.add(gauge);
    return () => void this.#gauges.delete(gauge);
  }

  #actorAt(address: Address): Pick<Actor<AnyActorLogic>, 'send' | 'getSnapshot'> | undefined {
    const hosted = this.#entries.get(address);
    if (hosted) return hosted.actor;
    for (let at = address.lastIndexOf('/'); at > 0; at = address.lastIndexOf('/', at - 1)) {
      const outer = this.#entries.get(address.slice(0, at) as Address);
      if (outer) return innerAt(outer.actor, address.slice(at + 1).split('/')) as never;
    }
    return undefined;
  }

  start<L extends AnyActorLogic>(logic: L, wanted: HostOptions<L>): Hosted<L> {
    const { address, input } = wanted;
    if (this.#entries.has(address)) throw new Error(`there is an actor at ${address} already`);
    this.#starting = address;
    const hosted: AnyActorLogic = this.#hosted(logic);
    const actor = createActor(
      hosted,
      input === undefined ? this.#actorOptions : { clock: this.#timers, input },
    );
    const any = wanted as HostOptions<AnyActorLogic>;
    const entry = new Entry(this.#owner, actor, any, this.#charts.of(logic));
    this.#entries.set(address, entry);
    settleActor(actor, entry);
    try {
      wanted.bind?.(actor, entry as Hosted<L>);
    } catch (error) {
      this.#entries.delete(address);
      throw error;
    }
    // Before start: an actor whose first step throws has no other way to tell, and would end the process.
    observe(actor, entry);
    if (this.feed.watched) {
      this.#watch(entry);
      this.feed.tell(this.#actorRecord(entry));
    }
    this.#turns.queueing(actor);
    return entry as Hosted<L>;
  }

  /**
   * Sends happen one after another, never inside each other: an event that leads to a hundred more does so in order, on a
   * flat stack, and whoever posts goes on with its own work first.
   */
  later(task: () => void): void {
    this.#turns.later(task);
  }

  #ended(entry: Entry, end: ActorEnd<unknown>): void {
    const { wanted } = entry;
    if (this.#entries.get(entry.address) !== entry) return;
    this.#entries.delete(entry.address);
    if (end.how === 'crashed') {
      stopChildren(entry.actor.getSnapshot());
      this.log.error(
        { actor: entry.address, error: end.error },
        `actor ${entry.address} crashed: ${messageOf(end.error)}`,
      );
      this.#tell({
        k: 'crash',
        at: momentMs(),
        actor: entry.address,
        message: this.exposure.text(messageOf(end.error)),
        stack: stackOf(end.error, this.exposure),
      });
    }
    const recorder = this.#recorder;
    recorder?.record(nameIn(recorder, entry), recorder.name(`(${end.how})`), recorder.name(end.how));
    this.#tell({ k: 'stop', at: momentMs(), actor: entry.address, how: end.how });
    entry.unwatch?.();
    if (wanted.onEnd) this.later(() => wanted.onEnd!(end));
  }

  /** The same logic as it runs here; made once for all actors of a logic. */
  #hosted<L extends AnyActorLogic>(logic: L): L {
    const known = this.#hostedLogics.get(logic);
    if (known) return known as L;
    const hosted: L = {
      ...logic,
      // Not by an option of XState: each option that is given slows down and enlarges the actor by a tenth.
      getInitialSnapshot: (scope: { id: string; self: { id: string } }, input: unknown) => {
        scope.id = this.#starting;
        scope.self.id = this.#starting;
        return logic.getInitialSnapshot(scope as never, input);
      },
      ...(this.#recorder && { transition: this.#recording(logic, this.#recorder) }),
    };
    this.#hostedLogics.set(logic, hosted);
    return hosted;
  }

  /** A logic's transition that is noted in the flight recorder. */
  #recording(logic: AnyActorLogic, recorder: FlightRecorder): AnyActorLogic['transition'] {
    return (snapshot: unknown, event: { type: string }, scope: { self: { id: string } }) => {
      const meter = this.#meter;
      const from = meter === undefined ? 0 : performance.now();
      const next = logic.transition(snapshot as never, event as never, scope as never) as {
        value?: unknown;
        status: string;
      };
      if (meter !== undefined) meter.handled(performance.now() - from);
      const entry = this.#entries.get(scope.self.id as Address);
      if (!entry) return next;
      const value = next.value ?? next.status;
      if (value !== entry.lastValue) {
        entry.lastValue = value;
        entry.lastState = recorder.name(typeof value === 'string' ? value : JSON.stringify(value));
      }
      recorder.record(nameIn(recorder, entry), recorder.name(event.type), entry.lastState);
      return next;
    };
  }

  #tell(record: FeedRecord): void {
    if (this.feed.watched) this.feed.tell(record);
  }

  *#dump(): Iterable<FeedRecord> {
    this.#charts.tellAllAgain();
    for (const entry of this.#entries.values()) {
      const chart = entry.chart && this.#charts.recordOf(entry.chart);
      if (chart) yield chart;
      yield this.#actorRecord(entry);
      const charts: FeedRecord[] = [];
      const inside = [
        ...insideOf(entry.actor, entry.address, {
          chartOf: (logic) => this.#hashOf(logic, (r) => charts.push(r)),
        }),
      ];
      yield* charts;
      yield* inside;
    }
    for (const session of this.#sessions) yield sessionRecord(session);
  }

  #actorRecord(entry: Entry): FeedRecord {
    const { address: actor, chart } = entry;
    return {
      k: 'actor',
      at: momentMs(),
      actor,
      chart: chart?.hash ?? null,
      ...stateOf(entry.actor.getSnapshot()),
    };
  }

  #onWatched(watched: boolean): void {
    for (const entry of this.#entries.values()) {
      if (watched) this.#watch(entry);
      else {
        entry.unwatch?.();
        entry.unwatch = undefined;
      }
    }
    this.#meter?.close();
    this.#meter = undefined;
    if (!watched) return this.#contexts.look([]);
    const metered = {
      actors: () => this.#entries.size,
      sessions: this.#sessions,
      gauges: this.#gauges,
    };
    this.#meter = new Meter(metered, (record) => this.#tell(record));
  }

  /** Follows one actor while somebody watches. */
  #watch(entry: Entry): void {
    const tell = (record: FeedRecord) => this.#tell(record);
    entry.unwatch = inspect(entry.actor, entry.address, {
      tell,
      chartOf: (logic) => this.#hashOf(logic, tell),
    });
    const chart = entry.chart && this.#charts.recordOf(entry.chart);
    if (chart) tell(chart);
  }

  /** The hash of the chart of a logic, which is told if somebody does not know it. */
  #hashOf(logic: AnyActorLogic, tell: (record: FeedRecord) => void): string | null {
    const chart = this.#charts.of(logic);
    const record = chart && this.#charts.recordOf(chart);
    if (record) tell(record);
    return chart?.hash ?? null;
  }
}

/**
 * Has an actor that has not started tell an entry of its end. XState's own `subscribe` keeps three functions and an object of
 * its own for each observer, which of a hundred thousand entries is a tenth of what the actors take themselves.
 */
function observe(actor: Actor<AnyActorLogic>, entry: Entry): void {
  const { observers } = actor as unknown as { readonly observers?: unknown };
  if (observers instanceof Set) observers.add(entry);
  else actor.subscribe(entry);
}

/** The number of an actor's name in the recorder, told when it is first of use: of many actors most have nothing to record. */
function nameIn(recorder: FlightRecorder, entry: Entry): number {
  if (entry.flightName === 0) entry.flightName = recorder.name(entry.address);
  return entry.flightName;
}

function sessionRecord({ machine: actor, link, peer }: OpenSession): FeedRecord {
  return { k: 'session', at: momentMs(), actor, link, peer: { app: peer.app, pid: peer.pid } };
}

/** XState leaves the children of an errored machine running; nobody would ever stop them. */
function stopChildren(snapshot: { children?: Record<string, unknown> } | undefined): void {
  for (const child of Object.values(snapshot?.children ?? {})) {
    const ref = child as {
      _send?(event: { type: string }): void;
      getSnapshot?(): { children?: Record<string, unknown> };
    };
    stopChildren(ref.getSnapshot?.());
    ref._send?.({ type: 'xstate.stop' });
  }
}

function stackOf(error: unknown, exposure: Exposure): string | null {
  return error instanceof Error && error.stack !== undefined ? exposure.text(error.stack) : null;
}
