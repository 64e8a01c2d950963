// The commands that give orders to units, on real programs: each waits for its effect, and its exit code tells it.
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
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
  readonly note: string | null;
}

describe('orders to units', function () {
  this.timeout(180_000);
  const place = scratch();
  const ill = join(place.folder, 'ill');
  const env = { ...place.env, ILL: ill };
  let run: Command;

  const ask = (name: string, ...args: string[]): Promise<CommandResult> =>
    command([name, ...args, '--workspace', place.workspace], env);
  async function unit(name: string): Promise<Unit> {
    const { output } = await ask('status', '--json');
    return (JSON.parse(output).units as Unit[]).find((each) => each.name === name)!;
  }
  async function succeeds(name: string, ...args: string[]): Promise<string> {
    const { code, output } = await ask(name, ...args);
    assert.equal(code, 0, output);
    return output;
  }

  before(async () => {
    run = new Command(['run', fixture('units.topology.ts'), '--workspace', place.workspace], env);
    await run.sees(/stormy: .*given up/);
  });
  after(async () => {
    run.signal('SIGKILL');
    await run.ended;
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    place.remove();
  });

  it('wait for a log line, a named state, a descriptor and a program that make a unit ready', async () => {
    for (const name of ['talker', 'notifier', 'looked', 'waiter']) await succeeds('wait', name, '-t', '20s');
    assert.equal((await unit('talker')).state, 'hot');
    await succeeds('wait', 'talker', '--state', 'hot', '-t', '20s');
  });

  it('stop a unit until nothing is left, also one that ignores SIGTERM', async () => {
    await run.sees(/deaf +\| up/);
    const { pid } = await unit('deaf');
    assert.match(await succeeds('stop', 'deaf'), /deaf is idle/);
    assert.isFalse(existsSync(`/proc/${pid}`));
  });

  it('end what a program has left behind in a session of its own', async () => {
    await succeeds('wait', 'forker', '--state', 'completed', '-t', '20s');
    const left = processesWith('ACTOR_IPC_UNIT=units/forker');
    assert.deepEqual(left, []);
  });

  it('start it again', async () => {
    assert.match(await succeeds('start', 'deaf'), /deaf is operative as process \d+ \(start 2\)/);
    assert.match(await succeeds('start', 'deaf'), /\(start 2\)/, 'what runs already is left alone');
  });

  it('restart a unit, with another process, uncounted', async () => {
    const { pid } = await unit('sleeper');
    assert.match(await succeeds('restart', 'sleeper'), /start 2/);
    const after = await unit('sleeper');
    assert.notEqual(after.pid, pid);
    assert.equal(after.phase, 'up');
  });

  it('reload a unit: the former process is there until the next one is ready', async () => {
    const before = await unit('talker');
    await succeeds('reload', 'talker');
    const after = await unit('talker');
    assert.notEqual(after.pid, before.pid);
    assert.equal(after.starts, before.starts + 1);
    const text = run.output;
    assert.isBelow(text.indexOf('talker started as process', 0), text.indexOf(`process ${after.pid}`));
    await waitUntil('the former one to end', () => !existsSync(`/proc/${before.pid}`));
    assert.equal((await unit('waiter')).starts, 1, 'who depends on it was left alone');
  });

  it('send a signal to the group of a unit', async () => {
    const { pid } = await unit('looked');
    await succeeds('signal', 'looked', 'SIGKILL');
    await waitUntil('its end', () => !existsSync(`/proc/${pid}`));
    await succeeds('wait', 'looked', '-t', '20s');
  });

  it('reset and start what was given up, and say that it was given up again', async () => {
    assert.equal((await unit('stormy')).phase, 'failed');
    assert.match(await succeeds('reset', 'stormy'), /stormy is idle/);
    const { code, output } = await ask('start', 'stormy');
    assert.equal(code, 1);
    assert.match(output, /stormy: it was given up: more than 2 restarts within 60000 ms/);
  });

  it('restart a unit whose liveness probe fails', async () => {
    const { pid } = await unit('ill');
    writeFileSync(ill, '');
    await run.sees(
      /ill: its liveness probe failed: sh ended with code 1 \(2 times in a row\), so it was stopped/,
    );
    rmSync(ill);
    await waitUntil('its end', () => !existsSync(`/proc/${pid}`));
    await succeeds('wait', 'ill', '-t', '20s');
  });

  it('take over a process that runs already, and notice its end', async () => {
    await succeeds('stop', 'sleeper');
    const { spawn } = await import('node:child_process');
    const stranger = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' });
    const output = await succeeds('attach', 'sleeper', '--pid', String(stranger.pid));
    assert.match(output, new RegExp(`as process ${stranger.pid} `));
    stranger.kill('SIGKILL');
    await run.sees(/sleeper: ended \(after .*restart in/);
    await succeeds('wait', 'sleeper', '-t', '20s');
    assert.notEqual((await unit('sleeper')).pid, stranger.pid);
  });

  const refusals: [what: string, args: string[], code: number, says: RegExp][] = [
    ['a unit that is not there', ['stop', 'sleper'], 2, /there is no unit sleper \(did you mean sleeper\?\)/],
    [
      'a signal that is not there',
      ['signal', 'sleeper', 'HUPP'],
      6,
      /there is no such signal \(did you mean HUP\?\)/,
    ],
    [
      'a process that is not there',
      ['attach', 'forker', '--pid', '4194304'],
      6,
      /there is no process 4194304/,
    ],
    ['to take over for what runs', ['attach', 'waiter', '--pid', '1'], 6, /it is up; stop it first/],
    ['to reload what is down', ['reload', 'forker'], 6, /only what is up can be reloaded/],
    [
      'to wait for longer than it may',
      ['wait', 'sleeper', '-s', 'down', '-t', '50ms'],
      5,
      /longer than 50 ms/,
    ],
  ];
  for (const [what, args, code, says] of refusals)
    it(`refuse ${what} with code ${code}`, async () => {
      const [name, ...rest] = args;
      const result = await ask(name!, ...rest);
      assert.equal(result.code, code, result.output);
      assert.match(result.output, says);
    });

  it('are refused where nothing runs', async () => {
    const { code, output } = await command(['restart', 'x', '--workspace', place.folder], env);
    assert.equal(code, 4, output);
  });

  describe('logs', () => {
    it('are printed by unit and time, with the times as JSON', async () => {
      const output = await succeeds('logs', 'talker', '--json');
      const lines = output
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line) as { unit: string; line: string; time: string });
      assert.deepEqual(
        lines.slice(0, 2).map(({ unit: of, line }) => [of, line]),
        [
          ['talker', 'loading'],
          ['talker', 'now ready'],
        ],
      );
      const times = lines.map(({ time }) => Date.parse(time));
      assert.deepEqual(
        times,
        times.toSorted((a, b) => a - b),
      );
      assert.equal(await succeeds('logs', 'talker', '--since', '2100-01-01'), '');
    });

    it('are followed', async () => {
      const follow = new Command(['logs', 'talker', '-f', '--workspace', place.workspace], env);
      await follow.sees(/now ready/);
      const from = follow.output.length;
      await succeeds('restart', 'talker');
      await follow.sees(/loading[\s\S]*now ready/, from);
      follow.signal('SIGKILL');
      await follow.ended;
    });

    it('of a unit that writes too fast have gaps that are counted, and never hold it up', async () => {
      await run.sees(/flood +\| over|flood +\| \(\d+ lines were dropped/);
      const folder = join(place.workspace, 'out');
      await waitUntil('all of it to be read', () =>
        readdirSync(folder).some(
          (name) =>
            name.startsWith('units.flood') &&
            /\(\d+ lines were dropped/.test(readFileSync(join(folder, name), 'utf8')),
        ),
      );
      const files = readdirSync(folder).filter((name) => name.startsWith('units.flood.out'));
      assert.isAtMost(files.length, 3);
      for (const name of files) assert.isAtMost(statSync(join(folder, name)).size, 300_000, name);
    });

    it('of a crash are kept beside the exit', async () => {
      const text = readFileSync(join(place.workspace, 'err', 'units.stormy.crash'), 'utf8');
      assert.match(text, /stormy: ended with code 3/);
    });
  });

  describe('for the whole tree', () =>
    it('take it down, and tell how that ended', async () => {
      const { code, output } = await ask('down');
      assert.equal(code, 1, output);
      assert.match(output, /it ended: asked to stop/);
      assert.equal((await run.ended).code, 1);
      assert.deepEqual(processesWith(place.folder), []);
    }));
});
