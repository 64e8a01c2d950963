// Tree soak: a tree with groups, edges and a standby, whose processes, standbys and minders are killed at random.
//
// While it goes on: no start of a unit is counted back, and nobody is up who is bound to what is down. Whenever it is left alone for
// a moment: all are up, each unit has one process (and one that stands by, where it has a standby), no member of a group has outlived
// the last death that its strategy restarts it for. At the end nothing is left, no process, no record, no descriptor.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { addressOf } from '../../src/names.ts';
import { openWorkspace } from '../../src/runtime/place.ts';
import { Tree } from '../../src/runtime/tree.ts';
import { exec, node, supervisor } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';
import { native } from '../../src/transport/native.ts';
import type { Workspace } from '../../src/workspace/workspace.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { Random } from '../support/random.ts';
import { waitUntil } from '../support/wait-until.ts';
import { childrenOf, killAlive, startedIn } from './process-tree.ts';

export interface TreeSoakOptions {
  /** An empty folder. */
  readonly folder: string;
  /** Ends after so long, or after so many kills, whichever comes first. */
  readonly seconds: number;
  readonly kills: number;
  readonly seed: number;
}

export interface TreeSoakReport {
  kills: number;
  /** How often it was looked at while it was left alone. */
  calms: number;
  violations: string[];
}

const quick = {
  backoff: { minMs: 10, maxMs: 50, jitter: 0.5 },
  giveUp: { restarts: 1_000_000, periodMs: 1 },
  shutdown: 2_000,
};
const sleeper = (more: object = {}) => exec('sleep', { args: ['100000'], ...quick, ...more });
const three = () => ({ a: sleeper(), b: sleeper(), c: sleeper() });
/** Whoever of each supervisor restarts when one dies; the others of it are left alone. */
const groups: Readonly<Record<string, (dead: string) => readonly string[]>> = {
  all: () => ['a', 'b', 'c'],
  rest: (dead) => ['a', 'b', 'c'].slice(['a', 'b', 'c'].indexOf(dead)),
};
const killsPerRound = 8;
const violationsMax = 20;
/** A round under other load takes this long at the most. */
const calmMs = 30_000;

export class TreeSoak {
  readonly report: TreeSoakReport = { kills: 0, calms: 0, violations: [] };
  readonly #options: TreeSoakOptions;
  readonly #random: Random;
  readonly #tree: Tree;
  readonly #workspace: Workspace;
  readonly #starts = new Map<string, number>();
  /** By unit: the moment before which its process must not have started. */
  readonly #notBefore = new Map<string, number>();

