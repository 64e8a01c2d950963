// A node of a relay by NATS that is stopped for a while, in a process of its own: its lease goes to another, its late writes are refused,
// and what it could not take in time is counted.
import { assert } from 'chai';
import type { IpcError } from '../../src/errors.ts';
import type { Lease } from '../../src/spec/relay.ts';
import { NatsMember } from '../../src/transport/nats-member.ts';
import { figures } from '../support/figures.ts';
import { type Program, startFixture } from '../support/fixture.ts';
import { freePorts, NatsServer } from '../support/nats/server.ts';
import { waitUntil } from '../support/wait-until.ts';

describe('a stopped node of a relay by NATS', function () {
  this.timeout(120_000);
  let server: NatsServer;
  let relay: NatsMember;
  let other: Program;
  let output = '';
  let monitor = '';
  beforeEach(async () => {
    const [port] = await freePorts(1);
    monitor = `http://127.0.0.1:${port}/varz`;
    server = await NatsServer.start({ args: ['-js', '-m', String(port)] });
    relay = await NatsMember.open({ node: 'a', servers: [server.url] });
    other = startFixture('relay/nats-node.mjs', [server.url]);
    output = '';
    other.child.stdout!.on('data', (data) => {
      output += data;
    });
    await waitUntil('the holder', () => /holds/.test(output));
  });
  afterEach(async () => {
    other[Symbol.dispose]();
    await relay.close();
    await server.remove();
  });

  it('has lost its lease to the next one when it goes on, and writes nothing under it any more', async () => {
    const token = Number(/holds (\d+)/.exec(output)![1]);
    const take = () =>
      relay.lease('leader').catch((error: IpcError) => {
        assert.equal(error.code, 'ERR_LEASE_HELD');
        return undefined;
      });
    other.child.kill('SIGUSR2');
    await waitUntil('a write', () => /^written/m.test(output));
    assert.isUndefined(await take());
    other.child.kill('SIGSTOP');
    const stoppedMs = performance.now();
    let next: Lease | undefined;
    const untilMs = performance.now() + 30_000;
    while (!next && performance.now() < untilMs) {
      next = await take();
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    assert.isAbove(next!.token, token);
    figures('holder stopped', { ttlMs: 2_000, nextAfterMs: Math.round(performance.now() - stoppedMs) });
    await relay.kv('settings').put('by', 'a', { lease: next! });
    other.child.kill('SIGUSR2');
    other.child.kill('SIGCONT');
    await waitUntil('the refusal', () => /^ERR_LEASE_LOST/m.test(output));
    await waitUntil('the loss', () => /^lost ERR_LEASE_LOST/m.test(output));
    assert.equal((await relay.kv('settings').get('by'))?.value, 'a');
    await next!.release();
  });

  it('holds up the others for a moment alone, and is told of all that it has missed', async () => {
    other.child.kill('SIGSTOP');
    const stoppedMs = performance.now();
    const body = new Uint8Array(4_096);
    let sent = 0;
    let full = 0;
    while (sent < 12_000) {
      try {
        relay.publish('news', { n: sent + 1, body });
        sent++;
      } catch (error) {
        assert.equal((error as IpcError).code, 'ERR_RELAY_FULL');
        full++;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    // It was held by the window, and let go again.
    assert.isAbove(full, 0);
    const heldMs = Math.round(performance.now() - stoppedMs);
    other.child.kill('SIGCONT');
    const told = () => {
      other.child.kill('SIGUSR2');
      const last = [...output.matchAll(/(\{.*\})$/gm)].at(-1);
      return last && (JSON.parse(last[1]!) as { messages: number; gaps: number });
    };
    await waitUntil(
      'all messages, or the word that they are lost',
      () => {
        const heard = told();
        return heard && heard.messages + heard.gaps === sent;
      },
      30_000,
    );
    // The engine has not cut it off: that would have been without a word.
    const { slow_consumers: cut } = (await (await fetch(monitor)).json()) as { slow_consumers: number };
    assert.equal(cut, 0);
    const { messages, gaps } = told()!;
    figures('slow consumer', { sent, heldMs, messages, gaps, cut });
  });
});
