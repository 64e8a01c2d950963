// A short soak of lent memory; `npm run soak -- --arena` has the long one.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { startProgram } from '../support/fixture.ts';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const kills = 12;

describe('a survivor of sessions with lent memory whose other side is killed', () => {
  it(`finds every borrow unchanged and nothing lent or left behind after ${kills} kills`, async function () {
    this.timeout(120_000);
    const args = ['--import', 'tsx/esm', main, '--arena', '--kills', String(kills), '--seed', '7'];
    using program = startProgram(process.execPath, args);
    const { code, stdout, stderr } = await program.end;
    assert.equal(code, 0, stdout + stderr);
    const found = (name: string) => Number(new RegExp(`${name}: (\\d+)`).exec(stdout)?.[1]);
    assert.isAtLeast(found('kills'), kills);
    assert.isAbove(found('sessions'), kills / 2);
    for (const name of ['messages', 'values', 'lent', 'released', 'outlived', 'sharedMax'])
      assert.isAbove(found(name), 0, name);
  });
});
