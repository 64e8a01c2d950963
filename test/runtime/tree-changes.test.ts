// A running tree that gets another topology: what only the program knows stays, and actors get the code of the new file.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import { addressOf } from '../../src/names.ts';
import { loadAnew } from '../../src/runtime/loader.ts';
import { openWorkspace } from '../../src/runtime/place.ts';
import { Tree } from '../../src/runtime/tree.ts';
import { exec } from '../../src/spec/topology.ts';
import { scratch } from '../cli/command.ts';
import { waitUntil } from '../support/wait-until.ts';

const imports = `
import { actor, defineTopology, exec, supervisor } from '${new URL('../../dist/spec/topology.js', import.meta.url).href}';
import { setup } from '${import.meta.resolve('xstate')}';
`;

describe('a tree with actors that changes', function () {
  this.timeout(90_000);
  const place = scratch();
  const file = join(place.folder, 'topology.mjs');
  const runDirectory = process.env.ACTOR_IPC_RUN_DIR;
  let tree: Tree;

  /** The machine of the one actor begins in that state; `more` children. */
  function write(state: string, more = ''): void {
    writeFileSync(
      file,
      `${imports}
const machine = setup({}).createMachine({ initial: '${state}', states: { ${state}: {} } });
export default defineTopology({ name: 'shop', children: {
  cache: actor(machine),
  kept: actor(setup({}).createMachine({ initial: 'calm', states: { calm: {} } })),
  web: exec('sleep', { args: ['1000'], dependsOn: { cache: { state: 'ready', mode: 'after' } } }),
  pool: supervisor({ strategy: 'dynamic', child: exec('sleep', { args: ['1000'] }) }),
  ${more}
} });
`,
    );
  }
  const unit = (name: string) => tree.status().units.find((each) => each.name === name);
  const apply = async () =>
    (await tree.apply(await loadAnew(file))).changes.map(({ do: what, unit: name, keys }) => [
      what,
      name,
      ...keys,
    ]);

  before(async () => {
    process.env.ACTOR_IPC_RUN_DIR = place.env.ACTOR_IPC_RUN_DIR;
    write('cold');
    tree = new Tree(await loadAnew(file), {
      workspace: openWorkspace(place.workspace),
      log: { debug() {}, info() {}, warn() {}, error() {} },
      onLine: () => {},
    });
    await waitUntil('the tree to be up', () => unit('web')?.phase === 'up' && unit('pool')?.phase === 'up');
    assert.isTrue((await tree.supervision()!.startChild('late', exec('sleep', { args: ['1000'] }))).ok);
    assert.isTrue((await tree.supervision('pool')!.startChild()).ok);
  });
  after(async () => {
    tree.stop();
    await tree.ended;
    if (runDirectory === undefined) delete process.env.ACTOR_IPC_RUN_DIR;
    else process.env.ACTOR_IPC_RUN_DIR = runDirectory;
    place.remove();
  });

  it('is as it should be though its file was loaded again', async () => assert.deepEqual(await apply(), []));

  it('starts the actor anew whose code is another, and nobody else', async () => {
    const { pid } = unit('web')!;
    write('warm');
    assert.deepEqual(await apply(), [['restart', 'cache', 'source']]);
    assert.deepEqual(tree.host.snapshotOf(addressOf('shop/cache/actor'))?.value, 'warm');
    assert.deepInclude(unit('cache'), { phase: 'up', starts: 2 });
    assert.deepInclude(unit('kept'), { phase: 'up', starts: 1 });
    assert.equal(unit('web')!.pid, pid);
  });

  it('keeps the children that a program has added, also those of a pool', async () => {
    const { pid } = unit('late')!;
    write('warm', "more: exec('sleep', { args: ['1000'] }),");
    assert.deepEqual(await apply(), [['add', 'more']]);
    assert.deepInclude(unit('late'), { phase: 'up', pid });
    assert.deepInclude(unit('pool/1'), { phase: 'up', starts: 1 });
  });

  it('takes such a child for one of the file once that names it', async () => {
    const { pid } = unit('late')!;
    write('warm', "late: exec('sleep', { args: ['1000'] }),");
    assert.deepEqual(await apply(), [['remove', 'more']]);
    assert.equal(unit('late')!.pid, pid);
    write('warm');
    assert.deepEqual(await apply(), [['remove', 'late']]);
    assert.isUndefined(unit('late'));
  });
});
