// A relay by NATS on three servers, of which some die: what was acknowledged stays, one holder of a lease at a time, and nobody is cut
// off. The elections of the engine take their seconds; nothing here waits for a time but for what follows it.
import { setTimeout as pause } from 'node:timers/promises';
import { assert } from 'chai';
import type { IpcError } from '../../src/errors.ts';
import type { NatsOptions } from '../../src/spec/relay-nats.ts';
import { NatsMember } from '../../src/transport/nats-member.ts';
import { figures } from '../support/figures.ts';
import { NatsServer } from '../support/nats/server.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('a relay by NATS on three servers', function () {
  this.timeout(120_000);
  let servers: NatsServer[] = [];
  const open: NatsMember[] = [];
  let count = 0;
  const joined = async (node: string, index: number, options: Partial<NatsOptions> = {}) => {
    // The first in the list is where it is connected at first.
    const urls = servers.map(({ url }) => url);
    const order = [...urls.slice(index), ...urls.slice(0, index)];
    const member = await NatsMember.open({
      node,
      cluster: `c${count}`,
      servers: order,
      replicas: 3,
      timeoutMs: 30_000,
      ...options,
    });
    open.push(member);
    return member;
  };
  before(async () => {
    servers = await NatsServer.cluster();
  });
  beforeEach(() => {
    count++;
  });
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
    for (const server of servers) await server.upAgain();
  });
  after(() => Promise.all(servers.map((server) => server.remove())));

  /** Writes all the time; answers what was acknowledged, and how long nothing was. */
  function writing(relay: NatsMember) {
    const table = relay.kv('settings');
    const acknowledged: number[] = [];
    let longestMs = 0;
    let failed = 0;
    let ended = false;
    const loop = (async () => {
      let lastMs = performance.now();
      for (let n = 1; !ended; n++) {
        try {
          await table.put(`key-${n % 50}`, n, { timeoutMs: 2_000 });
          acknowledged.push(n);
          longestMs = Math.max(longestMs, performance.now() - lastMs);
          lastMs = performance.now();
        } catch (error) {
          assert.equal((error as IpcError).code, 'ERR_RELAY_UNAVAILABLE');
          failed++;
        }
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
    })();
    return {
      acknowledged,
      get failed() {
        return failed;
      },
      get longestMs() {
        return Math.round(longestMs);
      },
      async end() {
        ended = true;
        await loop;
      },
    };
  }

  async function lost(
    relay: NatsMember,
    { acknowledged }: { acknowledged: readonly number[] },
  ): Promise<number> {
    let missing = 0;
    for (const key of new Set(acknowledged.map((n) => n % 50))) {
      const last = acknowledged.findLast((n) => n % 50 === key)!;
      const value = (await relay.kv('settings').get(`key-${key}`, { timeoutMs: 10_000 }))?.value as number;
      // One that was not acknowledged may have been taken all the same.
      if (!(value >= last)) missing++;
    }
    return missing;
  }

  /** The server that leads the tables; in an election there is none for a while. */
  async function leading(relay: NatsMember): Promise<NatsServer> {
    for (const givenUpAt = performance.now() + 60_000; performance.now() < givenUpAt; ) {
      const leader = await relay.leaderOf('kv');
      const found = servers.find(({ name }) => name === leader);
      if (found) return found;
      await pause(50);
    }
    throw new Error('waited in vain: a leader');
  }

  it('loses no acknowledged write, and no message, when the leader of the tables is killed', async () => {
    const writer = await joined('writer', 0);
    const reader = await joined('reader', 1);
    const victim = await leading(writer);
    const heard: number[] = [];
    let gaps = 0;
    const onGap = (messages: number) => {
      gaps += messages;
    };
    await reader.subscribe('news', (message) => heard.push(message as number), { onGap });
    const writes = writing(writer);
    let sent = 0;
    const sending = setInterval(() => writer.publish('news', ++sent), 5);
    try {
      await waitUntil('some writes', () => writes.acknowledged.length > 100);
      await victim.down('SIGKILL');
      const before = writes.acknowledged.length;
      await waitUntil('writes after the election', () => writes.acknowledged.length > before + 100, 60_000);
    } finally {
      clearInterval(sending);
      await writes.end();
    }
    await waitUntil('all messages', () => heard.length + gaps === sent, 30_000);
    assert.equal(gaps, 0);
    assert.equal(await lost(reader, writes), 0);
    const { acknowledged, failed, longestMs } = writes;
    figures('leader killed', { acknowledged: acknowledged.length, failed, longestMs, messages: sent });
  });

  it('loses nothing in a rolling restart, one server after the other', async () => {
    const writer = await joined('writer', 0);
    const writes = writing(writer);
    try {
      for (const server of servers) {
        const before = writes.acknowledged.length;
        await waitUntil('some writes', () => writes.acknowledged.length > before + 50, 60_000);
        await server.down('SIGTERM');
        await server.upAgain();
      }
      const before = writes.acknowledged.length;
      await waitUntil('some writes', () => writes.acknowledged.length > before + 50, 60_000);
    } finally {
      await writes.end();
    }
    assert.equal(await lost(writer, writes), 0);
    const { acknowledged, failed, longestMs } = writes;
    figures('rolling restart', { acknowledged: acknowledged.length, failed, longestMs });
  });
});
