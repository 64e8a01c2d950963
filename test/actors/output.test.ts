import { PassThrough } from 'node:stream';
import { assert } from 'chai';
import { FloodLimit, readLines } from '../../src/actors/output.ts';

/** What becomes of portions of output, with so many bytes per second; `#n` stands for n lines that were dropped. */
async function linesOf(
  portions: readonly string[],
  bytesPerSecond = 1e9,
): Promise<{ kept: string[]; heard: number }> {
  const stream = new PassThrough();
  const kept: string[] = [];
  let heard = 0;
  let nowMs = 0;
  readLines(
    stream,
    new FloodLimit(bytesPerSecond, () => nowMs),
    (lines, dropped) => kept.push(...lines, ...(dropped > 0 ? [`#${dropped}`] : [])),
    () => heard++,
  );
  for (const portion of portions) {
    stream.write(portion);
    await new Promise((resolve) => setImmediate(resolve));
    nowMs += 1_000;
  }
  const closed = new Promise((resolve) => stream.once('close', resolve));
  stream.destroy();
  await closed;
  return { kept, heard };
}

describe('readLines()', () => {
  const rows: [claim: string, portions: string[], kept: string[]][] = [
    ['cuts at line ends, of either kind', ['one\ntwo\r\n\nfour\n'], ['one', 'two', '', 'four']],
    ['puts a line together again', ['o', 'ne\nt', 'wo\n'], ['one', 'two']],
    ['gives a last line that has no end', ['one\ntwo'], ['one', 'two']],
    ['cuts a line that is too long', [`${'x'.repeat(16_385)}\n`], ['x'.repeat(16_384), 'x']],
  ];
  for (const [claim, portions, kept] of rows)
    it(claim, async () => assert.deepEqual((await linesOf(portions)).kept, kept));

  it('drops what comes too fast, and counts it where it was lost', async () => {
    const { kept, heard } = await linesOf(['12345678\n'.repeat(5), 'later\n'], 20);
    assert.deepEqual(kept, ['12345678', '12345678', '#3', 'later']);
    assert.equal(heard, 6, 'what is dropped is still listened to');
  });

  it('tells at the end what was dropped last', async () => {
    assert.deepEqual((await linesOf(['12345678\n'.repeat(5)], 20)).kept, ['12345678', '12345678', '#3']);
  });
});
