// A client that speaks of on-demand channels what makes no sense: it loses its session, and only this one.
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { deferred } from './library.ts';
import { Court, holder } from './pair.ts';
import { RawClient } from './raw-client.ts';
import { type ExchangeSession, exchange } from './switchboard.ts';

type Act = (client: RawClient, session: ExchangeSession) => void | Promise<void>;

const offer = (number: number, change: object = {}) => ({
  t: 'offer',
  number,
  channel: 'calls',
  metadata: null,
  ...change,
});
const saw = (client: RawClient, t: string) =>
  waitUntil(t, () => client.frames.find((frame) => frame.t === t));

/** Opens one and answers the number that it has. */
async function open(client: RawClient): Promise<void> {
  client.send(offer(1025));
  await saw(client, 'opened');
}

const wrongs: [what: string, act: Act][] = [
  ['an offer with a number of the server', (client) => client.send(offer(1024))],
  ['an offer with the number of an init-channel', (client) => client.send(offer(1))],
  ['an offer without a number', (client) => client.send(offer(Number.NaN))],
  [
    'the same offer twice',
    (client) => {
      client.send(offer(1025));
      client.send(offer(1025));
    },
  ],
  ['an offer of no channel', (client) => client.send(offer(1025, { channel: 'cals' }))],
  ['an offer of an init-channel', (client) => client.send(offer(1025, { channel: 'line' }))],
  ['an offer of a name that all objects have', (client) => client.send(offer(1025, { channel: 'toString' }))],
  ['an offer that chooses its lanes', (client) => client.send(offer(1025, { slot: 0 }))],
  ['an offer with too much metadata', (client) => client.send(offer(1025, { metadata: 'x'.repeat(70_000) }))],
  ['an acceptance of no offer', (client) => client.send({ t: 'opened', number: 1024 })],
  [
    'a rejection of no offer',
    (client) => client.send({ t: 'declined', number: 1024, code: 'X', message: 'x' }),
  ],
  ['a look at no offer', (client) => client.send({ t: 'noticed', number: 1026 })],
  ['a withdrawal of what was never offered', (client) => client.send({ t: 'withdrawn', number: 1025 })],
  ['the end of a channel that never was', (client) => client.send({ t: 'parted', number: 1025, tail: 0 })],
  [
    'the end of its offer before the answer',
    async (client) => {
      client.send(offer(1025, { channel: 'faxes' }));
      await saw(client, 'noticed');
      client.send({ t: 'parted', number: 1025, tail: 0 });
    },
  ],
  [
    'a last place outside the ring',
    async (client) => {
      await open(client);
      client.send({ t: 'parted', number: 1025, tail: 8192 });
    },
  ],
  [
    'a last place between two records',
    async (client) => {
      await open(client);
      client.send({ t: 'parted', number: 1025, tail: 4 });
    },
  ],
  [
    'the end of a channel twice, both before our own',
    async (client) => {
      await open(client);
      client.send({ t: 'parted', number: 1025, tail: 0 });
      client.send({ t: 'parted', number: 1025, tail: 0 });
    },
  ],
  [
    'an acceptance that chooses its lanes',
    async (client, session) => {
      session.openChannel('calls').catch(() => {});
      await saw(client, 'offer');
      client.send({ t: 'opened', number: 1024, slot: 1 });
    },
  ],
  [
    'two acceptances of one offer',
    async (client, session) => {
      session.openChannel('calls').catch(() => {});
      await saw(client, 'offer');
      client.send({ t: 'opened', number: 1024 });
      client.send({ t: 'opened', number: 1024 });
    },
  ],
];

describe('a client that misuses offers', () => {
  let court: Court;
  let raw: RawClient;
  let session: ExchangeSession;
  let honest: ExchangeSession;
  let ended: { type: string; reason?: string }[];

  beforeEach(async () => {
    court = new Court();
    ended = [];
    const sessions: ((session: ExchangeSession) => void)[] = [];
    const first = deferred<ExchangeSession>();
    const second = deferred<ExchangeSession>();
    sessions.push(first.resolve, second.resolve);
    await court.runtime().serve(
      exchange,
      holder<ExchangeSession>(
        (one) => {
          one.onOffer('calls', (each) => each.accept());
          // Never answered.
          one.onOffer('faxes', () => {});
          sessions.shift()?.(one);
        },
        (end) => ended.push(end),
      ),
    );
    const other = new RawClient(court, exchange, 'phone');
    await other.logIn();
    honest = await first.promise;
    raw = new RawClient(court, exchange, 'phone');
    await raw.logIn();
    session = await second.promise;
    closing = other;
  });
  let closing: RawClient;
  afterEach(async () => {
    raw.close();
    closing.close();
    await court.close();
  });

  for (const [what, act] of wrongs)
    it(`by ${what} loses its session, and only this one`, async () => {
      await act(raw, session);
      await waitUntil('the end of it', () => ended.length > 0);
      assert.deepEqual(
        ended.map(({ type, reason }) => [type, reason]),
        [['session.hosed', 'protocol']],
      );
      assert.isTrue(honest.channels.line.open);
    });

  it('with hundreds of offers at once gets an answer to each', async () => {
    for (let n = 0; n < 200; n++) raw.send(offer(1025 + 2 * n, { channel: n === 0 ? 'faxes' : 'calls' }));
    await waitUntil('answers to all', () => raw.frames.length >= 200);
    const answers = (t: string) => raw.frames.filter((frame) => frame.t === t).length;
    assert.deepEqual([answers('opened'), answers('declined'), answers('noticed')], [3, 196, 4]);
    assert.isEmpty(ended);
  });

  it('by withdrawing what was rejected in the meantime does no harm', async () => {
    for (let n = 0; n < 4; n++) raw.send(offer(1025 + 2 * n));
    raw.send({ t: 'withdrawn', number: 1031 });
    raw.send({ t: 'withdrawn', number: 1025 });
    await waitUntil('the end of the first', () => raw.frames.some((frame) => frame.t === 'parted'));
    assert.isEmpty(ended);
  });
});
