// The scenarios that Flow-IPC's own test program goes through (its transport_test), for sessions and channels. Where each
// stands here; what is not listed below as a test of this file is a test of the file named:
//
//  1  a handle with a message of 5,050 bytes                     handles travel with messages of channels
//  2  a buffer that is too small for the message                 memory.test.ts, receiveInto()
//  3  a late reader and an early one: the order is kept          here
//  4  the end of sending, and calls after it                     here
//  5  a handle where only bytes are taken                        handles travel with messages of channels
//  6  a name that is taken, and made again                       login.test.ts (a second server), on-demand.test.ts (lanes again)
//  7  a backlog of three, and an end behind it                   here
//  8  a buffer of 9 bytes for a message of 10                    memory.test.ts, receiveInto()
//  9  a handshake in three steps, and both ends close            here
// 10  sides that disagree about channels; the next one gets in   login.test.ts
// 11  two client apps at once, with metadata; an idle session    here
// 12  sessions that end in any order                             here
// 13  channels of the beginning and on demand from both sides    here
// 14-16  messages that nobody expects yet, requests, time limits channel.test.ts, request()
// 17  handles and plain messages mixed                           handles travel with messages of channels
// 18  the same value on another channel and in another session   values.test.ts, app-scope.test.ts
// 19  a structure in shared memory, lent and read in place       values.test.ts, memory-processes.test.ts
// 20  a huge message and a small one                             memory.test.ts
// 21  signs of life on one session and none on another           the end of sessions by silence
import { assert } from 'chai';
import { type Channel, channel, defineUniverse, type Session } from '../../src/index.ts';
import type { Runtime } from '../../src/runtime/program.ts';
import { waitUntil } from '../support/wait-until.ts';
import { deferred } from './library.ts';
import { Court, holder } from './pair.ts';
import { type ExchangeSession, openSwitchboard } from './switchboard.ts';

async function codeOf(call: Promise<unknown>): Promise<string | undefined> {
  return call.then(
    () => assert.fail('it succeeded'),
    (error: { code?: string }) => error.code,
  );
}

/** Opens a call from the client and gives both ends. */
async function call({ atServer, atClient }: Awaited<ReturnType<typeof openSwitchboard>>) {
  const { promise, resolve } = deferred<Channel<string, string>>();
  const end = atServer.onOffer('calls', (offer) => resolve(offer.accept() as never));
  const mine = await atClient.openChannel('calls');
  end();
  return [mine, await promise] as const;
}

