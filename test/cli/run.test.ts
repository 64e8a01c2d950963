// `run` and its neighbours where things are not as they should be: wrong input, deaf children, killed supervisors.
import { copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import {
  Command,
  type CommandResult,
  command,
  fixture,
  processesWith,
  scratch,
  telemetry,
} from './command.ts';

interface Refusal {
  readonly what: string;
  readonly file: string;
  readonly code: number;
  readonly says: RegExp[];
}

const refusals: Refusal[] = [
  {
    what: 'a file that is not there',
    file: 'nowhere.ts',
    code: 2,
    says: [/nowhere\.ts: there is no such file/],
  },
  {
    what: 'a topology that throws',
    file: 'throwing.topology.ts',
    code: 2,
    says: [/not in the mood \(at .*throwing\.topology\.ts:1/],
  },
  {
    what: 'a file without a default export',
    file: 'no-export.topology.ts',
    code: 2,
    says: [/export default defineTopology/],
  },
  {
    what: 'an unknown key',
    file: 'unknown-key.topology.ts',
    code: 2,
    says: [/children\.a\.dependOn: unknown key \(did you mean dependsOn\?\); allowed: /],
  },
  {
    what: 'a missing entry file',
    file: 'missing-file.topology.ts',
    code: 2,
    says: [/children\.gone\.file: there is no readable file .*not-there\.ts/],
  },
  {
    what: 'an entry that throws at import',
    file: 'import-throws.topology.ts',
    code: 2,
    says: [
      /bad could not start: bad: .*throws\.ts threw while it was loaded: the fixture is not in the mood \(at .*throws\.ts:1/,
    ],
  },
  {
    what: 'a program that does not exist',
    file: 'missing-program.topology.ts',
    code: 3,
    says: [/no-such-program-anywhere could not be started: there is no such program \(ENOENT\)/],
  },
];

describe('actor-ipc run', function () {
  this.timeout(180_000);
  const place = scratch();
  const running = new Set<Command>();

  function start(name: string, ...args: string[]): Command {
    const run = new Command(['run', fixture(name), '--workspace', place.workspace, ...args], place.env);
    running.add(run);
    return run;
  }

  const nothingLeft = () =>
    waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);

  afterEach(async () => {
    for (const run of running) {
      run.signal('SIGKILL');
      await run.ended;
    }
    running.clear();
    await nothingLeft();
  });
  after(() => place.remove());

  for (const { what, file, code, says } of refusals)
    it(`refuses ${what} with code ${code}, says how to mend it and leaves nothing running`, async () => {
      const result = await start(file).ended;
      assert.equal(result.code, code, result.output);
      for (const words of says) assert.match(result.output, words);
      await nothingLeft();
    });

  it('refuses a file that does not parse, and says where', async () => {
    const file = join(place.folder, 'unparsable.ts');
    copyFileSync(fixture('unparsable.topology.txt'), file);
    const { code, output } = await command(['run', file], place.env);
    assert.equal(code, 2);
    assert.match(output, /unparsable\.ts:2:13: ERROR/);
  });

  it('refuses a second supervisor of the same workspace and names the first', async () => {
    const first = start('escapee.topology.ts');
    await first.sees(/escape is operative/);
    const { code, output } = await start('escapee.topology.ts').ended;
    assert.equal(code, 6);
    assert.match(output, new RegExp(`a supervisor with pid ${first.pid} runs the workspace`));
    assert.isNull(first.process.exitCode);
  });

  it('takes every descendant with it when it is killed, also those that left their group', async () => {
    const run = start('escapee.topology.ts');
    await run.sees(/escapee \| escaped/);
    await waitUntil('all of them to be there', () => processesWith(place.folder).length >= 8);
    run.signal('SIGKILL');
    await run.ended;
    await nothingLeft();
  });

  it('reaps them all at an orderly stop too', async () => {
    const run = start('escapee.topology.ts');
    await run.sees(/escape is operative/);
    run.signal('SIGTERM');
    assert.equal((await run.ended).code, 0);
    assert.deepEqual(processesWith(place.folder), []);
  });

  it('kills what does not listen at the second Ctrl-C, and tells by its code', async () => {
    const run = start('stubborn.topology.ts');
    await run.sees(/stubborn \| stubborn is up/);
    run.signal('SIGINT');
    await run.sees(/stopping in order; press Ctrl-C again to kill/);
    // Two signals at once would count as one.
    await new Promise((resolve) => setTimeout(resolve, 300));
    run.signal('SIGINT');
    const { code, output } = await run.ended;
    assert.equal(code, 130, output);
    assert.match(output, /killing what still stands/);
  });

  it('gives a unit up after its limit, skips who waits for it, and lets the others run', async () => {
    const run = start('storm.topology.ts');
    await run.sees(/stormy: ended with code 3 .*; given up/);
    const { output } = await command(['status', '--json', '--workspace', place.workspace], place.env);
    const units = JSON.parse(output).units as { name: string; phase: string; note: string; starts: number }[];
    assert.deepEqual(
      units.map(({ name, phase, starts }) => [name, phase, starts]),
      [
        ['steady', 'up', 1],
        ['stormy', 'failed', 3],
        ['waiting', 'skipped', 0],
      ],
    );
    assert.match(units[1]!.note, /more than 2 restarts within 60000 ms/);
    assert.match(units[2]!.note, /stormy is failed and will not be operative/);
    run.signal('SIGINT');
    assert.equal((await run.ended).code, 1);
  });

  it('ends with code 70 when the restarts exceed the intensity of the supervisor', async () => {
    const { code, output } = await start('limit.topology.ts').ended;
    assert.equal(code, 70, output);
    assert.match(output, /more than 1 restarts within 60000 ms, the last of stormy/);
  });

  it('shows the last word of a child that has written into the memory of its peer', async () => {
    const { output } = await start('writes-to-peer.topology.ts').ended;
    assert.match(
      output,
      /scribbler.*wrote to byte 7 of channel balls of the session with app wall, memory that/,
    );
    assert.match(output, /SIGSEGV/);
  });

  it('ends by itself with code 0 when all its jobs are done, in the order of their gates', async () => {
    const { code, output } = await start('job.topology.ts').ended;
    assert.equal(code, 0, output);
    assert.isBelow(output.indexOf('first: ended with code 0'), output.indexOf('second started'));
    assert.match(output, /second \| done/);
  });

  it('prints one JSON object per line with --json', async () => {
    const { output } = await start('job.topology.ts', '--json').ended;
    const lines = output
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.isTrue(lines.some(({ unit, line }) => unit === 'second' && line === 'done'));
    assert.isTrue(lines.some(({ msg }) => /job is operative|job ended/.test(String(msg))));
  });
});

describe('actor-ipc', () => {
  const place = scratch();
  after(() => place.remove());
  const rows: [string, string[], number, RegExp][] = [
    ['prints its help', ['--help'], 0, /Usage: actor-ipc/],
    ['prints its version', ['--version'], 0, /^\d+\.\d+\.\d+/],
    ['proposes the command that was meant', ['rnu'], 2, /Did you mean run\?/],
    ['refuses an unknown option', ['run', '--workspce', 'x'], 2, /Did you mean --workspace\?/],
    [
      'says when nothing runs',
      ['status', fixture('job.topology.ts'), '--workspace', place.folder],
      4,
      /start it with "actor-ipc run"/,
    ],
    [
      'checks a topology without running it',
      ['check', fixture('storm.topology.ts')],
      0,
      /starts in this order: steady, stormy, waiting/,
    ],
    [
      'warns of a machine in a program, with its file, its line and its key path, and does not fail for it',
      ['check', fixture('rally.topology.mjs')],
      0,
      /warning \S+rally\.mjs:\d+: states\.playing\.invoke: the failure of actor hitting[\s\S]*is valid/,
    ],
    [
      'fails for a warning if it is to be strict',
      ['check', '--strict', fixture('rally.topology.mjs')],
      2,
      /warning /,
    ],
    [
      'finds no topology in an empty folder',
      ['check', place.folder],
      2,
      /there is no topology here \(topology\.ts, /,
    ],
    [
      'finds the topology of a folder',
      ['check', dirname(telemetry)],
      0,
      /starts in this order: aggregator, probe, client, alerts/,
    ],
    [
      'says which workspace can not be made',
      ['run', fixture('job.topology.ts'), '--workspace', '/proc/none'],
      2,
      /preparing the workspace \/proc\/none failed: ENOENT/,
    ],
  ];
  for (const [claim, args, code, says] of rows)
    it(claim, async () => {
      const result: CommandResult = await command(args, place.env);
      assert.equal(result.code, code, result.output);
      assert.match(result.output, says);
    });
});
