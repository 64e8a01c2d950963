// Actor roster: the children of a supervisor of actors, found by their keys and counted as they change, and what is done to a
// single one of them. Why it is done is its supervisor's to know.
import type { ActorPolicy } from '../spec/child.ts';
import { ActorChild, type ActorPhase, type Start } from './actor-child.ts';
import type { Clock } from './clock.ts';

interface Port<S extends ActorPolicy> {
  readonly clock: Clock;
  start(child: ActorChild<S>): Start;
}

export class ActorRoster<S extends ActorPolicy> {
  readonly children = new Map<string | number, ActorChild<S>>();
  /** Children of which something runs, and those of them that are significant. */
  active = 0;
  significant = 0;
  /** Children that are supervisors. */
  supervisors = 0;
  /** Children that are wanted up and are not. */
  unready = 0;
  readonly #port: Port<S>;

  constructor(port: Port<S>) {
    this.#port = port;
  }

  add(key: string | number, spec: S, input: unknown): ActorChild<S> {
    const child = new ActorChild(key, spec, input);
    this.children.set(key, child);
    if (spec.kind === 'supervisor') this.supervisors++;
    return child;
  }

  /** No longer known. */
  remove(child: ActorChild<S>): void {
    this.children.delete(child.key);
    if (child.spec.kind === 'supervisor') this.supervisors--;
    this.enter(child, 'removed');
  }

  /** Starts it once. Who started it hears how that went, and decides what a failure means. */
  begin(child: ActorChild<S>): Start {
    child.epoch++;
    child.killed = null;
    child.sinceMs = this.#port.clock.now();
    const start = this.#port.start(child);
    if (start.how === 'failed' || start.how === 'ignored') {
      this.enter(child, 'down');
      return start;
    }
    child.run = start.run;
    if (child.spec.restart === 'temporary') child.input = undefined;
    this.noteLife(child, 1);
    this.enter(child, start.how);
    if (start.how === 'starting') this.#limitStart(child);
    return start;
  }

  /** Asks it to end, within its time; `timed` false: somebody else keeps the time. */
  stop(child: ActorChild<S>, timed = true): void {
    if (!child.run || child.phase === 'stopping') return;
    this.clearTimer(child);
    this.enter(child, 'stopping');
    const { shutdown } = child.spec;
    if (shutdown === 'kill') this.kill(child, 'asked');
    else if (!child.run.ask()) child.run.kill();
    else if (timed && child.run && shutdown !== 'infinity')
      child.timer = this.#port.clock.setTimeout(() => this.kill(child, 'late'), shutdown);
  }

  kill(child: ActorChild<S>, how: 'asked' | 'late'): void {
    if (!child.run) return;
    child.killed ??= how;
    child.run.kill();
  }

  enter(child: ActorChild<S>, phase: ActorPhase): void {
    this.unready += Number(isUnready(phase)) - Number(isUnready(child.phase));
    child.phase = phase;
  }

  noteLife(child: ActorChild<S>, change: 1 | -1): void {
    this.active += change;
    if (child.spec.significant) this.significant += change;
  }

  #limitStart(child: ActorChild<S>): void {
    child.timer = this.#port.clock.setTimeout(() => this.kill(child, 'late'), child.spec.startTimeoutMs);
  }

  clearTimer(child: ActorChild<S>): void {
    if (child.timer === undefined) return;
    this.#port.clock.clearTimeout(child.timer);
    child.timer = undefined;
  }

  /** Nothing of its run is left. */
  left(child: ActorChild<S>): void {
    child.run = null;
    this.noteLife(child, -1);
  }
}

function isUnready(phase: ActorPhase): boolean {
  return phase === 'starting' || phase === 'restarting';
}
