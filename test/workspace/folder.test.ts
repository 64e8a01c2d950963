import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { makeFolder } from '../../src/workspace/folder.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

describe('makeFolder()', () => {
  it('makes all that lead to it, for the owner alone', () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'a', 'b', 'c');
    makeFolder(path);
    for (const each of [path, join(path, '..')]) assert.equal(statSync(each).mode & 0o777, 0o700);
  });

  it('leaves a folder as it is that is there', () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, 'kept'), '');
    makeFolder(folder.path);
    assert.isTrue(statSync(join(folder.path, 'kept')).isFile());
  });

  it('throws what the system says below a file, and where nothing can be made', () => {
    using folder = temporaryFolder();
    const file = join(folder.path, 'file');
    writeFileSync(file, '');
    assert.throws(() => makeFolder(file), /EEXIST/);
    assert.throws(() => makeFolder(join(file, 'below')), /ENOTDIR/);
    assert.throws(() => makeFolder('/proc/none/below'), /ENOENT/);
  });
});
