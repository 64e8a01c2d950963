// What the lanes take for granted of Atomics on memory that two processes share, and the proof that the tests would notice.
import { availableParallelism } from 'node:os';
import { assert } from 'chai';
import { native } from '../../src/transport/native.ts';
import type { LitmusResult } from '../fixtures/transport/litmus.ts';
import { startFixture } from '../support/fixture.ts';

/** Above what a test takes on a busy machine; the fixture gives up by itself. */
const watchdogMs = 90_000;
const rounds = 500_000;
/** A test that sees nothing ends after this, if the rounds take so long. */
const budgetMs = 3000;
const roundsMin = 1000;
const controlRounds = 10_000_000;

async function litmus(test: string, roundsMax: number, budget: number): Promise<LitmusResult> {
  const { socketPair, closeFd } = native();
  const [one, other] = socketPair();
  const args = [String(roundsMax), String(budget)];
  using left = startFixture('transport/litmus.ts', [test, 'left', ...args], { fds: [one] });
  using right = startFixture('transport/litmus.ts', [test, 'right', ...args], { fds: [other] });
  closeFd(one);
  closeFd(other);
  const ends = await Promise.all([left.end, right.end]);
  for (const { code, stderr } of ends) assert.equal(code, 0, stderr);
  const [leftResult, rightResult] = ends.map(({ stdout }) => JSON.parse(stdout) as LitmusResult);
  assert.deepEqual(leftResult, rightResult, 'the two sides saw different things');
  return leftResult!;
}

// On one processor the two sides never run at the same time, so that the controls could never fail.
const parallel = availableParallelism() > 1;
const test = parallel ? it : it.skip;
const why = parallel ? '' : ' (skipped: it takes two processors)';

describe('memory order between two processes', function () {
  this.timeout(watchdogMs);

  test(`shows a payload to whoever has seen the flag that Atomics.store set after it${why}`, async () => {
    const result = await litmus('message-passing', rounds, budgetMs);
    assert.equal(result.seen, 0, `after ${result.rounds} rounds`);
    assert.isAtLeast(result.rounds, roundsMin);
  });

  test(`shows a flag without its payload if the flag is stored first, so the test would notice${why}`, async () => {
    const result = await litmus('message-passing-flag-first', controlRounds, watchdogMs);
    assert.equal(result.seen, 1, `after ${result.rounds} rounds`);
  });

  test(`never lets both sides miss what the other has stored by Atomics.store${why}`, async () => {
    const result = await litmus('store-buffering', rounds, budgetMs);
    assert.equal(result.seen, 0, `after ${result.rounds} rounds`);
    assert.isAtLeast(result.rounds, roundsMin);
  });

  test(`lets both sides miss it with plain stores, so the test would notice${why}`, async () => {
    const result = await litmus('store-buffering-plain', controlRounds, watchdogMs);
    assert.equal(result.seen, 1, `after ${result.rounds} rounds`);
  });
});
