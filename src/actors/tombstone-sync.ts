// Tombstone sync: two nodes that meet tell each other all deletes that they remember, before either is asked for anything. A node
// that was cut off while a session was deleted learns of it here, and one that was restarted gets back what it has forgotten.
import { IpcError } from '../errors.ts';
import type { Relay, RelayHold } from '../spec/relay.ts';
import { type KeyedTombstone, parseKeyedTombstone } from '../transport/entry-frame.ts';
import { type Frame, mapOf, wholeOf } from '../transport/frame.ts';
import type { KeyHasher } from '../transport/placement-hash.ts';
import type { RememberedDeletes } from '../transport/tombstones.ts';

/** With keys of 255 bytes, a page stays below half a frame. */
const pageStones = 1_000;
/** Snapshots that are being read; the oldest gives way. */
const snapshotsMax = 64;

type Learned = (stone: KeyedTombstone, from: string) => void;

interface Floor {
  readonly stamp: number;
  readonly ttlMs: number;
}

/** The side that is asked. */
export async function serveTombstones(
  relay: Pick<Relay, 'serve'>,
  stones: RememberedDeletes,
  hasher: KeyHasher,
  learned: Learned,
): Promise<RelayHold[]> {
  const snapshots = new Map<string, KeyedTombstone[]>();
  return [
    await relay.serve('session.sync', (body, { from }) => {
      const page = wholeOf(mapOf({ t: 'sync', body }, 'body') as Frame, 'page', 1_000_000);
      if (page === 0) {
        snapshots.delete(from);
        if (snapshots.size >= snapshotsMax) snapshots.delete(snapshots.keys().next().value as string);
        snapshots.set(from, allOf(stones, hasher));
      }
      const all = snapshots.get(from);
      if (!all) throw IpcError.of('ERR_REFUSED', 'a page of deletes', 'ask for the first one');
      const some = all.slice(page * pageStones, (page + 1) * pageStones);
      const more = all.length > (page + 1) * pageStones;
      if (!more) snapshots.delete(from);
      return { stones: some, more, floor: floorOf(stones) };
    }),
    await relay.serve('session.tell', (body, { from }) => {
      learnAll(body, stones, (stone) => learned(stone, from));
      return null;
    }),
  ];
}

/** The side that has come: tells what it remembers, then hears the rest. */
export async function syncTombstones(
  relay: Pick<Relay, 'request'>,
  stones: RememberedDeletes,
  hasher: KeyHasher,
  learned: Learned,
  signal: AbortSignal,
): Promise<void> {
  const own = allOf(stones, hasher);
  const wait = { signal, timeoutMs: 10_000 };
  for (let at = 0; at === 0 || at < own.length; at += pageStones)
    await relay.request(
      'session.tell',
      { stones: own.slice(at, at + pageStones), floor: floorOf(stones) },
      wait,
    );
  for (let page = 0; ; page++) {
    const answer = await relay.request('session.sync', { page }, wait);
    learnAll(answer, stones, (stone) => learned(stone, 'relay'));
    if ((answer as { more?: unknown }).more !== true) return;
  }
}

function allOf(stones: RememberedDeletes, hasher: KeyHasher): KeyedTombstone[] {
  return [...stones.entries()].map(([key, tombstone]) => ({ key, hash: hasher(key), tombstone }));
}

function floorOf(stones: RememberedDeletes): Floor {
  const { stamp, ttlMs } = stones.floorStone;
  return { stamp, ttlMs };
}

function learnAll(body: unknown, stones: RememberedDeletes, learn: (stone: KeyedTombstone) => void): void {
  const frame = mapOf({ t: 'deletes', body }, 'body') as Frame;
  const { stones: told } = frame;
  if (!Array.isArray(told) || told.length > pageStones) throw new Error('deletes that are none');
  const floor = mapOf(frame, 'floor') as Frame;
  const stamp = wholeOf(floor, 'stamp');
  if (stamp > 0) stones.raiseFloor(stamp, wholeOf(floor, 'ttlMs'));
  for (const each of told) learn(parseKeyedTombstone(each));
}
