import { mkdirSync, readFileSync, readlinkSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert, expect } from 'chai';
import { IpcError } from '../../src/errors.ts';
import { ProcessFiles } from '../../src/workspace/process-file.ts';
import {
  addDependence,
  parseParent,
  readSessionFile,
  removeDependence,
} from '../../src/workspace/session-file.ts';
import { StateFingerprints } from '../../src/workspace/state-fingerprints.ts';
import { readYaml, updateYaml } from '../../src/workspace/yaml-file.ts';
import { folderOfEachTest } from '../support/temporary-folder.ts';

describe('YAML files of a workspace', () => {
  const folder = folderOfEachTest();
  const path = () => join(folder(), 'a.yaml');

  it('keep comments, order and what we do not know', () => {
    writeFileSync(path(), '# mine\nzebra: 1 # keep\nrestart: 0\n\n# below\nown: { x: [ 1, 2 ] }\n');
    assert.isTrue(updateYaml(path(), { restart: 1, alias: 'm' }));
    assert.equal(
      readFileSync(path(), 'utf8'),
      '# mine\nzebra: 1 # keep\nrestart: 1\n\n# below\nown: { x: [ 1, 2 ] }\nalias: m\n',
    );
  });

  it('are not touched when nothing changes', () => {
    writeFileSync(path(), 'restart:   1 # spaces\n');
    const { ino } = statSync(path());
    assert.isFalse(updateYaml(path(), { restart: 1 }));
    assert.equal(statSync(path()).ino, ino);
  });

  it('lose a key that is set to undefined', () => {
    writeFileSync(path(), 'a: 1\nb: 2\n');
    updateYaml(path(), { a: undefined });
    assert.equal(readFileSync(path(), 'utf8'), 'b: 2\n');
  });

  it('belong to their owner alone', () => {
    updateYaml(join(folder(), 'new.yaml'), { a: 1 });
    assert.equal(statSync(join(folder(), 'new.yaml')).mode & 0o777, 0o600);
  });

  const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]', 'b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]'];
  for (let i = 0; i < 8; i++)
    bomb.push(
      `c${i}: &c${i} [${Array(9)
        .fill(i === 0 ? '*b' : `*c${i - 1}`)
        .join(', ')}]`,
    );
  for (const [what, text, why] of [
    ['half a file', 'a: [1, 2', "can't be used"],
    ['a list', '- 1\n- 2\n', 'no map'],
    ['a text', 'hello', 'no map'],
    ['a key that comes twice', 'a: 1\na: 2\n', 'unique'],
    ['aliases that grow', `${bomb.join('\n')}\n`, 'alias'],
    ['a huge file', `a: ${'x'.repeat(2_000_000)}`, 'bytes'],
    ['a tag that would make an object', 'a: !!js/function "function () {}"', ''],
  ] as const)
    it(`of foreign content are refused: ${what}`, () => {
      writeFileSync(path(), text);
      if (why === '') assert.isString(readYaml(path())?.a);
      else
        expect(() => readYaml(path()))
          .to.throw(IpcError, why)
          .with.property('code', 'ERR_WORKSPACE_FILE');
    });

  it('are not followed out of their folder', () => {
    writeFileSync(join(folder(), 'secret.txt'), 'a: 1\n');
    mkdirSync(join(folder(), 'etc'), { recursive: true });
    const link = join(folder(), 'etc', 'link.yaml');
    symlinkSync('../secret.txt', link);
    assert.throws(() => readYaml(link), IpcError, 'somewhere else');
    assert.throws(() => updateYaml(link, { a: 2 }), IpcError, 'somewhere else');
  });

  it('are no folders and no links to nothing', () => {
    mkdirSync(join(folder(), 'dir.yaml'));
    assert.throws(() => readYaml(join(folder(), 'dir.yaml')), IpcError, 'no regular file');
    symlinkSync('nothing', join(folder(), 'dangling.yaml'));
    assert.throws(() => readYaml(join(folder(), 'dangling.yaml')), IpcError, 'ENOENT');
  });
});

