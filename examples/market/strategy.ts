// The strategy: buys what is cheaper than it was on average, sells what is dearer. It keeps nothing that it could not ask for again.
import { connect } from 'actor-ipc';
import { type InSession, type Io, server } from 'actor-ipc/kinds';
import { market } from './universe.ts';

const averageOver = 20;
const distance = 0.3;
const unitsMax = 5;

const strategy = server(
  async ({ session }: Io<InSession<typeof market.trader, 'client'>>) => {
    const { trades, orders } = session.channels;
    let { units, orders: count } = await orders.request('position', null);
    console.log(`goes on with ${units} units after ${count} orders`);
    let average: number | undefined;
    for await (const { symbol, price } of trades) {
      average = average === undefined ? price : average + (price - average) / averageOver;
      const wanted = price < average - distance ? 1 : price > average + distance ? -1 : 0;
      if (wanted === 0 || Math.abs(units + wanted) > unitsMax) continue;
      const after = await orders.request('order', { units: wanted });
      ({ units, orders: count } = after);
      const worth = (after.cash + units * price).toFixed(2);
      console.log(
        `${wanted > 0 ? 'bought' : 'sold'} ${symbol} at ${price.toFixed(2)}: order ${count}, ${units} units, worth ${worth}`,
      );
    }
  },
  { name: 'strategy' },
);

await connect(market.strategy, market.trader, strategy);
