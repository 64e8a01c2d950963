// Channels that are opened while a session lasts: by either side, several of one name, ended one by one, and their lanes used
// again. Both ends stand in this process; test/actors/on-demand-processes.test.ts has two.
import { assert, expect } from 'chai';
import type { Channel, Offer, Session } from '../../src/index.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { waitUntil } from '../support/wait-until.ts';
import { Court } from './pair.ts';
import { openSwitchboard } from './switchboard.ts';

async function failureOf(
  call: Promise<unknown>,
): Promise<{ code?: string; message: string; cause?: unknown }> {
  return call.then(
    () => assert.fail('it succeeded'),
    (error) => error,
  );
}

/** Opens a channel as soon as the lanes of an earlier one are free. */
async function opened<C>(open: () => Promise<C>): Promise<C> {
  for (;;)
    try {
      return await open();
    } catch (error) {
      assert.equal((error as { code?: string }).code, 'ERR_CHANNEL_LIMIT');
      await new Promise(setImmediate);
    }
}

/** Accepts all offers. @returns the ends, oldest first. */
function acceptAll<C = Channel>(session: object, name: string): C[] {
  const ends: C[] = [];
  (session as Session).onOffer(name as never, (offer: Offer) => ends.push(offer.accept() as C));
  return ends;
}

