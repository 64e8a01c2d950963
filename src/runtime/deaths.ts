// Deaths: what is left of the last lives of each unit: how they ended, what their machines did last, and their last lines. Kept whether
// anybody watches or not.
import type { Exit } from '../machines/exit.ts';
import type { FlightRecord } from '../transport/flight-recorder.ts';
import type { UnitLine } from './unit-line.ts';

export interface Death {
  /** Path below the root. */
  readonly unit: string;
  readonly incarnation: number;
  readonly pid: number | null;
  readonly endedAtMs: number;
  readonly exit: Exit;
  readonly verdict: string;
  /** The last named state. */
  readonly state: string | null;
  readonly flight: readonly FlightRecord[];
  readonly lines: readonly UnitLine[];
  /** Nobody has asked for it, and it was no good end. */
  readonly unwanted: boolean;
}

/** Of each unit. */
const deathsMax = 5;
/** A tree may have had very many units, as those of a pool. */
const unitsMax = 1_000;
const lineMax = 1_024;

export class Deaths {
  readonly #deaths = new Map<string, Death[]>();
  readonly #states = new Map<string, string>();
  readonly #listeners = new Set<(death: Death) => void>();

  /** The last ones of a unit, the newest first. */
  of(unit: string): readonly Death[] {
    return this.#deaths.get(unit) ?? [];
  }

  /** Remembers the named state of a unit for its end. */
  noteState(unit: string, state: string | null): void {
    if (state !== null) this.#states.set(unit, state);
  }

  add(death: Omit<Death, 'state'>): void {
    const { unit, lines } = death;
    const full: Death = {
      ...death,
      state: this.#states.get(unit) ?? null,
      lines: lines.map((each) => ({ ...each, line: each.line.slice(0, lineMax) })),
    };
    this.#states.delete(unit);
    const known = this.#deaths.get(unit) ?? [];
    this.#deaths.delete(unit);
    this.#deaths.set(unit, [full, ...known.slice(0, deathsMax - 1)]);
    if (this.#deaths.size > unitsMax) {
      const [oldest] = this.#deaths.keys();
      this.#deaths.delete(oldest!);
    }
    for (const listener of this.#listeners) listener(full);
  }

  /** Calls back at each end from now on. @returns how to stop. */
  follow(listener: (death: Death) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}
