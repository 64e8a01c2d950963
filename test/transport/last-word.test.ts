// What a process says before it dies of a write into its peer's memory, and that every other signal is as it was without.
import { assert } from 'chai';
import { startFixture } from '../support/fixture.ts';

async function endOf(...args: string[]) {
  using program = startFixture('transport/last-word.ts', args);
  return await program.end;
}

const told =
  /^actor-ipc: process \d+ wrote to byte 96 of channel news of the session with app wall, memory that belongs to the peer and is read-only here;.* it dies by SIGSEGV$/m;

describe('the last word', () => {
  for (const what of ['write', 'worker-write'])
    it(`names session, channel and byte when a process dies of a write into its peer's memory (${what})`, async () => {
      const { code, signal, stdout, stderr } = await endOf(what);
      assert.deepEqual({ code, signal, stdout }, { code: null, signal: 'SIGSEGV', stdout: '' });
      assert.match(stderr, told);
    });

  it('is not spoken where nobody asked for it, and the process dies the same', async () => {
    const { signal, stderr } = await endOf('write', 'quiet');
    assert.equal(signal, 'SIGSEGV');
    assert.notInclude(stderr, 'actor-ipc');
  });

  it('leaves faults of WebAssembly to the engine, which makes errors of them', async () => {
    const { code, stdout } = await endOf('wasm');
    assert.deepEqual({ code, stdout }, { code: 0, stdout: 'memory access out of bounds\n' });
  });

  it('says nothing of a signal that somebody sent, which kills as ever', async () => {
    const { signal, stderr } = await endOf('signal');
    assert.equal(signal, 'SIGSEGV');
    assert.notInclude(stderr, 'actor-ipc');
  });
});
