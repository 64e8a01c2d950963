// One topology on three machines, each a network of its own with a root of the command line, linked by TLS: what its units and its
// listings are when cables are pulled, roots are killed, and a host comes late.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import type { IpcError } from '../../src/errors.ts';
import { askTree } from '../../src/runtime/control-client.ts';
import type { Outcome } from '../../src/runtime/operator.ts';
import type { TreeStatus, UnitStatus } from '../../src/runtime/status.ts';
import { Authority } from '../support/relay/certificates.ts';
import { type HostProgram, Hosts, noHosts } from '../support/relay/hosts.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const missing = noHosts();
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const sleeper = { kind: 'exec', file: 'sleep', args: ['1000000'], backoff: { minMs: 10 } };

describe(`a topology on three machines${missing ? ` (skipped: ${missing})` : ''}`, function () {
  this.timeout(60_000);
  const folder = temporaryFolder();
  const roots = {} as Record<string, HostProgram>;
  const file = join(folder.path, 'topology.json');
  let hosts: Hosts;

  const workspaceOf = (host: string) => join(folder.path, `workspace-${host}`);
  const ask = (host: string, question: string, facts: object = {}) =>
    askTree(workspaceOf(host), question, { facts: { ...facts }, timeoutMs: 30_000 });
  const status = async (host: string) => (await ask(host, 'status')) as TreeStatus;
  const start = async (host: string) => {
    const env = { ACTOR_IPC_RUN_DIR: join(folder.path, `run-${host}`), NO_COLOR: '1' };
    const args = [main, 'run', file, '--host', host, '--workspace', workspaceOf(host)];
    const root = hosts.node(host, args, env);
    roots[host] = root;
    await root.sees(`the root of ${host}`, (line) => line.includes(`on host ${host}`));
  };
  /** Asks as often as it takes. */
  const sees = async (
    host: string,
    what: string,
    test: (units: Record<string, UnitStatus>, status: TreeStatus) => boolean,
  ) => {
    const untilMs = Date.now() + 30_000;
    let last: TreeStatus | undefined;
    for (;;) {
      last = await status(host).catch(() => last);
      const units = Object.fromEntries((last?.units ?? []).map((unit) => [unit.name, unit]));
      if (last && test(units, last)) return units;
      if (Date.now() > untilMs)
        throw new Error(
          `${host} never saw ${what}: ${JSON.stringify(last?.units.map(({ name, phase, note, pid }) => [name, phase, note, pid]))} ${JSON.stringify(last?.hosts)}\n${Object.values(
            roots,
          )
            .map(({ stderr, lines }) => [...lines.slice(-12), stderr].join('\n'))
            .join('\n--\n')}`,
        );
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  };
  const heard = ({ hosts: all = [] }: TreeStatus, name: string) =>
    all.find((host) => host.name === name)?.heard;
  const kill = (pid: number | null | undefined) => process.kill(pid!, 'SIGKILL');

  before(function () {
    if (missing) return this.skip();
    hosts = new Hosts(['a', 'b', 'c']);
    const authority = new Authority(folder.path);
    const tls = (host: string) => authority.issue(host, [hosts.addressOf(host)]);
    const onDb = (mode: string) => ({ dependsOn: { db: { state: 'ready', mode } }, host: 'a' });
    writeFileSync(
      file,
      JSON.stringify({
        name: 'shop',
        hosts: { a: { tls: tls('a') }, b: { tls: tls('b') }, c: { tls: tls('c') } },
        relay: { mode: 'link', hub: 'a', address: hosts.addressOf('a'), silentAfterMs: 2_000 },
        children: {
          db: { ...sleeper, host: 'b' },
          keeps: { ...sleeper, ...onDb('requires') },
          stops: { ...sleeper, ...onDb('requires'), onPartition: 'stop' },
          bound: { ...sleeper, ...onDb('bind') },
          late: { ...sleeper, host: 'c' },
          waits: { ...sleeper, host: 'a', dependsOn: { late: 'ready' } },
          far: { ...sleeper, host: 'b', dependsOn: { keeps: 'ready' } },
        },
      }),
    );
  });
  afterEach(() => hosts?.cable('b', true));
  after(() => {
    hosts?.close();
    folder[Symbol.dispose]();
  });

  it('starts each unit on its host once those that it needs are there, wherever they are', async () => {
    await Promise.all([start('b'), start('a')]);
    for (const host of ['a', 'b']) {
      const units = await sees(host, 'all but c', ({ bound, stops, far }) =>
        [bound, stops, far].every((unit) => unit?.phase === 'up'),
      );
      assert.deepEqual(
        Object.values(units).map((unit) => [unit.name, unit.host]),
        [
          ...([
            'db',
            'b',
            'keeps',
            'a',
            'stops',
            'a',
            'bound',
            'a',
            'late',
            'c',
            'waits',
            'a',
            'far',
            'b',
          ] as const),
        ].flatMap((word, index, all) => (index % 2 === 0 ? [[word, all[index + 1]]] : [])),
      );
      assert.equal(units.waits!.phase, 'blocked');
      assert.equal(units.late!.phase, 'unknown');
      assert.match(units.late!.note!, /host c (has not been heard yet|is silent)/);
    }
  });

  it('lets a unit start when the host that it waits for comes later', async () => {
    await start('c');
    await sees('a', 'the late host', ({ waits, late }) => waits!.phase === 'up' && late!.phase === 'up');
    await sees('c', 'the others', ({ db, keeps }) => db!.phase === 'up' && keeps!.phase === 'up');
  });

  it('carries out orders through the root of the unit, and tells whoever requires it', async () => {
    const before = await sees('c', 'all', ({ keeps, db }) => keeps!.phase === 'up' && db!.phase === 'up');
    const outcome = (await ask('c', 'restart', { unit: 'db' })) as Outcome;
    assert.equal(outcome.phase, 'up');
    assert.notEqual(outcome.pid, before.db!.pid);
    await sees('a', 'the restart', ({ keeps }) => keeps!.phase === 'up' && keeps!.pid !== before.keeps!.pid);
  });

  it('keeps what is up in a partition, stops who wants that, and comes together again', async () => {
    const before = await sees('a', 'all', (units) =>
      Object.values(units).every(({ phase }) => phase === 'up'),
    );
    const asked = ask('a', 'wait', { unit: 'db', state: 'failed' }).catch((error: IpcError) => error.message);
    hosts.cable('b', false);
    const [a, b] = await Promise.all([
      sees(
        'a',
        'the silence',
        ({ stops }, all) => heard(all, 'b') === 'silent' && stops!.phase === 'blocked',
      ),
      sees('b', 'the silence', (_, all) => heard(all, 'a') === 'silent'),
    ]);
    assert.equal(a.db!.phase, 'unknown');
    assert.match(a.db!.note!, /host b is silent for .*; it was operative/);
    assert.match(a.stops!.note!, /db:ready \(host b is silent\)/);
    for (const name of ['keeps', 'bound', 'waits']) assert.equal(a[name]!.pid, before[name]!.pid, name);
    assert.equal(b.db!.pid, before.db!.pid);
    assert.equal(b.keeps!.phase, 'unknown');
    assert.match(
      String(await asked),
      /host b can't be asked: it is silent.*; what was asked may have been done/,
    );
    const refusal = await ask('a', 'stop', { unit: 'db' }).catch((error: IpcError) => error);
    assert.equal((refusal as IpcError).code, 'ERR_HOST_SILENT');
    // It restarts unseen.
    kill(b.db!.pid);
    await sees('b', 'another db', ({ db }) => db!.phase === 'up' && db!.pid !== before.db!.pid);
    hosts.cable('b', true);
    const after = await sees(
      'a',
      'the return',
      ({ db, stops, bound }) =>
        db!.phase === 'up' &&
        stops!.phase === 'up' &&
        bound!.phase === 'up' &&
        bound!.pid !== before.bound!.pid,
    );
    assert.equal(after.keeps!.pid, before.keeps!.pid);
    assert.equal(after.waits!.pid, before.waits!.pid);
    await sees('b', 'the return', ({ keeps }) => keeps!.phase === 'up');
  });

  it('calls a host silent whose root was killed, and knows its next root', async () => {
    const before = await sees('a', 'all', (units) =>
      Object.values(units).every(({ phase }) => phase === 'up'),
    );
    roots.b!.child.kill('SIGKILL');
    const cut = await sees('a', 'the silence', (_, all) => heard(all, 'b') === 'silent');
    assert.equal(cut.db!.phase, 'unknown');
    assert.equal(cut.bound!.pid, before.bound!.pid);
    await start('b');
    const after = await sees(
      'a',
      'the next root',
      ({ db, bound, stops, far }) =>
        [db, bound, stops, far].every((unit) => unit!.phase === 'up') && bound!.pid !== before.bound!.pid,
    );
    assert.equal(after.keeps!.pid, before.keeps!.pid);
    assert.notEqual(after.db!.pid, before.db!.pid);
  });

  it('goes on without its hub, and with it again', async () => {
    const before = await sees('b', 'all', (units) =>
      Object.values(units).every(({ phase }) => phase === 'up'),
    );
    roots.a!.child.kill('SIGKILL');
    const cut = await sees(
      'b',
      'the silence',
      (_, all) => heard(all, 'a') === 'silent' && heard(all, 'c') === 'silent',
    );
    assert.equal(cut.far!.pid, before.far!.pid);
    await start('a');
    for (const host of ['a', 'b', 'c'])
      await sees(host, 'all', (units) => Object.values(units).every(({ phase }) => phase === 'up'));
  });

  it('knows of a root that was taken down in order', async () => {
    const before = await sees('a', 'all', (units) =>
      Object.values(units).every(({ phase }) => phase === 'up'),
    );
    await ask('b', 'down');
    const after = await sees(
      'a',
      'the goodbye',
      ({ bound }, all) => heard(all, 'b') === 'left' && bound!.phase === 'blocked',
    );
    assert.equal(after.db!.phase, 'idle');
    assert.equal(after.keeps!.pid, before.keeps!.pid);
    assert.match(after.bound!.note!, /host b has been taken down/);
  });

  it('takes no host for another one by its certificate', async () => {
    const own = JSON.parse(readFileSync(file, 'utf8'));
    own.hosts.b.tls = own.hosts.c.tls;
    const forged = join(folder.path, 'forged.json');
    writeFileSync(forged, JSON.stringify(own));
    const env = { ACTOR_IPC_RUN_DIR: join(folder.path, 'run-forged'), NO_COLOR: '1' };
    const args = [main, 'run', forged, '--host', 'b', '--workspace', workspaceOf('forged')];
    const root = hosts.node('c', args, env);
    await root.sees('the refusal', (line) => line.includes('its certificate is made out to c, '));
    assert.equal(heard(await status('a'), 'b'), 'left');
  });
});
