// Exit codes: every row of the table in docs/cli.md, by real processes. And every command where there is no tree, where a dead
// one has left its socket, and where one hangs.
import { spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Command, type CommandResult, command, processesWith, scratch } from './command.ts';

const topologyEntry = new URL('../../dist/spec/topology.js', import.meta.url).href;

describe('the exit code of a command', function () {
  this.timeout(180_000);
  const place = scratch();
  const running = new Set<Command>();
  const ask = (...args: string[]): Promise<CommandResult> =>
    command([...args, '--workspace', place.workspace], place.env);

  /** A topology of shell programs, written here. */
  function run(children: string, ...args: string[]): Command {
    const file = join(place.folder, 'topology.mjs');
    mkdirSync(place.folder, { recursive: true });
    writeFileSync(
      file,
      `import { defineTopology, exec } from '${topologyEntry}';
       const sh = (script, more) => exec('sh', { args: ['-c', script], shutdown: 300, ...more });
       const once = { backoff: { minMs: 1, maxMs: 1 }, giveUp: { restarts: 1, periodMs: 60000 } };
       export default defineTopology(${children});`,
    );
    const started = new Command(['run', file, '--workspace', place.workspace, ...args], place.env);
    running.add(started);
    return started;
  }
  const sleeps = `{ name: 'codes', children: { a: sh('exec sleep 1000') } }`;

  afterEach(async () => {
    for (const each of running) {
      each.signal('SIGKILL');
      await each.ended;
    }
    running.clear();
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
  });
  after(() => place.remove());

  it('is 0 after an end that was asked for, of the tree and of who asked', async () => {
    const tree = run(sleeps);
    await tree.sees(/codes is operative/);
    assert.equal((await ask('down')).code, 0);
    assert.equal((await tree.ended).code, 0);
  });

  it('is 1 if a unit was given up', async () => {
    const tree = run(
      `{ name: 'codes', children: { a: sh('exec sleep 1000'), b: sh('exit 3', { ...once, ready: { log: 'x' } }) } }`,
    );
    await tree.sees(/given up/);
    assert.equal((await ask('start', 'b')).code, 1);
    tree.signal('SIGINT');
    assert.equal((await tree.ended).code, 1);
  });

  it('is 2 for what makes no sense, and for a topology that is not right', async () => {
    assert.equal((await ask('stopp', 'a')).code, 2);
    assert.equal((await run('{ name: 1 }').ended).code, 2);
  });

  it('is 3 if a program is missing', async () => {
    const tree = run(`{ name: 'codes', children: { a: exec('no-such-program-anywhere') } }`);
    assert.equal((await tree.ended).code, 3);
  });

  const commands: string[][] = [
    ['status'],
    ['status', '--watch'],
    ['top'],
    ['start', 'a'],
    ['stop', 'a'],
    ['restart', 'a'],
    ['reload', 'a'],
    ['reset', 'a'],
    ['signal', 'a', 'HUP'],
    ['wait', 'a'],
    ['attach', 'a', '--pid', '1'],
    ['down'],
    ['logs', '-f'],
  ];

  it('is 4 where no tree runs, whatever was asked', async () => {
    mkdirSync(place.workspace, { recursive: true });
    for (const args of commands) {
      const { code, output } = await ask(...args);
      assert.equal(code, 4, `${args.join(' ')}: ${output}`);
      assert.match(output, /start it with "actor-ipc run"/);
    }
  });

  it('is 4 where a killed one has left its socket, and the next run begins as if it had not', async () => {
    const first = run(sleeps);
    await first.sees(/codes is operative/);
    first.signal('SIGKILL');
    await first.ended;
    const sockets = readdirSync(join(place.folder, 'run'), { recursive: true, encoding: 'utf8' });
    assert.isTrue(
      sockets.some((name) => name.includes('control')),
      'the socket is still there',
    );
    for (const args of [['status'], ['down'], ['logs', '-f']]) assert.equal((await ask(...args)).code, 4);
    await run(sleeps).sees(/codes is operative/);
  });

  it('is 5 where the supervisor hangs, soon, and says so', async () => {
    const tree = run(sleeps);
    await tree.sees(/codes is operative/);
    tree.signal('SIGSTOP');
    const results = await Promise.all(
      [['status'], ['top'], ['down'], ['stop', 'a'], ['wait', 'a', '--state', 'x'], ['logs', '-f']].map(
        (args) => ask(...args),
      ),
    );
    for (const { code, output } of results) {
      assert.equal(code, 5, output);
      assert.match(
        output,
        new RegExp(`the supervisor, process ${tree.pid}, which is stopped .* took longer than 5000 ms`),
      );
    }
    tree.signal('SIGCONT');
    assert.equal((await tree.ended).code, 0, 'what was ordered is carried out then');
  });

  it('is 5 if a wait is over, and 6 if it is refused', async () => {
    const tree = run(sleeps);
    await tree.sees(/codes is operative/);
    assert.equal((await ask('wait', 'a', '--state', 'other', '--timeout', '50ms')).code, 5);
    assert.equal((await ask('signal', 'a', 'NOPE')).code, 6);
  });

  it('is 70 if the restarts exceed the intensity', async () => {
    const tree = run(
      `{ name: 'codes', intensity: 1, periodMs: 60000, children: { a: sh('exit 1', { backoff: { minMs: 1, maxMs: 1 } }) } }`,
    );
    assert.equal((await tree.ended).code, 70);
  });

  // Also in a tree that ends by itself once its only unit has been given up.
  for (const [what, children] of [
    ['something', `{ a: sh('exec sleep 1000'), b: sh('exec sleep 1000') }`],
    ['the only unit', `{ a: sh('exec sleep 1000') }`],
  ] as const)
    it(`is 75 if ${what} is stuck in the kernel`, async function () {
      // A process that has ended is not gone before whoever traces it has heard of it, and this one never listens.
      const tracer = spawn('python3', [
        '-u',
        '-c',
        'import ctypes, sys, time\nlibc = ctypes.CDLL(None)\nprint(libc.ptrace(0x4206, int(sys.stdin.readline()), 0, 0))\ntime.sleep(1000)',
      ]);
      let answer = '';
      tracer.stdout.on('data', (text: Buffer) => {
        answer += text.toString();
      });
      tracer.once('error', () => {
        answer = '-1';
      });
      const tree = run(`{ name: 'codes', children: ${children} }`);
      await tree.sees(/codes is operative/);
      const { output } = await ask('status', '--json');
      tracer.stdin.on('error', () => {});
      tracer.stdin.write(`${JSON.parse(output).units[0].pid}\n`);
      await waitUntil('the tracer', () => answer !== '');
      try {
        if (answer.trim() !== '0') {
          this.test!.title += ' (skipped: no process can be traced here)';
          return this.skip();
        }
        const stopped = await ask('stop', 'a');
        assert.equal(stopped.code, 75, stopped.output);
        assert.match(stopped.output, /a is stuck in the kernel and could not be killed/);
        if (what !== 'the only unit') tree.signal('SIGINT');
        assert.equal((await tree.ended).code, 75);
      } finally {
        tracer.kill('SIGKILL');
      }
    });

  it('is 128 and the number of the second signal', async () => {
    const tree = run(
      `{ name: 'codes', children: { a: sh('trap "" TERM; echo deaf; while :; do sleep 0.1; done', { shutdown: 30000 }) } }`,
    );
    await tree.sees(/a \| deaf/);
    tree.signal('SIGINT');
    await tree.sees(/stopping in order/);
    await new Promise((resolve) => setTimeout(resolve, 300));
    tree.signal('SIGTERM');
    assert.equal((await tree.ended).code, 143);
  });

  it('has a row in the documentation', () => {
    const text = readFileSync(fileURLToPath(new URL('../../docs/cli.md', import.meta.url)), 'utf8');
    for (const code of ['0', '1', '2', '3', '4', '5', '6', '70', '75', '128 + n'])
      assert.include(text, `\n| ${code} |`);
  });

  describe('of run --detach', () => {
    const detached = async (children: string, ...args: string[]): Promise<CommandResult> => {
      const result = await run(children, '--detach', ...args).ended;
      return result;
    };
    afterEach(() => ask('down'));

    it('is 0 once all units are up: the tree goes on, is asked, is followed and is taken down', async () => {
      const { code, output } = await detached(
        `{ name: 'codes', children: { a: sh('echo hello; exec sleep 1000') } }`,
      );
      assert.equal(code, 0, output);
      const [, pid] = /codes runs as process (\d+)/.exec(output)!;
      const status = JSON.parse((await ask('status', '--json')).output);
      assert.equal(status.pid, Number(pid));
      const follow = new Command(['logs', '-f', '--workspace', place.workspace], place.env);
      await follow.sees(/a \| hello/);
      assert.match(readFileSync(join(place.workspace, 'out', 'actor-ipc.log'), 'utf8'), /codes is operative/);
      assert.equal((await ask('down')).code, 0);
      assert.equal((await follow.ended).code, 0, 'following ends with the tree');
      await waitUntil('its end', () => processesWith(place.folder).length === 0);
    });

    it('is that of a boot that fails, with its reason', async () => {
      const missing = await detached(`{ name: 'codes', children: { a: exec('no-such-program-anywhere') } }`);
      assert.equal(missing.code, 3, missing.output);
      assert.match(missing.output, /codes could not start: .*there is no such program/);
      const wrong = await detached('{ name: 1 }');
      assert.equal(wrong.code, 2, wrong.output);
      assert.match(wrong.output, /name: /);
    });

    it('is 1 if a unit is given up, and the tree goes on', async () => {
      const { code, output } = await detached(
        `{ name: 'codes', children: { a: sh('exec sleep 1000'), b: sh('exit 3', { ...once, ready: { log: 'x' } }) } }`,
      );
      assert.equal(code, 1, output);
      assert.match(output, /b is failed: more than 1 restarts/);
      assert.equal((await ask('status')).code, 0);
    });

    it('is 5 if it takes too long, and the tree goes on coming up', async () => {
      const { code, output } = await detached(
        `{ name: 'codes', children: { a: sh('exec sleep 1000', { ready: { log: 'never' } }) } }`,
        '--timeout',
        '2s',
      );
      assert.equal(code, 5, output);
      await waitUntil('the tree', () => processesWith(place.folder).length > 0);
    });
  });
});
