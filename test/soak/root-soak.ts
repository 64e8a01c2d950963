// Root soak: the supervisor itself is killed at any moment, also while it starts or restarts what was killed before it.
//
// After each death nothing of its tree is left, no process however it was started. The next start in the same workspace comes up,
// and an ordered stop leaves no socket and no record.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { askTree } from '../../src/runtime/control-client.ts';
import { openWorkspace } from '../../src/runtime/place.ts';
import type { TreeStatus } from '../../src/runtime/status.ts';
import { Random } from '../support/random.ts';
import { waitUntil } from '../support/wait-until.ts';
import { childrenOf, killAlive, startedIn } from './process-tree.ts';

export interface RootSoakOptions {
  /** An empty folder. */
  readonly folder: string;
  readonly kills: number;
  readonly seed: number;
  /** Roots at once. Default 3. */
  readonly roots?: number;
}

export interface RootSoakReport {
  /** Roots, and programs right before them. */
  kills: number;
  roots: number;
  violations: string[];
}

const command = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
/** A start takes about half of it on a machine that has nothing else to do. */
const lifeMaxMs = 1_200;
const wholeMs = 60_000;
/** Stands for "at once" on a machine that has other work. */
const goneMs = 15_000;
const violationsMax = 20;

const topology = `name: rooted
children:
  one: { kind: exec, file: sleep, args: ['100000'], backoff: { minMs: 1, maxMs: 10 } }
  # Starts others, one of which leaves its session.
  many: { kind: exec, file: sh, args: ['-c', 'sleep 100001 & setsid sleep 100002 & sleep 100003 & wait'] }
  # Does not stop when it is asked to.
  deaf: { kind: exec, file: sh, args: ['-c', 'trap "" TERM; while :; do sleep 1; done'], shutdown: 100 }
  late: { kind: exec, file: sleep, args: ['100004'], dependsOn: { many: ready } }
`;

export class RootSoak {
  readonly report: RootSoakReport = { kills: 0, roots: 0, violations: [] };
  readonly #options: RootSoakOptions;
  readonly #random: Random;

  constructor(options: RootSoakOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
  }

  async run(): Promise<RootSoakReport> {
    const { roots = 3 } = this.#options;
    await Promise.all(
      Array.from({ length: roots }, (_, index) =>
        this.#soak(index).catch((error) => this.#violated(String(error))),
      ),
    );
    return this.report;
  }

  async #soak(index: number): Promise<void> {
    const folder = join(this.#options.folder, `root-${index}`);
    mkdirSync(folder);
    writeFileSync(join(folder, 'topology.yaml'), topology);
    const random = new Random(this.#random.next() + 1);
    const { report } = this;
    while (report.kills < this.#options.kills && report.violations.length < violationsMax) {
      const root = this.#start(folder);
      if (random.below(4) === 0) await this.#whole(folder);
      else await pause(random.below(lifeMaxMs));
      const before = random.below(2) === 0 ? killSome(root.pid!, random) : [];
      report.kills += before.length;
      if (await killed(root)) {
        report.kills++;
        report.roots++;
      } else this.#violated(`a root ended by itself: ${readFileSync(join(folder, 'output'), 'latin1')}`);
      await waitUntil('all of it to be gone', () => startedIn(folder).length === 0, goneMs).catch(() =>
        this.#violated(
          `left by a root that was killed after ${before.join(', ') || 'nobody'}: ${startedIn(folder).join('; ')}`,
        ),
      );
    }
    const last = this.#start(folder);
    await this.#whole(folder);
    const ended = new Promise((resolve) => last.once('exit', resolve));
    last.kill('SIGINT');
    if ((await ended) !== 0) this.#violated(`an ordered stop ended with ${last.exitCode ?? last.signalCode}`);
    const left = [...startedIn(folder), ...readdirSync(join(folder, 'run'))];
    if (left.length > 0) this.#violated(`left by an ordered stop: ${left.join('; ')}`);
    const records = openWorkspace(join(folder, 'workspace')).leftRecords();
    if (records.length > 0) this.#violated(`records are left: ${records.map(({ unit }) => unit).join(', ')}`);
  }

  #start(folder: string): ChildProcess {
    const args = [command, 'run', join(folder, 'topology.yaml'), '--workspace', join(folder, 'workspace')];
    const root = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ACTOR_IPC_RUN_DIR: join(folder, 'run') },
    });
    let output = '';
    for (const stream of [root.stdout!, root.stderr!])
      stream.setEncoding('utf8').on('data', (text: string) => {
        output = (output + text).slice(-2_000);
        writeFileSync(join(folder, 'output'), output);
      });
    return root;
  }

  async #whole(folder: string): Promise<void> {
    const untilMs = performance.now() + wholeMs;
    for (;;) {
      const status = await askTree(join(folder, 'workspace'), 'status').catch(() => undefined);
      const units = (status as TreeStatus | undefined)?.units ?? [];
      if (units.length > 0 && units.every(({ phase }) => phase === 'up')) return;
      if (performance.now() > untilMs) throw new Error(`it is not up: ${JSON.stringify(units)}`);
      await pause(20);
    }
  }

  #violated(what: string): void {
    this.report.violations.push(what);
  }
}

/**
 * Programs below a root, so that it dies in the middle of something. Not their minders: who is left by a minder falls to the root,
 * and with both of them dead nobody is there any more.
 * @returns who was killed.
 */
function killSome(root: number, random: Random): number[] {
  const programs = childrenOf(root).flatMap(childrenOf);
  return programs.filter((pid) => random.below(3) === 0 && killAlive(pid));
}

async function killed(child: ChildProcess): Promise<boolean> {
  const ended = new Promise<boolean>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(false);
    else child.once('exit', (_, signal) => resolve(signal === 'SIGKILL'));
  });
  child.kill('SIGKILL');
  return ended;
}
