// A peer that was let in and then breaks the rules: its session ends with the reason, and the server goes on.
import { assert } from 'chai';
import { packPlain } from '../../src/transport/codec.ts';
import { recordKind } from '../../src/transport/record.ts';
import { isOpen, openDescriptors } from '../support/descriptors.ts';
import { waitUntil } from '../support/wait-until.ts';
import { type ClientSession, Court, holder, type ServerSession, tennis } from './pair.ts';
import { RawClient } from './raw-client.ts';

interface End {
  type: string;
  reason?: string;
  error?: { code: string; message: string; cause?: unknown };
}

const frames: [what: string, send: (client: RawClient) => void, why: RegExp][] = [
  ['a frame of an unknown type', (client) => client.send({ t: 'abracadabra' }), /unknown type abracadabra/],
  ['a second log-in', (client) => client.send(client.hello(), client.fds), /unknown type hello/],
  ['bytes that are no frame', (client) => client.sendBytes(Buffer.from([0xc1, 1, 2])), /./],
  [
    'a subscription to no broadcast',
    (client) => client.send({ t: 'subscribe', broadcast: 'toString', number: 1 }),
    /there is no broadcast toString to read/,
  ],
  [
    'a subscription without a number',
    (client) => client.send({ t: 'subscribe', broadcast: 'news', number: 2 ** 32 }),
    /number is not a whole number/,
  ],
  [
    'the end of a subscription to no broadcast',
    (client) => client.send({ t: 'unsubscribe', broadcast: 'news' }),
    /there is no broadcast news to read/,
  ],
  [
    'the answer to a subscription that it should ask for',
    (client) => client.send({ t: 'subscribed', broadcast: 'news', number: 1 }),
    /subscribed came with 0 descriptors instead of 1/,
  ],
  [
    'another segment without its descriptors',
    (client) => client.send({ t: 'segment.replaced', bytes: 4096 }),
    /segment.replaced came with 0 descriptors instead of 2/,
  ],
  [
    'another segment without a size',
    (client) => client.send({ t: 'segment.replaced' }, client.fds),
    /bytes is not a whole number/,
  ],
  ['a goodbye without a reason', (client) => client.send({ t: 'goodbye' }), /reason/],
];

const message = packPlain({ n: 1 });

function record(kind: number, payload: Uint8Array = message) {
  return (client: RawClient) => {
    const lane = client.lane('balls');
    lane.write(kind, 0, payload, payload.length);
    lane.publish();
    client.ring();
  };
}

/** Something honest first, then something that `spoil` makes of the memory. */
function memory(spoil: (words: Int32Array, tailAt: number) => void) {
  return (client: RawClient) => {
    record(recordKind.message)(client);
    spoil(client.words, client.tailAt);
    client.ring();
  };
}

const rings: [what: string, corrupt: (client: RawClient) => void, why: RegExp, reason?: string][] = [
  ['a record of an unknown kind', record(99), /channel balls: a record of unknown kind 99/],
  [
    'a message that is none of its codec',
    record(recordKind.message, Uint8Array.of(0xd4, 5, 0)),
    /channel balls: /,
  ],
  ['a message that is cut off', record(recordKind.message, message.subarray(0, 2)), /channel balls: /],
  [
    'a message of no bytes',
    record(recordKind.message, new Uint8Array(0)),
    /channel balls: a message of no bytes/,
  ],
  [
    'a shape of objects out of order',
    record(recordKind.structure, packPlain([7, ['a']])),
    /a shape of objects/,
  ],
  [
    'a request without its number',
    record(recordKind.request, new Uint8Array(2)),
    /a record without its number/,
  ],
  [
    'a record after the end',
    (client) => {
      record(recordKind.end, new Uint8Array(0))(client);
      const lane = client.lane('balls');
      lane.write(recordKind.message, 0, message, message.length);
      client.words[client.tailAt] = client.words[client.tailAt]! + 16;
      client.ring();
    },
    /channel balls: /,
    'memory',
  ],
  [
    'a tail outside its ring',
    memory((words, tailAt) => Atomics.store(words, tailAt, 1 << 20)),
    /channel balls: the tail is outside the ring/,
    'memory',
  ],
  [
    'a tail that goes back',
    memory((words, tailAt) => Atomics.store(words, tailAt, -8)),
    /channel balls: the tail is outside the ring/,
    'memory',
  ],
  [
    'a tail that promises records which are not there',
    memory((words, tailAt) => Atomics.store(words, tailAt, 1024)),
    /channel balls: a record is missing or comes twice/,
    'memory',
  ],
];

