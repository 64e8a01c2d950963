// Actors in a tree beside real processes: gates on their states, and the calls of the supervisors among them.
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import type { Log } from '../../src/actors/hosting.ts';
import { addressOf } from '../../src/names.ts';
import { loadTopology } from '../../src/runtime/loader.ts';
import { openWorkspace } from '../../src/runtime/place.ts';
import { createRuntime } from '../../src/runtime/process-runtime.ts';
import { Tree } from '../../src/runtime/tree.ts';
import { actor } from '../../src/spec/topology.ts';
import { scratch } from '../cli/command.ts';
import { polite, type WorkerEvent } from '../support/machines/actors.ts';
import { waitUntil } from '../support/wait-until.ts';

const file = fileURLToPath(new URL('../fixtures/supervision/topology.ts', import.meta.url));

describe('a tree with actors', function () {
  this.timeout(90_000);
  const place = scratch();
  const runDirectory = process.env.ACTOR_IPC_RUN_DIR;
  const logged: { facts: Record<string, unknown>; message: string }[] = [];
  const note = (facts: object, message: string) => void logged.push({ facts: { ...facts }, message });
  const log: Log = { debug: note, info: note, warn: note, error: note };
  let tree: Tree;

  before(async () => {
    process.env.ACTOR_IPC_RUN_DIR = place.env.ACTOR_IPC_RUN_DIR;
    tree = new Tree(await loadTopology(file), {
      workspace: openWorkspace(place.workspace),
      log,
      onLine: () => {},
    });
  });
  after(async () => {
    tree.stop();
    await tree.ended;
    if (runDirectory === undefined) delete process.env.ACTOR_IPC_RUN_DIR;
    else process.env.ACTOR_IPC_RUN_DIR = runDirectory;
    place.remove();
  });

  const unit = (name: string) => tree.status().units.find((each) => each.name === name)!;

  it('starts a process once an actor is in its state', async () => {
    await waitUntil('web to be up', () => unit('web').phase === 'up');
    assert.equal(unit('cache').state, 'warm');
    assert.equal(unit('cache').kind, 'actor');
    const gate = logged.filter(({ facts }) => facts.unit === 'shop/web' && facts.gate !== undefined);
    assert.deepEqual(
      gate.map(({ facts }) => facts.gate),
      ['closed', 'opened'],
    );
  });

  it('hears of the states of an actor whose start function answers later', () =>
    waitUntil('it to be warm', () => unit('late').state === 'warm'));

  it('takes a bound process down when the actor crashes, and up again once it is back in its state', async () => {
    const { pid } = unit('web');
    tree.host.send(addressOf('shop/cache/actor'), { type: 'fail' });
    await waitUntil('web to be up again', () => unit('web').phase === 'up' && unit('web').pid !== pid);
    assert.equal(unit('cache').starts, 2);
    const exit = logged.find(({ facts }) => facts.unit === 'shop/cache' && facts.verdict === 'restart')!;
    assert.deepInclude(exit.facts.exit as object, { class: 'abnormal', reason: 'it fell' });
  });

  it('has the supervisors of its actors do what they are asked', async () => {
    const pool = tree.supervision('pool')!;
    const answers = [await pool.startChild(), await pool.startChild()];
    assert.deepInclude(await pool.countChildren(), { active: 2 });
    assert.deepEqual(unit('pool').actors, {
      shown: ['#1', '#2'].map((name) => ({ name, kind: 'actor' as const, phase: 'up', starts: 1 })),
      more: false,
    });
    const [first, second] = answers.map((answer) => (answer.ok ? answer.ref! : assert.fail()));
    first!.send({ type: 'fail' });
    assert.equal(first!.epoch, 2);
    const report = logged.find(({ facts }) => facts.unit === 'shop/pool/#1' && facts.exit !== undefined)!;
    assert.deepInclude(report.facts, { context: 'child-terminated', verdict: 'restart', restartsLeft: 0 });
    assert.deepInclude(report.facts.offender as object, { kind: 'actor', restart: 'transient' });
    second!.send({ type: 'fail' });
    await waitUntil(
      'the pool to start again',
      () => unit('pool').starts === 2 && unit('pool').phase === 'up',
    );
    assert.deepInclude(await tree.supervision('pool')!.countChildren(), { active: 0 });
  });
});

describe('createRuntime().supervise()', () => {
  const place = scratch();
  after(() => place.remove());
  const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };
  const open = () => createRuntime({ log: silent, runDirectory: place.folder });
  const codeOf = async (call: Promise<unknown>) =>
    call.then(
      () => assert.fail(),
      ({ code }: { code: string }) => code,
    );
  const tell = (ref: { send(event: WorkerEvent): boolean }, type: WorkerEvent['type']) => ref.send({ type });

  it('starts a supervisor, which ends with its runtime', async () => {
    const runtime = open();
    const shop = await runtime.supervise('shop', { children: { a: actor(polite) } });
    assert.deepInclude(await shop.countChildren(), { active: 1 });
    await runtime.stop();
    await shop.ended;
    assert.deepEqual(runtime.host.addresses, []);
  });

  it('rejects with ERR_CHILD_START if a child does not start, with what is wrong with the description', async () => {
    const runtime = open();
    const fails = () => {
      throw new Error('no luck');
    };
    const children = { a: actor(polite), b: actor(fails) };
    assert.equal(await codeOf(runtime.supervise('shop', { children })), 'ERR_CHILD_START');
    assert.equal(
      await codeOf(runtime.supervise('shop', { children: { a: 7 as never } })),
      'ERR_TOPOLOGY_INVALID',
    );
    assert.equal(await codeOf(runtime.supervise('a shop', { children })), 'ERR_TOPOLOGY_INVALID');
    await runtime.stop();
    assert.equal(await codeOf(runtime.supervise('shop', { children })), 'ERR_STOPPING');
  });

  it('ends with ERR_RESTART_LIMIT if it gives up', async () => {
    const runtime = open();
    await using shop = await runtime.supervise('shop', { intensity: 0, children: { a: actor(polite) } });
    const [entry] = await shop.whichChildren();
    tell(entry!.ref!, 'crash');
    assert.equal(await codeOf(shop.ended), 'ERR_RESTART_LIMIT');
    await runtime.stop();
  });
});
