// `postmortem`: what all did around a death, after the tree itself is gone.
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import type { Postmortem } from '../../src/inspector/postmortem.ts';
import { waitUntil } from '../support/wait-until.ts';
import { Command, command, scratch } from './command.ts';

const lighthouse = fileURLToPath(new URL('../fixtures/inspector/lighthouse.topology.mjs', import.meta.url));

describe('actor-ipc postmortem', function () {
  this.timeout(180_000);
  const place = scratch();
  const folder = join(place.workspace, 'postmortem');
  let pid = 0;
  after(() => place.remove());

  const postmortem = (...args: string[]) =>
    command(['postmortem', ...args, '-w', place.workspace], place.env);

  before(async () => {
    const run = new Command(['run', lighthouse, '-w', place.workspace], place.env);
    await run.sees(/lighthouse is operative/);
    const [, found] = await run.sees(/lamp started as process (\d+)/);
    pid = Number(found);
    process.kill(pid, 'SIGKILL');
    await run.sees(/lamp started as process \d+ \(start 2\)/);
    await waitUntil('the postmortem', () => {
      try {
        return readdirSync(folder).length === 1;
      } catch {
        return false;
      }
    });
    run.signal('SIGINT');
    assert.equal((await run.ended).code, 0);
  });

  it('tells by time what each process did, with its lines and the log of the root', async () => {
    const { code, output } = await postmortem('lamp', '--json');
    assert.equal(code, 0, output);
    const { exit, entries, ...head } = JSON.parse(output) as Postmortem;
    assert.deepInclude(head, { unit: 'lamp', incarnation: 1, pid, state: 'operative', verdict: 'restart' });
    assert.equal(exit.signal, 'SIGKILL');
    const of = (unit: string, what: string) =>
      entries.filter((entry) => entry.unit === unit && entry.what === what);
    assert.isTrue(
      of('lamp', 'transition').some(({ text }) => /^lamp: xstate\.after.* -> bright$/.test(text)),
    );
    assert.isAbove(of('foghorn', 'transition').length, 0);
    assert.isAbove(of('', 'transition').length, 0);
    assert.deepEqual(of('lamp', 'line').map(({ text }) => text)[0], 'out: lamp is lit');
    assert.isTrue(of('lamp', 'log').some(({ text }) => /^warn: lamp: ended by SIGKILL/.test(text)));
    const times = entries.map(({ atMs }) => atMs);
    assert.deepEqual(
      times,
      [...times].sort((one, other) => one - other),
    );
  });

  it('prints the same for people', async () => {
    const { output } = await postmortem('lamp');
    assert.match(output, /^lamp \(start 1, process \d+\): ended by SIGKILL/);
    assert.match(output, / -\d+\.\d ms {2}lamp +lamp: xstate\.after/);
    assert.match(output, /-- the end of lamp/);
  });

  it('says what has died where a unit has not', async () => {
    const { code, output } = await postmortem('lump');
    assert.equal(code, 2);
    assert.match(output, /there is no unit lump \(did you mean lamp\?\); there are lamp/);
    assert.equal((await postmortem('lamp', '--number', '2')).code, 2);
  });

  it('says why one can not be read', async () => {
    writeFileSync(join(folder, 'foghorn@1.json'), '{"actorIpc":"postmortem","version":9}');
    const { code, output } = await postmortem('foghorn');
    assert.equal(code, 2);
    assert.match(output, /it has version 9, and this actor-ipc reads 1/);
  });
});
