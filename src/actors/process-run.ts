// Process run: the incarnation of a unit that is a process. One at a time does the unit's work; while another one comes up to
// replace it, or is on its way out, there are two.
import { constants } from 'node:os';
import { messageOf } from '../errors.ts';
import type {
  DependencyNews,
  Identity,
  IncarnationEvent,
  IncarnationOrder,
} from '../machines/incarnation.ts';
import type { retirementMachine } from '../machines/retirement.ts';
import { addressOf } from '../names.ts';
import type { ExecChild, NodeChild } from '../spec/child.ts';
import { AdoptedProcess } from './adopted-process.ts';
import type { Hosted } from './hosting.ts';
import { retire } from './retirement.ts';
import type { StandbyPool } from './standby.ts';
import {
  endSignal,
  type ProcessObserver,
  type Run,
  type SupervisedProcess,
  UnitProcess,
} from './unit-process.ts';

/** Says what becomes of an incarnation. */
export type Send = (event: IncarnationEvent) => void;
/** Carries out what is asked of an incarnation. */
export type Obey = (order: IncarnationOrder) => void;

export interface Origin {
  /** The process to take over instead of starting one. */
  readonly adopt: Identity | null;
  readonly pool: StandbyPool | undefined;
  /** Whether such an end of its process can only lead to its next start, at once and alone. */
  readonly willRestart: (end: { code: number | null; signal: string | null }) => boolean;
}

/** @param childNow how the next process is to be started. */
export function runProcess(
  run: Run,
  childNow: () => NodeChild | ExecChild,
  send: Send,
  origin: Origin,
): Obey {
  return new ProcessRun(run, childNow, send, origin).begin(origin.adopt);
}

class ProcessRun {
  readonly #run: Run;
  readonly #childNow: () => NodeChild | ExecChild;
  readonly #send: Send;
  readonly #pool: StandbyPool | undefined;
  readonly #willRestart: Origin['willRestart'];
  #epoch: number;
  #current: SupervisedProcess | undefined;
  /** Comes up to replace the current one. */
  #successor: { process?: SupervisedProcess; state?: string } | undefined;
  /** What is told to a process that comes later: units that are not where this one needs them. */
  readonly #lost = new Map<string, DependencyNews>();
  /** Those that were replaced, by their epochs, until nothing of them is left. */
  readonly #retiring = new Map<number, Hosted<typeof retirementMachine>>();
  /** Processes of which something is left. */
  #left = 0;
  #leaving = false;
  #refused = false;
  readonly #observation = () => this.#current?.observation;

  constructor(
    run: Run,
    childNow: () => NodeChild | ExecChild,
    send: Send,
    { pool, willRestart }: Pick<Origin, 'pool' | 'willRestart'>,
  ) {
    this.#run = run;
    this.#childNow = childNow;
    this.#send = send;
    this.#pool = pool;
    this.#willRestart = willRestart;
    this.#epoch = run.epoch;
  }

