// Simulation: crashes of all kinds in a topology with its real charts, in simulated time, and what they show: gates that never
// open again, crashes that take along more than they should, limits that never trip, stops in the wrong order.
import type { SupervisorSpec } from '../spec/child.ts';
import { SimulatedTree } from './simulated-tree.ts';

export interface SimulationOptions {
  /** How many crashes are to happen in all. */
  readonly crashes: number;
  readonly seed: number;
  /** Called now and then with how many there were. */
  readonly onProgress?: (crashes: number) => void;
}

export interface Finding {
  readonly kind: /** A promise of supervision is broken: an order of stops, a gate, one run at a time. */
    | 'violation'
    /** Somebody waits for what never comes. */
    | 'dead-gate'
    /** One crash, alone, is more than the limits allow. */
    | 'fragile'
    /** A program that always crashes is restarted often, and for ever. */
    | 'restart-storm'
    /** It does not come to its end when it is stopped. */
    | 'stop';
  readonly what: string;
  /** The episode that shows it, for `--episode`. */
  readonly episode: number;
}

/** What crashes mean for one unit. */
export interface UnitFigures {
  readonly unit: string;
  readonly crashes: number;
  /** Milliseconds from a crash, alone, to everything being up again: half of them, and 99 of 100. */
  readonly backMs: { readonly p50: number; readonly p99: number } | null;
  /** Units that restart with it. */
  readonly takesAlong: readonly string[];
  /** What becomes of it if it crashes each time as soon as it is up. */
  readonly loop: Loop;
}

export interface Loop {
  readonly ends: 'failed' | 'tree' | 'never' | 'not-restarted';
  /** Starts until then. */
  readonly starts: number;
  readonly ms: number;
}

export interface Simulation {
  readonly seed: number;
  readonly crashes: number;
  readonly episodes: number;
  readonly starts: number;
  readonly simulatedMs: number;
  readonly units: readonly UnitFigures[];
  /** How long an ordered stop takes, in milliseconds. */
  readonly stopMs: { readonly p50: number; readonly p99: number };
  readonly findings: readonly Finding[];
}

/** Longer than any chain of time-outs and backoffs that ends at all. */
const patienceMs = 3_600_000;
/** So many starts in a row, and nothing has put an end to them. */
const loopMax = 200;
/** More restarts a second than this, for ever, are a storm. */
const stormPerSecond = 1;
/** So many episodes in a row without a crash. */
const idleMax = 100;
/** Of each kind, so many are told. */
const findingsMax = 20;

const incidents = [
  'crash',
  'crash',
  'crash',
  'burst',
  'loop',
  'stillborn',
  'hangs',
  'deaf',
  'order',
  'volley',
] as const;

interface Tally {
  crashes: number;
  readonly backMs: number[];
  readonly along: Set<string>;
}

/** Carries out a simulation. The same seed gives the same, to the millisecond. */
export function simulate(spec: SupervisorSpec, options: SimulationOptions): Simulation {
  return new Run(spec, options).all();
}

/** One episode of a simulation again. @returns what happened in it, line by line. */
export function replay(spec: SupervisorSpec, seed: number, episode: number): readonly string[] {
  const run = new Run(spec, { crashes: Number.POSITIVE_INFINITY, seed });
  return run.episode(episode);
}

class Run {
  readonly #spec: SupervisorSpec;
  readonly #options: SimulationOptions;
  readonly #findings: Finding[] = [];
  readonly #tallies = new Map<string, Tally>();
  readonly #stopMs: number[] = [];
  #crashes = 0;
  #starts = 0;
  #simulatedMs = 0;
  #episode = 0;

  constructor(spec: SupervisorSpec, options: SimulationOptions) {
    this.#spec = spec;
    this.#options = options;
  }

