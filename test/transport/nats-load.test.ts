// What nodes ask of an engine while nothing happens, against what bench/engine-load.ts calculates: docs/scale.md relies on it for numbers of
// hosts that no test can start.
import { assert } from 'chai';
import { engineLoad } from '../../bench/engine-load.ts';
import { NatsMember } from '../../src/transport/nats-member.ts';
import { figures } from '../support/figures.ts';
import { freePorts, NatsServer } from '../support/nats/server.ts';

describe('the load of an engine', function () {
  this.timeout(60_000);
  const nodes = 12;
  let server: NatsServer;
  let monitor: string;
  const open: NatsMember[] = [];
  before(async () => {
    const [port] = await freePorts(1);
    monitor = `http://127.0.0.1:${port}`;
    server = await NatsServer.start({ args: ['-js', '-m', String(port)] });
    for (let i = 0; i < nodes; i++)
      open.push(await NatsMember.open({ node: `n${i}`, servers: [server.url] }));
  });
  after(async () => {
    await Promise.all(open.map((each) => each.close()));
    await server.remove();
  });
  const look = async (path: string) =>
    (await (await fetch(`${monitor}/${path}`)).json()) as Record<string, number>;

  it('is that of the calculation', async () => {
    const wanted = engineLoad({ nodes, relays: 0, publishers: 0, shards: 0, topics: 0 });
    const { connections } = await look('varz');
    assert.equal(connections, wanted.connections);
    const { connections: all } = (await look('connz')) as unknown as {
      connections: { subscriptions: number }[];
    };
    assert.equal(
      all.reduce((sum, each) => sum + each.subscriptions, 0),
      wanted.subscriptions,
    );
    const before = await look('varz');
    const sinceMs = performance.now();
    await new Promise((resolve) => setTimeout(resolve, 9_000));
    const seconds = (performance.now() - sinceMs) / 1000;
    const after = await look('varz');
    const handedOut = (after.out_msgs! - before.out_msgs!) / seconds;
    const expected = wanted.rows + wanted.answers;
    assert.isAbove(handedOut, expected * 0.7);
    assert.isBelow(handedOut, expected * 1.4);
    const bytes = (after.out_bytes! - before.out_bytes!) / seconds;
    assert.isAbove(bytes, wanted.bytes * 0.5);
    assert.isBelow(bytes, wanted.bytes * 1.5);
    figures('load', { handedOut, expected, bytes, wanted });
  });
});
