import { assert } from 'chai';
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
});
