// A unit with a warm incarnation beside it: one is activated when the present one ends, in whichever way.
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Command, command, fixture, processesWith, scratch } from './command.ts';

describe('a unit with a standby', function () {
  this.timeout(60_000);
  const place = scratch();
  let run: Command;

  const ask = (...args: string[]) => command([...args, '--workspace', place.workspace], place.env);
  const loaded = () => [...run.output.matchAll(/loaded (\d+)/g)].map(([, pid]) => Number(pid));
  const active = () =>
    [...run.output.matchAll(/active (\d+) (\d+)/g)].map(([, pid, epoch]) => [Number(pid), Number(epoch)]);
  /** Waits until there are so many active ones so far, and one more that stands by. */
  const stands = (count: number) =>
    waitUntil(
      `${count} active and one that stands by`,
      () => active().length === count && loaded().length === count + 1,
    );

  before(async () => {
    run = new Command(['run', fixture('standby.topology.ts'), '--workspace', place.workspace], place.env);
    await stands(1);
  });
  after(async () => {
    run.signal('SIGKILL');
    await run.ended;
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    place.remove();
  });

  it('has one that is loaded and does nothing', () => {
    assert.equal(active()[0]![0], loaded()[0]);
    assert.notInclude(
      active().map(([pid]) => pid),
      loaded()[1],
    );
  });

  it('has it take over at once after a SIGKILL, as the next start', async () => {
    const next = loaded()[1]!;
    process.kill(active()[0]![0]!, 'SIGKILL');
    await stands(2);
    assert.deepEqual(active()[1], [next, 2]);
  });

  it('has it take over at a restart by request', async () => {
    const next = loaded()[2]!;
    assert.equal((await ask('restart', 'worker')).code, 0);
    await stands(3);
    assert.deepEqual(active()[2], [next, 3]);
  });

  it('has it take over at a reload', async () => {
    const next = loaded()[3]!;
    assert.equal((await ask('reload', 'worker')).code, 0);
    await stands(4);
    assert.deepEqual(active()[3], [next, 4]);
  });

  it('leaves none behind when it stops', async () => {
    assert.equal((await ask('stop', 'worker')).code, 0);
    await waitUntil('their end', () => processesWith('ACTOR_IPC_UNIT=standby/worker').length === 0);
    assert.equal((await ask('down')).code, 0);
    await run.ended;
    assert.deepEqual(processesWith(place.folder), []);
  });
});
