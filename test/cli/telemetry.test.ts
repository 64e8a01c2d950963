// The example as a user runs it: from a started tree, through the death of each of its processes, to an empty house.
import { readdirSync } from 'node:fs';
import { assert } from 'chai';
import type { TreeStatus } from '../../src/runtime/status.ts';
import { waitUntil } from '../support/wait-until.ts';
import { Command, command, processesWith, scratch, telemetry } from './command.ts';

const units = ['aggregator', 'probe', 'client', 'alerts'];

describe('the telemetry example', function () {
  this.timeout(180_000);
  const place = scratch();
  const shmBefore = readdirSync('/dev/shm');
  let run: Command;

  async function status(): Promise<TreeStatus> {
    const { output } = await command(['status', '--json', '--workspace', place.workspace], place.env);
    return JSON.parse(output) as TreeStatus;
  }

  before(async () => {
    run = new Command(['run', telemetry, '--workspace', place.workspace], place.env);
    await run.sees(/telemetry is operative/);
  });

  after(async () => {
    run.signal('SIGKILL');
    await run.ended;
    place.remove();
  });

  it('brings up four processes, each when the one before it is operative', async () => {
    const { units: all } = await status();
    assert.deepEqual(
      all.map(({ name, phase, state, starts }) => ({ name, phase, state, starts })),
      units.map((name) => ({ name, phase: 'up', state: 'operative', starts: 1 })),
    );
    const started = [...run.output.matchAll(/(\w+) started as process/g)].map(([, name]) => name);
    assert.deepEqual(started.slice(0, 2), ['aggregator', 'probe']);
  });

  it('carries numbers of this host from the probe to the client', async () => {
    const [, cpu, used, total] = await run.sees(/client +\| cpu +(\d+)%.* mem ([\d.]+)\/([\d.]+) GiB/);
    assert.isAtMost(Number(cpu), 100);
    assert.isAbove(Number(used), 0);
    assert.isBelow(Number(used), Number(total));
  });

  it('answers requests over the same sessions', async () => {
    await run.sees(/client +\| cpu over the last 6 s {2}[▁▂▃▄▅▆▇█]{10,}/);
  });

  for (const victim of units) {
    it(`goes on after a SIGKILL of ${victim}`, async () => {
      const before = (await status()).units.find(({ name }) => name === victim)!;
      const from = run.output.length;
      process.kill(before.pid!, 'SIGKILL');
      await run.sees(new RegExp(`${victim}: ended by SIGKILL .*; restart in \\d+ ms`), from);
      if (victim !== 'client' && victim !== 'alerts') await run.sees(/hosed: peer\.(closed|reset)/, from);
      await run.sees(/telemetry is operative/, from);
      const restored = run.output.length;
      await run.sees(/client +\| cpu +\d+%/, restored);
      const after = (await status()).units.find(({ name }) => name === victim)!;
      assert.equal(after.starts, before.starts + 1);
      assert.notEqual(after.pid, before.pid);
    });
  }

  it('shows an alert for silence while the probe is stopped, and that it is over', async () => {
    const probe = (await status()).units.find(({ name }) => name === 'probe')!;
    process.kill(probe.pid!, 'SIGSTOP');
    await run.sees(/alerts +\| ALERT no data/);
    process.kill(probe.pid!, 'SIGCONT');
    await run.sees(/alerts +\| over: no data/);
  });

  it('stops in reverse order at Ctrl-C and leaves nothing', async () => {
    const from = run.output.length;
    run.signal('SIGINT');
    const { code } = await run.ended;
    const rest = run.output.slice(from);
    assert.equal(code, 0, rest);
    assert.match(rest, /telemetry ended: asked to stop/);
    assert.isBelow(
      rest.indexOf('session of client with aggregator closed'),
      rest.indexOf('session of probe with'),
    );
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    assert.deepEqual(readdirSync('/dev/shm'), shmBefore);
    assert.deepEqual(readdirSync(place.env.ACTOR_IPC_RUN_DIR!), []);
  });
});
