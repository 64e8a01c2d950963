import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from 'chai';
import type { IpcError } from '../../src/errors.ts';
import { checkRelayConfig, readRelayConfig } from '../../src/spec/relay-config.ts';
import type { GatewaySpec, MidwaySpec, ReliefSpec, SiblingSpec } from '../../src/spec/relay-node.ts';
import { cache as cacheOf, relay, supervisor } from '../../src/spec/topology.ts';
import { checkTopology } from '../../src/spec/topology-check.ts';
import { folderOfEachTest } from '../support/temporary-folder.ts';

const check = (config: object) => checkRelayConfig(config, '/etc/relay/node.conf');
function mistakesOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    assert.equal((error as IpcError).code, 'ERR_RELAY_CONFIG');
    return (error as IpcError).message;
  }
  return assert.fail('nothing was thrown');
}

/** As the original documents them. */
const serverTls = {
  server_key: 'keys/ec_key.pem',
  server_cert: 'keys/ec_crt.crt',
  client_cert: 'keys/cl_ec_crt.crt',
};
const cache = {
  token_path: './ml_relay.conf',
  am_initializer: true,
  seed: 9849381,
  record_size: 384,
  el_count: 20000,
};
const midway = {
  edge_supported_relay: true,
  auth_path: 'auths',
  port: 7878,
  address: '10.0.0.1',
  tls: serverTls,
  path_types: { auths: { relay: { proc_name: ['node', 'other.js'] }, cache } },
};
const sibling = {
  half_edge: true,
  auth_path: 'auths',
  port: 7880,
  address: 'localhost',
  tls: serverTls,
  cache: { ...cache, stop_child: true },
};
const relief = {
  lru: { manage_section: true, cache: { seed: 9849381 } },
  message_relay: { auth_path: 'auths', address: 'localhost', port: 7880, tls: serverTls },
};

