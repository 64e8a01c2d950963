// What does not compile here must not compile for users: the type check of this file is the test, and what runs of it only
// says that the claims are there.

import {
  broadcast,
  type Channel,
  channel,
  channelTarget,
  connect,
  defineUniverse,
  type Session,
  type SessionEvent,
  serve,
  sessionOf,
  sessionSetup,
} from 'actor-ipc';
import { assert } from 'chai';
import { assertEvent, assign, fromCallback } from 'xstate';
import { z } from 'zod';

interface Order {
  id: number;
  side: 'buy' | 'sell';
}
interface Trade {
  price: number;
}

const apps = defineUniverse('floor', {
  market: {
    allow: ['trader'],
    channels: {
      orders: channel<{
        up: Order;
        down: Trade;
        requests: { cancel: [number, boolean]; book: [string, Trade[]] };
      }>(),
      prices: channel<{ down: Trade }>(),
      raw: channel<{ up: Uint8Array; down: Uint8Array }>({ codec: 'bytes' }),
      deals: channel<{ up: Order; down: Trade; requests: { haggle: [number, boolean] } }>({
        open: 'on-demand',
        maxOpen: 2,
      }),
    },
    broadcasts: { ticker: broadcast<Trade>({ history: 1 }) },
  },
  trader: {},
  clerk: {},
});
const { market } = apps;
type Market = typeof market;
type AtClient = Session<Market, 'client'>;
type AtServer = Session<Market, 'server'>;

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Never called: what it does needs a session that lives. */
function compiles(_use: (...parts: never[]) => unknown): void {
  assert.isFunction(_use);
}

describe('defineUniverse(), as a type', () => {
  it('allows only apps of the universe', () =>
    compiles(() =>
      defineUniverse('floor', {
        // @ts-expect-error no app has that name
        market: { allow: ['tradr'] },
        trader: {},
      }),
    ));

  it('has the apps that were described, and no others', () =>
    compiles(() => {
      // @ts-expect-error no app has that name
      apps.stranger;
    }));

  it('takes only what channel() makes for a channel', () =>
    compiles(() =>
      defineUniverse('floor', {
        // @ts-expect-error options alone make no channel
        market: { channels: { prices: { codec: 'json' } } },
      }),
    ));
});

describe('channel(), as a type', () => {
  it('takes only options that there are', () =>
    compiles(() => {
      // @ts-expect-error there is no such codec
      channel({ codec: 'json' });
      // @ts-expect-error there is no such option
      channel({ capacity: 1024 });
    }));

  it('has requests that are pairs', () =>
    compiles(() => {
      // @ts-expect-error a request without a reply
      channel<{ requests: { cancel: number } }>();
    }));
});

describe('Channel, as a type', () => {
  it('carries up what the client sends and down what the server sends', () => {
    const client: Same<
      AtClient['channels']['orders'],
      Channel<Order, Trade, { cancel: [number, boolean]; book: [string, Trade[]] }>
    > = true;
    const server: Same<
      AtServer['channels']['orders'],
      Channel<Trade, Order, { cancel: [number, boolean]; book: [string, Trade[]] }>
    > = true;
    assert.isTrue(client && server);
  });

  it('sends only what its side may', () =>
    compiles((client: AtClient, server: AtServer) => {
      client.channels.orders.trySend({ id: 1, side: 'buy' });
      server.channels.orders.trySend({ price: 1 });
      // @ts-expect-error trades go down
      client.channels.orders.trySend({ price: 1 });
      // @ts-expect-error orders go up
      server.channels.orders.trySend({ id: 1, side: 'buy' });
      // @ts-expect-error nothing goes up on this channel
      client.channels.prices.trySend({ price: 1 });
    }));

  it('sends only whole messages of its type', () =>
    compiles(async (client: AtClient) => {
      // @ts-expect-error a side is missing
      client.channels.orders.trySend({ id: 1 });
      // @ts-expect-error no such side
      await client.channels.orders.send({ id: 1, side: 'hold' });
      // @ts-expect-error a channel of bytes
      client.channels.raw.trySend('text');
    }));

  it('receives what the other side sends', () =>
    compiles(async (client: AtClient, server: AtServer) => {
      const trade: Trade = await client.channels.prices.receive();
      const order: Order | undefined = server.channels.orders.tryReceive();
      for await (const each of client.channels.prices) trade.price = each.price;
      client.channels.orders.onBatch((messages) => messages.map(({ price }) => price));
      // @ts-expect-error trades have no side
      client.channels.prices.onBatch((messages) => messages.map(({ side }) => side));
      // @ts-expect-error orders do not come down
      const wrong: Order = await client.channels.prices.receive();
      const nothingComesUp: never = await server.channels.prices.receive();
      return [trade, order, wrong, nothingComesUp];
    }));

  it('has the channels of its app, and no others', () =>
    compiles((client: AtClient) => {
      // @ts-expect-error there is no such channel
      client.channels.news;
    }));

  it('asks either way what there is to ask, and gets the reply of it', () =>
    compiles(async (client: AtClient, server: AtServer) => {
      const cancelled: boolean = await client.channels.orders.request('cancel', 1);
      const book: Trade[] = await server.channels.orders.request('book', 'ibm');
      // @ts-expect-error there is no such request
      await client.channels.orders.request('buy', 1);
      // @ts-expect-error cancel takes a number
      await client.channels.orders.request('cancel', 'all');
      // @ts-expect-error cancel is answered by a boolean
      const wrong: number = await client.channels.orders.request('cancel', 1);
      // @ts-expect-error nothing can be asked on this channel
      await client.channels.prices.request('cancel', 1);
      return [cancelled, book, wrong];
    }));

  it('answers with what the request asks for', () =>
    compiles((server: AtServer) => {
      server.channels.orders.onRequest('cancel', (id) => id > 1);
      server.channels.orders.onRequest('book', async (name) => [{ price: name.length }]);
      // @ts-expect-error cancel is answered by a boolean
      server.channels.orders.onRequest('cancel', () => 'yes');
      // @ts-expect-error cancel asks with a number
      server.channels.orders.onRequest('cancel', (id: string) => id === '');
      // @ts-expect-error no request is answered by text
      server.channels.orders.reply({ requestId: 1 }, 'yes');
    }));
});

