// What is left when a supervisor, or a supervisor and its minders, are killed, and what the next one makes of it.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { ProcessTable } from '../../src/workspace/process-table.ts';
import { waitUntil } from '../support/wait-until.ts';
import { Command, command, fixture, processesWith, scratch } from './command.ts';

const parentOf = (pid: number) =>
  Number(/^PPid:\s*(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);

/** Who else is in the group that a process leads. */
function membersOf(pid: number): number[] {
  const table = new ProcessTable();
  table.refresh();
  return table.below(pid, pid);
}

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
    const minder = parentOf(goes);
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

  it('the next one kills what a program had started, whose minder and supervisor were killed with it', async () => {
    run = start();
    await run.sees(/survivor is operative/);
    const forks = pidOf('forks');
    const startedByIt = await waitUntil('what it has started', () => membersOf(forks)[0]);
    const minder = parentOf(forks);
    run.signal('SIGSTOP');
    process.kill(minder, 'SIGKILL');
    run.signal('SIGKILL');
    await run.ended;
    await waitUntil('the end of the program', () => !existsSync(`/proc/${forks}`));
    assert.isTrue(existsSync(`/proc/${startedByIt}`));
    run = start();
    await run.sees(new RegExp(`killed ${startedByIt}, which process ${forks} had started`));
    await waitUntil('its end', () => !existsSync(`/proc/${startedByIt}`));
    run.signal('SIGTERM');
    await run.ended;
  });
});
