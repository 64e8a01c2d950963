// Sessions in worker threads that are terminated in the middle of them.
import { assert } from 'chai';
import { startFixture } from '../support/fixture.ts';

describe('worker threads with busy sessions', () => {
  it('leave no descriptor, lock or mapping behind when they are terminated, and the process lives on', async function () {
    this.timeout(120_000);
    using program = startFixture('actors/session-workers.ts', ['3']);
    const { code, signal, stdout, stderr } = await program.end;
    assert.deepEqual({ code, signal }, { code: 0, signal: null }, stderr);
    const { before, after } = JSON.parse(stdout);
    assert.deepEqual(after, before);
  });
});
