// Chaos: a running tree whose processes are killed, stopped and ended at random, from outside, and what it promises all the
// while: that it comes back, and that nothing of the dead is left.
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { IpcError, messageOf } from '../errors.ts';
import { Chance } from './chance.ts';
import { askTree } from './control-client.ts';
import { isAlive, type Living, livingBelow } from './living.ts';
import type { TreeStatus, UnitStatus } from './status.ts';
import { StopOrder } from './stop-order.ts';

export interface ChaosOptions {
  /** What starts the tree, with its arguments. It runs until SIGTERM. */
  readonly command: readonly string[];
  /** Folder of the tree's workspace. */
  readonly workspace: string;
  /** Where what the tree prints goes to. */
  readonly outputPath: string;
  readonly seed: number;
  readonly forMs: number;
  /** Longer than this nobody may take to come back. */
  readonly patienceMs: number;
  /** Units that outlive their root. */
  readonly survivors: ReadonlySet<string>;
  readonly onAct?: (atMs: number, what: string) => void;
  readonly signal?: AbortSignal;
}

export interface ChaosReport {
  readonly seed: number;
  readonly ms: number;
  /** How often each thing was done. */
  readonly acts: Readonly<Record<string, number>>;
  /** Milliseconds from an act to all being up again: half of them, 99 of 100, the longest. */
  readonly backMs: { readonly p50: number; readonly p99: number; readonly max: number } | null;
  /** Units that were given up for too many restarts, as their limits say, and were started again by us. */
  readonly givenUp: number;
  /** Descriptors of the root when it was first up, and at the end. */
  readonly descriptors: { readonly first: number; readonly last: number } | null;
  readonly violations: readonly string[];
}

const actKinds = [
  'kill',
  'kill',
  'kill',
  'kill',
  'terminate',
  'stop',
  'burst',
  'minder',
  'descendant',
  'root',
] as const;
type ActKind = (typeof actKinds)[number];

/** After the root's death everything is gone by then. */
const afterRootMs = 1_000;
/** So many descriptors more than at first are no leak yet: a session is just opening, somebody asks. */
const descriptorsMore = 16;
const lookMs = 20;
/** So long it is left alone at the beginning and at the end. Who starts more often meanwhile does so for ever. */
const quietMs = 2_000;
const quietStartsMax = 2;
/** Of a stop: how often it is looked at who is still there. */
const orderMs = 2;

/** Lets chaos loose on a tree. @throws {IpcError} ERR_REFUSED if the tree does not come up at all. */
export function chaos(options: ChaosOptions): Promise<ChaosReport> {
  return new Chaos(options).run();
}

class Chaos {
  readonly #options: ChaosOptions;
  readonly #chance: Chance;
  readonly #acts: Record<string, number> = {};
  readonly #backMs: number[] = [];
  readonly #violations: string[] = [];
  readonly #startedAt = performance.now();
  #root!: ChildProcess;
  #givenUp = 0;
  #first: number | undefined;
  /** Everything of the tree that was seen and should be gone when it has ended. */
  #seen: Living[] = [];

  constructor(options: ChaosOptions) {
    this.#options = options;
    this.#chance = new Chance(options.seed);
  }

