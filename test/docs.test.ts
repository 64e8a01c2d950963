// What is written for people must be true: the table of errors, and the example of the README, run as a user would.

import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { constants } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { errorCodes, IpcError } from '../src/errors.ts';
import { Command, command, scratch } from './cli/command.ts';
import { startProgram } from './support/fixture.ts';
import { waitUntil } from './support/wait-until.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const read = (name: string) => readFileSync(join(root, name), 'utf8');

/** A project of the files that stand in a document, which must be these, and of the packages that they import. */
function projectOf(
  document: string,
  names: string[],
  folder: string,
  packages: readonly string[] = [],
): string {
  const project = join(folder, 'project');
  mkdirSync(join(project, 'node_modules'), { recursive: true });
  symlinkSync(root, join(project, 'node_modules', 'actor-ipc'));
  for (const name of packages)
    symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name));
  writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
  const files = [...read(document).matchAll(/^```(?:ts|jsonc)\n\/\/ (\S+)\n(.*?)^```/gms)];
  assert.sameMembers(
    files.map(([, name]) => name),
    names,
  );
  for (const [, name, text] of files) writeFileSync(join(project, name!), text!);
  return project;
}

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
  ['docs/cache.md', ['topology.ts', 'login.ts', 'page.ts'], /hello ann[\s\S]*a basket was set/],
];
for (const [document, names, prints] of examples)
  describe(`the example of ${document}`, function () {
    this.timeout(90_000);
    const place = scratch();
    after(() => place.remove());

    it('runs as it stands there', async () => {
      const project = projectOf(document, names, place.folder, ['xstate']);
      const run = new Command(['run', join(project, 'topology.ts')], place.env);
      await run.sees(prints);
      run.signal('SIGINT');
      assert.equal((await run.ended).code, 0);
    });
  });

