// Names of apps, units, channels and states; the addresses of actors; and the nearest word to a misspelt one.

/** A letter, then letters, digits, `_` and `-`; at most 64 characters. Names of apps, units, channels and requests. */
const namePattern = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;

export const nameRule = 'a name starts with a letter and has at most 64 letters, digits, "_" or "-"';

export function isName(text: string): boolean {
  return namePattern.test(text);
}

/** A named application state: names joined by dots, as in `operative.idle`. */
export function isStatePath(text: string): boolean {
  return text.length <= 256 && text.split('.').every(isName);
}

/** What a person may call a process: words of letters, digits, `_` and `-`, joined by dots. It is part of file names. */
export function isAlias(text: string): boolean {
  return text.length <= 100 && /^[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$/.test(text);
}

export const aliasRule = 'an alias has at most 100 letters, digits, "_" or "-", and dots between them';

/** Whether a reported state satisfies a wanted one: `operative` is satisfied by `operative` and by `operative.idle`. */
export function stateMatches(reported: string | undefined, wanted: string): boolean {
  return reported !== undefined && (reported === wanted || reported.startsWith(`${wanted}.`));
}

/** Where an actor lives in its process's tree: names joined by `/`, `#` and a number for one of several. */
export type Address = string & { readonly [addressBrand]: never };
declare const addressBrand: unique symbol;

export function addressOf(...parts: (string | number)[]): Address {
  return parts.join('/') as Address;
}

/** The known word nearest to `word`, if it is near enough to be what was meant. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(2, Math.floor(word.length / 3)) + 1;
  for (const candidate of known) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    // Words without a letter in common are not alike, however short they are.
    if (distance < bestDistance && distance < Math.max(word.length, candidate.length)) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. */
function editDistance(from: string, to: string): number {
  let before: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, i) => i);
  for (let i = 1; i <= from.length; i++) {
    const row = [i];
    for (let j = 1; j <= to.length; j++) {
      const replace = last[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      let cost = Math.min(replace, last[j]! + 1, row[j - 1]! + 1);
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1])
        cost = Math.min(cost, before[j - 2]! + 1);
      row.push(cost);
    }
    before = last;
    last = row;
  }
  return last[to.length]!;
}
