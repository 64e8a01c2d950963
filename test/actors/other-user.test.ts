// A session between two users, each in a process of its own: woken by a byte on the session's socket, since who holds an
// eventfd can also empty it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { descriptorsFor } from '../../src/actors/session-bell.ts';
import { waitUntil } from '../support/wait-until.ts';
import { border, nobody, type OfficeSession } from './border.ts';
import { holder } from './pair.ts';
import { Programs } from './programs.ts';

const visitor = fileURLToPath(new URL('../fixtures/actors/visitor.ts', import.meta.url));

function reasonToSkip(): string | undefined {
  if (process.getuid!() !== 0) return 'only root can start a process of another user';
  const reads = `require('node:fs').accessSync(${JSON.stringify(visitor)})`;
  const { status } = spawnSync(process.execPath, ['-e', reads], { uid: nobody, gid: nobody });
  return status === 0 ? undefined : 'the other user may not read this folder';
}

describe('the bell of a session', () => {
  it('is handed to a peer of the same user alone', () => {
    assert.deepEqual(descriptorsFor(process.getuid!(), [7, 8]), [7, 8]);
    assert.deepEqual(descriptorsFor(process.getuid!() + 1, [7, 8]), [7]);
  });
});

describe('a session between two users', function () {
  this.timeout(120_000);
  let programs: Programs;
  let child: ChildProcess | undefined;
  before(function () {
    const why = reasonToSkip();
    if (why === undefined) return;
    this.test!.parent!.title += ` (skipped: ${why})`;
    this.skip();
  });
  beforeEach(() => {
    programs = new Programs();
  });
  afterEach(async () => {
    child?.kill('SIGKILL');
    await programs.close();
  });

  /** Serves here, as root, and lets a client in that runs as nobody. */
  async function admit(spinUs: number): Promise<{ session: OfficeSession; ended: () => string | undefined }> {
    let session: OfficeSession | undefined;
    let end: string | undefined;
    const machine = holder<OfficeSession>(
      (opened) => {
        session = opened;
      },
      ({ type }) => {
        end = type;
      },
    );
    await programs.runtime().serve(border.office, machine, { spinUs });
    child = spawn(process.execPath, [...process.execArgv, visitor], {
      uid: nobody,
      gid: 0,
      env: { ...process.env, ACTOR_IPC_RUN_DIR: programs.folder },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const opened = await waitUntil('the session', () => session, 30_000);
    assert.equal(opened.peer.uid, nobody);
    return { session: opened, ended: () => end };
  }

  it('wakes either side whenever it sleeps', async () => {
    const { session } = await admit(0);
    const { notes } = session.channels;
    for (let n = 0; n < 200; n++) {
      await notes.send(n);
      assert.equal(await notes.receive(), n + 1);
    }
  });

  it('carries a stream in both directions at once, through rings that are full', async () => {
    const { session } = await admit(20);
    const { notes } = session.channels;
    const count = 20_000;
    const sending = (async () => {
      for (let n = 0; n < count; n++) await notes.send(n);
    })();
    for (let n = 0; n < count; n++) assert.equal(await notes.receive(), n + 1);
    await sending;
  });

  it('is not held up by a peer that rings without end, and the others of the process are not', async () => {
    const { session, ended } = await admit(20);
    await session.channels.orders.send('flood');
    const { notes } = session.channels;
    for (let n = 0; n < 200; n++) {
      await notes.send(n);
      assert.equal(await notes.receive(), n + 1);
      await new Promise(setImmediate);
    }
    assert.isUndefined(ended());
    child!.kill('SIGKILL');
    await waitUntil('the end of the session', ended);
  });
});
