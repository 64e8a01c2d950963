// Cache value: how a value becomes the bytes of a record and comes out again. Each record says its form itself.
import { IpcError, messageOf } from '../errors.ts';
import type { CacheForm } from '../spec/downstream.ts';
import { unpackPlain } from './codec.ts';
import { packetCodecs } from './packet-codec.ts';

/** A value on its way: a text as it is, all else as bytes. */
export interface FormedValue {
  readonly form: CacheForm;
  readonly value: string | Uint8Array;
}

/** @throws {IpcError} ERR_CACHE_ENTRY with the path of what can't be expressed. */
export function formValue(cache: string, value: unknown): FormedValue {
  if (typeof value === 'string') return { form: 'text', value };
  if (value instanceof Uint8Array) return { form: 'bytes', value };
  try {
    return { form: 'msgpack', value: packetCodecs.msgpack.encode(value, 'a cache') };
  } catch (error) {
    throw IpcError.from(error, 'ERR_CACHE_ENTRY', cache, messageOf(error));
  }
}

/** The value of a record. Bytes are the caller's own. @throws {IpcError} ERR_CACHE_ENTRY. */
export function readValue(cache: string, { form, value }: FormedValue): unknown {
  if (form !== 'msgpack') return value;
  try {
    return unpackPlain(value as Uint8Array);
  } catch (error) {
    throw IpcError.from(error, 'ERR_CACHE_ENTRY', cache, `it is no msgpack: ${messageOf(error)}`);
  }
}