describe('a conversation, as a type', () => {
  it('has the values of its request, each side its own', () =>
    compiles(async (client: AtClient, server: AtServer) => {
      const { orders } = client.channels;
      for await (const trades of orders.requestMany('book', 'x')) {
        const same: Same<typeof trades, Trade[]> = true;
        assert.isTrue(same);
      }
      const dialog = orders.dialog('cancel', 1, { ahead: 2, deadlineMs: 3 });
      const heard: boolean = await dialog.ask(2);
      await dialog.send(3);
      // @ts-expect-error the asker says numbers
      await dialog.send(heard);
      server.channels.orders.onDialog('cancel', async (id, other, { signal, peer }) => {
        const answer: number = await other.ask(id > 1);
        // @ts-expect-error the other side says booleans
        await other.send(answer);
        assert.isFalse(signal.aborted || peer.pid === answer);
      });
      server.channels.orders.onRequest('book', async function* () {
        yield [{ price: 1 }];
      });
      // @ts-expect-error a book has trades
      server.channels.orders.onRequest('book', async function* () {
        yield 1;
      });
      // @ts-expect-error there is no such request
      orders.dialog('sell', 1);
    }));

  it('takes and gives handles', () =>
    compiles(async (client: AtClient, server: AtServer) => {
      const order: Order = { id: 1, side: 'buy' };
      client.channels.orders.trySend(order, { handle: 3 });
      // @ts-expect-error a name is no handle
      client.channels.orders.trySend(order, { handle: 'file' });
      const { message, handle } = await server.channels.orders.receive({ handles: true });
      const same: Same<typeof message, Order> = true;
      handle?.toSocket().end(same ? 'yes' : 'no');
    }));
});

describe('the schema of a channel, as a type', () => {
  const id = z.object({ id: z.number() });

  it('says what the channel carries', () =>
    compiles(() => {
      const checked = defineUniverse('checked', {
        market: {
          allow: ['trader'],
          channels: {
            orders: channel({ schema: { up: id, requests: { cancel: [z.number(), z.boolean()] } } }),
          },
        },
        trader: {},
      });
      type Orders = Session<typeof checked.market, 'client'>['channels']['orders'];
      const same: Same<Parameters<Orders['trySend']>[0], { id: number }> = true;
      const ask = async (orders: Orders) => {
        const done: boolean = await orders.request('cancel', 1);
        // @ts-expect-error it asks with a number
        await orders.request('cancel', done);
      };
      return [same, ask];
    }));

  it('must fit the types that are written down', () =>
    compiles(() => {
      channel<{ up: { id: number } }>({ schema: { up: id } });
      // @ts-expect-error it checks something else
      channel<{ up: { id: string } }>({ schema: { up: id } });
    }));
});

describe('channelTarget(), as a type', () => {
  it('takes the messages of its channel', () =>
    compiles((orders: Channel<{ type: 'a' } | { type: 'b'; n: number }, never>) => {
      channelTarget(orders).send({ type: 'b', n: 1 });
      // @ts-expect-error there is no such message
      channelTarget(orders).send({ type: 'c' });
    }));
});

