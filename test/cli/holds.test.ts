// A process that holds on to another unit hears what becomes of it, and runs on.
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Command, command, fixture, processesWith, scratch } from './command.ts';

describe('a process that holds on to another', function () {
  this.timeout(180_000);
  const place = scratch();
  let run: Command;
  const ask = (...args: string[]) => command([...args, '--workspace', place.workspace], place.env);
  const starts = async () => {
    const { units } = JSON.parse((await ask('status', '--json')).output) as {
      units: { name: string; starts: number }[];
    };
    return Object.fromEntries(units.map((unit) => [unit.name, unit.starts]));
  };

  before(async () => {
    run = new Command(['run', fixture('holds.topology.ts'), '--workspace', place.workspace], place.env);
    await run.sees(/holds is operative/);
  });
  after(async () => {
    run.signal('SIGKILL');
    await run.ended;
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    place.remove();
  });

  it('hears that it has left its state, and that it is back', async () => {
    await ask('stop', 'db');
    await run.sees(/app +\| dependency\.lost db operative/);
    await run.sees(/signalled +\| lost/);
    await ask('start', 'db');
    await run.sees(/app +\| dependency\.back db operative/);
    await run.sees(/signalled +\| back/);
    assert.deepEqual(await starts(), { db: 2, app: 1, plain: 1, signalled: 1 });
  });

  it('hears what is lost also if it took the place of a former process meanwhile', async () => {
    await ask('stop', 'db');
    const from = run.output.length;
    assert.equal((await ask('reload', 'app')).code, 0);
    await run.sees(/app +\| dependency\.lost db operative/, from);
    await ask('start', 'db');
    await run.sees(/app +\| dependency\.back db operative/, from);
  });
});