describe('a corrupt peer', () => {
  let court: Court;
  let served: ServerSession[];
  let ends: End[];
  let client: RawClient;

  beforeEach(async () => {
    court = new Court();
    served = [];
    ends = [];
    await court.runtime().serve(
      tennis.wall,
      holder<ServerSession>(
        (session) => {
          session.channels.balls.onBatch(() => {});
          served.push(session);
        },
        (end) => ends.push(end as End),
      ),
    );
    client = new RawClient(court);
    await client.logIn();
    await waitUntil('the session', () => served.length === 1);
  });
  afterEach(async () => {
    client.close();
    await court.close();
  });

  async function hosed(why: RegExp, reason = 'protocol'): Promise<void> {
    await waitUntil('the end of the session', () => ends.length > 0);
    const [end] = ends as [End];
    assert.deepInclude(end, { type: 'session.hosed', reason });
    assert.match(end.error!.message, why);
    await waitUntil('the connection to be closed', () => client.end !== undefined);
  }

  /** The server is as it was: an honest client gets in and is answered. */
  async function stillServes(): Promise<void> {
    let session: ClientSession | undefined;
    court.runtime().connect(
      tennis.player,
      tennis.wall,
      holder<ClientSession>((opened) => {
        session = opened;
      }),
    );
    await waitUntil('an honest session', () => session !== undefined && served.length === 2);
    served[1]!.channels.balls.trySend({ n: 7 });
    assert.deepEqual(await session!.channels.balls.receive(), { n: 7 });
    assert.lengthOf(ends, 1);
  }

  for (const [what, send, why] of frames)
    it(`that sends ${what} loses its session, and only this one`, async () => {
      send(client);
      await hosed(why);
      await stillServes();
    });

  for (const [what, corrupt, why, reason] of rings)
    it(`that writes ${what} loses its session, and only this one`, async () => {
      corrupt(client);
      await hosed(why, reason);
      await stillServes();
    });

  it('that goes on in another segment is told that this release does not, and keeps its session', async () => {
    const before = openDescriptors().size;
    client.send({ t: 'segment.replaced', bytes: 4096 }, client.fds);
    await waitUntil('the answer', () => client.frames.some(({ t }) => t === 'segment.refused'));
    record(recordKind.message)(client);
    await waitUntil('the message', () => served[0]!.channels.balls.stats().received === 1);
    assert.isEmpty(ends);
    assert.isAtMost(openDescriptors().size, before);
  });

  it('that answers a request with a failure of no words leaves nobody waiting', async () => {
    // String() would throw at this one, in the middle of the answer.
    const failure = packPlain({ message: { toString: 1, valueOf: 1 } });
    const asked = served[0]!.channels.sums.request('add', [1, 2], { timeoutMs: 60_000 });
    let error: { code?: string } | undefined;
    asked.catch((refused) => {
      error = refused;
    });
    const lane = client.lane('sums');
    lane.writeNumbered(recordKind.failure, 0, 1, failure, failure.length);
    lane.publish();
    client.ring();
    await waitUntil('the end of the request', () => error !== undefined);
    assert.equal(error!.code, 'ERR_CHANNEL_HOSED');
    await hosed(/channel sums: a failure without its reason/);
    await stillServes();
  });

  it('is not believed again after it has mended its memory', async () => {
    const { words, tailAt } = client;
    Atomics.store(words, tailAt, 1 << 20);
    client.ring();
    await hosed(/the tail is outside the ring/, 'memory');
    Atomics.store(words, tailAt, 0);
    assert.throws(() => served[0]!.channels.balls.tryReceive(), /channel balls is hosed/);
  });

  it('can not leave descriptors with its frames', async () => {
    const before = openDescriptors();
    const given = client.fds;
    client.send({ t: 'abracadabra' }, given);
    await hosed(/unknown type/);
    assert.isTrue(given.every(isOpen), 'those of the sender are its own');
    await waitUntil('its descriptors to be closed', () => openDescriptors().size <= before.size);
  });
});
