import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { type LogPosition, positionOf, readLog, UnitLog } from '../../src/workspace/unit-log.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

async function textsIn(path: string, end?: LogPosition): Promise<string[]> {
  const texts: string[] = [];
  for await (const { text } of readLog(path, end)) texts.push(text);
  return texts;
}

describe('the log of a unit', () => {
  const place = temporaryFolder();
  after(() => place[Symbol.dispose]());
  const rules = { maxBytes: 100, files: 2 };

  it('keeps each line with its time', () => {
    const path = join(place.path, 'a.out');
    new UnitLog(path).append(['one', 'two'], 0, rules);
    assert.equal(readFileSync(path, 'utf8'), '1970-01-01T00:00:00.000Z one\n1970-01-01T00:00:00.000Z two\n');
  });

  it('is moved aside when it is large, so many times', async () => {
    const path = join(place.path, 'b.out');
    const log = new UnitLog(path);
    // Each line has 27 bytes: three of them fit.
    for (let number = 1; number <= 11; number++) log.append([String(number).padStart(2, '0')], 0, rules);
    assert.deepEqual(
      ['.3', '.2', '.1', ''].map((end) => existsSync(`${path}${end}`)),
      [false, true, true, true],
    );
    assert.deepEqual(await textsIn(path), ['04', '05', '06', '07', '08', '09', '10', '11']);
  });

  it('goes on where an earlier run has ended', async () => {
    const path = join(place.path, 'c.out');
    new UnitLog(path).append(['one', 'two', 'three'], 0, rules);
    new UnitLog(path).append(['four'], 0, rules);
    assert.isTrue(existsSync(`${path}.1`));
    assert.deepEqual(await textsIn(path), ['one', 'two', 'three', 'four']);
  });

  it('is read up to where it was written then, also if it has been moved aside since', async () => {
    const path = join(place.path, 'd.out');
    const log = new UnitLog(path);
    assert.isNull(positionOf(path));
    log.append(['one'], 0, rules);
    const then = positionOf(path)!;
    log.append(['two'], 0, rules);
    assert.deepEqual(await textsIn(path, then), ['one']);
    assert.deepEqual(await textsIn(path, { ...then, bytes: 0 }), []);
    log.append(['three', 'four', 'five'], 0, rules);
    assert.isTrue(existsSync(`${path}.1`));
    assert.deepEqual(await textsIn(path, then), ['one']);
    log.append(['six', 'seven', 'eight'], 0, rules);
    log.append(['nine', 'ten', 'eleven'], 0, rules);
    assert.deepEqual(await textsIn(path, then), [], 'nothing of that time is left');
  });

  it('is read whole while it is moved aside', async () => {
    const path = join(place.path, 'g.out');
    const log = new UnitLog(path);
    for (let number = 1; number <= 6; number++) log.append([`0${number}`], 0, rules);
    const seen: string[] = [];
    for await (const { text } of readLog(path)) {
      seen.push(text);
      if (seen.length === 2) for (let number = 1; number <= 3; number++) log.append([`1${number}`], 0, rules);
    }
    assert.deepEqual(seen.slice(0, 6), ['01', '02', '03', '04', '05', '06']);
  });

  it('has lines without a time where nobody was there to note it', async () => {
    const path = join(place.path, 'e.out');
    writeFileSync(path, 'raw\n');
    assert.deepEqual(await textsIn(path), ['raw']);
  });

  it('costs lines and nothing else where it can not be written', () => {
    const log = new UnitLog(join(place.path, 'nowhere', 'f.out'));
    assert.doesNotThrow(() => log.append(['one'], 0, rules));
  });
});
