// Observation: what is known of a process: whether it is ready, whether it lives, and its named state, as it says itself or
// as it is recognised from outside.
import { IpcError, messageOf } from '../errors.ts';
import { type Address, addressOf } from '../names.ts';
import { type Condition, type ConditionFacts, parseCondition } from '../spec/condition.ts';
import type { Fingerprint } from '../spec/fingerprint.ts';
import { isRecognised, type Probe, type ProcessRules, recognitionPeriodMs } from '../spec/probe.ts';
import type { ProcessPlace } from '../workspace/fingerprint.ts';
import type { Host } from './hosting.ts';
import type { Lookout } from './lookout.ts';
import { type Look, listens, type RunningProbe, startProbe } from './probe.ts';
import { Recognition } from './recognition.ts';

export interface Observer {
  /** Where the actors of its probes stand. */
  readonly address: Address;
  /** Asks for a sign of life on the control socket. */
  readonly ask: Look;
  /** What programs that look at it get. */
  readonly env: () => NodeJS.ProcessEnv;
  ready(): void;
  state(state: string): void;
  unhealthy(why: string): void;
  /** Something can't be recognised. */
  doubt(why: string): void;
}

/** Rules of a process, and what else decides how it is looked at. */
export type ObservedRules = ProcessRules & {
  readonly kind: 'node' | 'exec';
  readonly cwd: string;
  /** The state of a program of which nothing else is recognised. */
  readonly otherwise?: string | undefined;
};

/** The state of one whose probes recognise none of those that it has. */
const unrecognised = 'unrecognised';
/** The state of a plain program that is ready, if nobody can say what it does. */
const operative = 'operative';

/** So much may be recognised before it is known to run. */
const earlyMax = 100;

interface LinePattern {
  readonly by: Probe;
  readonly pattern: RegExp;
  readonly onMatch: () => void;
}

export class Observation {
  readonly #host: Host;
  readonly #lookout: Lookout;
  #rules: ObservedRules;
  readonly #observer: Observer;
  #patterns: LinePattern[] = [];
  readonly #probes: RunningProbe[] = [];
  /** Named states that hold, as far as their probes can say. */
  readonly #holding = new Set<string>();
  #state: string | undefined;
  /** It has said itself in which state it is; from then on nobody else does. */
  #spoken = false;
  #health: ConditionFacts['health'] = 'unknown';
  #place: ProcessPlace | undefined;
  #beganAtMs = 0;
  #recognition: Recognition | undefined;
  #readiness: RunningProbe | undefined;
  #liveness: RunningProbe | undefined;
  readonly #early: (() => void)[] = [];
  #begun = false;
  #over = false;
  #isReady = false;

  constructor(tree: { host: Host; lookout: Lookout }, rules: ObservedRules, observer: Observer) {
    this.#host = tree.host;
    this.#lookout = tree.lookout;
    this.#rules = rules;
    this.#observer = observer;
    this.#hear(rules.ready, () => this.#ready());
    this.#hear(rules.liveness, () => this.#liveness?.heard());
    this.#hearStates();
  }

  /** Whether its output tells anything. */
  get hearsLines(): boolean {
    return this.#patterns.length > 0;
  }

  /** The process is there. */
  begin(place: ProcessPlace): void {
    if (this.#begun || this.#over) return;
    this.#begun = true;
    this.#place = place;
    this.#beganAtMs = this.#host.clock.now();
    // What it wrote may be read before it is told that it runs.
    for (const tell of this.#early.splice(0)) tell();
    const { ready } = this.#rules;
    if (ready.by.kind === 'spawned') this.#ready();
    else if (ready.by.kind !== 'reported' && !listens(ready.by)) {
      this.#readiness = this.#probe('ready', ready, (holds) => {
        if (holds) this.#ready();
      });
    }
    this.#lookForStates();
  }

