// A short churn; `npm run churn -- 10000` is the long one.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { startProgram } from '../support/fixture.ts';

const program = fileURLToPath(new URL('churn.ts', import.meta.url));
const sessions = 300;
/** 150 sessions that stayed would be far more. */
const grownMax = 64 * 1024 * 1024;

describe('a process that opens and closes sessions', () => {
  it(`holds the same descriptors, mappings and actors after ${sessions} as before`, async function () {
    this.timeout(120_000);
    using churn = startProgram(process.execPath, ['--import', 'tsx/esm', program, String(sessions)]);
    const { code, stdout, stderr } = await churn.end;
    assert.equal(code, 0, stderr);
    const { before, after, rssGrownBytes } = JSON.parse(stdout);
    assert.deepEqual(after, before);
    assert.isBelow(rssGrownBytes, grownMax);
  });
});
