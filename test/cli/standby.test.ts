// A unit with a warm incarnation beside it: one is activated when the present one ends, in whichever way.
import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { Runtime } from '../../src/runtime/program.ts';
import { treeDirectory } from '../../src/transport/run-directory.ts';
import { type ClientSession, holder, tennis } from '../actors/pair.ts';
import { waitUntil } from '../support/wait-until.ts';
import { Command, command, fixture, processesWith, scratch } from './command.ts';

describe('a unit with a standby', function () {
  this.timeout(180_000);
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

describe('a server with a standby', function () {
  this.timeout(180_000);
  const place = scratch();
  let run: Command;
  let runtime: Runtime;
  /** Whom the client has had sessions with. */
  const servers: number[] = [];

  const loaded = () => [...run.output.matchAll(/loaded (\d+)/g)].map(([, pid]) => Number(pid));

  before(async () => {
    mkdirSync(place.workspace);
    const args = ['run', fixture('standby-server.topology.ts'), '--workspace', place.workspace];
    run = new Command(args, place.env);
    await waitUntil('one that serves and one that stands by', () => loaded().length === 2, 40_000);
    runtime = new Runtime({
      runDirectory: treeDirectory(join(place.folder, 'run'), realpathSync(place.workspace)),
      log: { debug() {}, info() {}, warn() {}, error() {} },
    });
    const keep = holder((session: ClientSession) => servers.push(session.peer.pid));
    runtime.connect(tennis.player, tennis.wall, keep);
    await waitUntil('a session', () => servers.length === 1);
  });
  after(async () => {
    await runtime.stop();
    run.signal('SIGKILL');
    await run.ended;
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    place.remove();
  });

  it('has its clients let in by the one that serves, though another has the socket too', () =>
    assert.deepEqual(servers, [loaded()[0]]));

  it('has them let in by the other one after a SIGKILL', async () => {
    const [first, next] = loaded();
    process.kill(first!, 'SIGKILL');
    await waitUntil('another session', () => servers.length === 2);
    assert.deepEqual(servers, [first, next]);
  });

  it('tells the end of the one before the start of the other', async () => {
    await waitUntil('both records', () => /started as process \d+ \(start 2\)/.test(run.output));
    assert.match(run.output, /wall: ended by SIGKILL[\s\S]*wall started as process \d+ \(start 2\)/);
  });
});
