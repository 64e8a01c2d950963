// A short run of random deaths in a tree; `npm run soak -- --tree 300` has the long one.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { startProgram } from '../support/fixture.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const seconds = 10;

describe('a tree whose processes are killed at random', () => {
  it('comes back each time, by its rules, and leaves nothing behind', async function () {
    this.timeout(120_000);
    const args = ['--import', 'tsx/esm', main, '--tree', String(seconds), '--seed', '7'];
    using program = startProgram(process.execPath, args);
    const { code, stdout, stderr } = await program.end;
    assert.equal(code, 0, stdout + stderr);
    const found = (name: string) => Number(new RegExp(`${name}: ([0-9.]+)`).exec(stdout)?.[1]);
    assert.isAbove(found('kills'), 5, stdout);
    assert.isAbove(found('calms'), 1, stdout);
  });
});
