// A short churn; `npm run churn -- 10000` is the long one.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { startProgram } from '../support/fixture.ts';

const program = fileURLToPath(new URL('churn.ts', import.meta.url));
const sessions = 300;
/** 150 sessions that stayed would be far more. */
const grownMax = 64 * 1024 * 1024;
/** What else the machine does makes a difference, too. */
const slowerMax = 10;

describe('a process that opens and closes sessions', () => {
  it(`holds the same descriptors, mappings and actors after ${sessions} as before, and is no slower`, async function () {
    this.timeout(120_000);
    using churn = startProgram(process.execPath, ['--import', 'tsx/esm', program, String(sessions)]);
    const { code, stdout, stderr } = await churn.end;
    assert.equal(code, 0, stderr);
    const { before, after, rssGrownBytes, sessionMs } = JSON.parse(stdout);
    assert.deepEqual(after, before);
    assert.isBelow(rssGrownBytes, grownMax);
    // Each session that looked at all former ones would be slower than the one before it.
    assert.isBelow(sessionMs.last, sessionMs.first * slowerMax, JSON.stringify(sessionMs));
  });
});
