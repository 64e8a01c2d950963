// Rendezvous: which nodes own a key, so that all who know the same nodes agree without asking. Each node has a score for each
// key; the greatest ones own it. When a node goes, only its own keys move, and they spread over all others.

/** 16 hex digits: the XXH64 of a key. It travels pure, whatever size the tables have that it is looked up in. */
const hashPattern = /^[0-9a-f]{16}$/;

export function isKeyHash(text: unknown): text is string {
  return typeof text === 'string' && hashPattern.test(text);
}

/** The nodes in the order in which they own the key with that hash. REQUIRES: isKeyHash(hash). */
export function ownersOf(hash: string, nodes: readonly string[]): string[] {
  const high = Number.parseInt(hash.slice(0, 8), 16);
  const low = Number.parseInt(hash.slice(8), 16);
  return nodes
    .map((node) => ({ node, score: scoreOf(high, low, node) }))
    .sort((one, other) => other.score - one.score || (one.node < other.node ? -1 : 1))
    .map(({ node }) => node);
}

/** A number below 2^53 that nobody can tell from chance. */
function scoreOf(high: number, low: number, node: string): number {
  let one = 0x811c9dc5;
  let other = 0x9747b28c;
  for (let i = 0; i < node.length; i++) {
    one = Math.imul(one ^ node.charCodeAt(i), 0x01000193);
    other = Math.imul(other ^ node.charCodeAt(i), 0x85ebca6b) + 0x27d4eb2f;
  }
  const upper = mix(mix(one ^ high) + low);
  const lower = mix(mix(other ^ low) + high);
  return (upper >>> 11) * 2 ** 32 + lower;
}

/** Each bit of the result depends on each of the input (murmur's finalizer). */
function mix(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
