// The web-sessions example as a user runs it: known at both front ends, through restarts, and gone everywhere after log-out.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { startProgram } from '../support/fixture.ts';
import { waitUntil } from '../support/wait-until.ts';
import { Command, scratch } from './command.ts';

const folder = new URL('../../examples/web-sessions/', import.meta.url);
const fileOf = (name: string) => fileURLToPath(new URL(name, folder));

describe('the web-sessions example', function () {
  this.timeout(180_000);
  const place = scratch();
  let run: Command;
  /** Where a front end listens now: a port that the system has chosen, another one after each start. */
  const urlOf = (name: string) =>
    [...run.output.matchAll(new RegExp(`${name} at (http://localhost:\\d+)`, 'g'))].at(-1)?.[1];

  before(async () => {
    const env = { ...place.env, NORTH_PORT: '0', SOUTH_PORT: '0' };
    run = new Command(['run', fileOf('topology.ts'), '--workspace', place.workspace], env);
    await waitUntil('both front ends', () => urlOf('north') && urlOf('south'), 50_000);
    // Links are open a moment later.
    await run.sees(/relay: link with north is open/);
    await run.sees(/relay: link with south is open/);
  });

  after(async () => {
    run.signal('SIGKILL');
    await run.ended;
    place.remove();
  });

  const logIn = async (at: string, user: string) => {
    const response = await fetch(`${urlOf(at)}/login?user=${user}`, { method: 'POST' });
    assert.equal(response.status, 200, await response.text());
    return response.headers.get('set-cookie')!.split(';')[0]!;
  };
  const me = async (at: string, cookie: string) =>
    (await fetch(`${urlOf(at)}/me`, { headers: { cookie } })).text();

  it('knows at one front end who has logged in at the other', async () => {
    const cookie = await logIn('north', 'ann');
    assert.equal(await me('north', cookie), 'ann\n');
    assert.equal(await me('south', cookie), 'ann\n');
    assert.equal(await me('south', `${cookie.slice(0, -3)}xyz`), 'nobody\n');
  });

  it('still knows it when a front end was killed', async () => {
    const cookie = await logIn('south', 'bob');
    const [, pid] = await run.sees(/south started as process (\d+)/);
    const before = urlOf('south');
    process.kill(Number(pid), 'SIGKILL');
    await waitUntil('it is back', () => urlOf('south') !== before, 30_000);
    await waitUntil('it is linked', () => run.output.split('link with south is open').length > 2, 30_000);
    assert.equal(await me('south', cookie), 'bob\n');
    assert.equal(await me('north', cookie), 'bob\n');
  });

  it('still knows it when the relay was killed', async () => {
    const cookie = await logIn('north', 'kim');
    // Nobody waits until the others have heard of it.
    while ((await me('south', cookie)) !== 'kim\n');
    const linked = () =>
      ['north', 'south'].map((name) => run.output.split(`relay: link with ${name} is open`).length);
    const before = linked();
    process.kill(Number((await run.sees(/relay started as process (\d+)/))[1]), 'SIGKILL');
    await waitUntil('both are linked again', () => linked().every((count, i) => count > before[i]!), 30_000);
    const from = run.output.lastIndexOf('relay started as process');
    await run.sees(/relay relay is whole/, from);
    assert.equal(await me('south', cookie), 'kim\n');
  });

  it('ends all sessions of a user everywhere', async () => {
    const [one, two] = [await logIn('north', 'eve'), await logIn('south', 'eve')];
    const other = await logIn('north', 'ann');
    const response = await fetch(`${urlOf('south')}/logout`, { method: 'POST', headers: { cookie: one } });
    assert.equal(await response.text(), 'logged out everywhere\n');
    for (const at of ['north', 'south'])
      for (const cookie of [one, two]) assert.equal(await me(at, cookie), 'nobody\n');
    assert.equal(await me('south', other), 'ann\n');
  });

  it('bears a load, in which everybody is known at the other one', async () => {
    using load = startProgram(process.execPath, [
      '--import',
      import.meta.resolve('tsx/esm'),
      fileOf('load.ts'),
      ...['--seconds', '2', '--at-once', '8'],
      urlOf('north')!,
      urlOf('south')!,
    ]);
    const { code, stdout, stderr } = await load.end;
    assert.equal(code, 0, stderr);
    assert.match(stdout, /login: \d+ a second/);
    assert.match(stdout, /^0 answers did not know/m);
  });

  it('stops in order', async () => {
    run.signal('SIGINT');
    const { code, output } = await run.ended;
    assert.equal(code, 0, output);
  });
});
