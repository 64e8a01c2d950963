// The session that the soak test kills. cpp/test/soak_victim.cc knows it by heart.
import { channel, defineUniverse } from '../../src/index.ts';

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
