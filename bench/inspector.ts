// The inspector beside real processes: npm run bench:inspector -- [--turns N] [--mills N] [--seconds N]. Machines turn at a steady
// pace, with nobody watching, with the page in a browser, and with a recording. What it costs each process and the root is told
// for each; how fluently the page is drawn, what it is told and what is left out; and how large a record is.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type Browser, chromium } from 'playwright-core';

const { values } = parseArgs({
  options: {
    turns: { type: 'string', default: '10000' },
    mills: { type: 'string', default: '4' },
    seconds: { type: 'string', default: '15' },
    chromium: { type: 'string', default: '/usr/bin/chromium' },
  },
});
const turnsPerS = Number(values.turns);
const mills = Number(values.mills);
const seconds = Number(values.seconds);
const settleMs = 3_000;
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const topology = fileURLToPath(new URL('./mills.topology.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'actor-ipc-bench-'));
/** Of the kernel, per second. */
const ticksPerS = 100;

/** In the page itself, since the browser would have to hand each message to us; counted in the text, since that is quick. */
const countsInPage = `
  globalThis.told = { bytes: 0, records: 0, transitions: 0, droppedAtRoot: 0, droppedInMills: 0 };
  const Plain = WebSocket;
  globalThis.WebSocket = class extends Plain {
    constructor(url) {
      super(url);
      this.addEventListener('message', ({ data }) => {
        if (data.startsWith('{"type":"dropped"')) told.droppedAtRoot += JSON.parse(data).count;
        if (!data.startsWith('{"type":"records"')) return;
        told.bytes += data.length;
        told.records += data.split('"k":"').length - 1;
        told.transitions += data.split('"k":"transition"').length - 1;
        for (const [, count] of data.matchAll(/"k":"dropped","at":[^,]+,"count":([0-9]+)/g)) told.droppedInMills += Number(count);
      });
    }
  };
`;

// What has to be tidied up is, at the exit of this process.
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
process.on('SIGINT', () => process.exit(130));
process.on('SIGTERM', () => process.exit(143));

console.log(
  `${mills} processes, ${turnsPerS.toLocaleString('en')} transitions a second in all, ${seconds} s each\n`,
);
try {
  await phase('nobody watches', [], () => pause(seconds * 1_000));
  if (existsSync(values.chromium)) await phase('page', ['--inspect'], watchPage);
  else console.log(`There is no browser at ${values.chromium}: --chromium <path>`);
  for (const name of ['run.jsonl', 'run.jsonl.gz'])
    await phase(`recording ${name}`, ['--record', join(folder, name)], () => pause(seconds * 1_000));
  const records = recordsIn(join(folder, 'run.jsonl'));
  for (const name of ['run.jsonl', 'run.jsonl.gz']) {
    const { size } = statSync(join(folder, name));
    console.log(`${name.padEnd(28)}${(size / records).toFixed(1).padStart(8)} bytes per record, about`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** One run of the tree. */
async function phase(
  name: string,
  options: string[],
  watch: (url: string) => Promise<unknown>,
): Promise<void> {
  const child = spawn(
    process.execPath,
    [main, 'run', topology, '--workspace', join(folder, 'workspace'), ...options],
    {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...process.env,
        NO_COLOR: '1',
        ACTOR_IPC_RUN_DIR: join(folder, 'run'),
        MILLS: values.mills,
        TURNS_PER_S: values.turns,
      },
    },
  );
  try {
    const output = await outputUntil(child, /mills is operative/);
    const pids = [...output.matchAll(/started as process (\d+)/g)].map(([, pid]) => Number(pid));
    const [, url = ''] = /inspector: (http:\S+)/.exec(output) ?? [];
    await pause(settleMs);
    const began = { atMs: performance.now(), mills: cpuS(pids), root: cpuS([child.pid!]) };
    const figures = await watch(url);
    const tookS = (performance.now() - began.atMs) / 1_000;
    const [ofMills, ofRoot] = [cpuS(pids) - began.mills, cpuS([child.pid!]) - began.root];
    const turns = turnsPerS * tookS;
    console.log(
      `${name.padEnd(28)}${((ofMills / turns) * 1e6).toFixed(2).padStart(8)} us of processor per transition, root ${percent(ofRoot / tookS)} of a core`,
    );
    if (typeof figures === 'string') console.log(figures);
  } finally {
    child.kill('SIGINT');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
}

async function watchPage(url: string): Promise<string> {
  const browser = await chromium.launch({
    executablePath: values.chromium,
    args: ['--no-sandbox', '--disable-gpu'],
  });
  try {
    return await framesOf(browser, url);
  } finally {
    await browser.close();
  }
}

async function framesOf(browser: Browser, url: string): Promise<string> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 720 } });
  await page.addInitScript(countsInPage);
  await page.goto(`${url}#show=actor&process=mill1%231&actor=mill`);
  await page.locator('.state.active').first().waitFor();
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable');
  const busyS = async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'TaskDuration')!.value;
  };
  await pause(settleMs);
  const before = await busyS();
  await page.evaluate('Object.keys(told).forEach((name) => (told[name] = 0))');
  const gaps = (await page.evaluate(
    `new Promise((resolve) => {
      const gaps = [];
      let last = performance.now();
      const until = last + ${seconds * 1_000};
      const frame = (now) => {
        gaps.push(now - last);
        last = now;
        if (now < until) requestAnimationFrame(frame);
        else resolve(gaps);
      };
      requestAnimationFrame(frame);
    })`,
  )) as number[];
  const told = (await page.evaluate('told')) as Told;
  const busy = (await busyS()) - before;
  const ordered = gaps.toSorted((one, other) => one - other);
  const at = (part: number) =>
    ordered[Math.min(ordered.length - 1, Math.floor(ordered.length * part))]!.toFixed(1);
  const lines = [
    `${(gaps.length / seconds).toFixed(1)} frames/s; between two: median ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms`,
    `its main thread was busy for ${percent(busy / seconds)} of the time`,
    `${Math.round(told.records / seconds).toLocaleString('en')} records/s, ${Math.round(told.transitions / seconds).toLocaleString('en')} of them transitions; left out: ${told.droppedInMills.toLocaleString('en')} by the processes, ${told.droppedAtRoot.toLocaleString('en')} for the page`,
    `${(told.bytes / Math.max(1, told.records)).toFixed(1)} bytes per record, as JSON`,
  ];
  return lines.map((line) => `  ${line}`).join('\n');
}

interface Told {
  readonly bytes: number;
  readonly records: number;
  readonly transitions: number;
  readonly droppedAtRoot: number;
  readonly droppedInMills: number;
}

async function outputUntil(child: ChildProcess, pattern: RegExp): Promise<string> {
  let output = '';
  child.stdout!.on('data', (chunk: Buffer) => (output += chunk));
  child.stderr!.on('data', (chunk: Buffer) => (output += chunk));
  while (!pattern.test(output)) {
    if (child.exitCode !== null) throw new Error(`the tree has ended:\n${output}`);
    await pause(50);
  }
  return output;
}

/** What these processes have spent so far. */
function cpuS(pids: readonly number[]): number {
  return pids.reduce((total, pid) => {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return total + (Number(fields[11]) + Number(fields[12])) / ticksPerS;
  }, 0);
}

function recordsIn(file: string): number {
  let records = 0;
  for (const line of readFileSync(file, 'utf8').split('\n').slice(1)) {
    if (line === '') continue;
    const [, message] = JSON.parse(line) as [number, { type: string; batches?: { records: unknown[] }[] }];
    for (const batch of message.batches ?? []) records += batch.records.length;
  }
  return records;
}

function percent(part: number): string {
  return `${(part * 100).toFixed(1)} %`;
}
