// Packet codecs: how a packet of a pipe or a shared value becomes bytes and comes out again. Self-contained, since no two
// packets need have the same reader.
import { IpcError, messageOf } from '../errors.ts';
import type { PacketCodec } from '../spec/region.ts';
import { packPlain, unpackPlain } from './codec.ts';

interface Codec {
  /** Bytes that nothing else writes over. @throws {IpcError} ERR_PACKET_INVALID with the path of what can't be expressed. */
  encode(value: unknown, what: string): Uint8Array;
  /** `bytes` is the caller's own copy, which the result may keep. @throws {IpcError} ERR_PACKET_INVALID. */
  decode(bytes: Uint8Array, what: string): unknown;
  /** The same for the first `length` bytes of memory that is used again: the result is a copy. */
  decodeFrom(scratch: Uint8Array, length: number, what: string): unknown;
}

export const packetCodecs: Readonly<Record<PacketCodec, Codec>> = {
  msgpack: {
    encode(value, what) {
      if (value === undefined) throw IpcError.of('ERR_PACKET_INVALID', what, 'undefined is no packet');
      try {
        return packPlain(value);
      } catch (error) {
        throw IpcError.from(error, 'ERR_PACKET_INVALID', what, inexpressible(value) ?? messageOf(error));
      }
    },
    decode(bytes, what) {
      let value: unknown;
      try {
        value = unpackPlain(bytes);
      } catch (error) {
        throw IpcError.from(error, 'ERR_PACKET_INVALID', what, `it is no msgpack: ${messageOf(error)}`);
      }
      // For a caller, undefined is no packet.
      if (value === undefined) throw IpcError.of('ERR_PACKET_INVALID', what, 'it is undefined');
      return value;
    },
    // msgpackr copies what it takes.
    decodeFrom: (scratch, length, what) => packetCodecs.msgpack.decode(scratch.subarray(0, length), what),
  },
  bytes: {
    encode(value, what) {
      if (value instanceof Uint8Array) return value;
      throw IpcError.of('ERR_PACKET_INVALID', what, 'the bytes codec takes a Uint8Array or a Buffer');
    },
    decode: (bytes) => bytes,
    // Of a Uint8Array, not of a Buffer, whose slice is none.
    decodeFrom: (scratch, length) => scratch.slice(0, length),
  },
};

/** Where in the value stands what msgpack can't express, and what it is. */
function inexpressible(value: unknown): string | undefined {
  const within = new Set<object>();
  return firstPart(value, '$', (part, path) => {
    if (typeof part === 'function' || typeof part === 'symbol') return `${path} is a ${typeof part}`;
    if (typeof part === 'object' && part !== null && within.has(part)) return `${path} contains itself`;
    const refusal = refusalOf(part);
    if (refusal !== undefined) return `${path}: ${refusal}`;
    return typeof part === 'object' && part !== null ? within : undefined;
  });
}

/** What an object says that refuses to become data. */
function refusalOf(part: unknown): string | undefined {
  try {
    (part as { toJSON?: () => unknown } | null)?.toJSON?.();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/** The path of the first part of `value`, itself included, that is not inside. Arrays and plain objects are their parts. */
export function pathOutside(value: unknown, inside: (part: unknown) => boolean): string | undefined {
  const within = new Set<object>();
  return firstPart(value, '$', (part, path) => {
    if (inside(part)) return undefined;
    const container = Array.isArray(part) || isPlain(part);
    return container && !within.has(part as object) ? within : path;
  });
}

/** Walks through the parts of a value until `look` has an answer; where it answers the set, the parts of the part follow. */
function firstPart(
  value: unknown,
  path: string,
  look: (part: unknown, path: string) => string | Set<object> | undefined,
): string | undefined {
  const answer = look(value, path);
  if (typeof answer !== 'object') return answer;
  answer.add(value as object);
  for (const [key, part] of Object.entries(value as object)) {
    const found = firstPart(part, Array.isArray(value) ? `${path}[${key}]` : `${path}.${key}`, look);
    if (found !== undefined) return found;
  }
  answer.delete(value as object);
  return undefined;
}

function isPlain(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
