// Secrets in what a running tree tells those who watch it: the records of all its processes, its status, its errors.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { assert } from 'chai';
import type { Log } from '../../src/actors/hosting.ts';
import { openWorkspace } from '../../src/runtime/place.ts';
import { Tree } from '../../src/runtime/tree.ts';
import { defineTopology, exec, node, secret } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';
import { scratch } from '../cli/command.ts';
import { waitUntil } from '../support/wait-until.ts';

const mark = 'marked-secret-that-nobody-may-see';

describe('what a tree with a secret tells', function () {
  this.timeout(120_000);
  const place = scratch();
  const told: unknown[] = [];
  const note = (...words: unknown[]) => void told.push(words);
  const log: Log = { debug: note, info: note, warn: note, error: note };
  const { ACTOR_IPC_RUN_DIR: runDirectory } = process.env;
  let tree: Tree;

  before(async () => {
    process.env.ACTOR_IPC_RUN_DIR = place.env.ACTOR_IPC_RUN_DIR;
    process.env.MARKED = mark;
    mkdirSync(place.folder, { recursive: true });
    writeFileSync(
      join(place.folder, 'child.mjs'),
      'if (process.env.TOKEN === undefined) throw new Error("no token"); setInterval(() => {}, 1e6);',
    );
    const env = { TOKEN: secret('MARKED') };
    const topology = defineTopology({
      name: 'vault',
      children: {
        child: node('./child.mjs', { env }),
        plain: exec('sleep', { args: ['1000'], env }),
        missing: exec('sleep', {
          args: ['1000'],
          env: { TOKEN: secret('NOT_SET_ANYWHERE') },
          restart: 'temporary',
        }),
      },
    });
    tree = new Tree(checkTopology(topology, join(place.folder, 'topology.mjs')), {
      workspace: openWorkspace(place.workspace),
      log,
      onLine: note,
    });
    tree.watch((unit, epoch, record) => note(unit, epoch, record));
    const phaseOf = (name: string) => tree.status().units.find((unit) => unit.name === name)?.phase;
    await waitUntil('both to be up', () => phaseOf('child') === 'up' && phaseOf('plain') === 'up', 40_000);
  });
  after(async () => {
    delete process.env.MARKED;
    tree.stop();
    await tree.ended;
    if (runDirectory === undefined) delete process.env.ACTOR_IPC_RUN_DIR;
    else process.env.ACTOR_IPC_RUN_DIR = runDirectory;
    place.remove();
  });

  it('has it nowhere: not in records, log, status or errors', async () => {
    const orders = [() => tree.operator.start('nobody'), () => tree.operator.reload('missing')];
    const errors = await Promise.all(
      orders.map(async (order) => order()).map((order) => order.catch((error: unknown) => error)),
    );
    told.push(tree.status(), await tree.survey(), errors, tree.topology);
    const text = inspect(told, { depth: 30, maxArrayLength: null, maxStringLength: null });
    assert.include(text, "k: 'transition'", 'there are records');
    assert.include(text, "secret: 'MARKED'", 'its name is there');
    assert.notInclude(text, mark);
  });
});
