// Entry frame: entries and tombstones of a session cache as they travel between nodes. All of it was written by a peer.
import type { CacheEntry, CacheForm, CacheTombstone } from '../spec/downstream.ts';
import { isKeyHash } from '../spec/rendezvous.ts';
import { type Frame, mapOf, textOf, wholeOf } from './frame.ts';

export const keyBytesMax = 255;
/** As large as a record of a cache can be. */
const valueBytesMax = 1024 * 1024 - 4096;
const ttlMaxMs = 2 ** 48;
const forms: readonly CacheForm[] = ['bytes', 'text', 'msgpack'];

/** A key and what is said of it. */
export interface KeyedEntry {
  readonly key: string;
  readonly hash: string;
  readonly entry: CacheEntry;
}

export interface KeyedTombstone {
  readonly key: string;
  readonly hash: string;
  readonly tombstone: CacheTombstone;
}

/** @throws an Error that says what is wrong. */
export function parseKey(body: unknown): { key: string; hash: string } {
  const frame = asked(body);
  const key = textOf(frame, 'key', keyBytesMax);
  if (key === '' || Buffer.byteLength(key) > keyBytesMax)
    throw new Error(`a key of 1 to ${keyBytesMax} bytes is needed`);
  if (!isKeyHash(frame.hash)) throw new Error('a key without its hash');
  return { key, hash: frame.hash };
}

/** @throws an Error that says what is wrong. */
export function parseKeyedEntry(body: unknown): KeyedEntry {
  return { ...parseKey(body), entry: parseEntry(mapOf(asked(body), 'entry')) };
}

/** @throws an Error that says what is wrong. */
export function parseKeyedTombstone(body: unknown): KeyedTombstone {
  return { ...parseKey(body), tombstone: parseTombstone(mapOf(asked(body), 'tombstone')) };
}

/** What somebody answers who was asked for a key. @throws an Error that says what is wrong. */
export function parseFound(body: unknown): CacheEntry | CacheTombstone | undefined {
  if (body === null || body === undefined) return undefined;
  const frame = asked(body);
  return frame.deleted === true ? parseTombstone(frame) : parseEntry(frame);
}

/** Of a message that nobody waits for an answer to: what makes no sense is nobody's news. */
export function sensible<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch {
    return undefined;
  }
}

export function isTombstone(found: CacheEntry | CacheTombstone): found is CacheTombstone {
  return 'deleted' in found;
}

function parseEntry(map: Record<string, unknown>): CacheEntry {
  const frame = map as Frame;
  const { value, form } = frame;
  if (!(value instanceof Uint8Array) || value.length > valueBytesMax)
    throw new Error(`an entry without a value of at most ${valueBytesMax} bytes`);
  if (!forms.includes(form as CacheForm)) throw new Error('an entry without its form');
  const ttlMs = frame.ttlMs === undefined ? undefined : wholeOf(frame, 'ttlMs', ttlMaxMs);
  return {
    // A view of the frame would keep all of it.
    value: new Uint8Array(value),
    form: form as CacheForm,
    stamp: stampOf(frame),
    ...(ttlMs !== undefined && { ttlMs }),
  };
}

function parseTombstone(map: Record<string, unknown>): CacheTombstone {
  const frame = map as Frame;
  return { deleted: true, stamp: stampOf(frame), ttlMs: wholeOf(frame, 'ttlMs', ttlMaxMs) };
}

/** 0 would be a write without an order. */
function stampOf(frame: Frame): number {
  const stamp = wholeOf(frame, 'stamp');
  if (stamp === 0) throw new Error('a stamp from 1 on is needed');
  return stamp;
}

function asked(body: unknown): Frame {
  return mapOf({ t: 'entry', body }, 'body') as Frame;
}
