// Arenas that a topology declares, used by real children of a tree: what is published outlives whoever has written it.
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import type { Log } from '../../src/actors/hosting.ts';
import { createRuntime } from '../../src/index.ts';
import { openWorkspace } from '../../src/runtime/place.ts';
import { Tree } from '../../src/runtime/tree.ts';
import { arena, node } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';
import { scratch } from '../cli/command.ts';
import type { Order } from '../fixtures/actors/arena-hand.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { waitUntil } from '../support/wait-until.ts';

const hand = fileURLToPath(new URL('../fixtures/actors/arena-hand.ts', import.meta.url));
const MiB = 1024 * 1024;

describe('an arena of a topology', function () {
  this.timeout(120_000);
  const runDirectory = process.env.ACTOR_IPC_RUN_DIR;
  let place: ReturnType<typeof scratch>;
  let tree: Tree;
  let said: string[];

  beforeEach(async () => {
    place = scratch();
    said = [];
    process.env.ACTOR_IPC_RUN_DIR = place.env.ACTOR_IPC_RUN_DIR;
    const child = (name: string) =>
      node(hand, { args: [socketOf(name)], backoff: { minMs: 1 }, giveUp: { restarts: 100 } });
    const topology = checkTopology(
      {
        name: 'library',
        arenas: { shelf: arena({ bytes: 8 * MiB }) },
        children: { writer: child('writer'), reader: child('reader'), other: child('other') },
      },
      join(place.folder, 'topology.ts'),
    );
    const note = (_: object, message: string) => void said.push(message);
    const log: Log = { debug: note, info: note, warn: note, error: note };
    tree = new Tree(topology, { workspace: openWorkspace(place.workspace), log, onLine: () => {} });
    await operative();
  });
  afterEach(async () => {
    tree.stop();
    await tree.ended;
    if (runDirectory === undefined) delete process.env.ACTOR_IPC_RUN_DIR;
    else process.env.ACTOR_IPC_RUN_DIR = runDirectory;
    place.remove();
  });

  const socketOf = (name: string) => join(place.folder, `${name}.sock`);
  const operative = () =>
    waitUntil(
      'all children to be up',
      () => tree.status().units.every(({ phase, state }) => phase === 'up' && state === 'operative'),
      40_000,
    );
  const unit = (name: string) => tree.status().units.find((one) => one.name === name)!;

  /** Has a child do something. @returns what it answers, or the code of its error. */
  async function tell(name: string, order: Order): Promise<unknown> {
    const socket = connect(socketOf(name));
    try {
      socket.write(`${JSON.stringify(order)}\n`);
      for await (const line of createInterface({ input: socket })) {
        const { answer, error } = JSON.parse(line);
        return error ? (error.code ?? error.message) : answer;
      }
      throw new Error(`${name} ended`);
    } finally {
      socket.destroy();
    }
  }

  /** Kills it and waits for its next life. */
  async function killed(name: string): Promise<void> {
    const { pid } = unit(name);
    process.kill(pid!, 'SIGKILL');
    await waitUntil('its next life', () => unit(name).pid !== pid && unit(name).pid !== null);
    await operative();
  }

  const until = async (what: string, name: string, order: Order, wanted: (answer: unknown) => boolean) => {
    let answer: unknown;
    let asking = false;
    await waitUntil(what, () => {
      if (asking) return false;
      if (wanted(answer)) return true;
      asking = true;
      tell(name, order).then(
        (next) => {
          answer = next;
          asking = false;
        },
        () => {
          asking = false;
        },
      );
      return false;
    });
  };

  it('keeps what a killed writer has published, for those who have borrowed it and for those who come later', async () => {
    await tell('writer', { do: 'write' });
    assert.isNull(await tell('writer', { do: 'publish', name: 'atlas', byte: 7, bytes: 2 * MiB }));
    await tell('reader', { do: 'open' });
    assert.deepEqual(await tell('reader', { do: 'borrow', name: 'atlas' }), [2 * MiB, 7, 7]);
    await killed('writer');
    assert.deepEqual(await tell('reader', { do: 'look' }), [[2 * MiB, 7, 7]]);
    await tell('other', { do: 'open' });
    assert.deepEqual(await tell('other', { do: 'names' }), ['atlas']);
    assert.deepEqual(await tell('other', { do: 'borrow', name: 'atlas' }), [2 * MiB, 7, 7]);
  });

  it('shows the writer’s next life what is published; it may replace it and take it back', async () => {
    await tell('writer', { do: 'write' });
    await tell('writer', { do: 'publish', name: 'atlas', byte: 1, bytes: 3 * MiB });
    await tell('writer', { do: 'publish', name: 'index', byte: 2, bytes: 100 });
    await tell('reader', { do: 'open' });
    await tell('reader', { do: 'borrow', name: 'atlas' });
    await killed('writer');
    await tell('writer', { do: 'write' });
    assert.sameMembers((await tell('writer', { do: 'names' })) as string[], ['atlas', 'index']);
    assert.isNull(await tell('writer', { do: 'publish', name: 'atlas', byte: 3, bytes: 1000 }));
    assert.isTrue(await tell('writer', { do: 'unpublish', name: 'index' }));
    assert.isFalse(await tell('writer', { do: 'unpublish', name: 'index' }));
    await until('the changes', 'reader', { do: 'changes' }, (changes) =>
      ['+atlas', '-index'].every((change) => (changes as string[] | undefined)?.includes(change)),
    );
    assert.deepEqual(await tell('reader', { do: 'borrow', name: 'atlas' }), [1000, 3, 3]);
    assert.deepEqual(await tell('reader', { do: 'look' }), [
      [3 * MiB, 1, 1],
      [1000, 3, 3],
    ]);
  });

  it('gives the room of a dead writer back only when nobody borrows from it', async () => {
    await tell('writer', { do: 'write' });
    await tell('writer', { do: 'publish', name: 'atlas', byte: 1, bytes: 5 * MiB });
    await tell('reader', { do: 'open' });
    await tell('reader', { do: 'borrow', name: 'atlas' });
    await killed('writer');
    await tell('writer', { do: 'write' });
    await tell('writer', { do: 'unpublish', name: 'atlas' });
    const again: Order = { do: 'publish', name: 'atlas', byte: 2, bytes: 5 * MiB };
    assert.equal(await tell('writer', again), 'ERR_ARENA_FULL');
    assert.deepEqual(await tell('reader', { do: 'look' }), [[5 * MiB, 1, 1]]);
    await tell('reader', { do: 'release' });
    await until('the room', 'writer', again, (answer) => answer === null);
    assert.deepEqual(await tell('reader', { do: 'borrow', name: 'atlas' }), [5 * MiB, 2, 2]);
  });

  it('takes back what a killed borrower had, and not what a stopped one has', async () => {
    await tell('writer', { do: 'write' });
    await tell('writer', { do: 'publish', name: 'atlas', byte: 1, bytes: MiB });
    await tell('reader', { do: 'open' });
    await tell('reader', { do: 'borrow', name: 'atlas' });
    await tell('writer', { do: 'unpublish', name: 'atlas' });
    process.kill(unit('reader').pid!, 'SIGSTOP');
    await tell('other', { do: 'open' });
    assert.equal(await tell('other', { do: 'borrow', name: 'atlas', timeoutMs: 200 }), 'ERR_TIMEOUT');
    assert.isAbove((await tell('writer', { do: 'used' })) as number, MiB);
    await killed('reader');
    await until('the block', 'writer', { do: 'used' }, (used) => used === 0);
  });

  it('lets a reader wait for a name, and tells it at once when it is there', async () => {
    await tell('reader', { do: 'open' });
    const waiting = tell('reader', { do: 'borrow', name: 'atlas' });
    await tell('writer', { do: 'write' });
    await tell('writer', { do: 'publish', name: 'atlas', byte: 9, bytes: 64 });
    assert.deepEqual(await waiting, [64, 9, 9]);
    const left = tell('reader', { do: 'borrow', name: 'never' });
    await tell('reader', { do: 'close' });
    assert.equal(await left, 'ERR_ARENA_CLOSED');
    assert.deepEqual(await tell('reader', { do: 'look' }), [[64, 9, 9]], 'what is borrowed stays');
  });

  it('has one writer at a time, whose pid a second one is told', async () => {
    await tell('writer', { do: 'write' });
    assert.equal(await tell('other', { do: 'write' }), 'ERR_ARENA_WRITTEN');
    await tell('writer', { do: 'publish', name: 'atlas', byte: 4, bytes: 64 });
    await tell('writer', { do: 'resign' });
    assert.equal(await tell('writer', { do: 'publish', name: 'atlas' }), 'ERR_ARENA_CLOSED');
    assert.isNull(await tell('other', { do: 'write' }));
    await tell('other', { do: 'open' });
    assert.deepEqual(await tell('other', { do: 'borrow', name: 'atlas' }), [64, 4, 4]);
  });

  it('is refused under a name that the topology does not declare, and where there is no root', async () => {
    assert.equal(await tell('reader', { do: 'openOther', name: 'attic' }), 'ERR_ARENA_UNKNOWN');
    using folder = temporaryFolder();
    const runtime = createRuntime({ runDirectory: folder.path });
    for (const opening of [runtime.openArena('shelf'), runtime.writeArena('shelf')]) {
      const error = await opening.catch((reason: unknown) => reason);
      assert.propertyVal(error, 'code', 'ERR_NO_ROOT');
    }
    await runtime.stop();
  });

  it('survives a writer that is killed again and again while others read', async () => {
    await tell('reader', { do: 'open' });
    for (let life = 1; life <= 5; life++) {
      await tell('writer', { do: 'write' });
      await tell('writer', { do: 'publish', name: 'atlas', byte: life, bytes: 2 * MiB });
      assert.deepEqual(await tell('reader', { do: 'borrow', name: 'atlas' }), [2 * MiB, life, life]);
      await killed('writer');
      assert.deepEqual(await tell('reader', { do: 'look' }), [[2 * MiB, life, life]]);
      await tell('reader', { do: 'release' });
    }
    assert.notMatch(said.join('\n'), /out of use/);
  });
});
