// The cache alone: npm run bench:cache -- [--records N] [--processes N]. Operations per second of one process, beside a Map of
// this process that keeps the same order of use, and of several processes at once, each 80 reads to 20 sets of its own.
// What the processor spent is printed too: on a machine with other work, that is the figure to compare.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createRuntime } from 'actor-ipc';

const { values } = parseArgs({
  options: {
    records: { type: 'string', default: '20000' },
    processes: { type: 'string', default: '4' },
    directory: { type: 'string' },
  },
});
const records = Number(values.records);
const valueBytes = 384;
const value = new Uint8Array(valueBytes).fill(7);
const keys = Array.from({ length: records }, (_, i) => `session-${i}-0123456789`);
/** Neighbours in time are none in memory. */
const mixed = keys.map((_, i) => keys[(i * 7919) % records]!);

if (values.directory === undefined) await main();
else await peer(values.directory);

async function main(): Promise<void> {
  const runDirectory = mkdtempSync(join(tmpdir(), 'actor-ipc-bench-'));
  const runtime = createRuntime({ runDirectory });
  const cache = await runtime.cache<Uint8Array>('bench', { capacity: records, recordBytes: valueBytes });
  const map = new Map<string, Uint8Array>();
  for (const key of keys) {
    await cache.set(key, value);
    map.set(key, value);
  }
  for (let round = 0; round < 3; round++) {
    const hot = mixed.slice(0, 100);
    measure('get, 100 keys', () => each(hot, 2000, (key) => cache.get(key)));
    measure('get, all keys', () => each(mixed, 10, (key) => cache.get(key)));
    measure('has, all keys', () => each(mixed, 10, (key) => cache.has(key)));
    measure('miss', () => each(mixed, 10, () => cache.get('no-such-session-0123456789')));
    measure('trySet', () => each(mixed, 5, (key) => cache.trySet(key, value)));
    await measureAwaited('await set', async () => {
      for (const key of mixed) await cache.set(key, value);
      return mixed.length;
    });
    measure('Map of this process: get', () =>
      each(mixed, 10, (key) => {
        const found = map.get(key)!;
        map.delete(key);
        map.set(key, found);
        return found.slice();
      }),
    );
  }
  const script = fileURLToPath(import.meta.url);
  const args = ['--records', values.records, '--directory', runDirectory];
  const peers = Array.from({ length: Number(values.processes) }, () => fork(script, args));
  await Promise.all(peers.map(async (one) => once(one, 'message')));
  const answers = await Promise.all(peers.map((one) => answerOf(one)));
  const sum = answers.reduce((total, rate) => total + rate, 0);
  console.log(`${peers.length} processes, 80 % get, 20 % set: ${Math.round(sum / 1000)} k/s in all`);
  await runtime.stop();
  rmSync(runDirectory, { recursive: true, force: true });
}

async function answerOf(peer: ChildProcess): Promise<number> {
  peer.send('go');
  const [rate] = (await once(peer, 'message')) as [number];
  return rate;
}

/** One of several: waits for the others, then works. */
async function peer(runDirectory: string): Promise<void> {
  const runtime = createRuntime({ runDirectory });
  const cache = await runtime.cache<Uint8Array>('bench');
  process.send!('ready');
  await once(process, 'message');
  const beganAt = performance.now();
  let done = 0;
  for (let round = 0; round < 10; round++)
    for (let i = 0; i < mixed.length; i++, done++)
      if (i % 5 === 0) {
        while (cache.trySet(mixed[i]!, value) === undefined);
      } else cache.get(mixed[i]!);
  process.send!((done / (performance.now() - beganAt)) * 1000);
  await runtime.stop();
  process.disconnect();
}

function each(list: readonly string[], times: number, call: (key: string) => unknown): number {
  for (let i = 0; i < times; i++) for (const key of list) call(key);
  return list.length * times;
}

function measure(name: string, run: () => number): void {
  const began = { at: performance.now(), cpu: process.cpuUsage() };
  report(name, run(), began);
}

async function measureAwaited(name: string, run: () => Promise<number>): Promise<void> {
  const began = { at: performance.now(), cpu: process.cpuUsage() };
  report(name, await run(), began);
}

function report(name: string, count: number, began: { at: number; cpu: NodeJS.CpuUsage }): void {
  const { user, system } = process.cpuUsage(began.cpu);
  const perSecond = (count / (performance.now() - began.at)) * 1000;
  const ns = ((user + system) * 1000) / count;
  console.log(
    `${name.padEnd(28)}${String(Math.round(perSecond / 1000)).padStart(7)} k/s${String(Math.round(ns)).padStart(8)} ns of processor`,
  );
}
