// Load: logs in at one front end and asks the other who it is, as fast as both answer. It runs the topology for that, or takes front
// ends that run: `load.ts [--seconds N] [--at-once N] [URL URL]`.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    'at-once': { type: 'string', default: '16' },
  },
  allowPositionals: true,
});
const { seconds, 'at-once': atOnce } = values;
const tree = positionals.length > 0 ? undefined : await startTree();
const [login, ask] = tree?.urls ?? positionals;
if (!login || !ask) throw new Error('load.ts [--seconds N] [--at-once N] [URL URL]');
const endsAtMs = performance.now() + Number(seconds) * 1_000;
const timesMs = { login: [] as number[], me: [] as number[] };
let unknown = 0;

async function timed<T>(times: number[], call: () => Promise<T>): Promise<T> {
  const sinceMs = performance.now();
  const answer = await call();
  times.push(performance.now() - sinceMs);
  return answer;
}

async function user(name: string): Promise<void> {
  while (performance.now() < endsAtMs) {
    const response = await timed(timesMs.login, () =>
      fetch(`${login}/login?user=${name}`, { method: 'POST' }),
    );
    await response.text();
    const cookie = response.headers.get('set-cookie')!.split(';')[0]!;
    for (let i = 0; i < 10; i++) {
      const me = await timed(timesMs.me, () => fetch(`${ask}/me`, { headers: { cookie } }));
      if ((await me.text()).trim() !== name) unknown++;
    }
  }
}

await Promise.all(Array.from({ length: Number(atOnce) }, (_, i) => user(`user${i}`)));
for (const [what, times] of Object.entries(timesMs)) {
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)]!.toFixed(1);
  console.log(
    `${what}: ${Math.round(times.length / Number(seconds))} a second, median ${at(0.5)} ms, 99 % below ${at(0.99)} ms`,
  );
}
console.log(`${unknown} answers did not know who had logged in at the other one`);
await tree?.stop();

interface Tree {
  readonly urls: readonly string[];
  stop(): Promise<void>;
}

/** Runs the topology until both front ends are linked with the relay. */
async function startTree(): Promise<Tree> {
  const folder = mkdtempSync(join(tmpdir(), 'web-sessions-'));
  const files = ['../../dist/cli/main.js', './topology.ts'].map((name) =>
    fileURLToPath(new URL(name, import.meta.url)),
  );
  const root = spawn(
    process.execPath,
    [files[0]!, 'run', files[1]!, '--workspace', join(folder, 'workspace')],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, NORTH_PORT: '0', SOUTH_PORT: '0', ACTOR_IPC_RUN_DIR: join(folder, 'run') },
    },
  );
  process.on('exit', () => root.kill());
  let output = '';
  root.stdout!.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const names = ['north', 'south'];
  const urlOf = (name: string) => new RegExp(`${name} at (http://localhost:\\d+)`).exec(output)?.[1];
  const isUp = (name: string) => urlOf(name) && output.includes(`relay: link with ${name} is open`);
  while (!names.every(isUp)) {
    if (root.exitCode !== null) throw new Error(`the tree has ended:\n${output}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    urls: names.map((name) => urlOf(name)!),
    async stop() {
      await ended(root);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function ended(root: ChildProcess): Promise<void> {
  const end = once(root, 'exit');
  root.kill('SIGINT');
  await end;
}
