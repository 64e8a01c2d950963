// A session in its folder, as people use it: real programs, real kills, every command in a process of its own.
import { existsSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { startProgram } from '../support/fixture.ts';
import { waitUntil } from '../support/wait-until.ts';
import { isThere, SessionPlace } from './session-place.ts';

describe('a session', function () {
  this.timeout(180_000);
  const place = new SessionPlace();
  after(() => place.remove());

  it('begins in an empty folder; beginning it again changes nothing', async () => {
    assert.match(await place.succeeds('init'), /is the workspace of a session now/);
    for (const path of [
      'bin',
      'db',
      'err',
      'etc',
      'fp',
      'out',
      'pid',
      'db/session.db',
      'etc/session.yaml',
      'bin/activate.sh',
      'bin/install_bash_completer.rc',
      '.gitignore',
    ])
      assert.isTrue(existsSync(join(place.folder, path)), path);
    const facts = () =>
      readdirSync(place.folder, { recursive: true, encoding: 'utf8' })
        .filter((name) => name !== 'lock' && statSync(join(place.folder, name)).isFile())
        .map(
          (name) =>
            `${name} ${statSync(join(place.folder, name)).mtimeMs} ${readFileSync(join(place.folder, name), 'latin1')}`,
        );
    const before = facts();
    assert.match(await place.succeeds('init'), /nothing has changed/);
    assert.deepEqual(facts(), before);
  });

  it('starts a program by its uri, and writes down what it is', async () => {
    const keep = join(place.folder, 'kept');
    const uri = place.uri(`a=1&b=2&keep=${keep}`);
    assert.match(
      await place.succeeds('start', '--uri', uri, '--alias', 'w', '--restart', '1', '--shutdown', '1'),
      /^w is running as process \d+\n$/,
    );
    await waitUntil('its arguments', () => existsSync(keep) && readFileSync(keep, 'utf8') !== '');
    assert.deepEqual(JSON.parse(readFileSync(keep, 'utf8')), ['a=1', 'b=2', `keep=${keep}`]);
    const { name, pid, ...row } = await place.row('w');
    assert.deepInclude(row, {
      alias: 'w',
      uri,
      phase: 'up',
      state: 'running',
      restart: true,
      shutdown: true,
    });
    assert.match(name, /^[a-z]+-[a-z]+$/);
    assert.equal(readlinkSync(join(place.folder, 'etc', 'w.yaml')), `${name}.yaml`);
    assert.equal(place.read('pid', `${name}.pid`), `${pid}\n`);
    await waitUntil('its output', () => /listening/.test(place.read('out', `${name}.out`)));
    assert.match(place.read('out', `${name}.out`), new RegExp(`here as ${pid}`));
    await waitUntil('its look', () => existsSync(join(place.folder, 'fp', `${name}.fp`)));
  });

  it('leaves alone what runs already', async () => {
    const { pid } = await place.row('w');
    assert.match(
      await place.succeeds('start', '--alias', 'w'),
      new RegExp(`w runs already, as process ${pid}`),
    );
  });

  it('starts what was killed again, as another process', async () => {
    const { pid, name } = await place.row('w');
    process.kill(pid!, 'SIGKILL');
    const row = await place.rowWhen('w', 'its next start', (each) => each.phase === 'up' && each.pid !== pid);
    assert.equal(place.read('pid', `${name}.pid`), `${row.pid}\n`);
    assert.match(row.lastExit!, /SIGKILL/);
  });

  it('waits for a condition, and not longer than it is told', async () => {
    const when = join(place.folder, 'now');
    await place.succeeds('start', '--uri', place.uri(`when=${when}`), '--alias', 'late', '--shutdown', '1');
    const condition = "len(fp['listen'])>0";
    let ended = false;
    const waited = place
      .succeeds('wait', '--alias', 'late', '--condition', condition, '--timeout', '60')
      .then(() => {
        ended = true;
      });
    const { name } = await place.row('late');
    assert.notMatch(place.read('out', `${name}.out`), /listening/);
    assert.isFalse(ended);
    writeFileSync(when, '');
    await waited;
    assert.match(place.read('out', `${name}.out`), /listening/);
    assert.match(
      await place.fails(
        5,
        'wait',
        '--alias',
        'late',
        '--condition',
        'len(fp.listen) > 5',
        '--timeout',
        '300ms',
      ),
      /len\(fp\.listen\) > 5/,
    );
  });

  it('refuses a condition before anything runs', async () => {
    assert.match(
      await place.fails(2, 'wait', '--alias', 'late', '--condition', 'process.exit(1)', '--timeout', '60'),
      /condition "process\.exit\(1\)" can't be used/,
    );
    assert.match(
      await place.fails(2, 'wait', '--alias', 'late', '--condition', 'len(fp.listen) >', '--timeout', '60'),
      /\^/,
    );
  });

  it('lets a child wait until its parent is in a state that somebody has named', async () => {
    await place.succeeds(
      'start',
      '--uri',
      place.uri('role=child'),
      '--alias',
      'child',
      '--restart',
      '1',
      '--shutdown',
      '1',
    );
    await place.succeeds('stop', '--alias', 'child');
    assert.equal(
      await place.succeeds('dependence', 'add', '--parent', 'late:operative', '--child', 'child'),
      'child waits for late:operative\n',
    );
    assert.match(
      await place.succeeds('start', '--alias', 'child'),
      /child is blocked: waits for late:operative/,
    );
    assert.equal((await place.row('child')).pid, null);
    assert.match(
      await place.succeeds('attach', '--alias', 'late', '--state', 'operative'),
      /late is operative/,
    );
    await place.succeeds('wait', '--alias', 'child', '--state', 'ready', '--timeout', '20');
    const { name } = await place.row('late');
    assert.match(place.read('fp', `${name}.operative.fp`), /^listen:\n {2}- 127\.0\.0\.1:\d+$/m);
  });

  it('lets a child of two parents wait for both', async () => {
    await place.succeeds('stop', '--alias', 'child');
    await place.succeeds('dependence', 'add', '--parent', 'w:operative', '--child', 'child');
    assert.match(await place.succeeds('start', '--alias', 'child'), /waits for w:operative/);
    assert.deepEqual((await place.row('child')).dependsOn, ['late:operative', 'w:operative']);
  });

  it('lets a child go when a dependence is removed', async () => {
    assert.match(
      await place.succeeds('dependence', 'remove', '--parent', 'w', '--child', 'child'),
      /no more/,
    );
    await place.succeeds('wait', '--alias', 'child', '--state', 'ready', '--timeout', '20');
    assert.notInclude(place.read('etc', 'session.yaml'), 'w:operative');
    assert.match(place.read('etc', 'session.yaml'), /^# What holds for this session/);
  });

  it('takes in a process that runs already', async () => {
    using stranger = startProgram('/bin/sleep', ['1000']);
    const pid = stranger.child.pid!;
    assert.match(
      await place.succeeds(
        'attach',
        '--pid',
        String(pid),
        '--alias',
        'm',
        '--restart',
        '1',
        '--shutdown',
        '1',
        '--state',
        'operative',
      ),
      new RegExp(`m is operative as process ${pid}`),
    );
    const { name, uri } = await place.row('m');
    assert.match(uri, /^attached:\/\//);
    assert.deepInclude(await place.row('m'), { restart: true, state: 'operative', pid });
    assert.isTrue(existsSync(join(place.folder, 'fp', `${name}.operative.fp`)));
    assert.match(place.read('etc', 'm.yaml'), /attached: true/);
    process.kill(pid, 'SIGKILL');
    const after = await place.rowWhen('m', 'its next start', (row) => row.phase === 'up' && row.pid !== pid);
    assert.equal(readFileSync(`/proc/${after.pid}/cmdline`, 'latin1'), ['/bin/sleep', '1000', ''].join('\0'));
  });

  it('gives up what ends at once, and goes on with the others', async () => {
    const { name } = await place.row('w');
    await place.succeeds('start', '--uri', place.uri('exit=3'), '--alias', 'bad', '--restart', '1');
    const bad = await place.row('bad');
    const path = join(place.folder, 'etc', `${bad.name}.yaml`);
    assert.match(readFileSync(path, 'utf8'), /restart: 1/);
    const row = await place.rowWhen(
      'bad',
      'its end',
      ({ phase }) => phase === 'failed' || phase === 'backoff',
    );
    assert.match(row.lastExit!, /ended with code 3/);
    assert.equal((await place.row(name)).phase, 'up');
    await place.succeeds('remove', '--alias', 'bad');
    assert.isFalse(existsSync(path));
  });

  it('ends: what is to be stopped is, who waits for others first, and the deaf one too; the others go on', async () => {
    await place.succeeds('start', '--uri', place.uri('deaf'), '--alias', 'deaf', '--shutdown', '1');
    await place.succeeds('start', '--uri', place.uri('stays=1'), '--alias', 'stays', '--restart', '1');
    const { name } = await place.row('deaf');
    await waitUntil('its start', () => /here/.test(place.read('out', `${name}.out`)));
    const { rows, supervisor } = await place.show();
    const output = await place.succeeds('deactivate');
    assert.match(output, /^deaf \[done\]$/m);
    assert.isBelow(output.indexOf('child [done]'), output.indexOf('late [done]'));
    const stays = rows.find(({ alias }) => alias === 'stays')!;
    assert.match(output, new RegExp(`^stays goes on as process ${stays.pid}$`, 'm'));
    for (const { alias, pid } of rows)
      if (pid !== null) assert.equal(isThere(pid), alias === 'stays', `${alias}`);
    assert.isFalse(isThere(supervisor!.pid));
    await place.fails(4, 'deactivate');
  });

  it('is shown without a supervisor', async () => {
    const { supervisor, rows } = await place.show();
    assert.isNull(supervisor);
    assert.deepEqual(
      rows.filter(({ phase }) => phase === 'up').map(({ alias }) => alias),
      ['stays'],
    );
    assert.match(await place.succeeds('show'), /not active; "actor-ipc session activate" starts it/);
  });

  it('keeps in its database what it was, and what has happened', () => {
    place.database((database) => {
      const w = database.find('w')!;
      assert.isNull(w.pid);
      assert.deepEqual(
        database
          .history(w.name)
          .map(({ what }) => what)
          .slice(0, 2),
        ['exited', 'started'],
      );
      assert.isAbove(database.find('stays')!.pid!, 0);
    });
  });

  it('takes over what goes on, and starts the rest in the order of the dependences', async () => {
    const before = await place.row('stays');
    const { supervisor: none } = await place.show();
    assert.isNull(none);
    const output = await place.succeeds('activate');
    assert.match(output, new RegExp(`stays is running as process ${before.pid}`));
    assert.equal((await place.row('stays')).pid, before.pid);
    // It has no --restart 1, so that it is started because the child needs it.
    await place.succeeds('wait', '--alias', 'late', '--condition', 'len(fp.listen) > 0', '--timeout', '20');
    assert.match(await place.fails(6, 'activate'), /a supervisor with pid \d+ runs the workspace/);
  });

  it('comes back after everything was killed, the supervisor too', async () => {
    await place.killAll();
    assert.deepEqual(
      (await place.show()).rows.filter(({ pid }) => pid !== null),
      [],
    );
    await place.succeeds('activate');
    for (const alias of ['w', 'stays', 'm']) {
      const row = await place.rowWhen(alias, 'its start', ({ phase }) => phase === 'up');
      assert.isTrue(isThere(row.pid!));
    }
    const child = await place.row('child');
    assert.match(child.note!, /waits for late:operative/);
    // Another port is another look: whoever knows says that it is operative again.
    await place.succeeds('attach', '--alias', 'late', '--state', 'operative');
    await place.succeeds('wait', '--alias', 'child', '--state', 'ready', '--timeout', '20');
  });
});
