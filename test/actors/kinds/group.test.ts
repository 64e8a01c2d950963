// Groups: children that are watched together, and which of several failures is told.
import { assert } from 'chai';
import {
  collector,
  type Handle,
  heldBackMs,
  type Io,
  type Spawner,
} from '../../../src/actors/kinds/kinds.ts';
import type { IpcError } from '../../../src/errors.ts';
import { rejection, stage, turns } from '../../support/kinds/stage.ts';

type Task = { type: 'task' };

/** Takes what is sent to it until it is closed or ends. */
const sink = collector(
  async ({ inbox }: Io<{ messages: Task }>) => {
    for (;;) await inbox.receive();
  },
  { name: 'sink' },
);
/** Fails after a while, by itself. */
const failing = collector(
  async ({ sleep, input }: Io<{ input: { afterMs: number; why: string } }>) => {
    await sleep(input.afterMs);
    throw new Error(input.why);
  },
  { name: 'failing' },
);
/** Ends well after a while. */
const ending = collector(async ({ sleep, input }: Io<{ input: number }>) => sleep(input), { name: 'ending' });
/** Sends to another one until that has ended, and fails by it. */
const failedBy = collector(
  async ({ input, next }: Io<{ input: Handle }>) => {
    await next(input.joined).catch(() => {});
    input.trySend({ type: 'task' });
  },
  { name: 'failed-by' },
);

const instant = collector(async () => {}, { name: 'instant' });

const codes = (error: IpcError | Error) =>
  ((error as IpcError).consequences ?? []).map(({ cause }) => (cause as IpcError).code);

