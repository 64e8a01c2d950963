import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import { SimulatedTree } from '../../src/runtime/simulated-tree.ts';
import { type Finding, replay, type Simulation, simulate } from '../../src/runtime/simulation.ts';
import type { Topology } from '../../src/spec/child.ts';
import { exec, supervisor, type TopologyInput } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';

const here = fileURLToPath(import.meta.url);
const program = (options: Parameters<typeof exec>[1] = {}) => exec('/bin/true', options);

function topology(children: TopologyInput['children'], rest: Partial<TopologyInput> = {}): Topology {
  return checkTopology({ name: 'simulated', children, ...rest }, here);
}

function kinds({ findings }: Simulation): Finding['kind'][] {
  return [...new Set(findings.map(({ kind }) => kind))].sort();
}

const sound = () =>
  topology({
    db: program(),
    jobs: supervisor({
      strategy: 'rest-for-one',
      dependsOn: { db: 'operative' },
      children: { one: program(), two: program({ dependsOn: { one: 'operative' } }) },
    }),
    web: program({ dependsOn: { db: { state: 'operative', mode: 'bind' } } }),
  });

describe('a simulation', () => {
  it('finds nothing wrong with a topology that stands every crash', () => {
    const { crashes, units, findings, stopMs, starts } = simulate(sound(), { crashes: 80, seed: 5 });
    assert.deepEqual(findings, []);
    assert.isAtLeast(crashes, 80);
    assert.isAbove(starts, crashes);
    assert.isAbove(stopMs.p50, 0);
    assert.deepEqual(
      units.map(({ unit, takesAlong }) => [unit, takesAlong]),
      [
        ['db', ['web']],
        ['jobs/one', ['jobs/two']],
        ['jobs/two', []],
        ['web', []],
      ],
      'who is bound restarts, and who comes later in the group',
    );
  });

  it('gives the same for the same seed, and something else for another', () => {
    const run = (seed: number) => simulate(sound(), { crashes: 20, seed });
    assert.deepEqual(run(3), run(3));
    assert.notDeepEqual(run(3).units, run(4).units);
  });

  it('finds a gate that never opens again', () => {
    const dead = topology({
      prepare: program({ restart: 'transient' }),
      loader: program({ dependsOn: { prepare: 'completed' } }),
      // The work of the first is done; it is never operative again.
      web: program({ dependsOn: { prepare: { state: 'operative', mode: 'bind' } } }),
    });
    const { findings } = simulate(dead, { crashes: 20, seed: 1 });
    const gate = findings.find(({ kind }) => kind === 'dead-gate');
    assert.match(gate!.what, /^web: prepare is completed and will not be operative, for ever/);
    assert.match(replay(dead, 1, gate!.episode).join('\n'), /web/, 'its episode can be looked at');
  });

  it('finds a unit that one crash is too much for', () => {
    const fragile = topology({
      once: program({ giveUp: { restarts: 0, periodMs: 60_000 } }),
      other: program(),
    });
    const { findings } = simulate(fragile, { crashes: 60, seed: 1 });
    assert.include(
      findings.map(({ what }) => what),
      'one crash of once leaves once failed',
    );
  });

  it('takes an intensity of 0 for what somebody wants', () => {
    assert.notInclude(
      kinds(simulate(topology({ a: program() }, { intensity: 0 }), { crashes: 30, seed: 1 })),
      'fragile',
    );
  });

  it('finds a limit that never trips', () => {
    const stormy = topology({
      a: program({ backoff: { minMs: 0, maxMs: 0 }, giveUp: { restarts: 1_000_000, periodMs: 1_000 } }),
    });
    const storm = simulate(stormy, { crashes: 5, seed: 1 });
    assert.include(kinds(storm), 'restart-storm');
    assert.equal(storm.units[0]!.loop.ends, 'never');
  });

  it('says what ends a crash loop', () => {
    const { units } = simulate(
      topology(
        {
          a: program({ giveUp: { restarts: 2, periodMs: 600_000 } }),
          b: program({ restart: 'temporary' }),
          c: supervisor({
            intensity: 1,
            giveUp: { restarts: 0, periodMs: 1_000 },
            children: { d: program() },
          }),
        },
        {},
      ),
      { crashes: 5, seed: 1 },
    );
    assert.deepEqual(
      units.map(({ unit, loop }) => [unit, loop.ends, loop.starts]),
      [
        ['a', 'failed', 2],
        ['b', 'not-restarted', 0],
        ['c/d', 'failed', 1],
      ],
    );
  });

  it('looks at the order of stops and at gates by itself, not by asking the charts', () => {
    const spec = topology({ db: program(), web: program() });
    const tree = new SimulatedTree(spec, 1);
    assert.isTrue(tree.settle(60_000));
    // The charts know nothing of this edge, so they break it.
    (spec.children.db as { dependsOn: object }).dependsOn = { web: { state: 'warm', mode: 'requires' } };
    (spec.children.web as { dependsOn: object }).dependsOn = { db: { state: 'operative', mode: 'requires' } };
    tree.crash('db');
    assert.isTrue(tree.settle(60_000));
    assert.deepEqual(tree.violations, ['db starts although web is not warm']);
    tree.stop(60_000);
    assert.isTrue(tree.violations.some((what) => /is stopped before \w+, which depends on it/.test(what)));
  });
});
