// A process that stands by has opened sessions with itself, and nothing of them is left.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import { rehearse } from '../../src/runtime/rehearsal.ts';

describe('a rehearsal', () => {
  const before = process.env.TMPDIR;
  const folder = mkdtempSync(join(tmpdir(), 'actor-ipc-test-'));

  beforeEach(() => {
    process.env.TMPDIR = folder;
  });
  afterEach(() => {
    if (before === undefined) delete process.env.TMPDIR;
    else process.env.TMPDIR = before;
  });
  after(() => rmSync(folder, { recursive: true }));

  it('has each of its sessions answered, and leaves no file', async () => {
    assert.equal(await rehearse(), 2);
    assert.isEmpty(readdirSync(folder));
  });

  it('is no reason to fail where there is no place for it', async () => {
    process.env.TMPDIR = join(folder, 'missing');
    assert.equal(await rehearse(), 0);
  });
});
