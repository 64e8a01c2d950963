// npm run soak -- [--kills N] [--seed S] [--node-every N]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cppTarget } from '../support/cpp-target.ts';
import { Soak } from './soak.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '5000' },
    seed: { type: 'string', default: String((Date.now() % 1_000_000) + 1) },
    'node-every': { type: 'string', default: '100' },
  },
});
const folder = mkdtempSync(join(tmpdir(), 'actor-ipc-soak-'));
const beganAt = performance.now();
console.log(`seed ${values.seed}`);
const report = await new Soak({
  program: cppTarget('actor_ipc_soak_victim'),
  folder,
  kills: Number(values.kills),
  seed: Number(values.seed),
  nodeEvery: Number(values['node-every']),
  onProgress({ kills, violations }) {
    if (kills % 500 === 0) console.log(`${kills} kills, ${violations.length} violations`);
  },
}).run();
rmSync(folder, { recursive: true, force: true });
console.log({ ...report, seconds: Math.round((performance.now() - beganAt) / 1000) });
process.exitCode = report.violations.length === 0 ? 0 : 1;
