// Named states that are recognised by what programs have open, on real programs that open and close a port.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Command, type CommandResult, command, fixture, processesWith, scratch } from './command.ts';

interface Unit {
  readonly name: string;
  readonly phase: string;
  readonly state: string | null;
  readonly pid: number | null;
  readonly starts: number;
}

describe('conditions of a running tree', function () {
  this.timeout(60_000);
  const place = scratch();
  const open = join(place.folder, 'open');
  const env = { ...place.env, OPEN: open };
  let run: Command;

  const ask = (name: string, ...args: string[]): Promise<CommandResult> =>
    command([name, ...args, '--workspace', place.workspace], env);
  async function unit(name: string): Promise<Unit> {
    const { output } = await ask('status', '--json');
    return (JSON.parse(output).units as Unit[]).find((each) => each.name === name)!;
  }
  const openPort = () => writeFileSync(open, '');
  const closePort = () => rmSync(open);

  before(async () => {
    run = new Command(['run', fixture('conditions.topology.ts'), '--workspace', place.workspace], env);
    await run.sees(/plain started as process/);
  });
  after(async () => {
    run.signal('SIGKILL');
    await run.ended;
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    place.remove();
  });

  it('recognise a state, also by what a shell has started, and hold up who depends on another one', async () => {
    const { code, output } = await ask('wait', 'master', '--state', 'starting', '-t', '20s');
    assert.equal(code, 0, output);
    assert.equal((await unit('trader')).phase, 'blocked');
    assert.equal((await unit('late')).phase, 'starting');
  });

  it('open a gate, and make a unit ready, once a port is open', async () => {
    openPort();
    for (const name of ['trader', 'late'])
      assert.equal((await ask('wait', name, '--state', 'ready', '-t', '20s')).code, 0);
    assert.equal((await unit('master')).state, 'operative');
    assert.include(readFileSync(join(place.workspace, 'out', 'actor-ipc.log'), 'utf8'), 'trader started');
  });

  it('notice that a state is left, and take down who is bound to it until it is back', async () => {
    const { pid } = await unit('trader');
    closePort();
    assert.equal((await ask('wait', 'master', '--state', 'starting', '-t', '20s')).code, 0);
    assert.equal((await ask('wait', 'trader', '--state', 'blocked', '-t', '20s')).code, 0);
    openPort();
    assert.equal((await ask('wait', 'trader', '-t', '20s')).code, 0);
    assert.notEqual((await unit('trader')).pid, pid);
    assert.equal((await unit('master')).starts, 1);
  });
});
