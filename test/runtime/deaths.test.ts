// Real programs that die by SIGKILL wherever the life of their unit is: it comes back, or goes where it was told to, and nothing
// of it is left.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import type { Log } from '../../src/actors/hosting.ts';
import { IpcError } from '../../src/errors.ts';
import { openWorkspace } from '../../src/runtime/place.ts';
import { Tree } from '../../src/runtime/tree.ts';
import { defineTopology, type ExecOptions, exec } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';
import { processesWith, scratch } from '../cli/command.ts';
import { waitUntil } from '../support/wait-until.ts';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

describe('a program that dies', function () {
  this.timeout(120_000);
  const place = scratch();
  const runDirectory = process.env.ACTOR_IPC_RUN_DIR;
  const at = (name: string) => join(place.folder, name);
  let tree: Tree;

  const shell = (script: string, options: ExecOptions = {}) =>
    exec('sh', {
      args: ['-c', script],
      cwd: place.folder,
      shutdown: 20_000,
      backoff: { minMs: 20, maxMs: 20, jitter: 0 },
      giveUp: { restarts: 100, periodMs: 1_000 },
      ...options,
    });
  const deaf = 'trap "" TERM; ';
  const forever = 'while :; do sleep 0.05; done';
  const sayReady = (name: string) =>
    `until [ -e ${name}.go ]; do sleep 0.02; done; echo ready; exec sleep 1000`;

  const unit = (name: string) => tree.status().units.find((each) => each.name === name)!;
  const comes = (name: string, phase: string, starts = 0) =>
    waitUntil(`${name} to be ${phase}`, () => {
      const found = unit(name);
      return found.phase === phase && found.starts >= starts && found;
    });
  const kill = (pid: number | null) => process.kill(pid!, 'SIGKILL');
  const go = (name: string) => writeFileSync(at(`${name}.go`), '');
  const isGone = (pid: number | null) => waitUntil('its end', () => !existsSync(`/proc/${pid}`));

  before(async () => {
    process.env.ACTOR_IPC_RUN_DIR = place.env.ACTOR_IPC_RUN_DIR;
    const topology = defineTopology({
      name: 'deaths',
      children: {
        starting: shell(sayReady('starting'), { ready: { log: 'ready' } }),
        probed: shell('exec sleep 1000', { ready: { exec: ['test', '-e', at('probed.go')] } }),
        watched: shell('exec sleep 1000', {
          liveness: { exec: ['sh', '-c', `touch ${at('looks')}; exec sleep 1001`], timeoutMs: 600_000 },
        }),
        seen: shell(`exec sleep 1000`, { ready: { condition: 'uptimeMs > 600000' } }),
        up: shell('exec sleep 1000'),
        minded: shell('exec sleep 1000'),
        deaf: shell(deaf + forever),
        restarted: shell(deaf + forever),
        leaving: shell(`${deaf}(${forever}) & echo $! > left; exit 0`, { restart: 'transient' }),
        waiting: shell('exit 1', { restart: 'transient', backoff: { minMs: 600_000, maxMs: 600_000 } }),
        patient: shell('[ -e patient.go ] || exit 1; exec sleep 1000', {
          backoff: { minMs: 600_000, maxMs: 600_000 },
        }),
        reloaded: shell(`[ -e second ] && exit 3; touch second; echo ready; exec sleep 1000`, {
          ready: { log: 'ready' },
        }),
        relieved: shell(
          `[ -e third ] && { ${sayReady('relieved')}; }; touch third; echo ready; exec sleep 1000`,
          {
            ready: { log: 'ready' },
          },
        ),
        bound: shell('exec sleep 1000', { dependsOn: { up: { state: 'operative', mode: 'bind' } } }),
      },
    });
    tree = new Tree(checkTopology(topology, at('topology.mjs')), {
      workspace: openWorkspace(place.workspace),
      log: silent,
      onLine: () => {},
    });
    await comes('bound', 'up');
  });
  after(async () => {
    tree.force();
    await tree.ended;
    if (runDirectory === undefined) delete process.env.ACTOR_IPC_RUN_DIR;
    else process.env.ACTOR_IPC_RUN_DIR = runDirectory;
    assert.deepEqual(processesWith(place.folder), []);
    place.remove();
  });

  for (const name of ['starting', 'probed'])
    it(`before it is ready (${name}) is started again, and is ready then`, async () => {
      const { pid } = await comes(name, 'starting');
      kill(pid);
      const next = await comes(name, 'starting', 2);
      assert.notEqual(next.pid, pid);
      go(name);
      await comes(name, 'up', 2);
    });

  it('while a condition is looked for is looked at no more', async () => {
    const { pid } = await comes('seen', 'starting');
    kill(pid);
    await comes('seen', 'starting', 2);
    await tree.operator.stop('seen');
    assert.equal(unit('seen').phase, 'idle');
  });

  it('while a probe looks at it takes the probe along', async () => {
    const { pid } = await comes('watched', 'up');
    await waitUntil('a look', () => existsSync(at('looks')));
    // A minder, the program, and what looks at it.
    const all = () => processesWith('ACTOR_IPC_UNIT=deaths/watched').length;
    await waitUntil('its program', () => all() === 3);
    rmSync(at('looks'));
    kill(pid);
    await comes('watched', 'up', 2);
    await waitUntil('the next look', () => existsSync(at('looks')));
    await waitUntil('the first one to be gone', () => all() === 3);
  });

  it('while it is up comes up again, and who is bound to it too', async () => {
    const { pid } = await comes('up', 'up');
    const bound = await comes('bound', 'up');
    kill(pid);
    await comes('up', 'up', 2);
    const next = await comes('bound', 'up', 2);
    assert.notEqual(next.pid, bound.pid);
  });

  it('with its minder comes up again', async () => {
    const { pid } = await comes('minded', 'up');
    const minder = Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]);
    kill(minder);
    await comes('minded', 'up', 2);
    await isGone(pid);
  });

  it('while it is stopping has stopped', async () => {
    const { pid } = await comes('deaf', 'up');
    const stopped = tree.operator.stop('deaf');
    await comes('deaf', 'stopping');
    kill(pid);
    assert.equal((await stopped).phase, 'idle');
    await isGone(pid);
  });

  it('while it is stopping for a restart comes up again', async () => {
    const { pid } = await comes('restarted', 'up');
    const restarted = tree.operator.restart('restarted');
    await comes('restarted', 'stopping');
    kill(pid);
    assert.deepInclude(await restarted, { phase: 'up', starts: 2 });
  });

  it('as the last of what it left behind has completed', async () => {
    await comes('leaving', 'draining');
    kill(Number(readFileSync(at('left'), 'utf8')));
    await comes('leaving', 'completed');
  });

  it('and waits for its backoff is down at a stop, and up at a restart, at once', async () => {
    await comes('waiting', 'backoff');
    await comes('patient', 'backoff');
    assert.equal((await tree.operator.stop('waiting')).phase, 'idle');
    go('patient');
    assert.equal((await tree.operator.restart('patient')).phase, 'up');
  });

  it('as the one that should replace another leaves that one alone', async () => {
    const { pid } = await comes('reloaded', 'up');
    const error = await tree.operator.reload('reloaded').then(
      () => undefined,
      (reason: unknown) => reason,
    );
    assert.instanceOf(error, IpcError);
    assert.match((error as Error).message, /it ended with code 3/);
    assert.deepInclude(unit('reloaded'), { pid, phase: 'up' });
  });

  it('while another one comes up to replace it is started again, and nobody twice', async () => {
    const { pid } = await comes('relieved', 'up');
    const reload = tree.operator.reload('relieved').catch(() => undefined);
    const all = () => processesWith('ACTOR_IPC_UNIT=deaths/relieved').length;
    await waitUntil('two processes of it, each with a minder', () => all() >= 4);
    kill(pid);
    go('relieved');
    const next = await comes('relieved', 'up', 2);
    await reload;
    await waitUntil('one process of it', () => all() === 2);
    assert.notEqual(next.pid, pid);
  });
});

