import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { assert } from 'chai';
import type { IpcError } from '../../src/errors.ts';
import type { ChildSpec } from '../../src/spec/child.ts';
import { dependenceGraph, toDot } from '../../src/spec/dependence-graph.ts';
import { hostElsewhere, hostOf, placedOn, samePlaces } from '../../src/spec/placement.ts';
import { exec, supervisor } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';
import type { TopologyInput } from '../../src/spec/topology-schema.ts';
import { mistakesOf as mistakesIn } from '../support/machines/topologies.ts';

const file = fileURLToPath(import.meta.url);
const base: TopologyInput = {
  name: 'shop',
  hosts: { front: { hostname: 'front-1' }, back: {} },
  relay: { mode: 'link', hub: 'back', path: 'hosts.sock' },
  children: {
    db: exec('sleep', { host: 'back' }),
    page: exec('sleep', { host: 'front', dependsOn: { db: 'ready' } }),
    desk: supervisor({ host: 'front', children: { till: exec('sleep') } }),
  },
};
const topology = checkTopology(base, file);
const mistakesOf = (change: object, children: object = {}) =>
  mistakesIn({ ...base, ...change, children: { ...base.children, ...children } }, file);

describe('a topology with hosts', () => {
  it('has its defaults filled in', () => {
    assert.deepEqual(topology.hosts, { front: { hostname: 'front-1' }, back: { hostname: 'back' } });
    assert.deepEqual(topology.relay, {
      mode: 'link',
      hub: 'back',
      path: 'hosts.sock',
      silentAfterMs: 10_000,
    });
  });

  it('can be written down with its defaults, as a build does', () => {
    const network = { mode: 'link', hub: 'back', address: '10.0.0.1', insecure: true } as const;
    for (const relay of [base.relay!, network, { mode: 'nats', servers: ['nats://a'] } as const]) {
      const once = checkTopology({ ...base, relay }, file);
      const written = JSON.parse(JSON.stringify({ hosts: once.hosts, relay: once.relay }));
      assert.deepEqual(checkTopology({ ...base, ...written }, file), once);
    }
  });

  it('gives each host its own units, and knows where the others are', () => {
    const placed = placedOn(topology, 'front');
    assert.deepEqual(Object.keys(placed.children), ['page', 'desk']);
    assert.equal(hostElsewhere(placed, 'db'), 'back');
    assert.isUndefined(hostElsewhere(placed, 'desk/till'));
    assert.isTrue(samePlaces(placed, placedOn(checkTopology(base, file), 'front')));
    const moved = checkTopology(
      { ...base, children: { ...base.children, more: exec('true', { host: 'back' }) } },
      file,
    );
    assert.isFalse(samePlaces(placed, placedOn(moved, 'front')));
  });

  it('finds the host of a machine by its name, or by what it is told', () => {
    assert.equal(hostOf(topology, undefined, 'front-1'), 'front');
    assert.equal(hostOf(topology, undefined, 'back'), 'back');
    assert.equal(hostOf(topology, 'back', 'front-1'), 'back');
    const alone = checkTopology({ name: 'alone', children: { a: exec('true') } }, file);
    assert.isUndefined(hostOf(alone, undefined, 'any'));
    const why = (call: () => unknown) => {
      try {
        call();
      } catch (error) {
        assert.equal((error as IpcError).code, 'ERR_HOST_UNKNOWN');
        return (error as IpcError).message;
      }
      return assert.fail('it was found');
    };
    assert.match(
      why(() => hostOf(topology, 'fornt', '')),
      /there|hosts front, back \(did you mean front\?\)/,
    );
    assert.match(
      why(() => hostOf(topology, undefined, 'pc')),
      /none of the hosts.*--host front\|back/,
    );
    assert.match(
      why(() => hostOf(alone, 'front', '')),
      /names no hosts/,
    );
  });

  it('shows the hosts in its graph', () => {
    const graph = dependenceGraph(topology);
    assert.deepEqual(
      graph.nodes.map(({ unit, host }) => [unit, host]),
      [
        ['db', 'back'],
        ['page', 'front'],
        ['desk', 'front'],
        ['desk/till', 'front'],
      ],
    );
    assert.include(toDot(graph), 'label="db @back"');
  });

  const wrong: [title: string, change: object, children: object, mistake: RegExp][] = [
    ['a unit without a host', {}, { db: exec('sleep') }, /^children\.db\.host: is missing.*front, back$/],
    [
      'an unknown host',
      {},
      { db: exec('sleep', { host: 'bock' }) },
      /there is no host bock \(did you mean back\?\)/,
    ],
    [
      'a host below a supervisor',
      {},
      { desk: supervisor({ host: 'front', children: { till: exec('sleep', { host: 'back' }) } }) },
      /^children\.desk\.children\.till\.host: it runs on the host of its supervisor/,
    ],
    [
      'a strategy that spans hosts',
      { strategy: 'one-for-all' },
      {},
      /^strategy: one-for-all restarts units together/,
    ],
    ['an end that spans hosts', { autoShutdown: 'any-significant' }, {}, /^autoShutdown: /],
    [
      'a conflict between hosts',
      {},
      { page: exec('sleep', { host: 'front', dependsOn: { db: { mode: 'conflicts' } } }) },
      /^children\.page\.dependsOn\.db: conflicts can't be kept between hosts: while they don't hear each other, both could be up/,
    ],
    [
      'onPartition without an edge to another host',
      {},
      { db: exec('sleep', { host: 'back', onPartition: 'stop' }) },
      /^children\.db\.onPartition: it depends on no unit of another host/,
    ],
    [
      'more units beside each other than a root can tell of',
      {},
      Object.fromEntries(Array.from({ length: 64 }, (_, i) => [`db-${i}`, exec('sleep', { host: 'back' })])),
      /^hosts\.back: it has 65 units beside each other, and roots tell each other of 64 at most/,
    ],
    ['no relay', { relay: undefined }, {}, /^relay: is missing; say how the roots/],
    ['no hosts', { hosts: undefined }, {}, /^relay: only the roots of several hosts need one/],
    [
      'an unknown hub',
      { relay: { mode: 'link', hub: 'bak', path: 'x' } },
      {},
      /^relay\.hub: .*did you mean back/,
    ],
    ['no address', { relay: { mode: 'link', hub: 'back' } }, {}, /^relay: it needs either an address/],
    [
      'a network without TLS',
      { relay: { mode: 'link', hub: 'back', address: '10.0.0.1' } },
      {},
      /^relay: a link over the network needs "tls" in hosts\.front, hosts\.back; "insecure": true goes without/,
    ],
    [
      'a word of the other mode',
      { relay: { mode: 'nats', servers: ['nats://a'], hub: 'back' } },
      {},
      /^relay\.hub: has no meaning with mode "nats"/,
    ],
    ['no servers', { relay: { mode: 'nats' } }, {}, /^relay\.servers: is missing/],
    [
      'an unknown mode',
      { relay: { mode: 'lnk' } },
      {},
      /^relay\.mode: "lnk" is not allowed \(did you mean link\?\)/,
    ],
    [
      'an unknown key of the relay',
      { relay: { mode: 'link', hubb: 'back' } },
      {},
      /^relay\.hubb: unknown key \(did you mean hub\?\)/,
    ],
    [
      'an unknown key of a host',
      { hosts: { back: { hostnam: 'x' }, front: {} } },
      {},
      /^hosts\.back\.hostnam: unknown key \(did you mean hostname\?\)/,
    ],
    [
      'too short a silence',
      { relay: { mode: 'link', hub: 'back', path: 'x', silentAfterMs: 10 } },
      {},
      /^relay\.silentAfterMs: it must be 2000 or more/,
    ],
    [
      'two hosts of one hostname',
      { hosts: { front: { hostname: 'back' }, back: {} } },
      {},
      /^hosts\.back\.hostname: back is that of another host/,
    ],
  ];
  for (const [title, change, children, mistake] of wrong)
    it(`refuses ${title}`, () => {
      const mistakes = mistakesOf(change, children);
      assert.match(mistakes[0]!, mistake);
    });

  it('takes files of TLS relative to itself', () => {
    const tls = { ca: 'ca.pem', cert: './a.pem', key: '/etc/a.key' };
    const { hosts } = checkTopology({ ...base, hosts: { front: { tls }, back: { tls } } }, file);
    assert.deepEqual(hosts!.front!.tls, {
      ca: join(dirname(file), 'ca.pem'),
      cert: join(dirname(file), 'a.pem'),
      key: '/etc/a.key',
    });
  });

  it('knows NATS as well', () => {
    const { relay } = checkTopology(
      { ...base, relay: { mode: 'nats', servers: ['nats://a:4222'], auth: { tokenFile: 'token' } } },
      file,
    );
    assert.deepEqual(relay, {
      mode: 'nats',
      servers: ['nats://a:4222'],
      auth: { tokenFile: join(dirname(file), 'token') },
      replicas: 1,
      silentAfterMs: 10_000,
    });
  });

  it('leaves a topology without hosts as it was', () => {
    const { children, ...rest } = checkTopology({ name: 'alone', children: { a: exec('true') } }, file);
    assert.notProperty(rest, 'hosts');
    assert.notProperty(children.a as ChildSpec, 'host');
  });
});
