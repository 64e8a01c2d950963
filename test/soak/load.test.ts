// Ten times too much for some seconds; `npm run soak -- --load 180` has the long one.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { startProgram } from '../support/fixture.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const seconds = 5;

describe('two processes with ten times the load that they can take', () => {
  it('drop and refuse what is too much, count it, keep their memory, and recover', async function () {
    this.timeout(90_000);
    const args = ['--import', 'tsx/esm', main, '--load', String(seconds), '--json'];
    using program = startProgram(process.execPath, args);
    const { code, stdout, stderr } = await program.end;
    assert.equal(code, 0, stdout + stderr);
    const report = JSON.parse(stdout.trimEnd().split('\n').at(-1)!);
    assert.equal(report.accepted, report.taken);
    for (const what of ['taken', 'dropped', 'missed', 'busy', 'answered'])
      assert.isAbove(report[what], 0, stdout);
    assert.isAbove(report.dropped, report.accepted, 'most of it was too much');
  });
});
