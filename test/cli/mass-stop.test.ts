// The end of many programs at once: their minders do not hold each other up.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Command, processesWith, scratch } from './command.ts';

const units = 60;
/** Each has two more in its group; every tenth also one that has left it. */
const program = (i: number) =>
  `sleep 1000 & sleep 1000 & ${i % 10 === 0 ? 'setsid sleep 1000 & ' : ''}exec sleep 1000`;
/** With their minders. */
const processes = units * 4 + units / 10;

describe(`${units} programs under one root`, function () {
  this.timeout(180_000);
  const place = scratch();
  let run: Command;
  const left = () => processesWith(place.folder).filter((pid) => pid !== run.pid);

  beforeEach(async () => {
    const file = join(place.folder, 'many.topology.mjs');
    const children = Object.fromEntries(
      Array.from({ length: units }, (_, i) => [
        `u${i}`,
        { kind: 'exec', file: 'sh', args: ['-c', program(i)], shutdown: 1_000 },
      ]),
    );
    writeFileSync(file, `export default ${JSON.stringify({ name: 'many', children })};\n`);
    run = new Command(['run', file, '--workspace', place.workspace], place.env);
    await waitUntil('all of them', () => left().length === processes, 30_000);
  });
  afterEach(async () => {
    run.signal('SIGKILL');
    await run.ended;
    await waitUntil('no process of the tree', () => left().length === 0);
  });
  after(() => place.remove());

  it('are gone within one second when it is killed', async () => {
    const all = left();
    const beganMs = performance.now();
    run.signal('SIGKILL');
    await waitUntil('the end of all', () => !all.some(runs));
    assert.isBelow(performance.now() - beganMs, 1_000);
  });

  it('end in order when it is asked to, with nothing left', async () => {
    run.signal('SIGTERM');
    const { code, output } = await run.ended;
    assert.equal(code, 0, output);
    assert.deepEqual(left(), []);
  });
});

/** One that has ended and that nobody has asked after yet does not run. */
function runs(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return stat[stat.lastIndexOf(')') + 2] !== 'Z';
  } catch {
    return false;
  }
}
