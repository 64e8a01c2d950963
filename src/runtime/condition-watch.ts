// Condition watch: whether a condition holds of a unit, whichever process is the unit's just now. What the tree tells by itself
// is not looked for.
import type { Observation } from '../actors/observation.ts';
import { messageOf } from '../errors.ts';
import type { UnitView } from '../machines/unit-view.ts';
import type { Condition } from '../spec/condition.ts';
import { emptyFingerprint } from '../spec/fingerprint.ts';

export class ConditionWatch {
  readonly #condition: Condition;
  readonly #observation: () => Observation | undefined;
  readonly #onHold: () => void;
  #followed: Observation | undefined;
  #unfollow: (() => void) | undefined;
  #holds = false;
  /** Why it could not be told, at the last look. */
  why: string | undefined;

  /**
   * @param observation that of the present process.
   * @param onHold called when a look shows that it holds.
   */
  constructor(condition: Condition, observation: () => Observation | undefined, onHold: () => void) {
    this.#condition = condition;
    this.#observation = observation;
    this.#onHold = onHold;
  }

  /** Whether it holds now, as far as is known. To be asked again whenever the unit changes. */
  holdsOf({ phase, state }: UnitView): boolean {
    const runs = phase === 'starting' || phase === 'up';
    if (this.#condition.needsLook) {
      this.#follow(runs ? this.#observation() : undefined);
      return this.#holds;
    }
    try {
      const facts = { fp: emptyFingerprint, state: state ?? '', health: 'unknown', uptimeMs: 0 } as const;
      return runs && this.#condition.holds(facts);
    } catch (error) {
      this.why = messageOf(error);
      return false;
    }
  }

  stop(): void {
    this.#follow(undefined);
  }

  #follow(observation: Observation | undefined): void {
    if (observation === this.#followed) return;
    this.#unfollow?.();
    this.#holds = false;
    this.#unfollow = observation?.follow(this.#condition, (holds, why) => {
      this.#holds = holds;
      this.why = why;
      if (holds) this.#onHold();
    });
    this.#followed = this.#unfollow && observation;
  }
}
