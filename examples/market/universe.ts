// What the trader tells its strategies, and what they may ask it for.
import { channel, defineUniverse } from 'actor-ipc';

export interface Trade {
  symbol: string;
  price: number;
}

export interface Position {
  /** How many there are; fewer than none were sold before they were bought. */
  units: number;
  /** What was got for those that were sold, less what was paid for those that were bought. */
  cash: number;
  orders: number;
}

export const market = defineUniverse('market', {
  trader: {
    allow: ['strategy'],
    channels: {
      trades: channel<{ down: Trade }>(),
      orders: channel<{ requests: { order: [{ units: number }, Position]; position: [null, Position] } }>(),
    },
  },
  strategy: {},
});
