// A process of another user that reaches the control socket of a tree.
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { nobody } from '../actors/border.ts';
import { Command, command, scratch } from './command.ts';

const asker = fileURLToPath(new URL('../fixtures/cli/asks-control.mjs', import.meta.url));

function reasonToSkip(): string | undefined {
  if (process.getuid!() !== 0) return 'only root can start a process of another user';
  const { status } = spawnSync(process.execPath, [asker], { uid: nobody, gid: nobody });
  return status === 2 ? undefined : 'the other user may not read this folder';
}

describe('the control socket of a tree', function () {
  this.timeout(180_000);
  const place = scratch();
  let run: Command | undefined;
  before(async function () {
    const why = reasonToSkip();
    if (why === undefined) {
      const file = join(place.folder, 'topology.json');
      writeFileSync(
        file,
        '{ "name": "t", "children": { "s": { "kind": "exec", "file": "sleep", "args": ["1000"] } } }',
      );
      run = new Command(['run', file, '--workspace', place.workspace], place.env);
      await run.sees(/is operative/);
      return;
    }
    this.test!.parent!.title += ` (skipped: ${why})`;
    this.skip();
  });
  after(async () => {
    run?.signal('SIGKILL');
    await run?.ended;
    place.remove();
  });

  const socket = () => {
    const found = readdirSync(place.folder, { recursive: true, encoding: 'utf8' })
      .map((name) => join(place.folder, name))
      .find((path) => /control[^/]*$/.test(path));
    return found ?? assert.fail('there is no control socket');
  };
  const askAs = (uid: number, question: string) => {
    const asked = spawnSync(process.execPath, [asker, socket(), question], {
      uid,
      gid: uid,
      encoding: 'utf8',
    });
    return asked.stdout + asked.stderr;
  };

  it('lets nobody else near it: its folder and itself are closed', () => {
    assert.match(askAs(nobody, 'status'), /Permission denied/);
    assert.notMatch(askAs(0, 'status'), /denied|ERR_/);
  });

  it('refuses another user who comes near it all the same, whatever is asked', async () => {
    // As if somebody had opened all folders on the way.
    chmodSync(socket(), 0o777);
    for (let folder = socket(); folder !== place.folder; ) {
      folder = join(folder, '..');
      chmodSync(folder, 0o755);
    }
    for (const question of ['status', 'down', 'alive']) {
      const answer = askAs(nobody, question);
      assert.match(answer, /ERR_REFUSED/, question);
      assert.match(answer, new RegExp(`not the one of user ${nobody}`), question);
      assert.notMatch(answer, /heard|value/, question);
    }
    const { code } = await command(['status', '--workspace', place.workspace], place.env);
    assert.equal(code, 0);
    assert.isTrue(existsSync(socket()));
  });
});
