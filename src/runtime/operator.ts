// Operator: carries out what people ask of the units of a running tree, and answers when it is done.
import { constants } from 'node:os';
import type { Observation } from '../actors/observation.ts';
import { IpcError } from '../errors.ts';
import { type Clock, systemClock } from '../machines/clock.ts';
import type { UnitEvent, UnitPhase, UnitReport } from '../machines/unit.ts';
import type { UnitView } from '../machines/unit-view.ts';
import { nearest, stateMatches } from '../names.ts';
import { parseCondition } from '../spec/condition.ts';
import type { ProcessPlace } from '../workspace/fingerprint.ts';
import { ConditionWatch } from './condition-watch.ts';

/** A unit, as an operator has it in hand. */
export interface UnitHandle {
  readonly view: UnitView;
  readonly kind: 'node' | 'exec' | 'supervisor' | string;
  /** What is known of its present process, if it has one. */
  readonly observation?: Observation | undefined;
  post(event: UnitEvent): void;
}

/** The tree, as far as an operator needs it. */
export interface Operated {
  /** Names of all units: their paths below the root. */
  names(): readonly string[];
  unit(name: string): UnitHandle | undefined;
}

/** What an order led to. */
export interface Outcome {
  readonly unit: string;
  readonly phase: UnitPhase;
  readonly state: string | null;
  readonly pid: number | null;
  readonly starts: number;
}

export interface OrderOptions {
  readonly signal?: AbortSignal;
  /** Gives up waiting after so long, with ERR_TIMEOUT; what was ordered goes on. */
  readonly timeoutMs?: number;
}

/** How it is told that an order came to nothing. */
interface Wording {
  /** Those whom it concerns have said no. */
  readonly refused?: (why: string) => IpcError;
  /** What took too long. */
  readonly what?: () => string;
}

/** Answers once it is decided: `undefined` while it is not. */
type Goal = (view: UnitView) => 'done' | IpcError | undefined;

const down: ReadonlySet<UnitPhase> = new Set<UnitPhase>([
  'idle',
  'completed',
  'failed',
  'skipped',
  'removed',
]);
const alive: ReadonlySet<UnitPhase> = new Set<UnitPhase>([
  'spawning',
  'starting',
  'up',
  'stopping',
  'draining',
]);

export class Operator {
  readonly #tree: Operated;
  readonly #clock: Clock;
  readonly #waiting = new Set<(name: string, report?: UnitReport) => void>();
  readonly #ends = new Set<() => void>();
  readonly #refusals = new Set<(name: string, why: string) => void>();

  constructor(tree: Operated, clock: Clock = systemClock) {
    this.#tree = tree;
    this.#clock = clock;
  }

  /** A unit has changed, and its supervisor knows. */
  changed(name: string, report?: UnitReport): void {
    for (const look of [...this.#waiting]) look(name, report);
  }

  /** Nothing runs any more: whoever still waits does so in vain. */
  close(): void {
    for (const end of [...this.#ends]) end();
  }

  /** A reload did not lead to a new process. */
  unreplaced(name: string, why: string): void {
    for (const refuse of [...this.#refusals]) refuse(name, why);
  }

  /** Until it is up, or has completed. @throws {IpcError} ERR_UNIT_UNKNOWN, ERR_UNIT_FAILED, ERR_REFUSED. */
  start(name: string, options: OrderOptions = {}): Promise<Outcome> {
    const unit = this.#find(name);
    const { phase, epoch } = unit.view;
    if (phase === 'removed')
      throw IpcError.of(
        'ERR_REFUSED',
        `start ${name}`,
        'it was temporary and has ended; it is known no more',
      );
    const runs = phase === 'up' || phase === 'starting' || phase === 'spawning';
    return this.#carryOut(
      name,
      options,
      () => {
        if (runs) return;
        if (phase === 'skipped') unit.post({ type: 'reset' });
        unit.post({ type: 'start' });
      },
      cameUp(name, runs ? epoch - 1 : epoch),
    );
  }

  /** As `start`, but its first end is a failure, too. @throws {IpcError} ERR_UNIT_UNKNOWN, ERR_UNIT_FAILED. */
  begin(name: string, options: OrderOptions = {}): Promise<Outcome> {
    const unit = this.#find(name);
    const { epoch } = unit.view;
    const up = cameUp(name, epoch);
    const goal: Goal = (view) => {
      const { phase, exit } = view;
      const ended = view.epoch > epoch && phase !== 'completed' && exit !== null && phase !== 'up';
      return ended && phase !== 'exited' && !alive.has(phase)
        ? IpcError.of('ERR_UNIT_FAILED', name, exit.reason)
        : up(view);
    };
    return this.#carryOut(name, options, () => unit.post({ type: 'start' }), goal);
  }

  /** Until nothing of it is left. @throws {IpcError} ERR_UNIT_UNKNOWN, ERR_UNIT_UNKILLABLE. */
  stop(name: string, options: OrderOptions = {}): Promise<Outcome> {
    const unit = this.#find(name);
    return this.#carryOut(
      name,
      options,
      () => unit.post({ type: 'stop' }),
      ({ phase }) => {
        if (phase === 'unkillable') return IpcError.of('ERR_UNIT_UNKILLABLE', name);
        return down.has(phase) ? 'done' : undefined;
      },
    );
  }

  /** Until the next process of it is up. @throws as `start`, and ERR_UNIT_UNKILLABLE. */
  restart(name: string, options: OrderOptions = {}): Promise<Outcome> {
    const unit = this.#find(name);
    const { phase, epoch } = unit.view;
    if (down.has(phase)) return this.start(name, options);
    return this.#carryOut(
      name,
      options,
      () => unit.post({ type: 'restart', reason: 'asked for' }),
      cameUp(name, epoch),
    );
  }

  /** Until a new process is ready and the former one has been told to end. @throws {IpcError} also ERR_REFUSED. */
  reload(name: string, options: OrderOptions = {}): Promise<Outcome> {
    const unit = this.#find(name);
    const { phase, epoch } = unit.view;
    const refused = (why: string) => IpcError.of('ERR_REFUSED', `reload ${name}`, why);
    if (phase !== 'up') throw refused(`it is ${phase}, and only what is up can be reloaded`);
    if (unit.kind === 'supervisor') throw refused('it is a supervisor; reload its units');
    if (unit.kind === 'actor') throw refused('it is an actor in the root; restart it');
    return this.#carryOut(name, options, () => unit.post({ type: 'reload' }), cameUp(name, epoch), {
      refused,
    });
  }

  /** What was given up may be started again. */
  reset(name: string, options: OrderOptions = {}): Promise<Outcome> {
    const unit = this.#find(name);
    return this.#carryOut(
      name,
      options,
      () => unit.post({ type: 'reset' }),
      ({ phase }) => (phase === 'failed' || phase === 'skipped' ? undefined : 'done'),
    );
  }

