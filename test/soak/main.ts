// npm run soak -- --all [--kills N] [--seed S]                all kill soaks, and what each has killed
// npm run soak -- [--kills N] [--seed S] [--node-every N]     sessions
// npm run soak -- --arena | --pipes | --broadcast | --cache | --relay | --root [--kills N] [--seed S]
// npm run soak -- --tree SECONDS [--kills N] [--seed S]       ends with the seconds or with the kills
// npm run soak -- --stop SECONDS [--seed S]
// npm run soak -- --load SECONDS [--seed S]
// --json: the last line is the report.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cppTarget } from '../support/cpp-target.ts';
import { soakAll, tableOf } from './all.ts';
import { ArenaSoak } from './arena-soak.ts';
import { LoadSoak } from './load-soak.ts';
import { RelaySoak } from './relay-soak.ts';
import { RootSoak } from './root-soak.ts';
import { Soak } from './soak.ts';
import { StopSoak } from './stop-soak.ts';
import { TreeSoak } from './tree-soak.ts';

const flag = { type: 'boolean', default: false } as const;
const { values } = parseArgs({
  options: {
    kills: { type: 'string' },
    seed: { type: 'string', default: String((Date.now() % 1_000_000) + 1) },
    all: flag,
    arena: flag,
    pipes: flag,
    broadcast: flag,
    cache: flag,
    relay: flag,
    root: flag,
    stop: { type: 'string' },
    tree: { type: 'string' },
    load: { type: 'string' },
    'node-every': { type: 'string', default: '100' },
    json: flag,
  },
});
const seed = Number(values.seed);
const say = values.json ? () => {} : (text: string) => console.log(text);
say(`seed ${seed}`);
if (values.all) await all(Number(values.kills ?? 100_000));
// In C++, since it is the addon's memory that is killed in; they check all by themselves.
else if (values.cache) inCpp('actor_ipc_cache_soak');
else if (values.pipes) inCpp('actor_ipc_region_soak');
else if (values.broadcast) inCpp('actor_ipc_broadcast_soak');
else await here();

async function all(kills: number): Promise<void> {
  const reports = await soakAll({ kills, seed }, ({ part, kills, violations, seconds }) => {
    say(`${part}: ${kills} kills in ${seconds} s`);
    for (const what of violations) say(`  ${what}`);
  });
  say(`\n${tableOf(reports)}`);
  if (values.json) console.log(JSON.stringify(reports));
  if (reports.some(({ violations }) => violations.length > 0)) process.exitCode = 1;
}

function inCpp(target: string): void {
  const args = ['--kills', values.kills ?? '5000', '--seed', values.seed];
  const { status, stdout, stderr } = spawnSync(cppTarget(target), args, { encoding: 'utf8' });
  say(stdout + stderr);
  const kills = Number(/^(\d+) kills/m.exec(stdout)?.[1] ?? 0);
  const violations = status === 0 ? [] : [stderr || `it ended with ${status}`];
  if (values.json) console.log(JSON.stringify({ kills, violations }));
  process.exitCode = status ?? 1;
}

async function here(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'actor-ipc-soak-'));
  const beganAt = performance.now();
  const report = await chosen(folder).run();
  rmSync(folder, { recursive: true, force: true });
  const told = { ...report, seconds: Math.round((performance.now() - beganAt) / 1000) };
  console.log(values.json ? JSON.stringify(told) : told);
  process.exitCode = report.violations.length === 0 ? 0 : 1;
}

function chosen(folder: string): { run(): Promise<{ violations: string[] }> } {
  const common = { folder, seed, kills: Number(values.kills ?? 5_000) };
  if (values.stop !== undefined) return new StopSoak({ ...common, seconds: Number(values.stop) });
  if (values.load !== undefined) return new LoadSoak({ ...common, seconds: Number(values.load) });
  if (values.tree !== undefined) {
    const kills = values.kills === undefined ? Number.POSITIVE_INFINITY : common.kills;
    return new TreeSoak({ ...common, kills, seconds: Number(values.tree) });
  }
  if (values.arena) return new ArenaSoak({ ...common, onProgress });
  if (values.root) return new RootSoak(common);
  if (values.relay) return new RelaySoak(common);
  return new Soak({
    ...common,
    program: cppTarget('actor_ipc_soak_victim'),
    nodeEvery: Number(values['node-every']),
    onProgress,
  });
}

function onProgress({ kills, violations }: { kills: number; violations: string[] }): void {
  if (kills % 500 === 0) say(`${kills} kills, ${violations.length} violations`);
}
