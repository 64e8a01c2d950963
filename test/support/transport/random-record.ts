// Records at random, the same that cpp/test/lane_peer.cc draws from the same seed.
import { payloadBytesMax } from '../../../src/transport/lane.ts';
import { Random } from '../random.ts';

export interface RandomRecord {
  readonly kind: number;
  readonly flags: number;
  readonly payload: Uint8Array;
}

/** Small ones mostly; now and then any size that fits the ring. */
function drawRecord(random: Random, capacity: number): RandomRecord {
  const limit = random.below(8) === 0 ? payloadBytesMax(capacity) + 1 : 64;
  const bytes = random.below(limit);
  const kind = 2 + random.below(254);
  const flags = random.below(256);
  return { kind, flags, payload: random.bytes(bytes) };
}

/** The first `count` records of a seed. */
export function* randomRecords(seed: number, capacity: number, count: number): Generator<RandomRecord> {
  const random = new Random(seed);
  for (let i = 0; i < count; i++) yield drawRecord(random, capacity);
}
