// Codename: two words for a process that has no alias, always the same for the same uri. The words are codenamize's, and so is
// the way to them: MD5 as a number, times a prime, modulo all pairs.
import { createHash } from 'node:crypto';
import { getParticles, parseOptions } from 'codenamize-ts';

const prime = 36_413_321_723_440_003_717n;

let words: { readonly adjectives: readonly string[]; readonly nouns: readonly string[] } | undefined;

/** `adjective-noun` for a text, one of 1,701,900; different texts may share one. */
export function codename(text: string): string {
  words ??= wordLists();
  const { adjectives, nouns } = words;
  const hash = BigInt(`0x${createHash('md5').update(text).digest('hex')}`);
  const pair = Number((hash * prime) % BigInt(adjectives.length * nouns.length));
  return `${adjectives[Math.floor(pair / nouns.length)]}-${nouns[pair % nouns.length]}`;
}

function wordLists(): NonNullable<typeof words> {
  const [nouns, adjectives] = getParticles(parseOptions({})) as [string[], string[]];
  const byLength = (a: string, b: string) => a.length - b.length;
  // One of them is "ad hoc", and a name of a file and of a process has no space.
  const plain = (list: string[]) => list.toSorted(byLength).map((word) => word.replaceAll(' ', '-'));
  return { adjectives: plain(adjectives), nouns: plain(nouns) };
}
