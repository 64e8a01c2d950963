// What is written for people must be true: the table of errors, and the example of the README, run as a user would.
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { errorCodes, IpcError } from '../src/errors.ts';
import { Command, scratch } from './cli/command.ts';
import { startProgram } from './support/fixture.ts';
import { waitUntil } from './support/wait-until.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (name: string) => readFileSync(join(root, name), 'utf8');

describe('docs/errors.md', () => {
  it('has a row for each code, with what it ends and whether to retry', () => {
    const rows = [...read('docs/errors.md').matchAll(/^\| `(ERR_\w+)` \| (\w+) \| (yes|no) \| \S/gm)];
    assert.sameMembers(
      rows.map(([, code]) => code),
      errorCodes,
    );
    for (const [, code, ends, retry] of rows) {
      const { fatalTo, retryable } = new IpcError(code as (typeof errorCodes)[number], '');
      assert.deepEqual([ends, retry], [fatalTo, retryable ? 'yes' : 'no'], code);
    }
  });
});

const examples: [document: string, files: string[], prints: RegExp][] = [
  ['README.md', ['universe.ts', 'server.ts', 'client.ts', 'topology.ts'], /shout \| HELLO/],
  [
    'docs/broadcast.md',
    ['universe.ts', 'exchange.ts', 'trader.ts', 'topology.ts'],
    /trader +\| ACME \d+\ntrader +\| ACME \d+\n/,
  ],
];
for (const [document, names, prints] of examples)
  describe(`the example of ${document}`, function () {
    this.timeout(30_000);
    const place = scratch();
    after(() => place.remove());

    it('runs as it stands there', async () => {
      const project = join(place.folder, 'project');
      mkdirSync(join(project, 'node_modules'), { recursive: true });
      symlinkSync(root, join(project, 'node_modules', 'actor-ipc'));
      symlinkSync(join(root, 'node_modules', 'xstate'), join(project, 'node_modules', 'xstate'));
      writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
      const files = [...read(document).matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms)];
      assert.sameMembers(
        files.map(([, name]) => name),
        names,
      );
      for (const [, name, text] of files) writeFileSync(join(project, name!), text!);
      const run = new Command(['run', join(project, 'topology.ts')], place.env);
      await run.sees(prints);
      run.signal('SIGINT');
      assert.equal((await run.ended).code, 0);
    });
  });

describe('the example of docs/memory.md', function () {
  this.timeout(60_000);
  const place = scratch();
  after(() => place.remove());

  it('runs as it stands there', async () => {
    const project = join(place.folder, 'project');
    mkdirSync(join(project, 'node_modules'), { recursive: true });
    symlinkSync(root, join(project, 'node_modules', 'actor-ipc'));
    for (const name of ['xstate', 'flatbuffers', '@types'])
      symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name));
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
    const files = [...read('docs/memory.md').matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms)];
    assert.sameMembers(
      files.map(([, name]) => name),
      ['memory-universe.ts', 'memory-camera.ts', 'memory-viewer.ts', 'memory-table.ts'],
    );
    for (const [, name, text] of files) writeFileSync(join(project, name!), text!);
    const start = (name: string) =>
      startProgram(process.execPath, ['--import', import.meta.resolve('tsx/esm'), join(project, name)], {
        env: { ...place.env, ACTOR_IPC_RUN_DIR: place.folder },
      });
    using _camera = start('memory-camera.ts');
    using viewer = start('memory-viewer.ts');
    let seen = '';
    viewer.child.stdout!.on('data', (text: string) => {
      seen += text;
    });
    const all =
      /a frame of 3000000 bytes, the last one is 7\nsquares: 1000000 numbers, the last one is 999998000001/;
    await waitUntil('both lines', () => all.test(seen), 50_000);
  });
});

describe('the example of docs/pipes.md', function () {
  this.timeout(30_000);
  const place = scratch();
  after(() => place.remove());

  it('runs as it stands there, started in any order', async () => {
    const project = join(place.folder, 'project');
    mkdirSync(join(project, 'node_modules'), { recursive: true });
    symlinkSync(root, join(project, 'node_modules', 'actor-ipc'));
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
    const files = [...read('docs/pipes.md').matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms)];
    assert.sameMembers(
      files.map(([, name]) => name),
      ['producer.ts', 'middle.ts', 'consumer.ts'],
    );
    for (const [, name, text] of files) writeFileSync(join(project, name!), text!);
    const env = { ACTOR_IPC_RUN_DIR: join(place.folder, 'run') };
    const start = (name: string) =>
      startProgram(process.execPath, ['--import', 'tsx/esm', join(project, name)], { env });
    using consumer = start('consumer.ts');
    using middle = start('middle.ts');
    using producer = start('producer.ts');
    const ends = await Promise.all([consumer.end, middle.end, producer.end]);
    for (const { code, stderr } of ends) assert.equal(code, 0, stderr);
    assert.deepEqual(
      ends[0].stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
      [0, 1, 2].map((sequence) => ({ sequence, by: 'middle' })),
    );
  });
});

describe('the example of docs/supervision.md', function () {
  this.timeout(30_000);
  const place = scratch();
  after(() => place.remove());

  it('runs as it stands there', async () => {
    const project = join(place.folder, 'project');
    mkdirSync(join(project, 'node_modules'), { recursive: true });
    symlinkSync(root, join(project, 'node_modules', 'actor-ipc'));
    symlinkSync(join(root, 'node_modules', 'xstate'), join(project, 'node_modules', 'xstate'));
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
    const [, text] = /^```ts\n\/\/ supervise\.ts\n(.*?)^```/ms.exec(read('docs/supervision.md'))!;
    writeFileSync(join(project, 'supervise.ts'), text!);
    const args = ['--import', import.meta.resolve('tsx/esm'), join(project, 'supervise.ts')];
    using program = startProgram(process.execPath, args, { env: { ACTOR_IPC_RUN_DIR: place.folder } });
    const { code, stdout, stderr } = await program.end;
    assert.equal(code, 0, stderr);
    for (const line of [
      'till { count: 101 } start 2',
      'already-started',
      '{ ok: true } { specs: 2, active: 1, supervisors: 1, workers: 1 }',
    ])
      assert.include(stdout.split('\n'), line);
  });
});

describe('the links of the documentation', () => {
  for (const name of [
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'docs/sessions.md',
    'docs/broadcast.md',
    'docs/supervision.md',
    'docs/cli.md',
    'docs/memory.md',
    'docs/pipes.md',
    'docs/reliability.md',
  ])
    it(`${name} leads to files that exist`, () => {
      for (const [, target] of read(name).matchAll(/\]\((?!https?:|#)([^)#]+)/g))
        assert.isTrue(existsSync(join(root, name, '..', target!)), target);
    });
});
