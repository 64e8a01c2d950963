import { assert } from 'chai';
import { Command, command, fixture, scratch } from './command.ts';

describe('a cache that the topology declares', function () {
  this.timeout(180_000);
  const place = scratch();
  const of = (...args: string[]) => command(['cache', ...args, '--workspace', place.workspace], place.env);
  let run: Command;

  before(async () => {
    run = new Command(['run', fixture('cache.topology.ts'), '--workspace', place.workspace], place.env);
    await run.sees(/keeper +\| start 1, capacity 100/);
  });
  after(async () => {
    run.signal('SIGINT');
    assert.equal((await run.ended).code, 0);
    place.remove();
  });

  it('is held by the root: what is in it stays when its only user is killed', async () => {
    const { output } = await command(['restart', 'keeper', '--workspace', place.workspace], place.env);
    assert.include(output, 'keeper is');
    await run.sees(/keeper +\| start 2/);
  });

  it('is read and changed from the command line', async () => {
    assert.deepInclude(await of('set', 'sessions', 'order', 'hello'), { code: 0, output: '' });
    await run.sees(/keeper +\| order hello/);
    assert.deepInclude(await of('get', 'sessions', 'order'), { code: 0, output: 'hello\n' });
    assert.deepInclude(await of('get', 'sessions', 'starts'), { code: 0, output: '2\n' });
    assert.deepEqual((await of('keys', 'sessions')).output.trim().split('\n').sort(), ['order', 'starts']);
    const stats = JSON.parse((await of('stat', 'sessions', '--json')).output);
    assert.deepInclude(stats, { capacity: 100, recordBytes: 64, records: 2, users: 2 });
    assert.deepInclude(await of('delete', 'sessions', 'order'), { code: 0 });
    for (const verb of ['get', 'delete'])
      assert.deepInclude(await of(verb, 'sessions', 'order'), { code: 1, output: 'it is not there\n' });
    assert.equal((await of('get', 'nothing', 'k')).code, 2);
  });

  it('is in the status of the tree, with its figures', async () => {
    const of = (...args: string[]) => command(['status', '--workspace', place.workspace, ...args], place.env);
    const { caches } = JSON.parse((await of('--json')).output);
    const [{ hits, misses, ...sessions }] = caches;
    assert.deepEqual(sessions, { name: 'sessions', users: 1, entries: 1, capacity: 100, evictions: 0 });
    assert.isAbove(hits, 0);
    assert.isAbove(misses, 0);
    assert.match((await of()).output, /^cache +users +entries +capacity .*\nsessions +1 +1 +100 /m);
  });

  it('is watched until Ctrl-C', async () => {
    const watch = new Command(['cache', 'watch', 'sessions', 'w', '--workspace', place.workspace], place.env);
    // It says nothing before the first change, so one change after the other until it has seen one.
    let seen = false;
    watch.sees(/set w\n/).then(() => {
      seen = true;
    });
    while (!seen) assert.equal((await of('set', 'sessions', 'w', 'x', '--ttl', '1h')).code, 0);
    watch.signal('SIGINT');
    assert.equal((await watch.ended).code, 0);
  });

  it('and without a running tree there is none', async () => {
    const elsewhere = scratch();
    const { code } = await command(
      ['cache', 'keys', 'sessions', '--workspace', elsewhere.workspace],
      elsewhere.env,
    );
    assert.equal(code, 4);
    elsewhere.remove();
  });
});
