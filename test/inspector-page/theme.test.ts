// The page's colours: whether text can be read on what it stands on, and both ways to be dark are the same.
import { readFileSync } from 'node:fs';
import { assert } from 'chai';

const css = readFileSync(new URL('../../inspector-page/src/style/theme.css', import.meta.url), 'utf8');
type Theme = ReadonlyMap<string, string>;

/** The colours of each block of rules, in the order of the file. */
const [light, darkBySystem, darkByChoice] = [...css.matchAll(/:root[^{]*\{([^}]*)\}/g)].map(
  ([, rules]): Theme =>
    new Map([...rules!.matchAll(/--([\w-]+): (#[\da-f]{6});/g)].map(([, name, colour]) => [name!, colour!])),
);

/** As WCAG 2 has it. */
function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
}

function contrast(theme: Theme, one: string, other: string): number {
  const [darker, brighter] = [one, other].map((name) => luminance(theme.get(name)!)).sort((a, b) => a - b);
  return (brighter! + 0.05) / (darker! + 0.05);
}

/** What is written, and on what. */
const written: readonly [texts: readonly string[], grounds: readonly string[]][] = [
  [
    ['text', 'muted', 'good', 'busy', 'bad', 'accent', 'done', 'taken'],
    ['pane', 'raised', 'hover', 'accent-soft'],
  ],
  [['faint'], ['pane', 'raised', 'hover']],
  [['busy'], ['busy-soft']],
  [['bad'], ['bad-soft']],
  [['accent-text'], ['accent', 'bad']],
  [
    ['text', 'muted'],
    ['page', 'bad-soft'],
  ],
];

describe('the colours of the page', () => {
  for (const [name, theme] of [
    ['light', light!],
    ['dark', darkBySystem!],
  ] as const)
    it(`can be read where it is ${name}: at least 4.5 to 1`, () => {
      for (const [texts, grounds] of written)
        for (const text of texts)
          for (const ground of grounds)
            assert.isAtLeast(contrast(theme, text, ground), 4.5, `${text} on ${ground}`);
    });

  it('are as dark by the reader’s choice as by that of the system', () => {
    assert.deepEqual([...darkByChoice!], [...darkBySystem!]);
    assert.sameMembers([...darkBySystem!.keys()], [...light!.keys()]);
  });
});
