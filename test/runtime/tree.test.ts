// A tree in this process: real children, watched from inside.
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import type { Log } from '../../src/actors/hosting.ts';
import type { FeedRecord } from '../../src/runtime/feed.ts';
import { openWorkspace } from '../../src/runtime/place.ts';
import { Tree } from '../../src/runtime/tree.ts';
import { node } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';
import { scratch } from '../cli/command.ts';
import { waitUntil } from '../support/wait-until.ts';

const player = fileURLToPath(new URL('../fixtures/actors/player.ts', import.meta.url));

interface LogLine {
  readonly level: string;
  readonly facts: { flight?: string[]; unit?: string };
  readonly message: string;
}

describe('a tree', function () {
  this.timeout(90_000);
  const place = scratch();
  const runDirectory = process.env.ACTOR_IPC_RUN_DIR;
  const lines: LogLine[] = [];
  const seen: { unit: string | null; epoch: number; record: FeedRecord }[] = [];
  let tree: Tree;
  let unwatch: () => void;

  const note = (level: string) => (facts: object, message: string) =>
    void lines.push({ level, facts, message });
  const log: Log = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error') };

  before(() => {
    process.env.ACTOR_IPC_RUN_DIR = place.env.ACTOR_IPC_RUN_DIR;
    const topology = checkTopology(
      {
        name: 'court',
        children: {
          wall: node(player, { args: ['serve'] }),
          player: node(player, { args: ['burst'], dependsOn: { wall: 'operative' }, backoff: { minMs: 10 } }),
        },
      },
      join(place.folder, 'topology.ts'),
    );
    tree = new Tree(topology, { workspace: openWorkspace(place.workspace), log, onLine: () => {} });
  });

  after(async () => {
    tree.stop();
    await tree.ended;
    if (runDirectory === undefined) delete process.env.ACTOR_IPC_RUN_DIR;
    else process.env.ACTOR_IPC_RUN_DIR = runDirectory;
    place.remove();
  });

  const operative = () =>
    tree.status().units.every(({ phase, state }) => phase === 'up' && state === 'operative');

  it('shows a late watcher the actors of all processes, with their charts', async () => {
    await waitUntil('the tree to be up', operative);
    unwatch = tree.watch((unit, epoch, record) => seen.push({ unit, epoch, record }));
    const actors = (of: string | null) =>
      seen.flatMap(({ unit, record }) =>
        unit === of && record.k === 'actor' ? [record.actor as string] : [],
      );
    // The client is operative a moment before the server's session has its channels.
    const open = () => actors('wall').includes('wall/session#1/balls') && actors('player').length > 0;
    await waitUntil('their actors', open);
    assert.includeMembers(actors(null), ['supervisor', 'court/wall', 'court/player']);
    assert.includeMembers(actors('wall'), [
      'wall',
      'wall/listener',
      'wall/session#1',
      'wall/session#1/balls',
    ]);
    assert.includeMembers(actors('player'), ['player-wall', 'player-wall/app-session#1/machine']);
    const charts = new Set(seen.flatMap(({ record }) => (record.k === 'chart' ? [record.hash] : [])));
    for (const { record } of seen)
      if (record.k === 'actor' && record.chart !== null)
        assert.isTrue(charts.has(record.chart), record.actor);
  });

  it('shows what happens in each process, and in the root, when one is killed', async () => {
    const from = seen.length;
    process.kill(tree.status().units[1]!.pid!, 'SIGKILL');
    const transition = (of: string | null, actor: string, value: unknown) => () =>
      seen
        .slice(from)
        .some(
          ({ unit, record }) =>
            unit === of &&
            record.k === 'transition' &&
            record.actor === actor &&
            JSON.stringify(record.value) === JSON.stringify(value),
        );
    await waitUntil('the session to be hosed', transition('wall', 'wall/session#1', 'hosed'));
    await waitUntil('the report', () =>
      seen.slice(from).some(({ unit, record }) => unit === null && record.k === 'report'),
    );
    await waitUntil('the next process', () =>
      seen.slice(from).some(({ unit, epoch }) => unit === 'player' && epoch === 2),
    );
    await waitUntil('the next session', transition('wall', 'wall/session#2', { open: 'answering' }));
  });

  it('keeps what a killed process did last, with its exit', () => {
    const { facts } = lines.find(({ message }) => /player: ended by SIGKILL/.test(message))!;
    const flight = facts.flight!.join('\n');
    assert.match(flight, /player-wall: session\.opened -> active/);
    assert.match(flight, /player-wall\/session#1: attach -> \{"open":"answering"\}/);
  });

  it('says no more once nobody watches', async () => {
    unwatch();
    const count = seen.length;
    process.kill(tree.status().units[1]!.pid!, 'SIGKILL');
    await waitUntil('the next start', () => tree.status().units[1]!.starts === 3 && operative());
    assert.lengthOf(seen, count);
  });
});
