// What goes wrong around a session: two at once, files that are none, numbers that are others' now, a full disk, dead processes.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { startProgram } from '../support/fixture.ts';
import { waitUntil } from '../support/wait-until.ts';
import { command } from './command.ts';
import { isThere, SessionPlace } from './session-place.ts';

const rename = (row: { alias: string | null; phase: string }) => [row.alias, row.phase];

describe('mishaps of a session', function () {
  this.timeout(240_000);
  const place = new SessionPlace();
  after(() => place.remove());

  it('no workspace, and none that is active, are told with what to do', async () => {
    assert.match(
      await place.fails(2, 'show'),
      /there is no session in .*; begin one there with "session init"/,
    );
    assert.deepEqual(readdirSync(place.folder), []);
    await place.succeeds('init');
    for (const args of [
      ['wait', '--alias', 'x', '--state', 'ready'],
      ['stop', '--alias', 'x'],
      ['deactivate'],
    ])
      assert.match(await place.fails(4, ...args), /"session activate" starts its processes/);
    assert.match(await place.fails(2, 'start', '--alias', 'x'), /there is no unit x; there are none yet/);
    await place.fails(2, 'start');
    await place.fails(2, 'start', '--uri', place.uri(), '--restart', 'yes');
    assert.match(await place.fails(2, 'strat'), /Did you mean start/);
  });

  it('a program that is missing is told before anything is written', async () => {
    assert.match(
      await place.fails(3, 'start', '--uri', place.uri('', '/no/such/program')),
      /there is no such program/,
    );
    assert.deepEqual((await place.show()).rows, []);
  });

  it('of two commands that begin it at once, one starts the supervisor, and both have their process', async () => {
    await Promise.all(
      ['one', 'two'].map((alias) =>
        place.succeeds(
          'start',
          '--uri',
          place.uri(`n=${alias}`),
          '--alias',
          alias,
          '--restart',
          '1',
          '--shutdown',
          '1',
        ),
      ),
    );
    const { supervisor, rows } = await place.show();
    assert.sameDeepMembers(rows.map(rename), [
      ['one', 'up'],
      ['two', 'up'],
    ]);
    assert.match(await place.fails(6, 'activate'), new RegExp(`a supervisor with pid ${supervisor!.pid} `));
  });

  it('a supervisor is found where the run directory is another one', async () => {
    const { code, output } = await command(['session', 'show', '--json', '--workspace', place.folder], {
      ACTOR_IPC_RUN_DIR: join(place.folder, 'elsewhere'),
    });
    assert.equal(code, 0, output);
    assert.isNotNull(JSON.parse(output).supervisor);
  });

  it('names that are mistyped are answered with those that were meant', async () => {
    assert.match(await place.fails(2, 'wait', '--alias', 'tow', '--state', 'ready'), /did you mean two\?/);
    assert.match(await place.fails(2, 'start', '--uri', 'exce://localhost/bin/true'), /did you mean exec\?/);
    assert.match(
      await place.fails(6, 'start', '--uri', place.uri('n=3'), '--alias', 'one'),
      /choose another one/,
    );
  });

  it('processes that are not there, or no business of it, are not attached', async () => {
    const dead = startProgram('/bin/true', []);
    await dead.end;
    assert.match(
      await place.fails(6, 'attach', '--pid', String(dead.child.pid), '--alias', 'd'),
      /there is no process/,
    );
    const { supervisor, rows } = await place.show();
    for (const pid of [1, supervisor!.pid])
      await place.fails(6, 'attach', '--pid', String(pid), '--alias', 'd');
    assert.match(
      await place.fails(6, 'attach', '--pid', String(rows[0]!.pid), '--alias', 'd'),
      /runs as .* already/,
    );
    assert.lengthOf((await place.show()).rows, 2);
  });

  it('a state is not given to what does not run', async () => {
    await place.succeeds('stop', '--alias', 'two');
    assert.match(
      await place.fails(6, 'attach', '--alias', 'two', '--state', 'operative'),
      /two does not run/,
    );
    assert.match(await place.fails(6, 'attach', '--alias', 'one', '--state', '../x'), /a state is one name/);
  });

  it('a file that is half written stops nothing that runs, and is told', async () => {
    await place.succeeds('start', '--alias', 'two');
    const { name, pid } = await place.row('two');
    const path = join(place.folder, 'etc', `${name}.yaml`);
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, text.slice(0, text.indexOf('cmdline')).concat('cmdline: ['));
    await place.succeeds('start', '--alias', 'one');
    const row = await place.row(name);
    assert.equal(row.pid, pid);
    assert.match(row.note!, /can't be used/);
    writeFileSync(path, text);
    await place.succeeds('start', '--alias', 'two');
    assert.deepInclude(await place.row('two'), { pid, note: null });
  });

  it('a session file that is none is refused with its place, and what runs goes on', async () => {
    const path = join(place.folder, 'etc', 'session.yaml');
    const text = readFileSync(path, 'utf8');
    writeFileSync(path, 'dependences: [');
    assert.match(
      await place.fails(2, 'dependence', 'add', '--parent', 'one', '--child', 'two'),
      /session\.yaml can't be used/,
    );
    assert.equal((await place.row('one')).phase, 'up');
    await place.succeeds('deactivate');
    assert.match(await place.fails(2, 'activate'), /session\.yaml can't be used/);
    writeFileSync(path, text);
  });

  it('a database that is none is refused, and nothing is started', async () => {
    const path = join(place.folder, 'db', 'session.db');
    const bytes = readFileSync(path);
    writeFileSync(path, 'no database at all, but long enough to be taken for one by its size'.repeat(100));
    assert.match(await place.fails(2, 'activate'), /session\.db can't be used: .*; mend it, or move it away/);
    assert.deepEqual(place.processes(), []);
    writeFileSync(path, bytes);
  });

  it('a number that is another process by now is left alone', async () => {
    using stranger = startProgram('/bin/sleep', ['1000']);
    const pid = stranger.child.pid!;
    await place.succeeds('start', '--uri', place.uri('n=keeps'), '--alias', 'keeps', '--restart', '1');
    const { name } = await place.row('keeps');
    const path = join(place.folder, 'pid', `.${name}.json`);
    const record = JSON.parse(readFileSync(path, 'utf8')) as { startTicks: number; bootId: string };
    await place.killAll();
    for (const lie of [{ pid }, { pid, bootId: 'another' }]) {
      writeFileSync(path, JSON.stringify({ ...record, ...lie }));
      await place.succeeds('activate');
      const row = await place.rowWhen('keeps', 'its start', ({ phase }) => phase === 'up');
      assert.notEqual(row.pid, pid);
      assert.isTrue(isThere(pid));
      await place.killAll();
    }
    assert.isNull(stranger.child.exitCode);
  });
});

// Also root may be forbidden to mount, as in most containers: tried where nobody else sees it.
const mayMount =
  spawnSync('unshare', ['--mount', 'mount', '-t', 'tmpfs', 'none', tmpdir()], { stdio: 'ignore' }).status ===
  0;
(mayMount ? describe : describe.skip)(
  `a session on a full disk${mayMount ? '' : ' (skipped: no disk can be mounted here)'}`,
  function () {
    this.timeout(240_000);
    let disk = '';
    const place = new SessionPlace();
    const session = (...args: string[]) =>
      command(['session', ...args, '--workspace', join(disk, 'w')], place.env);
    let mounted = false;

    before(() => {
      disk = mkdtempSync(join(tmpdir(), 'actor-ipc-disk-'));
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', disk], { stdio: 'pipe' });
      mounted = true;
      chmodSync(disk, 0o700);
      mkdirSync(join(disk, 'w'));
    });
    after(async () => {
      await place.remove();
      if (mounted) execFileSync('umount', ['-l', disk]);
      if (disk !== '') rmSync(disk, { recursive: true, force: true });
    });

    it('says so, keeps its files whole, and keeps its processes', async () => {
      for (const args of [
        ['init'],
        ['start', '--uri', place.uri('n=1'), '--alias', 'one', '--restart', '1', '--shutdown', '1'],
        ['start', '--uri', place.uri('n=2'), '--alias', 'two', '--restart', '1', '--shutdown', '1'],
      ]) {
        const { code, output } = await session(...args);
        assert.equal(code, 0, output);
      }
      const before = readFileSync(join(disk, 'w', 'etc', 'session.yaml'), 'utf8');
      const filling = join(disk, 'filling');
      assert.throws(() => writeFileSync(filling, Buffer.alloc(2 ** 20)), /ENOSPC/);
      const refused = await session('dependence', 'add', '--parent', 'one', '--child', 'two');
      assert.equal(refused.code, 2, refused.output);
      assert.match(refused.output, /ENOSPC|no space left/);
      assert.equal(readFileSync(join(disk, 'w', 'etc', 'session.yaml'), 'utf8'), before);
      const { rows } = JSON.parse((await session('show', '--json')).output);
      process.kill(rows[0].pid, 'SIGKILL');
      const again = await session(
        'wait',
        '--alias',
        rows[0].alias,
        '--condition',
        'uptimeMs > 0 && len(fp.listen) > 0',
        '--timeout',
        '30',
      );
      assert.equal(again.code, 0, again.output);
      rmSync(filling);
      const done = await session('dependence', 'add', '--parent', 'one', '--child', 'two');
      assert.equal(done.code, 0, done.output);
      assert.equal((await session('deactivate')).code, 0);
      await waitUntil('the end of all', () => place.processes().length === 0);
      assert.isFalse(existsSync(join(disk, 'w', 'run')));
    });
  },
);
