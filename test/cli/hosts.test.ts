// One topology on two hosts, both on this machine: what the command line shows and does from either, over links and over NATS.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { assert } from 'chai';
import { askTree } from '../../src/runtime/control-client.ts';
import type { TreeStatus } from '../../src/runtime/status.ts';
import { Spectator } from '../inspector/spectator.ts';
import { NatsServer } from '../support/nats/server.ts';
import { waitUntil } from '../support/wait-until.ts';
import { Command, type CommandResult, command, scratch } from './command.ts';

for (const mode of ['link', 'nats'] as const)
  describe(`two hosts of one topology, over ${mode === 'link' ? 'a link' : 'NATS'}`, function () {
    this.timeout(60_000);
    const place = scratch();
    const file = join(place.folder, 'topology.json');
    const roots: Command[] = [];
    let server: NatsServer | undefined;

    const on = (host: string) => ['--workspace', join(place.folder, host)];
    const ask = (host: string, verb: string, ...args: string[]): Promise<CommandResult> =>
      command([verb, ...args, ...on(host)], place.env);
    const start = async (host: string, ...args: string[]) => {
      const root = new Command(['run', file, '--host', host, ...on(host), ...args], place.env);
      roots.push(root);
      await root.sees(/is operative|is booting/);
      return root;
    };
    const sees = async (host: string, test: (status: TreeStatus) => boolean): Promise<TreeStatus> => {
      for (;;) {
        const found = (await askTree(join(place.folder, host), 'status')) as TreeStatus;
        if (test(found)) return found;
        await pause(50);
      }
    };
    const phases = ({ units }: TreeStatus) =>
      Object.fromEntries(units.map(({ name, phase }) => [name, phase]));

    before(async () => {
      mkdirSync(place.folder, { recursive: true });
      if (mode === 'nats') server = await NatsServer.start();
      const relay =
        mode === 'link'
          ? { mode, hub: 'back', path: 'hosts.sock', silentAfterMs: 2_000 }
          : { mode, servers: [server!.url], silentAfterMs: 2_000 };
      writeFileSync(
        file,
        JSON.stringify({
          name: 'shop',
          hosts: { back: {}, front: {} },
          relay,
          children: {
            store: {
              kind: 'exec',
              file: 'sh',
              args: ['-c', 'echo the store is open; exec sleep 1000000'],
              host: 'back',
            },
            page: {
              kind: 'exec',
              file: 'sleep',
              args: ['1000000'],
              host: 'front',
              dependsOn: { store: 'ready' },
            },
            ...(mode === 'link' && {
              inner: {
                kind: 'supervisor',
                host: 'back',
                dependsOn: { page: 'ready' },
                children: { deep: { kind: 'exec', file: 'sleep', args: ['1000000'] } },
              },
            }),
          },
        }),
      );
    });
    after(async () => {
      for (const { process: root } of roots) root.kill('SIGKILL');
      await server?.remove();
      place.remove();
    });

    it('lets a root wait for the other one, and shows one tree on both', async () => {
      await start('front');
      const alone = await sees('front', (status) => phases(status).page === 'blocked');
      assert.equal(phases(alone).store, 'unknown');
      await start('back');
      for (const host of ['front', 'back']) {
        const { units, hosts } = await sees(host, (status) =>
          status.units.every(({ phase }) => phase === 'up'),
        );
        assert.deepEqual(
          units.map(({ name, host: where }) => `${name} ${where}`),
          mode === 'link'
            ? ['store back', 'page front', 'inner back', 'inner/deep back']
            : ['store back', 'page front'],
        );
        assert.sameMembers(
          hosts!.map(({ name, heard }) => `${name} ${heard}`),
          host === 'front' ? ['front here', 'back present'] : ['back here', 'front present'],
        );
      }
    });

    it('shows the host of each unit in a column', async () => {
      const { output } = await ask('front', 'status', file);
      assert.match(output, /^unit +host +state/m);
      assert.match(output, /^store +back +operative/m);
      assert.match(output, /root \d+ on front/);
    });

    it('carries out orders on the other host', async () => {
      const { code, output } = await ask('front', 'restart', 'store');
      assert.equal(code, 0, output);
      assert.match(output, /^store is operative as process \d+ \(start 2\)$/m);
      assert.equal((await ask('front', 'wait', 'store', '--state', 'up', '--timeout', '10s')).code, 0);
      assert.match((await ask('front', 'fingerprint', 'store')).output, /cmdline/);
    });

    it('brings the lines of a unit of the other host', async () => {
      const { code, output } = await ask('front', 'logs', 'store', '-n', '1');
      assert.deepEqual([code, output], [0, 'store | the store is open\n']);
    });

    it('hears only one of two roots that take themselves for one host', async () => {
      const args = ['run', file, '--host', 'front', '--workspace', join(place.folder, 'other')];
      const other = new Command(args, place.env);
      roots.push(other);
      await other.sees(
        mode === 'link' ? /a node front is connected already/ : /lease host\.front is not to be had/,
      );
      const { hosts } = await sees('back', (status) => phases(status).page === 'up');
      // A machine that is too busy to renew a lease loses it, to the other one.
      assert.include([roots[0]!.pid, other.pid], hosts!.find(({ name }) => name === 'front')!.pid);
      other.signal('SIGTERM');
      assert.equal((await other.ended).code, 0);
    });

    if (mode === 'link') {
      it('refuses what is unknown there as it would be refused there', async () => {
        const { code, output } = await ask('front', 'signal', 'store', 'HUPP');
        assert.equal(code, 6, output);
        assert.match(output, /there is no such signal \(did you mean HUP\?\)/);
      });

      it('refuses what has to be done there', async () => {
        const attach = await ask('front', 'attach', 'store', '--pid', '1');
        assert.equal(attach.code, 6);
        assert.match(attach.output, /the unit runs on host back; run the command there/);
        const follow = await ask('front', 'logs', '-f', 'store');
        assert.equal(follow.code, 6);
        assert.match(follow.output, /it runs on host back; follow it there: actor-ipc logs -f store/);
      });

      it('shows one tree in the inspector, while somebody looks', async () => {
        const { url } = JSON.parse((await ask('front', 'inspect', '--json')).output) as { url: string };
        using page = new Spectator(url);
        await waitUntil('the units of the other host', () => page.unit('inner/deep')?.phase === 'up');
        assert.equal(page.unit('store')!.host, 'back');
        assert.equal(page.unit('@back')!.process, '@back#0');
        assert.notProperty(page.unit('page'), 'host');
        assert.deepEqual(page.last('dependences')!.edges, [
          { unit: 'page', on: 'store', state: 'ready', mode: 'requires', gate: 'open' },
          { unit: 'inner', on: 'page', state: 'ready', mode: 'requires', gate: 'open' },
        ]);
        await waitUntil('its actors', () => page.actors.get('@back#0')?.has('supervisor'));
        const before = page.seen.length;
        await ask('back', 'restart', 'inner/deep');
        await waitUntil('what happens there', () =>
          page.seen
            .slice(before)
            .some(({ process, record }) => process === '@back#0' && record.k === 'transition'),
        );
      });

      it('refuses another topology that moves units between hosts', async () => {
        const next = JSON.parse(readFileSync(file, 'utf8'));
        next.children.inner.host = 'front';
        const moved = join(place.folder, 'moved.json');
        writeFileSync(moved, JSON.stringify(next));
        const { code, output } = await ask('front', 'apply', moved);
        assert.equal(code, 6, output);
        assert.match(output, /units of another host are different/);
      });

      it('applies what has changed for the units of its own host', async () => {
        const next = JSON.parse(readFileSync(file, 'utf8'));
        next.children.page.args = ['1000001'];
        writeFileSync(file, JSON.stringify(next));
        const front = await ask('front', 'apply', file);
        assert.equal(front.code, 0, front.output);
        assert.match(front.output, /restart page \(args\)/);
        const back = await ask('back', 'apply', file);
        assert.equal(back.code, 0, back.output);
        assert.notMatch(back.output, /restart/);
        await sees('back', (status) => status.units.every(({ phase }) => phase === 'up'));
      });
    }

    it('takes down one host alone, in order, and says so on the other', async () => {
      assert.equal((await ask('back', 'down')).code, 0);
      const status = await sees('front', ({ hosts }) => hosts!.some(({ heard }) => heard === 'left'));
      assert.deepEqual([phases(status).store, phases(status).page], ['idle', 'up']);
      assert.match(
        (await ask('front', 'status', file)).output,
        /^host back has been taken down, last heard .* ago$/m,
      );
      const { code, output } = await ask('front', 'stop', 'store');
      assert.equal(code, 4);
      assert.match(output, /the root of host back can't be asked: it has been taken down/);
      assert.equal((await ask('front', 'down')).code, 0);
    });
  });

describe('a host that is none', function () {
  this.timeout(60_000);
  const place = scratch();
  after(() => place.remove());

  it('is told with those that there are', async () => {
    mkdirSync(place.folder, { recursive: true });
    const file = join(place.folder, 'topology.json');
    const children = { a: { kind: 'exec', file: 'true', host: 'one' } };
    const relay = { mode: 'link', path: 'hosts.sock' };
    writeFileSync(file, JSON.stringify({ name: 'x', hosts: { one: {}, two: {} }, relay, children }));
    const hub = new Command(['run', file, '--host', 'two', '--workspace', place.workspace], place.env);
    await hub.sees(/x is operative/);
    const named = await command(['run', file, '--host', 'on'], place.env);
    assert.equal(named.code, 2);
    assert.match(named.output, /host on: .* has the hosts one, two \(did you mean one\?\)/);
    const unnamed = await command(['run', file], place.env);
    assert.equal(unnamed.code, 2);
    assert.match(unnamed.output, /this machine is none of the hosts of .*--host one\|two/);
    const { output } = await command(['check', file], place.env);
    assert.match(output, /a \(exec true, permanent, on one\)/);
    assert.match(output, /roots reach each other by links to one at hosts\.sock; silent after 10\.0 s/);
    // It has no units, and goes on: others may need it.
    assert.isNull(hub.process.exitCode);
    hub.signal('SIGTERM');
    assert.equal((await hub.ended).code, 0);
  });
});
