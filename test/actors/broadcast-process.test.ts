// A broadcast between processes: under load, with a slow one among three, and with either side killed.
import { setTimeout as pause } from 'node:timers/promises';
import { assert } from 'chai';
import { type Program, startFixture } from '../support/fixture.ts';
import { waitUntil } from '../support/wait-until.ts';
import { type AtReceiver, Band, holding, radio } from './radio.ts';

describe('a broadcast between processes', function () {
  this.timeout(90_000);
  let band: Band;
  const programs: Program[] = [];
  beforeEach(() => {
    band = new Band();
  });
  afterEach(async () => {
    for (const program of programs.splice(0)) program[Symbol.dispose]();
    await band.close();
  });

  /** Starts a process, and reads the lines that it prints. */
  function start(...args: string[]): { program: Program; lines: string[] } {
    const program = startFixture('actors/listener.ts', args, { env: { ACTOR_IPC_RUN_DIR: band.folder } });
    programs.push(program);
    const lines: string[] = [];
    let rest = '';
    program.child.stdout!.on('data', (text: string) => {
      const parts = (rest + text).split('\n');
      rest = parts.pop()!;
      lines.push(...parts);
    });
    program.child.stderr!.pipe(process.stderr);
    return { program, lines };
  }

  it('counts each gap exactly under load, and a slow reader holds up neither the writer nor the others', async () => {
    const { broadcasts } = await band.serve();
    const last = 20_000;
    const all = [start('count', String(last)), start('count', String(last)), start('slow', String(last))];
    await waitUntil('three readers', () => broadcasts.news.stats().readers === 3);
    for (let n = 0; n <= last; n++) {
      assert.isTrue(broadcasts.news.tryPublish({ n }));
      if (n % 200 === 0) await pause(0);
    }
    await waitUntil('what they found', () => all.every(({ lines }) => lines.length === 2));
    const [one, other, slow] = all.map(({ lines }) => JSON.parse(lines[1]!));
    for (const { received, missed } of [one, other, slow]) assert.equal(received + missed, last + 1);
    assert.isAbove(slow.missed, 0);
  });

  it('goes on at once when a reader that blocks is killed', async () => {
    const { broadcasts } = await band.serve();
    const { program, lines } = start('hold');
    await waitUntil('the reader', () => lines.length === 1);
    let n = 0;
    while (broadcasts.orders.tryPublish({ n })) n++;
    const waiting = broadcasts.orders.publish({ n });
    assert.equal(broadcasts.orders.stats().readers, 1);
    program.child.kill('SIGKILL');
    await waiting;
    assert.equal(broadcasts.orders.stats().readers, 0);
  });

  it('hands over all that a writer published before it was killed, and is read again from the next one', async () => {
    const last = 99;
    const taken: number[][] = [];
    const ends: { type: string; error?: { code: string; cause?: unknown } }[] = [];
    const machine = holding<AtReceiver>(
      ({ broadcasts: { news } }) => {
        const numbers: number[] = [];
        taken.push(numbers);
        news.onBatch((messages, gap) => {
          assert.equal(gap, 0);
          numbers.push(...messages.map(({ n }) => n));
        });
      },
      (end) => ends.push(end),
    );
    band.runtime().connect(radio.receiver, radio.station, machine, { reconnect: { minMs: 20, maxMs: 50 } });
    for (let round = 1; round <= 3; round++) {
      const { program } = start('station', String(last));
      assert.equal((await program.end).signal, 'SIGKILL');
      await waitUntil('the loss', () => ends.length === round);
      assert.deepEqual(
        taken[round - 1],
        Array.from({ length: last + 1 }, (_, n) => n),
      );
      assert.deepInclude(ends[round - 1], { type: 'session.hosed' });
    }
  });
});
