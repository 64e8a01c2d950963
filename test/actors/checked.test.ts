// Checked mode: what happens to a process that is careless with memory of its peer.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { type Program, startProgram } from '../support/fixture.ts';
import { waitUntil } from '../support/wait-until.ts';
import { library, type ShelfSession } from './library.ts';
import { Court, holder } from './pair.ts';

const peer = fileURLToPath(new URL('../fixtures/actors/library-peer.ts', import.meta.url));

describe('a process that is careless with what it has borrowed', () => {
  let court: Court;
  beforeEach(async () => {
    court = new Court();
    await court.runtime().serve(
      library.shelf,
      holder<ShelfSession>(({ channels: { pages } }) => void pages.trySend(new Uint8Array(100_000).fill(8))),
    );
  });
  afterEach(() => court.close());

  function start(what: string, checked: boolean): Program {
    const env = { ACTOR_IPC_RUN_DIR: court.folder, ...(checked && { ACTOR_IPC_CHECKED: '1' }) };
    return startProgram(process.execPath, [...process.execArgv, peer, what], { env });
  }

  async function outputOf({ child }: Program): Promise<string> {
    let text = '';
    child.stdout!.on('data', (chunk) => {
      text += chunk;
    });
    return await waitUntil('what it tells', () => /^before .*$/m.exec(text)?.[0]);
  }

  it('reads nothing after a release in checked mode', async () => {
    using careless = start('careless', true);
    assert.match(await outputOf(careless), /^before 8 after nothing slice TypeError$/);
  });

  it('reads whatever stands there else', async () => {
    using careless = start('careless', false);
    assert.match(await outputOf(careless), /^before 8 after \d+ slice \d+$/);
  });

  it('dies by a write into it, with a last word in checked mode', async () => {
    using scribbler = start('scribbler', true);
    const { signal, stderr } = await scribbler.end;
    assert.equal(signal, 'SIGSEGV');
    assert.match(stderr, /wrote to byte \d+ of memory lent in the session with app shelf/);
  });
});
