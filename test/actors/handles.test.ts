// Native handles: descriptors that travel with messages, and what becomes of those that nobody receives.

import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer, connect as netConnect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert } from 'chai';
import type { Descriptor, IpcError } from '../../src/index.ts';
import { packPlain } from '../../src/transport/codec.ts';
import { recordFlag, recordKind } from '../../src/transport/record.ts';
import { openDescriptors } from '../support/descriptors.ts';
import { waitUntil } from '../support/wait-until.ts';
import { type AtCaller, type AtDesk, failureOf, office, openOffice } from './office.ts';
import { Court, holder } from './pair.ts';
import { RawClient } from './raw-client.ts';

describe('a handle', () => {
  let court: Court;
  let atDesk: AtDesk;
  let atCaller: AtCaller;
  let folder: string;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'actor-ipc-handles-'));
    court = new Court();
    ({ atDesk, atCaller } = await openOffice(court));
  });
  afterEach(async () => {
    await court.close();
    rmSync(folder, { recursive: true });
  });

  function fileWith(text: string): string {
    const path = join(folder, `file-${text}`);
    writeFileSync(path, text);
    return path;
  }

  function textOf(fd: number): string {
    const bytes = Buffer.alloc(100);
    return bytes.toString('utf8', 0, readSync(fd, bytes, 0, 100, 0));
  }

  /** How many descriptors of this process lead to files of our folder. */
  function openFiles(): number {
    return [...openDescriptors().values()].filter((path) => path.startsWith(folder)).length;
  }

  it('comes with its message, in order, and is the receiver’s own', async () => {
    const { files } = atCaller.channels;
    for (let n = 0; n < 40; n++) {
      if (n % 3 === 0) {
        files.trySend(`plain ${n}`);
        continue;
      }
      const fd = openSync(fileWith(`text ${n}`), 'r');
      await files.send(`file ${n}`, { handle: fd });
      closeSync(fd);
    }
    for (let n = 0; n < 40; n++) {
      const { message, handle } = await atDesk.channels.files.receive({ handles: true });
      assert.equal(message, n % 3 === 0 ? `plain ${n}` : `file ${n}`);
      assert.equal(handle !== undefined, n % 3 !== 0);
      if (handle) assert.equal(textOf(handle.fd), `text ${n}`);
      handle?.close();
    }
    assert.equal(openFiles(), 0);
  });

  it('is given by number, FileHandle, socket, server or datagram socket', async () => {
    const { files } = atCaller.channels;
    const file = await open(fileWith('a'));
    const server = createServer((socket) => socket.end('hello'));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const datagrams = createSocket('udp4');
    datagrams.bind(0, '127.0.0.1');
    await once(datagrams, 'listening');
    const { port } = server.address() as { port: number };
    const socket = netConnect(port, '127.0.0.1');
    await once(socket, 'connect');
    for (const handle of [file, server, datagrams, socket]) await files.send('take it', { handle });
    socket.destroy();
    const isSocket: boolean[] = [];
    let last: Descriptor | undefined;
    for (let n = 0; n < 4; n++) {
      const { handle } = await atDesk.channels.files.receive({ handles: true });
      isSocket.push(fstatSync(handle!.fd).isSocket());
      if (n === 3) last = handle;
      else handle!.close();
    }
    assert.deepEqual(isSocket, [false, true, true, true]);
    const taken: Socket = last!.toSocket();
    assert.isFalse(last!.open);
    const [greeting] = (await once(taken, 'data')) as [Buffer];
    assert.equal(greeting.toString(), 'hello');
    taken.destroy();
    await file.close();
    datagrams.close();
    server.close();
    await once(server, 'close');
  });

  it('is refused where it leads to nothing, and the channel is unharmed', async () => {
    const { files } = atCaller.channels;
    const closed = createServer();
    for (const handle of [-1, 1.5, 987_654, closed, {} as never, 'x' as never]) {
      assert.throws(() => files.trySend('x', { handle }), /the handle leads to nothing/);
      assert.equal((await failureOf(files.send('x', { handle }))).code, 'ERR_HANDLE_INVALID');
      assert.equal((await failureOf(files.request('open', 'x', { handle }))).code, 'ERR_HANDLE_INVALID');
    }
    files.trySend('y');
    assert.equal(await atDesk.channels.files.receive(), 'y');
  });

  it('can be taken once, and not used after its end', async () => {
    const fd = openSync(fileWith('a'), 'r');
    atCaller.channels.files.trySend('a', { handle: fd });
    const { handle } = await atDesk.channels.files.receive({ handles: true });
    const taken = handle!.take();
    assert.equal(textOf(taken), 'a');
    for (const use of [() => handle!.take(), () => handle!.fd, () => handle!.toSocket()])
      assert.throws(use, /closed or taken already/);
    handle!.close();
    handle![Symbol.dispose]();
    closeSync(taken);
    closeSync(fd);
    assert.equal(openFiles(), 0);
  });

  it('travels with a request, and is closed with it unless it was taken', async () => {
    const kept: number[] = [];
    atDesk.channels.files.onRequest('open', (how, { handle }) => {
      const text = textOf(handle!.fd);
      if (how === 'keep') kept.push(handle!.take());
      return text.length;
    });
    const fd = openSync(fileWith('four'), 'r');
    assert.equal(await atCaller.channels.files.request('open', 'keep', { handle: fd }), 4);
    assert.equal(await atCaller.channels.files.request('open', 'leave', { handle: fd }), 4);
    closeSync(fd);
    assert.equal(openFiles(), 1);
    closeSync(kept[0]!);
  });

  it('is closed where nobody asks for it: received alone, in a batch, unhandled, or dropped by policy', async () => {
    const fd = openSync(fileWith('a'), 'r');
    const { files, hall, news } = atCaller.channels;
    files.trySend('alone', { handle: fd });
    assert.equal(await atDesk.channels.files.receive(), 'alone');
    const batches: unknown[] = [];
    const end = atDesk.channels.files.onBatch((batch) => batches.push(...batch));
    files.trySend('in a batch', { handle: fd });
    files.trySend('behind it');
    await waitUntil('both', () => batches.length === 2);
    assert.deepEqual(batches, ['in a batch', 'behind it']);
    end();
    assert.equal((await failureOf(hall.request('echo', 1, { handle: fd }))).code, 'ERR_REQUEST_UNHANDLED');
    let sent = 0;
    while (news.trySend('x'.repeat(100))) sent++;
    assert.isFalse(news.trySend('y', { handle: fd }) && sent > 0);
    await news.send('y'.repeat(400), { handle: fd });
    closeSync(fd);
    await waitUntil('all to be closed', () => openFiles() === 0);
  });

  it('comes in batches to who asks for it', async () => {
    const fd = openSync(fileWith('a'), 'r');
    const received: { message: string; handle: Descriptor | undefined }[] = [];
    atDesk.channels.files.onBatch((batch) => received.push(...batch), { handles: true });
    for (let n = 0; n < 10; n++)
      atCaller.channels.files.trySend(String(n), n % 2 === 0 ? { handle: fd } : {});
    await waitUntil('all', () => received.length === 10);
    assert.deepEqual(
      received.map(({ message, handle }) => [message, handle === undefined]),
      Array.from({ length: 10 }, (_, n) => [String(n), n % 2 !== 0]),
    );
    for (const { handle } of received) handle?.close();
    closeSync(fd);
    assert.equal(openFiles(), 0);
  });

  it('is one of a bounded number on its way; further ones wait', async () => {
    const fd = openSync(fileWith('a'), 'r');
    const { files } = atCaller.channels;
    let sent = 0;
    while (files.trySend('x', { handle: fd })) sent++;
    assert.equal(sent, 64);
    const waiting = files.send('last', { handle: fd });
    assert.equal((await failureOf(files.send('never', { handle: fd, timeoutMs: 20 }))).code, 'ERR_TIMEOUT');
    closeSync(fd);
    // Somebody expects something, so messages are set aside: no more than that many handles.
    atDesk.channels.files.onRequest('open', () => 1);
    await waiting;
    let taken = 0;
    for (let message = ''; message !== 'last'; taken++) {
      const received = await atDesk.channels.files.receive({ handles: true });
      message = received.message;
      assert.equal(textOf(received.handle!.fd), 'a');
      received.handle!.close();
    }
    assert.equal(taken, 65);
    assert.equal(openFiles(), 0);
  });

  it('is closed at the end of the session, wherever it was', async () => {
    const fd = openSync(fileWith('a'), 'r');
    const { files, talk } = atCaller.channels;
    for (let n = 0; n < 10; n++) files.trySend('unread', { handle: fd });
    for (let n = 0; n < 10; n++) talk.trySend(n, { handle: fd });
    // Ten are set aside, ten stay in the ring; one request waits for its handler, one is being answered.
    atDesk.channels.talk.onRequest('echo', () => new Promise(() => {}));
    failureOf(talk.request('echo', 1, { handle: fd }));
    failureOf(talk.request('other', 1, { handle: fd }));
    await waitUntil('both', () => atDesk.channels.talk.stats().owed === 2);
    atCaller.close();
    closeSync(fd);
    await waitUntil('all to be closed', () => openFiles() === 0);
    // Messages are still there, their handles are not.
    const { message, handle } = atDesk.channels.talk.tryReceive({ handles: true })!;
    assert.equal(message, 0);
    assert.isFalse(handle!.open);
  });
});