  /** It says itself in which state it is. @param implied nobody has said so, but it does its work. */
  says(state: string, implied: boolean): void {
    if (implied && this.#hasStates) return;
    if (!implied) this.#spoken = true;
    this.#tell(state);
  }

  /** Other named states are to be recognised, from now on. */
  change({ states, otherwise }: Pick<ObservedRules, 'states' | 'otherwise'>): void {
    const { states: former, otherwise: before } = this.#rules;
    this.#rules = { ...this.#rules, states, otherwise };
    // Every unit is told of every change of the topology.
    if (this.#over || (before === otherwise && JSON.stringify(former) === JSON.stringify(states))) return;
    this.#patterns = this.#patterns.filter(({ by }) => !Object.values(former).includes(by));
    this.#hearStates();
    for (const name of [...this.#holding])
      if (JSON.stringify(states[name]) !== JSON.stringify(former[name])) this.#holding.delete(name);
    if (!this.#begun) return;
    this.#stopLookingForStates();
    this.#lookForStates();
    if (!this.#hasStates && this.#isReady) this.#imply();
  }

  /**
   * Looks whether a condition holds of it, now and whenever that may have changed.
   * @param onAnswer gets why it can't be told, if it can't.
   * @returns how to stop; undefined if the process is not there.
   */
  follow(condition: Condition, onAnswer: (holds: boolean, why?: string) => void): (() => void) | undefined {
    if (!this.#place || this.#over) return undefined;
    return this.#lookout.follow({
      place: this.#place,
      keys: condition.keys,
      periodMs: recognitionPeriodMs,
      onLook: (seen) => onAnswer(...this.#judge(condition, seen)),
    });
  }

  /** What a condition may name beside the fingerprint. */
  get facts(): Omit<ConditionFacts, 'fp'> {
    const uptimeMs = this.#begun ? this.#host.clock.now() - this.#beganAtMs : 0;
    return { state: this.#state ?? '', health: this.#health, uptimeMs };
  }

  /** Who belongs to it; undefined while it is not there. */
  get place(): ProcessPlace | undefined {
    return this.#over ? undefined : this.#place;
  }

  /** It says itself that it is ready. */
  reported(): void {
    if (this.#rules.ready.by.kind === 'reported') this.#ready();
  }

  /** A line that it wrote. */
  line(line: string): void {
    for (const { pattern, onMatch } of this.#patterns) if (pattern.test(line)) onMatch();
  }

  /** It wrote to the descriptor that is for this. */
  notified(): void {
    const { ready, liveness } = this.#rules;
    if (ready.by.kind === 'notify-fd') this.#ready();
    if (liveness.by.kind === 'notify-fd') this.#liveness?.heard();
  }

  end(): void {
    this.#over = true;
    this.#early.length = 0;
    this.#readiness?.stop();
    this.#liveness?.stop();
    this.#stopLookingForStates();
  }

  get #hasStates(): boolean {
    return Object.keys(this.#rules.states).length > 0;
  }

  #hear(probe: Probe, onMatch: () => void): void {
    const { by } = probe;
    if (by.kind !== 'log') return;
    this.#patterns.push({ by: probe, pattern: new RegExp(by.source, by.flags), onMatch });
  }

  #hearStates(): void {
    for (const [name, probe] of Object.entries(this.#rules.states))
      this.#hear(probe, () => this.#enter(name));
  }

  #lookForStates(): void {
    const { states } = this.#rules;
    for (const [name, probe] of Object.entries(states))
      if (!listens(probe.by) && !isRecognised(probe.by))
        this.#probes.push(
          this.#probe(name, probe, (holds) => {
            if (holds) this.#holding.add(name);
            else this.#holding.delete(name);
            this.#tellState();
          }),
        );
    this.#recognition = new Recognition(states, {
      lookout: this.#lookout,
      place: this.#place!,
      facts: () => this.facts,
      onChange: (holding) => {
        for (const [name, { by }] of Object.entries(this.#rules.states))
          if (holding.has(name)) this.#holding.add(name);
          else if (isRecognised(by)) this.#holding.delete(name);
        this.#tellState();
      },
      onDoubt: (why) => this.#observer.doubt(why),
    });
  }

  #stopLookingForStates(): void {
    for (const probe of this.#probes.splice(0)) probe.stop();
    this.#recognition?.stop();
    this.#recognition = undefined;
  }

  #judge(condition: Condition, seen: Fingerprint | IpcError): [holds: boolean, why?: string] {
    if (seen instanceof IpcError) return [false, seen.message];
    try {
      return [condition.holds({ fp: seen, ...this.facts })];
    } catch (error) {
      return [false, messageOf(error)];
    }
  }

  #ready(): void {
    if (this.#isReady || this.#over) return;
    if (!this.#begun) {
      if (this.#early.length < earlyMax) this.#early.push(() => this.#ready());
      return;
    }
    this.#isReady = true;
    this.#readiness?.stop();
    this.#readiness = undefined;
    if (!this.#hasStates) this.#imply();
    this.#observer.ready();
    const { liveness } = this.#rules;
    if (liveness.by.kind === 'spawned') return;
    this.#liveness = this.#probe('liveness', liveness, (holds, why) => {
      this.#health = holds ? 'healthy' : 'unhealthy';
      if (!holds) this.#observer.unhealthy(`its liveness probe failed: ${why}`);
    });
  }

  /** Of a plain program nobody else can say what it does. */
  #imply(): void {
    if (this.#rules.kind === 'exec') this.#tell(this.#rules.otherwise ?? operative);
  }

  /** By its log it is in one state at a time. */
  #enter(name: string): void {
    if (!this.#begun) {
      if (!this.#over && this.#early.length < earlyMax) this.#early.push(() => this.#enter(name));
      return;
    }
    for (const [other, { by }] of Object.entries(this.#rules.states))
      if (by.kind === 'log') this.#holding.delete(other);
    this.#holding.add(name);
    this.#tellState();
  }

  #tellState(): void {
    const names = Object.keys(this.#rules.states).filter((name) => this.#holding.has(name));
    const { otherwise } = this.#rules;
    const state = names.at(-1) ?? (this.#state === undefined ? otherwise : (otherwise ?? unrecognised));
    if (state !== undefined && !this.#spoken && !this.#over) this.#tell(state);
  }

  #tell(state: string): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#observer.state(state);
  }

  #probe(name: string, probe: Probe, onChange: (holds: boolean, why: string) => void): RunningProbe {
    const { address, ask, env } = this.#observer;
    return startProbe(this.#host, probe, {
      address: addressOf(address, name),
      cwd: this.#rules.cwd,
      env,
      ask,
      see: (text) => this.#lookAt(parseCondition(text)),
      onReport: (report) =>
        onChange(report.type === 'probe.passed', report.type === 'probe.failed' ? report.why : ''),
    });
  }

  /** One look at a condition. */
  #lookAt(condition: Condition): Look {
    return (answer) => {
      const unfollow = this.follow(condition, (holds, why) => {
        unfollow?.();
        answer(holds ? undefined : (why ?? `${condition.text} does not hold`));
      });
      if (!unfollow) answer('the process is not there');
      return () => unfollow?.();
    };
  }
}
