// Units peer: a root with many plain programs, or with one Node process that is killed. What a unit costs to start and to restart,
// what it takes of the root, how often an idle root wakes up, and how long it takes until the next process does the work.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { percentilesOf } from './histogram.ts';
import type { Figures } from './job.ts';
import { endWithStarter, sayReady, tell, untilReady, workOf } from './peer.ts';

const { role, job, directory } = workOf(process.argv);
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const entry = new URL('../dist/index.js', import.meta.url).href;
/** A run that measures briefly has few units and few kills. */
const long = job.measureMs >= 1_000;
const many = long ? job.crowd : Math.min(job.crowd, 20);
const kills = long ? 50 : 5;
const idleMs = 2_000;

/** Where the last start of a unit stands in what the root has printed. */
const lastStart = new Map<string, number>();
const atOnce = {
  backoff: { minMs: 0, maxMs: 0 },
  giveUp: { restarts: 1_000_000, periodMs: 1 },
  shutdown: 1_000,
};

/** A root that runs a topology, seen by what it prints. */
class Root {
  readonly #process: ChildProcess;
  readonly #runDirectory: string;
  readonly #lines: { line: string; atNs: bigint }[] = [];
  #onLine: () => void = () => {};

  constructor(name: string, children: object) {
    const folder = join(directory, name);
    mkdirSync(folder, { recursive: true });
    const file = join(folder, 'topology.mjs');
    writeFileSync(file, `export default ${JSON.stringify({ name, children })};\n`);
    this.#runDirectory = join(folder, 'r');
    const args = [main, 'run', file, '--workspace', join(folder, 'w'), '--json'];
    this.#process = spawn(process.execPath, args, {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ACTOR_IPC_RUN_DIR: this.#runDirectory },
    });
    // Also if we fail; its minders end the rest.
    process.on('exit', () => this.#process.kill('SIGKILL'));
    createInterface({ input: this.#process.stdout! }).on('line', (line) => {
      this.#lines.push({ line, atNs: process.hrtime.bigint() });
      this.#onLine();
    });
  }

  get pid(): number {
    return this.#process.pid!;
  }

  /** The number of lines so far. */
  get seen(): number {
    return this.#lines.length;
  }

  /** When a line that matches came, of those from `from` on. */
  async sees(pattern: RegExp, from = 0): Promise<{ match: RegExpExecArray; atNs: bigint; index: number }> {
    for (let index = from; ; index++) {
      while (index >= this.#lines.length)
        await new Promise<void>((resolve) => {
          this.#onLine = resolve;
        });
      const { line, atNs } = this.#lines[index]!;
      const match = pattern.exec(line);
      if (match) return { match, atNs, index };
    }
  }

  /** Minders and programs, by what their environment says. */
  descendants(): number[] {
    return readdirSync('/proc')
      .map(Number)
      .filter(
        (pid) => pid > 0 && pid !== this.pid && environmentOf(pid).includes(`=${this.#runDirectory}\0`),
      );
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#process.kill('SIGTERM');
    await ended;
  }
}

const sleepers = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [
      `u${i}`,
      { kind: 'exec', file: 'sleep', args: ['100000'], ...atOnce },
    ]),
  );

async function units(): Promise<Figures> {
  const alone = new Root('alone', sleepers(1));
  await alone.sees(/alone is operative/);
  await sleep(idleMs);
  const aloneKb = memoryKb(alone.pid);
  await alone.stop();

  const root = new Root('many', sleepers(many));
  const { atNs: beganNs } = await root.sees(/many is booting/);
  const { atNs: upNs } = await root.sees(/many is operative/);
  await sleep(idleMs);
  const wakesBefore = wakesOf(root.pid);
  await sleep(idleMs);
  const wakes = ((wakesOf(root.pid) - wakesBefore) * 1_000) / idleMs;
  const memory = (memoryKb(root.pid) - aloneKb) / (many - 1);
  const samples: number[] = [];
  for (let i = 0; i < kills; i++)
    samples.push(await killAndSee(root, `u${(i * 7) % many}`, 'started as process'));
  const stop = await timeToEnd(root, 'SIGTERM');
  const again = new Root('again', sleepers(many));
  await again.sees(/again is operative/);
  const gone = await timeToEnd(again, 'SIGKILL');
  const open = Number(upNs - beganNs) / 1e6 / many;
  return { open, memory, wakes, stop, gone, ...percentilesOf(Uint32Array.from(samples)) };
}

/** From the signal until neither the root nor a minder nor a program of it runs, in milliseconds. */
async function timeToEnd(root: Root, signal: NodeJS.Signals): Promise<number> {
  const all = [root.pid, ...root.descendants()];
  const beganMs = performance.now();
  process.kill(root.pid, signal);
  while (all.some(runs)) await sleep(1);
  return performance.now() - beganMs;
}

/** What the unit itself writes; the record of an exit has the last lines in it, too. */
const active = /^\{(?!.*"exit").*active (\d+)/;
const loaded = /^\{(?!.*"exit").*loaded/;

/** From SIGKILL until the next process does what its module says after `activated()`. */
async function takeovers(standby: number): Promise<Figures> {
  const file = join(directory, 'worker.mjs');
  writeFileSync(
    file,
    `import { activated } from '${entry}';
console.log('loaded');
await activated();
console.log('active', process.pid);
setInterval(() => {}, 1e6);
`,
  );
  const root = new Root('one', { worker: { kind: 'node', file, standby, ...atOnce } });
  let { match, index } = await root.sees(active);
  const samples: number[] = [];
  for (let i = 0; i < kills; i++) {
    // The one behind it is loaded, and waits.
    if (standby > 0) await root.sees(loaded, index + 1);
    await sleep(100);
    const beganNs = process.hrtime.bigint();
    process.kill(Number(match[1]), 'SIGKILL');
    const next = await root.sees(active, index + 1);
    samples.push(Number(next.atNs - beganNs));
    ({ match, index } = next);
  }
  await root.stop();
  return percentilesOf(Uint32Array.from(samples));
}

async function killAndSee(root: Root, unit: string, words: string): Promise<number> {
  // Its last start.
  const started = new RegExp(`${unit} ${words} (\\d+)`);
  const known = await root.sees(started, lastStart.get(unit) ?? 0);
  const from = root.seen;
  const beganNs = process.hrtime.bigint();
  process.kill(Number(known.match[1]), 'SIGKILL');
  const next = await root.sees(started, from);
  lastStart.set(unit, next.index);
  return Number(next.atNs - beganNs);
}

/** Empty if it has ended. */
function environmentOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1');
  } catch {
    return '';
  }
}

/** A zombie does not. */
function runs(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat[stat.lastIndexOf(')') + 2] !== 'Z';
  } catch {
    return false;
  }
}

function memoryKb(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** How often the threads of a process have gone to sleep: as often as they woke up. */
function wakesOf(pid: number): number {
  return readdirSync(`/proc/${pid}/task`)
    .map((task) => readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8'))
    .map((status) => Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(status)?.[1]))
    .reduce((sum, each) => sum + each, 0);
}

endWithStarter();
if (role === 'responder') sayReady();
else {
  await untilReady();
  tell(
    job.transport === 'units' ? await units() : await takeovers(job.transport === 'units-standby' ? 1 : 0),
  );
  process.exit();
}
