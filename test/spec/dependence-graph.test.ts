import { assert } from 'chai';
import { dependenceGraph, toDot, toMermaid } from '../../src/spec/dependence-graph.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';

const file = import.meta.filename;
const node = (dependsOn: Record<string, unknown> = {}) => ({ kind: 'node', file, dependsOn });

/** The example of the workspace's documentation. */
const traders = checkTopology(
  {
    name: 'atlas',
    children: {
      'master-tws': node(),
      'master-trader': node({ 'master-tws': 'operative' }),
      'slave-tws': node(),
      'slave-trader': node({ 'slave-tws': 'operative', 'master-trader': 'ready' }),
    },
  },
  file,
);

describe('the dependence graph', () => {
  it('has a node for each unit, labelled with the state that others wait for', () => {
    assert.deepEqual(
      dependenceGraph(traders).nodes.map(({ id, label }) => [id, label]),
      [
        ['master_tws', 'master-tws:operative'],
        ['master_trader', 'master-trader'],
        ['slave_tws', 'slave-tws:operative'],
        ['slave_trader', 'slave-trader'],
      ],
    );
  });

  it('is drawn dashed, from parent to child', () => {
    assert.equal(
      toDot(dependenceGraph(traders)),
      `digraph "atlas" {
  edge [style="dashed"];
  master_tws [label="master-tws:operative"];
  master_trader [label="master-trader"];
  slave_tws [label="slave-tws:operative"];
  slave_trader [label="slave-trader"];
  master_tws -> master_trader;
  slave_tws -> slave_trader;
  master_trader -> slave_trader;
}
`,
    );
    assert.include(toMermaid(dependenceGraph(traders)), '  master_tws -.-> master_trader\n');
  });

  it('puts the states at the edges where children wait for several', () => {
    const topology = checkTopology(
      { name: 't', children: { a: node(), b: node({ a: 'warm' }), c: node({ a: 'operative' }) } },
      file,
    );
    const dot = toDot(dependenceGraph(topology));
    assert.include(dot, 'a [label="a"]');
    assert.include(dot, 'a -> b [label="warm"]');
    assert.include(dot, 'a -> c [label="operative"]');
    assert.include(toMermaid(dependenceGraph(topology)), 'a -.->|"warm"| b');
  });

  it('shows a nested supervisor around its children', () => {
    const topology = checkTopology(
      {
        name: 't',
        children: {
          s: { kind: 'supervisor', children: { a: node(), b: node({ a: 'ready' }) } },
          z: node({ s: 'operative' }),
        },
      },
      file,
    );
    assert.equal(
      toDot(dependenceGraph(topology)),
      `digraph "t" {
  edge [style="dashed"];
  subgraph "cluster_s" {
    label="s";
    s [label="s:operative", shape=box, style=rounded];
    s_a [label="s/a"];
    s_b [label="s/b"];
  }
  z [label="z"];
  s_a -> s_b;
  s -> z;
}
`,
    );
  });

  it('names the mode of an edge that is another than required', () => {
    const topology = checkTopology(
      {
        name: 't',
        children: {
          a: node(),
          b: node({ a: { state: 'operative', mode: 'bind' } }),
          c: node({ a: { mode: 'partOf' } }),
        },
      },
      file,
    );
    const dot = toDot(dependenceGraph(topology));
    assert.include(dot, 'a -> b [label="bind"]');
    assert.include(dot, 'a -> c [label="partOf"]');
  });

  it('gives different units different ids', () => {
    const topology = checkTopology({ name: 't', children: { 'a-b': node(), a_b: node() } }, file);
    assert.deepEqual(
      dependenceGraph(topology).nodes.map(({ id }) => id),
      ['a_b', 'a_b_2'],
    );
  });
});
