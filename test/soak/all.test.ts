// A short run of every kill soak that has no test of its own, side by side; `npm run soak -- --all` has the long one.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { cppBuildTimeoutMs, cppTarget } from '../support/cpp-target.ts';
import { startProgram } from '../support/fixture.ts';
import { parts } from './all.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));

describe('kill soaks', () => {
  before('build what they kill', function () {
    this.timeout(cppBuildTimeoutMs);
    for (const name of ['region', 'broadcast', 'cache']) cppTarget(`actor_ipc_${name}_soak`);
  });

  for (const [part, kills] of [
    ['pipes', 200],
    ['broadcasts', 200],
    ['caches', 200],
    ['relay', 4],
    ['roots', 6],
  ] as const)
    it(`count what they have killed, and find nothing broken: ${part}`, async function () {
      this.timeout(120_000);
      const { args } = parts.find(({ name }) => name === part)!;
      const common = ['--kills', String(kills), '--seed', '5', '--json'];
      using program = startProgram(process.execPath, ['--import', 'tsx/esm', main, ...args, ...common]);
      const { code, stdout, stderr } = await program.end;
      assert.equal(code, 0, stdout + stderr);
      const report = JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
      assert.deepEqual(report.violations, []);
      assert.isAtLeast(report.kills, kills);
      if (part !== 'relay') return;
      for (const what of ['puts', 'found'] as const) assert.isAbove(report[what], 0, stdout);
    });

  it('have shares that make up the whole', () => {
    const sum = parts.reduce((total, { share }) => total + share, 0);
    assert.closeTo(sum, 1, 1e-9);
  });
});
