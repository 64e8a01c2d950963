// The four kinds: how each begins and ends, and what it owes to those who talk to it.
import { assert } from 'chai';
import {
  collector,
  type Io,
  listener,
  type Resolver,
  type ServiceIo,
  server,
  service,
} from '../../../src/actors/kinds/kinds.ts';
import type { IpcError } from '../../../src/errors.ts';
import { rejection, stage, turns } from '../../support/kinds/stage.ts';

const codeOf = (error: unknown) => (error as Partial<IpcError>).code;
const causeOf = (error: { cause?: unknown }) => codeOf(error.cause);

describe('a collector', () => {
  type Vote = { type: 'vote'; by: number; valid: boolean };
  const quorum = collector(
    async ({ input, inbox }: Io<{ messages: Vote; input: { of: number } }>) => {
      const voters = new Set<number>();
      while (voters.size < input.of) {
        const { by, valid } = await inbox.receive();
        if (valid) voters.add(by);
      }
      return [...voters];
    },
    { name: 'quorum' },
  );

  it('ends by itself with its result, once; what comes later changes nothing (B01)', async () => {
    const { start, ends } = stage();
    const certificate = start(quorum, { of: 2 });
    for (const [by, valid] of [
      [1, true],
      [9, false],
      [1, true],
      [2, true],
    ] as const)
      certificate.trySend({ type: 'vote', by, valid });
    assert.deepEqual(await certificate.join(), [1, 2]);
    assert.throws(
      () => certificate.trySend({ type: 'vote', by: 3, valid: true }),
      /main has ended: it is done/,
    );
    await turns();
    assert.deepEqual(ends, [{ how: 'done', output: [1, 2] }]);
  });

  it('fails when its source is closed too early', async () => {
    const { start, ends } = stage();
    const certificate = start(quorum, { of: 2 });
    certificate.trySend({ type: 'vote', by: 1, valid: true });
    certificate.close();
    const failure = await rejection(certificate.join());
    assert.deepEqual([codeOf(failure), causeOf(failure)], ['ERR_KIND_FAILED', 'ERR_INBOX_CLOSED']);
    await turns();
    assert.equal(ends[0]!.how, 'crashed');
  });

  it('goes through its stages in order, whatever comes first', async () => {
    type Phase = { type: 'prepare' | 'commit'; by: number };
    const { start, view, host } = stage();
    const staged = start(
      collector(async ({ stage: enter, inbox }: Io<{ messages: Phase }>) => {
        const count = { prepare: 0, commit: 0 };
        for (const phase of ['prepare', 'commit'] as const) {
          enter(phase);
          for (; count[phase] < 2; count[phase]++) await inbox.of(phase).receive();
        }
        return count;
      }),
    );
    for (const by of [1, 2]) staged.trySend({ type: 'commit', by });
    await turns();
    assert.deepInclude(view(), { stage: 'prepare', awaiting: ['receive prepare'] });
    assert.equal(host.snapshotOf(staged.address)!.value, 'running.prepare');
    for (const by of [1, 2]) staged.trySend({ type: 'prepare', by });
    assert.deepEqual(await staged.join(), { prepare: 2, commit: 2 });
  });

  it('joins results of others while it waits for messages', async () => {
    const square = collector(async ({ input }: Io<{ input: number }>) => input * input, { name: 'square' });
    const { start } = stage();
    const sum = start(
      collector(async ({ spawn, select, inbox }: Io<{ messages: { type: 'add'; n: number } }>) => {
        const child = spawn(square, 5);
        let total = 0;
        for (let left = 2; left > 0; left--) {
          const got = await select({ add: inbox.of('add'), square: child.joined });
          total += got.from === 'add' ? got.value.n : got.value;
        }
        return total;
      }),
    );
    sum.trySend({ type: 'add', n: 1 });
    assert.equal(await sum.join(), 26);
  });

  it('that is stopped gives up what it waits for, and its cleanup runs', async () => {
    const { start, halt, ends } = stage();
    let cleaned = '';
    const waiting = start(
      collector(async ({ inbox, signal }: Io) => {
        try {
          await inbox.receive();
        } catch (error) {
          cleaned = `${codeOf(error)} ${signal.aborted}`;
          throw error;
        }
      }),
    );
    await turns();
    halt();
    assert.equal(codeOf(await rejection(waiting.join())), 'ERR_KIND_ENDED');
    await turns();
    assert.equal(cleaned, 'ERR_KIND_ENDED true');
    assert.deepEqual(ends, [{ how: 'stopped' }]);
  });

  it('that leaves a wait behind ends the process no more than its result does', async () => {
    const { start } = stage();
    const unhandled: unknown[] = [];
    const note = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', note);
    try {
      const running = start(
        collector(async ({ inbox, sleep, promise }: Io) => {
          void inbox.receive();
          void sleep(1_000);
          void promise().wait();
          return 7;
        }),
      );
      assert.equal(await running.join(), 7);
      await turns();
      assert.deepEqual(unhandled, []);
    } finally {
      process.off('unhandledRejection', note);
    }
  });

  it('tells an error of its own as the cause of its failure', async () => {
    const { start } = stage();
    const failing = start(
      collector(
        async () => {
          throw new RangeError('too far');
        },
        { name: 'failing' },
      ),
    );
    const failure = await rejection(failing.join());
    assert.equal(failure.message, 'main failed: too far');
    assert.instanceOf(failure.cause, RangeError);
  });
});

