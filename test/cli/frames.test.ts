// The frames example as a user runs it: pictures that can be looked at, through the death of each stage, at the pace of the slowest.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { PNG } from 'pngjs';
import { waitUntil } from '../support/wait-until.ts';
import { Command, processesWith, scratch } from './command.ts';

const topology = fileURLToPath(new URL('../../examples/frames/topology.ts', import.meta.url));

describe('the frames example', function () {
  this.timeout(180_000);
  const place = scratch();
  const pictures = join(place.folder, 'pictures');
  let run: Command;

  const start = (env: NodeJS.ProcessEnv) =>
    new Command(['run', topology, '--workspace', place.workspace], {
      ...place.env,
      FPS: '20',
      PICTURES: pictures,
      ...env,
    });
  const kept = () =>
    [...run.output.matchAll(/viewer \| frame (\d+) is in (\S+)/g)].map(([, number, file]) => ({
      number: Number(number),
      file: file!,
    }));

  before(() => {
    run = start({});
  });
  after(async () => {
    run.signal('SIGKILL');
    await run.ended;
    place.remove();
  });

  it('keeps pictures that were drawn, filtered and not mixed up', async () => {
    await waitUntil('a picture', () => kept().length > 0, 50_000);
    const { width, height, data } = PNG.sync.read(readFileSync(kept()[0]!.file));
    assert.deepEqual([width, height], [1280, 800]);
    // The disc of frame 0 is white with no slope in it: half of white and half of the light of flat paper.
    const [middleX, middleY] = [640 + 420, 400];
    assert.equal(kept()[0]!.number, 0);
    assert.deepEqual(
      [...data.subarray((middleY * width + middleX) * 4).subarray(0, 4)],
      [191, 191, 191, 255],
    );
    for (let at = 3; at < data.length; at += 4) if (data[at] !== 255) assert.fail(`a hole at ${at}`);
  });

  it('says what goes through each stage', async () => {
    for (const [stage, verb] of [
      ['camera', 'drawn'],
      ['filter', 'filtered'],
      ['viewer', 'seen'],
    ])
      await run.sees(
        new RegExp(`${stage} +\\| ${verb} \\d+ frames/s, \\d+ MB/s, \\d+ % of the time waiting`),
      );
  });

  for (const victim of ['camera', 'filter', 'viewer'])
    it(`goes on after a SIGKILL of the ${victim}`, async () => {
      const pid = [...run.output.matchAll(new RegExp(`${victim} started as process (\\d+)`, 'g'))].at(-1)![1];
      const from = run.output.length;
      process.kill(Number(pid), 'SIGKILL');
      await run.sees(new RegExp(`${victim}: ended by SIGKILL`), from);
      await run.sees(/frames is operative/, from);
      const back = run.output.length;
      await run.sees(/viewer +\| frame \d+ is in/, back);
    });

  it('stops in order and leaves nothing', async () => {
    run.signal('SIGINT');
    assert.equal((await run.ended).code, 0, run.output);
    await waitUntil('no process of the tree', () => processesWith(place.folder).length === 0);
    assert.deepEqual(readdirSync(place.env.ACTOR_IPC_RUN_DIR!), []);
    assert.isTrue(readdirSync(pictures).every((name) => name.endsWith('.png')));
  });
});

describe('the frames example before a slow viewer', function () {
  this.timeout(60_000);
  const place = scratch();
  let run: Command;

  before(async () => {
    run = new Command(['run', topology, '--workspace', place.workspace], {
      ...place.env,
      ...{ FPS: '20', LOOK_MS: '250', PICTURES: join(place.folder, 'pictures') },
    });
    await waitUntil('it is up', () => /frames is operative/.test(run.output), 50_000);
  });
  after(async () => {
    run.signal('SIGKILL');
    await run.ended;
    place.remove();
  });

  it('goes at its pace', async () => {
    // At most four are looked at in a second; the camera could draw twenty. What it draws first has room on the way.
    const [, perSecond] = await run.sees(/camera +\| drawn [\s\S]*?camera +\| drawn (\d+) frames\/s/);
    assert.isAtMost(Number(perSecond), 5);
    run.signal('SIGINT');
    assert.equal((await run.ended).code, 0, run.output);
  });
});
