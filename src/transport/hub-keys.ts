// Hub keys: small tables that all nodes see alike, kept by the one hub. They are as lasting as the hub; who needs more than that
// writes them again when it comes back, or uses an engine.
import { IpcError } from '../errors.ts';
import type { KeyValueEntry, RelayHandler } from '../spec/relay.ts';
import { packPlain } from './codec.ts';
import { type Frame, mapOf, textOf, wholeOf } from './frame.ts';
import type { HubLeases } from './hub-leases.ts';

const keysMax = 10_000;
const valueBytesMax = 64 * 1024;
const bytesMax = 16 * 1024 * 1024;

interface Kept {
  readonly value: unknown;
  readonly revision: number;
  readonly bytes: number;
}

interface Bucket {
  readonly entries: Map<string, Kept>;
  revision: number;
}

export class HubKeys {
  readonly #leases: HubLeases;
  readonly #changed: (bucket: string, change: { key: string; entry: KeyValueEntry | null }) => void;
  readonly #buckets = new Map<string, Bucket>();
  #keys = 0;
  #bytes = 0;

  constructor(
    leases: HubLeases,
    changed: (bucket: string, change: { key: string; entry: KeyValueEntry | null }) => void,
  ) {
    this.#leases = leases;
    this.#changed = changed;
  }

  services(): [string, RelayHandler][] {
    return [
      ['$kv.get', (body) => this.#get(asked(body))],
      [
        '$kv.keys',
        (body) => [...(this.#buckets.get(textOf(asked(body), 'bucket', 255))?.entries.keys() ?? [])],
      ],
      ['$kv.write', (body) => this.#write(asked(body))],
    ];
  }

  #get(frame: Frame): KeyValueEntry | null {
    const found = this.#buckets.get(textOf(frame, 'bucket', 255))?.entries.get(textOf(frame, 'key', 255));
    return found ? { value: found.value, revision: found.revision } : null;
  }

  #write(frame: Frame): number {
    const bucketName = textOf(frame, 'bucket', 255);
    const key = textOf(frame, 'key', 255);
    const kind = textOf(frame, 'kind', 16);
    if (frame.lease !== undefined) {
      const lease = mapOf(frame, 'lease') as Frame;
      this.#leases.check({ name: textOf(lease, 'name', 255), token: wholeOf(lease, 'token') });
    }
    let bucket = this.#buckets.get(bucketName);
    const found = bucket?.entries.get(key);
    const expected = frame.revision === undefined ? undefined : wholeOf(frame, 'revision');
    if (kind === 'create' && found)
      throw IpcError.of('ERR_KV_CONFLICT', key, `it exists, at revision ${found.revision}`);
    if ((kind === 'update' || expected !== undefined) && (found?.revision ?? 0) !== expected)
      throw IpcError.of(
        'ERR_KV_CONFLICT',
        key,
        found ? `its revision is ${found.revision}, not ${expected}` : 'it does not exist',
      );
    const bytes = kind === 'delete' ? 0 : packPlain(frame.value).length + key.length;
    if (bytes > valueBytesMax) throw IpcError.of('ERR_MESSAGE_TOO_LARGE', `key ${key}`, bytes, valueBytesMax);
    const after = this.#bytes - (found?.bytes ?? 0) + bytes;
    if (!found && this.#keys >= keysMax)
      throw IpcError.of('ERR_RELAY_FULL', `key ${key}`, `${keysMax} are kept`);
    if (after > bytesMax) throw IpcError.of('ERR_RELAY_FULL', `key ${key}`, `${bytesMax} bytes are kept`);
    if (!bucket) {
      bucket = { entries: new Map(), revision: 0 };
      this.#buckets.set(bucketName, bucket);
    }
    this.#bytes = after;
    const revision = ++bucket.revision;
    if (kind === 'delete') {
      if (bucket.entries.delete(key)) this.#keys--;
      this.#changed(bucketName, { key, entry: null });
      return revision;
    }
    if (!['put', 'create', 'update'].includes(kind)) throw new Error(`unknown kind of write ${kind}`);
    if (!found) this.#keys++;
    bucket.entries.set(key, { value: frame.value ?? null, revision, bytes });
    this.#changed(bucketName, { key, entry: { value: frame.value ?? null, revision } });
    return revision;
  }
}

function asked(body: unknown): Frame {
  return mapOf({ t: 'key', body }, 'body') as Frame;
}
