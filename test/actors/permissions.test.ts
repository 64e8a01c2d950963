// Who may connect to an app at all: what stands in the file system, and what the kernel says about the other process.
import { statSync } from 'node:fs';
import { assert } from 'chai';
import type { Session } from '../../src/index.ts';
import { appSocketPath } from '../../src/transport/run-directory.ts';
import { startFixture } from '../support/fixture.ts';
import { waitUntil } from '../support/wait-until.ts';
import { agency } from './agency.ts';
import { Court, holder, tennis } from './pair.ts';

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);
const isRoot = process.geteuid!() === 0;
const onlyRoot = isRoot ? '' : ' (skipped: only root can run a program as another user)';
const nobody = 65_534;

describe('an app', () => {
  let court: Court;
  beforeEach(() => {
    court = new Court();
  });
  afterEach(() => court.close());

  async function serve(guestUid: number, permissions: 'user' | 'group') {
    const { open } = agency(guestUid, permissions);
    await court.runtime().serve(
      open,
      holder<Session<typeof open, 'server'>>(({ channels: { words } }) => {
        words.trySend('welcome');
      }),
    );
    return appSocketPath(court.folder, 'agency', 'open');
  }

  it('is for its user: its socket and the folder are closed to all others', async () => {
    const socket = await serve(nobody, 'user');
    assert.deepEqual([modeOf(socket), modeOf(court.folder)], ['600', '700']);
  });

  it('is for its group if it says so, and leaves other apps of the folder alone', async () => {
    const socket = await serve(nobody, 'group');
    assert.deepEqual([modeOf(socket), modeOf(court.folder)], ['660', '750']);
    await court.runtime().serve(
      tennis.wall,
      holder(() => {}),
    );
    assert.equal(modeOf(appSocketPath(court.folder, 'tennis', 'wall')), '600');
  });

  const outcomes: [string, uid: number, registered: number, 'user' | 'group', RegExp][] = [
    ['lets in a client of its group', nobody, nobody, 'group', /^welcome\n/],
    [
      'keeps out a client of its group if it is for its user',
      nobody,
      nobody,
      'user',
      /ERR_NO_SERVER .*another user/,
    ],
    [
      'refuses a client of another user than registered',
      65_533,
      nobody,
      'group',
      /ERR_CREDENTIALS .*uid 65533, but must be 65534/,
    ],
  ];
  for (const [what, uid, registered, permissions, answer] of outcomes)
    it(`${what}${onlyRoot}`, async function () {
      if (!isRoot) return this.skip();
      this.timeout(90_000);
      await serve(registered, permissions);
      using client = startFixture('actors/group-client.ts', [String(uid)], {
        env: { ACTOR_IPC_RUN_DIR: court.folder },
      });
      let text = '';
      client.child.stdout!.on('data', (more: string) => {
        text += more;
      });
      client.child.stderr!.on('data', (more: string) => {
        text += more;
      });
      await waitUntil(
        'what the client says',
        () => answer.test(text) || (client.child.exitCode !== null && text),
      );
      assert.match(text, answer);
    });
});