describe('a configuration file of a relay node', () => {
  it('is read as the original documents it: the relay', () => {
    const { spec, sibling: child, notes } = check(midway);
    const { listen, table, seed, siblingListen } = spec as MidwaySpec;
    const tls = {
      key: '/etc/relay/keys/ec_key.pem',
      cert: '/etc/relay/keys/ec_crt.crt',
      ca: ['/etc/relay/keys/cl_ec_crt.crt'],
    };
    assert.deepEqual(listen, [{ host: '10.0.0.1', port: 7878, tls }]);
    assert.deepInclude(table, { capacity: 20_000, recordBytes: 384 });
    assert.equal(seed, '9849381');
    assert.deepEqual(siblingListen, { path: 'relay-sibling.sock' });
    assert.deepEqual(child, { command: ['node', 'other.js'] });
    assert.lengthOf(notes, 2);
    assert.match(notes[0]!, /token_path: has no effect here/);
  });

  it('the sibling, and pressure relief of both kinds', () => {
    const { listen, relay: up } = check(sibling).spec as SiblingSpec;
    assert.deepInclude(listen[0], { host: 'localhost', port: 7880 });
    assert.deepEqual(up.endpoint, { path: 'relay-sibling.sock' });
    const aging = check({ ...relief, full_edge: true }).spec as ReliefSpec;
    assert.equal(aging.role, 'aging');
    assert.deepEqual(aging.sibling.endpoint, { host: 'localhost', port: 7880 });
    // The documented example gives a client the names of a server's files.
    assert.equal(aging.sibling.tls!.key, '/etc/relay/keys/ec_key.pem');
    assert.deepEqual(aging.sibling.tls!.ca, ['/etc/relay/keys/ec_crt.crt']);
    const expansion = check({ ...relief, age_or_replica: 'replicating', name: 'spare' }).spec;
    assert.deepInclude(expansion, { role: 'expansion', node: 'spare' });
  });

  it('a gateway, which has a relay or is one', () => {
    const apps = { away: { feed: 'b' }, here: { desk: ['b', 'c'] } };
    const relayed = check({ gateway: true, name: 'a', universe: 'news', relay: { address: 'b' }, apps }).spec;
    assert.deepInclude(relayed, { role: 'gateway', node: 'a', universe: 'news', listen: [], ...apps });
    assert.deepEqual((relayed as GatewaySpec).relay?.endpoint, { host: 'b', port: 7878 });
    const own = check({ gateway: true, universe: 'news', path: 'g.sock', outage_ms: 500, apps }).spec;
    assert.deepInclude(own, { node: 'gateway', outageMs: 500 });
    assert.deepEqual((own as GatewaySpec).listen[0], { path: 'g.sock', tls: undefined } as never);
  });

  const rows: [what: string, config: object, mistakes: RegExp[]][] = [
    [
      'a role that is misspelt',
      { edge_suported_relay: true },
      [/edge_suported_relay: unknown key \(did you mean edge_supported_relay\?\)/],
    ],
    ['two roles', { half_edge: true, full_edge: true }, [/at once half_edge and full_edge/]],
    ['no role', { port: 1 }, [/names no role/]],
    [
      'all unknown keys at once, with the nearest known',
      { ...sibling, prot: 1, cache: { el_cont: 1 } },
      [
        /prot: unknown key \(did you mean port\?\)/,
        /cache\.el_cont: unknown key \(did you mean el_count\?\)/,
      ],
    ],
    [
      'values that are none',
      { ...sibling, port: 'x', cache: { seed: 'zz', record_size: 0 } },
      [
        /port: must be a whole number from 0 to 65535, not "x"/,
        /seed: must be a whole number/,
        /record_size: must be a whole number from 1/,
      ],
    ],
    [
      'a path that is not there',
      { ...midway, auth_path: 'auth' },
      [/path_types: |auth.*did you mean auths\?/],
    ],
    [
      'a kind of relief that is none',
      { ...relief, age_or_replica: 'replicate' },
      [/"replicate" is not allowed \(did you mean replicating\?\)/],
    ],
    ['a relief node without a sibling', { full_edge: true }, [/message_relay: is missing/]],
    [
      'keys without their certificate',
      { ...sibling, tls: { server_key: 'k.pem' } },
      [/tls\.server_cert: is missing/, /tls\.client_cert: is missing/],
    ],
    ['a name that is none', { ...sibling, name: 'a b' }, [/name: "a b" is not allowed/]],
    ['a name that is too long', { ...sibling, name: 'n'.repeat(57) }, [/at most 56 characters/]],
    [
      'a gateway that says neither where its relay is nor which apps there are',
      { gateway: true, universe: '' },
      [/needs either "relay"/, /apps: is missing/, /universe: must be the name/],
    ],
    [
      'apps and nodes that are none',
      {
        gateway: true,
        universe: 'u',
        port: 1,
        relay: { port: 1 },
        apps: { hear: {}, here: { 'a b': ['x'], feed: 'b' }, away: { feed: 7, other: 'c' } },
      },
      [
        /needs either/,
        /apps\.hear: unknown key \(did you mean here\?\)/,
        /apps\.here\.a b: is no name/,
        /apps\.here\.feed: must be a list of names of nodes, not "b"/,
        /apps\.away\.feed: must be the name of a node, not 7/,
        /apps\.away: a gateway stands in for one app/,
        /apps\.away\.feed: it can not be both/,
      ],
    ],
    [
      'a program that is none',
      { ...midway, path_types: { auths: { relay: { proc_name: 7 } } } },
      [/proc_name: must be a file for Node/],
    ],
  ];
  for (const [what, config, mistakes] of rows)
    it(`is refused for ${what}`, () => {
      const told = mistakesOf(() => check(config));
      for (const mistake of mistakes) assert.match(told, mistake);
    });

  describe('on disk', () => {
    const folder = folderOfEachTest();
    const write = (name: string, text: string) => {
      const file = join(folder(), name);
      writeFileSync(file, text);
      return file;
    };

    it('may have comments, and names the file of its sibling', () => {
      write('sibling.conf', `${JSON.stringify(sibling)} // the sibling`);
      const text = JSON.stringify({
        ...midway,
        path_types: { auths: { relay: { proc_name: ['global-sessions', './sibling.conf'] } } },
      });
      const file = write('relay.conf', `// the relay\n${text.replace('7878,', '7878, /* a port */')}`);
      const { spec, sibling: child } = readRelayConfig(file);
      assert.equal(spec.role, 'relay');
      assert.equal((child as { spec: SiblingSpec }).spec.role, 'sibling');
    });

    it('is refused with the place of a mistake of its text', () => {
      assert.match(
        mistakesOf(() => readRelayConfig(write('x.conf', '{\n  "port": 1,,\n}'))),
        /line 2, column 13/,
      );
      assert.match(
        mistakesOf(() => readRelayConfig(join(folder(), 'none.conf'))),
        /no such file/,
      );
    });

    it('can name no sibling that is another kind of node', () => {
      write('sibling.conf', JSON.stringify(relief));
      const file = write(
        'relay.conf',
        JSON.stringify({
          ...midway,
          path_types: { auths: { relay: { proc_name: ['global-sessions', 'sibling.conf'] } } },
        }),
      );
      assert.match(
        mistakesOf(() => readRelayConfig(file)),
        /it must be half_edge/,
      );
    });

    it('can not be its own sibling', () => {
      const file = write(
        'itself.conf',
        JSON.stringify({
          ...midway,
          path_types: { auths: { relay: { proc_name: ['global-sessions', 'itself.conf'] } } },
        }),
      );
      assert.match(
        mistakesOf(() => readRelayConfig(file)),
        /itself\.conf describes a node of role relay; it must be half_edge/,
      );
    });
  });

  it('has the root of its tree hold the table of each node that keeps one', () => {
    const inTier = (children: Record<string, unknown>, caches = {}) =>
      checkTopology({ name: 'tier', children, caches }, join(process.cwd(), 'tier.ts')).caches ?? {};
    const nodes = {
      relay: relay({ ...midway, path_types: { auths: { relay: { local: true }, cache } } }),
      sibling: relay(sibling),
      behind: supervisor({ children: { old: relay({ ...relief, name: 'old' }) } }),
    };
    const caches = inTier(nodes);
    assert.sameMembers(Object.keys(caches), ['table-relay', 'deletes-relay', 'table-old', 'deletes-old']);
    assert.deepInclude(caches['table-relay'], { capacity: 20_000, recordBytes: 384, tombstones: 0 });
    assert.deepInclude(caches['deletes-old'], { tombstones: 100_000 });
    assert.isEmpty(inTier({ sibling: relay(sibling) }));
    for (const [children, more, mistake] of [
      [
        { ...nodes, other: relay({ ...relief, name: 'old' }) },
        {},
        /called old, as children\..*old is; give one of them/,
      ],
      [
        nodes,
        { 'table-old': cacheOf() },
        /caches\.table-old: a relay node of this tree has a cache of that name/,
      ],
    ] as const) {
      try {
        inTier(children, more);
        assert.fail('nothing was thrown');
      } catch (error) {
        assert.match((error as Error).message, mistake);
      }
    }
  });

  it('stands in a topology as well, without the sibling', () => {
    const child = relay(
      { ...midway, path_types: { auths: { relay: { local: true }, cache } } },
      { restart: 'transient' },
    );
    assert.deepInclude(child, { kind: 'node', restart: 'transient' });
    const gateway = { gateway: true, universe: 'news', path: 'g.sock', apps: { away: { feed: 'b' } } };
    assert.deepInclude(relay(gateway), { app: 'feed' });
    assert.match(
      mistakesOf(() => relay(midway)),
      /the sibling is a child of its own/,
    );
    assert.match(
      mistakesOf(() => relay({ half_edge: true, prot: 1 })),
      /did you mean port/,
    );
  });
});
