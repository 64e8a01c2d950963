// The inbox of a kind, and waiting for one of several things.
import { assert } from 'chai';
import { collector, type Io } from '../../../src/actors/kinds/kinds.ts';
import { rejection, stage, turns } from '../../support/kinds/stage.ts';

type Letter = { type: 'a'; n: number } | { type: 'b'; n: number } | { type: 'end' };
type LetterIo = Io<{ messages: Letter }>;

/** A collector that runs `task`. */
const reading = <R>(task: (io: LetterIo) => Promise<R>, options = {}) =>
  collector((io: LetterIo) => task(io), { name: 'reader', ...options });

describe('an inbox', () => {
  it('keeps the order of all types together', async () => {
    const { start } = stage();
    const reader = start(
      reading(async ({ inbox }) => {
        const seen: string[] = [];
        for await (const letter of inbox) {
          if (letter.type === 'end') return seen;
          seen.push(`${letter.type}${letter.n}`);
        }
        return seen;
      }),
    );
    for (const type of ['a', 'b', 'a', 'a', 'b'] as const) reader.trySend({ type, n: 1 });
    reader.trySend({ type: 'end' });
    assert.deepEqual(await reader.join(), ['a1', 'b1', 'a1', 'a1', 'b1']);
  });

  it('keeps the early messages of a later stage, in their order', async () => {
    const { start } = stage();
    const reader = start(
      reading(async ({ inbox }) => {
        const first = await inbox.of('a').receive();
        return [first.n, (await inbox.of('b').receive()).n, (await inbox.of('b').receive()).n];
      }),
    );
    reader.trySend({ type: 'b', n: 2 });
    reader.trySend({ type: 'b', n: 3 });
    reader.trySend({ type: 'a', n: 1 });
    assert.deepEqual(await reader.join(), [1, 2, 3]);
  });

  it('that is full of one type still takes the others', async () => {
    const { start } = stage();
    const reader = start(
      reading(
        async ({ inbox, sleep }) => {
          await sleep(10);
          return (await inbox.of('a').receive()).n;
        },
        { inbox: { max: 2 } },
      ),
    );
    assert.isTrue(reader.trySend({ type: 'b', n: 1 }) && reader.trySend({ type: 'b', n: 2 }));
    assert.isFalse(reader.trySend({ type: 'b', n: 3 }));
    assert.isTrue(reader.trySend({ type: 'a', n: 4 }));
    reader.stop();
    assert.equal((await rejection(reader.join())).code, 'ERR_KIND_ENDED');
  });

  it('has its senders wait for room, in their order', async () => {
    const { start } = stage();
    const reader = start(
      reading(
        async ({ inbox }) => {
          const seen: number[] = [];
          while (seen.length < 4) seen.push((await inbox.of('a').receive()).n);
          return seen;
        },
        { inbox: { max: 1 } },
      ),
    );
    await Promise.all([1, 2, 3, 4].map((n) => reader.send({ type: 'a', n })));
    assert.deepEqual(await reader.join(), [1, 2, 3, 4]);
  });

  it('has a sender that gives up leave nothing behind', async () => {
    const { start, clock, view } = stage();
    const reader = start(reading(({ sleep }) => sleep(1_000), { inbox: { max: 1 } }));
    await reader.send({ type: 'a', n: 1 });
    const sending = reader.send({ type: 'a', n: 2 }, { timeoutMs: 100 });
    const aborted = new AbortController();
    const other = reader.send({ type: 'a', n: 3 }, { signal: aborted.signal });
    aborted.abort(new Error('never mind'));
    clock.advance(100);
    assert.equal((await rejection(sending)).code, 'ERR_TIMEOUT');
    assert.equal((await rejection(other)).message, 'never mind');
    assert.equal(view()!.inbox.queued, 1);
    reader.stop();
  });

  const policies = [
    ['drop-newest', [1, 2]],
    ['drop-oldest', [2, 3]],
  ] as const;
  for (const [overflow, kept] of policies)
    it(`under the policy ${overflow} drops and counts what comes from those who can't wait`, async () => {
      const { clock, start, post } = stage();
      const reader = start(
        reading(
          async ({ inbox, next, timer }) => {
            await next(timer(0));
            return { seen: [inbox.tryReceive(), inbox.tryReceive()], stats: inbox.stats() };
          },
          { inbox: { max: 2, overflow } },
        ),
      );
      for (const n of [1, 2, 3]) post({ type: 'a', n } as Letter);
      await turns();
      clock.advance(1);
      const { seen, stats } = await reader.join();
      assert.deepEqual(
        seen.map((letter) => (letter as { n: number }).n),
        [...kept],
      );
      assert.deepEqual(stats, { queued: 0, received: 2, dropped: 1 });
    });

  it('under the policy fail ends its kind rather than lose a message', async () => {
    const { start, post } = stage();
    const reader = start(reading(({ sleep }) => sleep(1_000), { inbox: { max: 2 } }));
    for (const n of [1, 2, 3]) post({ type: 'a', n } as Letter);
    const failure = await rejection(reader.join());
    assert.equal(failure.code, 'ERR_KIND_FAILED');
    assert.equal((failure.cause as { code: string }).code, 'ERR_INBOX_FULL');
  });

  it('that is closed gives what lies there, then its end', async () => {
    const { start } = stage();
    const reader = start(
      reading(async ({ inbox }) => {
        const first = await inbox.receive();
        const rest = await inbox.next();
        return { first, rest, closed: inbox.closed };
      }),
    );
    reader.trySend({ type: 'a', n: 1 });
    reader.close();
    assert.deepEqual(await reader.join(), { first: { type: 'a', n: 1 }, rest: undefined, closed: true });
    const other = start(
      reading(({ inbox }) => inbox.receive()),
      undefined,
      'other',
    );
    other.close();
    const failure = await rejection(other.join());
    assert.equal((failure.cause as { code: string }).code, 'ERR_INBOX_CLOSED');
  });

  it('gives up a receive after its time, and by its signal', async () => {
    const { start, clock } = stage();
    const aborted = new AbortController();
    const reader = start(
      reading(async ({ inbox }) => [
        (await rejection(inbox.receive({ timeoutMs: 50 }))).code,
        (await rejection(inbox.receive({ signal: aborted.signal }))).message,
      ]),
    );
    await turns();
    clock.advance(50);
    await turns();
    aborted.abort(new Error('enough'));
    assert.deepEqual(await reader.join(), ['ERR_TIMEOUT', 'enough']);
    assert.equal(clock.pending, 0);
  });

  it('lets the event loop have its turn while two kinds always have something for each other', async () => {
    const { start } = stage();
    let looked = false;
    setImmediate(() => {
      looked = true;
    });
    const reader = start(
      reading(async ({ inbox }) => {
        let count = 0;
        for await (const letter of inbox) {
          count++;
          if (looked || count > 100_000) return count;
          reader.trySend(letter);
        }
        return count;
      }),
    );
    reader.trySend({ type: 'a', n: 1 });
    assert.isBelow(await reader.join(), 100_000);
  });
});

