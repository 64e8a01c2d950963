// What the relay soak kills: the nodes of one relay tier, each a process: a relay, its sibling, and two that relieve it.
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { LinkTimes } from '../../src/spec/relay-link.ts';
import { nodeDefaults, type RelayNodeSpec, tableDefaults } from '../../src/spec/relay-node.ts';
import { waitUntil } from '../support/wait-until.ts';

export const tierSeed = '9849381';
export const tierTimes: Partial<LinkTimes> = {
  beatMs: 200,
  silentBeatsMax: 5,
  backoff: { minMs: 10, maxMs: 100, jitter: 0.5 },
  resumeMs: 5_000,
  drainTimeoutMs: 500,
};
/** A node is a whole Node.js process, and the machine may have better things to do. */
const wholeMs = 120_000;
const victimFile = fileURLToPath(new URL('relay-victim.mjs', import.meta.url));

interface Node {
  readonly spec: RelayNodeSpec;
  child: ChildProcess;
  state: string;
}

export class RelayTier {
  readonly path: string;
  readonly #folder: string;
  readonly #errors: number;
  readonly #nodes: Node[];

  /** @param errors the descriptor to which the nodes complain. */
  constructor(folder: string, errors: number) {
    this.#folder = folder;
    this.path = join(folder, 'relay.sock');
    this.#errors = errors;
    const siblings = join(folder, 'relay-sibling.sock');
    const relief = join(folder, 'sibling.sock');
    const common = { cluster: '', seed: tierSeed, times: tierTimes };
    const aging = (node: string): RelayNodeSpec => ({
      ...common,
      ...{ role: 'aging', node, sibling: { endpoint: { path: relief } }, table: tableDefaults },
    });
    this.#nodes = (
      [
        {
          ...common,
          ...{
            role: 'relay',
            node: 'relay',
            listen: [{ path: this.path }],
            siblingListen: { path: siblings },
          },
          ...{ highWater: nodeDefaults.highWater, fetchTimeoutMs: 500 },
          // Most of what it is told has no room there.
          table: { ...tableDefaults, capacity: 30 },
        },
        {
          ...common,
          ...nodeDefaults,
          ...{ role: 'sibling', node: 'sibling', listen: [{ path: relief }], fetchTimeoutMs: 500 },
          relay: { endpoint: { path: siblings } },
          tombstonesMax: 10_000,
        },
        aging('aging-1'),
        aging('aging-2'),
      ] as RelayNodeSpec[]
    ).map((spec) => this.#start({ spec, state: 'new' } as Node));
  }

  get size(): number {
    return this.#nodes.length;
  }

  roleOf(index: number): RelayNodeSpec['role'] {
    return this.#nodes[index]!.spec.role;
  }

  /** Each node has its neighbours. */
  whole(): Promise<unknown> {
    return waitUntil(
      'all nodes to be whole',
      () => this.#nodes.every(({ state }) => state === 'operative.whole'),
      wholeMs,
    ).catch((error: Error) => {
      throw new Error(`${error.message}: ${this.#nodes.map(({ state }) => state).join(', ')}`);
    });
  }

  signal(index: number, signal: NodeJS.Signals): void {
    this.#nodes[index]!.child.kill(signal);
  }

  /** Kills a node and starts it again. @returns whether it was the kill that it died of. */
  async kill(index: number): Promise<boolean> {
    const node = this.#nodes[index]!;
    const killed = await end(node.child);
    this.#start(node);
    return killed;
  }

  async close(): Promise<void> {
    await Promise.all(this.#nodes.map(({ child }) => end(child)));
  }

  #start(node: Node): Node {
    const child = spawn(process.execPath, [victimFile, JSON.stringify(node.spec)], {
      stdio: ['ignore', 'pipe', this.#errors],
      // Their tables stand there, by the names of the nodes.
      env: { ...process.env, ACTOR_IPC_RUN_DIR: this.#folder },
    });
    node.child = child;
    node.state = 'starting';
    child.stdout!.setEncoding('utf8').on('data', (text: string) => {
      if (node.child === child) node.state = text.trimEnd().split('\n').at(-1)!;
    });
    return node;
  }
}

async function end(child: ChildProcess): Promise<boolean> {
  const ended = new Promise<boolean>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve(false);
    else child.once('exit', (_, signal) => resolve(signal === 'SIGKILL'));
  });
  child.kill('SIGKILL');
  return ended;
}