describe('a scenario of Flow-IPC:', () => {
  let court: Court;
  beforeEach(() => {
    court = new Court();
  });
  afterEach(() => court.close());

  it('3: what is sent to a late reader, and then to one that waits, comes in order', async () => {
    const [mine, theirs] = await call(await openSwitchboard(court));
    for (let n = 0; n < 40; n++) await mine.send(`early ${n}`);
    const late: string[] = [];
    for (let n = 0; n < 40; n++) late.push(await theirs.receive());
    assert.deepEqual(
      late,
      Array.from({ length: 40 }, (_, n) => `early ${n}`),
    );
    const waits = Array.from({ length: 40 }, () => theirs.receive());
    for (let n = 0; n < 40; n++) await mine.send(`late ${n}`);
    assert.deepEqual(
      await Promise.all(waits),
      Array.from({ length: 40 }, (_, n) => `late ${n}`),
    );
  });

  it('4: after the end of sending each call says so, at both sides, however often it is asked', async () => {
    const [mine, theirs] = await call(await openSwitchboard(court));
    mine.trySend('last');
    const closed = [mine.close(), mine.close()];
    assert.equal(await theirs.receive(), 'last');
    await Promise.all(closed);
    for (let n = 0; n < 3; n++) {
      assert.equal(await codeOf(mine.send('more')), 'ERR_CHANNEL_CLOSED');
      assert.equal(await codeOf(theirs.receive()), 'ERR_CHANNEL_CLOSED');
    }
    await mine.close();
  });

  it('7: an end behind a backlog comes after all of it', async () => {
    const [mine, theirs] = await call(await openSwitchboard(court));
    // Two fit the ring; the others wait for room, the end behind them.
    const text = (n: number) => `${n}`.padEnd(1_500, '.');
    const sends = Array.from({ length: 6 }, (_, n) => mine.send(text(n)));
    const closed = mine.close();
    const taken: string[] = [];
    for await (const one of theirs) taken.push(one);
    await Promise.all([...sends, closed]);
    assert.deepEqual(
      taken,
      Array.from({ length: 6 }, (_, n) => text(n)),
    );
  });

  it('9: a handshake in three steps, then both ends close', async () => {
    const [mine, theirs] = await call(await openSwitchboard(court));
    mine.trySend('hello');
    assert.equal(await theirs.receive(), 'hello');
    theirs.trySend('hello yourself');
    assert.equal(await mine.receive(), 'hello yourself');
    mine.trySend('done');
    assert.equal(await theirs.receive(), 'done');
    await Promise.all([mine.close(), theirs.close()]);
    assert.deepEqual([mine.open, theirs.open], [false, false]);
  });

  const { hall, guest, cook } = defineUniverse('hall', {
    hall: { allow: ['guest', 'cook'], channels: { words: channel<{ up: string; down: string }>() } },
    guest: {},
    cook: {},
  });
  type AtHall = Session<typeof hall, 'server'>;
  type AtClient = Session<typeof hall, 'client'>;

  async function enter(runtime: Runtime, app: typeof guest | typeof cook, metadata: unknown) {
    const { promise, resolve } = deferred<AtClient>();
    const part = runtime.connect(app, hall, holder<AtClient>(resolve), { metadata });
    return { part, session: await promise };
  }

  it('11: two client apps at once have machines of their own, and metadata both ways; who is idle stays', async () => {
    const guests: AtHall[] = [];
    const cooks: AtHall[] = [];
    await court.runtime().serve(
      hall,
      {
        guest: holder<AtHall>((session) => guests.push(session)),
        cook: holder<AtHall>((session) => cooks.push(session)),
      },
      { metadata: { menu: ['soup'] } },
    );
    const idle = await enter(court.runtime(), guest, { table: 1 });
    const busy = await enter(court.runtime(), cook, { knives: 3 });
    await waitUntil('both', () => guests.length + cooks.length === 2);
    assert.deepEqual([guests[0]!.peer.app, guests[0]!.peer.metadata], ['guest', { table: 1 }]);
    assert.deepEqual([cooks[0]!.peer.app, cooks[0]!.peer.metadata], ['cook', { knives: 3 }]);
    assert.deepEqual(idle.session.peer.metadata, { menu: ['soup'] });
    for (let n = 0; n < 1_000; n++) await busy.session.channels.words.send('chop');
    await busy.part.stop();
    idle.session.channels.words.trySend('still here');
    assert.equal(await guests[0]!.channels.words.receive(), 'still here');
  });

  it('12: sessions end in any order, each machine is told once, and the server goes on', async () => {
    const served: AtHall[] = [];
    const ended: string[] = [];
    await court.runtime().serve(
      hall,
      holder<AtHall>(
        (session) => served.push(session),
        ({ type, reason }) => ended.push(`${type} ${reason}`),
      ),
    );
    const parts: Awaited<ReturnType<typeof enter>>[] = [];
    for (const app of [guest, cook, guest, cook]) parts.push(await enter(court.runtime(), app, null));
    await waitUntil('all', () => served.length === 4);
    await parts[2]!.part.stop();
    await parts[0]!.part.stop();
    served
      .find(({ peer, token }) => peer.app === 'cook' && token === parts[3]!.session.token)!
      .close('enough');
    await parts[1]!.part.stop();
    await waitUntil('the ends', () => ended.length >= 4);
    assert.deepEqual(ended.slice(0, 4).sort(), [
      'session.closed enough',
      'session.hosed peer.goodbye',
      'session.hosed peer.goodbye',
      'session.hosed peer.goodbye',
    ]);
    const again = await enter(court.runtime(), guest, null);
    again.session.channels.words.trySend('next');
    await waitUntil('it', () => served.some((session) => session.token === again.session.token));
    const atHall = served.find((session) => session.token === again.session.token)!;
    assert.equal(await atHall.channels.words.receive(), 'next');
  });

  it('13: the channels of the beginning are there, and both sides open more, with metadata', async () => {
    const { atServer, atClient } = await openSwitchboard(court);
    atClient.channels.line.trySend('line');
    assert.equal(await atServer.channels.line.receive(), 'line');
    const offered: unknown[] = [];
    for (const session of [atServer, atClient] as ExchangeSession[])
      session.onOffer('calls', (offer) => {
        offered.push(offer.metadata);
        const end = offer.accept();
        end.trySend(`welcome ${offer.metadata}`);
      });
    const calls = await Promise.all([
      atClient.openChannel('calls', { metadata: 'a' }),
      atServer.openChannel('calls', { metadata: 'b' }),
      atClient.openChannel('calls', { metadata: 'c' }),
    ]);
    assert.deepEqual(await Promise.all(calls.map((each) => each.receive())), [
      'welcome a',
      'welcome b',
      'welcome c',
    ]);
    assert.sameMembers(offered, ['a', 'b', 'c']);
  });
});
