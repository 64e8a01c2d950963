// Units peer: a root with many plain programs. What a unit costs to start and to restart, what it takes of the root, how often
// an idle root wakes up, and how long the end of all takes.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { percentilesOf } from './histogram.ts';
import type { Figures } from './job.ts';
import { endWithStarter, sayReady, tell, untilReady, workOf } from './peer.ts';
import { atOnce, Root } from './root.ts';

const { role, job, directory } = workOf(process.argv);
/** A run that measures briefly has few units and few kills. */
const long = job.measureMs >= 1_000;
const many = long ? job.crowd : Math.min(job.crowd, 20);
const kills = long ? 50 : 5;
const idleMs = 2_000;

/** Where the last start of a unit stands in what the root has printed. */
const lastStart = new Map<string, number>();

const sleepers = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, i) => [
      `u${i}`,
      { kind: 'exec', file: 'sleep', args: ['100000'], ...atOnce },
    ]),
  );

async function units(): Promise<Figures> {
  const alone = new Root(directory, 'alone', sleepers(1));
  await alone.sees(/alone is operative/);
  await sleep(idleMs);
  const aloneKb = memoryKb(alone.pid);
  await alone.stop();

  const root = new Root(directory, 'many', sleepers(many));
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
  const again = new Root(directory, 'again', sleepers(many));
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
  tell(await units());
  process.exit();
}
