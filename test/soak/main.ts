// npm run soak -- [--kills N] [--seed S] [--node-every N]
// npm run soak -- --arena [--kills N] [--seed S]
// npm run soak -- --cache [--kills N] [--seed S]
// npm run soak -- --stop SECONDS [--seed S]
// npm run soak -- --tree SECONDS [--seed S]
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cppTarget } from '../support/cpp-target.ts';
import { ArenaSoak } from './arena-soak.ts';
import { Soak } from './soak.ts';
import { StopSoak } from './stop-soak.ts';
import { TreeSoak } from './tree-soak.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '5000' },
    seed: { type: 'string', default: String((Date.now() % 1_000_000) + 1) },
    arena: { type: 'boolean', default: false },
    cache: { type: 'boolean', default: false },
    stop: { type: 'string' },
    tree: { type: 'string' },
    'node-every': { type: 'string', default: '100' },
  },
});
if (values.cache) {
  // In C++, since it is the addon's memory that is killed in; it prints and checks all by itself.
  const args = ['--kills', values.kills, '--seed', values.seed];
  const { status } = spawnSync(cppTarget('actor_ipc_cache_soak'), args, { stdio: 'inherit' });
  process.exit(status ?? 1);
}
const folder = mkdtempSync(join(tmpdir(), 'actor-ipc-soak-'));
const beganAt = performance.now();
console.log(`seed ${values.seed}`);
const common = { folder, kills: Number(values.kills), seed: Number(values.seed) };
const soak = chosen();
const report = await soak.run();
rmSync(folder, { recursive: true, force: true });
console.log({ ...report, seconds: Math.round((performance.now() - beganAt) / 1000) });
process.exitCode = report.violations.length === 0 ? 0 : 1;

function chosen(): { run(): Promise<{ violations: string[] }> } {
  if (values.stop !== undefined) return new StopSoak({ ...common, seconds: Number(values.stop) });
  if (values.tree !== undefined) return new TreeSoak({ ...common, seconds: Number(values.tree) });
  if (values.arena) return new ArenaSoak({ ...common, onProgress });
  return new Soak({
    ...common,
    program: cppTarget('actor_ipc_soak_victim'),
    nodeEvery: Number(values['node-every']),
    onProgress,
  });
}

function onProgress({ kills, violations }: { kills: number; violations: string[] }): void {
  if (kills % 500 === 0) console.log(`${kills} kills, ${violations.length} violations`);
}
