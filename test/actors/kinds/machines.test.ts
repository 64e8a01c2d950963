// Kinds among other actors: invoked by machines, followed by whoever watches, run by a program.
import { assert } from 'chai';
import { assign, createActor, fromPromise, setup } from 'xstate';
import {
  collector,
  handleOf,
  type Io,
  listener,
  type ReplyEvent,
  server,
  service,
} from '../../../src/actors/kinds/kinds.ts';
import { addressOf } from '../../../src/names.ts';
import type { FeedRecord } from '../../../src/runtime/feed.ts';
import { FlightRecorder, readFlight } from '../../../src/transport/flight-recorder.ts';
import { rejection, stage, turns } from '../../support/kinds/stage.ts';
import { testHost } from '../../support/machines/hosts.ts';
import { Court } from '../pair.ts';

type Vote = { type: 'vote'; by: number };
const quorum = collector(
  async ({ inbox, input }: Io<{ messages: Vote; input: { of: number } }>) => {
    const by: number[] = [];
    while (by.length < input.of) by.push((await inbox.receive()).by);
    return by;
  },
  { name: 'quorum' },
);

describe('a machine', () => {
  it('that invokes a collector sends it messages and goes on with its result', async () => {
    const { start, ends } = stage();
    const machine = setup({
      types: { context: {} as { by: number[] }, events: {} as Vote, output: {} as number[] },
      actors: { quorum },
    }).createMachine({
      context: { by: [] },
      output: ({ context }) => context.by,
      initial: 'voting',
      states: {
        voting: {
          invoke: {
            id: 'quorum',
            src: 'quorum',
            input: { of: 2 },
            onDone: { target: 'decided', actions: assign({ by: ({ event }) => event.output }) },
          },
          on: { vote: { actions: ({ self, event }) => self.getSnapshot().children.quorum!.send(event) } },
        },
        decided: { type: 'final' },
      },
    });
    const running = start(machine);
    await turns();
    for (const by of [1, 2, 3]) running.trySend({ type: 'vote', by });
    await turns();
    assert.deepEqual(ends, [{ how: 'done', output: [1, 2] }]);
  });

  it('hears why its collector failed', async () => {
    const { clock, ends, start } = stage();
    const machine = setup({
      types: { context: {} as { why: string } },
      actors: { quorum },
    }).createMachine({
      context: { why: '' },
      output: ({ context }) => context.why,
      initial: 'voting',
      states: {
        voting: {
          invoke: {
            id: 'quorum',
            src: 'quorum',
            input: { of: 2 },
            onError: {
              target: 'failed',
              actions: assign({ why: ({ event }) => (event.error as Error).message }),
            },
          },
          after: {
            0: { actions: ({ self }) => self.getSnapshot().children.quorum?.send({ type: 'close' }) },
          },
        },
        failed: { type: 'final' },
      },
    });
    start(machine);
    await turns();
    clock.advance(0);
    await turns();
    assert.deepEqual(ends, [
      {
        how: 'done',
        output:
          'main/quorum failed: the inbox of main/quorum is closed and empty: whoever sent to it is gone',
      },
    ]);
  });

  it('is the consumer of a listener that it has invoked, and the listener ends with its state', async () => {
    const { start, ends } = stage();
    let closed = false;
    const numbers = listener(async ({ emit, signal }: Io<{ emitted: { type: 'number'; n: number } }>) => {
      signal.addEventListener('abort', () => {
        closed = true;
      });
      for (let n = 1; ; n++) {
        await turns(1);
        await emit({ type: 'number', n });
      }
    });
    const machine = setup({
      types: { context: {} as { sum: number }, events: {} as { type: 'number'; n: number } },
      actors: { numbers },
    }).createMachine({
      context: { sum: 0 },
      output: ({ context }) => context.sum,
      initial: 'listening',
      states: {
        listening: {
          invoke: { src: 'numbers' },
          on: { number: { actions: assign({ sum: ({ context, event }) => context.sum + event.n }) } },
          always: { guard: ({ context }) => context.sum >= 6, target: 'enough' },
        },
        enough: { type: 'final' },
      },
    });
    start(machine);
    await turns(10);
    assert.deepEqual(ends, [{ how: 'done', output: 6 }]);
    assert.isTrue(closed);
  });

  it('asks a service by events, and others by a handle of it', async () => {
    const square = service(
      async (n: number) => {
        if (n < 0) throw new RangeError('below zero');
        return n * n;
      },
      { name: 'square' },
    );
    const replies: ReplyEvent[] = [];
    const machine = setup({
      types: { events: {} as ReplyEvent },
      actors: { square },
    }).createMachine({
      invoke: { id: 'square', src: 'square' },
      on: { '*': { actions: ({ event }) => void replies.push(event) } },
    });
    const actor = createActor(machine).start();
    const child = actor.getSnapshot().children.square!;
    for (const [id, request] of [
      ['a', 3],
      ['b', -1],
    ] as const)
      child.send({ type: 'request', id, request, replyTo: actor });
    await turns();
    assert.deepEqual(
      replies.map((reply) => [reply.type, reply.id, reply.type === 'reply' ? reply.reply : reply.error.code]),
      [
        ['reply', 'a', 9],
        ['reply.failed', 'b', 'ERR_REQUEST_FAILED'],
      ],
    );
    const handle = handleOf<typeof square>(child);
    assert.equal(await handle.request(4), 16);
    // It keeps nothing open, and closes nothing.
    handle.close();
    child.send({ type: 'request', id: 'c', request: 5, replyTo: actor });
    await turns();
    assert.equal(replies.length, 3);
    actor.stop();
    assert.throws(() => handleOf(actor), /what is no session kind/);
  });
});

