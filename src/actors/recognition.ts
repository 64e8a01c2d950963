// Recognition: in which of its named states a process is, by what it has open: one look for all of them, at conditions and at
// the fingerprints that were saved of states.
import { IpcError, messageOf } from '../errors.ts';
import { type Condition, type ConditionFacts, parseCondition } from '../spec/condition.ts';
import { type Fingerprint, type FingerprintKey, likeliest, tellingKeys } from '../spec/fingerprint.ts';
import { isRecognised, type Probe } from '../spec/probe.ts';
import type { ProcessPlace } from '../workspace/fingerprint.ts';
import { FingerprintFile } from '../workspace/fingerprint-file.ts';
import type { Lookout } from './lookout.ts';

export interface RecognitionOptions {
  readonly lookout: Lookout;
  readonly place: ProcessPlace;
  /** What else a condition may name. */
  readonly facts: () => Omit<ConditionFacts, 'fp'>;
  /** Gets the states that hold, after the first look and at each change. */
  readonly onChange: (holding: ReadonlySet<string>) => void;
  /** Why something can't be told; each reason once. */
  readonly onDoubt: (why: string) => void;
}

const none: ReadonlySet<string> = new Set();

export class Recognition {
  readonly #options: RecognitionOptions;
  readonly #conditions = new Map<string, Condition>();
  readonly #files = new Map<string, FingerprintFile>();
  /** So many looks in a row that recognise nothing mean that a state has been left. */
  readonly #patience: ReadonlyMap<string, number>;
  readonly #doubts = new Set<string>();
  readonly #unfollow: () => void;
  /** Undefined before the first look. */
  #holding: ReadonlySet<string> | undefined;
  #missed = 0;

  constructor(states: Readonly<Record<string, Probe>>, options: RecognitionOptions) {
    this.#options = options;
    const mine = Object.entries(states).filter(([, { by }]) => isRecognised(by));
    const keys = new Set<FingerprintKey>();
    for (const [name, { by }] of mine) {
      if (by.kind === 'condition') this.#conditions.set(name, parseCondition(by.text));
      if (by.kind === 'fingerprint') this.#files.set(name, new FingerprintFile(by.file));
    }
    for (const condition of this.#conditions.values()) for (const key of condition.keys) keys.add(key);
    if (this.#files.size > 0) for (const key of tellingKeys) keys.add(key);
    this.#patience = new Map(mine.map(([name, { failures }]) => [name, failures]));
    this.#unfollow =
      mine.length === 0
        ? () => {}
        : options.lookout.follow({
            place: options.place,
            keys,
            periodMs: Math.min(...mine.map(([, { periodMs }]) => periodMs)),
            onLook: (seen) => this.#onLook(seen),
          });
  }

  stop(): void {
    this.#unfollow();
  }

  #onLook(seen: Fingerprint | IpcError): void {
    if (seen instanceof IpcError) {
      this.#doubt(seen.message);
      return this.#take(none);
    }
    const holding = new Set<string>();
    const alike = this.#likeliest(seen);
    // In their order, by which the last one counts.
    for (const name of this.#patience.keys()) {
      const condition = this.#conditions.get(name);
      if (condition ? this.#holds(name, condition, seen) : name === alike) holding.add(name);
    }
    this.#take(holding);
  }

  /** A file that opens for a moment makes another fingerprint; so a state lasts until another one holds, or none for a while. */
  #take(holding: ReadonlySet<string>): void {
    const before = this.#holding;
    if (before && before.size > 0 && holding.size === 0) {
      const patience = Math.max(...[...before].map((name) => this.#patience.get(name)!));
      if (++this.#missed < patience) return;
    } else this.#missed = 0;
    if (before && isSame(holding, before)) return;
    this.#holding = holding;
    this.#options.onChange(holding);
  }

  #holds(name: string, condition: Condition, fp: Fingerprint): boolean {
    try {
      return condition.holds({ fp, ...this.#options.facts() });
    } catch (error) {
      this.#doubt(`state ${name}: ${messageOf(error)}`);
      return false;
    }
  }

  #likeliest(seen: Fingerprint): string | undefined {
    const known = new Map<string, Fingerprint>();
    for (const [name, file] of this.#files) {
      const content = file.read();
      if (content instanceof IpcError) this.#doubt(`state ${name}: ${content.message}`);
      else known.set(name, content);
    }
    return likeliest(seen, known);
  }

  #doubt(why: string): void {
    if (this.#doubts.has(why) || this.#doubts.size >= doubtsMax) return;
    this.#doubts.add(why);
    this.#options.onDoubt(why);
  }
}

/** Reasons may differ without end, as the value in them does. */
const doubtsMax = 10;

function isSame(one: ReadonlySet<string>, other: ReadonlySet<string>): boolean {
  return one.size === other.size && [...one].every((name) => other.has(name));
}
