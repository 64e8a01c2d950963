// What people may ask for, wherever a unit's life is, under a real supervisor in simulated time: the unit comes to where it is
// wanted, no two of its programs run at once, and nothing is left of a tree that was told to end twice.
import { assert } from 'chai';
import type { UnitEvent } from '../../src/machines/unit.ts';
import { type Child, SimulatedTree } from '../support/machines/tree.ts';

const day = 86_400_000;
const stop: UnitEvent = { type: 'stop' };
const restart: UnitEvent = { type: 'restart', reason: 'asked for' };
const remove: UnitEvent = { type: 'remove' };

/** Leads a tree with the unit `a` to where it is asked. */
interface Place {
  readonly where: string;
  readonly phase: string;
  readonly children?: Record<string, Child>;
  readonly lead?: (tree: SimulatedTree) => void;
  /** What comes after what was asked for: the kernel lets go of it. */
  readonly late?: (tree: SimulatedTree) => void;
  /** Where `a` is in the end, when that was asked for. */
  readonly stop: string;
  readonly restart: string;
  readonly remove: string;
}

const waiting = { dependsOn: { b: 'operative' } };
const places: Place[] = [
  {
    where: 'idle',
    phase: 'idle',
    lead: (tree) => tree.order('a', stop),
    ...{ stop: 'idle', restart: 'idle', remove: 'removed' },
  },
  {
    where: 'blocked',
    phase: 'blocked',
    children: { a: waiting, b: { reaches: 'spawned', startTimeoutMs: 2 * day } },
    ...{ stop: 'idle', restart: 'blocked', remove: 'removed' },
  },
  {
    where: 'skipped',
    phase: 'skipped',
    children: { a: waiting, b: { reaches: 'spawned', restart: 'transient', startTimeoutMs: 2 * day } },
    lead: (tree) => tree.run('b').ends(0),
    ...{ stop: 'idle', restart: 'skipped', remove: 'removed' },
  },
  {
    where: 'spawning',
    phase: 'spawning',
    children: { a: { reaches: 'nothing' } },
    lead: (tree) => tree.script('a', { reaches: 'ready' }),
    ...{ stop: 'idle', restart: 'up', remove: 'up' },
  },
  {
    where: 'starting',
    phase: 'starting',
    children: { a: { reaches: 'spawned' } },
    lead: (tree) => tree.script('a', { reaches: 'ready' }),
    ...{ stop: 'idle', restart: 'up', remove: 'up' },
  },
  { where: 'up', phase: 'up', ...{ stop: 'idle', restart: 'up', remove: 'up' } },
  {
    where: 'reloading',
    phase: 'up',
    lead: (tree) => tree.order('a', { type: 'reload' }),
    ...{ stop: 'idle', restart: 'up', remove: 'up' },
  },
  {
    where: 'stopping, asked',
    phase: 'stopping',
    children: { a: { obeys: 'terminate' } },
    lead: (tree) => tree.order('a', stop),
    ...{ stop: 'idle', restart: 'up', remove: 'idle' },
  },
  {
    where: 'stopping, terminated',
    phase: 'stopping',
    children: { a: { obeys: 'kill' } },
    lead: (tree) => tree.order('a', stop).pass(700),
    ...{ stop: 'idle', restart: 'up', remove: 'idle' },
  },
  {
    where: 'stopping, for a restart',
    phase: 'stopping',
    children: { a: { obeys: 'kill' } },
    lead: (tree) => tree.order('a', restart),
    ...{ stop: 'idle', restart: 'up', remove: 'up' },
  },
  {
    where: 'draining',
    phase: 'draining',
    lead: (tree) => tree.run('a').exited(0),
    ...{ stop: 'idle', restart: 'up', remove: 'up' },
  },
  {
    where: 'killing',
    phase: 'stopping',
    children: { a: { obeys: 'nothing', shutdown: 'kill' } },
    lead: (tree) => tree.order('a', stop).script('a', { obeys: 'kill' }),
    late: (tree) => tree.run('a').ends(null, 'SIGKILL'),
    ...{ stop: 'idle', restart: 'up', remove: 'idle' },
  },
  {
    where: 'unkillable',
    phase: 'unkillable',
    children: { a: { obeys: 'nothing', shutdown: 'kill' } },
    lead: (tree) => tree.order('a', stop).pass(5_000),
    ...{ stop: 'unkillable', restart: 'unkillable', remove: 'unkillable' },
  },
  {
    where: 'backoff',
    phase: 'backoff',
    children: { a: { backoff: { minMs: 1_000, maxMs: 1_000, factor: 1, jitter: 0 } } },
    lead: (tree) => tree.run('a').crashes(),
    ...{ stop: 'idle', restart: 'up', remove: 'removed' },
  },
  {
    where: 'completed',
    phase: 'completed',
    children: { a: { restart: 'transient' } },
    lead: (tree) => tree.run('a').ends(0),
    ...{ stop: 'completed', restart: 'completed', remove: 'removed' },
  },
  {
    where: 'failed',
    phase: 'failed',
    children: { a: { giveUp: { restarts: 0, periodMs: 1_000 } } },
    lead: (tree) => tree.run('a').crashes(),
    ...{ stop: 'failed', restart: 'failed', remove: 'removed' },
  },
  {
    where: 'removed',
    phase: 'removed',
    children: { a: { restart: 'temporary' } },
    lead: (tree) => tree.run('a').ends(0),
    ...{ stop: 'removed', restart: 'removed', remove: 'removed' },
  },
];