describe('a channel on demand', () => {
  let court: Court;
  beforeEach(() => {
    court = new Court();
  });
  afterEach(() => court.close());

  describe('openChannel()', () => {
    for (const opener of ['client', 'server'] as const)
      it(`opens one from the ${opener}, with metadata, and messages go both ways`, async () => {
        const { atServer, atClient } = await openSwitchboard(court);
        const [mine, theirs] = opener === 'client' ? [atClient, atServer] : [atServer, atClient];
        const offers: unknown[] = [];
        const accepted: Channel<string, string, { spell: [string, string[]] }>[] = [];
        (theirs as typeof atServer).onOffer('calls', (offer) => {
          offers.push([offer.channel, offer.metadata]);
          const end = offer.accept();
          end.trySend('at once');
          accepted.push(end);
        });
        const call = await (mine as typeof atClient).openChannel('calls', { metadata: { from: [1, 'x'] } });
        assert.deepEqual(offers, [['calls', { from: [1, 'x'] }]]);
        assert.equal(call.name, 'calls');
        assert.isTrue(call.open);
        assert.equal(await call.receive(), 'at once');
        await call.send('up');
        assert.equal(await accepted[0]!.receive(), 'up');
        accepted[0]!.onRequest('spell', (word) => [...word]);
        assert.deepEqual(await call.request('spell', 'abc'), ['a', 'b', 'c']);
        assert.notProperty(mine.channels, 'calls');
      });

    it('opens several of one channel, each with its own messages, up to maxOpen', async () => {
      const { atServer, atClient } = await openSwitchboard(court);
      const ends = acceptAll<Channel<string, string>>(atServer, 'calls');
      const calls = await Promise.all([1, 2, 3].map((n) => atClient.openChannel('calls', { metadata: n })));
      calls.forEach((call, n) => {
        call.trySend(`call ${n}`);
      });
      assert.deepEqual(await Promise.all(ends.map((end) => end.receive())), ['call 0', 'call 1', 'call 2']);
      const refused = await failureOf(atClient.openChannel('calls'));
      assert.equal(refused.code, 'ERR_CHANNEL_LIMIT');
      assert.match(refused.message, /open or offered 3 times already/);
      assert.equal((await failureOf(atServer.openChannel('calls'))).code, 'ERR_CHANNEL_LIMIT');
      await calls[1]!.close();
      await opened(() => atClient.openChannel('calls'));
    });

    it('opens one from each side at the same time', async () => {
      const { atServer, atClient } = await openSwitchboard(court);
      const atServerEnds = acceptAll<Channel<string, string>>(atServer, 'calls');
      const atClientEnds = acceptAll<Channel<string, string>>(atClient, 'calls');
      const [fromClient, fromServer] = await Promise.all([
        atClient.openChannel('calls'),
        atServer.openChannel('calls'),
      ]);
      fromClient.trySend('by the client');
      fromServer.trySend('by the server');
      assert.equal(await atServerEnds[0]!.receive(), 'by the client');
      assert.equal(await atClientEnds[0]!.receive(), 'by the server');
    });

    it('opens exactly one if both want the only one there can be', async () => {
      const { atServer, atClient } = await openSwitchboard(court);
      acceptAll(atServer, 'faxes');
      acceptAll(atClient, 'faxes');
      const outcomes = await Promise.allSettled([
        atClient.openChannel('faxes'),
        atServer.openChannel('faxes'),
      ]);
      assert.deepEqual(
        outcomes.map(({ status }) => status),
        ['rejected', 'fulfilled'],
      );
      assert.equal((outcomes[0] as PromiseRejectedResult).reason.code, 'ERR_CHANNEL_LIMIT');
    });

    it('is rejected with the reason of the peer, and the session goes on', async () => {
      const { atServer, atClient } = await openSwitchboard(court);
      atServer.onOffer('calls', (offer) => {
        offer.reject('nobody is at home');
        offer.reject('again');
        expect(() => offer.accept())
          .to.throw(/can't be accepted: it was answered already/)
          .with.property('code', 'ERR_OFFER_WITHDRAWN');
      });
      const { code, message } = await failureOf(atClient.openChannel('calls'));
      assert.equal(code, 'ERR_OFFER_REJECTED');
      assert.match(message, /rejected channel calls: nobody is at home/);
      atClient.channels.line.trySend('still here');
      assert.equal(await atServer.channels.line.receive(), 'still here');
    });

    it('is rejected where nobody takes it, or where its handler fails', async () => {
      const { atServer, atClient } = await openSwitchboard(court);
      assert.match((await failureOf(atClient.openChannel('calls'))).message, /its program takes no offers/);
      const end = atServer.onOffer('calls', () => {
        throw new Error('the handler is broken');
      });
      assert.match((await failureOf(atClient.openChannel('calls'))).message, /the handler is broken/);
      end();
      assert.match((await failureOf(atClient.openChannel('calls'))).message, /takes no offers/);
    });

    it('gives up after its limit, says what the peer was doing, and frees the lanes', async () => {
      const { atServer, atClient } = await openSwitchboard(court);
      const offers: Offer<Channel>[] = [];
      atServer.onOffer('calls', (offer) => offers.push(offer as unknown as Offer<Channel>));
      const failures = await Promise.all(
        [1, 2, 3].map(() => failureOf(atClient.openChannel('calls', { timeoutMs: 60 }))),
      );
      for (const { code, message } of failures) {
        assert.equal(code, 'ERR_OFFER_TIMEOUT');
        assert.match(message, /within 60 ms: the program of app exchange \(process \d+\) has it before it/);
      }
      // What comes by the same socket after the withdrawals.
      const barrier = acceptAll(atServer, 'faxes');
      await atClient.openChannel('faxes');
      assert.lengthOf(barrier, 1);
      for (const offer of offers)
        assert.throws(() => offer.accept(), /can't be accepted: the peer waits for it no longer/);
      const ends = acceptAll(atServer, 'calls');
      await Promise.all([1, 2, 3].map(() => atClient.openChannel('calls')));
      assert.lengthOf(ends, 3);
    });

    it('gives up with the reason of its signal', async () => {
      const { atServer, atClient } = await openSwitchboard(court);
      atServer.onOffer('faxes', () => {});
      const controller = new AbortController();
      const failure = failureOf(atClient.openChannel('faxes', { signal: controller.signal }));
      controller.abort(new Error('changed my mind'));
      assert.equal((await failure).message, 'changed my mind');
    });

    it('that was accepted while it was given up is ended at the peer too', async () => {
      const { atServer, atClient } = await openSwitchboard(court);
      const ends = acceptAll<Channel>(atServer, 'faxes');
      const controller = new AbortController();
      const failure = failureOf(atClient.openChannel('faxes', { signal: controller.signal }));
      // The offer is on its way; the withdrawal follows it.
      controller.abort(new Error('too late'));
      await failure;
      await waitUntil('the end of it', () => ends.length === 0 || !ends[0]!.open);
      await opened(() => atClient.openChannel('faxes'));
    });

    it('refuses what is no channel, no JSON or too much, and leaves nothing behind', async () => {
      const { atClient } = await openSwitchboard(court);
      const circle: { self?: unknown } = {};
      circle.self = circle;
      const refused: [name: string, metadata: unknown, code: string][] = [
        ['cals', null, 'ERR_CHANNEL_UNKNOWN'],
        ['line', null, 'ERR_CHANNEL_UNKNOWN'],
        ['constructor', null, 'ERR_CHANNEL_UNKNOWN'],
        ['calls', 'x'.repeat(65_536), 'ERR_MESSAGE_INVALID'],
        ['calls', circle, 'ERR_MESSAGE_INVALID'],
        ['calls', () => {}, 'ERR_MESSAGE_INVALID'],
        ['calls', 1n, 'ERR_MESSAGE_INVALID'],
      ];
      for (const [name, metadata, code] of refused)
        assert.equal((await failureOf(atClient.openChannel(name as never, { metadata }))).code, code, name);
      assert.throws(() => atClient.onOffer('line' as never, () => {}), /has no channel line with open/);
    });
  });

  describe('close()', () => {
    it('sends what was accepted, ends both directions, and leaves the session and the others alone', async () => {
      const { atServer, atClient } = await openSwitchboard(court);
      const ends = acceptAll<Channel<string, string>>(atServer, 'calls');
      const [one, other] = await Promise.all([atClient.openChannel('calls'), atClient.openChannel('calls')]);
      const words = Array.from({ length: 30 }, (_, n) => `word ${n}`);
      for (const word of words) one.trySend(word);
      const heard: string[] = [];
      const listening = (async () => {
        for await (const word of ends[0]!) heard.push(word);
      })();
      await one.close();
      await listening;
      assert.deepEqual(heard, words);
      assert.throws(() => one.trySend('late'), /channel calls is closed/);
      await waitUntil('the peer to hear it', () => !ends[0]!.open);
      assert.throws(() => ends[0]!.trySend('late'), /channel calls is closed/);
      await one.close();
      other.trySend('still there');
      assert.equal(await ends[1]!.receive(), 'still there');
    });

    it('rejects what waits on it, at both sides, with ERR_CHANNEL_CLOSED', async () => {
      const { atServer, atClient } = await openSwitchboard(court, {
        serve: { closeTimeoutMs: 50 },
        connect: { closeTimeoutMs: 50 },
      });
      const ends = acceptAll<Channel<string, string, { spell: [string, string[]] }>>(atServer, 'calls');
      const call = await atClient.openChannel('calls');
      const failures = [
        failureOf(call.receive()),
        failureOf(ends[0]!.receive()),
        failureOf(ends[0]!.request('spell', 'x')),
      ];
      await call.close();
      for (const failure of await Promise.all(failures)) assert.equal(failure.code, 'ERR_CHANNEL_CLOSED');
    });

    it('from both sides at the same time ends it once', async () => {
      const { atServer, atClient } = await openSwitchboard(court);
      const ends = acceptAll<Channel>(atServer, 'faxes');
      for (let n = 0; n < 5; n++) {
        const call = await opened(() => atClient.openChannel('faxes'));
        await Promise.all([call.close(), ends[n]!.close()]);
      }
      assert.lengthOf(ends, 5);
    });

    it('keeps what had arrived and nobody has taken, then ends', async () => {
      const { atServer, atClient } = await openSwitchboard(court, { connect: { closeTimeoutMs: 30 } });
      const ends = acceptAll<Channel<Uint8Array, Uint8Array>>(atServer, 'faxes');
      const fax = await atClient.openChannel('faxes');
      fax.trySend(Uint8Array.of(1, 2, 3));
      fax.trySend(new Uint8Array(100_000).fill(4));
      await fax.close();
      await waitUntil('the end', () => !ends[0]!.open);
      assert.deepEqual(await ends[0]!.receive(), Uint8Array.of(1, 2, 3));
      assert.deepEqual(await ends[0]!.receive(), new Uint8Array(100_000).fill(4));
      assert.equal((await failureOf(ends[0]!.receive())).code, 'ERR_CHANNEL_CLOSED');
      await waitUntil('all memory to be back', () => atClient.arena.stats().used === 0);
    });

    it('ends a channel of the beginning as well, for good', async () => {
      const { atServer, atClient } = await openSwitchboard(court);
      atClient.channels.line.trySend('last');
      const taken = atServer.channels.line.receive();
      await atClient.channels.line.close();
      assert.equal(await taken, 'last');
      await waitUntil('the peer to hear it', () => !atServer.channels.line.open);
      const ends = acceptAll<Channel<string, string>>(atServer, 'calls');
      const call = await atClient.openChannel('calls');
      call.trySend('the session goes on');
      assert.equal(await ends[0]!.receive(), 'the session goes on');
    });
  });

  it('uses its lanes again and again: no message of an earlier one is ever seen', async function () {
    this.timeout(120_000);
    const { atServer, atClient } = await openSwitchboard(court, {
      connect: { closeTimeoutMs: 20 },
      serve: { closeTimeoutMs: 20 },
    });
    const ends: Channel<string, string>[] = [];
    atServer.onOffer('calls', (offer) => {
      const end = offer.accept() as unknown as Channel<string, string>;
      end.trySend(`down ${ends.push(end) - 1}`);
    });
    const before = openDescriptors().size;
    for (let n = 0; n < 60; n++) {
      const call = await opened(() => atClient.openChannel('calls'));
      assert.equal(await call.receive(), `down ${n}`);
      // What nobody takes stands in the ring when it ends, more in each turn, and across its end.
      for (let word = 0; word < n % 7; word++) call.trySend('x'.repeat(n * 8));
      call.trySend(`up ${n}`);
      if (n % 2 === 0) {
        const first = await ends[n]!.receive();
        assert.equal(first, n % 7 === 0 ? `up ${n}` : 'x'.repeat(n * 8));
      }
      await (n % 3 === 0 ? ends[n]!.close() : call.close());
    }
    assert.isAtMost(openDescriptors().size, before);
  });

  it('is hosed with its session, and an offer that waits fails with it', async () => {
    const { atServer, atClient, ends } = await openSwitchboard(court);
    acceptAll(atServer, 'calls');
    atServer.onOffer('faxes', () => {});
    const call = await atClient.openChannel('calls');
    const waits = failureOf(atClient.openChannel('faxes'));
    atServer.close('dinner');
    assert.equal((await waits).code, 'ERR_SESSION_HOSED');
    const hosed = await failureOf(call.send('late'));
    assert.equal(hosed.code, 'ERR_CHANNEL_HOSED');
    await waitUntil('the end', () => ends.client.length === 1);
    assert.equal(hosed.cause, ends.client[0]!.error!.cause);
    assert.equal((await failureOf(atClient.openChannel('calls'))).code, 'ERR_SESSION_HOSED');
    assert.equal((await failureOf(atServer.openChannel('calls'))).code, 'ERR_SESSION_CLOSED');
  });

  it('ends with its session in whatever state it is, and nothing fails on the way', async () => {
    for (const [n, delay] of [0, 0, 1, 1, 2, 3].entries()) {
      const one = new Court();
      const limits = { closeTimeoutMs: 20 };
      const { atServer, atClient, ends } = await openSwitchboard(one, { serve: limits, connect: limits });
      const accepted = acceptAll<Channel>(atServer, 'calls');
      atServer.onOffer('faxes', () => {});
      const calls = await Promise.all([atClient.openChannel('calls'), atClient.openChannel('calls')]);
      // One parts from here, one from there, one is just offered, one waits for its answer.
      const closed = [calls[0].close(), accepted[1]!.close()];
      const failures = [
        failureOf(atClient.openChannel('calls')).catch(() => {}),
        failureOf(atClient.openChannel('faxes')),
      ];
      for (let turn = 0; turn < delay; turn++) await new Promise(setImmediate);
      (n % 2 === 0 ? atServer : atClient).close();
      await waitUntil('both ends', () => ends.server.length === 1 && ends.client.length === 1);
      await Promise.all([...closed, ...failures]);
      await one.close();
      assert.deepEqual(
        one.messages.filter(({ level, message }) => level === 'error' || /hosed: protocol/.test(message)),
        [],
      );
    }
  });

  it('is flushed when its session is closed', async () => {
    const { atServer, atClient } = await openSwitchboard(court);
    const heard: string[] = [];
    atServer.onOffer('calls', (offer) => {
      offer.accept().onBatch((words) => heard.push(...words));
    });
    const call = await atClient.openChannel('calls');
    for (let n = 0; n < 100; n++) await call.send(`word ${n}`);
    atClient.close();
    await waitUntil('all of it', () => heard.length === 100);
  });

  it('carries large messages, and gives its memory back when it is closed', async () => {
    const { atServer, atClient } = await openSwitchboard(court);
    const ends = acceptAll<Channel<Uint8Array, Uint8Array>>(atServer, 'faxes');
    for (let n = 0; n < 4; n++) {
      const fax = await opened(() => atClient.openChannel('faxes'));
      await fax.send(new Uint8Array(200_000).fill(n));
      const held = await ends[n]!.receive({ borrow: true });
      await fax.close();
      assert.equal(held.bytes.at(-1), n);
      held.release();
    }
    await waitUntil('all memory to be back', () => atClient.arena.stats().used === 0);
  });
});