describe('select()', () => {
  it('takes nothing but from the one that wins', async () => {
    const { start, clock } = stage();
    const reader = start(
      reading(async ({ inbox, select, timer }) => {
        const tick = timer(10);
        const won: string[] = [];
        for (let round = 0; round < 3; round++) {
          const { from } = await select({ a: inbox.of('a'), b: inbox.of('b'), tick });
          won.push(from);
        }
        return { won, left: inbox.stats().queued };
      }),
    );
    reader.trySend({ type: 'a', n: 1 });
    reader.trySend({ type: 'b', n: 1 });
    reader.trySend({ type: 'a', n: 2 });
    clock.advance(10);
    const { won, left } = await reader.join();
    assert.sameMembers(won.slice(0, 2), ['a', 'b']);
    assert.equal(left + won.filter((from) => from !== 'tick').length, 3);
  });

  it('is fair: of sources that always have something, none waits longer than all others take', async () => {
    const { start } = stage();
    const reader = start(
      reading(async ({ inbox, select }) => {
        const won: string[] = [];
        for (let round = 0; round < 10; round++)
          won.push((await select({ a: inbox.of('a'), b: inbox.of('b') })).from);
        return won.join('');
      }),
    );
    for (let n = 0; n < 10; n++) {
      reader.trySend({ type: 'a', n });
      reader.trySend({ type: 'b', n });
    }
    assert.equal(await reader.join(), 'ababababab');
  });

  it('loses no answer of a channel or a promise that did not win', async () => {
    const { start } = stage();
    const words = ['one', 'two', 'three'];
    const channel = { receive: async () => words.shift() ?? new Promise<string>(() => {}) };
    const late = new Promise<number>((resolve) => setImmediate(() => resolve(7)));
    const reader = start(
      reading(async ({ select, inbox }) => {
        const seen: unknown[] = [];
        while (seen.length < 5) seen.push((await select({ word: channel, late, a: inbox.of('a') })).value);
        return seen.slice(0, 3).concat(seen.includes(7));
      }),
    );
    reader.trySend({ type: 'a', n: 1 });
    const seen = await reader.join();
    assert.include(seen, true);
  });

  it('leaves out what is switched off, and refuses to wait for nothing', async () => {
    const { start } = stage();
    const reader = start(
      reading(async ({ select, inbox }) => {
        const { from } = await select({ a: false, b: inbox.of('b'), c: undefined });
        return [from, (await rejection(select({ a: false }))).message];
      }),
    );
    reader.trySend({ type: 'a', n: 1 });
    reader.trySend({ type: 'b', n: 1 });
    assert.deepEqual(await reader.join(), ['b', 'select: there is nothing to wait for']);
  });

  it('fails with what ended a source, or answers undefined where that was asked for', async () => {
    const { start } = stage();
    const reader = start(
      reading(async ({ select, inbox }) => {
        const { value } = await select({ any: inbox.orEnd });
        return [value, (await rejection(select({ any: inbox }))).code];
      }),
    );
    reader.close();
    assert.deepEqual(await reader.join(), [undefined, 'ERR_INBOX_CLOSED']);
  });

  it('ends after its time, and the sources stay', async () => {
    const { start, clock } = stage();
    const reader = start(
      reading(async ({ select, inbox }) => {
        const { code } = await rejection(select({ a: inbox.of('a') }, { timeoutMs: 20 }));
        return [code, (await inbox.of('a').receive()).n];
      }),
    );
    await turns();
    clock.advance(20);
    await turns();
    reader.trySend({ type: 'a', n: 5 });
    assert.deepEqual(await reader.join(), ['ERR_TIMEOUT', 5]);
  });

  it('is one of at most 1024 calls of a kind that wait', async () => {
    const { start } = stage();
    const reader = start(
      reading(async ({ inbox }) => {
        const waiting = Array.from({ length: 1_024 }, () => rejection(inbox.receive()));
        const { code } = await rejection(inbox.receive());
        void waiting;
        return code;
      }),
    );
    assert.equal(await reader.join(), 'ERR_KIND_BUSY');
  });
});