  /** @param signal a name, with or without `SIG`, or a number. */
  signal(name: string, signal: string): Outcome {
    const unit = this.#find(name);
    const number = signalNumber(signal);
    const refused = (why: string) => IpcError.of('ERR_REFUSED', `signal ${name} ${signal}`, why);
    if (number === undefined) {
      const near = nearest(
        signal.replace(/^SIG/i, ''),
        Object.keys(constants.signals).map((each) => each.slice(3)),
      );
      throw refused(`there is no such signal${near === undefined ? '' : ` (did you mean ${near}?)`}`);
    }
    if (unit.kind !== 'node' && unit.kind !== 'exec')
      throw refused(`it is of kind ${unit.kind} and no process`);
    if (!alive.has(unit.view.phase)) throw refused(`it is ${unit.view.phase} and has no process`);
    unit.post({ type: 'signal', number });
    return outcomeOf(name, unit.view);
  }

  /** Takes over a process that runs already. Until it is up. */
  attach(
    name: string,
    identity: { pid: number; startTicks: number },
    options: OrderOptions = {},
  ): Promise<Outcome> {
    const unit = this.#find(name);
    const { phase, epoch } = unit.view;
    const refused = (why: string) => IpcError.of('ERR_REFUSED', `attach ${name}`, why);
    if (unit.kind !== 'exec') throw refused('only an exec unit can take over a process');
    if (phase === 'removed' || !down.has(phase)) throw refused(`it is ${phase}; stop it first`);
    return this.#carryOut(
      name,
      options,
      () => unit.post({ type: 'adopt', ...identity }),
      cameUp(name, epoch),
    );
  }

  /** Until the unit is in that phase or named state; `down` for all in which nothing of it is left. */
  wait(name: string, state: string, options: OrderOptions = {}): Promise<Outcome> {
    this.#find(name);
    return this.#carryOut(
      name,
      options,
      () => {},
      ({ phase, state: reported }) => {
        const reached =
          phase === state ||
          (state === 'ready' && phase === 'up') ||
          (state === 'down' && down.has(phase)) ||
          (phase === 'up' && stateMatches(reported ?? undefined, state));
        if (reached) return 'done';
        return phase === 'removed' ? IpcError.of('ERR_UNIT_FAILED', name, 'it is known no more') : undefined;
      },
      { what: () => `wait ${name}` },
    );
  }

  /**
   * Until a condition holds of the unit's process. Only what the tree does not tell by itself is looked for, about once a second.
   * @throws {IpcError} ERR_CONDITION_INVALID, ERR_UNIT_UNKNOWN, ERR_UNIT_FAILED; ERR_REFUSED for what is no process.
   */
  waitFor(name: string, text: string, options: OrderOptions = {}): Promise<Outcome> {
    const condition = parseCondition(text);
    const { kind } = this.#find(name);
    if (condition.needsLook && kind !== 'node' && kind !== 'exec')
      throw IpcError.of(
        'ERR_REFUSED',
        `wait ${name}`,
        `it is of kind ${kind} and no process; only its state can be waited for`,
      );
    const watch = new ConditionWatch(
      condition,
      () => this.#tree.unit(name)?.observation,
      () => this.changed(name),
    );
    return this.#carryOut(
      name,
      options,
      () => {},
      (view) => {
        if (view.phase === 'removed') return IpcError.of('ERR_UNIT_FAILED', name, 'it is known no more');
        return watch.holdsOf(view) ? 'done' : undefined;
      },
      { what: () => `waiting for ${text} of ${name}${watch.why ? ` (${watch.why})` : ''}` },
    ).finally(() => watch.stop());
  }

  /** Who belongs to the process of a unit, if it has one. @throws {IpcError} ERR_UNIT_UNKNOWN. */
  placeOf(name: string): { phase: UnitPhase; place: ProcessPlace | undefined } {
    const { view, observation } = this.#find(name);
    return { phase: view.phase, place: observation?.place };
  }

  #find(name: string): UnitHandle {
    const unit = this.#tree.unit(name);
    if (unit) return unit;
    const names = this.#tree.names();
    const shown = names.length > 20 ? `${names.slice(0, 20).join(', ')}, ...` : names.join(', ');
    throw IpcError.of('ERR_UNIT_UNKNOWN', name, nearest(name, names), shown);
  }

  #carryOut(
    name: string,
    { signal, timeoutMs }: OrderOptions,
    order: () => void,
    goal: Goal,
    { refused, what = () => `the order to ${name}` }: Wording = {},
  ): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const settle = (settled: () => void) => {
        this.#waiting.delete(look);
        this.#refusals.delete(refuse);
        this.#clock.clearTimeout(timer);
        this.#ends.delete(end);
        signal?.removeEventListener('abort', abort);
        settled();
      };
      const abort = () => settle(() => reject(signal!.reason as Error));
      const refuse = (of: string, why: string) => {
        if (of === name && refused) settle(() => reject(refused(why)));
      };
      const end = () => settle(() => reject(IpcError.of('ERR_STOPPING', name)));
      let last: UnitView | undefined;
      const look = (of: string, report?: UnitReport) => {
        // It goes with the supervisor above it.
        const gone = name.startsWith(`${of}/`) && down.has(this.#tree.unit(of)?.view.phase ?? 'removed');
        if (of !== name && !gone) return;
        // A supervisor may end by the very report, and takes what it knows of its units along.
        const view = this.#tree.unit(name)?.view ?? (of === name ? lastViewOf(last, report) : undefined);
        last = view;
        const reached = view ? goal(view) : IpcError.of('ERR_UNIT_FAILED', name, 'it is known no more');
        if (reached === 'done') settle(() => resolve(outcomeOf(name, view!)));
        else if (reached) settle(() => reject(reached));
      };
      if (signal?.aborted) return reject(signal.reason as Error);
      const timer =
        timeoutMs === undefined
          ? undefined
          : this.#clock.setTimeout(
              () => settle(() => reject(IpcError.of('ERR_TIMEOUT', what(), timeoutMs))),
              timeoutMs,
            );
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.add(look);
      this.#refusals.add(refuse);
      this.#ends.add(end);
      order();
      look(name);
    });
  }
}

