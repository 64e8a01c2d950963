// Host: runs the actors of a process. The only place that creates them, so that every one of them is watched for its end,
// recorded, and reaped. Each is a root actor of its own; who belongs to whom is data of those who start them.
import { createHash } from 'node:crypto';
import {
  type Actor,
  type AnyActorLogic,
  type AnyStateMachine,
  createActor,
  type EventFromLogic,
} from 'xstate';
import {
  type ActorEnd,
  type Hosted,
  type HostOptions,
  type Host as HostPort,
  type Log,
  type Residence,
  settleActor,
} from '../actors/hosting.ts';
import { messageOf } from '../errors.ts';
import { type Clock, systemClock } from '../machines/clock.ts';
import type { Address } from '../names.ts';
import type { FlightRecorder } from '../transport/flight-recorder.ts';
import { Feed, type FeedRecord, type StateValue } from './feed.ts';
import { inspect, stateOf } from './inspection.ts';
import { Turns } from './turns.ts';

interface HostSettings {
  readonly log: Log;
  readonly clock?: Clock;
  readonly random?: () => number;
  /** Where the last transitions are kept for after a death. */
  readonly recorder?: FlightRecorder;
}

interface Chart {
  readonly hash: string;
  readonly machine: AnyStateMachine;
}

/** An actor that runs; what its owner holds, too. There can be very many. */
class Entry implements Hosted, Residence {
  readonly address: Address;
  readonly actor: Actor<AnyActorLogic>;
  readonly chart: Chart | undefined;
  /** Numbers in the flight recorder: its name, and where it was last. */
  readonly flightName: number;
  lastState = 0;
  lastValue: unknown = undefined;
  unwatch: (() => void) | undefined = undefined;
  readonly onEnd: ((end: ActorEnd<unknown>) => void) | undefined;
  readonly #owner: Owner;

  constructor(
    owner: Owner,
    { address, actor, chart, flightName }: Pick<Entry, 'address' | 'actor' | 'chart' | 'flightName'>,
    onEnd: Entry['onEnd'],
  ) {
    this.#owner = owner;
    this.address = address;
    this.actor = actor;
    this.chart = chart;
    this.flightName = flightName;
    this.onEnd = onEnd;
  }

  get host(): HostPort {
    return this.#owner.host;
  }

  post(event: EventFromLogic<AnyActorLogic>): void {
    this.#owner.later(() => this.actor.send(event));
  }

  stop(): void {
    this.#owner.later(() => this.actor.stop());
  }

  /** As the observer of its actor: that failed. */
  error(error: unknown): void {
    this.#owner.ended(this, { how: 'crashed', error });
  }

  /** As the observer of its actor: that came to its end, or was stopped. */
  complete(): void {
    const { status, output } = this.actor.getSnapshot();
    this.#owner.ended(this, status === 'done' ? { how: 'done', output } : { how: 'stopped' });
  }
}

