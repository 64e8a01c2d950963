// Sessions between two machines, each with a gateway and a program in processes of their own: once on this machine with two run
// directories, once with a network between and TLS, under kills and pulled cables.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { Authority } from '../support/relay/certificates.ts';
import { HostProgram, Hosts, noHosts } from '../support/relay/hosts.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const missing = noHosts();
const program = fileURLToPath(new URL('../fixtures/relay/across.mjs', import.meta.url));
const outageMs = 2_000;

interface State {
  readonly open: boolean;
  readonly opened: number;
  readonly ends: readonly string[];
}

type Role = 'gateway-a' | 'gateway-b' | 'guest' | 'desk';

function suite(networked: boolean): void {
  const folder = temporaryFolder();
  const programs = {} as Record<Role, HostProgram>;
  const started: HostProgram[] = [];
  let hosts: Hosts | undefined;
  let authority: Authority | undefined;
  let port = 0;

  const machineOf = (role: Role) => (role === 'gateway-a' || role === 'guest' ? 'a' : 'b');
  const start = async (role: Role) => {
    const machine = machineOf(role);
    const env = { ACTOR_IPC_RUN_DIR: join(folder.path, machine) };
    const host = hosts?.addressOf('b') ?? '127.0.0.1';
    const facts = {
      'gateway-a': { endpoint: { host, port }, tls: authority?.issue('a'), outageMs },
      'gateway-b': { listen: { host, port, tls: authority?.issue('b', [host]) }, outageMs },
      guest: {},
      desk: {},
    };
    const args = [role, JSON.stringify(facts[role])];
    const made =
      hosts?.run(machine, 'across.mjs', args, env) ??
      new HostProgram(
        spawn(process.execPath, [program, ...args], { env: { ...process.env, ...env }, stdio: 'pipe' }),
      );
    made.child.stdin!.on('error', () => {});
    programs[role] = made;
    started.push(made);
    await made.sees(`${role} is ready`, (line) => line === '{"ready":true}');
    if (role === 'gateway-b')
      port = (JSON.parse(made.lines.find((line) => line.startsWith('{"port"'))!) as { port: number }).port;
  };
  const stateOf = async (role: Role) => (await programs[role].does('state')) as State;
  /** Both have a session, their n-th at least, and all earlier ones are over: a desk may learn late that its guest was lost. */
  const opened = async (guest: number, desk: number): Promise<void> => {
    for (;;) {
      const [a, b] = [await stateOf('guest'), await stateOf('desk')];
      const alone = [a, b].every(({ open, opened, ends }) => open && ends.length >= opened - 1);
      if (alone && a.opened >= guest && b.opened >= desk) return;
    }
  };
  const kill = (role: Role) => programs[role].child.kill('SIGKILL');

  before(async () => {
    if (networked) {
      hosts = new Hosts(['a', 'b']);
      authority = new Authority(folder.path);
      port = 7878;
    }
    await start('gateway-b');
    await Promise.all((['gateway-a', 'desk', 'guest'] as const).map(start));
    await opened(1, 1);
  });
  after(() => {
    for (const { child } of started) child.kill('SIGKILL');
    hosts?.close();
    folder[Symbol.dispose]();
  });

  it('carries 100,000 messages in order and unchanged, to a reader that pauses', async () => {
    const count = 100_000;
    const taking = programs.desk.does('take', { count, pauseMs: 5 });
    const cut = networked && setTimeout(() => pull(300), 200);
    const sent = await programs.guest.does('send', { count });
    clearTimeout(cut || undefined);
    assert.match(String(sent), /^[0-9a-f]{64}$/);
    assert.equal(await taking, sent);
    assert.deepEqual((await stateOf('guest')).ends, []);
  });

  /** Pulls the cable of machine a for so long. */
  const pull = (ms: number) =>
    new Promise<void>((resolve) => {
      hosts!.cable('a', false);
      setTimeout(() => {
        hosts!.cable('a', true);
        resolve();
      }, ms);
    });

  if (networked)
    it('hoses both sides once when the cable stays away, and opens the next session when it is back', async () => {
      await pull(outageMs + 4_000);
      await opened(2, 2);
      for (const role of ['guest', 'desk'] as const)
        assert.deepEqual((await stateOf(role)).ends, ['peer.idle'], role);
    });

  for (const victim of ['guest', 'desk', 'gateway-a', 'gateway-b'] as const)
    it(`hoses whoever is left once when ${victim} is killed, and opens the next session`, async () => {
      const before = { guest: await stateOf('guest'), desk: await stateOf('desk') };
      kill(victim);
      await start(victim);
      const next = (role: 'guest' | 'desk') => (role === victim ? 1 : before[role].opened + 1);
      await opened(next('guest'), next('desk'));
      for (const role of ['guest', 'desk'] as const) {
        const { ends, opened } = await stateOf(role);
        assert.lengthOf(ends, opened - 1, `${role}: each session that is over has ended once`);
        if (role === victim) assert.deepEqual(ends, []);
        else {
          const news = ends.slice(before[role].ends.length);
          assert.isAtLeast(news.length, 1, role);
          assert.include(['peer.closed', 'peer.reset', 'peer.idle'], news[0], role);
        }
      }
      const taking = programs.desk.does('take', { count: 100 });
      assert.equal(await programs.guest.does('send', { count: 100 }), await taking);
    });
}

describe('sessions between two run directories', function () {
  this.timeout(120_000);
  suite(false);
});

describe(`sessions between two machines with TLS${missing ? ` (skipped: ${missing})` : ''}`, function () {
  this.timeout(120_000);
  before(function () {
    if (missing) this.skip();
  });
  if (!missing) suite(true);
});