describe('a kind that XState runs alone', () => {
  it('works by the real clock, and can spawn nothing', async () => {
    const actor = createActor(
      collector(async ({ sleep, spawn }: Io) => {
        await sleep(1);
        try {
          spawn(quorum, { of: 1 });
        } catch (error) {
          return (error as { code: string }).code;
        }
        return 'spawned';
      }),
    ).start();
    const output = await new Promise((resolve) => {
      actor.subscribe({ complete: () => resolve(actor.getSnapshot().output) });
    });
    assert.equal(output, 'ERR_KIND_UNHOSTED');
  });
});

describe('a kind that spawns other logic', () => {
  it('joins a promise, a machine, or what fails', async () => {
    const { start } = stage();
    const light = setup({ types: { events: {} as { type: 'off' }, output: {} as string } }).createMachine({
      id: 'light',
      initial: 'on',
      output: 'dark',
      states: { on: { on: { off: 'out' } }, out: { type: 'final' } },
    });
    const running = start(
      collector(async ({ spawn }: Io) => {
        const lamp = spawn(light);
        lamp.trySend({ type: 'off' });
        const promised = spawn(
          fromPromise(async () => 7),
          undefined,
          { name: 'seven' },
        );
        const failed = spawn(
          fromPromise(async () => {
            throw new Error('no luck');
          }),
          undefined,
          { name: 'unlucky' },
        );
        return [await lamp.join(), await promised.join(), (await rejection(failed.join())).message];
      }),
    );
    assert.deepEqual(await running.join(), ['dark', 7, 'main/unlucky#3 failed: no luck']);
  });
});

