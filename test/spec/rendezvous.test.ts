import { assert } from 'chai';
import { isKeyHash, ownersOf } from '../../src/spec/rendezvous.ts';
import { keyHasher } from '../../src/transport/placement-hash.ts';

const nodes = ['aging-1', 'aging-2', 'aging-3', 'aging-4'];

describe('rendezvous hashing', () => {
  let hashes: string[];
  before(async () => {
    const hasher = await keyHasher(9849381n);
    hashes = Array.from({ length: 4_000 }, (_, i) => hasher(`session-${i}`));
  });

  it('gives each node about the same share', () => {
    for (const node of nodes) {
      const share = hashes.filter((hash) => ownersOf(hash, nodes)[0] === node).length;
      assert.isTrue(share > 850 && share < 1_150, `${node} has ${share} of 4000`);
    }
  });

  it('does not depend on the order in which the nodes are known', () => {
    for (const hash of hashes.slice(0, 100))
      assert.deepEqual(ownersOf(hash, [...nodes].reverse()), ownersOf(hash, nodes));
  });

  it('moves only the keys of a node that goes, and spreads them over all others', () => {
    const left = nodes.slice(1);
    const moved: Record<string, number> = {};
    for (const hash of hashes) {
      const [before] = ownersOf(hash, nodes);
      const [now] = ownersOf(hash, left);
      if (before === nodes[0]) moved[now!] = (moved[now!] ?? 0) + 1;
      else assert.equal(now, before);
    }
    for (const node of left) assert.isAbove(moved[node] ?? 0, 200);
  });

  it('has nobody where nobody is', () => assert.deepEqual(ownersOf(hashes[0]!, []), []));

  it('takes 16 hex digits, and nothing else, for a hash', () => {
    for (const hash of hashes.slice(0, 100)) assert.isTrue(isKeyHash(hash), hash);
    for (const other of ['', '12', 'x'.repeat(16), 7, null, 'A'.repeat(16)]) assert.isFalse(isKeyHash(other));
  });

  it('hashes as XXH64 does, by the seed', async () => {
    assert.equal((await keyHasher(0n))(''), 'ef46db3751d8e999');
    assert.notEqual((await keyHasher(1n))('k'), (await keyHasher(2n))('k'));
  });
});
