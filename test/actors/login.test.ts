// The log-in from the side of those who should not get in: what each of them is told, and that the server goes on serving
// the others.
import { readdirSync } from 'node:fs';
import { assert } from 'chai';
import { channel, defineUniverse } from '../../src/index.ts';
import { decodeFrame, encodeFrame } from '../../src/transport/frame.ts';
import { type NativeSocket, native } from '../../src/transport/native.ts';
import { appSocketPath } from '../../src/transport/run-directory.ts';
import { waitUntil } from '../support/wait-until.ts';
import { type ClientSession, Court, holder, type ServerSession, tennis } from './pair.ts';
import { RawClient } from './raw-client.ts';

describe('a log-in', () => {
  let court: Court;
  let served: ServerSession[];
  const raw: RawClient[] = [];

  beforeEach(async () => {
    court = new Court();
    served = [];
    await court.runtime().serve(
      tennis.wall,
      holder<ServerSession>((session) => served.push(session)),
      { loginTimeoutMs: 300, pendingMax: 4 },
    );
  });
  afterEach(async () => {
    for (const client of raw.splice(0)) client.close();
    await court.close();
  });

  function rawClient(): RawClient {
    const client = new RawClient(court);
    raw.push(client);
    return client;
  }

  /** The server is as it was: an honest client gets in. */
  async function stillServes(): Promise<void> {
    let opened = false;
    const before = served.length;
    const part = court.runtime().connect(
      tennis.player,
      tennis.wall,
      holder<ClientSession>(() => {
        opened = true;
      }),
      { reconnect: { minMs: 20, maxMs: 100 } },
    );
    await waitUntil('an honest session', () => opened && served.length > before);
    await part.stop();
  }

  const refused: [string, object, string, RegExp][] = [
    [
      'another process number',
      { pid: 1 },
      'ERR_PEER_UNIDENTIFIED',
      /it says that it is process 1, the kernel says \d+/,
    ],
    ['start ticks of another process', { startTicks: 12345 }, 'ERR_PEER_UNIDENTIFIED', /is another one now/],
    [
      'no common version',
      { versions: [7, 9] },
      'ERR_PROTOCOL_VERSION',
      /this side speaks version 1, the other versions 7 to 9/,
    ],
    [
      'another universe',
      { universe: { universe: 'chess', channels: {}, broadcasts: {} } },
      'ERR_UNIVERSE_MISMATCH',
      /chess\/wall/,
    ],
    ['an unknown app', { client: 'umpire' }, 'ERR_APP_UNKNOWN', /umpire/],
    [
      'an app that is not allowed',
      { client: 'stranger' },
      'ERR_APP_NOT_ALLOWED',
      /does not allow app stranger/,
    ],
    [
      'other channels',
      { universe: { universe: 'tennis', channels: {}, broadcasts: {} } },
      'ERR_UNIVERSE_MISMATCH',
      /does not know channel balls/,
    ],
    ['another layout', { layoutHash: 1 }, 'ERR_CONFIGURATION', /another layout/],
    ['memory of another size', { segmentBytes: 4096 }, 'ERR_MEMORY', /another size than announced/],
  ];
  for (const [what, change, code, words] of refused)
    it(`with ${what} is told ${code}`, async () => {
      const client = rawClient();
      client.send(client.hello(change), client.fds);
      await waitUntil('the answer', () => client.end !== undefined);
      assert.lengthOf(client.frames, 1);
      assert.deepInclude(client.frames[0], { t: 'rejected', code });
      assert.match(String(client.frames[0]!.message), words);
      assert.isEmpty(served);
      await stillServes();
    });

  const nonsense: [string, (client: RawClient) => void][] = [
    ['bytes that are no frame', (client) => client.sendBytes(Buffer.from([0xc1, 1, 2]))],
    ['a frame of an unknown type', (client) => client.send({ t: 'abracadabra' })],
    ['a frame without a type', (client) => client.sendBytes(Buffer.from([0x80]))],
    ['a hello without its fields', (client) => client.send({ t: 'hello' }, client.fds)],
    ['a hello with one descriptor', (client) => client.send(client.hello(), client.fds.slice(1))],
    [
      'a hello with three descriptors',
      (client) => client.send(client.hello(), [...client.fds, client.fds[0]!]),
    ],
    [
      'a hello with the two in the wrong order',
      (client) => client.send(client.hello(), [...client.fds].reverse()),
    ],
    [
      'a hello that is cut off',
      (client) => client.sendBytes(encodeFrame(client.hello()).subarray(0, 40), client.fds),
    ],
    ['pings instead of a hello', (client) => client.send({ t: 'ping' })],
    [
      'an offer of a channel before it is in',
      (client) => client.send({ t: 'offer', number: 1025, channel: 'balls', metadata: null }),
    ],
    ['ready before hello', (client) => client.send({ t: 'ready' })],
    [
      'two hellos',
      (client) => {
        client.send(client.hello(), client.fds);
        client.send(client.hello(), client.fds);
      },
    ],
    [
      'metadata above its limit',
      (client) => client.send(client.hello({ metadata: 'x'.repeat(70_000) }), client.fds),
    ],
  ];
  for (const [what, send] of nonsense)
    it(`with ${what} ends, and only this one`, async () => {
      const before = readdirSync('/proc/self/fd').length;
      const client = rawClient();
      send(client);
      await waitUntil('the end of the connection', () => client.end !== undefined);
      assert.isEmpty(served);
      client.close();
      await stillServes();
      await waitUntil(
        'all descriptors to be closed',
        () => readdirSync('/proc/self/fd').length <= before + 8,
      );
    });

  it('that never begins is told ERR_LOGIN_TIMEOUT', async () => {
    const client = rawClient();
    await waitUntil('the answer', () => client.end !== undefined);
    assert.deepInclude(client.frames[0], { t: 'rejected', code: 'ERR_LOGIN_TIMEOUT' });
    await stillServes();
  });

  it('that stops after hello is told ERR_LOGIN_TIMEOUT', async () => {
    const client = rawClient();
    client.send(client.hello(), client.fds);
    await waitUntil('the answer', () => client.end !== undefined);
    assert.deepEqual(
      client.frames.map(({ t }) => t),
      ['accepted', 'rejected'],
    );
    assert.equal(client.frames[1]!.code, 'ERR_LOGIN_TIMEOUT');
    assert.isEmpty(served);
  });

  it('beyond the bounded number under way is told ERR_SERVER_BUSY', async () => {
    const clients = Array.from({ length: 6 }, () => rawClient());
    await waitUntil(
      'the answers',
      () => clients.filter(({ frames }) => frames[0]?.code === 'ERR_SERVER_BUSY').length === 2,
    );
    await waitUntil('the others', () => clients.every(({ end }) => end !== undefined));
    await stillServes();
  });

  it('tells the first of two faults, in the order of the checks', async () => {
    const faults: [object, string][] = [
      [{ pid: 1 }, 'ERR_PEER_UNIDENTIFIED'],
      [{ versions: [7, 9] }, 'ERR_PROTOCOL_VERSION'],
      [{ server: 'player' }, 'ERR_UNIVERSE_MISMATCH'],
      [{ client: 'stranger' }, 'ERR_APP_NOT_ALLOWED'],
      [{ universe: { universe: 'tennis', channels: {}, broadcasts: {} } }, 'ERR_UNIVERSE_MISMATCH'],
      [{ layoutHash: 1 }, 'ERR_CONFIGURATION'],
      [{ segmentBytes: 4096 }, 'ERR_MEMORY'],
    ];
    for (const [i, [first, code]] of faults.slice(0, -1).entries()) {
      const client = rawClient();
      client.send(client.hello({ ...faults[i + 1]![0], ...first }), client.fds);
      await waitUntil('the answer', () => client.end !== undefined);
      assert.equal(client.frames[0]!.code, code);
    }
    assert.isEmpty(served);
  });

  it('survives 1,000 connections at once that say nothing, or speak and never log in', async () => {
    const sockets: NativeSocket[] = [];
    let told = 0;
    for (let n = 0; n < 1_000; n++) {
      try {
        const socket = new (native().Socket)(appSocketPath(court.folder, 'tennis', 'wall'));
        socket.listen(
          (bytes) => {
            if (decodeFrame(bytes).code === 'ERR_SERVER_BUSY') told++;
          },
          () => {},
          () => {},
        );
        if (n % 3 === 0) socket.send(encodeFrame({ t: 'ping', n }), []);
        sockets.push(socket);
      } catch {
        // The queue is full: so many wait already.
      }
      if (n % 50 === 49) await new Promise(setImmediate);
    }
    assert.isAbove(sockets.length, 500);
    await stillServes();
    await waitUntil('the reason', () => told > 400);
    for (const socket of sockets) socket.close();
  });

  it('does not wait for a server that is not there: the client goes on trying and says why', async () => {
    const other = new Court();
    const part = other.runtime().connect(
      tennis.player,
      tennis.wall,
      holder(() => {}),
    );
    await waitUntil('the reason', () =>
      other.messages.some(({ message }) => /no session with wall yet: .*none has been started/.test(message)),
    );
    await part.stop();
    await other.close();
  });

  it('gives up for good when it is told to', async () => {
    const other = new Court();
    const part = other.runtime().connect(
      tennis.player,
      tennis.wall,
      holder(() => {}),
      {
        reconnect: { minMs: 5, maxMs: 10, giveUpAfterMs: 30 },
      },
    );
    const error = await part.ended.then(
      () => assert.fail('it ended well'),
      (failure: { code: string }) => failure,
    );
    assert.equal(error.code, 'ERR_NO_SERVER');
    await other.close();
  });

  it('is refused to a second server of the same app', async () => {
    const error = await court
      .runtime()
      .serve(
        tennis.wall,
        holder(() => {}),
      )
      .then(
        () => assert.fail('two serve'),
        (failure: { code: string; message: string }) => failure,
      );
    assert.equal(error.code, 'ERR_APP_ALREADY_SERVED');
    assert.include(error.message, `process ${process.pid}`);
    await stillServes();
  });

  it('fails at the client when the universes differ, and names the difference', async () => {
    const changed = defineUniverse('tennis', {
      wall: {
        allow: ['player'],
        channels: { ...tennis.wall.channels, bytes: channel<{ up: Uint8Array }>({ codec: 'bytes' }) },
      },
      player: {},
    });
    const runtime = court.runtime();
    const part = runtime.connect(
      changed.player,
      changed.wall,
      holder(() => {}),
    );
    await waitUntil('the reason', () =>
      court.messages.some(({ message }) =>
        /channel bytes has capacityBytes 65536 at the server and 262144 at the client/.test(message),
      ),
    );
    await part.stop();
  });
});