  constructor(options: TreeSoakOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    const { folder } = options;
    process.env.ACTOR_IPC_RUN_DIR = join(folder, 'run');
    const entry = new URL('../../dist/index.js', import.meta.url).href;
    writeFileSync(
      join(folder, 'worker.mjs'),
      `import { activated } from '${entry}';\nawait activated();\nsetInterval(() => {}, 1e6);\n`,
    );
    const topology = {
      name: 'soak',
      children: {
        all: supervisor({ strategy: 'one-for-all', children: three() }),
        rest: supervisor({ strategy: 'rest-for-one', children: three() }),
        db: sleeper(),
        app: sleeper({ dependsOn: { db: { state: 'ready', mode: 'bind' } } }),
        late: sleeper({ dependsOn: { app: { state: 'ready', mode: 'after' } } }),
        worker: node('./worker.mjs', { ...quick, standby: 1 }),
      },
    };
    this.#workspace = openWorkspace(join(folder, 'workspace'));
    const quiet = () => {};
    this.#tree = new Tree(checkTopology(topology, join(folder, 'topology.mjs')), {
      workspace: this.#workspace,
      log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
      onLine: quiet,
    });
  }

  async run(): Promise<TreeSoakReport> {
    try {
      await this.#calm();
      const descriptors = kindsOfOpen();
      const untilMs = performance.now() + this.#options.seconds * 1_000;
      const goesOn = () => performance.now() < untilMs && this.report.kills < this.#options.kills;
      while (goesOn() && this.report.violations.length < violationsMax) {
        for (let i = 0; i < killsPerRound; i++) {
          this.#kill();
          await pause(this.#random.below(20));
          this.#look();
        }
        await this.#calm();
      }
      const more = () => [...kindsOfOpen()].filter(([kind, count]) => count > (descriptors.get(kind) ?? 0));
      try {
        await waitUntil('no descriptor more than before', () => more().length === 0, calmMs);
      } catch {
        this.#violated(`descriptors are left: ${JSON.stringify(more())}`);
      }
    } catch (error) {
      this.#violated(String(error));
    }
    this.#tree.stop();
    await this.#tree.ended;
    const left = () => startedIn(this.#options.folder);
    await waitUntil('all processes to be gone', () => left().length === 0, calmMs).catch(() =>
      this.#violated(`processes are left: ${left().join(', ')}`),
    );
    const records = this.#workspace.leftRecords().map(({ unit }) => unit);
    if (records.length > 0) this.#violated(`records are left: ${records.join(', ')}`);
    return this.report;
  }

  /** SIGKILL to a process that the tree knows, one that stands by, or a minder. */
  #kill(): void {
    const all = this.#processes();
    const victim = all[this.#random.below(all.length)];
    if (!victim) return;
    const [above, id] = victim.unit.includes('/') ? (victim.unit.split('/') as [string, string]) : [];
    const now = ticksNow();
    // Who has ended by itself meanwhile was not killed.
    if (!killAlive(this.#random.below(4) === 0 ? victim.minder : victim.pid)) return;
    this.report.kills++;
    // Whoever restarts for it starts after this.
    const hit = above && !victim.standby ? groups[above]!(id!).map((each) => `${above}/${each}`) : [];
    for (const unit of hit) this.#notBefore.set(unit, now);
  }

  /** What must hold at any moment. */
  #look(): void {
    const units = new Map(this.#tree.status().units.map((unit) => [unit.name, unit]));
    for (const { name, starts } of units.values()) {
      // A supervisor that restarts has new units below it; none of these gives up.
      const before = this.#starts.get(name) ?? 0;
      if (starts < before) this.#violated(`${name} has started ${starts} times, and ${before} times before`);
      this.#starts.set(name, starts);
    }
    const dead = units.get('db')!.phase !== 'up' && units.get('app')!.phase === 'up';
    if (dead) this.#violated('app is up while db, which it is bound to, is not');
  }

  /** All are up, by one process each. */
  async #calm(): Promise<void> {
    const wrong = () => {
      const units = this.#tree.status().units;
      const down = units
        .filter(({ phase }) => phase !== 'up')
        .map(({ name, phase }) => `${name} is ${phase}`);
      if (down.length > 0) return down;
      const { warm } = this.#tree.host.snapshotOf(addressOf('soak/worker'))!.context as { warm: number };
      if (warm !== 1) return ['nobody stands by for worker'];
      const all = this.#processes();
      return units.flatMap(({ name, kind, pid }) => {
        if (kind === 'supervisor') return [];
        const own = all.filter((each) => each.unit === name && !each.standby);
        const waiting = all.filter((each) => each.unit === name && each.standby).length;
        if (own.length !== 1 || own[0]!.pid !== pid) return [`${name} has ${own.length} processes`];
        if (waiting !== (name === 'worker' ? 1 : 0)) return [`${name} has ${waiting} standbys`];
        const notBefore = this.#notBefore.get(name) ?? 0;
        return own[0]!.startTicks < notBefore ? [`${name} has outlived one that it restarts for`] : [];
      });
    };
    try {
      await waitUntil('all of it to be up', () => wrong().length === 0, calmMs);
    } catch {
      throw new Error(`after ${calmMs} ms: ${wrong().join('; ')}`);
    }
    this.#look();
    this.report.calms++;
  }

  /** The programs of the tree, without their minders. */
  #processes(): { pid: number; minder: number; unit: string; standby: boolean; startTicks: number }[] {
    const known = new Set(this.#tree.status().units.map(({ pid }) => pid));
    // What translates a program runs beside it, and is none of the tree's.
    return childrenOf(process.pid).flatMap((minder) =>
      childrenOf(minder).flatMap((pid) => {
        try {
          if (!isMinder(minder) || isMinder(pid)) return [];
          const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
          const unit = environment.find((each) => each.startsWith('ACTOR_IPC_UNIT='))!.slice(15);
          const startTicks = native().startTicks(pid);
          const name = unit.slice(unit.indexOf('/') + 1);
          return [{ pid, minder, unit: name, standby: !known.has(pid), startTicks }];
        } catch {
          // It has just ended.
          return [];
        }
      }),
    );
  }

  #violated(what: string): void {
    this.report.violations.push(what);
  }
}

/** How many descriptors are open, by what they lead to. */
function kindsOfOpen(): Map<string, number> {
  const kinds = new Map<string, number>();
  for (const path of openDescriptors().values()) {
    const kind = path.replace(/\d+/g, '#');
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  return kinds;
}

/** Since boot, in the unit in which the kernel says when a process began. */
function ticksNow(): number {
  return Math.floor(Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]) * 100);
}

function isMinder(pid: number): boolean {
  return /minder/.test(readFileSync(`/proc/${pid}/comm`, 'latin1'));
}