describe('the example of docs/memory.md', function () {
  this.timeout(120_000);
  const place = scratch();
  const names = [
    'memory-universe.ts',
    'memory-camera.ts',
    'memory-viewer.ts',
    'memory-table.ts',
    'arena-topology.ts',
    'arena-printer.ts',
    'arena-reader.ts',
  ];
  after(() => place.remove());

  it('runs as it stands there', async () => {
    const project = projectOf('docs/memory.md', names, place.folder, ['xstate', 'flatbuffers', '@types']);
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

  it('keeps what a killed writer has published', async () => {
    const project = projectOf('docs/memory.md', names, join(place.folder, 'shop'));
    const run = new Command(['run', join(project, 'arena-topology.ts')], place.env);
    await run.sees(/reader +\| an atlas of 5000000 bytes, the last one is 7/);
    await run.ended;
  });
});

describe('the example of docs/getting-started.md', function () {
  // A dozen processes, one after the other.
  this.timeout(120_000);
  const document = 'docs/getting-started.md';
  const place = scratch();
  let project: string;
  before(() => {
    const names = ['universe.ts', 'till.ts', 'customer.ts', 'topology.ts'];
    project = projectOf(document, names, place.folder, ['xstate', '@types']);
  });
  after(() => place.remove());

  it('runs as it stands there, without a supervisor', async () => {
    const start = (name: string) =>
      startProgram(process.execPath, ['--import', import.meta.resolve('tsx/esm'), join(project, name)], {
        env: { ...place.env },
      });
    using customer = start('customer.ts');
    using till = start('till.ts');
    let seen = '';
    customer.child.stdout!.on('data', (text: string) => {
      seen += text;
    });
    await waitUntil('two sales', () => /the till has 3\ntea for 3, the till has 6\n/.test(seen), 50_000);
    till.child.kill('SIGINT');
    await waitUntil('the goodbye', () => seen.includes('the till is gone: peer.goodbye\n'));
  });

  it('runs in a tree, which is looked at and killed as it says', async () => {
    const file = join(project, 'topology.ts');
    const orders = [...read(document).matchAll(/^\$ npx actor-ipc (.*)$/gm)].map(([, order]) => order!);
    const [check, start, status, logs, top, down] = orders as [
      string,
      string,
      string,
      string,
      string,
      string,
    ];
    assert.lengthOf(orders, 6);
    const ask = async (order: string, ...more: string[]) => {
      const { code, output } = await command([...order.split(' '), ...more], place.env);
      assert.equal(code, 0, output);
      return output;
    };
    await ask(check, file);
    const run = new Command([...start.split(' '), file], place.env);
    try {
      await run.sees(/http:\/\/127\.0\.0\.1:\d+/);
      await run.sees(/customer \| tea for 3, the till has 9/);
      assert.match(await ask(status, file), /till +operative/);
      assert.match(await ask(logs, '--file', file), /tea for 3/);
      assert.match((await command([top, '--help'], place.env)).output, /topology/);
      const from = run.output.length;
      const [, pid] = await run.sees(/till started as process (\d+)/);
      process.kill(Number(pid), 'SIGKILL');
      await run.sees(/customer \| the till is gone: peer\.closed/, from);
      await run.sees(/customer \| tea for 3, the till has 3\n/, from);
      assert.match(await ask('postmortem till', '--file', file), /till/);
      await ask(down, '--file', file);
      assert.equal((await run.ended).code, 0, run.output);
    } finally {
      run.signal('SIGKILL');
      await run.ended;
    }
  });
});

describe('THIRD-PARTY.md', () => {
  const section = (title: string) =>
    [
      ...read('THIRD-PARTY.md')
        .split(`## ${title}`)[1]!
        .split('\n## ')[0]!
        .matchAll(/^\| \[(\S+)\]\(.*?\) \| ([^|]+) \|/gm),
    ].map(([, name, license]) => ({ name: name!, license: license! }));
  const licensed = (names: string[]) =>
    names.map((name) => {
      const { license } = JSON.parse(read(`node_modules/${name}/package.json`)) as { license: string };
      return { name, license };
    });

  it('has each package that is needed, with its license', () => {
    const { dependencies } = JSON.parse(read('package.json')) as { dependencies: object };
    assert.deepEqual(section('Packages that it needs'), licensed(Object.keys(dependencies)));
  });

  it('has each work that stands in the package or in the sources', () => {
    assert.deepEqual(section('In the package'), licensed(['elkjs', 'preact', 'uplot']));
    const notices = read('inspector-page/public/licenses.txt').toLowerCase();
    for (const { name } of section('In the package')) assert.include(notices, name);
    assert.deepEqual(
      section('In the sources alone').map(({ name }) => name),
      readdirSync(join(root, 'third_party')),
    );
  });
});

describe('the example of docs/messages.md', function () {
  this.timeout(120_000);
  const place = scratch();
  after(() => place.remove());

  it('runs as it stands there', async () => {
    const project = join(place.folder, 'project');
    mkdirSync(join(project, 'node_modules'), { recursive: true });
    symlinkSync(root, join(project, 'node_modules', 'actor-ipc'));
    for (const name of ['xstate', 'zod', '@types'])
      symlinkSync(join(root, 'node_modules', name), join(project, 'node_modules', name));
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
    const files = [...read('docs/messages.md').matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms)];
    assert.sameMembers(
      files.map(([, name]) => name),
      ['messages-universe.ts', 'messages-counter.ts', 'messages-customer.ts'],
    );
    for (const [, name, text] of files) writeFileSync(join(project, name!), text!);
    // Its receipt stands in the folder that it is started in.
    const loader = ['--import', import.meta.resolve('tsx/esm')];
    const start = (name: string) =>
      startProgram('/bin/sh', ['-c', 'cd "$0" && exec "$@"', project, process.execPath, ...loader, name], {
        env: { ...place.env, ACTOR_IPC_RUN_DIR: place.folder },
      });
    using _counter = start('messages-counter.ts');
    using customer = start('messages-customer.ts');
    let seen = '';
    customer.child.stdout!.on('data', (text: string) => {
      seen += text;
    });
    const all = /tea costs 3\nthere is tea\nthere is coffee\nasked for 10\npaid 10 thank you\n/;
    await waitUntil('all lines', () => all.test(seen), 50_000);
  });
});

describe('the example of docs/pipes.md', function () {
  this.timeout(90_000);
  const place = scratch();
  after(() => place.remove());

  it('runs as it stands there, started in any order', async () => {
    const names = ['producer.ts', 'middle.ts', 'consumer.ts'];
    const project = projectOf('docs/pipes.md', names, place.folder);
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

describe('the example of docs/programs.md', function () {
  this.timeout(90_000);
  const place = scratch();
  after(() => place.remove());

  it('runs as it stands there, in plain JavaScript, one of its programs by require', async () => {
    const project = join(place.folder, 'project');
    mkdirSync(join(project, 'node_modules'), { recursive: true });
    symlinkSync(root, join(project, 'node_modules', 'actor-ipc'));
    symlinkSync(join(root, 'node_modules', 'xstate'), join(project, 'node_modules', 'xstate'));
    const files = [...read('docs/programs.md').matchAll(/^```js\n\/\/ (\S+)\n(.*?)^```/gms)];
    assert.sameMembers(
      files.map(([, name]) => name),
      ['universe.mjs', 'app-session.mjs', 'server.mjs', 'reader.mjs', 'auditor.cjs'],
    );
    for (const [, name, text] of files) writeFileSync(join(project, name!), text!);
    const env = { ACTOR_IPC_RUN_DIR: join(place.folder, 'run') };
    const start = (name: string) => {
      const program = startProgram(process.execPath, [join(project, name)], { env });
      const seen = { program, text: '' };
      program.child.stdout!.on('data', (text: string) => {
        seen.text += text;
      });
      return seen;
    };
    // The client first: it waits for its server.
    const reader = start('reader.mjs');
    const server = start('server.mjs');
    const auditor = start('auditor.cjs');
    using _ = {
      [Symbol.dispose]: () => [reader, server, auditor].forEach((one) => void one.program[Symbol.dispose]()),
    };
    await waitUntil('the reader', () => reader.text === 'Odyssey\nIliad\nERR_OFFER_REJECTED\n');
    await waitUntil('the auditor', () => auditor.text === '1 shelf\n');
    server.program.child.kill('SIGTERM');
    await waitUntil('the end', () => /session hosed: peer.goodbye/.test(reader.text));
    for (const { program } of [server, reader, auditor]) {
      program.child.kill('SIGTERM');
      const { code, stderr } = await program.end;
      // In order, with the code that stands for the signal.
      assert.equal(code, 128 + constants.signals.SIGTERM, stderr);
    }
  });
});

describe('the examples of docs/kinds.md', function () {
  this.timeout(90_000);
  const place = scratch();
  after(() => place.remove());
  const printed: Record<string, string[]> = {
    'certificate.ts': ['b7 is certified by ann and eve'],
    'workload.ts': ['every request was answered'],
    'packets.ts': ['socket closed, 1 malformed', 'sum 4'],
    'replica.ts': ['replies: 10 10 20 0 20', 'executed: 2'],
  };
  const files = new Map(
    [...read('docs/kinds.md').matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms)].map(([, name, text]) => [
      name!,
      text!,
    ]),
  );

  it('are those that are run here', () => assert.sameMembers([...files.keys()], Object.keys(printed)));

  for (const [name, lines] of Object.entries(printed))
    it(`${name} runs as it stands there, and ends by itself`, async () => {
      const project = join(place.folder, name);
      mkdirSync(join(project, 'node_modules'), { recursive: true });
      symlinkSync(root, join(project, 'node_modules', 'actor-ipc'));
      writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
      writeFileSync(join(project, name), files.get(name)!);
      using program = startProgram(
        process.execPath,
        ['--import', import.meta.resolve('tsx/esm'), join(project, name)],
        { env: { ACTOR_IPC_RUN_DIR: join(place.folder, 'run') } },
      );
      const { code, stdout, stderr } = await program.end;
      assert.equal(code, 0, stderr);
      assert.deepEqual(stdout.trim().split('\n'), lines);
    });
});

describe('the example of docs/supervision.md', function () {
  this.timeout(90_000);
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

const relayFiles = [
  ...['topology', 'login', 'door', 'tickets'].map((name) => `tier-${name}.ts`),
  ...['universe', 'b', 'feed', 'reader', 'topology-a', 'topology-b'].map((name) => `across-${name}.ts`),
  'across-a.conf',
];

describe('the example of docs/relay.md', function () {
  this.timeout(120_000);
  const place = scratch();
  after(() => place.remove());

  it('runs as it stands there: overflow is found again, and a delete reaches all', async () => {
    const project = projectOf('docs/relay.md', relayFiles, place.folder);
    const run = new Command(['run', join(project, 'tier-topology.ts')], place.env);
    const lines = [
      /login +\| the first session is there/,
      // The relay, the sibling, the relief node and the other front end.
      /login +\| its end is acknowledged by 4 nodes, 0 are missing/,
      /door +\| session-0: entry.put/,
      /door +\| session-0: entry.deleted/,
      /tickets +\| gone: session-0/,
    ];
    // Six processes, which wait for each other.
    await waitUntil('all lines', () => lines.every((line) => line.test(run.output)), 50_000);
    run.signal('SIGINT');
    assert.equal((await run.ended).code, 0);
  });
});

describe('the README', () => {
  it('leads to each page and to each example', () => {
    const readme = read('README.md');
    for (const name of readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md')))
      assert.include(readme, `(docs/${name})`);
    for (const name of readdirSync(join(root, 'examples')))
      assert.include(readme, `(examples/${name}/README.md)`);
  });
});

describe('the example of docs/hosts.md', function () {
  this.timeout(90_000);
  const place = scratch();
  after(() => place.remove());

  it('runs as it stands there, with a root for each host', async () => {
    const files = ['topology', 'store', 'page'].map((name) => `hosts-${name}.ts`);
    const project = projectOf('docs/hosts.md', files, place.folder);
    const orders = [...read('docs/hosts.md').matchAll(/^\$ npx actor-ipc (.*)$/gm)].map(([, order]) =>
      order!
        .split(' ')
        .map((word, index, words) => (words[index - 1] === '--workspace' ? join(place.folder, word) : word))
        .map((word) => (word.endsWith('.ts') ? join(project, word) : word)),
    ) as [string[], string[], string[], string[], string[]];
    const [back, front] = [new Command(orders[0], place.env), new Command(orders[1], place.env)];
    await front.sees(/page +\| has its store/);
    await front.sees(/mail +\| has its store/);
    const status = await command(orders[2], place.env);
    assert.match(status.output, /^store +back +operative/m);
    assert.match(status.output, /^page +front +operative/m);
    assert.match((await command(orders[3], place.env)).output, /^store is operative as process/m);
    assert.match((await command(orders[4], place.env)).output, /^store \| the store is open/m);
    back.process.kill('SIGKILL');
    await front.sees(/host back is silent: what its units do is unknown/);
    for (const root of [front, back]) root.signal('SIGINT');
    assert.equal((await front.ended).code, 0);
  });
});

describe('the example of sessions between machines in docs/relay.md', function () {
  this.timeout(120_000);
  const place = scratch();
  after(() => place.remove());

  it('runs as it stands there, with one tree for each machine', async () => {
    const project = projectOf('docs/relay.md', relayFiles, place.folder);
    const port = await freePort();
    for (const name of ['across-a.conf', 'across-b.ts']) {
      const file = join(project, name);
      writeFileSync(file, readFileSync(file, 'utf8').replace('7881', String(port)));
    }
    const [a, b] = ['a', 'b'].map(
      (machine) =>
        new Command(
          ['run', join(project, `across-topology-${machine}.ts`), '--workspace', join(place.folder, machine)],
          place.env,
        ),
    ) as [Command, Command];
    await waitUntil(
      'the greeting',
      () => /reader +\| good morning, reader behind a/.test(a.output),
      50_000,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${a.output}\n${b.output}`);
    });
    for (const run of [a, b]) {
      run.signal('SIGINT');
      assert.equal((await run.ended).code, 0);
    }
  });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describe('the links of the documentation', () => {
  for (const name of [
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'THIRD-PARTY.md',
    'docs/getting-started.md',
    'docs/cache.md',
    'docs/errors.md',
    'docs/sessions.md',
    'docs/broadcast.md',
    'docs/supervision.md',
    'docs/cli.md',
    'docs/inspector.md',
    'docs/memory.md',
    'docs/messages.md',
    'docs/pipes.md',
    'docs/hosts.md',
    'docs/programs.md',
    'docs/kinds.md',
    'docs/relay.md',
    'docs/reliability.md',
    'docs/scale.md',
    'docs/workspace.md',
    'examples/frames/README.md',
    'examples/market/README.md',
    'examples/quorum/README.md',
    'examples/telemetry/README.md',
    'examples/web-sessions/README.md',
  ])
    it(`${name} leads to files that exist`, () => {
      for (const [, target] of read(name).matchAll(/\]\((?!https?:|#)([^)#]+)/g))
        assert.isTrue(existsSync(join(root, name, '..', target!)), target);
    });
});

describe('the commands of docs/inspector.md', () => {
  it('are those that there are', async () => {
    const { output } = await command(['run', '--help']);
    for (const [, option] of read('docs/inspector.md').matchAll(/^\| `(--[a-z-]+)/gm))
      assert.include(output, option!);
    assert.equal((await command(['inspect', '--help'])).code, 0);
    assert.include((await command(['postmortem', '--help'])).output, '--number');
  });
});
