// A short soak; `npm run soak` has the long one.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { cppBuildTimeoutMs, cppTarget } from '../support/cpp-target.ts';
import { startProgram } from '../support/fixture.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const kills = 200;

describe('a survivor of sessions whose other side is killed', () => {
  before('build the victim', function () {
    this.timeout(cppBuildTimeoutMs);
    cppTarget('actor_ipc_soak_victim');
  });

  it(`finds nothing torn, lost, twice, waiting or left behind after ${kills} kills`, async function () {
    this.timeout(120_000);
    // In a process of its own, whose descriptors are those of no other test.
    const args = ['--import', 'tsx/esm', main, '--kills', String(kills), '--node-every', '70'];
    using program = startProgram(process.execPath, args);
    const { code, stdout, stderr } = await program.end;
    assert.equal(code, 0, stdout + stderr);
    const found = (name: string) => Number(new RegExp(`${name}'?: (\\d+)`).exec(stdout)?.[1]);
    assert.isAtLeast(found('kills'), kills);
    assert.equal(found('node-client'), 2);
    // Most of them died in the middle of something.
    assert.isAbove(found('sessions'), kills / 2);
    assert.isAbove(found('received'), kills);
    assert.isAbove(found('unread'), 0);
  });
});