/** Up by a start after that one. */
function cameUp(name: string, before: number): Goal {
  return ({ phase, epoch, note }) => {
    const failed = (why: string) => IpcError.of('ERR_UNIT_FAILED', name, why);
    switch (phase) {
      case 'up':
      case 'completed':
        return epoch > before ? 'done' : undefined;
      case 'failed':
        // Why, comes with its own report.
        return epoch > before && note !== null ? failed(`it was given up: ${note}`) : undefined;
      case 'skipped':
        return note === null ? undefined : failed(`it was not started: ${note}`);
      case 'removed':
        return failed('it has ended and is known no more');
      case 'unkillable':
        return IpcError.of('ERR_UNIT_UNKILLABLE', name);
      default:
        return undefined;
    }
  };
}

/** What a unit was before, with what it has said last. */
function lastViewOf(before: UnitView | undefined, report: UnitReport | undefined): UnitView | undefined {
  if (!before || report?.type !== 'unit.changed') return undefined;
  const { phase, epoch, pid, state, note } = report;
  return { ...before, phase, epoch, pid, state, note };
}

function outcomeOf(unit: string, { phase, state, pid, epoch }: UnitView): Outcome {
  return { unit, phase, state, pid, starts: epoch };
}

function signalNumber(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) >= 1 && Number(text) <= 64 ? Number(text) : undefined;
  const name = `SIG${text.toUpperCase().replace(/^SIG/, '')}`;
  return (constants.signals as Readonly<Record<string, number>>)[name];
}
