// Observation: what is recognised of a process from outside: whether it is ready, whether it lives, and its named state.
import { type Address, addressOf } from '../names.ts';
import type { Probe, ProcessRules } from '../spec/probe.ts';
import type { Host } from './hosting.ts';
import { type Look, listens, type RunningProbe, startProbe } from './probe.ts';

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
}

/** The state of one whose probes recognise none of those that it has. */
const unrecognised = 'unrecognised';
/** The state of a plain program that is ready, if nobody can say what it does. */
export const operative = 'operative';

/** What else a process is said to be in. */
export function otherwiseOf(rules: object): string | undefined {
  return (rules as { otherwise?: string }).otherwise;
}

/** So much may be recognised before it is known to run. */
const earlyMax = 100;

interface LinePattern {
  readonly pattern: RegExp;
  readonly onMatch: () => void;
}

export class Observation {
  readonly #host: Host;
  readonly #rules: ProcessRules & { readonly cwd: string };
  readonly #observer: Observer;
  readonly #patterns: LinePattern[] = [];
  readonly #probes: RunningProbe[] = [];
  /** Named states that hold, as far as their probes can say. */
  readonly #holding = new Set<string>();
  #state: string | undefined;
  #readiness: RunningProbe | undefined;
  #liveness: RunningProbe | undefined;
  readonly #early: (() => void)[] = [];
  #begun = false;
  #over = false;
  #isReady = false;

  constructor(host: Host, rules: ProcessRules & { readonly cwd: string }, observer: Observer) {
    this.#host = host;
    this.#rules = rules;
    this.#observer = observer;
    const { ready, liveness, states } = rules;
    this.#hear(ready, () => this.#ready());
    this.#hear(liveness, () => this.#liveness?.heard());
    for (const [name, probe] of Object.entries(states)) this.#hear(probe, () => this.#enter(name));
  }

  /** Whether its output tells anything. */
  get hearsLines(): boolean {
    return this.#patterns.length > 0;
  }

  /** The process is there. */
  begin(): void {
    if (this.#begun || this.#over) return;
    this.#begun = true;
    // What it wrote may be read before it is told that it runs.
    for (const tell of this.#early.splice(0)) tell();
    const { ready, states } = this.#rules;
    if (ready.by.kind === 'spawned') this.#ready();
    else if (ready.by.kind !== 'reported' && !listens(ready.by)) {
      this.#readiness = this.#probe('ready', ready, (holds) => {
        if (holds) this.#ready();
      });
    }
    for (const [name, probe] of Object.entries(states))
      if (!listens(probe.by))
        this.#probes.push(
          this.#probe(name, probe, (holds) => {
            if (holds) this.#holding.add(name);
            else this.#holding.delete(name);
            this.#tellState();
          }),
        );
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
    for (const probe of this.#probes.splice(0)) probe.stop();
  }

  #hear({ by }: Probe, onMatch: () => void): void {
    if (by.kind === 'log') this.#patterns.push({ pattern: new RegExp(by.source, by.flags), onMatch });
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
    this.#observer.ready();
    const { liveness } = this.#rules;
    if (liveness.by.kind === 'spawned') return;
    this.#liveness = this.#probe('liveness', liveness, (holds, why) => {
      if (!holds) this.#observer.unhealthy(`its liveness probe failed: ${why}`);
    });
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
    const state =
      names.at(-1) ?? (this.#state === undefined ? undefined : (otherwiseOf(this.#rules) ?? unrecognised));
    if (state === undefined || state === this.#state || this.#over) return;
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
      onReport: (report) =>
        onChange(report.type === 'probe.passed', report.type === 'probe.failed' ? report.why : ''),
    });
  }
}