describe('SessionEvent, as a type', () => {
  it('has the messages that a side receives, with their types', () => {
    type AtClient = SessionEvent<Market, 'client'>;
    type AtServer = SessionEvent<Market, 'server'>;
    const prices: Same<Extract<AtClient, { type: 'message.prices' }>['message'], Trade> = true;
    const orders: Same<Extract<AtServer, { type: 'message.orders'; request?: undefined }>['message'], Order> =
      true;
    const cancel: Same<Extract<AtServer, { request: 'cancel' }>['message'], number> = true;
    assert.isTrue(prices && orders && cancel);
  });

  it('has no messages that never come to a side', () => {
    const none: Same<Extract<SessionEvent<Market, 'server'>, { type: 'message.prices' }>, never> = true;
    assert.isTrue(none);
  });

  it('names only channels of the app', () => {
    type Closed = Extract<SessionEvent<Market, 'client'>, { type: 'channel.closed' }>;
    const names: Same<Closed['channel'], 'orders' | 'prices' | 'raw' | 'deals'> = true;
    assert.isTrue(names);
  });
});

describe('sessionSetup(), as a type', () => {
  it('gives actions the events of the side', () =>
    compiles(() => {
      sessionSetup(market, 'client', {
        types: { context: {} as { last: number } },
        actions: {
          keep: assign(({ event }) => {
            assertEvent(event, 'message.prices');
            return { last: event.message.price };
          }),
          wrong: ({ event }) => {
            // @ts-expect-error nothing comes up to a client
            assertEvent(event, 'message.nothing');
          },
          misread: ({ event }) => {
            assertEvent(event, 'message.prices');
            // @ts-expect-error a trade has no side
            event.message.side;
          },
        },
      });
    }));

  it('refuses a machine that waits for what never comes to its side', () =>
    compiles(() => {
      const atServer = sessionSetup(market, 'server');
      atServer.createMachine({ on: { 'message.orders': {}, 'session.hosed': {}, 'channel.closed': {} } });
      // @ts-expect-error prices go down
      atServer.createMachine({ on: { 'message.prices': {} } });
      // @ts-expect-error there is no such channel
      atServer.createMachine({ on: { 'message.news': {} } });
    }));

  it('refuses a machine that names what was not set up', () =>
    compiles(() => {
      const prepared = sessionSetup(market, 'server', { actions: { keep: () => {} } });
      prepared.createMachine({ entry: 'keep' });
      // @ts-expect-error there is no such action
      prepared.createMachine({ entry: 'keeep' });
    }));

  it('gives invoked actors the session of the side', () =>
    compiles(() =>
      sessionSetup(market, 'client', {
        actors: {
          trades: fromCallback(({ input }) => {
            input.session.channels.orders.trySend({ id: 1, side: 'sell' });
            // @ts-expect-error trades go down
            input.session.channels.orders.trySend({ price: 1 });
            // @ts-expect-error there is no such channel
            input.session.channels.news;
          }),
        },
      }),
    ));
});

describe('sessionOf(), as a type', () => {
  it('knows the side from the machine that asks', () =>
    compiles(() => {
      sessionSetup(market, 'server', {
        actions: {
          answer: ({ self }) => {
            sessionOf(market, self).channels.orders.trySend({ price: 1 });
            // @ts-expect-error orders go up
            sessionOf(market, self).channels.orders.trySend({ id: 1, side: 'buy' });
          },
        },
      });
    }));
});

describe('a broadcast, as a type', () => {
  it('is written at the server, and takes its messages only', () =>
    compiles(async ({ broadcasts: { ticker } }: AtServer) => {
      ticker.tryPublish({ price: 1 });
      await ticker.publish({ price: 1 }, { timeoutMs: 1 });
      // @ts-expect-error an order is no trade
      ticker.tryPublish({ id: 1, side: 'buy' });
      // @ts-expect-error the server does not read it
      ticker.receive();
      const serving = await serve(market, { trader: sessionSetup(market, 'server').createMachine({}) });
      serving.broadcasts.ticker.tryPublish({ price: 1 });
      // @ts-expect-error there is no such broadcast
      serving.broadcasts.news;
    }));

  it('is read at the client, and gives its messages with their gaps', () =>
    compiles(async ({ broadcasts: { ticker } }: AtClient) => {
      const { message, gap } = await ticker.receive();
      const same: Same<[typeof message, typeof gap], [Trade, number]> = true;
      ticker.onBatch((messages, missed) => messages.map(({ price }) => price * missed));
      for await (const one of ticker) one.message.price;
      // @ts-expect-error the client does not publish
      ticker.publish({ price: 1 });
      return same;
    }));

  it("comes as events to the client's machine, and to no server's", () =>
    compiles(() => {
      const atClient = sessionSetup(market, 'client', {
        actions: {
          show: ({ event }) => {
            assertEvent(event, 'broadcast.ticker');
            const same: Same<[typeof event.message, typeof event.gap], [Trade, number]> = true;
            return same;
          },
          lost: ({ event }) => {
            assertEvent(event, 'subscription.dropped');
            const same: Same<typeof event.broadcast, 'ticker'> = true;
            return same;
          },
        },
      });
      atClient.createMachine({ on: { 'broadcast.ticker': { actions: 'show' } } });
      // @ts-expect-error there is no such broadcast
      atClient.createMachine({ on: { 'broadcast.news': {} } });
      const atServer = sessionSetup(market, 'server');
      // @ts-expect-error the server publishes it
      atServer.createMachine({ on: { 'broadcast.ticker': {} } });
    }));

  it('refuses an option that there is not', () =>
    compiles(() => [
      // @ts-expect-error it is drop-oldest or block
      broadcast({ reader: 'drop-newest' }),
      // @ts-expect-error there is no such option
      broadcast({ overflow: 'block' }),
    ]));
});

