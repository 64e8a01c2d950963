// The session that the soak test kills. cpp/test/soak_victim.cc knows it by heart.
import { broadcast, channel, defineUniverse, type Handle } from '../../src/index.ts';
import type { LoadFigures } from './load-client.ts';

const carried = {
  words: channel<{ up: Uint8Array; down: Uint8Array }>({ codec: 'bytes', capacityBytes: 4096 }),
  sums: channel<{ requests: { echo: [number, number] } }>({ capacityBytes: 4096 }),
};

/** Of `store` the server survives, of `vault` the client. */
export const soak = defineUniverse('soak', {
  store: { allow: ['courier'], channels: carried },
  vault: { allow: ['courier'], channels: carried },
  courier: {},
});

interface Lent {
  readonly number: number;
  readonly value: Handle<Uint8Array>;
}

/** The session of the arena soak. Both sides lend and borrow. */
export const arenaSoak = defineUniverse('arena-soak', {
  quarry: {
    allow: ['mason'],
    arenaBytes: 2 * 1024 * 1024,
    sharedBytes: 2 * 1024 * 1024,
    channels: {
      blocks: channel<{ up: Uint8Array; down: Uint8Array }>({
        codec: 'bytes',
        capacityBytes: 4096,
        maxMessageBytes: 64 * 1024,
        maxLoans: 16,
      }),
      values: channel<{ up: Lent; down: Lent }>({ capacityBytes: 4096, maxLoans: 16 }),
    },
  },
  mason: {},
});

/** What the two of the load soak can take in one tick; the load is ten times that. */
export const loadRates = { tickMs: 10, taken: 50, asked: 5, calmGrains: 100 } as const;

/** The session of the load soak. */
export const load = defineUniverse('load-soak', {
  mill: {
    allow: ['farmer'],
    channels: {
      grains: channel<{ up: Uint8Array }>({ codec: 'bytes', capacityBytes: 65_536, overflow: 'drop-newest' }),
      sums: channel<{
        requests: {
          echo: [number, number];
          done: [null, null];
          calm: [null, null];
          figures: [null, LoadFigures & { droppedByChannel: number }];
        };
      }>({}),
    },
    broadcasts: { prices: broadcast<number>({ capacityBytes: 16_384 }) },
  },
  farmer: {},
});
