// The engine's mode, by the suite of all modes; one server, and a cluster's name of its own for each test.

import { type RelayBench, relayConformance } from '../../src/runtime/relay-conformance.ts';
import type { Relay } from '../../src/spec/relay.ts';
import { NatsMember } from '../../src/transport/nats-member.ts';
import { NatsServer } from '../support/nats/server.ts';

const conforms = (name: string, open: () => Promise<RelayBench>) =>
  relayConformance(name, open, { describe, it, beforeEach, afterEach });

describe('with nats-server', () => {
  let server: NatsServer;
  let count = 0;
  before(async () => {
    server = await NatsServer.start();
  });
  after(() => server.remove());

  conforms('nats', async () => {
    const cluster = `c${++count}`;
    const open: Relay[] = [];
    return {
      node: async (node) => {
        const relay = await NatsMember.open({ node, cluster, servers: [server.url] });
        open.push(relay);
        return relay;
      },
      close: async () => {
        await Promise.all(open.map((relay) => relay.close()));
      },
    };
  });
});
