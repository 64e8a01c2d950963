// Actor supervisor: OTP's supervisor for the actors of one process. Plain code where others are charts: a transition costs as
// much as the creation of an actor, and of those there can be a hundred thousand below one supervisor. What it knows of each
// child is found by its key, and counted as it changes; only what concerns a whole group looks at all of them.
//
// While a group starts or stops, exits and calls wait for it, as in OTP. A stop does not: it drops what was planned.
import type { ActorPolicy, AutoShutdown, Strategy } from '../spec/child.ts';
import type { ActorChild, End, Start } from './actor-child.ts';
import { type ActorReport, type Context, exitOf } from './actor-report.ts';
import { ActorRoster } from './actor-roster.ts';
import type { Clock } from './clock.ts';
import { type Exit, type SupervisorOutput, verdictOf } from './exit.ts';
import { backoffMs, nextChance } from './restart.ts';
import { RestartWindow } from './restart-window.ts';

export interface ActorSupervisorInput<S extends ActorPolicy> {
  readonly strategy: Strategy | 'dynamic';
  readonly intensity: number | 'infinity';
  readonly periodMs: number;
  readonly autoShutdown: AutoShutdown;
  /** In the order in which they start. */
  readonly children: Readonly<Record<string, S>>;
  /** Determines the jitter of all delays. */
  readonly seed: number;
}

/** What a supervisor needs from outside. */
export interface ActorSupervisorPort<S extends ActorPolicy> {
  readonly clock: Clock;
  start(child: ActorChild<S>): Start;
  report(report: ActorReport): void;
  /** All children have started. */
  booted(): void;
  /** Nothing of it runs any more. */
  ended(output: SupervisorOutput): void;
}

export type ActorSupervisorState = 'booting' | 'running' | 'regrouping' | 'stopping' | 'done';

/** Between tries that nothing else keeps apart, so that others get a turn, and so does who wants to end it. */
const turnMs = 1;

/** Children that go down together, then start together. `at`: the next to start. */
interface Plan<S extends ActorPolicy> {
  readonly stop: ActorChild<S>[];
  readonly start: ActorChild<S>[];
  at: number;
  readonly notBeforeMs: number;
}

export class ActorSupervisor<S extends ActorPolicy> {
  readonly input: ActorSupervisorInput<S>;
  readonly roster: ActorRoster<S>;
  state: ActorSupervisorState = 'booting';
  readonly #port: ActorSupervisorPort<S>;
  readonly #restarts: RestartWindow;
  #plan: Plan<S> | undefined;
  #planTimer: unknown;
  #advancing = false;
  #deferred: (() => void)[] = [];
  #stopTimer: unknown;
  #output: SupervisorOutput | undefined;
  #told: 'operative' | 'degraded' | undefined;
  #seed: number;

  constructor(input: ActorSupervisorInput<S>, port: ActorSupervisorPort<S>) {
    this.input = input;
    this.#port = port;
    this.roster = new ActorRoster(port);
    this.#seed = input.seed;
    const { intensity, periodMs } = input;
    this.#restarts = new RestartWindow(intensity === 'infinity' ? null : { restarts: intensity, periodMs });
  }

  /** Starts all children, each after the one before it has started. */
  boot(): void {
    const start = Object.entries(this.input.children).map(([id, spec]) =>
      this.roster.add(id, spec, undefined),
    );
    this.#plan = { stop: [], start, at: 0, notBeforeMs: 0 };
    this.#advance();
  }

  /** Ends all children, those started last first, and then itself. */
  shutdown(): void {
    this.#end({ why: 'planned', reason: 'asked to stop', exit: null });
  }

  /** Kills what still stands. */
  force(): void {
    this.shutdown();
    for (const child of this.roster.children.values()) this.roster.kill(child, 'asked');
  }

  /** Whether calls and exits have to wait for a group. */
  get busy(): boolean {
    return this.#plan !== undefined;
  }

  /** Does that once no group is on its way. */
  whenFree(task: () => void): void {
    if (this.busy) this.#deferred.push(task);
    else task();
  }

  // ---- single children

  /** Starts it because somebody asked for it, who hears how that went; a failure is not tried again. */
  beginFor(child: ActorChild<S>, answer: (start: Start) => void): void {
    const start = this.roster.begin(child);
    if (start.how === 'starting') child.starter = answer;
    else answer(start);
    if (start.how === 'up' || start.how === 'starting')
      this.#port.report({ type: 'child.started', child, cause: 'call' });
    this.#tellState();
  }

  /** Has it go down and stay down; `then`, once nothing of it runs. */
  takeDown(child: ActorChild<S>, then: () => void): void {
    if (!child.lives) {
      this.roster.clearTimer(child);
      this.#settleDown(child);
      return then();
    }
    child.waiters ??= [];
    child.waiters.push(then);
    this.roster.stop(child);
  }

