// The trader: has the one connection to the feed, passes on what it tells, and carries out orders at the last price. Its position stands
// in a cache of the tree, where the next trader finds it.
import { once } from 'node:events';
import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import { activated, serve, sessionSetup } from 'actor-ipc';
import { cache } from 'actor-ipc/cache';
import { fromCallback } from 'xstate';
import { market, type Position, type Trade } from './universe.ts';

// A standby waits here, with all that it needs loaded.
await activated();
const positions = await cache<Position>('positions');
const position: Position = positions.get('ACME') ?? { units: 0, cash: 0, orders: 0 };
console.log(`begins with ${position.units} units after ${position.orders} orders`);

let last: Trade | undefined;
const listeners = new Set<(trade: Trade) => void>();
const feed = connect(Number(process.env.FEED_PORT), '127.0.0.1');
// Where the feed listens no more, the tree takes this process down and brings it back. Where it does, the next trader connects anew.
feed.on('close', () => setTimeout(() => process.exit(1), 2_000));
await once(feed, 'connect');
createInterface(feed).on('line', (line) => {
  last = JSON.parse(line) as Trade;
  for (const listener of listeners) listener(last);
});

async function order(units: number): Promise<Position> {
  if (!last) throw new Error('there was no trade yet');
  if (!Number.isInteger(units) || Math.abs(units) > 10) throw new Error('one to ten units at once');
  position.units += units;
  position.cash -= units * last.price;
  position.orders++;
  await positions.set('ACME', position);
  return position;
}

const session = sessionSetup(market.trader, 'server', {
  actors: {
    business: fromCallback(({ input }) => {
      const { trades, orders } = input.session.channels;
      const pass = (trade: Trade) => void trades.trySend(trade);
      listeners.add(pass);
      orders.onRequest('order', ({ units }) => order(units));
      orders.onRequest('position', () => position);
      return () => listeners.delete(pass);
    }),
  },
}).createMachine({ invoke: { src: 'business' } });

await serve(market.trader, session);
