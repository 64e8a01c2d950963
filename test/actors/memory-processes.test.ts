// Memory between two processes: what passes without being copied, and what is left of it when either is killed.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { rawBytes } from '../../src/index.ts';
import { waitUntil } from '../support/wait-until.ts';
import { deferred, library, type ReaderSession, type ShelfSession } from './library.ts';
import { Court, holder } from './pair.ts';

const peer = fileURLToPath(new URL('../fixtures/actors/library-peer.ts', import.meta.url));
const MiB = 1024 * 1024;

describe('memory between two processes', function () {
  this.timeout(120_000);
  let court: Court;
  const children = new Set<ChildProcess>();
  beforeEach(() => {
    court = new Court();
  });
  afterEach(async () => {
    for (const child of children) child.kill('SIGKILL');
    children.clear();
    await court.close();
  });

  function start(...args: string[]): ChildProcess {
    const env = { ...process.env, ACTOR_IPC_RUN_DIR: court.folder };
    const child = spawn(process.execPath, [...process.execArgv, peer, ...args], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.add(child);
    return child;
  }

  /** Serves the library here, to a reader in a process of its own. */
  async function withReader() {
    const runtime = court.runtime();
    const { promise, resolve } = deferred<ShelfSession>();
    let ended = false;
    await runtime.serve(
      library.shelf,
      holder<ShelfSession>(resolve, () => {
        ended = true;
      }),
    );
    const child = start('reader');
    const session = await promise;
    await session.channels.pages.receive();
    return { runtime, child, session, ended: () => ended };
  }

  it('is read in place: a large value passes without being copied or walked', async () => {
    const { runtime, session } = await withReader();
    const bytes = 64 * MiB;
    const arena = runtime.createArena({ bytes: bytes + 2 * MiB });
    using value = arena.construct(rawBytes, {
      bytes,
      write: (memory) => {
        // Touched in a few places only, so the rest is a hole that nobody has filled.
        for (const at of [0, bytes / 2, bytes - 1]) memory[at] = 1 + (at % 250);
      },
    });
    const { cards } = session.channels;
    const before = await cards.request('memory', null);
    for (const at of [0, bytes / 2, bytes - 1]) {
      const byte = await cards.request('byte', { handle: cards.lend(value), at, keep: true });
      assert.equal(byte, 1 + (at % 250));
    }
    const after = await cards.request('memory', null);
    assert.isBelow(after - before, bytes / 4, 'the reader has no copy of it');
  });

  it('carries pages as messages, borrowed by a reader in another process', async () => {
    const { session } = await withReader();
    const { pages, cards } = session.channels;
    for (let n = 1; n <= 4; n++) {
      const loan = pages.loan(MiB);
      loan.bytes.fill(n);
      await loan.send();
      assert.equal(await cards.request('page', null), 2 * n);
    }
    assert.equal(pages.stats().loans, 4);
    assert.isFalse(pages.trySend(new Uint8Array(10_000)), 'the reader holds as many as it may');
  });

  it('of a reader that is killed comes back: the session at once, a shared value when its process is dead', async () => {
    const { runtime, child, session, ended } = await withReader();
    const arena = runtime.createArena({ bytes: 4 * MiB });
    const value = arena.construct(rawBytes, { bytes: MiB, write: (memory) => memory.fill(5) });
    const { cards, pages } = session.channels;
    pages.trySend(new Uint8Array(20_000).fill(1));
    await cards.request('page', null);
    assert.equal(await cards.request('byte', { handle: cards.lend(value), at: 3, keep: true }), 5);
    // Lent, and never borrowed.
    cards.lend(value);
    value.release();
    assert.isAbove(arena.stats().used, MiB);
    child.kill('SIGKILL');
    await waitUntil('the end of the session', ended);
    await waitUntil('the value to be free', () => arena.stats().used === 0);
  });

  it('of a reader that is stopped is never taken back, however long it is silent', async () => {
    const { runtime, child, session, ended } = await withReader();
    const arena = runtime.createArena({ bytes: 4 * MiB });
    const value = arena.construct(rawBytes, { bytes: MiB, write: () => {} });
    const { cards } = session.channels;
    await cards.request('byte', { handle: cards.lend(value), at: 0, keep: true });
    value.release();
    child.kill('SIGSTOP');
    session.close();
    await waitUntil('the end of the session', ended);
    assert.isAbove(arena.stats().used, MiB);
    child.kill('SIGKILL');
    await waitUntil('the value to be free', () => arena.stats().used === 0);
  });

  it('of an owner that is killed stays readable for those who have borrowed it', async () => {
    const child = start('owner', String(8 * MiB));
    await once(child.stdout!, 'data');
    const { promise, resolve } = deferred<ReaderSession>();
    let ended = false;
    court.runtime().connect(
      library.reader,
      library.shelf,
      holder<ReaderSession>(resolve, () => {
        ended = true;
      }),
    );
    const { channels } = await promise;
    const value = await channels.cards.borrow(await channels.cards.receive(), rawBytes);
    const page = await channels.pages.receive({ borrow: true });
    child.kill('SIGKILL');
    await waitUntil('the end of the session', () => ended);
    await waitUntil('its teardown', () => !channels.cards.open);
    assert.isTrue(Buffer.alloc(8 * MiB, 9).equals(value.value));
    assert.deepEqual(page.bytes, new Uint8Array(100_000).fill(8));
    const { bytes } = page;
    page.release();
    value.release();
    assert.equal(bytes.byteLength, 0);
  });
});