  // ---- what it is told of its children

  /** What was `starting` has started. */
  started(child: ActorChild<S>, epoch: number, info?: unknown): void {
    if (child.epoch !== epoch || child.phase !== 'starting') return;
    this.roster.clearTimer(child);
    this.roster.enter(child, 'up');
    this.#answerStarter(child, { how: 'up', run: child.run!, info });
    if (this.#plan) this.#advance();
    else this.#tellState();
  }

  /** What was `starting` is not to be started now. */
  ignored(child: ActorChild<S>, epoch: number): void {
    if (child.epoch !== epoch || child.phase !== 'starting') return;
    this.roster.clearTimer(child);
    this.roster.left(child);
    this.roster.enter(child, 'down');
    const planned = this.#plan?.start[this.#plan.at] === child;
    if (planned) this.#plan!.at++;
    if (!child.starter) this.#forgetIgnored(child);
    this.#answerStarter(child, { how: 'ignored' });
    if (planned) this.#advance();
    else this.#tellState();
  }

  /** As in OTP: there is nothing to be known of a child that can't be started again. */
  #forgetIgnored(child: ActorChild<S>): void {
    if (this.input.strategy === 'dynamic' || child.spec.restart === 'temporary') this.roster.remove(child);
  }

  /** A run has ended, and nothing of it is left. */
  ended(child: ActorChild<S>, epoch: number, end: End): void {
    if (child.epoch !== epoch || !child.run) return;
    const { phase } = child;
    const exit = exitOf(child, end, this.#port.clock.now());
    this.roster.clearTimer(child);
    this.roster.left(child);
    if (child.starter) {
      const asked = phase === 'starting' && this.state !== 'stopping';
      if (asked) this.#reportExit(child, exit, 'start-error', 'not started', 0);
      if (asked) this.#settleDown(child);
      this.#answerStarter(child, { how: 'failed', why: exit.reason });
      if (asked) return this.#tellState();
    }
    if (phase === 'stopping' || this.state === 'stopping' || this.#plan?.stop.includes(child))
      return this.#leftAsPlanned(child, exit);
    if (phase === 'starting' && this.#plan?.start[this.#plan.at] === child) {
      this.roster.enter(child, 'down');
      this.#failedInPlan(child, exit.reason, exit);
      return this.#advance();
    }
    // Until its turn comes nobody may take it for one that stays down.
    this.roster.enter(child, 'restarting');
    this.whenFree(() => {
      if (this.state === 'stopping' || child.phase !== 'restarting') return;
      this.#judge(child, exit, phase === 'starting' ? 'start-error' : 'child-terminated');
    });
  }

  #answerStarter(child: ActorChild<S>, start: Start): void {
    const { starter } = child;
    child.starter = null;
    starter?.(start);
  }

  #leftAsPlanned(child: ActorChild<S>, exit: Exit): void {
    const planned = this.state === 'stopping' || this.#plan?.stop.includes(child);
    const verdict = !planned || this.state === 'stopping' ? 'stay down' : 'restart with its group';
    this.#reportExit(child, exit, isProper(child, exit) ? null : 'shutdown-error', verdict, 0);
    this.#settleDown(child);
    const waiters = child.waiters;
    child.waiters = null;
    for (const then of waiters ?? []) then();
    if (this.state === 'stopping') this.#stopMore();
    else if (this.#plan) this.#advance();
    else this.#tellState();
  }

  // ---- what it makes of an end

  #judge(child: ActorChild<S>, exit: Exit, context: Context): void {
    const verdict = verdictOf(child.spec.restart, { ...exit, requested: 'none' });
    if (verdict === 'restart' || context === 'start-error') return this.#restart(child, exit, context);
    // OTP reports the end of a child that stays down only if it was a bad one.
    const bad = exit.class !== 'normal' && exit.class !== 'shutdown';
    const word = verdict === 'done' ? 'completed' : 'not restarted';
    this.#reportExit(child, exit, bad ? context : null, word, 0);
    this.#settleDown(child);
    if (child.spec.significant && this.#shutsDown()) {
      const { reason } = exit;
      this.#end({ why: 'significant', reason: `${nameOf(child)}, which is significant: ${reason}`, exit });
    } else this.#tellState();
  }