describe('process files', () => {
  const folder = folderOfEachTest();
  const files = () => new ProcessFiles(folder());

  it('are found by name and by alias', () => {
    files().update('calm-sea', { alias: 'master.tws', uri: 'exec://h/p', restart: true });
    files().link('calm-sea', 'master.tws');
    assert.equal(readlinkSync(join(folder(), 'master.tws.yaml')), 'calm-sea.yaml');
    assert.deepEqual(files().read('master.tws'), files().read('calm-sea'));
    assert.deepInclude(files().read('calm-sea'), { alias: 'master.tws', restart: true, shutdown: false });
    assert.deepEqual(files().names(), ['calm-sea']);
  });

  it('keep what a person has changed', () => {
    files().update('n', { uri: 'exec://h/p', restart: true });
    writeFileSync(join(folder(), 'n.yaml'), 'name: n\nuri: exec://h/p\nrestart: 0 # for today\nnice: 5\n');
    files().update('n', { shutdown: true });
    assert.match(readFileSync(join(folder(), 'n.yaml'), 'utf8'), /restart: 0 # for today\nnice: 5/);
    assert.isFalse(files().read('n')?.restart);
  });

  it('name the key that is wrong', () => {
    writeFileSync(join(folder(), 'n.yaml'), 'name: n\nuri: exec://h/p\nrestart: often\n');
    assert.throws(() => files().read('n'), IpcError, 'restart');
  });

  it('keep secrets in a file of their own', () => {
    files().update('n', { uri: 'exec://h/p?password=***' });
    files().setSecrets('n', { password: 'geheim' });
    assert.notInclude(readFileSync(join(folder(), 'n.yaml'), 'utf8'), 'geheim');
    assert.equal(statSync(join(folder(), 'n.secret.yaml')).mode & 0o777, 0o600);
    assert.deepEqual(files().secrets('n'), { password: 'geheim' });
    assert.deepEqual(files().names(), ['n']);
    files().remove('n');
    assert.deepEqual(files().secrets('n'), {});
    assert.isUndefined(files().read('n'));
  });

  it('let no alias replace the file of another process', () => {
    files().update('n', { uri: 'exec://h/p' });
    files().update('m', { uri: 'exec://h/q' });
    assert.throws(() => files().link('m', 'n'), IpcError, 'another process');
  });
});

describe('the session file', () => {
  const folder = folderOfEachTest();
  const path = () => join(folder(), 'session.yaml');

  it('adds and removes dependences', () => {
    assert.isTrue(addDependence(path(), 'm:operative', 't'));
    assert.isFalse(addDependence(path(), 'm:operative', 't'));
    assert.isTrue(addDependence(path(), 's', 't'));
    assert.deepEqual(readSessionFile(path()).dependences, { t: ['m:operative', 's'] });
    assert.equal(removeDependence(path(), 'm:running', 't'), 0);
    assert.equal(removeDependence(path(), 'm', 't'), 1);
    assert.equal(removeDependence(path(), 's', 't'), 1);
    assert.deepEqual(readSessionFile(path()).dependences, {});
  });

  it('keeps its other keys and comments', () => {
    writeFileSync(path(), '# ours\nschemes: { ib: { node: ./trader.ts } } # the broker\n');
    addDependence(path(), 'm', 't');
    assert.match(
      readFileSync(path(), 'utf8'),
      /^# ours\nschemes: \{ ib: \{ node: \.\/trader\.ts \} \} # the broker\n/,
    );
    assert.deepEqual(readSessionFile(path()).schemes, { ib: { node: './trader.ts' } });
  });

  it('names the key that is wrong', () => {
    writeFileSync(path(), 'dependences: { t: m }\n');
    assert.throws(() => readSessionFile(path()), IpcError, 'dependences.t');
  });

  it('reads a parent with and without a state', () => {
    assert.deepEqual(parseParent('master.tws:operative'), { alias: 'master.tws', state: 'operative' });
    assert.deepEqual(parseParent('master.tws'), { alias: 'master.tws', state: undefined });
  });
});

describe('state fingerprints', () => {
  const folder = folderOfEachTest();
  const fingerprint = {
    cmdline: ['tws'],
    listen: ['0.0.0.0:1'],
    established: [],
    udp: [],
    files: ['/a', '/b'],
  };

  it('recognise the state that a process looks like', () => {
    const known = new StateFingerprints(folder());
    known.save('n', { ...fingerprint, listen: [] }, 'starting');
    known.save('n', fingerprint, 'operative.idle');
    known.save('n', fingerprint);
    known.save('nn', { ...fingerprint, cmdline: ['x'] }, 'operative');
    assert.deepEqual([...known.of('n').keys()].sort(), ['operative.idle', 'starting']);
    assert.equal(known.recognise('n', fingerprint), 'operative.idle');
    assert.isUndefined(known.recognise('n', { ...fingerprint, files: [], listen: ['0.0.0.0:2'] }));
    known.remove('n');
    assert.isEmpty(known.of('n'));
    assert.equal(known.of('nn').size, 1);
  });

  it('say which file is none', () => {
    const known = new StateFingerprints(folder());
    writeFileSync(join(folder(), 'n.operative.fp'), 'cmdline: 1\n');
    assert.throws(() => known.of('n'), IpcError, 'n.operative.fp');
  });
});
