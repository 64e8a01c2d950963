// Who takes part in the pipeline, and what a frame is. Every program of the example imports this.
import { channel, defineUniverse } from 'actor-ipc';

export const width = 1280;
export const height = 800;
/** Before the pixels: the number of the frame, in the first four bytes; pixels begin where a cache line does. */
export const headerBytes = 64;
/** Red, green, blue and 255, row by row. */
export const frameBytes = headerBytes + width * height * 4;

/** How many frames a reader asks for before it has the first: one to look at, and some under way. */
export const ahead = 3;

const stage = {
  // The frames that are asked for, and some that have just been given back.
  arenaBytes: 48 * 1024 * 1024,
  channels: {
    frames: channel<{ down: Uint8Array }>({ codec: 'bytes', maxMessageBytes: frameBytes, maxLoans: 8 }),
    /** So many frames more: who writes waits until somebody wants one. */
    wanted: channel<{ up: number }>(),
  },
};

export const pipeline = defineUniverse('frames', {
  camera: { ...stage, allow: ['filter'] },
  filter: { ...stage, allow: ['viewer'] },
  viewer: {},
});
