// Fingerprints of real programs: printed, saved, and used to recognise a state and to find a process.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { parse, stringify } from 'yaml';
import { waitUntil } from '../support/wait-until.ts';
import { Command, type CommandResult, command, fixture, processesWith, scratch } from './command.ts';

interface Unit {
  readonly name: string;
  readonly pid: number | null;
  readonly state: string | null;
}

describe('fingerprints of a running tree', function () {
  this.timeout(180_000);
  const place = scratch();
  const open = join(place.folder, 'open');
  const env = { ...place.env, OPEN: open };
  const file = join(place.folder, 'topology.mjs');
  const saved = join(place.folder, 'tws.open.fp');
  const program = [process.execPath, '--import', import.meta.resolve('tsx/esm'), fixture('listener.ts')];
  const tws = { kind: 'exec', file: program[0], args: program.slice(1), shutdown: 2_000 };
  const strangers: ChildProcess[] = [];
  let run: Command;

  const write = (more: object) =>
    writeFileSync(
      file,
      `export default ${JSON.stringify({ name: 'atlas', children: { tws: { ...tws, ...more }, seat: tws } })};\n`,
    );
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
  /** A process that nobody here has started. */
  async function stranger(...more: string[]): Promise<ChildProcess> {
    const started = spawn(program[0]!, [...program.slice(1), ...more], {
      env: { ...process.env, ...env },
      stdio: 'ignore',
      detached: true,
    });
    await once(started, 'spawn');
    strangers.push(started);
    return started;
  }

  before(async () => {
    write({});
    run = new Command(['run', file, '--workspace', place.workspace], env);
    await run.sees(/atlas is operative/);
  });
  after(async () => {
    for (const each of strangers) each.kill('SIGKILL');
    run.signal('SIGKILL');
    await run.ended;
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    place.remove();
  });

  it('have the five keys, as YAML and as JSON', async () => {
    const keys = ['cmdline', 'listen', 'established', 'udp', 'files'];
    assert.deepEqual(Object.keys(parse(await succeeds('fingerprint', 'tws')) as object), keys);
    const found = JSON.parse(await succeeds('fingerprint', 'tws', '--json')) as Record<string, string[]>;
    assert.deepEqual([Object.keys(found), found.cmdline], [keys, program]);
  });

  it('recognise a state in the process that runs, once the topology says so', async () => {
    writeFileSync(open, '');
    await succeeds('wait', 'tws', '-c', 'len(fp.listen) == 1', '-t', '20s');
    writeFileSync(saved, await succeeds('fingerprint', 'tws'));
    const { pid } = await unit('tws');
    write({ states: { open: { fingerprint: './tws.open.fp', periodMs: 100, failures: 1 } } });
    assert.match(await succeeds('apply', file), /change tws \(states\)/);
    await succeeds('wait', 'tws', '--state', 'open', '-t', '20s');
    rmSync(open);
    await succeeds('wait', 'tws', '--state', 'unrecognised', '-t', '20s');
    assert.equal((await unit('tws')).pid, pid);
  });

  it('are read again when they change', async () => {
    writeFileSync(saved, await succeeds('fingerprint', 'tws'));
    await succeeds('wait', 'tws', '--state', 'open', '-t', '20s');
  });

  it('that are none are told, and hold nothing up', async () => {
    const from = run.output.length;
    writeFileSync(saved, 'cmdline: 7\n');
    await run.sees(/tws: state open: .*tws\.open\.fp can't be used: it is no fingerprint: cmdline/, from);
    await succeeds('wait', 'tws', '--state', 'unrecognised', '-t', '20s');
    const { code, output } = await ask('attach', 'seat', '--fingerprint', saved);
    assert.equal(code, 2, output);
  });

  it('that are none are mistakes of a topology that is checked, with their key path', async () => {
    const { code, output } = await command(['check', file], env);
    assert.equal(code, 2, output);
    assert.match(output, /children\.tws\.states\.open\.fingerprint: .*tws\.open\.fp can't be used: it is no/);
  });

  describe('attach --fingerprint', () => {
    const fingerprint = (args: string[]) =>
      writeFileSync(saved, stringify({ cmdline: args, listen: [], established: [], udp: [], files: [] }));

    it('finds the one process that looks like it, and none of the tree itself', async () => {
      const found = await stranger('found');
      fingerprint([...program, 'found']);
      assert.match(
        await succeeds('attach', 'seat', '--fingerprint', saved),
        new RegExp(`seat is operative as process ${found.pid} `),
      );
      await succeeds('stop', 'seat');
      fingerprint(program);
      const { code, output } = await ask('attach', 'seat', '--fingerprint', saved);
      assert.equal(code, 6, output);
      assert.match(output, /no process looks like .*tws\.open\.fp/);
    });

    it('does not choose between two that look the same', async () => {
      const twins = [await stranger('twin'), await stranger('twin')];
      fingerprint([...program, 'twin']);
      const { code, output } = await ask('attach', 'seat', '--fingerprint', saved);
      assert.equal(code, 6, output);
      for (const { pid } of twins) assert.include(output, String(pid));
    });

    for (const [what, args, code] of [
      ['without a process', [], 2],
      ['with two ways to name it', ['--pid', '1', '--fingerprint', 'x'], 2],
      ['with a number that is none', ['--pid', 'one'], 2],
      ['with a file that is not there', ['--fingerprint', '/nope.fp'], 2],
    ] as const)
      it(`is refused ${what}`, async () => assert.equal((await ask('attach', 'seat', ...args)).code, code));
  });

  it('are refused for what has no process, and for no unit', async () => {
    await succeeds('stop', 'seat');
    const down = await ask('fingerprint', 'seat');
    assert.equal(down.code, 6, down.output);
    assert.equal((await ask('fingerprint', 'nope')).code, 2);
  });
});