describe('whoever watches a kind', () => {
  it('sees its stages, its children and how they ended', async () => {
    const { host, start } = stage();
    const records: FeedRecord[] = [];
    host.feed.watch((record) => records.push(record));
    const main = start(
      collector(async ({ spawn, stage: enter }: Io) => {
        enter('asking');
        const votes = spawn(quorum, { of: 1 });
        votes.trySend({ type: 'vote', by: 1 });
        return votes.join();
      }),
    );
    await main.join();
    await turns();
    const lines = records.map((record) => {
      if (record.k === 'transition') return `${record.actor}: ${record.event} -> ${record.value}`;
      if (record.k === 'actor') return `${record.actor} begins`;
      if (record.k === 'stop') return `${record.actor} ${record.how}`;
      return record.k;
    });
    assert.includeMembers(lines, [
      'main begins',
      'main: kind.stage.entered -> running.asking',
      'main: kind.child.spawned -> running.asking',
      'main/quorum#1 begins',
      'main: kind.child.joined -> running.asking',
      'main/quorum#1 done',
      'main done',
    ]);
  });

  it('sees in its snapshot what it waits for and what lies in its inbox', async () => {
    const { start, view, host } = stage();
    const main = start(
      collector(
        async ({ select, inbox, timer, spawn }: Io<{ messages: Vote | { type: 'other' } }>) => {
          const votes = spawn(quorum, { of: 1 });
          await select({ vote: inbox.of('vote'), late: timer(10) });
          votes.stop();
        },
        { name: 'main' },
      ),
    );
    main.trySend({ type: 'other' });
    await turns();
    assert.deepEqual(view(), {
      kind: 'collector',
      name: 'main',
      stage: null,
      awaiting: ['select vote|late'],
      inbox: { queued: 1, received: 0, dropped: 0 },
      handles: 1,
      children: [addressOf('main/quorum#1')],
      emitted: 0,
      leaks: [],
    });
    assert.deepEqual(JSON.parse(JSON.stringify(host.snapshotOf(main.address))).value, 'running');
    main.trySend({ type: 'vote', by: 1 });
    await main.join();
  });

  it('finds the last steps of a kind in the flight recorder', async () => {
    const recorder = new FlightRecorder();
    try {
      const { host } = testHost(recorder);
      const kind = collector(async ({ stage: enter }: Io) => enter('only'));
      await new Promise<void>((resolve) =>
        host.start(kind, { address: addressOf('kind'), onEnd: () => resolve() }),
      );
      const { fd, bytes } = recorder.offer;
      const steps = readFlight(fd, bytes, 0, 100).records.map(({ event, state }) => `${event} -> ${state}`);
      assert.deepEqual(steps, ['kind.stage.entered -> running.only', 'kind.ended -> done', '(done) -> done']);
    } finally {
      recorder.close();
    }
  });
});

describe('run()', () => {
  let court: Court;
  beforeEach(() => {
    court = new Court();
  });
  afterEach(() => court.close());

  it('runs a kind as a part of the program, and gives its result', async () => {
    const running = court.runtime().run(quorum, { input: { of: 2 } });
    await running.handle.send({ type: 'vote', by: 1 });
    await running.handle.send({ type: 'vote', by: 2 });
    assert.deepEqual(await running.result, [1, 2]);
    await running.ended;
  });

  it('tells why it failed, to those who look', async () => {
    const running = court.runtime().run(quorum, { input: { of: 2 }, name: 'votes' });
    running.handle.close();
    const failure = await rejection(running.result);
    assert.match(failure.message, /^votes failed: the inbox of votes is closed/);
    assert.equal((await rejection(running.ended)).code, 'ERR_KIND_FAILED');
  });

  it('lets a server finish what is in flight when the program is stopped', async () => {
    const runtime = court.runtime();
    const counting = server(
      async ({ inbox }: Io<{ messages: Vote }>) => {
        let count = 0;
        for await (const vote of inbox) {
          await turns(1);
          count += vote.by;
        }
        return count;
      },
      { name: 'counting' },
    );
    const running = runtime.run(counting);
    for (const by of [1, 2, 3]) running.handle.trySend({ type: 'vote', by });
    await runtime.stop();
    assert.equal(await running.result, 6);
  });

  it('ends a collector at once when it is stopped', async () => {
    await using running = court.runtime().run(quorum, { input: { of: 2 } });
    await running.stop();
    assert.equal((await rejection(running.result)).code, 'ERR_KIND_ENDED');
    await running.ended;
  });

  it('refuses to run anything once the program is stopping', async () => {
    const runtime = court.runtime();
    await runtime.stop();
    assert.throws(() => runtime.run(quorum, { input: { of: 1 } }), /quorum is stopping/);
  });
});
