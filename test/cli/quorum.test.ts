// The quorum example as a user runs it: certified blocks, a replica that dies, an orderly end.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { Command, command, scratch } from './command.ts';

const topology = fileURLToPath(new URL('../../examples/quorum/topology.ts', import.meta.url));

describe('the quorum example', function () {
  this.timeout(180_000);
  const place = scratch();
  let run: Command;

  before(() => {
    run = new Command(['run', topology, '--workspace', place.workspace], place.env);
  });

  after(async () => {
    run.signal('SIGKILL');
    await run.ended;
    place.remove();
  });

  it('certifies blocks with three of four replicas, one of which is wrong', async () => {
    await run.sees(/height 3: certified by 3 of 4 replicas/);
  });

  it('goes on when a replica was killed', async () => {
    const [, pid] = await run.sees(/bob started as process (\d+)/);
    const from = run.output.length;
    process.kill(Number(pid), 'SIGKILL');
    const [back] = await run.sees(/bob started as process \d+ \(start 2\)/, from);
    await run.sees(/certified by 3 of 4 replicas/, run.output.indexOf(back));
  });

  it('waits for a quorum while a replica is stopped, and goes on when it is back', async () => {
    const order = (verb: string) => command([verb, 'bob', '--workspace', place.workspace], place.env);
    const from = run.output.length;
    assert.equal((await order('stop')).code, 0);
    await run.sees(/waiting for a quorum, 3 replicas are here/, from);
    const waiting = run.output.length;
    assert.equal((await order('start')).code, 0);
    await run.sees(/certified by 3 of 4 replicas/, waiting);
  });

  it('stops in order, with nothing crashed', async () => {
    run.signal('SIGINT');
    const { code } = await run.ended;
    assert.equal(code, 0, run.output);
    assert.notMatch(run.output, /crashed/);
  });
});
