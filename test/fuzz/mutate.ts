// Mutations of bytes: what a broken or hostile peer makes of honest ones.
import type { Random } from '../support/random.ts';

const bytesMax = 4096;
/** Heads of msgpack's arrays, maps, texts, binaries and extensions, and the ends of what a byte can be. */
const bytes = [
  0x00, 0x01, 0x72, 0x7f, 0x80, 0x8f, 0x9f, 0xbf, 0xc1, 0xc6, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd8, 0xdb,
  0xdd, 0xdf, 0xff,
];
const words = [0, 1, 7, 8, 0x7fffffff, 0x80000000, 0xfffffff8, 0xffffffff, 0x10000, 0x1000000];

export function mutate(random: Random, corpus: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const pick = () => corpus[random.below(corpus.length)]!;
  let mutant = Uint8Array.from(pick());
  // Some come as they are, so that what lies behind the first check is met too.
  for (let left = random.below(5); left > 0; left--) mutant = change(random, mutant, pick());
  return mutant.length > bytesMax ? mutant.slice(0, bytesMax) : mutant;
}

/** What has a meaning in some language of ours. */
const tokens = [
  ...[
    '{',
    '}',
    '[',
    ']',
    '"',
    "'",
    '`',
    ',',
    ':',
    ': ',
    '\n',
    '\n  ',
    '\t',
    '\0',
    '\u2028',
    'ä',
    '\u{1f600}',
    '\ud800',
  ],
  ...[
    'null',
    'true',
    '-1',
    '1e999',
    '0x10',
    '9007199254740993',
    'NaN',
    '""',
    '{}',
    '[]',
    '__proto__',
    'constructor',
  ],
  ...[
    '&a ',
    '*a',
    '<<: *a',
    '!!binary x',
    '!!js/function x',
    '---\n',
    '# ',
    '//',
    '/*',
    '| ',
    '? ',
    '../',
    '/',
    '%',
    '%00',
  ],
  ...[
    '(',
    ')',
    '&&',
    '||',
    '!',
    '.',
    '..',
    ' in ',
    '+',
    '*',
    '(a+)+$',
    '.exists(x, ',
    '@',
    '#',
    '?',
    '=',
    '&',
    '$',
    '$'.concat('{X}'),
  ],
];

/** The same for texts: of half of them, tokens are put in, taken out or doubled. */
export function mutateText(random: Random, corpus: readonly string[]): string {
  if (random.below(2) === 0)
    return Buffer.from(
      mutate(
        random,
        corpus.map((text) => Uint8Array.from(Buffer.from(text))),
      ),
    ).toString();
  let text = corpus[random.below(corpus.length)]!;
  for (let left = random.below(6); left > 0; left--) {
    const at = random.below(text.length + 1);
    const token = tokens[random.below(tokens.length)]!;
    const gone = random.below(3) === 0 ? random.below(12) : 0;
    const times = random.below(12) === 0 ? 1 + random.below(600) : 1;
    text = text.slice(0, at) + token.repeat(times) + text.slice(at + gone);
  }
  return text;
}

function change(random: Random, from: Uint8Array<ArrayBuffer>, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const at = from.length === 0 ? 0 : random.below(from.length);
  const count = 1 + random.below(8);
  switch (random.below(8)) {
    case 0:
      if (from.length > 0) from[at]! ^= 1 << random.below(8);
      return from;
    case 1:
      if (from.length > 0) from[at] = bytes[random.below(bytes.length)]!;
      return from;
    case 2:
      if (at + 4 <= from.length)
        new DataView(from.buffer).setUint32(at, words[random.below(words.length)]!, random.below(2) === 0);
      return from;
    case 3:
      return from.slice(0, at);
    case 4:
      return joined(from.subarray(0, at), from.subarray(Math.min(from.length, at + count)));
    case 5:
      return joined(from.subarray(0, at), random.bytes(count), from.subarray(at));
    case 6:
      return joined(from.subarray(0, at), from.subarray(at, at + count * 16), from.subarray(at));
    default:
      return joined(from.subarray(0, at), other.subarray(random.below(other.length + 1)));
  }
}

function joined(...parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(Buffer.concat(parts));
}
