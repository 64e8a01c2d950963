// What does not compile here must not compile for users: the type check of this file is the test, and what runs of it only
// says that the claims are there.
import { channel, defineUniverse, run, serve, sessionSetup } from 'actor-ipc';
import {
  collector,
  type Handle,
  type InSession,
  type InvokedInSession,
  type Io,
  listener,
  type Resolver,
  type ServiceIo,
  type ServiceMetrics,
  server,
  service,
} from 'actor-ipc/kinds';
import { assert } from 'chai';
import { assign, setup } from 'xstate';

type Vote = { type: 'vote'; by: number };
type Veto = { type: 'veto'; why: string };
type Tick = { type: 'tick'; n: number };

const quorum = collector(async ({ inbox, input }: Io<{ messages: Vote | Veto; input: { of: number } }>) => {
  const first = await inbox.receive();
  return first.type === 'vote' ? first.by + input.of : 0;
});
const ticker = listener(async ({ emit }: Io<{ input: { everyMs: number }; emitted: Tick }>) => {
  await emit({ type: 'tick', n: 1 });
  // @ts-expect-error nothing else is emitted
  await emit({ type: 'tock' });
});
const lengths = service(async (text: string) => text.length, {
  async *stream(text: string) {
    yield { of: text };
  },
});

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Never called: what it does needs a kind that runs. */
function compiles(_use: (...parts: never[]) => unknown): void {
  assert.isFunction(_use);
}

describe('a kind, as a type', () => {
  it('has the messages that its inbox names', () =>
    compiles((io: Io<{ messages: Vote | Veto }>) => {
      const all: Promise<Vote | Veto> = io.inbox.receive();
      const vote: Promise<Vote> = io.inbox.of('vote').receive();
      // @ts-expect-error no message has that type
      io.inbox.of('vot');
      return [all, vote];
    }));

  it('gives its handle messages, result and emissions', () =>
    compiles(async (votes: Handle<typeof quorum>, ticks: Handle<typeof ticker>) => {
      votes.trySend({ type: 'veto', why: 'no' });
      // @ts-expect-error it takes no such message
      votes.trySend({ type: 'votes', by: 1 });
      // @ts-expect-error a vote says by whom
      votes.trySend({ type: 'vote' });
      const result: Same<Awaited<ReturnType<typeof votes.join>>, number> = true;
      for await (const tick of ticks.stream()) {
        const exact: Same<typeof tick, Tick> = true;
        void exact;
      }
      // @ts-expect-error it answers no requests
      votes.request(1);
      return result;
    }));

  it('takes its input where it is spawned or run', () =>
    compiles((io: Io) => {
      io.spawn(quorum, { of: 2 });
      // @ts-expect-error its input is another
      io.spawn(quorum, { off: 2 });
      io.group().spawn(ticker, { everyMs: 5 });
      run(quorum, { input: { of: 2 } });
      // @ts-expect-error its input is another
      run(quorum, { input: 2 });
    }));

  it('tells which source of a select has won, with its value', () =>
    compiles(
      async (io: Io<{ messages: Vote | Veto }>, votes: Handle<typeof quorum>, words: Promise<string>) => {
        const got = await io.select({
          veto: io.inbox.of('veto'),
          late: io.timer(5),
          sum: votes.joined,
          words,
          off: false,
        });
        if (got.from === 'veto') return got.value.why;
        if (got.from === 'sum') return got.value.toFixed();
        if (got.from === 'words') return got.value.toUpperCase();
        const late: Same<typeof got, { readonly from: 'late'; readonly value: void }> = true;
        return late;
      },
    ));

  it('of a service has requests, replies and items', () =>
    compiles(async (handle: Handle<typeof lengths>) => {
      const reply: Promise<number> = handle.request('word');
      // @ts-expect-error it takes texts
      handle.request(5);
      for await (const { of } of handle.subscribe('word')) of.toUpperCase();
      const metrics: Promise<ServiceMetrics> = handle.join();
      return [reply, metrics];
    }));

  it('of a service has its state', () =>
    compiles(() =>
      service(async (by: number, { state }: ServiceIo<{ state: { total: number } }>) => state.total + by, {
        // @ts-expect-error that is no such state
        state: () => ({ totals: 0 }),
      }),
    ));

  it('is an actor that a machine can invoke, with its input and output', () =>
    compiles(() =>
      setup({
        types: { context: {} as { sum: number } },
        actors: { quorum },
      }).createMachine({
        context: { sum: 0 },
        invoke: {
          src: 'quorum',
          input: { of: 3 },
          onDone: { actions: assign({ sum: ({ event }) => event.output }) },
        },
      }),
    ));

  it('in a session has its channels, its events and its peer', () => {
    const { market } = defineUniverse('floor', {
      market: { allow: ['trader'], channels: { orders: channel<{ up: { id: number }; down: string }>() } },
      trader: {},
    });
    compiles(async (io: Io<InSession<typeof market, 'server'>>) => {
      await io.session.channels.orders.send('filled');
      // @ts-expect-error the server sends texts
      await io.session.channels.orders.send({ id: 1 });
      const { value } = await io.select({ order: io.session.channels.orders });
      const order: Same<typeof value, { id: number }> = true;
      const { message } = (await io.inbox.of('message.orders').receive()) as { message: { id: number } };
      return [order, message.id, io.input.peer.app];
    });
    compiles(() =>
      sessionSetup(market, 'server', {
        actors: {
          orders: listener(async ({ session }: Io<InvokedInSession<typeof market, 'server'>>) => {
            await session.channels.orders.send('filled');
          }),
        },
      }).createMachine({ invoke: { src: 'orders' } }),
    );
    compiles(() =>
      serve(
        market,
        server(async (_: Io<InSession<typeof market, 'server'>>) => {}),
      ),
    );
  });

  it('has promises that answer what was asked', () =>
    compiles((io: Io, reply: Resolver<string>) => {
      const mine: Resolver<number> = io.promise<number>();
      // @ts-expect-error it is answered with a text
      reply.resolve(5);
      return mine;
    }));
});
