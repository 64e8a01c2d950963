// The table of answers: what each call of a channel says when there is room or none, something or nothing, and after the end.
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { Court } from './pair.ts';

async function failureOf(call: Promise<unknown>): Promise<{ code?: string; message: string }> {
  return call.then(
    () => assert.fail('it succeeded'),
    (error) => error,
  );
}

describe('a channel', () => {
  let court: Court;
  beforeEach(() => {
    court = new Court();
  });
  afterEach(() => court.close());

  /** Fills the ring. @returns how many messages went in. */
  function fill(trySend: () => boolean): number {
    let sent = 0;
    while (trySend()) sent++;
    return sent;
  }

  describe('trySend()', () => {
    it('answers false when the ring is full and queues nothing', async () => {
      const { atClient, atServer } = await court.play();
      const { balls } = atClient.channels;
      const sent = fill(() => balls.trySend({ n: 1 }));
      assert.isAbove(sent, 100);
      assert.equal(balls.stats().full, 1);
      let taken = 0;
      atServer.channels.balls.onBatch((batch) => {
        taken += batch.length;
      });
      await waitUntil('all of them', () => taken >= sent);
      await balls.flush();
      assert.equal(taken, sent);
      assert.isTrue(balls.trySend({ n: 2 }));
    });

    it('refuses a message above the limit and leaves the channel as it was', async () => {
      const { atClient, atServer } = await court.play();
      const { bytes } = atClient.channels;
      assert.throws(
        () => bytes.trySend(new Uint8Array(32_761)),
        /32761 bytes on channel bytes is above its limit of 32760/,
      );
      assert.isTrue(bytes.trySend(new Uint8Array(32_760).fill(7)));
      assert.deepEqual(await atServer.channels.bytes.receive(), new Uint8Array(32_760).fill(7));
    });

    it('refuses what its codec can not express', async () => {
      const { atClient } = await court.play();
      assert.throws(() => atClient.channels.bytes.trySend('text' as never), /takes a Uint8Array/);
      assert.throws(() => atClient.channels.balls.trySend(undefined as never), /can't be encoded/);
    });

    it('drops and counts with the policy drop-newest, and send does not wait', async () => {
      const { atServer } = await court.play();
      const { news } = atServer.channels;
      fill(() => news.trySend('x'.repeat(100)));
      await news.send('y'.repeat(100));
      assert.equal(news.stats().dropped, 2);
    });
  });

  describe('send()', () => {
    it('waits for room and keeps the order', async () => {
      const { atClient, atServer } = await court.play();
      const { balls } = atClient.channels;
      const full = fill(() => balls.trySend({ n: -1 }));
      const sends = Array.from({ length: 500 }, (_, n) => balls.send({ n }));
      assert.isFalse(balls.trySend({ n: 999 }), 'overtook those who wait');
      const taken: number[] = [];
      atServer.channels.balls.onBatch((batch) => taken.push(...batch.map(({ n }) => n)));
      await Promise.all(sends);
      await balls.flush();
      assert.deepEqual(
        taken.slice(full),
        Array.from({ length: 500 }, (_, n) => n),
      );
    });

    it('gives up after its limit, and the message is not sent', async () => {
      const { atClient, atServer } = await court.play();
      const { balls } = atClient.channels;
      const sent = fill(() => balls.trySend({ n: 1 }));
      const began = performance.now();
      assert.equal((await failureOf(balls.send({ n: 2 }, { timeoutMs: 40 }))).code, 'ERR_TIMEOUT');
      assert.isAtLeast(performance.now() - began, 39);
      let taken = 0;
      atServer.channels.balls.onBatch((batch) => {
        taken += batch.length;
        assert.isTrue(batch.every(({ n }) => n === 1));
      });
      await balls.flush();
      assert.equal(taken, sent);
    });

    it('rejects with the reason of its signal', async () => {
      const { atClient } = await court.play();
      const { balls } = atClient.channels;
      fill(() => balls.trySend({ n: 1 }));
      const controller = new AbortController();
      const failure = failureOf(balls.send({ n: 2 }, { signal: controller.signal }));
      controller.abort(new Error('changed my mind'));
      assert.equal((await failure).message, 'changed my mind');
      assert.equal(
        (await failureOf(balls.send({ n: 3 }, { signal: controller.signal }))).message,
        'changed my mind',
      );
    });

    it('refuses to let more than a bounded number wait', async () => {
      const { atClient } = await court.play();
      const { balls } = atClient.channels;
      fill(() => balls.trySend({ n: 1 }));
      const waiting = Array.from({ length: 1024 }, () => balls.send({ n: 2 }).catch(() => {}));
      assert.equal((await failureOf(balls.send({ n: 3 }))).code, 'ERR_CHANNEL_BUSY');
      assert.lengthOf(waiting, 1024);
    });
  });

  describe('receive()', () => {
    it('waits for the next message, first come first served', async () => {
      const { atClient, atServer } = await court.play();
      const { balls } = atServer.channels;
      assert.isUndefined(balls.tryReceive());
      const calls = [balls.receive(), balls.receive()];
      await atClient.channels.balls.send({ n: 1 });
      await atClient.channels.balls.send({ n: 2 });
      assert.deepEqual(await Promise.all(calls), [{ n: 1 }, { n: 2 }]);
    });

    it('gives up after its limit and loses nothing by it', async () => {
      const { atClient, atServer } = await court.play();
      const { balls } = atServer.channels;
      assert.equal((await failureOf(balls.receive({ timeoutMs: 20 }))).code, 'ERR_TIMEOUT');
      await atClient.channels.balls.send({ n: 5 });
      assert.deepEqual(await balls.receive(), { n: 5 });
    });

    it('delivers what was sent before a close, then ends an iteration', async () => {
      const { atClient, atServer } = await court.play();
      for (let n = 0; n < 3; n++) atClient.channels.balls.trySend({ n });
      const seen: number[] = [];
      const iteration = (async () => {
        for await (const { n } of {
          [Symbol.asyncIterator]: () => atServer.channels.balls[Symbol.asyncIterator](),
        })
          seen.push(n);
      })();
      atClient.close();
      await iteration;
      assert.deepEqual(seen, [0, 1, 2]);
    });
  });

  describe('request()', () => {
    it('resolves with the reply of a handler', async () => {
      const { atClient, atServer } = await court.play();
      atServer.channels.sums.onRequest('add', async (numbers) => numbers.reduce((sum, n) => sum + n, 0));
      assert.equal(await atClient.channels.sums.request('add', [1, 2, 3]), 6);
    });

    it('works in the other direction too, and with many at once', async () => {
      const { atClient, atServer } = await court.play();
      atClient.channels.sums.onRequest('add', ([a, b]) => a! + b!);
      const sums = await Promise.all(
        Array.from({ length: 200 }, (_, n) => atServer.channels.sums.request('add', [n, n])),
      );
      assert.deepEqual(
        sums,
        Array.from({ length: 200 }, (_, n) => 2 * n),
      );
    });

    it('rejects with what the handler threw', async () => {
      const { atClient, atServer } = await court.play();
      atServer.channels.sums.onRequest('add', () => {
        throw new Error('no numbers today');
      });
      const failure = await failureOf(atClient.channels.sums.request('add', []));
      assert.equal(failure.code, 'ERR_REQUEST_FAILED');
      assert.match(failure.message, /no numbers today/);
    });

    it('rejects when nobody answers that request, and when the time is up', async () => {
      const { atClient, atServer } = await court.play();
      atServer.channels.sums.onRequest('other' as 'add', () => 1);
      const unhandled = await failureOf(atClient.channels.sums.request('add', [1]));
      assert.equal(unhandled.code, 'ERR_REQUEST_UNHANDLED');
      assert.match(unhandled.message, /nobody at the peer answers request add: no handler came/);
      atServer.channels.sums.onRequest('add', () => new Promise(() => {}));
      assert.equal(
        (await failureOf(atClient.channels.sums.request('add', [1], { timeoutMs: 30 }))).code,
        'ERR_TIMEOUT',
      );
    });

    it('reaches its reply behind messages that nobody takes', async () => {
      const { atClient, atServer } = await court.play();
      const { sums } = atClient.channels;
      atServer.channels.sums.onRequest('add', ([a]) => {
        for (let n = 0; n < 5; n++)
          (atServer.channels.sums as unknown as { trySend(m: unknown): boolean }).trySend({ n });
        return a!;
      });
      assert.equal(await sums.request('add', [9]), 9);
      assert.deepEqual((await sums.receive()) as unknown, { n: 0 });
    });
  });
});
