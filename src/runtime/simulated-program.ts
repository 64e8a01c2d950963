// Simulated program: what a unit runs in a simulation. It starts, comes up, reports its states and ends as programs do, in
// simulated time, and as badly as the simulation wants it to.
import type { IncarnationEvent, IncarnationOrder } from '../machines/incarnation.ts';
import type { Address } from '../names.ts';
import type { Chance } from './chance.ts';

/** What is wrong with a run. */
export type Fault =
  /** It dies before it is ready. */
  | { readonly kind: 'stillborn' }
  /** It never becomes ready. */
  | { readonly kind: 'hangs' }
  /** It dies so long after it was ready. */
  | { readonly kind: 'short-lived'; readonly afterMs: number }
  /** Only SIGKILL ends it. */
  | { readonly kind: 'deaf' };

/** How a program behaves. */
export interface Behavior {
  /** The states that it reports once it is ready, in this order. */
  readonly states: readonly string[];
  /** Whether its work is done at some time, and it ends with code 0. */
  readonly completes: boolean;
  readonly fault: Fault | undefined;
}

/** Milliseconds that things take, from the fastest to the slowest seen with real programs. */
const takes = {
  spawn: [1, 20],
  ready: [20, 500],
  state: [1, 300],
  work: [100, 2_000],
  stop: [1, 200],
  empty: [1, 10],
} as const;

/** What a program needs of the world that it runs in. */
export interface Surroundings {
  readonly chance: Chance;
  now(): number;
  after(ms: number, what: () => void): void;
  /** Something about it can be seen from outside. */
  seen(program: SimulatedProgram, what: string): void;
}

export class SimulatedProgram {
  readonly unit: Address;
  /** Nothing of it is left. */
  over = false;
  /** The state that it has reported last. */
  state: string | null = null;
  ready = false;
  epoch: number;
  readonly #world: Surroundings;
  readonly #behavior: Behavior;
  readonly #tell: (event: IncarnationEvent) => void;
  #ended = false;
  #stopping = false;

  constructor(
    world: Surroundings,
    unit: Address,
    epoch: number,
    behavior: Behavior,
    tell: (event: IncarnationEvent) => void,
  ) {
    this.unit = unit;
    this.epoch = epoch;
    this.#world = world;
    this.#behavior = behavior;
    this.#tell = tell;
  }

  /** It will end by itself. */
  get doomed(): boolean {
    return !this.#ended && (this.#behavior.completes || this.#behavior.fault?.kind === 'short-lived');
  }

  begin(pid: number): void {
    const { fault } = this.#behavior;
    this.#world.seen(this, 'starts');
    this.#in('spawn', () => {
      this.#tell({ type: 'incarnation.spawned', epoch: this.epoch, pid, atMs: this.#world.now() });
      if (fault?.kind === 'hangs') return;
      this.#in('ready', () => (fault?.kind === 'stillborn' ? this.crash() : this.#becomeReady()));
    });
  }

  /** Ends by itself and badly. */
  crash(): void {
    this.#end(1, null);
  }

  obey({ type }: IncarnationOrder): void {
    const deaf = this.#behavior.fault?.kind === 'deaf';
    switch (type) {
      case 'ask':
      case 'terminate':
        if (!this.#stopping) this.#world.seen(this, 'is told to stop');
        this.#stopping = true;
        if (deaf) return;
        this.#in('stop', () => (type === 'ask' ? this.#end(0, null) : this.#end(null, 'SIGTERM')));
        return;
      case 'kill':
        this.#stopping = true;
        this.#in('empty', () => this.#end(null, 'SIGKILL'));
        return;
      case 'replace':
        this.#in('ready', () => this.#replaced());
        return;
      default:
        // Signals and news of others change nothing in what it does.
        return;
    }
  }

  #becomeReady(): void {
    this.ready = true;
    this.#tell({ type: 'incarnation.ready', epoch: this.epoch, atMs: this.#world.now() });
    this.#world.seen(this, 'is ready');
    this.#report(0);
    const { fault } = this.#behavior;
    if (fault?.kind === 'short-lived') this.#world.after(fault.afterMs, () => this.crash());
    if (this.#behavior.completes) this.#in('work', () => this.#end(0, null));
  }

  #report(index: number): void {
    const state = this.#behavior.states[index];
    if (state === undefined || this.#ended) return;
    this.state = state;
    this.#tell({ type: 'incarnation.reported', epoch: this.epoch, state });
    this.#world.seen(this, `is ${state}`);
    this.#in('state', () => this.#report(index + 1));
  }

  #replaced(): void {
    if (this.#ended || this.#stopping) return;
    const epoch = this.epoch++;
    this.#world.seen(this, 'is replaced');
    this.#tell({
      type: 'incarnation.replaced',
      epoch,
      next: this.epoch,
      pid: this.epoch,
      atMs: this.#world.now(),
    });
    // A successor has reported before it replaces anybody.
    if (this.state !== null)
      this.#tell({ type: 'incarnation.reported', epoch: this.epoch, state: this.state });
  }

  #end(code: number | null, signal: string | null): void {
    if (this.#ended) return;
    this.#ended = true;
    this.ready = false;
    this.state = null;
    this.#world.seen(this, `ends with ${signal ?? `code ${code}`}`);
    this.#tell({ type: 'incarnation.exited', epoch: this.epoch, code, signal, atMs: this.#world.now() });
    this.#in('empty', () => {
      this.over = true;
      this.#tell({ type: 'incarnation.emptied', epoch: this.epoch, atMs: this.#world.now() });
    });
  }

  #in(what: keyof typeof takes, then: () => void): void {
    const [least, most] = takes[what];
    const over = what === 'empty';
    this.#world.after(this.#world.chance.delay(least, most), () => {
      if (over || !this.#ended) then();
    });
  }
}