/** What an entry asks of the host. */
interface Owner {
  readonly host: HostPort;
  later(task: () => void): void;
  ended(entry: Entry, end: ActorEnd<unknown>): void;
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
  readonly #recorder: FlightRecorder | undefined;
  readonly #entries = new Map<Address, Entry>();
  readonly #charts = new WeakMap<object, Chart>();
  readonly #recordedLogics = new WeakMap<object, AnyActorLogic>();
  /** Hashes of the charts that all present watchers know. */
  readonly #toldCharts = new Set<string>();
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
  readonly #owner: Owner = {
    host: this,
    later: (task) => this.later(task),
    ended: (entry, end) => this.#ended(entry, end),
  };
  readonly #turns = new Turns();

  constructor({ log, clock = systemClock, random = Math.random, recorder }: HostSettings) {
    this.log = log;
    this.random = random;
    this.clock = clock;
    this.#recorder = recorder;
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

  /** Sends an event to the actor at an address; nothing happens if there is none. */
  send(address: Address, event: { type: string }): void {
    this.later(() => this.#entries.get(address)?.actor.send(event as EventFromLogic<AnyActorLogic>));
  }

  start<L extends AnyActorLogic>(logic: L, { address, input, bind, onEnd }: HostOptions<L>): Hosted<L> {
    if (this.#entries.has(address)) throw new Error(`there is an actor at ${address} already`);
    const recorded: AnyActorLogic = this.#recorder ? this.#recorded(logic) : logic;
    const actor = createActor(recorded, { id: address, input, clock: this.#timers });
    const flightName = this.#recorder?.name(address) ?? 0;
    const chart = this.#chartOf(logic);
    const entry = new Entry(this.#owner, { address, actor, chart, flightName }, onEnd as Entry['onEnd']);
    this.#entries.set(address, entry);
    settleActor(actor, entry);
    try {
      bind?.(actor, entry as Hosted<L>);
    } catch (error) {
      this.#entries.delete(address);
      throw error;
    }
    // Before start: an actor whose first step throws has no other way to tell, and would end the process.
    actor.subscribe(entry);
    if (this.feed.watched) {
      this.#watch(entry);
      this.feed.tell(this.#actorRecord(entry));
    }
    this.#turns.queueing(() => actor.start());
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
    const { onEnd } = entry;
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
        at: Date.now(),
        actor: entry.address,
        message: messageOf(end.error),
        stack: stackOf(end.error),
      });
    }
    this.#recorder?.record(
      entry.flightName,
      this.#recorder.name(`(${end.how})`),
      this.#recorder.name(end.how),
    );
    this.#tell({ k: 'stop', at: Date.now(), actor: entry.address, how: end.how });
    entry.unwatch?.();
    if (onEnd) this.later(() => onEnd(end));
  }

  /** The same logic, with each transition noted in the flight recorder; made once for all actors of a logic. */
  #recorded<L extends AnyActorLogic>(logic: L): L {
    const known = this.#recordedLogics.get(logic);
    if (known) return known as L;
    const recorder = this.#recorder!;
    const recorded: L = {
      ...logic,
      transition: (snapshot: unknown, event: { type: string }, scope: { self: { id: string } }) => {
        const next = logic.transition(snapshot as never, event as never, scope as never) as {
          value?: unknown;
          status: string;
        };
        const entry = this.#entries.get(scope.self.id as Address);
        if (!entry) return next;
        const value = next.value ?? next.status;
        if (value !== entry.lastValue) {
          entry.lastValue = value;
          entry.lastState = recorder.name(typeof value === 'string' ? value : JSON.stringify(value));
        }
        recorder.record(entry.flightName, recorder.name(event.type), entry.lastState);
        return next;
      },
    };
    this.#recordedLogics.set(logic, recorded);
    return recorded;
  }

  #tell(record: FeedRecord): void {
    if (this.feed.watched) this.feed.tell(record);
  }

  *#dump(): Iterable<FeedRecord> {
    // From here on a chart is told with its next actor again: this watcher has not heard what the others have.
    this.#toldCharts.clear();
    for (const { chart } of this.#entries.values()) {
      if (!chart || this.#toldCharts.has(chart.hash)) continue;
      this.#toldCharts.add(chart.hash);
      yield { k: 'chart', hash: chart.hash, chart: plainChart(chart.machine) };
    }
    for (const entry of this.#entries.values()) yield this.#actorRecord(entry);
  }

  #actorRecord(entry: Entry): FeedRecord {
    const { address: actor, chart } = entry;
    return {
      k: 'actor',
      at: Date.now(),
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
  }

  /** Follows one actor while somebody watches; XState's inspection costs as much as the transitions themselves. */
  #watch(entry: Entry): void {
    entry.unwatch = inspect(entry.actor, entry.address, entry.chart !== undefined, (record) =>
      this.#tell(record),
    );
    if (entry.chart && !this.#toldCharts.has(entry.chart.hash)) {
      this.#toldCharts.add(entry.chart.hash);
      this.#tell({ k: 'chart', hash: entry.chart.hash, chart: plainChart(entry.chart.machine) });
    }
  }

  #chartOf(logic: AnyActorLogic): Chart | undefined {
    if (!('config' in logic) || typeof logic.config !== 'object' || !('root' in logic)) return undefined;
    const machine = logic as unknown as AnyStateMachine;
    let chart = this.#charts.get(machine.config);
    if (chart === undefined) {
      const hash = createHash('sha1')
        .update(JSON.stringify(plainChart(machine)))
        .digest('hex')
        .slice(0, 16);
      chart = { hash, machine };
      this.#charts.set(machine.config, chart);
    }
    return chart;
  }
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

function stackOf(error: unknown): string | null {
  return error instanceof Error ? (error.stack ?? null) : null;
}

/** A machine's configuration as plain data: what can't be data becomes its name. */
function plainChart(machine: AnyStateMachine): unknown {
  return JSON.parse(
    JSON.stringify(machine.config, (key, value) => {
      if (key === 'context' || key === 'input' || key === 'output' || key === 'types') return undefined;
      return typeof value === 'function' ? value.name || key : value;
    }),
  );
}
