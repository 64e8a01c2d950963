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
  this.timeout(180_000);
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

  it('see what has left its session and lost its parent', async () => {
    assert.equal((await ask('wait', 'escaped', '--state', 'operative', '-t', '20s')).code, 0);
  });

  it('give way to what a process says itself, and not to what only follows from its work', async () => {
    assert.equal((await ask('wait', 'speaker', '--state', 'own.words', '-t', '20s')).code, 0);
    assert.equal((await ask('wait', 'silent', '--state', 'seen', '-t', '20s')).code, 0);
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

  describe('wait --condition', () => {
    const wait = (...args: string[]) => ask('wait', 'plain', ...args);

    it('waits until it holds, of the whole process tree of a unit', async () => {
      closePort();
      assert.equal((await ask('wait', 'master', '--state', 'starting', '-t', '20s')).code, 0);
      const waiting = ask('wait', 'master', '--condition', "len(fp['listen'])>0", '--timeout', '30');
      openPort();
      const { code, output } = await waiting;
      assert.equal(code, 0, output);
      assert.match(output, /master is \w+ as process \d+/);
    });

    it('answers at once for what holds already', async () => {
      const { code, output } = await wait(
        '-c',
        "state == 'operative' && uptimeMs > 0",
        '--json',
        '-t',
        '20s',
      );
      assert.equal(code, 0, output);
      assert.include(JSON.parse(output), { unit: 'plain', phase: 'up', state: 'operative' });
    });

    const failures: [what: string, args: string[], code: number, says: RegExp][] = [
      [
        'the timeout',
        ['-c', 'len(fp.udp) > 5', '-t', '300ms'],
        5,
        /waiting for len\(fp\.udp\) > 5 of plain took longer than 300 ms/,
      ],
      [
        'a mistake, with its place',
        ['-c', 'len(fp.listen) >'],
        2,
        /at character 17\n {2}len\(fp\.listen\) >\n {18}\^/,
      ],
      [
        'a key that no fingerprint has',
        ['-c', "len(fp['ports'])>0"],
        2,
        /a fingerprint has no ports; it has cmdline, listen/,
      ],
      ['what is no condition', ['-c', 'len(fp.listen)'], 2, /it gives a int, but must be true or false/],
      ['code', ['-c', 'process.exit(0) || true'], 2, /Unknown variable: process/],
      ['a state beside it', ['-c', 'true', '-s', 'up'], 2, /cannot be used with/],
      ['a timeout that is none', ['-c', 'true', '-t', 'soon'], 2, /it must be a duration/],
    ];
    for (const [what, args, expected, says] of failures)
      it(`ends with code ${expected} at ${what}`, async () => {
        const { code, output } = await wait(...args);
        assert.equal(code, expected, output);
        assert.match(output, says);
      });

    it('tells a mistake without a running tree', async () => {
      const { code } = await command(['wait', 'x', '-c', '1 +', '--workspace', place.folder], env);
      assert.equal(code, 2);
    });
  });
});
