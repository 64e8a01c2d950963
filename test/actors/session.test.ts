import { readdirSync } from 'node:fs';
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Court, holder, type ServerSession, tennis } from './pair.ts';

describe('a session', () => {
  let court: Court;
  beforeEach(() => {
    court = new Court();
  });
  afterEach(() => court.close());

  it('tells each side who the other is, and both the same token', async () => {
    const { atServer, atClient } = await court.play({
      serve: { metadata: { v: 1 } },
      connect: { metadata: ['x'] },
    });
    assert.deepInclude(atServer.peer, { app: 'player', pid: process.pid, metadata: ['x'] });
    assert.deepInclude(atClient.peer, { app: 'wall', pid: process.pid, metadata: { v: 1 } });
    assert.equal(atServer.token, atClient.token);
    assert.match(atClient.token, /^[0-9a-f]{32}$/);
  });

  it('carries messages both ways, in order', async () => {
    const { atServer, atClient } = await court.play();
    for (let n = 0; n < 100; n++) {
      await atClient.channels.balls.send({ n });
      await atServer.channels.balls.send({ n: 1000 + n });
    }
    for (let n = 0; n < 100; n++) {
      assert.deepEqual(await atServer.channels.balls.receive(), { n });
      assert.deepEqual(await atClient.channels.balls.receive(), { n: 1000 + n });
    }
  });

  it('ends for both when one side closes it, and says who did', async () => {
    const { atClient, ends } = await court.play({ connect: { reconnect: { minMs: 60_000, maxMs: 60_000 } } });
    atClient.close('enough for today');
    await waitUntil('both ends', () => ends.server.length === 1 && ends.client.length === 1);
    assert.deepInclude(ends.client[0], { type: 'session.closed', reason: 'enough for today' });
    assert.deepInclude(ends.server[0], { type: 'session.hosed', reason: 'peer.goodbye' });
  });

  it('delivers what was accepted before a close', async () => {
    const { atServer, atClient, ends } = await court.play();
    for (let n = 0; n < 50; n++) assert.isTrue(atClient.channels.balls.trySend({ n }));
    const taken: number[] = [];
    atServer.channels.balls.onBatch((balls) => taken.push(...balls.map(({ n }) => n)));
    atClient.close();
    await waitUntil('the end', () => ends.server.length > 0);
    assert.deepEqual(
      taken,
      Array.from({ length: 50 }, (_, n) => n),
    );
  });

  it('tells how many messages the peer never took', async () => {
    const { atServer, atClient, ends } = await court.play({ connect: { closeTimeoutMs: 50 } });
    for (let n = 0; n < 7; n++) atServer.channels.balls.trySend({ n });
    atServer.channels.bytes.trySend(new Uint8Array(3));
    atClient.close();
    await waitUntil('the end', () => ends.server.length > 0);
    assert.deepInclude(ends.server[0]!.unread, { balls: 7, bytes: 1, sums: 0 });
  });

  it('is opened again when its server comes back, by a fresh machine', async () => {
    const { serving, ends, client } = await court.play();
    await serving.stop();
    await waitUntil('the loss', () => ends.client.length === 1);
    const numbers: string[] = [];
    const onServer = holder<ServerSession>(({ token }) => numbers.push(token));
    await court.runtime().serve(tennis.wall, onServer);
    await waitUntil('the next session', () => numbers.length === 1);
    await client.stop();
  });

  it('leaves no descriptor behind', async () => {
    const before = readdirSync('/proc/self/fd').length;
    for (let round = 0; round < 20; round++) {
      const one = new Court();
      const { atClient, atServer } = await one.play();
      atClient.channels.balls.trySend({ n: round });
      assert.deepEqual(await atServer.channels.balls.receive(), { n: round });
      await one.close();
    }
    assert.isAtMost(readdirSync('/proc/self/fd').length, before + 2);
  });
});
