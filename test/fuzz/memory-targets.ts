// Targets that share memory in other ways than a lane: handles of lent values, and regions, which all their users write.
import { writeSync } from 'node:fs';
import { assert } from 'chai';
import { type Handle, IpcError, rawBytes } from '../../src/index.ts';
import { type NativeRegion, native, nativeCode } from '../../src/transport/native.ts';
import { openLibrary } from '../actors/library.ts';
import { Court } from '../actors/pair.ts';
import type { Random } from '../support/random.ts';
import { waitUntil } from '../support/wait-until.ts';
import { mutate } from './mutate.ts';
import type { Target } from './targets.ts';

const valueBytes = 100;

/** A handle that came in some message; the peer may have made anything of it. */
export async function handleTarget(): Promise<Target> {
  const court = new Court();
  const { atServer, atClient } = await openLibrary(court);
  const { cards } = atServer.channels;
  const value = atServer.arena.construct(rawBytes, new Uint8Array(valueBytes).fill(7));
  const borrow = async (handle: Uint8Array) => {
    try {
      const borrowed = await atClient.channels.cards.borrow(handle as Handle<Uint8Array>, rawBytes, {
        timeoutMs: 1,
      });
      assert.deepEqual(borrowed.value, new Uint8Array(valueBytes).fill(7));
      borrowed.release();
      return true;
    } catch (error) {
      // A segment that never comes is waited for.
      if (error instanceof IpcError && ['ERR_HANDLE_INVALID', 'ERR_TIMEOUT'].includes(error.code))
        return false;
      throw error;
    }
  };
  return {
    async feed(random) {
      await waitUntil('what was lent before', () => cards.stats().loans === 0);
      const handle: Uint8Array = cards.lend(value);
      const mutant = mutate(random, [handle]);
      if (random.below(2) === 0) forge(mutant, handle);
      const taken = await borrow(mutant);
      // Whatever came of it, the honest one is as good as before.
      assert.notEqual(await borrow(handle), taken);
    },
    close: () => court.close(),
  };
}

/**
 * Mends the checksum, as one that forges would. Another slot or use of it is left out: who lends what he has not noted gets
 * a release that he does not know, which ends his own session.
 */
function forge(mutant: Uint8Array<ArrayBuffer>, honest: Uint8Array): void {
  if (mutant.length !== 40) return;
  mutant.set(honest.subarray(8, 16), 8);
  const words = new Uint32Array(mutant.buffer, mutant.byteOffset, 10);
  let hash = 0x811c9dc5;
  for (let index = 0; index < 9; index++) hash = Math.imul(hash ^ words[index]!, 0x01000193);
  words[9] = hash >>> 0;
}

const regionBytes = 65_536;
const refusals = [
  'BAD_LAYOUT',
  'NO_MEMORY',
  'FULL',
  'LOCKED',
  'GONE',
  'MISMATCH',
  'CLOSED',
  'BUSY',
  'TOO_LARGE',
];

/** A region into which one of its users writes what it likes. */
export function regionTarget(): Target {
  return {
    feed(random) {
      const region = new (native().Region)(regionBytes);
      region.join();
      const pipe = region.pipe('words', 4);
      for (let left = random.below(4); left > 0; left--)
        region.enqueue(pipe, random.bytes(random.below(600)), false);
      for (let left = 20; left > 0; left--) {
        if (random.below(4) === 0) scribble(random, region);
        try {
          callOf(random, region, pipe)();
        } catch (error) {
          if (!(error instanceof RangeError) && !refusals.includes(nativeCode(error) ?? '')) throw error;
        }
      }
      region.close();
    },
  };
}

/** Words, since that is what a user's stores are; most of them where the tables stand. */
function scribble(random: Random, { fd }: NativeRegion): void {
  for (let left = 1 + random.below(4); left > 0; left--) {
    const within = random.below(2) === 0 ? regionBytes : 20_000;
    const word = random.below(2) === 0 ? random.bytes(4) : Uint8Array.of(random.below(256), 0, 0, 0);
    writeSync(fd, word, 0, 4, 4 * random.below(within / 4));
  }
}

function callOf(random: Random, region: NativeRegion, pipe: number): () => void {
  const block = random.below(8);
  const calls = [
    () => region.enqueue(pipe, random.bytes(random.below(6000)), random.below(2) === 0),
    () => region.take(pipe, new Uint8Array(64), random.below(2) === 0),
    () => region.dequeue(pipe, { block: 0, bytes: null, deliveries: 0 }, random.below(2) === 0, false),
    () => region.dequeueBlock(pipe, { block: 0, bytes: null, deliveries: 0 }, false),
    () => region.construct(random.bytes(random.below(3000))),
    () => region.enqueueBlock(pipe, block, false),
    () => region.ack(block),
    () => region.reject(block),
    () => region.release(block),
    () => region.view(block)[0],
    () => region.pipe(`p${block}`, 3),
    () => region.unwait(pipe),
    () => region.users().map(({ slot, pid, startTicks }) => region.recover(slot, pid, startTicks)),
    () => region.pipeStats(pipe),
    () => region.stats(),
    () => region.takeRings(),
  ];
  return calls[random.below(calls.length)]!;
}
