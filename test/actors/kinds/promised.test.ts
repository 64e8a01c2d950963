// Answers that are given once.
import { assert } from 'chai';
import { collector, type Io, type Resolver } from '../../../src/actors/kinds/kinds.ts';
import type { IpcError } from '../../../src/errors.ts';
import { rejection, stage, turns } from '../../support/kinds/stage.ts';

type Ask = { type: 'ask'; reply: Resolver<number> };

/** Answers what it is asked first, and ends. */
const answering = collector(
  async ({ inbox, input }: Io<{ messages: Ask; input: 'resolve' | 'reject' | 'forget' }>) => {
    const { reply } = await inbox.receive();
    if (input === 'resolve') reply.resolve(42);
    else if (input === 'reject') reply.reject(new RangeError('no such thing'));
  },
  { name: 'answering' },
);

function ask(how: 'resolve' | 'reject' | 'forget') {
  const { start } = stage();
  const main = start(
    collector(async ({ spawn, promise }: Io) => {
      const other = spawn(answering, how);
      const reply = promise<number>({ by: other });
      other.trySend({ type: 'ask', reply });
      return reply.wait();
    }),
  );
  return main.join();
}

describe('a promise', () => {
  it('is answered once by whoever has got it', async () => {
    assert.equal(await ask('resolve'), 42);
  });

  it('can be answered with a failure', async () => {
    const failure = await rejection(ask('reject'));
    assert.instanceOf(failure.cause, RangeError);
  });

  it('is closed when the one ends who was to answer', async () => {
    const failure = await rejection(ask('forget'));
    assert.equal((failure.cause as IpcError).code, 'ERR_PROMISE_CLOSED');
  });

  it('refuses a second answer, and one that nobody waits for any more', async () => {
    const { start } = stage();
    let kept: Resolver<number> | undefined;
    const main = start(
      collector(async ({ promise }: Io) => {
        const twice = promise<number>();
        twice.resolve(1);
        kept = promise<number>();
        try {
          twice.resolve(2);
        } catch (error) {
          return [await twice.wait(), (error as IpcError).code];
        }
        return [];
      }),
    );
    assert.deepEqual(await main.join(), [1, 'ERR_PROMISE_CLOSED']);
    assert.isTrue(kept!.closed);
    assert.throws(() => kept!.resolve(3), /the promise is closed: main has ended/);
  });

  it('is one thing among others to select from, and answers each time', async () => {
    const { start, clock } = stage();
    const main = start(
      collector(async ({ promise, select, timer }: Io) => {
        const reply = promise<number>();
        const first = await select({ reply, late: timer(10) });
        reply.resolve(7);
        const second = await select({ reply });
        return [first.from, second.value, await reply.wait()];
      }),
    );
    await turns();
    clock.advance(10);
    assert.deepEqual(await main.join(), ['late', 7, 7]);
  });
});
