// `run` on a machine where nothing can run: each reason is told with its remedy.
import { cpSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { cppBuildTimeoutMs, cppTarget } from '../support/cpp-target.ts';
import { startProgram } from '../support/fixture.ts';
import { processesWith, scratch, telemetry } from './command.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const main = join('dist', 'cli', 'main.js');

describe('actor-ipc run where nothing can run', () => {
  const place = scratch();
  let deny: string;
  before(function () {
    this.timeout(cppBuildTimeoutMs);
    deny = cppTarget('actor_ipc_deny_syscall');
  });
  after(() => place.remove());

  async function refused(command: string, args: string[], remedy: RegExp): Promise<void> {
    using program = startProgram(command, [...args, 'run', telemetry, '--workspace', place.workspace], {
      env: place.env,
    });
    const { code, stdout, stderr } = await program.end;
    assert.equal(code, 2, stdout + stderr);
    assert.match(stderr, remedy);
    assert.isEmpty(processesWith(place.folder));
  }

  it('names what is missing of the kernel: no memfd', async () => {
    await refused(
      deny,
      ['memfd_create', process.execPath, join(root, main)],
      /this kernel does not offer memfd .*Linux 5\.6 or later/,
    );
  });

  it('names what is missing of the kernel: no pidfd', async () => {
    await refused(
      deny,
      ['pidfd_open', process.execPath, join(root, main)],
      /this kernel does not offer pidfd .*Linux 5\.6 or later/,
    );
  });

  it('says how to build the addon when there is none', async () => {
    const elsewhere = join(place.folder, 'unbuilt');
    for (const each of ['dist', 'package.json'])
      cpSync(join(root, each), join(elsewhere, each), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(elsewhere, 'node_modules'));
    await refused(
      process.execPath,
      [join(elsewhere, main)],
      /the native addon could not be loaded from .*unbuilt.*; build it with/,
    );
  });
});
