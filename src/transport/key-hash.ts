// Key hash: XXH32 of the bytes of a key, as in cpp/shm/key_hash.h.

const prime1 = 0x9e3779b1 | 0;
const prime2 = 0x85ebca77 | 0;
const prime3 = 0xc2b2ae3d | 0;
const prime4 = 0x27d4eb2f;
const prime5 = 0x165667b1;

/**
 * The hash of `count` bytes. `words` and `bytes` are views of the same memory, which begins with the key at word `firstWord`.
 * @returns 32 bits, unsigned.
 */
export function keyHash(
  words: Int32Array,
  bytes: Uint8Array,
  firstWord: number,
  count: number,
  seed: number,
): number {
  let word = firstWord;
  const wordEnd = firstWord + (count >>> 2);
  let hash = (seed + prime5) | 0;
  if (count >= 16) {
    let one = (seed + prime1 + prime2) | 0;
    let two = (seed + prime2) | 0;
    let three = seed | 0;
    let four = (seed - prime1) | 0;
    for (const end = firstWord + ((count >>> 4) << 2); word < end; word += 4) {
      one = round(one, words[word]!);
      two = round(two, words[word + 1]!);
      three = round(three, words[word + 2]!);
      four = round(four, words[word + 3]!);
    }
    hash =
      (((one << 1) | (one >>> 31)) +
        ((two << 7) | (two >>> 25)) +
        ((three << 12) | (three >>> 20)) +
        ((four << 18) | (four >>> 14))) |
      0;
  }
  hash = (hash + count) | 0;
  for (; word < wordEnd; word++) {
    hash = (hash + Math.imul(words[word]!, prime3)) | 0;
    hash = Math.imul((hash << 17) | (hash >>> 15), prime4);
  }
  for (let at = wordEnd << 2, end = (firstWord << 2) + count; at < end; at++) {
    hash = (hash + Math.imul(bytes[at]!, prime5)) | 0;
    hash = Math.imul((hash << 11) | (hash >>> 21), prime1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), prime2);
  hash = Math.imul(hash ^ (hash >>> 13), prime3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function round(lane: number, word: number): number {
  const sum = (lane + Math.imul(word, prime2)) | 0;
  return Math.imul((sum << 13) | (sum >>> 19), prime1);
}

/** The same for a text, for whoever has no bytes at hand. */
export function textHash(text: string, seed: number): number {
  const key = Buffer.from(text);
  const memory = new ArrayBuffer((key.length + 3) & ~3);
  const bytes = new Uint8Array(memory);
  bytes.set(key);
  return keyHash(new Int32Array(memory), bytes, 0, key.length, seed);
}