  #shutsDown(): boolean {
    const { autoShutdown } = this.input;
    if (autoShutdown === 'any-significant') return true;
    return autoShutdown === 'all-significant' && this.roster.significant === 0;
  }

  /** Every try counts, whether it succeeds or not. */
  #restart(child: ActorChild<S>, exit: Exit, context: Context): void {
    const { clock } = this.#port;
    if (this.#restarts.record(clock.now())) {
      const { intensity, periodMs } = this.input;
      const reason = `more than ${intensity} restarts within ${periodMs} ms, the last of ${nameOf(child)}`;
      this.#reportExit(child, exit, context, 'end the supervisor', 0);
      this.#settleDown(child);
      this.#port.report({ type: 'limit.reached', id: child.id, reason });
      return this.#end({ why: 'intensity', reason, exit });
    }
    const { spec } = child;
    child.attempt = exit.uptimeMs >= spec.stableMs && context !== 'start-error' ? 1 : child.attempt + 1;
    const { chance, seed } = nextChance(this.#seed);
    this.#seed = seed;
    const delayMs = backoffMs(spec.backoff, child.attempt, chance);
    const group = this.#groupOf(child);
    this.#reportExit(child, exit, context, group ? 'restart with its group' : 'restart', delayMs);
    this.roster.enter(child, 'restarting');
    if (group) {
      this.#tellState();
      this.#regroup(group, delayMs);
    } else if (delayMs > 0 || this.input.intensity === 'infinity') {
      // What fails again and again without a limit must leave the event loop a turn between.
      this.#tellState();
      child.timer = clock.setTimeout(
        () => this.whenFree(() => this.#tryAgain(child)),
        Math.max(delayMs, turnMs),
      );
    } else this.#tryAgain(child);
  }

  #tryAgain(child: ActorChild<S>): void {
    if (child.phase !== 'restarting' || this.state === 'stopping') return;
    child.timer = undefined;
    const start = this.roster.begin(child);
    if (start.how === 'failed') this.#retryLater(child, start.why);
    else if (start.how === 'ignored') this.#forgetIgnored(child);
    this.#reportStart(child, start, 'restart');
    this.#tellState();
  }

  /** A start that failed is tried again after a turn of the event loop, and counts then. */
  #retryLater(child: ActorChild<S>, why: string, exit = failure(why, this.#port.clock.now())): void {
    this.roster.enter(child, 'restarting');
    const again = () => {
      if (child.phase === 'restarting' && this.state !== 'stopping')
        this.#restart(child, exit, 'start-error');
    };
    child.timer = this.#port.clock.setTimeout(() => this.whenFree(again), turnMs);
  }

  // ---- groups

  /** Who starts again with it, in the order of starts; undefined: it alone. */
  #groupOf(child: ActorChild<S>): ActorChild<S>[] | undefined {
    const { strategy } = this.input;
    if (strategy !== 'one-for-all' && strategy !== 'rest-for-one') return undefined;
    const all = [...this.roster.children.values()];
    return strategy === 'one-for-all' ? all : all.slice(all.indexOf(child));
  }

  #regroup(group: ActorChild<S>[], delayMs: number): void {
    this.state = 'regrouping';
    for (const child of group) this.roster.clearTimer(child);
    const notBeforeMs = this.#port.clock.now() + delayMs;
    this.#plan = { stop: group.filter(({ lives }) => lives), start: group, at: 0, notBeforeMs };
    this.#advance();
  }

  /** Goes on with the plan as far as it can. */
  #advance(): void {
    // What is started or stopped on the way may tell of its end at once.
    if (this.#advancing) return;
    this.#advancing = true;
    try {
      while (this.#plan && this.#step(this.#plan)) {
        // The next step.
      }
    } finally {
      this.#advancing = false;
    }
    // A start that failed can have ended it.
    this.#stopMore();
  }

  /** @returns false if the plan has to wait, or is over. */
  #step(plan: Plan<S>): boolean {
    const last = plan.stop.at(-1);
    if (last) {
      if (!last.lives) plan.stop.pop();
      else if (last.phase !== 'stopping') this.roster.stop(last);
      else return false;
      return true;
    }
    const { clock } = this.#port;
    if (plan.notBeforeMs > clock.now()) {
      this.#planTimer ??= clock.setTimeout(() => {
        this.#planTimer = undefined;
        this.#advance();
      }, plan.notBeforeMs - clock.now());
      return false;
    }
    const child = plan.start[plan.at];
    if (!child) return this.#finish();
    if (child.phase === 'starting') return false;
    // A temporary child that went down with the others is removed by now.
    if (child.lives || child.phase === 'removed') return ++plan.at > 0;
    const start = this.roster.begin(child);
    this.#reportStart(child, start, this.state === 'booting' ? 'boot' : 'restart');
    if (start.how === 'failed') this.#failedInPlan(child, start.why);
    else if (start.how !== 'starting') plan.at++;
    if (start.how === 'ignored') this.#forgetIgnored(child);
    return true;
  }

  #failedInPlan(child: ActorChild<S>, why: string, exit = failure(why, this.#port.clock.now())): void {
    this.#plan = undefined;
    if (this.state === 'booting') {
      this.#reportExit(child, exit, 'start-error', 'end the supervisor', 0);
      return this.#end({ why: 'boot', reason: `${nameOf(child)} could not start: ${why}`, exit });
    }
    this.#retryLater(child, why, exit);
    this.#finish();
  }

  #finish(): false {
    const booting = this.state === 'booting';
    this.#plan = undefined;
    this.state = 'running';
    this.#tellState();
    if (booting) this.#port.booted();
    this.#runDeferred();
    return false;
  }

  #runDeferred(): void {
    const tasks = this.#deferred;
    this.#deferred = [];
    for (const [i, task] of tasks.entries()) {
      task();
      if (!this.busy) continue;
      this.#deferred = [...tasks.slice(i + 1), ...this.#deferred];
      return;
    }
  }

  // ---- the end

  #end({ why, reason, exit }: Pick<SupervisorOutput, 'why' | 'reason' | 'exit'>): void {
    if (this.state === 'stopping' || this.state === 'done') return;
    this.#output = { why, reason, exit, failed: [], unkillable: [] };
    this.state = 'stopping';
    this.#port.report({ type: 'supervisor.changed', state: 'stopping' });
    this.#plan = undefined;
    this.#port.clock.clearTimeout(this.#planTimer);
    // A call that waited is answered: that it came too late.
    this.#runDeferred();
    for (const child of this.roster.children.values()) if (!child.lives) this.roster.clearTimer(child);
    if (this.input.strategy === 'dynamic') this.#stopAllAtOnce();
    this.#stopMore();
  }

  /** As OTP does for dynamic children: all are asked, and one timer is for all of them. */
  #stopAllAtOnce(): void {
    let longestMs = 0;
    for (const child of [...this.roster.children.values()]) {
      if (!child.lives || child.phase === 'stopping') continue;
      if (typeof child.spec.shutdown === 'number') longestMs = Math.max(longestMs, child.spec.shutdown);
      this.roster.stop(child, false);
    }
    if (this.roster.active === 0 || longestMs === 0) return;
    this.#stopTimer = this.#port.clock.setTimeout(() => {
      for (const child of [...this.roster.children.values()])
        if (child.spec.shutdown !== 'infinity') this.roster.kill(child, 'late');
    }, longestMs);
  }

  #standing: ActorChild<S>[] | undefined;

  #stopMore(): void {
    if (this.#advancing || this.state !== 'stopping') return;
    this.#advancing = true;
    if (this.input.strategy !== 'dynamic') {
      this.#standing ??= [...this.roster.children.values()];
      for (let last = this.#standing.at(-1); last; last = this.#standing.at(-1)) {
        if (!last.lives) this.#standing.pop();
        else if (last.phase === 'stopping') break;
        else this.roster.stop(last);
      }
    }
    this.#advancing = false;
    if (this.roster.active > 0) return;
    this.#port.clock.clearTimeout(this.#stopTimer);
    this.state = 'done';
    this.#port.ended(this.#output!);
  }

  // ---- bookkeeping

  /** Nothing of it runs, and nothing will by itself. */
  #settleDown(child: ActorChild<S>): void {
    const stays = this.input.strategy !== 'dynamic' && child.spec.restart !== 'temporary';
    if (stays || this.state === 'stopping') this.roster.enter(child, 'down');
    else this.roster.remove(child);
  }

  // ---- reports

  #tellState(): void {
    if (this.state !== 'running') return;
    const state = this.roster.unready === 0 ? 'operative' : 'degraded';
    if (state === this.#told) return;
    this.#told = state;
    this.#port.report({ type: 'supervisor.changed', state });
  }

  #reportStart(child: ActorChild<S>, start: Start, cause: 'boot' | 'restart'): void {
    if (start.how === 'up' || start.how === 'starting')
      this.#port.report({ type: 'child.started', child, cause });
  }

  #reportExit(
    child: ActorChild<S>,
    exit: Exit,
    context: Context | null,
    verdict: string,
    delayMs: number,
  ): void {
    const restartsLeft = this.#restarts.left(this.#port.clock.now());
    const { id, epoch } = child;
    this.#port.report({
      type: 'child.exited',
      child,
      context,
      id,
      epoch,
      exit,
      verdict,
      delayMs,
      restartsLeft,
    });
  }
}

/** Whether a child that was told to go went as it should: OTP's accepted reasons. */
function isProper({ spec: { restart, shutdown } }: ActorChild, exit: Exit): boolean {
  if (exit.class === 'shutdown') return true;
  if (exit.class === 'normal') return restart !== 'permanent';
  return exit.class === 'killed' && shutdown === 'kill';
}

/** The exit of a start of which nothing ever ran. */
function failure(reason: string, atMs: number): Exit {
  return { class: 'abnormal', reason, code: null, signal: null, requested: 'none', uptimeMs: 0, atMs };
}

function nameOf({ key }: ActorChild): string {
  return typeof key === 'string' ? key : `#${key}`;
}
