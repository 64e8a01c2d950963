// The calls of supervisors of processes at run time, with OTP's answers, on real programs.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import type { Log } from '../../src/actors/hosting.ts';
import { type ErrorCode, IpcError } from '../../src/errors.ts';
import { openWorkspace } from '../../src/runtime/place.ts';
import { Tree } from '../../src/runtime/tree.ts';
import { defineTopology, exec, supervisor } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';
import { scratch } from '../cli/command.ts';
import { waitUntil } from '../support/wait-until.ts';

const sleeper = (options: Parameters<typeof exec>[1] = {}) => exec('sleep', { args: ['1000'], ...options });
const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

async function throwsCode(code: ErrorCode, call: () => Promise<unknown>): Promise<void> {
  const error = await call().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  assert.instanceOf(error, IpcError);
  assert.equal((error as IpcError).code, code);
}

describe('a supervisor of processes', function () {
  this.timeout(90_000);
  const place = scratch();
  const runDirectory = process.env.ACTOR_IPC_RUN_DIR;
  let tree: Tree;
  const unit = (name: string) => tree.status().units.find((each) => each.name === name);
  const root = () => tree.supervision()!;
  const pool = () => tree.supervision('pool')!;

  before(async () => {
    process.env.ACTOR_IPC_RUN_DIR = place.env.ACTOR_IPC_RUN_DIR;
    const topology = defineTopology({
      name: 'shop',
      children: {
        first: sleeper(),
        pool: supervisor({
          strategy: 'dynamic',
          child: exec('sh', { args: ['-c', 'exec sleep "$1"', 'sh'] }),
        }),
      },
    });
    tree = new Tree(checkTopology(topology, join(place.folder, 'topology.mjs')), {
      workspace: openWorkspace(place.workspace),
      log: silent,
      onLine: () => {},
    });
    await waitUntil('the tree to be up', () => unit('pool')?.phase === 'up' && unit('first')?.phase === 'up');
  });
  after(async () => {
    tree.stop();
    await tree.ended;
    if (runDirectory === undefined) delete process.env.ACTOR_IPC_RUN_DIR;
    else process.env.ACTOR_IPC_RUN_DIR = runDirectory;
    place.remove();
  });

  it('starts one more child, and answers when it is up', async () => {
    const answer = await root().startChild('second', sleeper({ dependsOn: { first: 'ready' } }));
    assert.isTrue(answer.ok);
    assert.equal(unit('second')!.phase, 'up');
    assert.equal(answer.ref?.phase, 'up');
    assert.deepInclude(answer.ref?.getSnapshot(), { pid: unit('second')!.pid });
  });

  it('refuses a name that is taken', async () => {
    const again = await root().startChild('second', sleeper());
    assert.deepInclude(again, { ok: false, error: 'already-started' });
    assert.deepEqual(await root().terminateChild('second'), { ok: true });
    assert.deepEqual(await root().startChild('second', sleeper()), { ok: false, error: 'already-present' });
  });

  it('starts again what is down, and forgets it', async () => {
    assert.isTrue((await root().restartChild('second')).ok);
    assert.deepEqual(await root().restartChild('second'), { ok: false, error: 'running' });
    assert.deepEqual(await root().deleteChild('second'), { ok: false, error: 'running' });
    const { pid } = unit('second')!;
    await root().terminateChild('second');
    assert.isFalse(existsSync(`/proc/${pid}`));
    assert.deepEqual(await root().deleteChild('second'), { ok: true });
    assert.deepEqual(await root().deleteChild('second'), { ok: false, error: 'not-found' });
    assert.isUndefined(unit('second'));
  });

  it('forgets a child whose first start fails, and says why', async () => {
    for (const child of [exec('false', { ready: { log: 'up' } }), exec('there-is-no-such-program')]) {
      const { ok, error } = (await root().startChild('ill', child)) as { ok: boolean; error?: object };
      assert.isFalse(ok);
      assert.property(error, 'failed');
      assert.isUndefined(unit('ill'));
    }
  });

  it('refuses what could never run, with its reason', async () => {
    const wrong = [
      { kind: 'exec' },
      sleeper({ dependsOn: { nobody: 'ready' } }),
      sleeper({ significant: true, restart: 'transient' }),
    ];
    for (const child of wrong)
      await throwsCode('ERR_TOPOLOGY_INVALID', () => root().startChild('wrong', child as never));
    await throwsCode('ERR_TOPOLOGY_INVALID', () => root().startChild('no name', sleeper()));
    assert.deepEqual((await root().countChildren()).specs, 2);
  });

  it('says a child restarts while it waits for its backoff', async () => {
    await root().startChild('stormy', sleeper({ backoff: { minMs: 20_000, maxMs: 20_000 } }));
    process.kill(unit('stormy')!.pid!, 'SIGKILL');
    await waitUntil('its backoff', () => unit('stormy')?.phase === 'backoff');
    assert.deepEqual(await root().restartChild('stormy'), { ok: false, error: 'restarting' });
    assert.deepEqual(await root().terminateChild('stormy'), { ok: true });
    assert.deepEqual(await root().deleteChild('stormy'), { ok: true });
  });

  it('knows a temporary child no more once it is stopped', async () => {
    await root().startChild('brief', sleeper({ restart: 'temporary' }));
    assert.deepEqual(await root().terminateChild('brief'), { ok: true });
    assert.deepEqual(await root().terminateChild('brief'), { ok: false, error: 'not-found' });
    assert.isTrue((await root().startChild('brief', sleeper({ restart: 'temporary' }))).ok);
    await root().terminateChild('brief');
  });

  it('names its children, the newest first', async () => {
    assert.deepEqual(
      (await root().whichChildren()).map(({ id, phase, type }) => [id, phase, type]),
      [
        ['pool', 'up', 'supervisor'],
        ['first', 'up', 'worker'],
      ],
    );
    assert.deepEqual(await root().countChildren(), { specs: 2, active: 2, supervisors: 1, workers: 1 });
    assert.deepEqual(await root().getChildSpec('first'), {
      ok: true,
      spec: {
        id: 'first',
        kind: 'exec',
        type: 'worker',
        restart: 'permanent',
        significant: false,
        shutdown: 5_000,
      },
    });
  });

  it('makes children of a pool from its template, known by their refs', async () => {
    const one = await pool().startChild({ args: ['2000'] });
    const two = await pool().startChild({ args: ['2001'], env: { COLOUR: 'red' } });
    assert.isTrue(one.ok && two.ok);
    assert.deepEqual(await pool().countChildren(), { specs: 1, active: 2, supervisors: 0, workers: 2 });
    assert.deepEqual(await pool().terminateChild('1'), { ok: false, error: 'dynamic' });
    assert.deepEqual(await pool().terminateChild(one.ref!), { ok: true });
    assert.deepEqual(await pool().terminateChild(one.ref!), { ok: false, error: 'not-found' });
    assert.equal(one.ref!.phase, 'removed');
    assert.deepEqual(await pool().restartChild(two.ref!), { ok: false, error: 'dynamic' });
    await throwsCode('ERR_TOPOLOGY_INVALID', () => pool().startChild({ colour: 'red' }));
  });

  it('restarts a child of a pool that crashes', async () => {
    const [{ ref } = { ref: null }] = await pool().whichChildren();
    const { pid } = ref!.getSnapshot() as { pid: number };
    process.kill(pid, 'SIGKILL');
    await waitUntil('the next process', () => ref!.epoch === 2 && ref!.phase === 'up');
    assert.equal((ref!.getSnapshot() as { pid: number }).pid !== pid, true);
  });

  it('has none of a pool left when its supervisor restarts', async () => {
    await tree.operator.restart('pool');
    assert.deepEqual(await pool().whichChildren(), []);
    assert.isTrue((await pool().startChild({ args: ['2002'] })).ok);
  });

  it('refuses calls once it is ending, and whoever waits for a child then', async () => {
    const supervision = root();
    const starting = supervision.startChild('slow', sleeper({ ready: { log: 'never' } }));
    await waitUntil('the child to start', () => unit('slow')?.phase === 'starting');
    const failed = throwsCode('ERR_STOPPING', () => starting);
    tree.stop();
    await throwsCode('ERR_STOPPING', () => supervision.startChild('late', sleeper()));
    await failed;
    await tree.ended;
  });
});
