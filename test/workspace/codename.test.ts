import { assert } from 'chai';
import { isName } from '../../src/names.ts';
import { codename } from '../../src/workspace/codename.ts';

describe('codename()', () => {
  // Computed by the library that the names come from.
  for (const [text, name] of [
    ['1', 'familiar-grand'],
    ['2', 'little-tip'],
    ['100001', 'racial-community'],
    ['session://supervisor', 'charming-soft'],
    ['ib://localhost:9090/master-trader?account=0&tws=master.tws', 'stereotyped-wave'],
    ['ib://localhost/sync?uid=master&account=0&tws=master.tws', 'cuddly-sister'],
  ] as const)
    it(`names ${text} ${name}`, () => assert.equal(codename(text), name));

  it('gives names alone that a process may have, also by the one adjective of two words', () => {
    const names = Array.from({ length: 20_000 }, (_, n) => codename(`${n}`));
    assert.deepEqual(
      names.filter((name) => !isName(name)),
      [],
    );
    assert.isNotEmpty(names.filter((name) => name.startsWith('ad-hoc-')));
  });
});
