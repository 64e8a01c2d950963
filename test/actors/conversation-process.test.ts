// Conversations with another process, which may be killed in the middle of them.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { deferred } from './library.ts';
import { type AtCaller, failureOf, office } from './office.ts';
import { Court, holder } from './pair.ts';

const clerk = fileURLToPath(new URL('../fixtures/actors/clerk.ts', import.meta.url));

describe('a conversation with another process', function () {
  this.timeout(120_000);
  let court: Court;
  let child: ChildProcess;
  let caller: AtCaller;
  beforeEach(async () => {
    court = new Court();
    const env = { ...process.env, ACTOR_IPC_RUN_DIR: court.folder };
    child = spawn(process.execPath, [...process.execArgv, clerk], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout!, 'data');
    const { promise, resolve } = deferred<AtCaller>();
    court.runtime().connect(office.caller, office.desk, holder<AtCaller>(resolve));
    caller = await promise;
  });
  afterEach(async () => {
    child.kill('SIGKILL');
    await court.close();
  });

  it('has many replies, and stops the other side when it has enough', async () => {
    const { talk } = caller.channels;
    let sum = 0;
    for await (const n of talk.requestMany('count', 2000)) {
      sum += n;
      if (n === 1999) break;
    }
    assert.equal(sum, 1999 * 1000);
    await waitUntil('the handler to stop', () => talk.stats().asked === 0);
    for (let stopped = 0; stopped !== 1; ) stopped = (await talk.request('echo', null)) as number;
  });

  it('has a dialog', async () => {
    using dialog = caller.channels.talk.dialog('chat', 'ann');
    assert.equal(await dialog.receive(), 'hello ann');
    for (let n = 0; n < 100; n++) assert.equal(await dialog.ask(`line ${n}`), `LINE ${n}`);
  });

  it('sends an open file', async () => {
    const fd = openSync(clerk, 'r');
    assert.equal(await caller.channels.files.request('open', 'x', { handle: fd }), 100);
    closeSync(fd);
  });

  it('fails with the one cause in all its calls when the other side is killed', async () => {
    const { talk, files } = caller.channels;
    const replies = talk.requestMany('count', 3);
    for (let n = 0; n < 3; n++) assert.equal((await replies.next()).value, n);
    const dialog = talk.dialog('chat', 'ann');
    await dialog.receive();
    const calls = [replies.next(), dialog.receive(), talk.request('other', 1)].map(failureOf);
    child.kill('SIGSTOP');
    const fd = openSync(clerk, 'r');
    // On its way to nobody.
    await files.send('x', { handle: fd });
    closeSync(fd);
    child.kill('SIGKILL');
    const causes = (await Promise.all(calls)).map(({ code, cause }) => {
      assert.equal(code, 'ERR_CHANNEL_HOSED');
      return cause;
    });
    assert.equal(new Set(causes).size, 1);
    assert.equal((await failureOf(dialog.send('x'))).code, 'ERR_CHANNEL_HOSED');
  });
});