describe('a channel on demand, as a type', () => {
  it('is opened by its name, and carries what its side sends and receives', () =>
    compiles(async (client: AtClient, server: AtServer) => {
      const up = await client.openChannel('deals', { metadata: { about: 1 }, timeoutMs: 5 });
      up.trySend({ id: 1, side: 'buy' });
      const trade: Trade = await up.receive();
      const agreed: boolean = await up.request('haggle', 7);
      // @ts-expect-error trades go down
      up.trySend({ price: 1 });
      const down = await server.openChannel('deals');
      down.trySend({ price: 1 });
      // @ts-expect-error there is no such channel
      await client.openChannel('deal');
      // @ts-expect-error this one is open already
      await client.openChannel('prices');
      // @ts-expect-error and that one is not
      client.channels.deals;
      return [trade, agreed];
    }));

  it('is offered to the other side as its own end', () =>
    compiles((server: AtServer) => {
      server.onOffer('deals', (offer) => {
        offer.accept().trySend({ price: 1 });
        // @ts-expect-error orders go up
        offer.accept().trySend({ id: 1, side: 'buy' });
      });
      // @ts-expect-error nobody can offer it
      server.onOffer('orders', () => {});
    }));

  it('comes to machines with the end that a message came by', () =>
    compiles(() =>
      sessionSetup(market, 'server', {
        actions: {
          take: ({ event }) => {
            assertEvent(event, 'channel.offered');
            const name: Same<typeof event.channel, 'deals'> = true;
            event.accept().trySend({ price: 1 });
            event.reject('no');
            return name;
          },
          answer: ({ event }) => {
            assertEvent(event, 'message.deals');
            event.via.trySend({ price: 1 });
            if (event.request === 'haggle') event.via.reply(event, event.message > 1);
            // @ts-expect-error orders go up
            event.via.trySend({ id: 1, side: 'buy' });
          },
          other: ({ event }) => {
            assertEvent(event, 'message.orders');
            // @ts-expect-error there is only one of it
            event.via;
          },
        },
      }).createMachine({
        on: { 'channel.offered': { actions: 'take' }, 'message.deals': { actions: 'answer' } },
      }),
    ));

  it('is not offered where no channel is on demand', () => {
    const { plain } = defineUniverse('plain', { plain: { channels: { words: channel<{ up: string }>() } } });
    const none: Same<
      Extract<SessionEvent<typeof plain, 'server'>, { type: 'channel.offered' }>,
      never
    > = true;
    assert.isTrue(none);
    compiles((session: Session<typeof plain, 'server'>) => {
      // @ts-expect-error there is none
      session.openChannel('words');
    });
  });
});

describe('serve() and connect(), as types', () => {
  const machine = sessionSetup(market, 'server').createMachine({});

  it('take only pairs of apps that the universe allows', () =>
    compiles(() => {
      connect(apps.trader, market, machine);
      // @ts-expect-error the market does not allow clerks
      connect(apps.clerk, market, machine);
      // @ts-expect-error traders serve nobody
      connect(market, apps.trader, machine);
    }));

  it('take machines and app scopes for client apps of the server, and none is left out', () =>
    compiles(() => {
      serve(market, { trader: machine }, { appScope: { trader: machine } });
      // @ts-expect-error clerks do not come
      serve(market, { trader: machine, clerk: machine });
      // @ts-expect-error traders do
      serve(market, {});
      // @ts-expect-error clerks do not come
      serve(market, machine, { appScope: { clerk: machine } });
    }));

  it('give memory of the app to the server alone', () =>
    compiles((client: AtClient, server: AtServer) => {
      server.memory.app.stats();
      server.app?.send({ type: 'counted' });
      // @ts-expect-error a client writes none
      client.memory.app.stats();
      // @ts-expect-error a client has none
      client.app.send({ type: 'counted' });
    }));
});
