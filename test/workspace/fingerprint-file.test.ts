// Files of fingerprints, which anybody may have written.
import { mkdirSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import fc from 'fast-check';
import { IpcError } from '../../src/errors.ts';
import { type Fingerprint, fingerprintKeys } from '../../src/spec/fingerprint.ts';
import { FingerprintFile, readFingerprint, writeFingerprint } from '../../src/workspace/fingerprint-file.ts';
import { folderOfEachTest } from '../support/temporary-folder.ts';
import { fingerprintWith } from '../support/watched.ts';

describe('a fingerprint file', () => {
  const folder = folderOfEachTest();
  const at = () => join(folder(), 'tws.open.fp');

  /** What it is, or the error that is told. */
  function read(content: string | Uint8Array): Fingerprint | IpcError {
    writeFileSync(at(), content);
    try {
      return readFingerprint(at());
    } catch (error) {
      assert.instanceOf(error, IpcError);
      assert.equal((error as IpcError).code, 'ERR_WORKSPACE_FILE');
      return error as IpcError;
    }
  }

  const texts = fc.array(fc.string({ unit: 'grapheme', maxLength: 20 }), { maxLength: 5 });
  const fingerprint = fc.record({
    cmdline: texts,
    listen: texts,
    established: texts,
    udp: texts,
    files: texts,
  });

  it('gives back what was saved, whatever a command line holds', () => {
    fc.assert(
      fc.property(fingerprint, (saved) => {
        writeFingerprint(at(), saved);
        assert.deepEqual(readFingerprint(at()), saved);
      }),
      { numRuns: 100 },
    );
  });

  it('of any bytes is a fingerprint, or an error that names the file', () => {
    const lines = fc.array(
      fc.oneof(
        fc
          .tuple(
            fc.constantFrom(...fingerprintKeys, 'more', '? ', '&a', '*a', '<<'),
            fc.string({ maxLength: 10 }),
          )
          .map(([key, value]) => `${key}: ${value}`),
        fc.constantFrom('- x', '  - x', '---', '...', '!!js/function x', '{', '[', '\t', '"', '|', '%YAML 9'),
        fc.string({ maxLength: 12 }),
      ),
      { maxLength: 12 },
    );
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      lines.map((all) => all.join('\n')),
    );
    fc.assert(
      fc.property(content, (bytes) => {
        const found = read(bytes);
        if (found instanceof IpcError) return assert.include(found.message, at());
        assert.sameMembers(Object.keys(found), [...fingerprintKeys]);
        for (const key of fingerprintKeys) for (const entry of found[key]) assert.isString(entry);
      }),
      { numRuns: 300 },
    );
  });

  const keys = 'listen: []\nestablished: []\nudp: []\nfiles: []\n';
  for (const [what, content, says] of [
    ['a key that is missing', keys, /cmdline is no list of texts/],
    ['a text where a list belongs', `cmdline: tws\n${keys}`, /cmdline is no list of texts/],
    ['a number in a list', `cmdline: [7]\n${keys}`, /cmdline\.0 is no list of texts/],
    [
      'aliases that grow',
      `cmdline: &a [x]\n${'b: [*a, *a, *a, *a, *a, *a, *a]\n'.repeat(1)}${keys}`,
      undefined,
    ],
    ['nothing', '', /cmdline is no list of texts/],
  ] as const)
    it(`is refused for ${what}`, () => {
      const found = read(content);
      if (says) assert.match((found as IpcError).message, says);
      else assert.deepEqual(found, fingerprintWith({ cmdline: ['x'] }));
    });

  it('is no folder, no link to elsewhere and no huge file', () => {
    mkdirSync(join(folder(), 'folder.fp'));
    symlinkSync('/etc/passwd', join(folder(), 'link.fp'));
    writeFileSync(join(folder(), 'huge.fp'), `cmdline: [${'x, '.repeat(400_000)}x]`);
    for (const name of ['folder.fp', 'link.fp', 'huge.fp', 'none.fp'])
      assert.throws(() => readFingerprint(join(folder(), name)), IpcError, name);
  });

  it('is read again only when it has changed', () => {
    const file = new FingerprintFile(at());
    assert.instanceOf(file.read(), IpcError);
    writeFingerprint(at(), fingerprintWith({ cmdline: ['a'] }));
    const first = file.read();
    assert.deepEqual(first, fingerprintWith({ cmdline: ['a'] }));
    assert.strictEqual(file.read(), first);
    utimesSync(at(), 1, 1);
    assert.notStrictEqual(file.read(), first);
    rmSync(at());
    assert.instanceOf(file.read(), IpcError);
  });
});