describe('a listener', () => {
  type Packet = { type: 'packet'; n: number };

  /** Emits numbers for as long as it may, one per tick, and notes when its source is closed. */
  function ticker() {
    const log: string[] = [];
    const logic = listener(
      async ({ every, next, emit, input }: Io<{ input: { everyMs: number }; emitted: Packet }>) => {
        const tick = every(input.everyMs);
        try {
          for (let n = 1; ; n++) {
            await next(tick);
            await emit({ type: 'packet', n });
          }
        } finally {
          log.push('closed');
        }
      },
      { name: 'ticker' },
    );
    return { logic, log };
  }

  it('emits until it is stopped, then closes its source and ends well (B03)', async () => {
    const { start, clock, ends } = stage();
    const { logic, log } = ticker();
    const running = start(logic, { everyMs: 10 });
    const stream = running.stream();
    for (let ticks = 0; ticks < 2; ticks++) {
      await turns();
      clock.advance(10);
    }
    await turns();
    running.stop();
    await running.join();
    clock.advance(100);
    const seen: number[] = [];
    for await (const { n } of stream) seen.push(n);
    assert.deepEqual(seen, [1, 2]);
    assert.deepEqual(log, ['closed']);
    await turns();
    assert.deepEqual(ends, [{ how: 'done', output: undefined }]);
    assert.equal(clock.pending, 0);
  });

  it('whose only consumer has gone ends well with the next item (B04)', async () => {
    const { start, clock, ends } = stage();
    const { logic, log } = ticker();
    const running = start(logic, { everyMs: 10 });
    const stream = running.stream();
    await turns();
    clock.advance(10);
    for await (const { n } of stream) {
      assert.equal(n, 1);
      break;
    }
    assert.isFalse(running.ended);
    await turns();
    clock.advance(10);
    await running.join();
    assert.deepEqual(log, ['closed']);
    await turns();
    assert.equal(ends[0]!.how, 'done');
  });

  it('may find out that its consumers have gone, and go on', async () => {
    const { start } = stage();
    const running = start(
      listener(async ({ emit, stopping, next }: Io<{ emitted: Packet }>) => {
        const failure = await rejection(emit({ type: 'packet', n: 1 }));
        assert.equal(codeOf(failure), 'ERR_CONSUMER_GONE');
        await next(stopping).catch(() => {});
      }),
    );
    running.stream().close();
    await turns();
    assert.isFalse(running.ended);
    running.stop();
    await running.join();
  });

  it('goes on for the other consumer when one has gone', async () => {
    const { start, clock } = stage();
    const running = start(ticker().logic, { everyMs: 10 });
    const [gone, stays] = [running.stream(), running.stream()];
    gone.close();
    await turns();
    clock.advance(10);
    assert.equal((await stays.receive()).n, 1);
    running.stop();
    await running.join();
  });

  it('is held up by a consumer that is slow, and no item is lost', async () => {
    const { start, view } = stage();
    const running = start(
      listener(async ({ emit }: Io<{ emitted: Packet }>) => {
        for (let n = 1; n <= 10; n++) await emit({ type: 'packet', n });
      }),
    );
    const stream = running.stream({ max: 3 });
    await turns();
    assert.equal(view()!.emitted, 4);
    const seen: number[] = [];
    for await (const { n } of stream) seen.push(n);
    assert.deepEqual(seen, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  for (const [overflow, kept] of [
    ['drop-newest', [1, 2]],
    ['drop-oldest', [9, 10]],
  ] as const)
    it(`is not held up by a consumer whose stream has the policy ${overflow}`, async () => {
      const { start } = stage();
      const running = start(
        listener(async ({ emit }: Io<{ emitted: Packet }>) => {
          for (let n = 1; n <= 10; n++) await emit({ type: 'packet', n });
        }),
      );
      const stream = running.stream({ max: 2, overflow });
      await running.join();
      const seen: number[] = [];
      for await (const { n } of stream) seen.push(n);
      assert.deepEqual(seen, [...kept]);
      assert.equal(stream.dropped, 8);
    });

  it('that fails fails its readers, after what it had emitted', async () => {
    const { start } = stage();
    const running = start(
      listener(async ({ emit }: Io<{ emitted: Packet }>) => {
        await emit({ type: 'packet', n: 1 });
        throw new Error('the line is dead');
      }),
    );
    const stream = running.stream();
    assert.equal((await stream.receive()).n, 1);
    assert.match((await rejection(stream.receive())).message, /the line is dead/);
  });

  it('that is told to stop and does not is ended after its limit', async () => {
    const { start, clock, logged } = stage();
    const running = start(listener(() => new Promise<void>(() => {}), { name: 'deaf', drainTimeoutMs: 100 }));
    await turns();
    running.stop();
    await turns();
    clock.advance(100);
    assert.equal(causeOf(await rejection(running.join())), 'ERR_TIMEOUT');
    assert.isTrue(
      logged.some(({ message }) => /has not finished what was in flight within 100 ms/.test(message)),
    );
  });
});

describe('a server', () => {
  type Request = { type: 'request'; n: number; reply: Resolver<number> };
  const work = collector(
    async ({ input, sleep }: Io<{ input: Request }>) => {
      await sleep(50);
      input.reply.resolve(input.n * 2);
    },
    { name: 'work' },
  );
  const doubler = server(
    async ({ inbox, spawn }: Io<{ messages: Request }>) => {
      let served = 0;
      for await (const request of inbox) {
        spawn(work, request);
        served++;
      }
      return { served };
    },
    { name: 'doubler', drainTimeoutMs: 1_000 },
  );

  /** A kind that asks `count` things at once and returns the answers. */
  const asker = collector(
    async ({ input, promise }: Io<{ input: { count: number; ask: (request: Request) => boolean } }>) => {
      const replies = Array.from({ length: input.count }, (_, n) => {
        const reply = promise<number>();
        assert.isTrue(input.ask({ type: 'request', n, reply }));
        return reply.wait();
      });
      return Promise.all(replies);
    },
    { name: 'asker' },
  );

  it('told to stop refuses new work, finishes what is in flight, then ends with its metrics (B05)', async () => {
    const { start, clock, host } = stage();
    const running = start(doubler);
    const asking = start(asker, { count: 5, ask: (request) => running.trySend(request) }, 'asker');
    await turns();
    running.stop();
    await turns();
    assert.equal(host.snapshotOf(running.address)!.value, 'draining');
    assert.throws(
      () => running.trySend({ type: 'request', n: 9, reply: undefined as never }),
      /main is stopping/,
    );
    clock.advance(50);
    assert.deepEqual(await asking.join(), [0, 2, 4, 6, 8]);
    assert.deepEqual(await running.join(), { served: 5 });
    assert.equal(clock.pending, 0);
  });

  it('takes what was accepted before the stop', async () => {
    const { start, clock } = stage();
    const running = start(doubler);
    const asking = start(asker, { count: 3, ask: (request) => running.trySend(request) }, 'asker');
    await Promise.resolve();
    await Promise.resolve();
    running.stop();
    await turns();
    clock.advance(50);
    assert.deepEqual(await asking.join(), [0, 2, 4]);
  });

  it('ends when its source is closed', async () => {
    const { start } = stage();
    const running = start(doubler);
    running.close();
    assert.deepEqual(await running.join(), { served: 0 });
  });

  it('that lets the end of its inbox pass ends well, without metrics', async () => {
    const { start } = stage();
    const running = start(
      server(async ({ select, inbox, every }: Io<{ messages: Request }>) => {
        const tick = every(10);
        for (;;) await select({ inbox, tick });
      }),
    );
    await turns();
    running.stop();
    assert.isUndefined(await running.join());
  });

  it('can wait for its stop among other things', async () => {
    const { start } = stage();
    const running = start(
      server(async ({ select, timer, stopping }: Io) => {
        const { from } = await select({ stop: stopping, late: timer(10_000) });
        return from;
      }),
    );
    await turns();
    running.stop();
    assert.equal(await running.join(), 'stop');
  });

  it('stops those of its children that never end by themselves', async () => {
    const { start } = stage();
    const ticking = listener(async ({ every, next }: Io) => {
      for (const tick = every(10); ; ) await next(tick);
    });
    const running = start(
      server(async ({ inbox, spawn }: Io) => {
        spawn(ticking);
        spawn(service(async (n: number) => n));
        await inbox.next();
        return 'metrics';
      }),
    );
    await turns();
    running.stop();
    assert.equal(await running.join(), 'metrics');
  });

  it('whose children do not end in time ends without them, and says so', async () => {
    const { start, clock, logged, host } = stage();
    const stuck = collector(() => new Promise<void>(() => {}), { name: 'stuck' });
    const running = start(
      server(
        async ({ spawn }: Io) => {
          spawn(stuck);
          return 'metrics';
        },
        { name: 'host', drainTimeoutMs: 100 },
      ),
    );
    await turns();
    clock.advance(100);
    assert.equal(await running.join(), 'metrics');
    assert.deepInclude(logged.at(-1)!.facts, { left: ['main/stuck#1'] });
    await turns();
    assert.deepEqual(host.addresses, []);
  });
});

describe('a service', () => {
  const square = service(
    async (n: number) => {
      await Promise.resolve();
      if (n < 0) throw new RangeError(`${n} is below zero`);
      return n * n;
    },
    { name: 'square', concurrency: 4 },
  );

  it('gives each of many callers exactly the reply to its request (B06)', async () => {
    const { start } = stage();
    const running = start(square);
    const callers = [1, 2, 3, 4].map(async (caller) => {
      const replies: number[] = [];
      for (let n = 0; n < 25; n++) replies.push(await running.request(caller * 100 + n));
      return replies;
    });
    const all = (await Promise.all(callers)).flat();
    assert.deepEqual(
      all,
      [1, 2, 3, 4].flatMap((caller) => Array.from({ length: 25 }, (_, n) => (caller * 100 + n) ** 2)),
    );
    running.close();
    assert.include(await running.join(), { answered: 100, failed: 0 });
  });

  it('answers what is pending when all its handles are closed, then ends well (B07)', async () => {
    const { start } = stage();
    const running = start(square);
    const other = running.share();
    const replies = [running.request(2), other.request(3), other.request(4)];
    running.close();
    assert.isFalse(running.ended);
    other.close();
    assert.deepEqual(await Promise.all(replies), [4, 9, 16]);
    assert.include(await running.join(), { answered: 3 });
    assert.match((await rejection(other.request(5))).message, /this handle was closed/);
  });

  it('tells the one who asked what its handler threw, and goes on', async () => {
    const { start } = stage();
    const running = start(square);
    const failure = await rejection(running.request(-1));
    assert.equal(failure.code, 'ERR_REQUEST_FAILED');
    assert.instanceOf(failure.cause, RangeError);
    assert.equal(await running.request(3), 9);
    running.stop();
    assert.include(await running.join(), { answered: 1, failed: 1 });
  });

  it('answers in sequence unless told otherwise', async () => {
    const { start } = stage();
    const order: string[] = [];
    const running = start(
      service(async (n: number) => {
        order.push(`begin ${n}`);
        await turns();
        order.push(`end ${n}`);
        return n;
      }),
    );
    await Promise.all([running.request(1), running.request(2)]);
    assert.deepEqual(order, ['begin 1', 'end 1', 'begin 2', 'end 2']);
    running.stop();
    await running.join();
  });

  it('keeps a state of its own', async () => {
    const { start } = stage();
    const counter = service(
      async (by: number, { state }: ServiceIo<{ state: { total: number } }>) => {
        state.total += by;
        return state.total;
      },
      { state: () => ({ total: 0 }) },
    );
    const [one, other] = [start(counter, undefined, 'one'), start(counter, undefined, 'other')];
    await one.request(5);
    assert.deepEqual([await one.request(1), await other.request(1)], [6, 1]);
    one.stop();
    other.stop();
    await Promise.all([one.join(), other.join()]);
  });

  it('drops a request whose asker has given up before its turn', async () => {
    const { start, clock } = stage();
    let asked = 0;
    const running = start(
      service(
        async (n: number, { sleep }) => {
          asked++;
          await sleep(100);
          return n;
        },
        { name: 'slow' },
      ),
    );
    const first = running.request(1);
    const second = running.request(2, { timeoutMs: 50 });
    await turns();
    clock.advance(50);
    assert.equal(codeOf(await rejection(second)), 'ERR_TIMEOUT');
    clock.advance(50);
    assert.equal(await first, 1);
    running.close();
    assert.include(await running.join(), { answered: 1, cancelled: 1 });
    assert.equal(asked, 1);
  });

  it('that is ended refuses what it will never answer', async () => {
    const { start, halt } = stage();
    const running = start(service(() => new Promise<number>(() => {}), { name: 'black hole' }));
    const replies = [running.request(undefined as never), running.request(undefined as never)];
    await turns();
    halt();
    for (const reply of replies) assert.equal(codeOf(await rejection(reply)), 'ERR_KIND_ENDED');
  });

  describe('that answers with streams', () => {
    const log: string[] = [];
    const counting = service(async (n: number) => n, {
      name: 'counting',
      async *stream(upTo: number) {
        try {
          for (let n = 1; n <= upTo; n++) yield n;
        } finally {
          log.push(`over ${upTo}`);
        }
      },
    });

    it('gives all that it yields, then the end', async () => {
      const { start } = stage();
      const running = start(counting);
      const seen: number[] = [];
      for await (const n of running.subscribe(5, { max: 2 })) seen.push(n);
      assert.deepEqual(seen, [1, 2, 3, 4, 5]);
      running.close();
      assert.include(await running.join(), { subscriptions: 1 });
    });

    it('is told when the subscriber has gone', async () => {
      const { start } = stage();
      const running = start(counting);
      for await (const n of running.subscribe(1_000_000, { max: 2 })) if (n === 3) break;
      await turns();
      assert.include(log, 'over 1000000');
      running.close();
      await running.join();
    });

    it('ends its streams when it is stopped', async () => {
      const { start } = stage();
      const running = start(counting);
      const stream = running.subscribe(500_000, { max: 2 });
      assert.equal(await stream.receive(), 1);
      running.stop();
      await running.join();
      assert.include(log, 'over 500000');
    });

    it('refuses where it has none to give', async () => {
      const { start } = stage();
      const running = start(square);
      const stream = running.subscribe(1);
      assert.equal(codeOf(await rejection(stream.receive())), 'ERR_REQUEST_FAILED');
      running.stop();
      await running.join();
    });
  });
});
