// Who descends from whom, by real processes.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { takeFingerprint } from '../../src/workspace/fingerprint.ts';
import { ProcessTable } from '../../src/workspace/process-table.ts';
import { folderOfEachTest } from '../support/temporary-folder.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('the process table', () => {
  const folder = folderOfEachTest();
  const started: ChildProcess[] = [];

  /** A shell that leads a group of its own. */
  async function shell(script: string): Promise<number> {
    const child = spawn('sh', ['-c', script], { cwd: folder(), stdio: 'ignore', detached: true });
    await once(child, 'spawn');
    started.push(child);
    return child.pid!;
  }
  const pidIn = (name: string) =>
    waitUntil(name, () => {
      const file = join(folder(), name);
      return (
        existsSync(file) && readFileSync(file, 'utf8').endsWith('\n') && Number(readFileSync(file, 'utf8'))
      );
    });

  afterEach(async () => {
    for (const child of started.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) process.kill(-child.pid!, 'SIGKILL');
      else
        try {
          process.kill(-child.pid!, 'SIGKILL');
        } catch {
          // Its group is empty.
        }
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
  });

  it('knows those who were there, and those who came since the last look', async () => {
    const table = new ProcessTable();
    const pid = await shell(
      'sleep 1000 & echo $! > one; until [ -e go ]; do sleep 0.02; done; sleep 1000 & echo $! > two; wait',
    );
    const one = await pidIn('one');
    table.refresh();
    assert.include(table.below(pid), one);
    assert.notInclude(table.below(pid), pid);
    assert.includeMembers(table.below(process.pid), [pid, one]);
    await once(spawn('touch', ['go'], { cwd: folder() }), 'exit');
    const two = await pidIn('two');
    table.refresh();
    assert.includeMembers(table.below(pid), [one, two]);
  });

  it('knows those no more who have ended', async () => {
    const table = new ProcessTable();
    const pid = await shell('sleep 1000 & echo $! > one; wait $!; exec sleep 1000');
    const one = await pidIn('one');
    table.refresh();
    assert.include(table.below(pid), one);
    process.kill(one, 'SIGKILL');
    await waitUntil('its end', () => {
      table.refresh();
      return !table.below(pid).includes(one);
    });
  });

  it('finds whoever lost its parent by the group, and no longer below it', async () => {
    const table = new ProcessTable();
    const pid = await shell('(sleep 1000 & echo $! > orphan) ; exec sleep 1000');
    const orphan = await pidIn('orphan');
    await waitUntil('it to be an orphan', () => {
      table.refresh();
      return !table.below(pid).includes(orphan);
    });
    assert.include(table.below(pid, pid), orphan);
    assert.notInclude(table.below(pid, pid), pid);
  });

  it('begins anew once it has forgotten', async () => {
    const table = new ProcessTable();
    const pid = await shell('sleep 1000 & echo $! > one; wait');
    const one = await pidIn('one');
    table.refresh();
    table.forget();
    assert.deepEqual(table.below(pid), []);
    table.refresh();
    assert.deepEqual(table.below(pid), [one]);
  });

  it('makes one fingerprint of a program and all that it has started', async () => {
    const pid = await shell(
      'exec 3>mine; (exec 4>shared; sleep 1000 3>&- & sleep 1000 3>&- & wait) & echo ready > ready; wait',
    );
    await waitUntil('all files to be open', () => takeFingerprint(pid).files.length === 2);
    const found = takeFingerprint(pid);
    assert.deepEqual(
      found.files,
      [join(folder(), 'mine'), join(folder(), 'shared')],
      'what they share counts once',
    );
    assert.equal(found.cmdline[0], 'sh');
  });
});
