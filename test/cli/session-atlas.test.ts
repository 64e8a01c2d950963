// The session of docs/workspace.md as it stands there, with a program that listens in place of the broker's.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { fixture } from './command.ts';
import { isThere, SessionPlace } from './session-place.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const document = readFileSync(join(root, 'docs', 'workspace.md'), 'utf8');
const [session, again] = [...document.matchAll(/^```console\n(.*?)^```/gms)].map(([, text]) =>
  text!.replaceAll(/^\$ /gm, ''),
) as [string, string];
const files = new Map(
  [...document.matchAll(/^```js\n\/\/ (\S+)\n(.*?)^```/gms)].map(([, name, text]) => [name!, text!]),
);

/** Where the uri has its program. It is no folder of this machine; if it can't be made, or is there, nothing is touched. */
const home = '/home/agp';
const why = existsSync(home)
  ? `${home} is there already`
  : isWritable(dirname(home))
    ? ''
    : `${home} can't be made`;

(why === '' ? describe : describe.skip)(
  `the session of docs/workspace.md${why === '' ? '' : ` (skipped: ${why})`}`,
  function () {
    this.timeout(180_000);
    const place = new SessionPlace();
    const workspace = join(place.folder, 'workspace', 'atlas');
    const bin = join(place.folder, 'bin');
    let output = '';

    /** Runs lines of a shell, each of which must succeed. */
    async function shell(lines: string): Promise<string> {
      const child = spawn('bash', ['-e', '-c', lines], {
        cwd: workspace,
        env: {
          ...process.env,
          ...place.env,
          HOME: place.folder,
          PATH: `${bin}:${process.env.PATH}`,
          NO_COLOR: '1',
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let text = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => {
          text += chunk.toString();
        });
      const [code] = (await once(child, 'close')) as [number];
      output += text;
      assert.equal(code, 0, text);
      return text;
    }
    const rows = async () =>
      (
        JSON.parse(await shell('atlas session show --json')) as {
          rows: { alias: string; name: string; state: string; pid: number }[];
        }
      ).rows;
    const row = async (alias: string) => (await rows()).find((each) => each.alias === alias)!;

    before(() => {
      mkdirSync(join(home, 'Jts'), { recursive: true });
      // The same port each time, as the real one.
      writeFileSync(
        join(home, 'Jts', 'tws'),
        `#!/bin/sh\nexec "${process.execPath}" "${fixture('listens-late.mjs')}" port=${join(home, 'Jts', 'port')} "$@"\n`,
      );
      chmodSync(join(home, 'Jts', 'tws'), 0o755);
      mkdirSync(join(workspace, 'etc'), { recursive: true });
      mkdirSync(join(place.folder, 'node_modules'));
      for (const name of ['commander', 'xstate'])
        symlinkSync(join(root, 'node_modules', name), join(place.folder, 'node_modules', name));
      symlinkSync(root, join(place.folder, 'node_modules', 'actor-ipc'));
      mkdirSync(bin);
      writeFileSync(
        join(bin, 'atlas'),
        `#!/bin/sh\nexec "${process.execPath}" "${join(root, 'dist', 'cli', 'main.js')}" "$@"\n`,
      );
      chmodSync(join(bin, 'atlas'), 0o755);
      for (const [name, text] of files) writeFileSync(join(workspace, name), text);
      writeFileSync(join(workspace, 'etc', 'session.yaml'), /^schemes: .*\n/m.exec(document)![0]);
    });
    after(async () => {
      await place.remove();
      rmSync(home, { recursive: true, force: true });
    });

    it('runs as it stands there', async () => {
      await shell(session);
      await shell('atlas session wait --alias master.trader --state operative --timeout 20');
      const tws = await row('master.tws');
      assert.equal(tws.state, 'operative');
      assert.include(
        readFileSync(`/proc/${tws.pid}/cmdline`, 'utf8'),
        '\0username=myuser\0password=mypassword\0',
      );
      const { name } = await row('master.trader');
      await waitUntil('its input', () =>
        /trading for account 0/.test(readFileSync(join(workspace, 'out', `${name}.out`), 'utf8')),
      );
    });

    it('shows the password nowhere', async () => {
      await shell('atlas session show');
      await shell('atlas status --workspace . --json');
      assert.notInclude(output, 'mypassword');
      assert.match(output, /warning: password: every user of this machine can read the arguments/);
      const kept = (await shell('grep -rl mypassword . || true')).trim();
      assert.equal(kept, `./etc/${(await row('master.tws')).name}.secret.yaml`);
    });

    it('is deactivated, and comes back in the state that was named', async () => {
      const before = await rows();
      const [deactivate, activate] = again.trim().split('\n') as [string, string];
      const said = await shell(deactivate);
      assert.isBelow(said.indexOf('master.trader [done]'), said.indexOf('master.tws [done]'));
      for (const { pid } of before) assert.isFalse(isThere(pid));
      await shell(activate);
      await shell('atlas session wait --alias master.trader --state operative --timeout 30');
      assert.equal((await row('master.tws')).state, 'operative');
    });

    it('works the same in a program of the user', async () => {
      await shell('atlas session deactivate');
      const own = `"${process.execPath}" ${join(workspace, 'atlas.mjs')}`;
      mkdirSync(join(place.folder, 'own'));
      const said = await shell(
        `cd ../../own && ${own} session init && ${own} session start --uri "ib://localhost/sync?account=7" --alias t --shutdown 1 && ${own} session wait --alias t --state operative --timeout 30 && ${own} session show && ${own} session deactivate`,
      );
      assert.match(said, /t \[done\]/);
      assert.match(readFileSync(join(place.folder, 'own', 'etc', 'session.yaml'), 'utf8'), /ib:\s*node: /);
      assert.include(await shell(`${own} session stat || [ $? = 2 ]`), 'Did you mean');
      assert.include(
        await shell(`cd / && ${own} session show || [ $? = 2 ]`),
        'atlas: there is no session in /',
      );
    });
  },
);

/** Also root has file systems that are read-only. */
function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
