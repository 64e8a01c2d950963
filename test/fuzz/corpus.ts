// What honest peers send, as the seed of what others might.
import { Packr, pack } from 'msgpackr';
import { offerFrame, acceptedFrame as openedFrame, partedFrame } from '../../src/actors/offer-frame.ts';
import {
  acceptedFrame,
  goodbyeFrame,
  handleFrame,
  helloFrame,
  readyFrame,
  rejectedFrame,
} from '../../src/actors/session-frame.ts';
import { protocolVersions } from '../../src/machines/login.ts';
import { extractOf } from '../../src/spec/universe-extract.ts';
import { packPlain } from '../../src/transport/codec.ts';
import { encodeFrame } from '../../src/transport/frame.ts';
import { native } from '../../src/transport/native.ts';
import { tennis } from '../actors/pair.ts';

export const hello = helloFrame({
  versions: protocolVersions,
  layoutHash: native().layout.hash,
  client: 'player',
  server: 'wall',
  universe: extractOf(tennis.wall),
  pid: process.pid,
  startTicks: native().startTicks(process.pid),
  segmentBytes: 131_072,
  metadata: { name: 'x', list: [1, 2, 3] },
});

const token = '00112233445566778899aabbccddeeff';

export const frames: readonly Uint8Array[] = [
  hello,
  acceptedFrame({ version: 1, token, pid: 7, startTicks: 8, segmentBytes: 4096, metadata: null }),
  rejectedFrame({ code: 'ERR_SERVER_BUSY', message: 'it is busy' }),
  readyFrame,
  goodbyeFrame('done'),
  offerFrame({ number: 1025, channel: 'calls', metadata: { from: 'x' }, slot: undefined }),
  openedFrame(1025, 2),
  partedFrame(1025, 4096),
  handleFrame(0, 1),
  { t: 'status' },
  { t: 'watch', segmentBytes: 4096 },
].map(encodeFrame);

class Thing {
  a = 1;
}
const cyclic: unknown[] = [1];
cyclic.push(cyclic);

/** Values of all kinds that msgpackr can express, also those for which it has extensions of its own. */
export const messages: readonly Uint8Array[] = [
  ...[
    null,
    true,
    -1,
    1.5,
    2 ** 40,
    'text',
    'ä'.repeat(300),
    [1, [2, [3]]],
    { a: 1, b: { c: [1, 'x'] } },
    new Date(0),
    new Map([['k', 1]]),
    new Set([1, 2]),
    /x+/g,
    new Error('why'),
    new Float64Array([1, 2]),
    new Uint8Array(40),
    123_456_789_012_345_678n,
    new Thing(),
    undefined,
  ].map(packPlain),
  pack({ name: 'a record', list: [{ x: 1 }, { x: 2 }, { x: 3 }] }),
  new Packr({ structuredClone: true, moreTypes: true } as object).pack(cyclic),
  new Packr({ bundleStrings: true } as object).pack(['one text', 'another text', 'one more'.repeat(20)]),
].map((bytes) => Uint8Array.from(bytes));

export const requests: readonly Uint8Array[] = [
  ['add', [1, 2]],
  { message: 'why not' },
  // What String() throws at.
  { message: { toString: 1, valueOf: 1 } },
  [0, ['a', 'b']],
  [1, ['c']],
  'a reply',
  // For many replies; for a dialog, with a deadline; for what nobody answers.
  ['add', 'x', 1, 16],
  ['talk', 'x', 2, 4, 1e15],
  ['nothing', 'x'],
  // Credits, and counts of dropped replies.
  1,
  16,
  1024,
  [1, 0],
  [2, 3],
].map((value) => Uint8Array.from(packPlain(value)));
