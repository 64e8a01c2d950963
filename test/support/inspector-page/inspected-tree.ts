// Inspected tree: a tree of real processes in this one, whose workspace and sockets are nobody else's.
import { join } from 'node:path';
import type { Log } from '../../../src/actors/hosting.ts';
import { openWorkspace } from '../../../src/runtime/place.ts';
import { Tree } from '../../../src/runtime/tree.ts';
import type { TopologyInput } from '../../../src/spec/topology.ts';
import { checkTopology } from '../../../src/spec/topology-check.ts';
import { scratch } from '../../cli/command.ts';
import { waitUntil } from '../wait-until.ts';

const silent: Log = { debug() {}, info() {}, warn() {}, error() {} };

export class InspectedTree implements AsyncDisposable {
  readonly tree: Tree;
  readonly #place = scratch();
  readonly #runDirectory = process.env.ACTOR_IPC_RUN_DIR;

  /** @returns once all units are up. */
  static async start(name: string, children: TopologyInput['children']): Promise<InspectedTree> {
    const started = new InspectedTree(name, children);
    await waitUntil(
      'the tree to be up',
      () => started.tree.status().units.every(({ phase, state }) => phase === 'up' && state === 'operative'),
      40_000,
    );
    return started;
  }

  private constructor(name: string, children: TopologyInput['children']) {
    const { env, folder, workspace } = this.#place;
    process.env.ACTOR_IPC_RUN_DIR = env.ACTOR_IPC_RUN_DIR;
    const topology = checkTopology({ name, children }, join(folder, 'topology.ts'));
    this.tree = new Tree(topology, { workspace: openWorkspace(workspace), log: silent, onLine: () => {} });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.tree.stop();
    await this.tree.ended;
    if (this.#runDirectory === undefined) delete process.env.ACTOR_IPC_RUN_DIR;
    else process.env.ACTOR_IPC_RUN_DIR = this.#runDirectory;
    this.#place.remove();
  }
}