  async run(): Promise<ChaosReport> {
    this.#start();
    try {
      const status = await this.#settled();
      if (!status)
        throw IpcError.of('ERR_REFUSED', 'chaos', `the tree is not up; see ${this.#options.outputPath}`);
      this.#first = descriptorsOf(status.pid);
      await this.#leaveAlone(status);
      const until = performance.now() + this.#options.forMs;
      while (performance.now() < until && !this.#options.signal?.aborted && this.#violations.length === 0)
        await this.#round();
      const last = this.#root.exitCode === null ? descriptorsOf(this.#root.pid!) : undefined;
      await this.#end();
      return this.#report(last);
    } finally {
      if (this.#root.exitCode === null && this.#root.signalCode === null) this.#root.kill('SIGKILL');
    }
  }

  async #round(): Promise<void> {
    const status = await this.#status();
    if (!status) return this.#violate('the root answers no more');
    const units = status.units.filter(({ pid, phase }) => pid !== null && phase === 'up');
    if (units.length === 0) return void (await this.#back('what was done to all'));
    const kind = this.#chance.of(actKinds);
    const rested = this.#chance.next() < 0.7;
    const at = performance.now();
    const victims = await this.#act(kind, units, status.pid);
    this.#acts[kind] = (this.#acts[kind] ?? 0) + 1;
    // Half of them meet a tree that is still busy with the one before.
    if (!rested) return void (await pause(this.#chance.delay(1, 300)));
    const settled = await this.#back(kind);
    if (!settled) return;
    this.#backMs.push(performance.now() - at);
    await this.#gone(victims, kind);
    this.#look(settled.pid);
  }

  /** Waits until all are up again. Who asks for the end of it all does not wait for that. */
  async #back(from: string): Promise<TreeStatus | undefined> {
    const settled = await this.#settled();
    const { patienceMs, signal } = this.#options;
    if (!settled && !signal?.aborted)
      this.#violate(`not all are up ${Math.round(patienceMs / 1_000)} s after: ${from}`);
    return settled;
  }

  /** @returns what has to be gone once all are up again. */
  async #act(kind: ActKind, units: readonly UnitStatus[], root: number): Promise<Living[]> {
    const unit = this.#chance.of(units);
    const below = livingBelow(unit.pid!);
    switch (kind) {
      case 'kill':
      case 'terminate':
        this.#tell(`${kind} ${unit.name} (${unit.pid})`);
        send(unit.pid!, kind === 'kill' ? 'SIGKILL' : 'SIGTERM');
        return below;
      case 'stop': {
        const ms = this.#chance.delay(10, 2_000);
        this.#tell(`stop ${unit.name} (${unit.pid}) for ${ms} ms`);
        send(unit.pid!, 'SIGSTOP');
        await pause(ms);
        send(unit.pid!, 'SIGCONT');
        return [];
      }
      case 'burst': {
        const several = units.filter(() => this.#chance.next() < 0.5);
        this.#tell(`kill ${several.map(({ name }) => name).join(', ') || 'nobody'} at once`);
        const all = several.flatMap(({ pid }) => livingBelow(pid!));
        for (const { pid } of several) send(pid!, 'SIGKILL');
        return all;
      }
      case 'minder': {
        // Whoever stands between the root and the unit.
        const between = livingBelow(root).filter(
          ({ pid }) =>
            pid !== root && pid !== unit.pid && livingBelow(pid).some((each) => each.pid === unit.pid),
        );
        if (between.length === 0) return [];
        const minder = between[0]!;
        this.#tell(`kill the minder of ${unit.name} (${minder.pid})`);
        send(minder.pid, 'SIGKILL');
        return [...below, minder];
      }
      case 'descendant': {
        const others = below.filter(({ pid }) => pid !== unit.pid);
        if (others.length === 0) return [];
        const victim = this.#chance.of(others);
        this.#tell(`kill ${victim.pid}, which ${unit.name} has started`);
        send(victim.pid, 'SIGKILL');
        return [victim];
      }
      case 'root':
        return this.#killRoot(units, root);
    }
  }

  async #killRoot(units: readonly UnitStatus[], root: number): Promise<Living[]> {
    this.#tell(`kill the root (${root})`);
    const kept = new Set(
      units
        .filter(({ name }) => this.#options.survivors.has(name))
        .flatMap(({ pid }) => livingBelow(pid!).map((each) => each.pid)),
    );
    const all = livingBelow(root).filter(({ pid }) => !kept.has(pid));
    const ended = new Promise((resolve) => this.#root.once('exit', resolve));
    send(root, 'SIGKILL');
    await ended;
    await this.#gone(all, 'root', afterRootMs);
    this.#start();
    return [];
  }

  /** Whoever crashes and is restarted without anybody having done anything to it. */
  async #leaveAlone(before: TreeStatus): Promise<void> {
    const at = performance.now();
    const { signal } = this.#options;
    await pause(quietMs, undefined, signal && { signal }).catch(() => {});
    if (signal?.aborted) return;
    const now = await this.#status();
    for (const { name, starts } of now?.units ?? []) {
      const more = starts - (before.units.find((unit) => unit.name === name)?.starts ?? 0);
      if (more <= quietStartsMax) continue;
      const seconds = ((performance.now() - at) / 1_000).toFixed(1);
      this.#violate(`${name} has started ${more} times in ${seconds} s, and nothing was done to it`);
    }
  }

  async #end(): Promise<void> {
    // What was last done to it is not mistaken for a part of its end.
    const settled = this.#violations.length === 0 ? await this.#settled() : undefined;
    if (settled) await this.#leaveAlone(settled);
    if (this.#root.exitCode !== null || this.#root.signalCode !== null)
      return this.#violate(
        `the tree has ended by itself, with ${this.#root.signalCode ?? `code ${this.#root.exitCode}`}`,
      );
    this.#seen = livingBelow(this.#root.pid!);
    const ended = new Promise((resolve) => this.#root.once('exit', resolve));
    this.#tell('stop the tree in order');
    // Where not all were up, who ends first says nothing.
    const order = new StopOrder(settled?.units ?? []);
    this.#root.kill('SIGTERM');
    let late: boolean | undefined;
    void ended.then(() => {
      late ??= false;
    });
    const until = performance.now() + this.#options.patienceMs;
    while (late === undefined) {
      for (const what of order.look()) this.#violate(what);
      if (performance.now() > until) late = true;
      else await pause(orderMs);
    }
    if (late)
      this.#violate(
        `the tree is still there ${Math.round(this.#options.patienceMs / 1_000)} s after it was to stop`,
      );
    else await this.#gone(this.#seen, 'the ordered stop');
  }

  /** Waits until none of them is there any more. */
  async #gone(living: readonly Living[], after: string, withinMs = 2_000): Promise<void> {
    const until = performance.now() + withinMs;
    let left = living.filter(isAlive);
    while (left.length > 0 && performance.now() < until) {
      await pause(lookMs);
      left = left.filter(isAlive);
    }
    if (left.length > 0)
      this.#violate(`left after ${after}: ${left.map(({ pid }) => pid).join(', ')}, ${withinMs} ms later`);
  }

  #look(root: number): void {
    const now = descriptorsOf(root);
    // A root that was killed has begun anew with as many as the first had.
    if (now !== undefined && this.#first !== undefined && now > this.#first + descriptorsMore)
      this.#violate(`the root holds ${now} descriptors, ${this.#first} at first`);
  }

  /** The state of the tree once all are up; undefined if they are not in time. */
  async #settled(): Promise<TreeStatus | undefined> {
    const until = performance.now() + this.#options.patienceMs;
    while (performance.now() < until && this.#root.exitCode === null && !this.#options.signal?.aborted) {
      const status = await this.#status();
      if (status?.units.every(({ phase }) => phase === 'up' || phase === 'completed' || phase === 'removed'))
        return status;
      for (const unit of status?.units ?? []) if (unit.phase === 'failed') await this.#forgive(unit);
      await pause(lookMs);
    }
    return undefined;
  }

  /** Its limits say that it is given up; an operator would look, and start it again. */
  async #forgive({ name }: UnitStatus): Promise<void> {
    this.#givenUp++;
    this.#tell(`${name} was given up; it is started again`);
    const { workspace } = this.#options;
    const ask = (question: string) => askTree(workspace, question, { facts: { unit: name } });
    await ask('reset').catch(() => {});
    await ask('start').catch(() => {});
  }

