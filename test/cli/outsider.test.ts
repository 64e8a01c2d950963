// Under a supervisor a server lets in only the process that the supervisor runs as an app, whoever else says to be it.
import { mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { Runtime } from '../../src/runtime/program.ts';
import { treeDirectory } from '../../src/transport/run-directory.ts';
import { holder, tennis } from '../actors/pair.ts';
import { waitUntil } from '../support/wait-until.ts';
import { Command, fixture, scratch } from './command.ts';

describe('a process that the supervisor does not run', function () {
  this.timeout(180_000);
  const place = scratch();
  after(() => place.remove());

  it('is not let in as an app that it runs', async () => {
    mkdirSync(place.workspace);
    const run = new Command(
      ['run', fixture('tennis.topology.ts'), '--workspace', place.workspace],
      place.env,
    );
    await run.sees(/plays with process \d+/);
    const said: string[] = [];
    const note = (_: object, message: string) => void said.push(message);
    const runtime = new Runtime({
      runDirectory: treeDirectory(join(place.folder, 'run'), realpathSync(place.workspace)),
      log: { debug: note, info: note, warn: note, error: note },
    });
    let opened = 0;
    runtime.connect(
      tennis.player,
      tennis.wall,
      holder(() => opened++),
    );
    await waitUntil('the reason', () =>
      said.some((line) => /not the one that the supervisor runs as it/.test(line)),
    );
    assert.match(said.join(), new RegExp(`app player: process ${process.pid} is not the one`));
    assert.equal(opened, 0);
    await runtime.stop();
    run.signal('SIGINT');
    assert.equal((await run.ended).code, 0);
  });
});