describe('a group', () => {
  it('is waited for until all have ended well', async () => {
    const { start, clock } = stage();
    const main = start(
      collector(async ({ group }: Io) => {
        const tasks = group();
        tasks.spawn(ending, 10);
        tasks.spawn(ending, 20);
        await tasks.wait();
        return tasks.running;
      }),
    );
    await turns();
    clock.advance(10);
    await turns();
    assert.isFalse(main.ended);
    clock.advance(10);
    assert.equal(await main.join(), 0);
  });

  it('tells the root cause, with what failed because of it (B11)', async () => {
    const { start, clock } = stage();
    const main = start(
      collector(async ({ group }: Io) => {
        const tasks = group();
        const a = tasks.spawn(failing, { afterMs: 50, why: 'the disk is full' }, { name: 'a' });
        // Each sees no more than that what it sends to is over.
        for (const name of ['b', 'c']) tasks.spawn(failedBy, a, { name });
        await tasks.wait();
      }),
    );
    await turns();
    clock.advance(50);
    await turns();
    clock.advance(heldBackMs);
    const failure = (await rejection(main.join())).cause as IpcError;
    assert.equal(failure.message, 'main/a#1 failed: the disk is full');
    assert.deepEqual(codes(failure), ['ERR_KIND_ENDED', 'ERR_KIND_ENDED']);
  });

  it('holds back a consequence that is told before its cause', async () => {
    const { start, clock } = stage();
    const main = start(
      collector(async ({ group }: Io) => {
        const tasks = group();
        const closed = tasks.spawn(sink, undefined, { name: 'b' });
        closed.close();
        tasks.spawn(failing, { afterMs: heldBackMs / 2, why: 'the disk is full' }, { name: 'a' });
        tasks.spawn(ending, 10_000);
        await tasks.wait();
      }),
    );
    await turns();
    clock.advance(heldBackMs / 2);
    await turns();
    assert.isFalse(main.ended);
    clock.advance(heldBackMs);
    const failure = (await rejection(main.join())).cause as IpcError;
    assert.equal(failure.message, 'main/a#2 failed: the disk is full');
    assert.deepEqual(codes(failure), ['ERR_INBOX_CLOSED']);
  });

  it('tells a consequence when no cause has shown up in time', async () => {
    const { start, clock } = stage();
    const main = start(
      collector(async ({ group }: Io) => {
        const tasks = group();
        tasks.spawn(sink, undefined, { name: 'b' }).close();
        tasks.spawn(ending, 10_000);
        await tasks.wait();
      }),
    );
    await turns();
    clock.advance(heldBackMs - 1);
    await turns();
    assert.isFalse(main.ended);
    clock.advance(1);
    const failure = (await rejection(main.join())).cause as IpcError;
    assert.equal((failure.cause as IpcError).code, 'ERR_INBOX_CLOSED');
  });

  it('whose members have all ended does not wait for more', async () => {
    const { start, clock } = stage();
    const main = start(
      collector(async ({ group }: Io) => {
        const tasks = group();
        tasks.spawn(sink).close();
        await tasks.wait();
      }),
    );
    assert.match((await rejection(main.join())).message, /sink/);
    await turns();
    assert.equal(clock.pending, 0);
  });

  it('that others may spawn into is waited for until they have closed their spawners', async () => {
    const { start, clock } = stage();
    const spawning = collector(
      async ({ input, sleep }: Io<{ input: Spawner }>) => {
        using spawner = input;
        await sleep(10);
        spawner.spawn(ending, 10);
      },
      { name: 'spawning' },
    );
    const main = start(
      collector(async ({ group, spawn }: Io) => {
        const tasks = group('pool');
        const user = spawn(spawning, tasks.share('user'));
        const late = await rejection(tasks.wait({ timeoutMs: 5 }));
        await tasks.wait();
        await user.join();
        return late.message;
      }),
    );
    for (let step = 0; step < 5; step++) {
      await turns();
      clock.advance(5);
    }
    assert.equal(await main.join(), 'wait for pool (user) took longer than 5 ms');
  });

  it('fails a task that runs beside it as soon as one of it fails', async () => {
    const { start, clock } = stage();
    const main = start(
      collector(async ({ group, sleep }: Io) => {
        const tasks = group();
        tasks.spawn(failing, { afterMs: 10, why: 'broken' });
        return tasks.during(() => sleep(10_000));
      }),
    );
    await turns();
    clock.advance(10);
    await turns();
    clock.advance(heldBackMs);
    assert.match((await rejection(main.join())).message, /broken/);
  });

  it('gives back what a task beside it returns', async () => {
    const { start } = stage();
    const main = start(
      collector(async ({ group }: Io) => {
        const tasks = group();
        return tasks.during(async () => 7);
      }),
    );
    assert.equal(await main.join(), 7);
  });

  it('tells a watcher of its failure', async () => {
    const { start, clock } = stage();
    const main = start(
      collector(async ({ group, promise }: Io) => {
        const tasks = group();
        const failed = promise<string>();
        tasks.watch(({ message }) => failed.resolve(message));
        tasks.spawn(failing, { afterMs: 10, why: 'broken' });
        return failed.wait();
      }),
    );
    await turns();
    clock.advance(10);
    assert.equal(await main.join(), 'main/failing#1 failed: broken');
  });

  it('is one thing among others to select from', async () => {
    const { start, clock } = stage();
    const main = start(
      collector(async ({ group, select, timer }: Io) => {
        const tasks = group();
        tasks.spawn(ending, 10);
        return (await select({ tasks, late: timer(1_000) })).from;
      }),
    );
    await turns();
    clock.advance(10);
    assert.equal(await main.join(), 'tasks');
  });

  it('that nobody waited for is reported, as is a child, and what still runs is stopped', async () => {
    const { start, logged, host } = stage();
    const main = start(
      collector(async ({ group, spawn }: Io) => {
        group('pool').spawn(ending, 10_000);
        spawn(ending, 10_000, { name: 'lost' });
        await spawn(instant).join();
      }),
    );
    await main.join();
    await turns();
    const leak = logged.find(({ message }) => /nobody had waited/.test(message));
    assert.deepEqual(leak?.facts, {
      actor: main.address,
      leaks: ['pool was never waited for', 'main/lost#2 was never joined'],
    });
    assert.deepEqual(host.addresses, []);
  });

  it('refuses more children than its kind may have', async () => {
    const { start } = stage();
    const main = start(
      collector(
        async ({ group }: Io) => {
          const tasks = group();
          tasks.spawn(ending, 10);
          tasks.spawn(ending, 10);
          try {
            tasks.spawn(ending, 10);
          } catch (error) {
            return (error as IpcError).code;
          }
          return 'no limit';
        },
        { childrenMax: 2 },
      ),
    );
    assert.equal(await main.join(), 'ERR_KIND_BUSY');
  });
});
