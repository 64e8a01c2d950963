// Requests beyond one question and one answer: many replies, dialogs, giving up, and replies that nobody waits for.
import { assert } from 'chai';
import type { RequestContext, Stray } from '../../src/index.ts';
import { waitUntil } from '../support/wait-until.ts';
import { type AtCaller, type AtDesk, failureOf, openOffice } from './office.ts';
import { Court } from './pair.ts';

describe('a conversation', () => {
  let court: Court;
  let atDesk: AtDesk;
  let atCaller: AtCaller;
  beforeEach(async () => {
    court = new Court();
    ({ atDesk, atCaller } = await openOffice(court));
  });
  afterEach(() => court.close());

  const idle = () => atCaller.channels.talk.stats().asked + atDesk.channels.talk.stats().owed === 0;

  describe('requestMany()', () => {
    it('gives the replies of an iterable in order, and their end', async () => {
      atDesk.channels.talk.onRequest('count', async function* (below) {
        for (let n = 0; n < below; n++) yield n;
      });
      const seen: number[] = [];
      for await (const n of atCaller.channels.talk.requestMany('count', 1000)) seen.push(n);
      assert.deepEqual(
        seen,
        Array.from({ length: 1000 }, (_, n) => n),
      );
      await waitUntil('both to have forgotten it', idle);
    });

    it('works the other way too, and with several at once', async () => {
      atCaller.channels.talk.onRequest('count', async function* (below) {
        for (let n = 0; n < below; n++) yield n;
      });
      const sums = await Promise.all(
        [10, 20, 30].map(async (below) => {
          let sum = 0;
          for await (const n of atDesk.channels.talk.requestMany('count', below)) sum += n;
          return sum;
        }),
      );
      assert.deepEqual(sums, [45, 190, 435]);
    });

    it('takes one reply of a handler that has only one', async () => {
      atDesk.channels.talk.onRequest('count', (below) => below);
      const seen: number[] = [];
      for await (const n of atCaller.channels.talk.requestMany('count', 7)) seen.push(n);
      assert.deepEqual(seen, [7]);
    });

    it('lets the handler run ahead only as far as there is room for its replies', async () => {
      let made = 0;
      atDesk.channels.talk.onRequest('count', async function* (below) {
        for (let n = 0; n < below; n++) {
          made++;
          yield n;
        }
      });
      const replies = atCaller.channels.talk.requestMany('count', 1000, { ahead: 4 });
      assert.equal((await replies.next()).value, 0);
      await waitUntil('the handler to be held up', () => made >= 5);
      // Whatever it was allowed has come by the time that another question is answered.
      atDesk.channels.talk.onRequest('echo', (value) => value);
      for (let n = 0; n < 20; n++) await atCaller.channels.talk.request('echo', n);
      assert.isAtMost(made, 8);
      let last = 0;
      for await (const n of replies) last = n;
      assert.equal(last, 999);
    });

    it('gives what came before a failure, then the failure', async () => {
      atDesk.channels.talk.onRequest('count', async function* () {
        yield 1;
        yield 2;
        throw new Error('no more numbers');
      });
      const seen: number[] = [];
      const failure = await failureOf(
        (async () => {
          for await (const n of atCaller.channels.talk.requestMany('count', 5)) seen.push(n);
        })(),
      );
      assert.deepEqual(seen, [1, 2]);
      assert.equal(failure.code, 'ERR_REQUEST_FAILED');
      assert.match(failure.message, /no more numbers/);
      await waitUntil('both to have forgotten it', idle);
    });

    it('stops the handler when the loop is left, also where it waits itself', async () => {
      let ended = 0;
      atDesk.channels.talk.onRequest('count', async function* (below, { signal }) {
        try {
          for (let n = 0; n < below; n++) yield n;
          await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
        } finally {
          ended++;
        }
      });
      for await (const n of atCaller.channels.talk.requestMany('count', 1000)) if (n === 3) break;
      await waitUntil('the end of the first', () => ended === 1);
      const replies = atCaller.channels.talk.requestMany('count', 1);
      await replies.next();
      replies.cancel();
      assert.isTrue((await replies.next()).done);
      await waitUntil('the end of the second', () => ended === 2);
      await waitUntil('both to have forgotten it', idle);
    });

    it('ends at its deadline, by its signal, and when one reply takes too long', async () => {
      const reasons: unknown[] = [];
      let begun = 0;
      atDesk.channels.talk.onRequest('count', async function* (_, { signal }) {
        signal.addEventListener('abort', () => reasons.push((signal.reason as { code: string }).code));
        begun++;
        yield 1;
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      });
      const { talk } = atCaller.channels;
      const all = async (replies: AsyncIterable<number>) => {
        for await (const _ of replies);
      };
      const controller = new AbortController();
      const failures = [
        all(talk.requestMany('count', 1, { deadlineMs: 1000 })),
        all(talk.requestMany('count', 1, { timeoutMs: 500 })),
        all(talk.requestMany('count', 1, { signal: controller.signal })),
      ].map(failureOf);
      await waitUntil('all to have begun', () => begun === 3);
      controller.abort(new Error('changed my mind'));
      const [late, slow, changed] = await Promise.all(failures);
      assert.deepEqual(
        [late!.code, slow!.code, changed!.message],
        ['ERR_TIMEOUT', 'ERR_TIMEOUT', 'changed my mind'],
      );
      await waitUntil('all handlers to know', () => reasons.length === 3);
      assert.includeMembers(reasons, ['ERR_REQUEST_CANCELLED']);
      await waitUntil('both to have forgotten it', idle);
    });

    it('is what a handler with many replies must be asked by', async () => {
      atDesk.channels.talk.onRequest('count', async function* () {
        yield 1;
      });
      const failure = await failureOf(atCaller.channels.talk.request('count', 1));
      assert.match(failure.message, /ask with requestMany/);
    });

    it('fails with the cause when the session ends in the middle', async () => {
      atDesk.channels.talk.onRequest('count', async function* (_, { signal }) {
        yield 1;
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      });
      const replies = atCaller.channels.talk.requestMany('count', 1);
      assert.equal((await replies.next()).value, 1);
      const failure = failureOf(replies.next());
      atDesk.close();
      assert.equal((await failure).code, 'ERR_CHANNEL_HOSED');
      await waitUntil('nothing to be owed', () => atDesk.channels.talk.stats().owed === 0);
    });
  });

  describe('dialog()', () => {
    it('goes to and fro until one side has nothing more to say', async () => {
      atDesk.channels.talk.onDialog('chat', async (name, dialog) => {
        let answer = await dialog.ask(`who is ${name}?`);
        for (let depth = 0; depth < 50; depth++) answer = await dialog.ask(`and who is ${answer}?`);
        await dialog.send('enough');
      });
      const dialog = atCaller.channels.talk.dialog('chat', 'ann');
      const heard: string[] = [];
      for await (const question of dialog) {
        heard.push(question);
        if (question !== 'enough') await dialog.send(`nobody ${heard.length}`);
      }
      assert.equal(heard.length, 52);
      assert.deepEqual(heard.slice(0, 2), ['who is ann?', 'and who is nobody 1?']);
      assert.isFalse(dialog.open);
      assert.equal((await failureOf(dialog.send('still there?'))).code, 'ERR_DIALOG_CLOSED');
      assert.equal((await failureOf(dialog.receive())).code, 'ERR_DIALOG_CLOSED');
      await waitUntil('both to have forgotten it', idle);
    });

    it('lets each side ask inside of it, on the same channel', async () => {
      atCaller.channels.talk.onRequest('echo', (value) => value);
      atDesk.channels.talk.onDialog('chat', async (_, dialog) => {
        for await (const line of dialog)
          await dialog.send(String(await atDesk.channels.talk.request('echo', line.toUpperCase())));
      });
      using dialog = atCaller.channels.talk.dialog('chat', '');
      assert.equal(await dialog.ask('a'), 'A');
      assert.equal(await dialog.ask('b'), 'B');
      dialog.close();
      const rest: string[] = [];
      for await (const line of dialog) rest.push(line);
      assert.deepEqual(rest, []);
      await waitUntil('both to have forgotten it', idle);
    });

    it('delivers what was said before a close', async () => {
      const heard: string[] = [];
      atDesk.channels.talk.onDialog('chat', async (first, dialog) => {
        heard.push(first);
        for await (const line of dialog) heard.push(line);
        for (let n = 0; n < 100; n++) void dialog.send(`${heard.length} ${n}`);
      });
      const dialog = atCaller.channels.talk.dialog('chat', 'first');
      for (let n = 0; n < 100; n++) void dialog.send(String(n));
      dialog.close();
      const answers: string[] = [];
      for await (const line of dialog) answers.push(line);
      assert.equal(answers.length, 100);
      assert.equal(answers[99], '101 99');
    });

    it('holds up who speaks faster than the other listens', async () => {
      let said = 0;
      atDesk.channels.talk.onDialog('chat', async (_, dialog, { signal }) => {
        await dialog.receive();
        await dialog.send('one is enough');
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      });
      const dialog = atCaller.channels.talk.dialog('chat', '');
      for (let n = 0; n < 100; n++)
        dialog.send('x').then(
          () => said++,
          () => {},
        );
      assert.equal(await dialog.receive(), 'one is enough');
      assert.isAtMost(said, 32);
      assert.equal((await failureOf(dialog.send('y', { timeoutMs: 20 }))).code, 'ERR_TIMEOUT');
    });

    it('ends for both when either cancels, fails or is told to stop', async () => {
      const ends: string[] = [];
      atDesk.channels.talk.onDialog('chat', async (how, dialog, { signal }) => {
        signal.addEventListener('abort', () => ends.push((signal.reason as { code: string }).code));
        if (how === 'fails') throw new Error('speechless');
        if (how === 'cancels') dialog.cancel();
        await dialog.receive();
      });
      const { talk } = atCaller.channels;
      assert.match((await failureOf(talk.dialog('chat', 'fails').receive())).message, /speechless/);
      const cancelled = await failureOf(talk.dialog('chat', 'cancels').receive());
      assert.equal(cancelled.cause?.code, 'ERR_DIALOG_CLOSED');
      const controller = new AbortController();
      const dialog = talk.dialog('chat', 'waits', { signal: controller.signal });
      await waitUntil('it to begin', () => atDesk.channels.talk.stats().owed === 1);
      controller.abort(new Error('changed my mind'));
      assert.equal((await failureOf(dialog.receive())).message, 'changed my mind');
      await waitUntil('the handler to know', () => ends.includes('ERR_REQUEST_CANCELLED'));
      await waitUntil('both to have forgotten it', idle);
    });

    it('is not begun by what asks for replies, and the other way round', async () => {
      atDesk.channels.talk.onDialog('chat', () => {});
      atDesk.channels.talk.onRequest('echo', (value) => value);
      assert.match((await failureOf(atCaller.channels.talk.request('chat', ''))).message, /it is a dialog/);
      assert.match(
        (await failureOf(atCaller.channels.talk.dialog('echo', 1).receive())).message,
        /it is no dialog/,
      );
    });
  });

  describe('the context of a request', () => {
    it('tells who asks, until when, and when the asker has given up', async () => {
      let context: RequestContext | undefined;
      atDesk.channels.talk.onRequest('echo', (_, given) => {
        context = given;
        return new Promise((resolve) => given.signal.addEventListener('abort', resolve));
      });
      const controller = new AbortController();
      const { talk } = atCaller.channels;
      const call = failureOf(talk.request('echo', 1, { timeoutMs: 5000, signal: controller.signal }));
      await waitUntil('the request', () => context !== undefined);
      assert.equal(context!.name, 'echo');
      assert.equal(context!.peer.app, 'caller');
      assert.isAtMost(context!.remainingMs, 5000);
      assert.isAbove(context!.remainingMs, 1000);
      assert.isFalse(context!.signal.aborted);
      controller.abort(new Error('changed my mind'));
      assert.equal((await call).message, 'changed my mind');
      await waitUntil('the handler to know', () => context!.signal.aborted);
      assert.equal((context!.signal.reason as { code: string }).code, 'ERR_REQUEST_CANCELLED');
    });

    it('aborts with the cause when the session ends', async () => {
      let context: RequestContext | undefined;
      atDesk.channels.talk.onRequest('echo', (_, given) => {
        context = given;
        assert.isFalse(given.signal.aborted);
        return new Promise(() => {});
      });
      failureOf(atCaller.channels.talk.request('echo', 1));
      await waitUntil('the request', () => context !== undefined);
      atCaller.close();
      await waitUntil('the handler to know', () => context!.signal.aborted);
      assert.equal((context!.signal.reason as { code: string }).code, 'ERR_CHANNEL_HOSED');
    });

    it('has no handler run for a request that is past its deadline', async () => {
      let runs = 0;
      const { talk } = atCaller.channels;
      const call = failureOf(talk.request('echo', 1, { timeoutMs: 1 }));
      // Nobody reads meanwhile: both ends are in this process.
      const since = performance.now();
      while (performance.now() - since < 20);
      atDesk.channels.talk.onRequest('echo', () => runs++);
      assert.equal((await call).code, 'ERR_TIMEOUT');
      await waitUntil('it to be counted', () => atDesk.channels.talk.stats().expired === 1);
      assert.equal(runs, 0);
    });
  });

  describe('a reply that nobody waits for', () => {
    it('is dropped and counted, and both sides are told', async () => {
      const strays: Record<'desk' | 'caller', Stray[]> = { desk: [], caller: [] };
      atDesk.channels.talk.onStray((stray) => strays.desk.push(stray));
      const end = atCaller.channels.talk.onStray((stray) => strays.caller.push(stray));
      const { talk } = atCaller.channels;
      const late = async () => {
        const controller = new AbortController();
        atDesk.channels.talk.onRequest('echo', (value) => {
          // The reply is on its way when the asker gives up.
          queueMicrotask(() => controller.abort(new Error('changed my mind')));
          return value;
        });
        await failureOf(talk.request('echo', 1, { signal: controller.signal }));
      };
      await late();
      await waitUntil('the desk to be told', () => strays.desk.length === 1);
      assert.deepEqual(strays.caller, [{ type: 'reply.late', requestId: 1 }]);
      assert.deepEqual(strays.desk, [{ type: 'reply.refused', requestId: 1, reason: 'late' }]);
      end();
      await late();
      await waitUntil('the desk to be told', () => strays.desk.length === 2);
      assert.lengthOf(strays.caller, 1);
      assert.equal(talk.stats().lateReplies, 2);
      assert.equal(atDesk.channels.talk.stats().refusedReplies, 2);
      const logged = court.messages.filter(({ message }) => /reply/.test(message));
      assert.lengthOf(logged, 2, 'one line for each side');
      assert.isTrue(talk.open);
    });

    it('is a typed error where it is the second one', async () => {
      atDesk.channels.talk.onRequest('echo', (value, { requestId }) => {
        atDesk.channels.talk.reply({ requestId }, value);
        assert.throws(
          () => atDesk.channels.talk.reply({ requestId }, value),
          /answered or cancelled already/,
        );
        return 'a third';
      });
      assert.equal(await atCaller.channels.talk.request('echo', 5), 5);
      assert.equal(atCaller.channels.talk.stats().unknownReplies, 0);
    });
  });

  it('refuses to have more than a bounded number unanswered', async () => {
    atDesk.channels.talk.onRequest('echo', () => new Promise(() => {}));
    const { talk } = atCaller.channels;
    const calls = Array.from({ length: 1024 }, () => talk.request('echo', 1).catch(() => {}));
    assert.equal((await failureOf(talk.request('echo', 1))).code, 'ERR_CHANNEL_BUSY');
    assert.equal((await failureOf(talk.requestMany('count', 1).next())).code, 'ERR_CHANNEL_BUSY');
    assert.lengthOf(calls, 1024);
  });
});
