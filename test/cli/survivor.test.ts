// What is left when a supervisor, or a supervisor and its minders, are killed, and what the next one makes of it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Command, command, fixture, processesWith, scratch } from './command.ts';

describe('after the death of a supervisor', function () {
  this.timeout(180_000);
  const place = scratch();
  let run: Command;
  const start = () =>
    new Command(['run', fixture('survivor.topology.ts'), '--workspace', place.workspace], place.env);
  const pidOf = (unit: string): number =>
    (
      JSON.parse(readFileSync(join(place.workspace, 'pid', `survivor.${unit}.pid`), 'utf8')) as {
        pid: number;
      }
    ).pid;

  after(async () => {
    run.signal('SIGKILL');
    await run.ended;
    for (const pid of processesWith(place.folder)) process.kill(pid, 'SIGKILL');
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    place.remove();
  });

  it('a program that is to survive goes on, the others end', async () => {
    run = start();
    await run.sees(/survivor is operative/);
    const [stays, goes] = [pidOf('stays'), pidOf('goes')];
    run.signal('SIGKILL');
    await run.ended;
    await waitUntil('the end of the others', () => !existsSync(`/proc/${goes}`));
    assert.isTrue(existsSync(`/proc/${stays}`));
  });

  it('the next one takes it over, and stops it', async () => {
    const stays = pidOf('stays');
    run = start();
    await run.sees(new RegExp(`stays took over process ${stays}`));
    await run.sees(/survivor is operative/);
    const { code, output } = await command(['stop', 'stays', '--workspace', place.workspace], place.env);
    assert.equal(code, 0, output);
    assert.isFalse(existsSync(`/proc/${stays}`));
    assert.match(readFileSync(join(place.workspace, 'out', 'survivor.stays.out'), 'utf8'), /^here$/m);
  });

  it('the next one kills what is left if the minders were killed too', async () => {
    const goes = pidOf('goes');
    // The program itself would die by the parent-death signal: stopped minders can't let go of it.
    const status = readFileSync(`/proc/${goes}/status`, 'utf8');
    const minder = Number(/^PPid:\s*(\d+)/m.exec(status)![1]);
    process.kill(minder, 'SIGSTOP');
    run.signal('SIGKILL');
    await run.ended;
    assert.isTrue(existsSync(`/proc/${goes}`));
    run = start();
    await run.sees(new RegExp(`killed process ${goes}, left by an earlier run as survivor/goes`));
    process.kill(minder, 'SIGKILL');
    run.signal('SIGTERM');
    await run.ended;
    assert.deepEqual(readdirSync(join(place.workspace, 'pid')), []);
  });
});
