// What a client takes from its server about on-demand channels: the server chooses lanes, and a client checks what it chose.
import { assert } from 'chai';
import { Offers } from '../../src/actors/offers.ts';
import { addressOf } from '../../src/names.ts';
import type { Frame } from '../../src/transport/frame.ts';
import { Court } from './pair.ts';
import { exchange } from './switchboard.ts';

describe('the offers of a client', () => {
  let court: Court;
  let offers: Offers;
  let sent: Frame[];

  beforeEach(() => {
    court = new Court();
    sent = [];
    offers = new Offers({
      host: court.runtime().host,
      address: addressOf('session'),
      side: 'client',
      server: exchange,
      // Nothing here comes as far as a lane.
      link: undefined as never,
      makeEnd: () => assert.fail('a channel was opened'),
      peer: { app: 'exchange', pid: process.pid },
      drainTimeoutMs: 10,
      send: (frame) => void sent.push(frame),
      onReport: () => {},
      onBroken: () => {},
      errorOf: () => undefined,
      channels: [],
    });
  });
  afterEach(async () => {
    offers.tearDown(new Error('over') as never);
    await court.close();
  });

  const offer = (number: number, slot?: number): Frame => ({
    t: 'offer',
    number,
    channel: 'calls',
    metadata: null,
    ...(slot !== undefined && { slot }),
  });

  it('take one with lanes of its own, and leave other frames alone', () => {
    assert.isTrue(offers.take(offer(1024, 2)));
    assert.isTrue(offers.take(offer(1026, 0)));
    assert.isFalse(offers.take({ t: 'goodbye', reason: '' }));
    assert.isFalse(offers.take({ t: 'toString' }));
  });

  const wrong: [string, Frame[], RegExp][] = [
    ['without lanes', [offer(1024)], /without lanes of its own/],
    ['with lanes that there are not', [offer(1024, 3)], /without lanes of its own/],
    ['with the lanes of another', [offer(1024, 1), offer(1026, 1)], /without lanes of its own/],
    ["with a number of the client's", [offer(1025, 0)], /out of order/],
    ['with an earlier number', [offer(1030, 0), offer(1028, 1)], /out of order/],
  ];
  for (const [what, frames, why] of wrong)
    it(`refuse one ${what}`, () => {
      for (const frame of frames.slice(0, -1)) offers.take(frame);
      assert.throws(() => offers.take(frames.at(-1)!), why);
    });

  it('refuse an answer without lanes, with those of another, and a second one', () => {
    offers.open('calls').catch(() => {});
    assert.deepEqual(sent.at(-1), { t: 'offer', number: 1025, channel: 'calls', metadata: null });
    offers.take(offer(1024, 1));
    assert.throws(() => offers.take({ t: 'opened', number: 1025 }), /without lanes/);
    assert.throws(() => offers.take({ t: 'opened', number: 1025, slot: 1 }), /without lanes/);
    offers.take({ t: 'declined', number: 1025, code: 'ERR_OFFER_REJECTED', message: 'no' });
    assert.throws(() => offers.take({ t: 'declined', number: 1025, code: 'X', message: 'no' }), /no offer/);
  });

  it('are bounded: whoever has too many waiting is told to wait, before anything is sent', async () => {
    const failure = await Promise.all(
      Array.from({ length: 4 }, () =>
        offers.open('calls').then(
          () => undefined,
          (error: { code: string }) => error.code,
        ),
      ).slice(3),
    );
    assert.deepEqual(failure, ['ERR_CHANNEL_LIMIT']);
    assert.lengthOf(sent, 3);
  });
});
