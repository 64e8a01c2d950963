// What a terminal shows while units write into it whatever they like.
// biome-ignore-all lint/suspicious/noControlCharactersInRegex: they are what is looked for.
import { assert } from 'chai';
import stringWidth from 'string-width';
import { fitted, gridLines } from '../../src/cli/grid.ts';
import { LiveView } from '../../src/cli/live-view.ts';
import { shownLine } from '../../src/cli/shown-line.ts';
import { Screen } from '../support/screen.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('a live view', () => {
  const rows = ['── tree', 'unit   state', 'first  up'];
  let screen: Screen;
  let view: LiveView;
  let drawn: (width: number) => readonly string[] = () => rows;

  beforeEach(() => {
    drawn = () => rows;
    screen = new Screen(40, 12);
    view = new LiveView(screen, (width) => drawn(width));
  });
  afterEach(() => view.close());

  /** What it wrote is on its way for a moment. */
  const shows = (text: string) => waitUntil(text, () => screen.raw.includes(text));

  it('keeps its rows below all that is written, and whole', async () => {
    for (let line = 1; line <= 30; line++) view.write(`line ${line}\n`);
    await shows('line 30');
    const lines = await screen.lines();
    assert.deepEqual(lines.slice(-3), rows);
    assert.deepEqual(
      lines.slice(0, -3),
      Array.from({ length: 30 }, (_, at) => `line ${at + 1}`),
    );
  });

  it('draws a frame in one piece', async () => {
    view.write('a line\n');
    await shows('a line');
    const frames = screen.raw.split('\x1b[?2026h').slice(1);
    for (const frame of frames) assert.match(frame, /\x1b\[\?2026l$/);
    assert.include(frames.at(-1), '── tree');
  });

  it('leaves nothing of its rows behind when the terminal becomes narrower or wider', async () => {
    drawn = (width) => rows.map((row) => fitted(row.padEnd(60, '.'), width - 1));
    view.write('a line\n');
    await shows('a line');
    for (const [columns, height] of [
      [20, 12],
      [13, 8],
      [60, 20],
    ] as const) {
      await screen.resize(columns, height);
      const lines = await screen.lines();
      assert.deepEqual(lines, ['a line', ...drawn(columns)], `${columns} columns`);
    }
  });

  it('shows a line that is longer than the terminal is wide, whole', async () => {
    view.write(`${'long '.repeat(20)}\n`);
    await shows('long');
    const lines = await screen.lines();
    assert.equal(lines.slice(0, -3).join('').trim(), 'long '.repeat(20).trim());
    assert.deepEqual(lines.slice(-3), rows);
  });

  it('is not disturbed by units that clear, move, rename, or go to another page', async () => {
    const hostile = [
      '\x1b[2J\x1b[Hcleared',
      '\x1b[10Amoved',
      '\x1b]0;title\x07renamed',
      '\x1b[?1049hother page',
      'over\rwritten',
      'back\b\b\b\bspace',
      '\x1bcreset',
      '\x9b2Jc1',
      '\x1b[?25hcursor',
      'bell\x07',
      '\x1b]52;c;ZXZpbA==\x1b\\clipboard',
      '\x1bP+q544e\x1b\\asked',
      '\x1b[5;10rregion',
      'half \x1b[',
      '\x1b[31mred',
      '\ttab',
    ];
    for (const line of hostile) view.write(`${shownLine(line, true)}\n`);
    await shows('red');
    const lines = await screen.lines();
    assert.deepEqual(lines, [
      'cleared',
      'moved',
      'renamed',
      'other page',
      'written',
      'backspace',
      'reset',
      'c1',
      'cursor',
      'bell',
      'clipboard',
      'asked',
      'region',
      'half ',
      'red',
      '        tab',
      ...rows,
    ]);
  });

  it('takes its rows away at its end, and the cursor is back', async () => {
    view.write('the last line\n');
    view.close();
    assert.deepEqual(await screen.lines(), ['the last line']);
    assert.match(screen.raw, /\x1b\[\?25h\x1b\[\?2026l$/);
  });
});

describe('a line that is shown', () => {
  it('keeps its colors where colors are wanted, and ends them', () => {
    assert.equal(shownLine('\x1b[1;31mred', true), '\x1b[1;31mred\x1b[0m');
    assert.equal(shownLine('\x1b[1;31mred', false), 'red');
  });

  it('is left as it is if there is nothing in it but text', () => {
    assert.equal(shownLine('日本語 [31m é 👩‍👩‍👧 … ok', true), '日本語 [31m é 👩‍👩‍👧 … ok');
  });
});

describe('a grid', () => {
  const columns = [
    { head: 'name', cut: true as const },
    { head: 'n', align: 'right' as const, drop: 1 },
    { head: 'words', drop: 2 },
  ];
  const cells = [
    ['short', '1', 'some words'],
    ['日本語の名前', '22', ''],
    ['\x1b[32mgreen name\x1b[39m', '333', 'more'],
  ];

  it('is as wide as it must be, with its columns below each other', () => {
    assert.deepEqual(
      gridLines(columns, cells).map((line) => line.replace(/\x1b\[\d+m/g, '')),
      [
        'name            n  words',
        'short           1  some words',
        '日本語の名前   22',
        'green name    333  more',
      ],
    );
  });

  for (const width of [40, 30, 20, 15, 8, 3, 1])
    it(`fits into ${width} columns, also with wide characters and colors`, () => {
      for (const line of gridLines(columns, cells, width)) assert.isAtMost(stringWidth(line), width, line);
    });

  it('leaves out the least important column first', () => {
    assert.equal(gridLines(columns, cells, 20)[0], 'name            n');
    assert.equal(gridLines(columns, cells, 14)[0], 'name');
  });
});
