// A broadcast between one station and many receivers, each over a session of its own.
import { setTimeout as pause } from 'node:timers/promises';
import { assert } from 'chai';
import { type Broadcast, IpcError } from '../../src/index.ts';
import { waitUntil } from '../support/wait-until.ts';
import { type AtReceiver, Band, following, type News, radio } from './radio.ts';

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return error instanceof IpcError ? error.code : String(error);
  }
  return 'none';
}

/** Reads until message `last` has come. @returns the numbers of all that came, each checked against its gap. */
async function readTo(
  reader: Broadcast<News>,
  last: number,
  first = 0,
): Promise<{ n: number[]; missed: number }> {
  const n: number[] = [];
  let expected = first;
  let missed = 0;
  for await (const { message, gap } of reader) {
    assert.equal(message.n, expected + gap, 'the gap is what is missing');
    n.push(message.n);
    missed += gap;
    expected = message.n + 1;
    if (message.n === last) break;
  }
  return { n, missed };
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

describe('a broadcast', function () {
  this.timeout(90_000);
  let band: Band;
  beforeEach(() => {
    band = new Band();
  });
  afterEach(() => band.close());

  it('reaches all who read, in order, and nobody else', async () => {
    const { broadcasts } = await band.serve();
    const sessions = await Promise.all([band.tune(), band.tune(), band.tune()]);
    const readers = sessions.slice(0, 2).map(({ session }) => session.broadcasts.news);
    await Promise.all(readers.map((reader) => reader.subscribe()));
    assert.deepInclude(broadcasts.news.stats(), { published: 0, readers: 2 });
    const all = Promise.all(readers.map((reader) => readTo(reader, 99)));
    for (let n = 0; n < 100; n++) await broadcasts.news.publish({ n });
    for (const { n } of await all) assert.deepEqual(n, numbers(0, 99));
    assert.isFalse(sessions[2]!.session.broadcasts.news.subscribed);
  });

  it('is published through the sessions of the server too', async () => {
    await band.serve();
    const { session } = await band.tune();
    await session.broadcasts.news.subscribe();
    await waitUntil('the session', () => band.stationSessions.length === 1);
    assert.isTrue(band.stationSessions[0]!.broadcasts.news.tryPublish({ n: 7 }));
    assert.deepEqual(await session.broadcasts.news.receive(), { message: { n: 7 }, gap: 0 });
  });

  it('carries bytes as they are, and objects of any shape to whoever comes', async () => {
    const { broadcasts } = await band.serve();
    const early = await band.tune();
    await early.session.broadcasts.news.subscribe();
    broadcasts.news.tryPublish({ n: 1, text: 'a' });
    const late = await band.tune();
    await Promise.all([late.session.broadcasts.news.subscribe(), late.session.broadcasts.raw.subscribe()]);
    const text = 'ä€'.repeat(200);
    broadcasts.news.tryPublish({ n: 2, text });
    broadcasts.raw.tryPublish(Uint8Array.of(1, 2, 3));
    assert.deepEqual((await late.session.broadcasts.news.receive()).message, { n: 2, text });
    assert.deepEqual((await late.session.broadcasts.raw.receive()).message, Uint8Array.of(1, 2, 3));
    assert.deepEqual((await early.session.broadcasts.news.receive()).message, { n: 1, text: 'a' });
  });

  it('begins for a late reader with its history, as far as the ring still has it', async () => {
    const { broadcasts } = await band.serve();
    const { session } = await band.tune();
    for (let n = 0; n < 2; n++) broadcasts.charts.tryPublish({ n });
    const { charts } = session.broadcasts;
    assert.deepEqual((await readTo(charts, 1)).n, [0, 1]);
    for (let n = 2; n < 1000; n++) broadcasts.charts.tryPublish({ n });
    charts.unsubscribe();
    assert.deepEqual((await readTo(charts, 999, 997)).n, [997, 998, 999]);
    // Two of them fill the ring.
    for (let n = 0; n < 3; n++) broadcasts.charts.tryPublish({ n, text: 'x'.repeat(1900) });
    charts.unsubscribe();
    assert.equal((await charts.receive()).message.n, 1);
  });

  it('begins for a late reader with the next message where there is no history', async () => {
    const { broadcasts } = await band.serve();
    const { session } = await band.tune();
    broadcasts.news.tryPublish({ n: 1 });
    await session.broadcasts.news.subscribe();
    assert.isUndefined(session.broadcasts.news.tryReceive());
    broadcasts.news.tryPublish({ n: 2 });
    assert.deepEqual(await session.broadcasts.news.receive(), { message: { n: 2 }, gap: 0 });
  });

  it('comes as events to a machine that names it, with the gap', async () => {
    const { broadcasts } = await band.serve();
    const events: { message: News; gap: number }[] = [];
    band.runtime().connect(
      radio.receiver,
      radio.station,
      following((event) => events.push(event)),
    );
    await waitUntil('the subscription', () => broadcasts.news.stats().readers === 1);
    for (let n = 0; n < 3000; n++) broadcasts.news.tryPublish({ n });
    await waitUntil('the last event', () => events.at(-1)?.message.n === 2999);
    assert.equal(
      events.reduce((sum, { gap }) => sum + gap + 1, 0),
      3000,
    );
    assert.isAbove(events[0]!.gap, 0);
  });

  it('hands a batch over with the gap before it, and never one within it', async () => {
    const { broadcasts } = await band.serve();
    const { session } = await band.tune();
    let expected = 0;
    session.broadcasts.news.onBatch((messages, gap) => {
      expected += gap;
      for (const { n } of messages) assert.equal(n, expected++);
    });
    await waitUntil('the subscription', () => broadcasts.news.stats().readers === 1);
    for (let n = 0; n < 20_000; n++) {
      broadcasts.news.tryPublish({ n });
      if (n % 700 === 0) await pause(0);
    }
    await waitUntil('the last message', () => expected === 20_000);
    const { received, missed } = session.broadcasts.news.stats();
    assert.equal(received + missed, 20_000);
    assert.isAbove(missed, 0);
  });

  describe('whose readers drop the oldest', () => {
    it('never waits, and tells a slow one among three exactly what it missed', async () => {
      const { broadcasts } = await band.serve();
      const sessions = await Promise.all([band.tune(), band.tune(), band.tune()]);
      const [slow, ...fast] = sessions.map(({ session }) => session.broadcasts.news) as [
        Broadcast<News>,
        Broadcast<News>,
        Broadcast<News>,
      ];
      await Promise.all([slow, ...fast].map((reader) => reader.subscribe()));
      const read = Promise.all(fast.map((reader) => readTo(reader, 1999)));
      for (let n = 0; n < 2000; n++) {
        assert.isTrue(broadcasts.news.tryPublish({ n }));
        if (n % 100 === 0) await pause(0);
      }
      for (const { n } of await read) assert.deepEqual(n, numbers(0, 1999));
      const { n, missed } = await readTo(slow, 1999);
      assert.equal(n.length + missed, 2000);
      assert.isAbove(missed, 0);
      assert.deepEqual(slow.stats(), { received: n.length, missed });
    });
  });

  describe('whose readers block', () => {
    async function fill(session: AtReceiver, broadcasts: { orders: { tryPublish(news: News): boolean } }) {
      await session.broadcasts.orders.subscribe();
      let n = 0;
      while (broadcasts.orders.tryPublish({ n })) n++;
      return n;
    }

    it('publishes freely while nobody reads', async () => {
      const { broadcasts } = await band.serve();
      for (let n = 0; n < 1000; n++) assert.isTrue(broadcasts.orders.tryPublish({ n }));
    });

    it('answers false while one of them leaves no room, and loses nothing', async () => {
      const { broadcasts } = await band.serve();
      const { session } = await band.tune();
      const n = await fill(session, broadcasts);
      assert.isAbove(n, 10);
      assert.isFalse(broadcasts.orders.tryPublish({ n }));
      assert.equal(broadcasts.orders.stats().full, 2);
      assert.deepEqual((await session.broadcasts.orders.receive()).message, { n: 0 });
      await waitUntil('room', () => broadcasts.orders.tryPublish({ n }));
      const rest = await readTo(session.broadcasts.orders, n, 1);
      assert.deepEqual(rest, { n: numbers(1, n), missed: 0 });
    });

    it('waits for room in publish, in order, until its limit or the reason of its signal', async () => {
      const { broadcasts } = await band.serve();
      const { session } = await band.tune();
      const first = await fill(session, broadcasts);
      assert.equal(await codeOf(broadcasts.orders.publish({ n: -1 }, { timeoutMs: 20 })), 'ERR_TIMEOUT');
      const abort = new AbortController();
      const aborted = codeOf(broadcasts.orders.publish({ n: -2 }, { signal: abort.signal }));
      const all = Promise.all(numbers(first, first + 499).map((n) => broadcasts.orders.publish({ n })));
      abort.abort('enough');
      assert.equal(await aborted, 'enough');
      const read = await readTo(session.broadcasts.orders, first + 499);
      assert.deepEqual(read, { n: numbers(0, first + 499), missed: 0 });
      await all;
    });

    it('lets a bounded number of calls wait', async () => {
      const { broadcasts } = await band.serve();
      const { session } = await band.tune();
      const first = await fill(session, broadcasts);
      const waiting = numbers(first, first + 1023).map((n) => broadcasts.orders.publish({ n }));
      assert.equal(await codeOf(broadcasts.orders.publish({ n: 0 })), 'ERR_CHANNEL_BUSY');
      session.broadcasts.orders.unsubscribe();
      await Promise.all(waiting);
    });

    it('goes on at once when a reader unsubscribes, and when its session is closed from either side', async () => {
      const { broadcasts } = await band.serve();
      const endings: ((session: AtReceiver) => void)[] = [
        ({ broadcasts: { orders } }) => orders.unsubscribe(),
        (session) => session.close('enough'),
        () => band.stationSessions.at(-1)!.close('enough'),
      ];
      for (const end of endings) {
        const { session } = await band.tune({ reconnect: { minMs: 5_000, maxMs: 5_000 } });
        const n = await fill(session, broadcasts);
        const waiting = broadcasts.orders.publish({ n });
        end(session);
        await waiting;
        await waitUntil('its leave', () => broadcasts.orders.stats().readers === 0);
      }
    });

    it('drops one that is slow for slowAfterMs, tells it, and goes on with the others', async () => {
      const { broadcasts } = await band.serve();
      const [slow, fast] = await Promise.all([band.tune(), band.tune()]);
      const { alarms } = slow.session.broadcasts;
      await Promise.all([alarms.subscribe(), fast.session.broadcasts.alarms.subscribe()]);
      const read = readTo(fast.session.broadcasts.alarms, 199);
      for (let n = 0; n < 200; n++) await broadcasts.alarms.publish({ n });
      assert.deepEqual(await read, { n: numbers(0, 199), missed: 0 });
      assert.deepInclude(broadcasts.alarms.stats(), { dropped: 1, readers: 1 });
      const told = band.messages.filter(({ message }) => message.includes('dropped its reader'));
      assert.lengthOf(told, 1);
      assert.match(
        told[0]!.message,
        /^broadcast alarms dropped its reader receiver \(process \d+\), .* 400 ms$/,
      );
      // What stands in the ring after a gap is not given to it.
      assert.equal(await codeOf(alarms.receive()), 'ERR_BROADCAST_DROPPED');
      assert.equal(await codeOf(alarms.receive()), 'ERR_BROADCAST_DROPPED');
      assert.isFalse(alarms.subscribed);
      assert.deepEqual(
        slow.ends.map(({ type, error }) => [type, error?.code]),
        [['subscription.dropped', 'ERR_BROADCAST_DROPPED']],
      );
      await alarms.subscribe();
      await broadcasts.alarms.publish({ n: 200 });
      assert.deepEqual(await alarms.receive(), { message: { n: 200 }, gap: 0 });
    });

    it('drops nobody who takes what is in the ring in time, however slowly', async () => {
      const { broadcasts } = await band.serve();
      const { session } = await band.tune();
      const { alarms } = session.broadcasts;
      await alarms.subscribe();
      const published = (async () => {
        for (let n = 0; n < 300; n++) await broadcasts.alarms.publish({ n });
      })();
      let expected = 0;
      while (expected < 300) {
        const { message } = await alarms.receive();
        assert.equal(message.n, expected++);
        if (expected % 50 === 0) await pause(20);
      }
      await published;
      assert.equal(broadcasts.alarms.stats().dropped, 0);
    });
  });

  describe('whose session ends', () => {
    it('hands over what was published, then ends with the one cause', async () => {
      const serving = await band.serve();
      const { session, ends } = await band.tune({ reconnect: { minMs: 5_000, maxMs: 5_000 } });
      const { news } = session.broadcasts;
      await news.subscribe();
      for (let n = 0; n < 10; n++) serving.broadcasts.news.tryPublish({ n });
      await serving.stop();
      await waitUntil('the end', () => ends.length === 1);
      for (let n = 0; n < 10; n++) assert.deepEqual(news.tryReceive(), { message: { n }, gap: 0 });
      assert.equal(await codeOf(news.receive()), 'ERR_CHANNEL_HOSED');
      const error = await news.receive().catch((thrown) => thrown);
      assert.strictEqual(error.cause, ends[0]!.error!.cause);
      assert.throws(() => serving.broadcasts.news.tryPublish({ n: 11 }), /news is closed/);
    });

    it('ends an iteration when its own side closes', async () => {
      await band.serve();
      const { session } = await band.tune({ reconnect: { minMs: 5_000, maxMs: 5_000 } });
      const iteration = (async () => {
        for await (const _ of session.broadcasts.news);
      })();
      await waitUntil('the subscription', () => session.broadcasts.news.subscribed);
      session.close();
      await iteration;
      assert.equal(await codeOf(session.broadcasts.news.receive()), 'ERR_CHANNEL_CLOSED');
    });
  });

  it('refuses a message that is too large or can not be encoded, and is unharmed', async () => {
    const { broadcasts } = await band.serve();
    const { session } = await band.tune();
    await session.broadcasts.raw.subscribe();
    assert.equal(await codeOf(broadcasts.raw.publish(new Uint8Array(2033))), 'ERR_MESSAGE_TOO_LARGE');
    assert.equal(await codeOf(broadcasts.raw.publish('text' as never)), 'ERR_MESSAGE_INVALID');
    assert.equal(await codeOf(broadcasts.news.publish(undefined as never)), 'ERR_MESSAGE_INVALID');
    assert.isTrue(broadcasts.raw.tryPublish(new Uint8Array(2032)));
    assert.equal((await session.broadcasts.raw.receive()).message.length, 2032);
  });
});
