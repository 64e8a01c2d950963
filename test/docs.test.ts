// What is written for people must be true: the table of errors, and the example of the README, run as a user would.
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { errorCodes, IpcError } from '../src/errors.ts';
import { Command, scratch } from './cli/command.ts';

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

describe('the example of the README', function () {
  this.timeout(30_000);
  const place = scratch();
  after(() => place.remove());

  it('runs as it stands there', async () => {
    const project = join(place.folder, 'project');
    mkdirSync(join(project, 'node_modules'), { recursive: true });
    symlinkSync(root, join(project, 'node_modules', 'actor-ipc'));
    symlinkSync(join(root, 'node_modules', 'xstate'), join(project, 'node_modules', 'xstate'));
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }');
    const files = [...read('README.md').matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```/gms)];
    assert.sameMembers(
      files.map(([, name]) => name),
      ['universe.ts', 'server.ts', 'client.ts', 'topology.ts'],
    );
    for (const [, name, text] of files) writeFileSync(join(project, name!), text!);
    const run = new Command(['run', join(project, 'topology.ts')], place.env);
    await run.sees(/shout \| HELLO/);
    run.signal('SIGINT');
    assert.equal((await run.ended).code, 0);
  });
});

describe('the links of the documentation', () => {
  for (const name of [
    'README.md',
    'ARCHITECTURE.md',
    'CONTRIBUTING.md',
    'docs/sessions.md',
    'docs/supervision.md',
    'docs/cli.md',
    'docs/reliability.md',
  ])
    it(`${name} leads to files that exist`, () => {
      for (const [, target] of read(name).matchAll(/\]\((?!https?:|#)([^)#]+)/g))
        assert.isTrue(existsSync(join(root, name, '..', target!)), target);
    });
});