  async #status(): Promise<TreeStatus | undefined> {
    try {
      return (await askTree(this.#options.workspace, 'status')) as TreeStatus;
    } catch {
      return undefined;
    }
  }

  #start(): void {
    const [program, ...args] = this.#options.command;
    const fd = openSync(this.#options.outputPath, 'a', 0o600);
    this.#root = spawn(program!, args, { stdio: ['ignore', fd, fd] });
    this.#root.on('error', (error) => this.#violate(`the tree can not be started: ${messageOf(error)}`));
    closeSync(fd);
  }

  #tell(what: string): void {
    this.#options.onAct?.(this.#elapsedMs, what);
  }

  #violate(what: string): void {
    this.#violations.push(what);
    this.#tell(`violation: ${what}`);
  }

  get #elapsedMs(): number {
    return performance.now() - this.#startedAt;
  }

  #report(last: number | undefined): ChaosReport {
    const sorted = [...this.#backMs].sort((a, b) => a - b);
    const at = (share: number) =>
      Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!);
    return {
      seed: this.#options.seed,
      ms: Math.round(this.#elapsedMs),
      acts: this.#acts,
      backMs: sorted.length === 0 ? null : { p50: at(0.5), p99: at(0.99), max: at(1) },
      givenUp: this.#givenUp,
      descriptors: this.#first === undefined || last === undefined ? null : { first: this.#first, last },
      violations: this.#violations,
    };
  }
}

/** Somebody may have been faster. */
function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {}
}

function descriptorsOf(pid: number): number | undefined {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return undefined;
  }
}
