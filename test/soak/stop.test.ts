// A short stop; `npm run soak -- --stop 60` has the long one.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { startProgram } from '../support/fixture.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const seconds = 2;

describe('processes that are stopped with loans, borrows, a lock and a packet in hand', () => {
  it('are not taken for dead, hold up nobody else, and go on', async function () {
    this.timeout(120_000);
    const args = ['--import', 'tsx/esm', main, '--stop', String(seconds), '--seed', '5'];
    using program = startProgram(process.execPath, args);
    const { code, stdout, stderr } = await program.end;
    assert.equal(code, 0, stdout + stderr);
    const found = (name: string) => Number(new RegExp(`${name}: ([0-9.]+)`).exec(stdout)?.[1]);
    assert.isAtLeast(found('stoppedSeconds'), seconds);
    for (const name of ['lent', 'borrowed', 'others', 'locked', 'afterwards'])
      assert.isAbove(found(name), 0, `${name}: ${stdout}`);
  });
});