describe('a second request for the end', function () {
  this.timeout(120_000);
  const place = scratch();
  const runDirectory = process.env.ACTOR_IPC_RUN_DIR;
  const forever = 'while :; do sleep 0.05; done';
  const shell = (script: string, options: ExecOptions = {}) =>
    exec('sh', { args: ['-c', script], cwd: place.folder, shutdown: 600_000, ...options });

  before(() => {
    process.env.ACTOR_IPC_RUN_DIR = place.env.ACTOR_IPC_RUN_DIR;
  });
  after(() => {
    if (runDirectory === undefined) delete process.env.ACTOR_IPC_RUN_DIR;
    else process.env.ACTOR_IPC_RUN_DIR = runDirectory;
    place.remove();
  });

  it('leaves nothing, wherever the life of each unit is', async () => {
    const topology = defineTopology({
      name: 'ends',
      children: {
        up: shell('exec sleep 1000'),
        starting: shell('exec sleep 1000', { ready: { log: 'never' }, startTimeoutMs: 600_000 }),
        probed: shell('exec sleep 1000', { ready: { tcp: 1 }, startTimeoutMs: 600_000 }),
        seen: shell('exec sleep 1000', {
          ready: { condition: 'len(fp.listen) > 0' },
          startTimeoutMs: 600_000,
        }),
        blocked: shell('exec sleep 1000', { dependsOn: { starting: 'operative' } }),
        backoff: shell('exit 1', { backoff: { minMs: 600_000, maxMs: 600_000 } }),
        draining: shell(`trap "" TERM; (${forever}) & exit 0`),
        stopping: shell(`trap "" TERM; ${forever}`),
        reloading: shell(`[ -e one ] && exec sleep 1000; touch one; echo ready; exec sleep 1000`, {
          ready: { log: 'ready' },
          startTimeoutMs: 600_000,
        }),
        completed: shell('exit 0', { restart: 'transient' }),
      },
    });
    const tree = new Tree(checkTopology(topology, join(place.folder, 'topology.mjs')), {
      workspace: openWorkspace(place.workspace),
      log: silent,
      onLine: () => {},
    });
    const phases = () => Object.fromEntries(tree.status().units.map(({ name, phase }) => [name, phase]));
    await waitUntil('those that come up', () => phases().reloading === 'up' && phases().stopping === 'up');
    void tree.operator.stop('stopping').catch(() => {});
    void tree.operator.reload('reloading').catch(() => {});
    const expected = {
      up: 'up',
      starting: 'starting',
      probed: 'starting',
      seen: 'starting',
      blocked: 'blocked',
      backoff: 'backoff',
      draining: 'draining',
      stopping: 'stopping',
      reloading: 'up',
      completed: 'completed',
    };
    await waitUntil(
      'all to be where they should be',
      () => JSON.stringify(phases()) === JSON.stringify(expected),
    );
    const all = () => processesWith('ACTOR_IPC_UNIT=ends/reloading').length;
    await waitUntil('the process that comes up beside another one, each with a minder', () => all() >= 4);
    tree.stop();
    tree.force();
    assert.deepInclude(await tree.ended, { unkillable: [] });
    assert.deepEqual(processesWith(place.folder), []);
  });
});