describe('a peer that is corrupt about handles', () => {
  let court: Court;
  let client: RawClient;
  let atDesk: AtDesk | undefined;
  let ends: { type: string; reason?: string; error?: { message: string } }[];
  beforeEach(async () => {
    court = new Court();
    ends = [];
    atDesk = undefined;
    await court.runtime().serve(
      office.desk,
      holder<AtDesk>(
        (session) => {
          atDesk = session;
          session.channels.files.onBatch(() => {});
        },
        (end) => ends.push(end as unknown as (typeof ends)[number]),
      ),
    );
    client = new RawClient(court, office.desk, 'caller');
    await client.logIn();
    await waitUntil('the session', () => atDesk !== undefined);
  });
  afterEach(async () => {
    client.close();
    await court.close();
  });

  const text = Uint8Array.from(packPlain('text'));
  function write(kind: number, number: number, flags: number = recordFlag.handle): void {
    const lane = client.lane('files');
    lane.writeNumbered(kind, flags, number, text, text.length);
    lane.publish();
    client.ring();
  }
  const frame = (change: object = {}) => ({
    t: 'handle',
    lane: Object.keys(office.desk.channels).indexOf('files'),
    number: 1,
    ...change,
  });

  const wrongs: [what: string, spoil: () => void, why: RegExp][] = [
    [
      'two descriptors where one belongs',
      () => client.send(frame(), client.fds),
      /handle came with 2 descriptors/,
    ],
    ['none', () => client.send(frame()), /handle came with 0 descriptors/],
    ['one out of order', () => client.send(frame({ number: 2 }), [0]), /a handle out of order/],
    ['one for no channel', () => client.send(frame({ lane: 200 }), [0]), /which no channel has/],
    ['one without a number', () => client.send(frame({ number: -1 }), [0]), /number is not a whole number/],
    [
      'more than it may',
      () => {
        for (let number = 1; number <= 65; number++) client.send(frame({ number }), [0]);
      },
      /or one too many/,
    ],
    [
      'a message with a number out of order',
      () => write(recordKind.message, 2),
      /a message with a handle out of order/,
    ],
    ['a reply with one', () => write(recordKind.reply, 1), /a handle where none belongs/],
    ['a message with a mark that is unknown', () => write(recordKind.message, 1, 4), /unknown flags/],
    [
      'a request that is too short for its numbers',
      () => {
        const lane = client.lane('files');
        lane.writeNumbered(recordKind.request, recordFlag.handle, 1, text, 0);
        lane.publish();
        client.ring();
      },
      /a record without its numbers/,
    ],
  ];
  for (const [what, spoil, why] of wrongs)
    it(`${what}: loses its session, and leaves no descriptor`, async () => {
      const before = [...openDescriptors().values()].filter((path) => path === readTarget()).length;
      spoil();
      await waitUntil('the end', () => ends.length === 1);
      assert.equal(ends[0]!.reason, 'protocol');
      assert.match(ends[0]!.error!.message, why);
      const after = () => [...openDescriptors().values()].filter((path) => path === readTarget()).length;
      await waitUntil('nothing to be left', () => after() <= before);
    });

  /** Where descriptor 0, which the frames carry, leads to. */
  const readTarget = () => openDescriptors().get(0);

  it('keeps nobody else waiting with a message whose handle does not come', async () => {
    write(recordKind.message, 1);
    const sums = atDesk!.channels.talk.request('echo', 1);
    const asked = () => client.frames.length >= 0 && atDesk!.channels.talk.stats().asked === 1;
    await waitUntil('another channel to work', asked);
    client.send(frame(), [0]);
    await waitUntil('the message', () => atDesk!.channels.files.stats().received === 1);
    client.close();
    assert.equal(((await failureOf(sums)) as IpcError).code, 'ERR_CHANNEL_HOSED');
  });
});
