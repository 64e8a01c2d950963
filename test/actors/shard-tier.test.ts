// The session tier over an engine: relays that share the keys by leases, relief nodes, front ends, and sessions that outlive them all. Against a
// real server; the nodes are in one process, each with a connection of its own.
import { assert } from 'chai';
import { ShardDownstream } from '../../src/actors/shard-downstream.ts';
import { ShardRelay } from '../../src/actors/shard-relay.ts';
import { ShardRelief } from '../../src/actors/shard-relief.ts';
import { IpcError } from '../../src/errors.ts';
import type { CacheNews } from '../../src/spec/downstream.ts';
import { shardOf } from '../../src/spec/relay-shard.ts';
import type { ShardRelaySpec } from '../../src/spec/relay-sharded.ts';
import { ownersOf } from '../../src/spec/rendezvous.ts';
import { NatsMember } from '../../src/transport/nats-member.ts';
import { keyHasher } from '../../src/transport/placement-hash.ts';
import { startFixture } from '../support/fixture.ts';
import { NatsServer } from '../support/nats/server.ts';
import { Nodes } from '../support/relay/nodes.ts';
import { entry, said, signal, stone } from '../support/relay/tier.ts';
import { folderOfEachTest } from '../support/temporary-folder.ts';
import { waitUntil } from '../support/wait-until.ts';

const shards = 8;
const seed = 9849381;