  begin(adopt: Identity | null): Obey {
    const observer = this.#observerOf(this.#epoch);
    if (adopt) {
      const adopted = new AdoptedProcess(this.#run, this.#childNow(), adopt, observer);
      this.#current = adopted;
      this.#left++;
      adopted.begin();
    } else this.#current = this.#start(this.#epoch, observer);
    this.#run.tree.observed.set(this.#run.unit, this.#observation);
    return (order) => this.#obey(order);
  }

  #start(epoch: number, observer: ProcessObserver): SupervisedProcess {
    // First: one that has begun already may have come to its end.
    this.#left++;
    const warm = this.#pool?.take(epoch, observer);
    if (warm) return warm;
    try {
      return new UnitProcess({ ...this.#run, epoch }, this.#childNow(), observer);
    } catch (error) {
      this.#left--;
      throw error;
    }
  }

  get #nowMs(): number {
    return this.#run.tree.host.clock.now();
  }

  #observerOf(epoch: number): ProcessObserver {
    const isCurrent = () => this.#epoch === epoch;
    return {
      spawned: (pid) => {
        if (isCurrent()) this.#send({ type: 'incarnation.spawned', epoch, pid, atMs: this.#nowMs });
      },
      ready: () => {
        if (!isCurrent()) return this.#succeed(epoch);
        this.#send({ type: 'incarnation.ready', epoch, atMs: this.#nowMs });
        this.#fillPool();
      },
      state: (state) => {
        if (isCurrent()) this.#send({ type: 'incarnation.reported', epoch, state });
        else if (this.#successor && epoch === this.#epoch + 1) this.#successor.state = state;
      },
      refused: (why, permanent) => {
        if (isCurrent()) {
          this.#refused = true;
          this.#send({ type: 'incarnation.refused', epoch, why, permanent });
        } else if (epoch === this.#epoch + 1) this.#giveUp(why);
      },
      unhealthy: (why) => this.#send({ type: 'incarnation.unhealthy', epoch, why }),
      warm() {},
      exited: (code, signal) => {
        if (isCurrent()) {
          this.#dropSuccessor();
          this.#promote(code, signal);
          this.#send({ type: 'incarnation.exited', epoch, code, signal, atMs: this.#nowMs });
        } else if (epoch === this.#epoch + 1) this.#giveUp(`it ended with ${signal ?? `code ${code}`}`);
      },
      emptied: () => {
        this.#retiring.get(epoch)?.post({ type: 'process.emptied' });
        this.#retiring.delete(epoch);
        if (--this.#left > 0) return;
        const { observed } = this.#run.tree;
        if (observed.get(this.#run.unit) === this.#observation) observed.delete(this.#run.unit);
        this.#send({ type: 'incarnation.emptied', epoch: this.#epoch, atMs: this.#nowMs });
      },
    };
  }

  #obey(order: Parameters<Obey>[0]): void {
    switch (order.type) {
      case 'ask':
        this.#leave();
        return this.#current?.ask();
      case 'terminate':
        this.#leave();
        return this.#current?.signal(endSignal);
      case 'kill':
        this.#leave();
        this.#hurry();
        return this.#current?.kill();
      case 'dependency.lost':
      case 'dependency.back':
        return this.#onDependency(order);
      case 'signal':
        return this.#current?.signal(order.number);
      case 'replace':
        return this.#replace();
      case 'unreplace':
        return this.#giveUp('it was not ready in time');
    }
  }

  #onDependency(news: DependencyNews): void {
    if (news.type === 'dependency.lost') this.#lost.set(news.dependency, news);
    else this.#lost.delete(news.dependency);
    this.#tell(this.#current, news);
  }

  /** Who stands by begins at once, where all that follows is decided already; the books are kept meanwhile. */
  #promote(code: number | null, signal: string | null): void {
    if (this.#leaving || this.#refused || !this.#willRestart({ code, signal })) return;
    this.#pool?.promote(this.#epoch + 1);
  }

  /** A node child hears which unit it is; any other program what its spec names a signal for. */
  #tell(process: SupervisedProcess | undefined, news: DependencyNews): void {
    const child = this.#childNow();
    if (child.kind === 'node') return process?.dependency(news);
    const signal = child.onDependency?.[news.type === 'dependency.lost' ? 'lost' : 'back'];
    if (signal !== undefined) process?.signal(constants.signals[signal]);
  }

  #fillPool(): void {
    const child = this.#childNow();
    if (child.standby > 0 && !this.#leaving) this.#pool?.fill(child);
  }

  #leave(): void {
    this.#leaving = true;
    this.#dropSuccessor();
  }

  // ---- replacement

  #replace(): void {
    if (this.#successor) return;
    this.#successor = {};
    try {
      this.#successor.process = this.#start(this.#epoch + 1, this.#observerOf(this.#epoch + 1));
    } catch (error) {
      this.#giveUp(messageOf(error));
    }
  }

  /** The successor is ready: it is the unit's process from now on. */
  #succeed(epoch: number): void {
    const next = this.#successor;
    if (!next?.process || epoch !== this.#epoch + 1) return;
    const former = this.#current;
    this.#successor = undefined;
    this.#current = next.process;
    const before = this.#epoch;
    this.#epoch = epoch;
    const { pid } = next.process;
    this.#send({ type: 'incarnation.replaced', epoch: before, next: epoch, pid, atMs: this.#nowMs });
    if (next.state !== undefined) this.#send({ type: 'incarnation.reported', epoch, state: next.state });
    for (const news of this.#lost.values()) this.#tell(next.process, news);
    if (former) this.#retire(former, before);
    this.#fillPool();
  }

  /** One that was on its way out before has had its time. */
  #retire(former: SupervisedProcess, epoch: number): void {
    const { tree, unit } = this.#run;
    this.#hurry();
    const address = addressOf(unit, `retirement#${epoch}`);
    this.#retiring.set(epoch, retire(tree.host, address, former, this.#childNow()));
  }

  #hurry(): void {
    for (const retirement of this.#retiring.values()) retirement.post({ type: 'hurry' });
  }

  #giveUp(why: string): void {
    if (!this.#successor) return;
    this.#dropSuccessor();
    this.#run.tree.watch.unreplaced(this.#run.unit, why);
    this.#send({ type: 'incarnation.unreplaced', epoch: this.#epoch, why });
  }

  #dropSuccessor(): void {
    const next = this.#successor;
    this.#successor = undefined;
    next?.process?.kill();
  }
}
