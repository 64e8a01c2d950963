import { assert } from 'chai';
import { nearest, stateMatches } from '../src/names.ts';

describe('nearest()', () => {
  it('finds the word that was meant', () => {
    assert.equal(nearest('dependOn', ['env', 'dependsOn', 'cwd']), 'dependsOn');
    assert.equal(nearest('one-for-al', ['one-for-one', 'one-for-all']), 'one-for-all');
  });

  it('proposes nothing that is far from what was written', () => {
    assert.isUndefined(nearest('colour', ['env', 'cwd']));
  });
});

describe('stateMatches()', () => {
  it('takes a state below the wanted one for the wanted one', () => {
    assert.isTrue(stateMatches('operative', 'operative'));
    assert.isTrue(stateMatches('operative.idle', 'operative'));
  });

  it('tells states apart that only begin alike', () => {
    assert.isFalse(stateMatches('operatively', 'operative'));
    assert.isFalse(stateMatches(undefined, 'operative'));
  });
});