function treeAt({ children = { a: {} }, lead, phase }: Place): SimulatedTree {
  const tree = new SimulatedTree({ children });
  lead?.(tree);
  assert.equal(tree.phases().a, phase, 'it is there');
  return tree;
}

/** Programs of `a` that run at the same time: one at most. */
function assertOneAtATime(tree: SimulatedTree): void {
  assert.isAtMost(tree.runs('a').filter(({ over }) => !over).length, 1);
  assert.deepEqual(
    tree.runs('a').map(({ epoch }) => epoch),
    tree.runs('a').map((_, i) => i + 1),
  );
}

describe('wherever the life of a unit is', () => {
  for (const place of places)
    describe(place.where, () => {
      for (const [what, event, wanted] of [
        ['a stop', stop, place.stop],
        ['a restart', restart, place.restart],
        ['its removal', remove, place.remove],
      ] as const) {
        it(`${what} leads to ${wanted}`, () => {
          const tree = treeAt(place);
          tree.order('a', event);
          place.late?.(tree);
          tree.pass(day);
          assert.equal(tree.phases().a, wanted);
          assertOneAtATime(tree);
        });

        it(`${what} that comes twice leads there, too`, () => {
          const tree = treeAt(place);
          tree.order('a', event).order('a', event);
          place.late?.(tree);
          tree.pass(day);
          assert.equal(tree.phases().a, wanted);
          assertOneAtATime(tree);
        });
      }

      it('a stop after a restart is obeyed', () => {
        const tree = treeAt(place);
        tree.order('a', restart).order('a', stop);
        place.late?.(tree);
        tree.pass(day);
        assert.equal(tree.phases().a, place.stop);
        assertOneAtATime(tree);
      });

      it('a second Ctrl-C ends the tree at once, and leaves nothing', () => {
        const tree = treeAt(place);
        const stuck = tree.phases().a === 'unkillable';
        tree.shutdown().force();
        tree.pass(0);
        assert.deepEqual(tree.output?.unkillable, stuck ? ['a'] : []);
        assert.deepEqual(tree.running, stuck ? ['a'] : []);
        assert.deepEqual([tree.host.addresses, tree.clock.pending], [[], 0]);
      });

      it('a Ctrl-C after it ends the tree in order', () => {
        const tree = treeAt(place);
        tree.shutdown().pass(day);
        assert.isDefined(tree.output);
        assert.deepEqual([tree.host.addresses, tree.clock.pending], [[], 0]);
      });
    });
});
