// Simulation: a machine as a running actor in simulated time, with every effect recorded and none carried out.
import {
  type Actor,
  type AnyStateMachine,
  createActor,
  type EventFromLogic,
  fromCallback,
  type InputFrom,
  type SnapshotFrom,
} from 'xstate';
import { SimulatedClock } from '../../../src/machines/clock.ts';
import { placeholders } from './chart.ts';
import { stateOf } from './step.ts';

/** What happened: when, which effect or which order to a child, and with what. */
export type Happening = readonly [atMs: number, what: string, params?: unknown];

export class Simulation<M extends AnyStateMachine> {
  readonly clock = new SimulatedClock();
  readonly happenings: Happening[] = [];
  readonly actor: Actor<AnyStateMachine>;
  error: unknown;
  #sendBack: ((event: EventFromLogic<M>) => void) | undefined;

  constructor(machine: M, input: InputFrom<M>, begin: readonly EventFromLogic<M>[] = []) {
    const { actions, actors } = placeholders(machine);
    const provided: AnyStateMachine = machine.provide({
      actions: Object.fromEntries(
        actions.map((name) => [name, (_: unknown, params: unknown) => this.#record(name, params)]),
      ),
      actors: Object.fromEntries(actors.map((name) => [name, this.#child(name)])),
    });
    this.actor = createActor(provided, { input, clock: this.clock });
    this.actor.subscribe({
      error: (error) => {
        this.error = error;
      },
    });
    this.actor.start();
    for (const event of begin) this.send(event);
  }

  get state(): string {
    return stateOf(this.snapshot);
  }

  get snapshot(): SnapshotFrom<M> {
    return this.actor.getSnapshot() as SnapshotFrom<M>;
  }

  send(event: EventFromLogic<M>): this {
    this.actor.send(event);
    return this;
  }

  /** As what the machine has invoked would. */
  sendBack(event: EventFromLogic<M>): this {
    this.#sendBack!(event);
    return this;
  }

  pass(ms: number): this {
    this.clock.advance(ms);
    return this;
  }

  /** What happened of that name, and when. */
  times(what: string): number[] {
    return this.happenings.filter(([, name]) => name === what).map(([atMs]) => atMs);
  }

  /** The names alone, without those that are of no interest. */
  names(...without: string[]): string[] {
    return this.happenings.map(([, name]) => name).filter((name) => !without.includes(name));
  }

  /** What the effect of that name was given. */
  given(what: string): unknown[] {
    return this.happenings.filter(([, name]) => name === what).map(([, , params]) => params);
  }

  #record(what: string, params?: unknown): void {
    this.happenings.push(params === undefined ? [this.clock.now(), what] : [this.clock.now(), what, params]);
  }

  #child(name: string) {
    return fromCallback<EventFromLogic<M>, unknown>(({ input, sendBack, receive }) => {
      this.#record(`${name} begins`, input);
      this.#sendBack = sendBack;
      receive(({ type }) => this.#record(`${name}: ${type}`));
      return () => this.#record(`${name} is left`);
    });
  }
}

/** Starts one. */
export function simulate<M extends AnyStateMachine>(
  machine: M,
  input: InputFrom<M>,
  ...events: EventFromLogic<M>[]
): Simulation<M> {
  return new Simulation(machine, input, events);
}
