// A short run of each target; `npm run fuzz` has the long one.
import { assert } from 'chai';
import { fuzz } from './fuzz.ts';
import { targets } from './targets.ts';

const budgetMs = 700;
const inputsMin = 20;

describe('input at random', () => {
  for (const target of Object.keys(targets))
    it(`is refused with a word or taken for what it is, and nothing else (${target})`, async function () {
      this.timeout(120_000);
      const { inputs } = await fuzz({ target, seed: 1, inputs: 10_000, ms: budgetMs, inputsMin });
      assert.isAtLeast(inputs, inputsMin);
    });
});