  all(): Simulation {
    const loops = this.#loops();
    let idle = 0;
    // Where nothing is left that could crash, there is no more to see.
    while (this.#crashes < this.#options.crashes && idle < idleMax) {
      const before = this.#crashes;
      this.episode(this.#episode + 1);
      idle = this.#crashes === before ? idle + 1 : 0;
      this.#options.onProgress?.(this.#crashes);
    }
    const units = [...loops].map(([unit, loop]): UnitFigures => {
      const { crashes, backMs, along } = this.#tallyOf(unit);
      return {
        unit,
        crashes,
        backMs: backMs.length === 0 ? null : quantiles(backMs),
        takesAlong: [...along].sort(),
        loop,
      };
    });
    return {
      seed: this.#options.seed,
      crashes: this.#crashes,
      episodes: this.#episode,
      starts: this.#starts,
      simulatedMs: this.#simulatedMs,
      units,
      stopMs: quantiles(this.#stopMs),
      findings: this.#findings,
    };
  }

  /**
   * Up, some incidents, in order down; the first episodes are one crash of one unit each. Each has a seed of its own, so that
   * it can be looked at alone.
   */
  episode(number: number): readonly string[] {
    this.#episode = number;
    const tree = new SimulatedTree(this.#spec, seedOf(this.#options.seed, number));
    const first = [...tree.leaves.keys()][number - 1];
    const starts = this.#settles(tree, 'at its start');
    if (starts && first !== undefined) {
      tree.pass(this.#memoryMs(tree));
      this.#crashAlone(tree, first, true);
    } else if (starts) {
      const rounds = 1 + tree.chance.below(20);
      for (let round = 0; round < rounds && !tree.output && this.#isWhole(tree); round++) {
        // Half of them meet a tree that has forgotten the one before.
        const rested = tree.chance.next() < 0.5;
        tree.pass(rested ? this.#memoryMs(tree) : tree.chance.delay(1, 3_000));
        this.#befall(tree, rested || round === 0);
      }
    }
    if (tree.chance.next() < 0.2) tree.pass(tree.chance.delay(1, 1_000));
    this.#end(tree);
    return tree.happened;
  }

  #befall(tree: SimulatedTree, alone: boolean): void {
    const running = tree.running;
    if (running.length === 0) return;
    const unit = tree.chance.of(running);
    switch (tree.chance.of(incidents)) {
      case 'crash':
        return this.#crashAlone(tree, unit, alone);
      case 'burst':
        for (let left = 1 + tree.chance.below(4); left > 0; left--)
          this.#crash(tree, tree.chance.of(running));
        break;
      case 'loop':
        for (let left = 1 + tree.chance.below(5); left > 0; left--)
          tree.plant(unit, { kind: 'short-lived', afterMs: tree.chance.delay(1, 500) });
        this.#crash(tree, unit);
        break;
      case 'stillborn':
      case 'hangs':
        tree.plant(unit, { kind: tree.chance.next() < 0.5 ? 'stillborn' : 'hangs' });
        this.#crash(tree, unit);
        break;
      case 'deaf':
        tree.plant(unit, { kind: 'deaf' });
        this.#crash(tree, unit);
        break;
      case 'volley':
        for (let left = 2 + tree.chance.below(4); left > 0; left--) {
          this.#crash(tree, tree.chance.of([...tree.leaves.keys()]));
          tree.pass(tree.chance.delay(1, 1_000));
        }
        break;
      case 'order':
        tree.order(
          unit,
          tree.chance.next() < 0.5 ? { type: 'restart', reason: 'a new release' } : { type: 'reload' },
        );
        if (tree.chance.next() < 0.5) {
          tree.pass(tree.chance.delay(1, 500));
          this.#crash(tree, unit);
        }
        break;
    }
    this.#settles(tree, `after something befell ${unit}`);
    tree.heal();
  }

  /** One program dies while everything is well: the case that every topology must stand. */
  #crashAlone(tree: SimulatedTree, unit: string, alone: boolean): void {
    const at = tree.now();
    const before = new Map(tree.upSince);
    this.#crash(tree, unit);
    if (!this.#settles(tree, `after a crash of ${unit}`) || !alone) return;
    const { restart } = tree.leaves.get(unit)!.child;
    if (tree.output) {
      if (!this.#mayEnd(unit))
        this.#find('fragile', `one crash of ${unit} ends the tree: ${tree.output.reason}`);
      return;
    }
    const down = [...tree.leaves.keys()].filter(
      (name) => tree.phaseOf(name) === 'failed' || tree.phaseOf(name) === 'skipped',
    );
    if (down.length > 0 && restart !== 'temporary') {
      const whom = down.map((name) => `${name} ${tree.phaseOf(name)}`).join(', ');
      this.#find('fragile', `one crash of ${unit} leaves ${whom}`);
      return;
    }
    const tally = this.#tallyOf(unit);
    const again = [...tree.upSince].filter(
      ([name, since]) => since > at && before.get(name) !== since && tree.leaves.has(name),
    );
    if (again.length === 0) return;
    tally.backMs.push(Math.max(...again.map(([, since]) => since)) - at);
    for (const [name] of again) if (name !== unit) tally.along.add(name);
  }

  #crash(tree: SimulatedTree, unit: string): void {
    if (!tree.crash(unit)) return;
    this.#crashes++;
    this.#tallyOf(unit).crashes++;
  }

  /** Waits for peace; who is not up then waits for what never comes. */
  #settles(tree: SimulatedTree, when: string): boolean {
    const settled = tree.settle(patienceMs);
    if (tree.output) return settled;
    const names = [...tree.leaves.keys()];
    // Whoever has failed, or is not to be restarted, explains it; nothing else does.
    if (names.some((name) => tree.phaseOf(name) === 'failed' || tree.phaseOf(name) === 'removed'))
      return settled;
    const stuck = names.filter((name) => {
      const phase = tree.phaseOf(name);
      return phase === 'skipped' || (!settled && phase === 'blocked');
    });
    if (stuck.length > 0) {
      const whom = stuck.map((name) => `${name}: ${tree.noteOf(name) ?? tree.phaseOf(name)}`).join('; ');
      this.#find('dead-gate', `${whom}, for ever, ${when}`);
    }
    return settled;
  }

  #isWhole(tree: SimulatedTree): boolean {
    return [...tree.leaves].every(
      ([name, { behavior }]) => tree.phaseOf(name) === 'up' || behavior.completes,
    );
  }

  #end(tree: SimulatedTree): void {
    const { output } = tree;
    const tookMs = tree.stop(patienceMs);
    if (tookMs === undefined) this.#find('stop', 'it does not come to its end when it is stopped');
    else if (!output) this.#stopMs.push(tookMs);
    for (const what of tree.violations) this.#find('violation', what);
    this.#starts += tree.starts;
    this.#simulatedMs += tree.now();
  }

  /** For each unit: it crashes each time as soon as it is up. */
  #loops(): Map<string, Loop> {
    const names = [...new SimulatedTree(this.#spec, 1).leaves.keys()];
    return new Map(
      names.map((name) => {
        const tree = new SimulatedTree(this.#spec, seedOf(this.#options.seed, 0));
        tree.settle(patienceMs);
        for (let left = loopMax; left > 0; left--) tree.plant(name, { kind: 'short-lived', afterMs: 10 });
        const [from, starts] = [tree.now(), tree.starts];
        const ran = tree.crash(name);
        tree.settle(24 * patienceMs);
        const ms = tree.now() - from;
        const loop: Loop = { ends: this.#endOf(tree, name, ran), starts: tree.starts - starts, ms };
        const perSecond = loop.starts / (ms / 1_000);
        if (loop.ends === 'never' && perSecond > stormPerSecond) {
          const often = perSecond.toFixed(1);
          this.#find(
            'restart-storm',
            `${name} is restarted for ever if it keeps crashing, ${often} times a second`,
            0,
          );
        }
        return [name, loop];
      }),
    );
  }

  #endOf(tree: SimulatedTree, name: string, ran: boolean): Loop['ends'] {
    if (tree.output) return 'tree';
    if (!ran) return 'not-restarted';
    const phase = tree.phaseOf(name);
    if (phase === 'failed' || phase === 'skipped') return 'failed';
    if (phase === 'removed' || phase === 'completed') return 'not-restarted';
    return 'never';
  }

  /** Whether the spec wants a crash of that unit to end what it stands in. */
  #mayEnd(name: string): boolean {
    let spec: SupervisorSpec = this.#spec;
    for (const id of name.split('/')) {
      const child = spec.children[id]!;
      if (spec.intensity === 0 || child.significant) return true;
      spec = child as unknown as SupervisorSpec;
    }
    return false;
  }

  /** After so long in peace, limits and delays start anew. */
  #memoryMs(tree: SimulatedTree): number {
    const children = [...tree.leaves.values()].map(({ child }) =>
      Math.max(child.giveUp.periodMs, child.stableMs),
    );
    return Math.max(...children, ...periodsOf(this.#spec)) + 1_000;
  }

  #tallyOf(unit: string): Tally {
    const known = this.#tallies.get(unit);
    if (known) return known;
    const tally: Tally = { crashes: 0, backMs: [], along: new Set() };
    this.#tallies.set(unit, tally);
    return tally;
  }

  #find(kind: Finding['kind'], what: string, episode = this.#episode): void {
    const same = this.#findings.filter((each) => each.kind === kind);
    if (same.length >= findingsMax || same.some((each) => each.what === what)) return;
    this.#findings.push({ kind, what, episode });
  }
}

function periodsOf(spec: SupervisorSpec): number[] {
  const nested = Object.values(spec.children).filter((child) => child.kind === 'supervisor');
  return [
    spec.periodMs,
    ...nested.flatMap((child) => [
      child.stableMs,
      child.giveUp.periodMs,
      ...periodsOf(child as unknown as SupervisorSpec),
    ]),
  ];
}

function seedOf(seed: number, episode: number): number {
  return Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(episode + 1, 0x85ebca6b);
}

function quantiles(values: readonly number[]): { p50: number; p99: number } {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}
