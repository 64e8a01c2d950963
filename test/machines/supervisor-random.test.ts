import { assert } from 'chai';
import fc from 'fast-check';
import { SimulatedTree, type SupervisorOptions } from '../support/machines/tree.ts';

const names = ['a', 'b', 'c', 'd', 'e'];
/** For each unit the longest timer there is, which is what `infinity` comes to: those of a chain go one after another. */
const ages = names.length * 2 ** 31;

const child = fc.record({
  restart: fc.constantFrom('permanent', 'transient', 'temporary'),
  obeys: fc.constantFrom('ask', 'terminate', 'kill'),
  shutdown: fc.constantFrom(1_000, 200, 'kill', 'infinity'),
  giveUp: fc.constantFrom({ restarts: 2, periodMs: 5_000 }, { restarts: 1_000, periodMs: 1 }),
  backoff: fc.constantFrom(
    { minMs: 0, maxMs: 0, factor: 1, jitter: 0 },
    { minMs: 100, maxMs: 1_000, factor: 2, jitter: 0.5 },
  ),
  /** Which of the others it depends on, of those that come before it in an order of their own; a bit for each. */
  parents: fc.integer({ min: 0, max: 2 ** names.length - 1 }),
});

const trees: fc.Arbitrary<SupervisorOptions> = fc
  .record({
    strategy: fc.constantFrom('one-for-one', 'one-for-all', 'rest-for-one'),
    intensity: fc.constantFrom('infinity', 3),
    children: fc.array(child, { minLength: 1, maxLength: names.length }),
    order: fc.shuffledSubarray(names, { minLength: names.length, maxLength: names.length }),
  })
  .map(({ children, order, ...rest }) => ({
    ...rest,
    children: Object.fromEntries(
      children.map(({ parents, ...rules }, i) => {
        const name = names[i]!;
        const before = order
          .slice(0, order.indexOf(name))
          .filter((each) => names.indexOf(each) < children.length);
        const chosen = before.filter((_, bit) => (parents & (1 << bit)) !== 0);
        return [name, { ...rules, dependsOn: Object.fromEntries(chosen.map((each) => [each, 'operative'])) }];
      }),
    ),
  })) as fc.Arbitrary<SupervisorOptions>;

/** What happens to a tree from outside: programs end in one way or another, people give orders, and time passes. */
const incidents = fc.array(
  fc.oneof(
    fc.record({
      what: fc.constantFrom(
        'crashes',
        'ends well',
        'leaves something behind',
        'restart',
        'stop',
        'start',
        'kill',
        'reset',
      ),
      unit: fc.integer({ min: 0, max: names.length - 1 }),
    }),
    fc.record({ what: fc.constant('time passes'), ms: fc.constantFrom(1, 50, 100, 300, 1_000, 11_000) }),
  ),
  { maxLength: 25 },
);
type Incident = typeof incidents extends fc.Arbitrary<(infer I)[]> ? I : never;

function befall(tree: SimulatedTree, incident: Incident): void {
  if (tree.output) return;
  if ('ms' in incident) {
    tree.pass(incident.ms);
    return;
  }
  const name = names[incident.unit]!;
  if (!(name in tree.phases())) return;
  const runs = tree.running.includes(name);
  switch (incident.what) {
    case 'crashes':
      if (runs) tree.run(name).ends(1);
      return;
    case 'ends well':
      if (runs) tree.run(name).ends(0);
      return;
    case 'leaves something behind':
      if (runs) tree.run(name).exited(0);
      return;
    case 'restart':
      tree.order(name, { type: 'restart', reason: 'a new release' });
      return;
    default:
      tree.order(name, { type: incident.what });
  }
}

/** Orders after which a unit may stay down, and those that depend on it wait. */
const stops: ReadonlySet<string> = new Set(['stop', 'kill', 'reset']);

function runsAtOnce(tree: SimulatedTree, name: string): number {
  return tree.runs(name).filter(({ over }) => !over).length;
}

describe('any tree, whatever befalls it,', () => {
  it('runs each unit at most once at a time', () => {
    fc.assert(
      fc.property(trees, incidents, (options, all) => {
        const tree = new SimulatedTree(options);
        for (const incident of all) {
          befall(tree, incident);
          for (const name of names) assert.isAtMost(runsAtOnce(tree, name), 1, name);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('forgets no unit: once it is left in peace, each is up, or has ended for a reason', () => {
    fc.assert(
      fc.property(trees, incidents, (options, all) => {
        const tree = new SimulatedTree(options);
        for (const incident of all) befall(tree, incident);
        tree.pass(ages);
        if (tree.output) return;
        for (const [name, phase] of Object.entries(tree.phases())) {
          const { restart } = options.children[name]!;
          const ended = { permanent: [], transient: ['completed'], temporary: ['removed'] }[restart!];
          const down = all.some((each) => 'unit' in each && stops.has(each.what)) ? ['idle', 'blocked'] : [];
          assert.include(['up', 'failed', 'skipped', ...ended, ...down], phase, name);
          assert.equal(runsAtOnce(tree, name), phase === 'up' ? 1 : 0, name);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('ends when it is asked to, and leaves nothing behind', () => {
    fc.assert(
      fc.property(trees, incidents, (options, all) => {
        const tree = new SimulatedTree(options);
        for (const incident of all) befall(tree, incident);
        tree.shutdown().pass(ages);
        assert.isDefined(tree.output);
        assert.deepEqual(tree.running, []);
        assert.deepEqual(tree.host.addresses, []);
        assert.equal(tree.clock.pending, 0);
      }),
      { numRuns: 150 },
    );
  });

  it('ends at once when it is forced to', () => {
    fc.assert(
      fc.property(trees, incidents, (options, all) => {
        const tree = new SimulatedTree(options);
        for (const incident of all) befall(tree, incident);
        tree.shutdown().force();
        assert.isDefined(tree.output);
        assert.deepEqual(tree.running, []);
        assert.equal(tree.clock.pending, 0);
      }),
      { numRuns: 150 },
    );
  });
});