describe('the session tier over an engine', function () {
  this.timeout(60_000);
  let server: NatsServer;
  let nodes: Nodes;
  let count = 0;
  const open: { close(): Promise<void> }[] = [];
  before(async () => {
    server = await NatsServer.start();
  });
  beforeEach(() => {
    nodes = new Nodes();
    count++;
  });
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
    await nodes.close();
  });
  after(() => server.remove());
  // Removed once all of them are closed.
  const folder = folderOfEachTest();

  const member = (node: string, role: 'relay' | 'front' | 'expansion' | 'aging') =>
    NatsMember.open({ node, role, cluster: `t${count}`, servers: [server.url] });
  const relay = async (node: string, spec: Partial<ShardRelaySpec> = {}) => {
    const opened = await ShardRelay.open(
      nodes.host,
      await member(node, 'relay'),
      {
        node,
        role: 'relay',
        servers: [],
        shards,
        seed,
        leaseTtlMs: 1_500,
        ...spec,
      },
      folder(),
    );
    open.push(opened);
    return opened;
  };
  const relief = async (role: 'expansion' | 'aging', node: string) => {
    const joined = await member(node, role);
    const opened = await ShardRelief.open(nodes.host, joined, { node, role, servers: [], seed }, folder());
    open.push(opened);
    return { relief: opened, member: joined };
  };
  const front = async (node: string) => {
    const joined = await member(node, 'front');
    const downstream = await ShardDownstream.open(joined, { shards, seed });
    open.push(downstream);
    const news: CacheNews[] = [];
    downstream.onNews((each) => news.push(each));
    await downstream.connected({ timeoutMs: 10_000 });
    return { downstream, news, member: joined };
  };
  type Front = Awaited<ReturnType<typeof front>>;
  const ask = async ({ downstream }: Front, key: string) => said(await downstream.ask(key, signal()));
  const put = ({ downstream }: Front, key: string, text = 'v') => downstream.put(key, entry(text), signal());
  const putAll = (to: Front, many: number) =>
    Promise.all(Array.from({ length: many }, (_, i) => put(to, `k${i}`, `v${i}`)));

  it('shares the shards among the relays, and gives back what another is to have', async () => {
    const one = await relay('r1');
    assert.equal(one.stats.shards, shards);
    const two = await relay('r2');
    await waitUntil(
      'all shards',
      () => one.stats.shards + two.stats.shards === shards && two.stats.shards > 0,
    );
    await two.close();
    await waitUntil('all of them again', () => one.stats.shards === shards);
  });

  it('hands what one sets to the others, and finds it again at any relay', async () => {
    await relay('r1');
    await relay('r2');
    const [a, b] = [await front('a'), await front('b')];
    await putAll(a, 40);
    await waitUntil('the news', () => b.news.length === 40);
    assert.isEmpty(a.news);
    for (const i of [0, 13, 39]) assert.equal(await ask(b, `k${i}`), `v${i}`);
    assert.equal(await ask(b, 'nowhere'), 'nothing');
  });

  it('finds what a relay has that was the owner before', async () => {
    await relay('r1');
    const a = await front('a');
    await putAll(a, 40);
    const two = await relay('r2');
    await waitUntil('its share', () => two.stats.shards > 0);
    for (let i = 0; i < 40; i++) assert.equal(await ask(a, `k${i}`), `v${i}`);
    assert.isAbove(two.stats.fetched, 0);
  });

  it('goes on when a relay is killed, once its leases are over', async () => {
    const one = await relay('r1');
    const a = await front('a');
    const spec = {
      node: 'r2',
      role: 'relay',
      cluster: `t${count}`,
      servers: [server.url],
      shards,
      seed,
      leaseTtlMs: 1_500,
    };
    using other = startFixture('relay/cluster-node.mjs', [JSON.stringify(spec)]);
    let output = '';
    other.child.stdout!.on('data', (data) => {
      output += data;
    });
    await waitUntil('its share', () => /"shards":[1-9]/.test(output) && one.stats.shards! < shards);
    await putAll(a, 20);
    other.child.kill('SIGKILL');
    await waitUntil('all shards', () => one.stats.shards === shards, 30_000);
    await putAll(a, 40);
    for (let i = 0; i < 40; i++) assert.equal(await ask(a, `k${i}`), `v${i}`);
  });

  it('tells a delete to all, and lets nobody bring it back', async () => {
    await relay('r1');
    await relay('r2');
    const aging = await relief('aging', 'old');
    const [a, b] = [await front('a'), await front('b')];
    const old = entry('old');
    await a.downstream.put('k', old, signal());
    const { acknowledged, missing } = await a.downstream.forget('k', stone(), signal());
    // Two relays, the relief node, the other front end.
    assert.deepEqual({ acknowledged, missing }, { acknowledged: 4, missing: [] });
    await waitUntil('the news', () => b.news.some((each) => each.type === 'entry.deleted'));
    await b.downstream.put('k', old, signal());
    assert.equal(await ask(a, 'k'), 'deleted');
    assert.equal(aging.relief.stats.table!.tombstones, 1);
    // Those who come later learn of it, too.
    const c = await front('c');
    assert.isTrue(c.news.some((each) => each.type === 'entry.deleted' && each.key === 'k'));
  });

  it('places what has no room by rendezvous hashing over the relief nodes that are there', async () => {
    const one = await relay('r1', { table: { capacity: 20 } });
    const names = ['old-1', 'old-2', 'old-3'];
    const aging: Awaited<ReturnType<typeof relief>>[] = [];
    for (const name of names) aging.push(await relief('aging', name));
    const a = await front('a');
    await putAll(a, 80);
    const records = () => aging.map((each) => each.relief.stats.table!.records);
    await waitUntil('all overflow', () => records().reduce((sum, n) => sum + n, 0) === 60);
    assert.equal(one.stats.overflowLost, 0);
    const hasher = await keyHasher(BigInt(seed));
    const first = Array.from({ length: 60 }, (_, i) => ownersOf(hasher(`k${i}`), names)[0]);
    assert.deepEqual(
      records(),
      names.map((name) => first.filter((each) => each === name).length),
    );
    for (const i of [0, 30, 79]) assert.equal(await ask(a, `k${i}`), `v${i}`);
    // One of them goes: what the others have is found, and new overflow finds its place.
    await aging[0]!.relief.close();
    const kept = first.indexOf(names[1]);
    assert.equal(await ask(a, `k${kept}`), `v${kept}`);
  });

  it('refuses what a former owner of a shard still wants to hand on', async () => {
    await relay('r1');
    const { member: old } = await relief('aging', 'old');
    const former = await member('former', 'relay');
    open.push(former);
    const hasher = await keyHasher(BigInt(seed));
    const hash = hasher('k');
    const give = (token: number) =>
      former.request(
        'relief.put',
        { key: 'k', hash, entry: entry('x'), shard: shardOf(hash, shards), token },
        { to: old.node },
      );
    await give(1_000_000);
    const error = await give(999_999).catch((thrown) => thrown as IpcError);
    assert.instanceOf(error, IpcError);
    assert.equal(error.code, 'ERR_LEASE_LOST', error.message);
  });

  it('keeps sessions that outlive all nodes, and their deletes', async () => {
    const durable = { maxAgeMs: 3_600_000, maxBytes: 16 * 1024 * 1024 };
    const one = await relay('r1', { durable });
    const a = await front('a');
    await putAll(a, 10);
    await a.downstream.forget('k3', stone(), signal());
    for (const each of open.splice(0).reverse()) await each.close();
    assert.equal(one.stats.shards, 0);
    const two = await relay('r1', { durable });
    const b = await front('b');
    for (let i = 0; i < 10; i++) assert.equal(await ask(b, `k${i}`), i === 3 ? 'deleted' : `v${i}`);
    assert.equal(two.stats.table!.records, 9);
  });

  it('refuses to the holder of an earlier lease what is durable', async () => {
    const durable = { maxAgeMs: 3_600_000, maxBytes: 16 * 1024 * 1024 };
    const joined = await member('r1', 'relay');
    open.push(joined);
    const sessions = await joined.sessions(durable);
    const lease = { name: 'shard.1', token: 7 };
    assert.isTrue(await sessions.write(1, 'k', entry('later'), lease));
    const error = await sessions
      .write(1, 'k', entry('late'), { ...lease, token: 6 })
      .catch((thrown) => thrown);
    assert.equal(error.code, 'ERR_LEASE_LOST');
    assert.equal(said(await sessions.read(1, 'k')), 'later');
  });

  it('knows for how long it may have missed a delete', async () => {
    const one = await relay('r1');
    const a = await front('a');
    await waitUntil('a beat', () => a.downstream.silentMs < 1_000);
    assert.equal(a.downstream.status, 'connected');
    await one.close();
    await waitUntil('the loss', () => a.downstream.status === 'lost');
    const before = a.downstream.silentMs;
    await waitUntil('silence', () => a.downstream.silentMs > before + 300);
    const asked = await a.downstream.ask('k', signal(500)).catch((thrown) => thrown);
    assert.equal(asked.code, 'ERR_RELAY_UNAVAILABLE');
    // What was deleted meanwhile is told to the next one.
    await a.downstream.forget('k', stone(), signal(500)).catch(() => undefined);
    await relay('r2');
    await a.downstream.connected({ timeoutMs: 10_000 });
    await waitUntil('no silence', () => a.downstream.silentMs < 1_000);
    const b = await front('b');
    assert.isTrue(b.news.some((each) => each.type === 'entry.deleted' && each.key === 'k'));
  });
});
