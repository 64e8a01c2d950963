// What comes before anybody expects it: requests that wait for a handler, messages that nobody takes.
import { assert } from 'chai';
import { waitUntil } from '../support/wait-until.ts';
import { type AtCaller, type AtDesk, failureOf, openOffice } from './office.ts';
import { Court } from './pair.ts';

describe('a channel that nobody listens to yet', () => {
  let court: Court;
  let atDesk: AtDesk;
  let atCaller: AtCaller;
  beforeEach(async () => {
    court = new Court();
    ({ atDesk, atCaller } = await openOffice(court));
  });
  afterEach(() => court.close());

  it('keeps requests for handlers that come later, in order', async () => {
    const { talk } = atCaller.channels;
    const calls = ['echo', 'other', 'echo'].map((name, n) => talk.request(name as 'echo', n));
    await waitUntil('them to wait', () => atDesk.channels.talk.stats().owed === 3);
    const seen: unknown[] = [];
    // The first handler must not have the others refused.
    atDesk.channels.talk.onRequest('other', (value) => {
      seen.push(value);
      return value;
    });
    atDesk.channels.talk.onRequest('echo', (value) => {
      seen.push(value);
      return value;
    });
    assert.deepEqual(await Promise.all(calls), [0, 1, 2]);
    assert.deepEqual(seen, [1, 0, 2]);
  });

  it('answers with a typed failure when no handler comes', async () => {
    const strays: unknown[] = [];
    atDesk.channels.hall.onStray((stray) => strays.push(stray));
    const failure = await failureOf(atCaller.channels.hall.request('echo', 1));
    assert.equal(failure.code, 'ERR_REQUEST_UNHANDLED');
    assert.match(failure.message, /echo: no handler came within 50 ms/);
    assert.equal(atDesk.channels.hall.stats().unhandled, 1);
    assert.deepEqual(strays, [{ type: 'request.unhandled', request: 'echo' }]);
    assert.equal(
      (await failureOf(atCaller.channels.hall.dialog('chat', '').receive())).code,
      'ERR_REQUEST_UNHANDLED',
    );
  });

  it('answers at once when too many of that name wait, and others do not suffer', async () => {
    const { hall } = atCaller.channels;
    const waiting = Array.from({ length: 4 }, () => failureOf(hall.request('other', 1)));
    const failure = await failureOf(hall.request('other', 1));
    assert.match(failure.message, /4 of them wait for a handler already/);
    atDesk.channels.hall.onRequest('echo', (value) => value);
    assert.equal(await hall.request('echo', 7), 7);
    for (const { code } of await Promise.all(waiting)) assert.equal(code, 'ERR_REQUEST_UNHANDLED');
  });

  it('forgets a request that its asker gives up', async () => {
    let runs = 0;
    const call = failureOf(atCaller.channels.talk.request('echo', 1, { timeoutMs: 20 }));
    await waitUntil('it to wait', () => atDesk.channels.talk.stats().owed === 1);
    assert.equal((await call).code, 'ERR_TIMEOUT');
    await waitUntil('it to be forgotten', () => atDesk.channels.talk.stats().owed === 0);
    atDesk.channels.talk.onRequest('echo', () => runs++);
    assert.equal(runs, 0);
    assert.equal(atCaller.channels.talk.stats().lateReplies, 0);
  });

  it('leaves messages in the ring until somebody wants something', async () => {
    for (let n = 0; n < 10; n++) atCaller.channels.talk.trySend(n);
    const call = atCaller.channels.talk.request('echo', 1);
    assert.isAbove(atCaller.channels.talk.stats().unreadBytes, 0);
    atDesk.channels.talk.onRequest('echo', (value) => value);
    assert.equal(await call, 1);
    for (let n = 0; n < 10; n++) assert.equal(atDesk.channels.talk.tryReceive(), n);
  });

  it('stops behind as many messages as it may set aside, or drops what is above', async () => {
    atDesk.channels.talk.onRequest('echo', (value) => value);
    atDesk.channels.hall.onRequest('echo', (value) => value);
    const { talk, hall } = atCaller.channels;
    for (let n = 0; n < 300; n++) assert.isTrue(talk.trySend(n));
    assert.equal((await failureOf(talk.request('echo', 1, { timeoutMs: 50 }))).code, 'ERR_TIMEOUT');
    for (let n = 0; n < 300; n++) assert.equal(await atDesk.channels.talk.receive(), n);
    assert.equal(await talk.request('echo', 2), 2);

    for (let n = 0; n < 300; n++) assert.isTrue(hall.trySend(n));
    assert.equal(await hall.request('echo', 3), 3);
    assert.equal(atDesk.channels.hall.stats().unexpected, 296);
    for (let n = 0; n < 4; n++) assert.equal(atDesk.channels.hall.tryReceive(), n);
    assert.isUndefined(atDesk.channels.hall.tryReceive());
    assert.lengthOf(
      court.messages.filter(({ message }) => /dropped because nobody takes/.test(message)),
      1,
    );
  });
});
